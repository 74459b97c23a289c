package inflate

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func deflated(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReader(t *testing.T) {
	const text = `{"model":"m","messages":[]}`
	bomb := strings.Repeat("0", 8<<20)
	for _, c := range []struct {
		name    string
		codings []string
		body    []byte
		err     error
		want    string
	}{
		{"gzip", []string{"gzip"}, zipped(t, text), nil, text},
		{"its old name, in capitals", []string{" X-GZIP "}, zipped(t, text), nil, text},
		{"two members", []string{"gzip"}, append(zipped(t, `{"a"`), zipped(t, `:1}`)...), nil, `{"a":1}`},
		{"deflate", []string{"deflate"}, deflated(t, text), nil, text},
		{"twice", []string{"gzip", "gzip"}, zipped(t, string(zipped(t, text))), ErrUnknown, ""},
		{"twice in one value", []string{"gzip, gzip"}, zipped(t, text), ErrUnknown, ""},
		{"brotli", []string{"br"}, []byte("x"), ErrUnknown, ""},
		{"not gzip", []string{"gzip"}, []byte(text), ErrMalformed, ""},
		{"nothing", []string{"gzip"}, nil, ErrMalformed, ""},
		{"cut", []string{"gzip"}, zipped(t, text)[:20], ErrMalformed, ""},
		{"sum wrong", []string{"gzip"}, append(zipped(t, text)[:len(zipped(t, text))-8], 0, 0, 0, 0, 27, 0, 0, 0), ErrMalformed, ""},
		{"something after gzip", []string{"gzip"}, append(zipped(t, text), `{"b":1}`...), ErrMalformed, ""},
		{"something after deflate", []string{"deflate"}, append(deflated(t, text), 'x'), ErrMalformed, ""},
		{"bomb", []string{"gzip"}, zipped(t, bomb), ErrBomb, ""},
		{"bomb in deflate", []string{"deflate"}, deflated(t, bomb), ErrBomb, ""},
		{"grows much but is small", []string{"gzip"}, zipped(t, bomb[:Free]), nil, bomb[:Free]},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Reader(bytes.NewReader(c.body), c.codings)
			var text []byte
			if err == nil {
				text, err = io.ReadAll(r)
			}
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err == nil && string(text) != c.want {
				t.Errorf("%.80q, want %.80q", text, c.want)
			}
		})
	}
}

// A caller who goes away is no caller who compresses wrongly.
func TestBrokenConnection(t *testing.T) {
	gone := errors.New("gone")
	for name, keep := range map[string]int{"in the head": 3, "in the body": 20} {
		body := io.MultiReader(bytes.NewReader(zipped(t, strings.Repeat("text ", 100))[:keep]), iotest.ErrReader(gone))
		r, err := Reader(body, []string{"gzip"})
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, gone) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		name    string
		codings []string
		want    bool
	}{
		{"none", nil, true}, {"empty", []string{""}, true}, {"identity", []string{"Identity"}, true},
		{"gzip", []string{"gzip"}, false}, {"the second", []string{"identity", "gzip"}, false},
	} {
		if got := Identity(c.codings); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// FuzzReader: whatever comes, reading ends, and gives no more than the ratio allows.
func FuzzReader(f *testing.F) {
	f.Add(zipped(f, `{"model":"m"}`), true)
	f.Add(deflated(f, `{"model":"m"}`), false)
	f.Add(zipped(f, strings.Repeat("0", 4<<20)), true)
	f.Add([]byte{0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff}, true)
	f.Fuzz(func(t *testing.T, body []byte, gz bool) {
		coding := "deflate"
		if gz {
			coding = "gzip"
		}
		r, err := Reader(bytes.NewReader(body), []string{coding})
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, r)
		if n > Free && n > MaxRatio*int64(len(body)) {
			t.Fatalf("%d bytes of %d", n, len(body))
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrBomb) {
			t.Fatalf("%v is no error of this package", err)
		}
	})
}

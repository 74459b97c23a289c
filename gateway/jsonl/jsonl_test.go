package jsonl

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       []string
		err        error
	}{
		{"none", "", 10, nil, io.EOF},
		{"with and without a break at the end", "a\nb", 10, []string{"a", "b"}, io.EOF},
		{"of Windows, and empty ones", "a\r\n\r\n\n  \nb\n", 10, []string{"a", "b"}, io.EOF},
		{"as long as may be", "aaaa\nbbbb", 4, []string{"aaaa", "bbbb"}, io.EOF},
		{"too long", "aaaa\nbbbbbb\nc", 4, []string{"aaaa"}, ErrTooLong},
		{"longer than what is read at once", strings.Repeat("x", 100_000) + "\ny", 100_000, []string{strings.Repeat("x", 100_000), "y"}, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(strings.NewReader(c.text), c.most)
			var got []string
			for {
				line, err := r.Next()
				if err != nil {
					if err != c.err {
						t.Errorf("%v, want %v", err, c.err)
					}
					break
				}
				got = append(got, string(line))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFields(t *testing.T) {
	line := []byte(`{"custom_id" : "a\u0062", "n": 12345678901234567890, "body":{"model":"m","x":[1, 2]} , "b\u006fdy2":null}`)
	at, err := Fields(line, "body", "missing", "custom_id", "n", "body2")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range at {
		got = append(got, string(s.Of(line)))
	}
	if diff := cmp.Diff([]string{`{"model":"m","x":[1, 2]}`, "", `"a\u0062"`, "12345678901234567890", "null"}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{``, `[]`, `1`, `{`, `{"a":1`, `{"a":1}{}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":}`, "{\"a\":\"\xff\"}", `{"a":1]`, `{a:1}`} {
		if _, err := Fields([]byte(bad), "a"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzLines: what is found is a value, and stands where it is said to.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\"}}\n\n{\"body\":[]}"))
	f.Add([]byte("{\"a\":1,\"a\":2}\r\n{\"body\":{}} x"))
	f.Add([]byte(`{"id":"x","response":{"status_code":200,"body":{"usage":{}}},"error":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 1<<16)
		for {
			line, err := r.Next()
			if err != nil {
				return
			}
			if bytes.ContainsRune(line, '\n') || len(line) == 0 {
				t.Fatalf("%q is no line", line)
			}
			at, err := Fields(line, "body", "response")
			if err != nil {
				continue
			}
			var whole map[string]json.RawMessage
			if err := json.Unmarshal(line, &whole); err != nil {
				t.Fatalf("%q was taken: %v", line, err)
			}
			for i, key := range []string{"body", "response"} {
				if !bytes.Equal(at[i].Of(line), whole[key]) {
					t.Fatalf("%q of %q: %q", key, line, at[i].Of(line))
				}
			}
			Elements(at[0].Of(line), func(s Span) error {
				if !json.Valid(s.In(at[0].Start).Of(line)) {
					t.Fatalf("%q has an element %v that is none", line, s)
				}
				return nil
			})
		}
	})
}

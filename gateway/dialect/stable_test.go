package dialect

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// What a codec wrote, it reads and writes again without a change. Bodies that are not
// UTF-8 are refused before a codec sees them.

func stableRequest(t *testing.T, n Name, body []byte) {
	t.Helper()
	if !utf8.Valid(body) {
		return
	}
	c := Of(n)
	r, err := c.ReadRequest(body, "m", true)
	if err != nil {
		return
	}
	once, err := c.WriteRequest(r)
	if err != nil {
		return
	}
	r, err = c.ReadRequest(once, "m", true)
	if err != nil {
		t.Fatalf("%s\nbecame\n%s\nwhich is not read: %v", body, once, err)
	}
	twice, err := c.WriteRequest(r)
	if err != nil {
		t.Fatalf("%s\nis not written again: %v", once, err)
	}
	if diff := cmp.Diff(string(once), string(twice)); diff != "" {
		t.Fatalf("%s\n%s", body, diff)
	}
}

func stableAnswer(t *testing.T, n Name, body []byte) {
	t.Helper()
	if !utf8.Valid(body) {
		return
	}
	c, r := Of(n), &Request{Model: "m"}
	a, err := c.ReadAnswer(body)
	if err != nil {
		return
	}
	once, err := c.WriteAnswer(a, r)
	if err != nil {
		t.Fatalf("%s is not written: %v", body, err)
	}
	if a, err = c.ReadAnswer(once); err != nil {
		t.Fatalf("%s\nbecame\n%s\nwhich is not read: %v", body, once, err)
	}
	twice, err := c.WriteAnswer(a, r)
	if err != nil {
		t.Fatalf("%s\nis not written again: %v", once, err)
	}
	if diff := cmp.Diff(string(once), string(twice)); diff != "" {
		t.Fatalf("%s\n%s", body, diff)
	}
}

// stableStream takes the data of events, a line each.
func stableStream(t *testing.T, n Name, lines []byte) {
	t.Helper()
	if !utf8.Valid(lines) {
		return
	}
	once, ok := relay(n, bytes.Split(lines, []byte("\n")))
	if !ok {
		return
	}
	twice, ok := relay(n, dataOf(once))
	if !ok {
		t.Fatalf("%s\nbecame\n%s\nwhich is not read", lines, once)
	}
	if diff := cmp.Diff(string(once), string(twice)); diff != "" {
		t.Fatalf("%s\n%s", lines, diff)
	}
}

// relay reads a stream and writes it again; false when it cannot be read.
func relay(n Name, data [][]byte) ([]byte, bool) {
	var out []byte
	r, w := Of(n).NewReader(), Of(n).NewWriter(&Request{Model: "m", StreamUsage: true})
	for _, d := range append(data, nil) { // the connection ends
		if d != nil && len(bytes.TrimSpace(d)) == 0 {
			continue
		}
		events, err := r.Read(nil, d)
		if err != nil {
			return nil, false
		}
		for i := range events {
			out = w.Write(out, &events[i])
		}
	}
	return out, true
}

// dataOf is the data of every frame of a stream.
func dataOf(stream []byte) (out [][]byte) {
	for _, frame := range bytes.Split(stream, []byte("\n\n")) {
		for _, line := range bytes.Split(frame, []byte("\n")) {
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				out = append(out, data)
			}
		}
	}
	return out
}

// events reads a stream's data, a line each.
func events(t *testing.T, n Name, lines string) []Event {
	t.Helper()
	var out []Event
	r := Of(n).NewReader()
	for _, d := range strings.Split(strings.TrimSpace(lines), "\n") {
		var err error
		if out, err = r.Read(out, []byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// compact is JSON without white space, so that tables may have some.
func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return b.String()
}

func ptr[T any](v T) *T { return &v }

package eventstream

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// The two messages that AWS gives as examples of the format: an empty one, and one
// with a header and a payload.
var examples = []string{
	"000000100000000005c248eb7d98c8ff",
	"0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172277d8d9c08b1",
}

func TestKnownMessages(t *testing.T) {
	var stream []byte
	for _, e := range examples {
		b, err := hex.DecodeString(e)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, b...)
	}
	d := NewReader(iotest.OneByteReader(bytes.NewReader(stream)))
	first, err := d.Next()
	if err != nil || len(first.Headers) != 0 || len(first.Payload) != 0 {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := d.Next()
	if err != nil || string(second.Payload) != "{'foo':'bar'}" {
		t.Fatalf("%+v %v", second, err)
	}
	if diff := cmp.Diff(map[string]string{"content-type": "application/json"}, second.Headers); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if got := hex.EncodeToString(Append(nil, []byte("{'foo':'bar'}"), "content-type", "application/json")); got != examples[1] {
		t.Errorf("written: %s", got)
	}
}

func TestEveryFlippedByteShows(t *testing.T) {
	whole := Append(nil, []byte(`{"delta":{"text":"Hi"}}`), ":message-type", "event", ":event-type", "contentBlockDelta")
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		if m, err := NewReader(bytes.NewReader(b)).Next(); err == nil {
			t.Fatalf("byte %d flipped, and %+v was read", i, m)
		}
	}
	for n := 1; n < len(whole); n++ {
		if _, err := NewReader(bytes.NewReader(whole[:n])).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	m, err := NewReader(bytes.NewReader(whole)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if event, exception := m.Kind(); event != "contentBlockDelta" || exception != "" {
		t.Errorf("%q %q", event, exception)
	}
}

func FuzzReader(f *testing.F) {
	for _, e := range examples {
		b, _ := hex.DecodeString(e)
		f.Add(b)
	}
	f.Add(Append(nil, []byte("{}"), ":message-type", "exception", ":exception-type", "throttlingException"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewReader(bytes.NewReader(b))
		for {
			m, err := d.Next()
			if err != nil {
				return
			}
			m.Kind()
		}
	})
}

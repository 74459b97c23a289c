package ident

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	id, err := New(at, bytes.NewReader([]byte("0123456789")))
	if err != nil {
		t.Fatal(err)
	}
	const want = "06eu6q7m00o32chj6gqjcdpo74"
	if got := id.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if back, err := Parse(id.String()); err != nil || back != id || !back.Time().Equal(at) {
		t.Errorf("read back as %v of %v: %v", back, back.Time(), err)
	}
	if later, _ := New(at.Add(time.Millisecond), bytes.NewReader(make([]byte, 10))); later.String() <= id.String() {
		t.Error("texts do not sort by time")
	}
	for _, c := range []struct{ name, text string }{
		{"short", want[1:]}, {"long", want + "0"}, {"capitals", strings.ToUpper(want)}, {"another letter", want[:25] + "w"},
		{"a line end", want[:24] + "\n" + want[25:]}, {"bits beyond the last byte", want[:25] + "5"},
	} {
		if _, err := Parse(c.text); err != ErrMalformed {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

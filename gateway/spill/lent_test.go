package spill

import (
	"bytes"
	"testing"
)

// Memory that was given back holds nothing of what it was lent for, and is given back
// once, however often that is said.
func TestLentMemoryIsEmptied(t *testing.T) {
	l := Lend(100)
	body := append(l.Memory(), "what a caller sent"...)
	if cap(body) != 100 || !l.Holds() {
		t.Errorf("%d bytes of 100 may be used", cap(body))
	}
	l.Release()
	l.Release()
	if l.Holds() || bytes.Contains(body[:cap(body)], []byte("caller")) {
		t.Error("what was sent stands in memory that nobody holds")
	}
	first, second := Lend(10), Lend(10)
	if a, b := append(first.Memory(), 'a'), append(second.Memory(), 'b'); a[0] != 'a' || b[0] != 'b' {
		t.Error("two bodies stand in the same memory")
	}
}

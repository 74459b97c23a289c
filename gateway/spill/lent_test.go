package spill

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
)

// Memory goes to another body only when its holder and every reader let go of it.
func TestLentMemoryIsHeldByReaders(t *testing.T) {
	l := Lend(100)
	body := append(l.Memory(), "what a caller sent"...)
	first, err := l.Open(body)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Open(body)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	second.Close()
	second.Close()
	if n, err := second.Read(make([]byte, 8)); n != 0 || !errors.Is(err, errClosed) {
		t.Errorf("a closed reader gave %d bytes, %v", n, err)
	}
	third, err := l.Open(body)
	if err != nil {
		t.Fatal("a reader holds it, and it cannot be opened:", err)
	}
	for _, r := range []io.ReadCloser{first, third} {
		if got, err := io.ReadAll(r); err != nil || string(got) != "what a caller sent" {
			t.Errorf("%q, %v", got, err)
		}
		r.Close()
	}
	if _, err := l.Open(body); !errors.Is(err, errClosed) {
		t.Errorf("nobody holds it, and it can be opened: %v", err)
	}
	if bytes.Contains(body[:cap(body)], []byte("caller")) {
		t.Error("what was sent stands in memory that nobody holds")
	}
}

// A transport closes what it reads from while it reads, and the memory is another
// body's at once.
func TestLentMemoryIsReadByNobodyAfterClose(t *testing.T) {
	for range 200 {
		l := Lend(4096)
		body := append(l.Memory(), bytes.Repeat([]byte{'a'}, 4096)...)
		r, err := l.Open(body)
		if err != nil {
			t.Fatal(err)
		}
		l.Release()
		var wg sync.WaitGroup
		wg.Go(func() {
			for buf := make([]byte, 64); ; {
				n, err := r.Read(buf)
				if bytes.Trim(buf[:n], "a") != nil && n > 0 {
					t.Errorf("read %q", buf[:n])
				}
				if err != nil {
					return
				}
			}
		})
		wg.Go(func() {
			r.Close()
			next := Lend(4096)
			for i := range next.Memory()[:4096] {
				next.Memory()[:4096][i] = 'b'
			}
			next.Release()
		})
		wg.Wait()
	}
}

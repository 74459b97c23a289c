package spill

import (
	"io"
	"sync"
	"sync/atomic"
)

// Lent is memory that a small body is read into. It is used for another body once all
// who hold it have let go: who asked for it, and each reader until it is closed.
type Lent struct {
	holders atomic.Int32 // not held any more at zero, and never again
	memory  *[]byte
	size    int // of it that is lent
}

// leastLent is the least that is set aside for a body, in bytes, so that memory fits
// most of those to come.
const leastLent = 2 << 10

var lendable = sync.Pool{New: func() any { return new([]byte) }}

// Lend gives memory for size bytes, whose holder is the caller.
func Lend(size int) *Lent {
	l := &Lent{memory: lendable.Get().(*[]byte), size: size}
	if cap(*l.memory) < size {
		*l.memory = make([]byte, 0, max(size, leastLent))
	}
	l.holders.Store(1)
	return l
}

// Memory is empty, with room for what was asked for. It may be used until Release.
func (l *Lent) Memory() []byte { return (*l.memory)[:0:l.size] }

// Release lets go of the memory; its holder calls it once.
func (l *Lent) Release() {
	if l.holders.Add(-1) == 0 {
		clear((*l.memory)[:l.size])
		lendable.Put(l.memory)
		l.memory = nil
	}
}

// Open reads body, which stands in the memory, and holds the memory until it is closed.
// It is an error when nobody holds it any more.
func (l *Lent) Open(body []byte) (io.ReadCloser, error) {
	for {
		n := l.holders.Load()
		if n == 0 {
			return nil, errClosed
		}
		if l.holders.CompareAndSwap(n, n+1) {
			return &lentReader{lent: l, rest: body}, nil
		}
	}
}

// lentReader may be closed by another goroutine than the one that reads, as transports
// do when a call is given up on: nothing is read afterwards.
type lentReader struct {
	mu   sync.Mutex // guards both
	lent *Lent      // nil once it is closed
	rest []byte
}

func (r *lentReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lent == nil {
		return 0, errClosed
	}
	if len(r.rest) == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close may be called more than once.
func (r *lentReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lent != nil {
		r.lent.Release()
		r.lent, r.rest = nil, nil
	}
	return nil
}

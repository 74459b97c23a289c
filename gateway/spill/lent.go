package spill

import "sync"

// Lent is memory that a small body is read into. It is used for another body once it was
// given back.
type Lent struct {
	memory *[]byte // nil once it was given back
	size   int     // of it that is lent
}

// leastLent is the least that is set aside for a body, in bytes, so that memory fits
// most of those to come.
const leastLent = 2 << 10

var lendable = sync.Pool{New: func() any { return new([]byte) }}

// Lend gives memory for size bytes.
func Lend(size int) Lent {
	l := Lent{memory: lendable.Get().(*[]byte), size: size}
	if cap(*l.memory) < size {
		*l.memory = make([]byte, 0, max(size, leastLent))
	}
	return l
}

// Holds reports whether there is memory that was not given back.
func (l *Lent) Holds() bool { return l.memory != nil }

// Memory is empty, with room for what was asked for. It may be used until Release.
func (l *Lent) Memory() []byte { return (*l.memory)[:0:l.size] }

// Release gives the memory back, with nothing in it. It may be called again.
func (l *Lent) Release() {
	if l.memory != nil {
		clear((*l.memory)[:l.size])
		lendable.Put(l.memory)
		l.memory = nil
	}
}

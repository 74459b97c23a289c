package evidence

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"plumbline/app/ident"
)

// openExchange is an exchange without a durable end.
type openExchange struct {
	leaf  uint64   // of its intent
	lasts bool     // event.Lasts
	tries []uint64 // leaves of further attempts, of one that lasts
}

// begun is what a batch of the writer says of an exchange: its intent, or a further attempt.
type begun struct {
	id    ident.ID
	leaf  uint64
	lasts bool
	again bool // a further attempt
}

// note says that the exchanges that begin in a batch are open.
func (l *Ledger) note(b *batch) {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	for _, lb := range b.logs {
		for _, x := range lb.begun {
			if !x.again {
				lb.log.open[x.id] = openExchange{leaf: x.leaf, lasts: x.lasts}
			} else if o, ok := lb.log.open[x.id]; ok && o.lasts {
				o.tries = append(o.tries, x.leaf)
				lb.log.open[x.id] = o
			}
		}
	}
}

// shut takes the exchanges that ended in a batch, which is durable, out of the open ones.
func (l *Ledger) shut(b *batch) {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	for _, lb := range b.logs {
		for _, id := range lb.ended {
			delete(lb.log.open, id)
		}
	}
}

// openAt says where a start finds the exchanges that were open at a checkpoint: before
// leaf from there are none but those that last, whose leaves are named.
type openAt struct {
	from    uint64
	lasting []uint64 // ascending
}

// farBehind is how many leaves a start reads to find what was open. A batch that is open
// for a day is further behind, and found by its leaves.
const farBehind = 1 << 16

// opened says what is open in a tree of size leaves. An exchange whose end became durable
// since may be left out: its end is then a leaf of that size or later, which the next
// start reads too.
func (l *Ledger) opened(s *logState, size uint64) openAt {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	at := openAt{from: size}
	for _, o := range s.open {
		if o.lasts && o.leaf+cmp.Or(l.c.far, farBehind) < size {
			at.lasting = append(append(at.lasting, o.leaf), o.tries...)
		} else {
			at.from = min(at.from, o.leaf)
		}
	}
	slices.Sort(at.lasting)
	// What is read anyhow needs no name.
	n, _ := slices.BinarySearch(at.lasting, at.from)
	at.lasting = at.lasting[:n]
	return at
}

// packLeaves writes ascending leaves, each as its distance from the one before.
func packLeaves(b []byte, leaves []uint64) []byte {
	var last uint64
	for _, leaf := range leaves {
		b, last = binary.AppendUvarint(b, leaf-last), leaf
	}
	return b
}

// unpackLeaves is the reverse of packLeaves.
func unpackLeaves(b []byte) (leaves []uint64, err error) {
	var last uint64
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		if n <= 0 || last+d < last {
			return nil, errors.New("the leaves of what was open at the newest checkpoint are malformed")
		}
		b, last = b[n:], last+d
		leaves = append(leaves, last)
	}
	return leaves, nil
}

package gateway

import (
	"hash/maphash"

	"plumbline/gateway/peek"
)

// repeats knows which texts of a stream of responses came before. Its dialect gives
// every text up to five times: in pieces, when it ends, in its part, in its item and
// in the response. Guards judge a repetition as they judged the text, for what they
// say is a function of it alone; hits and bytes are counted once. A text that
// differs from what came in its channel is no repetition, whatever its event says.
type repeats struct {
	seed   maphash.Seed
	pieces map[int]*maphash.Hash // of the text so far, by channel
	wholes map[saying]bool
}

type saying struct {
	channel int
	sum     uint64
}

// mark keeps Again on the event's texts that came before, and makes of the others
// texts that are whole.
func (r *repeats) mark(x *exchange, data []byte) {
	if r.pieces == nil {
		r.seed, r.pieces, r.wholes = maphash.MakeSeed(), map[int]*maphash.Hash{}, map[saying]bool{}
	}
	for i := range x.chunk.Text {
		span := &x.chunk.Text[i]
		text := data[span.Start:span.End]
		if span.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], text)
			text = x.scratch
		}
		if !span.Again {
			if r.pieces[span.Channel] == nil {
				r.pieces[span.Channel] = &maphash.Hash{}
				r.pieces[span.Channel].SetSeed(r.seed)
			}
			r.pieces[span.Channel].Write(text)
			continue
		}
		said := saying{span.Channel, maphash.Bytes(r.seed, text)}
		if h := r.pieces[span.Channel]; h != nil && h.Sum64() == said.sum {
			continue
		}
		if !r.wholes[said] {
			r.wholes[said] = true
			span.Again, span.Whole = false, true
		}
	}
}

package gateway

import (
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
)

// holdback keeps the frames of a stream back, byte for byte and in their order, until
// the guards have decided their text. A guard that only watches keeps none back.
type holdback struct {
	in       *guardrail.Inspector
	queue    []held // of which queue[first:] wait; what is before is used again
	first    int
	channels []channel // texts that go on
	plain    []byte    // a text with its escapes undone
	at       []byte    // a frame that guards look at before it is in the queue
}

// held is a frame that waits.
type held struct {
	raw      []byte // own, or memory that is good until the next frame is read
	own      []byte
	base     int // offset of the data field in raw
	parts    []part
	logprobs []peek.Span
}

// part is a piece of a text.
type part struct {
	span     peek.Span // in the data field
	text     *guardrail.Stream
	from, to int // in it
}

type channel struct {
	id   int
	text *guardrail.Stream
	size int
}

// take takes in a frame, in whose data field found was. It reports whether the frame
// may be given as it is; else it waits for its turn, one without texts for those before
// it. What it refers to may change once keep was called.
func (h *holdback) take(raw []byte, base int, data []byte, found *peek.Body) bool {
	if h.first == len(h.queue) && len(found.Text) == 1 && !found.Text[0].Whole && !found.Text[0].Again && len(found.Finished) == 0 { // nearly all
		h.at = raw
		p := h.push(found.Text[0], data[found.Text[0].Start:found.Text[0].End])
		if (!h.in.Holds() || p.text.Decided() >= p.to) && !p.text.Touched(p.from, p.to) {
			p.text.Given(p.to)
			h.at = nil
			return true
		}
		e := h.room()
		*e = held{raw: raw, own: e.own, base: base, parts: append(e.parts[:0], p), logprobs: found.Logprobs}
		h.at = nil
		return false
	}
	e := h.room()
	*e = held{raw: raw, own: e.own, base: base, parts: e.parts[:0], logprobs: found.Logprobs}
	for _, span := range found.Text {
		if span.Again && !h.in.Holds() {
			continue
		}
		e.parts = append(e.parts, h.push(span, data[span.Start:span.End]))
	}
	// A choice that says that it ended: its last word does not hold back the others.
	for _, choice := range found.Finished {
		h.end(func(id int) bool { return id>>8 == choice })
	}
	return false
}

// room makes a place at the queue's end.
func (h *holdback) room() *held {
	if n := len(h.queue); n == cap(h.queue) && h.first > n/2 {
		for i := h.first; i < n; i++ { // swapped, so that no memory of theirs is lost
			h.queue[i-h.first], h.queue[i] = h.queue[i], h.queue[i-h.first]
		}
		h.queue, h.first = h.queue[:n-h.first], 0
	}
	if n := len(h.queue); n < cap(h.queue) {
		h.queue = h.queue[:n+1]
	} else {
		h.queue = append(h.queue, held{})
	}
	return &h.queue[len(h.queue)-1]
}

func (h *holdback) push(span peek.Span, text []byte) part {
	if span.Escaped {
		h.plain = peek.Unescape(h.plain[:0], text)
		text = h.plain
	}
	if span.Whole || span.Again {
		open := h.in.Stream
		if span.Again {
			open = h.in.Again
		}
		st := open()
		st.Push(text)
		st.Close()
		return part{span, st, 0, len(text)}
	}
	c := h.channel(span.Channel)
	c.text.Push(text)
	c.size += len(text)
	return part{span, c.text, c.size - len(text), c.size}
}

func (h *holdback) channel(id int) *channel {
	for i := range h.channels {
		if h.channels[i].id == id {
			return &h.channels[i]
		}
	}
	h.channels = append(h.channels, channel{id: id, text: h.in.Stream()})
	return &h.channels[len(h.channels)-1]
}

// end ends the texts for which which is true.
func (h *holdback) end(which func(id int) bool) {
	open := h.channels[:0]
	for _, c := range h.channels {
		if which(c.id) {
			c.text.Close()
		} else {
			open = append(open, c)
		}
	}
	h.channels = open
}

// endAll ends all texts: everything is decided then.
func (h *holdback) endAll() { h.end(func(int) bool { return true }) }

// next is the frame whose turn it is, as it may be given; false when it is not
// decided, or there is none.
func (h *holdback) next() ([]byte, bool) {
	if h.first == len(h.queue) {
		h.queue, h.first = h.queue[:0], 0
		return nil, false
	}
	e := &h.queue[h.first]
	for _, p := range e.parts {
		if h.in.Holds() && p.text.Decided() < p.to {
			return nil, false
		}
	}
	return e.rewritten(), true
}

// given tells that the next frame is about to be given out.
func (h *holdback) given() {
	e := &h.queue[h.first]
	for _, p := range e.parts {
		p.text.Given(p.to)
	}
	e.raw = nil
	h.first++
}

// keep makes what waits independent of what it was taken from.
func (h *holdback) keep() {
	if n := len(h.queue); h.first < n {
		e := &h.queue[n-1]
		e.own = append(e.own[:0], e.raw...)
		e.raw, e.logprobs = e.own, append([]peek.Span(nil), e.logprobs...)
	}
}

// blocked reports whether the next frame will never be decided, because a guard that
// blocks found something in its text.
func (h *holdback) blocked() bool {
	if h.first < len(h.queue) {
		for _, p := range h.queue[h.first].parts {
			if p.text.Decided() < p.to {
				return p.text.Blocked()
			}
		}
	}
	return false
}

// rewritten gives a frame's bytes, untouched when no match reaches into it.
func (e *held) rewritten() []byte {
	var edits []peek.Edit
	for _, p := range e.parts {
		if p.text.Touched(p.from, p.to) {
			text := p.text.Append(nil, p.from, p.to)
			edits = append(edits, peek.Edit{Start: e.base + p.span.Start, End: e.base + p.span.End, With: peek.Escape(nil, text)})
			edits = withoutLogprobs(edits, e.logprobs, p.span.Choice(), e.base)
		}
	}
	if edits == nil {
		return e.raw
	}
	return peek.Splice(nil, e.raw, sorted(edits))
}

// Of the memory that the next stream goes on with: how many frames, and bytes of each.
const (
	keptFrames = 64
	keptFrame  = 16 << 10
)

// reset lets go of the stream, and keeps what memory the next one will need.
func (h *holdback) reset() {
	if cap(h.queue) > keptFrames {
		h.queue = nil
	}
	h.queue = h.queue[:cap(h.queue)]
	for i := range h.queue {
		e := &h.queue[i]
		if cap(e.own) > keptFrame {
			e.own = nil
		}
		clear(e.parts)
		*e = held{own: e.own[:0], parts: e.parts[:0]}
	}
	clear(h.channels)
	*h = holdback{queue: h.queue[:0], channels: h.channels[:0], plain: keep(h.plain)}
}

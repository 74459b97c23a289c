package dialect

import "plumbline/gateway/event"

// blockWriter writes a stream of blocks, one after another, which other dialects do
// not promise.
type blockWriter struct {
	form    blockForm
	name    Name
	blocks  int // that began
	open    bool
	current Event        // the part whose block is open: Index and Part
	kinds   map[int]Part // with their origin, of parts that began
	bare    bool         // thoughts are open that nothing signed yet
	waiting []Event
	usage   event.Usage
	stop    StopReason
	stopAt  *string
}

// blockForm is how a dialect writes the events of blocks; at is the block's number.
type blockForm interface {
	began(dst []byte, id, model string) []byte
	start(dst []byte, at int, b *block) []byte
	grow(dst []byte, at int, d *blockDelta) []byte
	closed(dst []byte, at int) []byte
	ended(dst []byte, stop StopReason, sequence *string, u event.Usage) []byte
	failed(dst []byte, class, message string) []byte
}

func newBlockWriter(n Name, form blockForm) *blockWriter {
	return &blockWriter{form: form, name: n, kinds: map[int]Part{}, usage: noUsage}
}

func (w *blockWriter) Write(dst []byte, e *Event) []byte {
	if e.Choice != 0 {
		return dst
	}
	switch e.Kind {
	case Started:
		return w.form.began(dst, e.ID, e.Model)
	case PartBegan, Delta, PartEnded:
		return w.part(dst, e)
	case Stopped:
		w.stop = e.Stop
		if e.Stop == StopSequence {
			sequence := e.Sequence
			w.stopAt = &sequence
		}
	case Counted:
		w.usage = e.Usage
	case Failed:
		return w.form.failed(dst, e.Class, e.Message)
	case Ended:
		return w.end(dst)
	}
	return dst
}

// part writes an event of a part, or lets it wait until the call before it is whole.
// A text is not waited for: its block is closed, and more of it opens another.
func (w *blockWriter) part(dst []byte, e *Event) []byte {
	if w.open && e.Index != w.current.Index {
		if w.current.Part.Kind == ToolCall {
			w.waiting = append(w.waiting, *e)
			return dst
		}
		if e.Kind == PartEnded {
			return dst
		}
		dst = w.close(dst)
	}
	switch e.Kind {
	case PartBegan:
		dst = w.close(dst)
		return w.begin(dst, e)
	case Delta:
		if !w.open {
			part := w.kinds[e.Index]
			if part.Kind == ToolCall {
				return dst // after its end, and half a call is none
			}
			dst = w.begin(dst, &Event{Index: e.Index, Part: part})
		}
		if !w.open { // of a part that no block can hold
			return dst
		}
		return w.delta(dst, e)
	}
	if !w.open {
		return dst
	}
	dst = w.close(dst)
	return w.resume(dst)
}

// resume writes what waited for a call to be whole.
func (w *blockWriter) resume(dst []byte) []byte {
	waiting := w.waiting
	w.waiting = nil
	for i := range waiting {
		dst = w.part(dst, &waiting[i])
	}
	return dst
}

func (w *blockWriter) begin(dst []byte, e *Event) []byte {
	p := e.Part
	w.kinds[e.Index] = Part{Kind: p.Kind, Origin: p.Origin}
	text := p.Text
	p.Text = ""
	if p.Kind == ToolCall {
		if b := signatureBlock(&p, w.name); b != nil {
			sign := *b.Signature
			dst = w.start(dst, block{Type: "thinking", Thinking: new(string), Signature: new(string)})
			dst = w.grow(dst, blockDelta{Type: "signature_delta", Signature: &sign})
			dst = w.close(dst)
		}
		p.Signature = ""
	}
	sign := p.Signature
	if p.Kind == Thought && p.Sealed == "" {
		p.Signature = ""
	}
	blocks, ok := answerBlocks(&p, w.name)
	if !ok {
		return dst // an image or a sound, which no block can hold
	}
	if w.bare = p.Kind == Thought && p.Sealed == ""; w.bare {
		blocks[0].Signature = new(string) // it comes at the end
	}
	w.current = Event{Index: e.Index, Part: p}
	dst = w.start(dst, blocks[0])
	if text != "" || sign != "" {
		dst = w.delta(dst, &Event{Text: text, Signature: sign})
	}
	return dst
}

func (w *blockWriter) start(dst []byte, b block) []byte {
	w.open = true
	w.blocks++
	return w.form.start(dst, w.blocks-1, &b)
}

type blockDelta struct {
	Type      string  `json:"type"`
	Text      *string `json:"text,omitempty"`
	JSON      *string `json:"partial_json,omitempty"`
	Thinking  *string `json:"thinking,omitempty"`
	Signature *string `json:"signature,omitempty"`
}

func (w *blockWriter) delta(dst []byte, e *Event) []byte {
	switch p := w.current.Part; p.Kind {
	case ToolCall:
		if e.Text != "" {
			dst = w.grow(dst, blockDelta{Type: "input_json_delta", JSON: &e.Text})
		}
	case Thought:
		if p.Sealed != "" {
			return dst
		}
		if e.Text != "" {
			dst = w.grow(dst, blockDelta{Type: "thinking_delta", Thinking: &e.Text})
		}
		p.Signature = e.Signature
		if sign := wrap(&p, w.name); sign != "" {
			w.bare = false
			dst = w.grow(dst, blockDelta{Type: "signature_delta", Signature: &sign})
		}
	default:
		if e.Text != "" {
			dst = w.grow(dst, blockDelta{Type: "text_delta", Text: &e.Text})
		}
	}
	return dst
}

func (w *blockWriter) grow(dst []byte, d blockDelta) []byte {
	return w.form.grow(dst, w.blocks-1, &d)
}

func (w *blockWriter) close(dst []byte) []byte {
	if !w.open {
		return dst
	}
	w.open = false
	if p := w.current.Part; w.bare {
		w.bare = false
		if sign := signatureOf(&p, w.name); sign != "" {
			dst = w.grow(dst, blockDelta{Type: "signature_delta", Signature: &sign})
		}
	}
	return w.form.closed(dst, w.blocks-1)
}

func (w *blockWriter) end(dst []byte) []byte {
	for dst = w.close(dst); len(w.waiting) > 0; dst = w.close(dst) {
		dst = w.resume(dst)
	}
	return w.form.ended(dst, w.stop, w.stopAt, w.usage)
}

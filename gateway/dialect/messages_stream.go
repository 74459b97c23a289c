package dialect

import (
	"encoding/json"
)

// messagesReader reads the events of a Messages stream. Blocks of tools that the
// provider runs itself are passed over, so that parts count differently from blocks.
type messagesReader struct {
	parts map[int]int // by block
	tally messagesTally
	ended bool
}

func (messages) NewReader() Reader {
	return &messagesReader{parts: map[int]int{}, tally: newMessagesTally()}
}

func (r *messagesReader) Read(dst []Event, data []byte) ([]Event, error) {
	if r.ended || data == nil { // without message_stop the answer is not whole
		return dst, nil
	}
	o, err := readObject(data, "event")
	if err != nil {
		return dst, err
	}
	switch o.text("type") {
	case "message_start":
		m, err := readObject(o.raw("message"), "message")
		if err != nil {
			return dst, err
		}
		dst = append(dst, Event{Kind: Started, ID: m.text("id"), Model: m.text("model")})
		return r.count(dst, m.raw("usage")), nil
	case "content_block_start", "content_block_delta", "content_block_stop":
		return r.block(dst, o)
	case "message_delta":
		d, err := readObject(o.raw("delta"), "delta")
		if err != nil {
			return dst, err
		}
		if reason := d.text("stop_reason"); reason != "" {
			dst = append(dst, Event{Kind: Stopped, Stop: messagesStops[reason], Sequence: d.text("stop_sequence")})
		}
		return r.count(dst, o.raw("usage")), nil
	case "message_stop":
		r.ended = true
		return append(dst, Event{Kind: Ended}), nil
	case "error":
		e, err := readObject(o.raw("error"), "error")
		if err != nil {
			return dst, err
		}
		return append(dst, Event{Kind: Failed, Class: e.text("type"), Message: e.text("message")}), nil
	}
	return dst, nil // a ping, or what is newer than this
}

func (r *messagesReader) count(dst []Event, raw json.RawMessage) []Event {
	if raw == nil {
		return dst
	}
	r.tally.take(raw)
	if u, ok := r.tally.usage(); ok {
		dst = append(dst, Event{Kind: Counted, Usage: u})
	}
	return dst
}

func (r *messagesReader) block(dst []Event, o object) ([]Event, error) {
	var at int
	if _, err := o.take("index", &at); err != nil {
		return dst, err
	}
	index, known := r.parts[at]
	start := o.raw("content_block")
	delta := o.raw("delta")
	switch {
	case start != nil && !known:
		b, err := readObject(start, "content_block")
		if err != nil {
			return dst, err
		}
		p, ok := messagesPart(b)
		if !ok {
			return dst, nil
		}
		index = len(r.parts)
		r.parts[at] = index
		text, sign := p.Text, p.Signature
		p.Text, p.Signature = "", ""
		if p.Kind == ToolCall && text == "{}" { // the place for what follows
			text = ""
		}
		dst = append(dst, Event{Kind: PartBegan, Index: index, Part: p})
		if text != "" || sign != "" {
			dst = append(dst, Event{Kind: Delta, Index: index, Text: text, Signature: sign})
		}
		return dst, nil
	case !known:
		return dst, nil
	case delta != nil:
		d, err := readObject(delta, "delta")
		if err != nil {
			return dst, err
		}
		e := Event{Kind: Delta, Index: index}
		switch d.text("type") {
		case "text_delta":
			e.Text = d.text("text")
		case "input_json_delta":
			e.Text = d.text("partial_json")
		case "thinking_delta":
			e.Text = d.text("thinking")
		case "signature_delta":
			e.Signature = d.text("signature")
		}
		if e.Text == "" && e.Signature == "" {
			return dst, nil
		}
		return append(dst, e), nil
	case start == nil:
		return append(dst, Event{Kind: PartEnded, Index: index}), nil
	}
	return dst, nil
}

// messagesWriter writes a Messages stream: one block after another, which other
// dialects do not promise.
type messagesWriter struct {
	r       *Request
	blocks  int // that began
	open    bool
	current Event // the part whose block is open: Index and Part
	kinds   map[int]PartKind
	waiting []Event
	usage   messagesCounts
	stop    string
	stopAt  *string
}

func (messages) NewWriter(r *Request) Writer {
	return &messagesWriter{r: r, kinds: map[int]PartKind{}, stop: messagesStop(StopUnknown)}
}

func (w *messagesWriter) Write(dst []byte, e *Event) []byte {
	if e.Choice != 0 {
		return dst
	}
	switch e.Kind {
	case Started:
		m := newMessagesAnswer(e.ID, e.Model, w.r)
		return frame(dst, "message_start", struct {
			Type    string         `json:"type"`
			Message messagesAnswer `json:"message"`
		}{"message_start", m})
	case PartBegan, Delta, PartEnded:
		return w.part(dst, e)
	case Stopped:
		w.stop = messagesStop(e.Stop)
		if e.Stop == StopSequence {
			sequence := e.Sequence
			w.stopAt = &sequence
		}
	case Counted:
		w.usage = messagesUsage(e.Usage)
	case Failed:
		return frame(dst, "error", struct {
			Type  string        `json:"type"`
			Error messagesError `json:"error"`
		}{"error", messagesError{messagesClass(e.Class), e.Message}})
	case Ended:
		return w.end(dst)
	}
	return dst
}

// part writes an event of a part, or lets it wait until the call before it is whole.
// A text is not waited for: its block is closed, and more of it opens another.
func (w *messagesWriter) part(dst []byte, e *Event) []byte {
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
			kind := w.kinds[e.Index]
			if kind == ToolCall {
				return dst // after its end, and half a call is none
			}
			dst = w.begin(dst, &Event{Index: e.Index, Part: Part{Kind: kind}})
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
func (w *messagesWriter) resume(dst []byte) []byte {
	waiting := w.waiting
	w.waiting = nil
	for i := range waiting {
		dst = w.part(dst, &waiting[i])
	}
	return dst
}

func (w *messagesWriter) begin(dst []byte, e *Event) []byte {
	p := e.Part
	w.kinds[e.Index] = p.Kind
	text := p.Text
	p.Text = ""
	if p.Kind == ToolCall {
		if b := signatureBlock(&p); b != nil {
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
	blocks, ok := answerBlocks(&p)
	if !ok {
		return dst // an image or a sound, which no block can hold
	}
	w.current = Event{Index: e.Index, Part: p}
	dst = w.start(dst, blocks[0])
	if text != "" || sign != "" {
		dst = w.delta(dst, &Event{Text: text, Signature: sign})
	}
	return dst
}

func (w *messagesWriter) start(dst []byte, b block) []byte {
	w.open = true
	w.blocks++
	return frame(dst, "content_block_start", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Block block  `json:"content_block"`
	}{"content_block_start", w.blocks - 1, b})
}

type blockDelta struct {
	Type      string  `json:"type"`
	Text      *string `json:"text,omitempty"`
	JSON      *string `json:"partial_json,omitempty"`
	Thinking  *string `json:"thinking,omitempty"`
	Signature *string `json:"signature,omitempty"`
}

func (w *messagesWriter) delta(dst []byte, e *Event) []byte {
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
		if sign := wrap(&p, Messages); sign != "" {
			dst = w.grow(dst, blockDelta{Type: "signature_delta", Signature: &sign})
		}
	default:
		if e.Text != "" {
			dst = w.grow(dst, blockDelta{Type: "text_delta", Text: &e.Text})
		}
	}
	return dst
}

func (w *messagesWriter) grow(dst []byte, d blockDelta) []byte {
	return frame(dst, "content_block_delta", struct {
		Type  string     `json:"type"`
		Index int        `json:"index"`
		Delta blockDelta `json:"delta"`
	}{"content_block_delta", w.blocks - 1, d})
}

func (w *messagesWriter) close(dst []byte) []byte {
	if !w.open {
		return dst
	}
	w.open = false
	return frame(dst, "content_block_stop", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}{"content_block_stop", w.blocks - 1})
}

func (w *messagesWriter) end(dst []byte) []byte {
	for dst = w.close(dst); len(w.waiting) > 0; dst = w.close(dst) {
		dst = w.resume(dst)
	}
	type delta struct {
		Reason   string  `json:"stop_reason"`
		Sequence *string `json:"stop_sequence"`
	}
	dst = frame(dst, "message_delta", struct {
		Type  string         `json:"type"`
		Delta delta          `json:"delta"`
		Usage messagesCounts `json:"usage"`
	}{"message_delta", delta{w.stop, w.stopAt}, w.usage})
	return frame(dst, "message_stop", struct {
		Type string `json:"type"`
	}{"message_stop"})
}

type messagesError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// messagesClass is a failure's class in the API's words, by which its clients decide
// whether to try again.
func messagesClass(class string) string {
	switch class {
	case "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
		"request_too_large", "rate_limit_error", "timeout_error", "overloaded_error":
		return class
	}
	return "api_error"
}

// frame appends a server-sent event with its name.
func frame(dst []byte, name string, v any) []byte {
	data, err := encode(v)
	if err != nil { // only arguments that are no JSON can fail, and none are written here
		return dst
	}
	dst = append(append(dst, "event: "...), name...)
	dst = append(append(dst, "\ndata: "...), data...)
	return append(dst, '\n', '\n')
}

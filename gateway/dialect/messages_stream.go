package dialect

import (
	"encoding/json"

	"plumbline/gateway/event"
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

func (messages) NewWriter(r *Request) Writer { return newBlockWriter(Messages, messagesForm{r}) }

// messagesForm writes the events of a Messages stream.
type messagesForm struct{ r *Request }

func (f messagesForm) began(dst []byte, id, model string) []byte {
	m := newMessagesAnswer(id, model, f.r)
	m.Usage = messagesUsage(noUsage)
	return frame(dst, "message_start", struct {
		Type    string         `json:"type"`
		Message messagesAnswer `json:"message"`
	}{"message_start", m})
}

func (messagesForm) start(dst []byte, at int, b *block) []byte {
	return frame(dst, "content_block_start", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Block *block `json:"content_block"`
	}{"content_block_start", at, b})
}

func (messagesForm) grow(dst []byte, at int, d *blockDelta) []byte {
	return frame(dst, "content_block_delta", struct {
		Type  string      `json:"type"`
		Index int         `json:"index"`
		Delta *blockDelta `json:"delta"`
	}{"content_block_delta", at, d})
}

func (messagesForm) closed(dst []byte, at int) []byte {
	return frame(dst, "content_block_stop", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}{"content_block_stop", at})
}

func (messagesForm) ended(dst []byte, stop StopReason, sequence *string, u event.Usage) []byte {
	type delta struct {
		Reason   string  `json:"stop_reason"`
		Sequence *string `json:"stop_sequence"`
	}
	dst = frame(dst, "message_delta", struct {
		Type  string         `json:"type"`
		Delta delta          `json:"delta"`
		Usage messagesCounts `json:"usage"`
	}{"message_delta", delta{messagesStop(stop), sequence}, messagesUsage(u)})
	return frame(dst, "message_stop", struct {
		Type string `json:"type"`
	}{"message_stop"})
}

func (messagesForm) failed(dst []byte, class, message string) []byte {
	return frame(dst, "error", struct {
		Type  string        `json:"type"`
		Error messagesError `json:"error"`
	}{"error", messagesError{messagesClass(class), message}})
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

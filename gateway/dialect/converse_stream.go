package dialect

import (
	"strings"

	"plumbline/gateway/event"
)

// converseReader reads the events of a ConverseStream. Only calls of tools say that
// they begin. Usage comes after the reason why it stopped, and is the last there is;
// where it is missing, the stream is whole when the connection ends.
type converseReader struct {
	parts   map[int]int // by block
	stopped bool
	ended   bool
}

func (converse) NewReader() Reader { return &converseReader{parts: map[int]int{}} }

func (r *converseReader) Read(dst []Event, data []byte) ([]Event, error) {
	if r.ended {
		return dst, nil
	}
	if data == nil {
		if r.ended = r.stopped; r.ended {
			dst = append(dst, Event{Kind: Ended})
		}
		return dst, nil
	}
	o, err := readObject(data, "event")
	if err != nil {
		return dst, err
	}
	if raw := o.raw("error"); raw != nil { // an exception, as the gateway reads the stream
		e, err := readObject(raw, "error")
		if err != nil {
			return dst, err
		}
		return append(dst, Event{Kind: Failed, Class: e.text("type"), Message: e.text("message")}), nil
	}
	delete(o, "type")
	for _, key := range o.rest("") { // there is one
		e, err := readObject(o[key], key)
		if err != nil {
			return dst, err
		}
		switch key {
		case "messageStart":
			return append(dst, Event{Kind: Started}), nil
		case "contentBlockStart", "contentBlockDelta", "contentBlockStop":
			return r.block(dst, e)
		case "messageStop":
			r.stopped = true
			return append(dst, Event{Kind: Stopped, Stop: converseStops[e.text("stopReason")]}), nil
		case "metadata":
			if u, ok := readConverseUsage(e.raw("usage")); ok {
				dst = append(dst, Event{Kind: Counted, Usage: u})
			}
			if r.ended = r.stopped; r.ended {
				dst = append(dst, Event{Kind: Ended})
			}
			return dst, nil
		}
		if strings.HasSuffix(key, "Exception") {
			return append(dst, Event{Kind: Failed, Class: key, Message: e.text("message")}), nil
		}
	}
	return dst, nil
}

func (r *converseReader) block(dst []Event, e object) ([]Event, error) {
	var at int
	if _, err := e.take("contentBlockIndex", &at); err != nil {
		return dst, err
	}
	index, known := r.parts[at]
	begin := func(p Part) {
		if !known {
			index, known = len(r.parts), true
			r.parts[at] = index
			dst = append(dst, Event{Kind: PartBegan, Index: index, Part: p})
		}
	}
	start, delta := e.raw("start"), e.raw("delta")
	switch {
	case start != nil:
		s, err := readObject(start, "start")
		if err != nil {
			return dst, err
		}
		if use := s.raw("toolUse"); use != nil {
			u, err := readObject(use, "start.toolUse")
			if err != nil {
				return dst, err
			}
			begin(Part{Kind: ToolCall, ID: u.text("toolUseId"), Name: u.text("name")})
		}
		return dst, nil
	case delta == nil:
		if !known {
			return dst, nil
		}
		return append(dst, Event{Kind: PartEnded, Index: index}), nil
	}
	d, err := readObject(delta, "delta")
	if err != nil {
		return dst, err
	}
	var text, sign string
	if _, ok := d["text"]; ok {
		text = d.text("text")
		begin(Part{Kind: Text})
	} else if raw := d.raw("toolUse"); raw != nil {
		u, err := readObject(raw, "delta.toolUse")
		if err != nil {
			return dst, err
		}
		text = u.text("input")
	} else if raw := d.raw("reasoningContent"); raw != nil {
		t, err := readObject(raw, "delta.reasoningContent")
		if err != nil {
			return dst, err
		}
		text, sign = t.text("text"), t.text("signature")
		begin(Part{Kind: Thought, Sealed: t.text("redactedContent"), Origin: Converse})
	}
	if known && (text != "" || sign != "") {
		dst = append(dst, Event{Kind: Delta, Index: index, Text: text, Signature: sign})
	}
	return dst, nil
}

func (converse) NewWriter(*Request) Writer { return newBlockWriter(Converse, &converseForm{}) }

// converseForm writes the events of a ConverseStream. A block without a word is not
// there, and is not counted.
type converseForm struct {
	blocks int
	said   bool // something of the block that is open
}

type converseEvent struct {
	Start    *converseRole      `json:"messageStart,omitempty"`
	Begin    *converseBegin     `json:"contentBlockStart,omitempty"`
	Delta    *converseDelta     `json:"contentBlockDelta,omitempty"`
	Stop     *converseAt        `json:"contentBlockStop,omitempty"`
	End      *converseEnd       `json:"messageStop,omitempty"`
	Metadata *converseAccount   `json:"metadata,omitempty"`
	Throttle *converseException `json:"throttlingException,omitempty"`
	Invalid  *converseException `json:"validationException,omitempty"`
	Down     *converseException `json:"serviceUnavailableException,omitempty"`
	Broken   *converseException `json:"modelStreamErrorException,omitempty"`
}

type converseRole struct {
	Role string `json:"role"`
}

type converseAt struct {
	Index int `json:"contentBlockIndex"`
}

type converseBegin struct {
	Start struct {
		Use struct {
			ID   string `json:"toolUseId"`
			Name string `json:"name"`
		} `json:"toolUse"`
	} `json:"start"`
	Index int `json:"contentBlockIndex"`
}

type converseDelta struct {
	Delta struct {
		Text    *string           `json:"text,omitempty"`
		Use     *converseInput    `json:"toolUse,omitempty"`
		Thought *converseThinking `json:"reasoningContent,omitempty"`
	} `json:"delta"`
	Index int `json:"contentBlockIndex"`
}

type converseInput struct {
	Input string `json:"input"`
}

type converseThinking struct {
	Text      *string `json:"text,omitempty"`
	Signature *string `json:"signature,omitempty"`
	Redacted  string  `json:"redactedContent,omitempty"`
}

type converseEnd struct {
	Reason string `json:"stopReason"`
}

type converseAccount struct {
	Usage   converseCounts `json:"usage"`
	Metrics struct {
		Latency int64 `json:"latencyMs"`
	} `json:"metrics"`
}

type converseException struct {
	Message string `json:"message"`
}

func (f *converseForm) began(dst []byte, _, _ string) []byte {
	return data(dst, converseEvent{Start: &converseRole{"assistant"}})
}

// start writes nothing for blocks that say with their first piece that they begin.
func (f *converseForm) start(dst []byte, _ int, b *block) []byte {
	switch b.Type {
	case "tool_use":
		f.said = true
		e := &converseBegin{Index: f.blocks}
		e.Start.Use.ID, e.Start.Use.Name = b.ID, b.Name
		return data(dst, converseEvent{Begin: e})
	case "redacted_thinking":
		return f.piece(dst, func(d *converseDelta) { d.Delta.Thought = &converseThinking{Redacted: inBytes(b.Data)} })
	}
	return dst
}

func (f *converseForm) grow(dst []byte, _ int, d *blockDelta) []byte {
	return f.piece(dst, func(e *converseDelta) {
		switch {
		case d.JSON != nil:
			e.Delta.Use = &converseInput{*d.JSON}
		case d.Thinking != nil || d.Signature != nil:
			e.Delta.Thought = &converseThinking{Text: d.Thinking, Signature: d.Signature}
		default:
			e.Delta.Text = d.Text
		}
	})
}

func (f *converseForm) piece(dst []byte, set func(*converseDelta)) []byte {
	f.said = true
	e := &converseDelta{Index: f.blocks}
	set(e)
	return data(dst, converseEvent{Delta: e})
}

func (f *converseForm) closed(dst []byte, _ int) []byte {
	if !f.said {
		return dst
	}
	f.said = false
	f.blocks++
	return data(dst, converseEvent{Stop: &converseAt{f.blocks - 1}})
}

func (f *converseForm) ended(dst []byte, stop StopReason, _ *string, u event.Usage) []byte {
	dst = data(dst, converseEvent{End: &converseEnd{converseStop(stop)}})
	return data(dst, converseEvent{Metadata: &converseAccount{Usage: converseUsage(u)}})
}

func (f *converseForm) failed(dst []byte, class, message string) []byte {
	e := &converseException{message}
	switch code, _ := geminiStatus(class); {
	case code == 429 || strings.Contains(class, "throttling"):
		return data(dst, converseEvent{Throttle: e})
	case code == 400 || strings.Contains(class, "validation"):
		return data(dst, converseEvent{Invalid: e})
	case code == 503 || strings.Contains(class, "serviceUnavailable"):
		return data(dst, converseEvent{Down: e})
	}
	return data(dst, converseEvent{Broken: e})
}

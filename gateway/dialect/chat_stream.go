package dialect

import (
	"bytes"
	"encoding/json"
)

// chatReader reads a stream of chat completion chunks.
type chatReader struct {
	started bool
	choices map[int]*chatOpen
}

// chatOpen is what of a choice is open: one part at a time, for other dialects nest
// nothing.
type chatOpen struct {
	next  int // index of the next part
	kind  PartKind
	open  bool
	index int         // of the open part
	calls map[int]int // index of a tool call to that of its part
	done  bool
}

func (chat) NewReader() Reader { return &chatReader{choices: map[int]*chatOpen{}} }

type chatChunk struct {
	ID, Model string
	Created   int64
	Choices   []struct {
		Index int
		Delta struct {
			Content   *string
			Refusal   *string
			Thoughts  *string `json:"reasoning_content"`
			Reasoning *string
			Details   []chatDetail `json:"reasoning_details"`
			Calls     []chatCall   `json:"tool_calls"`
		}
		Finish string `json:"finish_reason"`
	}
	Usage *chatUsage
	Error *struct{ Message, Type string }
}

func (c *chatReader) Read(dst []Event, data []byte) ([]Event, error) {
	if data == nil {
		return dst, nil
	}
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		return append(c.endAll(dst), Event{Kind: Ended}), nil
	}
	var v chatChunk
	if err := json.Unmarshal(data, &v); err != nil {
		return dst, &Malformed{"event", "is not a chunk of a chat completion"}
	}
	if v.Error != nil {
		return append(dst, Event{Kind: Failed, Class: v.Error.Type, Message: v.Error.Message}), nil
	}
	if !c.started && (v.ID != "" || len(v.Choices) > 0) {
		c.started = true
		dst = append(dst, Event{Kind: Started, ID: v.ID, Model: v.Model, Created: v.Created})
	}
	for i := range v.Choices {
		ch := &v.Choices[i]
		o := c.choices[ch.Index]
		if o == nil {
			o = &chatOpen{calls: map[int]int{}}
			c.choices[ch.Index] = o
		}
		text := ch.Delta.Thoughts
		if text == nil {
			text = ch.Delta.Reasoning
		}
		if text != nil && *text != "" {
			dst = o.delta(dst, ch.Index, Part{Kind: Thought, Origin: Chat}, *text)
		}
		for _, d := range ch.Delta.Details {
			if p := (Part{Kind: Thought}); d.Signature != "" {
				unwrap(&p, d.Signature, Chat)
				dst = o.delta(dst, ch.Index, Part{Kind: Thought, Origin: p.Origin}, "")
				dst = append(dst, Event{Kind: Delta, Choice: ch.Index, Index: o.index, Signature: p.Signature})
			}
		}
		if text := ch.Delta.Content; text != nil && *text != "" {
			dst = o.delta(dst, ch.Index, Part{Kind: Text}, *text)
		}
		if text := ch.Delta.Refusal; text != nil && *text != "" {
			dst = o.delta(dst, ch.Index, Part{Kind: Declined}, *text)
		}
		for k := range ch.Delta.Calls {
			dst = o.call(dst, ch.Index, &ch.Delta.Calls[k])
		}
		if ch.Finish != "" && !o.done {
			o.done = true
			dst = append(o.end(dst, ch.Index), Event{Kind: Stopped, Choice: ch.Index, Stop: chatStops[ch.Finish]})
		}
	}
	if v.Usage != nil {
		dst = append(dst, Event{Kind: Counted, Usage: v.Usage.usage()})
	}
	return dst, nil
}

func (c *chatReader) endAll(dst []Event) []Event {
	for i := 0; i < len(c.choices); i++ {
		if o := c.choices[i]; o != nil {
			dst = o.end(dst, i)
		}
	}
	return dst
}

// begin opens a part, and ends the one before.
func (o *chatOpen) begin(dst []Event, choice int, p Part) []Event {
	dst = o.end(dst, choice)
	o.open, o.kind, o.index = true, p.Kind, o.next
	o.next++
	return append(dst, Event{Kind: PartBegan, Choice: choice, Index: o.index, Part: p})
}

func (o *chatOpen) end(dst []Event, choice int) []Event {
	if !o.open {
		return dst
	}
	o.open = false
	return append(dst, Event{Kind: PartEnded, Choice: choice, Index: o.index})
}

func (o *chatOpen) delta(dst []Event, choice int, p Part, text string) []Event {
	if !o.open || o.kind != p.Kind {
		dst = o.begin(dst, choice, p)
	}
	if text == "" {
		return dst
	}
	return append(dst, Event{Kind: Delta, Choice: choice, Index: o.index, Text: text})
}

// call takes in a piece of a tool call: the first names it, later ones have index and
// arguments alone.
func (o *chatOpen) call(dst []Event, choice int, c *chatCall) []Event {
	n := len(o.calls)
	if c.Index != nil {
		n = *c.Index
	}
	part, known := o.calls[n]
	if !known {
		p := Part{Kind: ToolCall, ID: c.ID}
		if c.Function != nil {
			p.Name = c.Function.Name
		}
		if c.Extra != nil && c.Extra.Google.Signature != "" {
			unwrap(&p, c.Extra.Google.Signature, Gemini)
		}
		dst = o.begin(dst, choice, p)
		part = o.index
		o.calls[n] = part
	}
	if c.Function != nil && c.Function.Arguments != nil && *c.Function.Arguments != "" {
		dst = append(dst, Event{Kind: Delta, Choice: choice, Index: part, Text: *c.Function.Arguments})
	}
	return dst
}

// chatWriter writes chunks of a chat completion.
type chatWriter struct {
	usage   bool // the caller asked for it
	id      string
	model   string
	created int64
	calls   map[[2]int]int // choice and part to the index of the call
	count   map[int]int    // calls of a choice
	kinds   map[[2]int]Part
	roles   map[int]bool
	counted *Event
}

func (chat) NewWriter(r *Request) Writer {
	return &chatWriter{usage: r.StreamUsage, calls: map[[2]int]int{}, count: map[int]int{}, kinds: map[[2]int]Part{}, roles: map[int]bool{}}
}

func (w *chatWriter) Write(dst []byte, e *Event) []byte {
	at := [2]int{e.Choice, e.Index}
	switch e.Kind {
	case Started:
		w.id, w.model, w.created = e.ID, e.Model, e.Created
		return w.delta(dst, 0, map[string]any{"role": "assistant", "content": ""}, nil)
	case PartBegan:
		w.kinds[at] = e.Part
		if e.Part.Kind != ToolCall {
			if d, ok := chatDetailOf(&e.Part); ok && e.Part.Kind == Thought {
				return w.delta(dst, e.Choice, map[string]any{"reasoning_details": []chatDetail{d}}, nil)
			}
			return dst
		}
		n := w.count[e.Choice]
		w.calls[at] = n
		w.count[e.Choice]++
		return w.delta(dst, e.Choice, map[string]any{"tool_calls": []chatCall{chatCallOf(&Part{ID: e.Part.ID, Name: e.Part.Name, Origin: e.Part.Origin, Signature: e.Part.Signature}, &n)}}, nil)
	case Delta:
		return w.text(dst, e, at)
	case Stopped:
		return w.delta(dst, e.Choice, map[string]any{}, chatStop(e.Stop))
	case Counted:
		kept := *e
		w.counted = &kept
	case Ended:
		if w.usage && w.counted != nil {
			dst = w.chunk(dst, []any{}, chatUsageOf(w.counted.Usage))
		}
		return append(dst, "data: [DONE]\n\n"...)
	}
	return dst
}

func (w *chatWriter) text(dst []byte, e *Event, at [2]int) []byte {
	p := w.kinds[at]
	switch p.Kind {
	case Thought:
		if e.Signature != "" {
			p.Signature = e.Signature
			if d, ok := chatDetailOf(&p); ok {
				dst = w.delta(dst, e.Choice, map[string]any{"reasoning_details": []chatDetail{d}}, nil)
			}
		}
		if e.Text == "" {
			return dst
		}
		return w.delta(dst, e.Choice, map[string]any{"reasoning_content": e.Text}, nil)
	case Declined:
		return w.delta(dst, e.Choice, map[string]any{"refusal": e.Text}, nil)
	case ToolCall:
		if e.Text == "" {
			return dst
		}
		n, text := w.calls[at], e.Text
		return w.delta(dst, e.Choice, map[string]any{"tool_calls": []chatCall{{Index: &n, Function: &chatFunction{Arguments: &text}}}}, nil)
	}
	if e.Text == "" {
		return dst
	}
	return w.delta(dst, e.Choice, map[string]any{"content": e.Text}, nil)
}

func (w *chatWriter) delta(dst []byte, choice int, delta map[string]any, finish any) []byte {
	return w.chunk(dst, []any{map[string]any{"index": choice, "delta": delta, "finish_reason": finish}}, nil)
}

func (w *chatWriter) chunk(dst []byte, choices []any, usage any) []byte {
	v := map[string]any{"id": w.id, "object": "chat.completion.chunk", "created": w.created, "model": w.model, "choices": choices}
	if usage != nil {
		v["usage"] = usage
	}
	b, err := encode(v)
	if err != nil { // nothing in it can fail to encode
		return dst
	}
	return append(append(append(dst, "data: "...), b...), "\n\n"...)
}

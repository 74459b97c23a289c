package dialect

import (
	"encoding/json"
	"fmt"
)

// responsesReader reads the events of a stream of responses. Each item's texts come
// in pieces and then whole, once more in their part, in their item and in the
// response: only where no piece came the whole is taken.
type responsesReader struct {
	open  map[responsesPlace]*openRead
	parts []Part // that began, without their texts
	ended bool
}

// responsesPlace is where a part is: an item, and of a message the part of its
// content; -1 in other items.
type responsesPlace struct{ output, content int }

type openRead struct {
	index   int
	kind    PartKind
	custom  bool // its arguments are written around the input
	some    bool // a piece of its text came
	summary int  // the part of the summary that came last
	done    bool
}

func (responses) NewReader() Reader {
	return &responsesReader{open: map[responsesPlace]*openRead{}}
}

type responsesEvent struct {
	Type      string
	Output    int `json:"output_index"`
	Content   int `json:"content_index"`
	Summary   int `json:"summary_index"`
	Delta     looseText
	Text      string
	Refusal   string
	Arguments string
	Input     string
	Part      struct{ Type string }
	Item      json.RawMessage
	Response  *responsesAnswer
	Code      string
	Message   string
	Error     *struct{ Code, Type, Message string }
}

func (r *responsesReader) Read(dst []Event, data []byte) ([]Event, error) {
	if r.ended || data == nil || string(data) == "[DONE]" {
		return dst, nil
	}
	var e responsesEvent
	if err := json.Unmarshal(data, &e); err != nil {
		return dst, &Malformed{"event", "is not an event of a response"}
	}
	message := responsesPlace{e.Output, e.Content}
	item := responsesPlace{e.Output, -1}
	switch e.Type {
	case "response.created":
		if e.Response == nil {
			return dst, &Malformed{"event.response", "is missing"}
		}
		return append(dst, Event{Kind: Started, ID: e.Response.ID, Model: e.Response.Model, Created: e.Response.Created}), nil
	case "response.output_item.added":
		return r.began(dst, item, e.Item)
	case "response.content_part.added":
		if kind, ok := contentKinds[e.Part.Type]; ok {
			return r.begin(dst, message, Part{Kind: kind}), nil
		}
	case "response.output_text.delta":
		return r.delta(dst, message, Part{Kind: Text}, string(e.Delta)), nil
	case "response.refusal.delta":
		return r.delta(dst, message, Part{Kind: Declined}, string(e.Delta)), nil
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		if o := r.open[item]; o != nil {
			return r.delta(dst, item, Part{Kind: ToolCall}, string(e.Delta)), nil
		}
		return dst, &Malformed{"event.output_index", "names no call"}
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		return r.thought(dst, item, max(e.Summary, e.Content), string(e.Delta)), nil
	case "response.output_text.done":
		return r.end(r.whole(dst, message, Part{Kind: Text}, e.Text), message), nil
	case "response.refusal.done":
		return r.end(r.whole(dst, message, Part{Kind: Declined}, e.Refusal), message), nil
	case "response.output_item.done":
		return r.finished(dst, item, e.Item)
	case "response.completed", "response.incomplete":
		return r.complete(dst, e.Response)
	case "response.failed", "error":
		return append(dst, e.failure()), nil
	}
	return dst, nil // a state, a whole text once more, or what is newer than this
}

// looseText is a text, or nothing: events of tools that no other API has carry
// objects there.
type looseText string

// UnmarshalJSON takes a string and passes over anything else.
func (t *looseText) UnmarshalJSON(b []byte) error {
	if isString(b) {
		return json.Unmarshal(b, (*string)(t))
	}
	return nil
}

var contentKinds = map[string]PartKind{"output_text": Text, "refusal": Declined}

func (e *responsesEvent) failure() Event {
	f := Event{Kind: Failed, Class: e.Code, Message: e.Message}
	if e.Response != nil && e.Response.Error != nil {
		f.Class, f.Message = e.Response.Error.Code, e.Response.Error.Message
	}
	if e.Error != nil {
		if f.Class, f.Message = e.Error.Code, e.Error.Message; f.Class == "" {
			f.Class = e.Error.Type
		}
	}
	return f
}

// began takes an item in that is about to come.
func (r *responsesReader) began(dst []Event, at responsesPlace, raw json.RawMessage) ([]Event, error) {
	o, err := readObject(raw, "event.item")
	if err != nil {
		return dst, err
	}
	switch kind := o.text("type"); kind {
	case "function_call", "custom_tool_call":
		dst = r.begin(dst, at, Part{Kind: ToolCall, ID: o.text("call_id"), Name: o.text("name")})
		r.open[at].custom = kind == "custom_tool_call"
	case "reasoning":
		dst = r.begin(dst, at, Part{Kind: Thought, ID: o.text("id"), Origin: Responses})
	}
	return dst, nil
}

func (r *responsesReader) begin(dst []Event, at responsesPlace, p Part) []Event {
	if r.open[at] != nil {
		return dst
	}
	r.open[at] = &openRead{index: len(r.parts), kind: p.Kind}
	r.parts = append(r.parts, p)
	return append(dst, Event{Kind: PartBegan, Index: r.open[at].index, Part: p})
}

// delta gives a piece of text, of a part that begins here if its server did not say so
// before.
func (r *responsesReader) delta(dst []Event, at responsesPlace, p Part, text string) []Event {
	dst = r.begin(dst, at, p)
	o := r.open[at]
	if text == "" || o.done {
		return dst
	}
	if o.custom {
		quoted, _ := encode(text)
		if text = string(quoted[1 : len(quoted)-1]); !o.some {
			text = `{"input":"` + text
		}
	}
	o.some = true
	return append(dst, Event{Kind: Delta, Index: o.index, Text: text})
}

func (r *responsesReader) thought(dst []Event, at responsesPlace, n int, text string) []Event {
	dst = r.begin(dst, at, Part{Kind: Thought, Origin: Responses})
	if o := r.open[at]; n > o.summary {
		if o.summary = n; o.some {
			text = summaryBreak + text
		}
	}
	return r.delta(dst, at, Part{}, text)
}

// whole gives a text of which no piece came.
func (r *responsesReader) whole(dst []Event, at responsesPlace, p Part, text string) []Event {
	if o := r.open[at]; o != nil && o.some {
		return dst
	}
	return r.delta(dst, at, p, text)
}

func (r *responsesReader) end(dst []Event, at responsesPlace) []Event {
	o := r.open[at]
	if o == nil || o.done {
		return dst
	}
	if o.done = true; o.custom {
		close := `"}`
		if !o.some {
			close = customArguments("")
		}
		dst = append(dst, Event{Kind: Delta, Index: o.index, Text: close})
	}
	return append(dst, Event{Kind: PartEnded, Index: o.index})
}

// finished takes in an item as it became.
func (r *responsesReader) finished(dst []Event, at responsesPlace, raw json.RawMessage) ([]Event, error) {
	parts, err := readOutput(raw, "event.item")
	if err != nil {
		return dst, err
	}
	var head struct{ Type, Input string }
	json.Unmarshal(raw, &head)
	for i, p := range parts {
		here := at
		if head.Type == "message" {
			here.content = i
		}
		text, sign := p.Text, p.Signature
		if p.Text, p.Signature = "", ""; p.Kind == Thought {
			p.Origin = Responses
		}
		dst = r.begin(dst, here, p)
		if head.Type == "custom_tool_call" {
			r.open[here].custom, text = true, head.Input
		}
		dst = r.whole(dst, here, p, text)
		if o := r.open[here]; sign != "" && !o.done {
			dst = append(dst, Event{Kind: Delta, Index: o.index, Signature: sign})
		}
		dst = r.end(dst, here)
	}
	return dst, nil
}

func (r *responsesReader) complete(dst []Event, a *responsesAnswer) ([]Event, error) {
	if a == nil {
		return dst, &Malformed{"event.response", "is missing"}
	}
	var err error
	for i, raw := range a.Output { // of servers that give no items before
		if len(r.open) > 0 && i == 0 {
			break
		}
		if dst, err = r.finished(dst, responsesPlace{i, -1}, raw); err != nil {
			return dst, fmt.Errorf("output %d: %w", i, err)
		}
	}
	for n := range r.parts {
		for at, o := range r.open {
			if o.index == n {
				dst = r.end(dst, at)
			}
		}
	}
	dst = append(dst, Event{Kind: Stopped, Stop: a.stop(r.parts)})
	if a.Usage != nil {
		dst = append(dst, Event{Kind: Counted, Usage: a.Usage.usage()})
	}
	r.ended = true
	return append(dst, Event{Kind: Ended}), nil
}

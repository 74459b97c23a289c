package dialect

import (
	"encoding/json"
	"fmt"

	"plumbline/gateway/event"
)

var noUsage = event.Usage{Input: -1, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}

// messagesStops are the reasons that the API gives.
var messagesStops = map[string]StopReason{
	"end_turn":                      StopEnd,
	"max_tokens":                    StopLength,
	"model_context_window_exceeded": StopLength,
	"stop_sequence":                 StopSequence,
	"tool_use":                      StopTool,
	"pause_turn":                    StopPause,
	"refusal":                       StopDeclined,
}

// messagesStop is a reason in the API's words. What it does not know is an end: its
// clients wait for one of these.
func messagesStop(s StopReason) string {
	switch s {
	case StopLength:
		return "max_tokens"
	case StopSequence:
		return "stop_sequence"
	case StopTool:
		return "tool_use"
	case StopPause:
		return "pause_turn"
	case StopDeclined, StopFilter:
		return "refusal"
	}
	return "end_turn"
}

// messagesCounts is usage as the API writes it. Its input is without what a cache
// took or gave.
type messagesCounts struct {
	Input      int64            `json:"input_tokens"`
	CacheWrite *int64           `json:"cache_creation_input_tokens"`
	CacheRead  *int64           `json:"cache_read_input_tokens"`
	Created    *messagesCreated `json:"cache_creation,omitempty"`
	Output     int64            `json:"output_tokens"`
	Details    *messagesDetails `json:"output_tokens_details,omitempty"`
}

type messagesCreated struct {
	Minutes int64 `json:"ephemeral_5m_input_tokens"`
	Hour    int64 `json:"ephemeral_1h_input_tokens"`
}

type messagesDetails struct {
	Thinking int64 `json:"thinking_tokens"`
}

func messagesUsage(u event.Usage) messagesCounts {
	c := messagesCounts{Input: max(u.Input-max(u.CacheRead, 0)-max(u.CacheWrite, 0), 0), Output: max(u.Output, 0)}
	if u.CacheWrite >= 0 {
		c.CacheWrite = &u.CacheWrite
		c.Created = &messagesCreated{max(u.CacheWrite-u.CacheWrite1h, 0), u.CacheWrite1h}
	}
	if u.CacheRead >= 0 {
		c.CacheRead = &u.CacheRead
	}
	if u.Reasoning >= 0 {
		c.Details = &messagesDetails{u.Reasoning}
	}
	return c
}

// messagesTally adds up usage that comes in pieces: what a later event does not say
// stays as it was.
type messagesTally struct{ input, read, write, output, reasoning, hour, searches int64 }

func newMessagesTally() messagesTally {
	return messagesTally{input: -1, read: -1, write: -1, output: -1, reasoning: -1}
}

func (t *messagesTally) take(raw json.RawMessage) {
	var u struct {
		Input   *int64 `json:"input_tokens"`
		Write   *int64 `json:"cache_creation_input_tokens"`
		Read    *int64 `json:"cache_read_input_tokens"`
		Output  *int64 `json:"output_tokens"`
		Created struct {
			Hour *int64 `json:"ephemeral_1h_input_tokens"`
		} `json:"cache_creation"`
		Server struct {
			Searches *int64 `json:"web_search_requests"`
		} `json:"server_tool_use"`
		Details struct {
			Thinking *int64 `json:"thinking_tokens"`
		} `json:"output_tokens_details"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &u) != nil {
		return
	}
	for _, f := range []struct {
		to   *int64
		from *int64
	}{{&t.input, u.Input}, {&t.write, u.Write}, {&t.read, u.Read}, {&t.output, u.Output}, {&t.reasoning, u.Details.Thinking},
		{&t.hour, u.Created.Hour}, {&t.searches, u.Server.Searches}} {
		if f.from != nil && *f.from >= 0 {
			*f.to = *f.from
		}
	}
}

// usage is the tally in neutral terms; false when nothing was said.
func (t *messagesTally) usage() (event.Usage, bool) {
	u := event.Usage{Input: t.input, Output: t.output, CacheRead: t.read, CacheWrite: t.write, Reasoning: t.reasoning, CacheWrite1h: t.hour, Searches: t.searches}
	if u.Input >= 0 {
		u.Input += max(t.read, 0) + max(t.write, 0)
	}
	return u, u.Input >= 0 || u.Output >= 0
}

func (messages) ReadAnswer(body []byte) (*Answer, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	if kind := o.text("type"); kind != "" && kind != "message" {
		return nil, &Malformed{"type", "is not that of a message"}
	}
	a := &Answer{ID: o.text("id"), Model: o.text("model"), Usage: noUsage}
	list, err := readList(o.raw("content"), "content")
	if err != nil {
		return nil, err
	}
	c := Candidate{Stop: messagesStops[o.text("stop_reason")], Sequence: o.text("stop_sequence")}
	for i, raw := range list {
		b, err := readObject(raw, fmt.Sprintf("content.%d", i))
		if err != nil {
			return nil, err
		}
		p, ok := messagesPart(b)
		if !ok {
			a.lose("content.type")
			continue
		}
		if b.raw("citations") != nil {
			a.lose("content.citations")
		}
		c.Parts = append(c.Parts, p)
	}
	a.Choices = []Candidate{c}
	tally := newMessagesTally()
	tally.take(o.raw("usage"))
	a.Usage, a.HasUsage = tally.usage()
	return a, nil
}

// messagesPart reads a block of an answer; false for those of tools that the provider
// runs itself.
func messagesPart(b object) (Part, bool) {
	switch b.text("type") {
	case "text":
		return Part{Kind: Text, Text: b.text("text")}, true
	case "tool_use":
		p := Part{Kind: ToolCall, ID: b.text("id"), Name: b.text("name"), Text: string(b.raw("input"))}
		if p.Text == "" {
			p.Text = "{}"
		}
		return p, true
	case "thinking":
		return Part{Kind: Thought, Text: b.text("thinking"), Signature: b.text("signature"), Origin: Messages}, true
	case "redacted_thinking":
		return Part{Kind: Thought, Sealed: b.text("data"), Origin: Messages}, true
	}
	return Part{}, false
}

// lose notes what of an answer does not reach the caller.
func (a *Answer) lose(field string) {
	for _, f := range a.Lost {
		if f == field {
			return
		}
	}
	a.Lost = append(a.Lost, field)
}

// messagesAnswer is a whole answer, and the beginning of a stream.
type messagesAnswer struct {
	ID           string         `json:"id"`
	Type         string         `json:"type"`
	Role         string         `json:"role"`
	Model        string         `json:"model"`
	Content      []block        `json:"content"`
	StopReason   *string        `json:"stop_reason"`
	StopSequence *string        `json:"stop_sequence"`
	Usage        messagesCounts `json:"usage"`
}

func newMessagesAnswer(id, model string, r *Request) messagesAnswer {
	if model == "" && r != nil {
		model = r.Model
	}
	return messagesAnswer{ID: id, Type: "message", Role: "assistant", Model: model, Content: []block{}}
}

func (messages) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	w := newMessagesAnswer(a.ID, a.Model, r)
	w.Usage = messagesUsage(a.Usage)
	reason := messagesStop(StopUnknown)
	if len(a.Choices) > 1 {
		a.lose("choices")
	}
	if len(a.Choices) > 0 {
		c := a.Choices[0]
		reason = messagesStop(c.Stop)
		if c.Stop == StopSequence {
			w.StopSequence = &c.Sequence
		}
		for i := range c.Parts {
			blocks, ok := answerBlocks(&c.Parts[i], Messages)
			if !ok {
				a.lose("content")
			}
			if p := &c.Parts[i]; p.Kind == Text && p.Signature != "" {
				a.lose("content.signature")
			}
			w.Content = append(w.Content, blocks...)
		}
	}
	w.StopReason = &reason
	return encode(w)
}

// answerBlocks writes a part of an answer as blocks; false when no block can hold it.
// A call that another provider signed is preceded by thoughts without words, for only
// they have a place for the signature, and clients send them back as they came.
func answerBlocks(p *Part, n Name) ([]block, bool) {
	switch p.Kind {
	case Text, Declined:
		return []block{{Type: "text", Text: &p.Text}}, true
	case Thought:
		if p.Sealed != "" && p.Text == "" {
			return []block{{Type: "redacted_thinking", Data: wrap(p, n)}}, true
		}
		sign := signatureOf(p, n)
		return []block{{Type: "thinking", Thinking: &p.Text, Signature: &sign}}, true
	case ToolCall:
		call := block{Type: "tool_use", ID: p.ID, Name: p.Name, Input: new(Request).arguments(p.Text)}
		if b := signatureBlock(p, n); b != nil {
			return []block{*b, call}, true
		}
		return []block{call}, true
	}
	return nil, false
}

// signatureOf is what a block of thoughts is signed with. Those that another provider
// left unsigned say whose they are all the same: this dialect's own refuse them.
func signatureOf(p *Part, n Name) string {
	sign := wrap(p, n)
	if sign == "" && p.Origin != n && p.Origin != "" {
		return wrapped + string(p.Origin) + ":" + wrapSignature
	}
	return sign
}

// signatureBlock holds a signature that stands at a call; nil when there is none.
func signatureBlock(p *Part, n Name) *block {
	sign := wrap(p, n)
	if sign == "" {
		return nil
	}
	return &block{Type: "thinking", Thinking: new(string), Signature: &sign}
}

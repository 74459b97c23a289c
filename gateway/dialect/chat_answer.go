package dialect

import (
	"encoding/json"

	"plumbline/gateway/event"
)

type chatUsage struct {
	Input  *int64 `json:"prompt_tokens"`
	Output *int64 `json:"completion_tokens"`
	Total  int64  `json:"total_tokens"`
	Inputs *struct {
		Cached  *int64 `json:"cached_tokens,omitempty"`
		Written *int64 `json:"cache_write_tokens,omitempty"`
	} `json:"prompt_tokens_details,omitempty"`
	Outputs *struct {
		Reasoning *int64 `json:"reasoning_tokens,omitempty"`
	} `json:"completion_tokens_details,omitempty"`
}

func (u *chatUsage) usage() event.Usage {
	out := noUsage
	set := func(to *int64, from *int64) {
		if from != nil {
			*to = *from
		}
	}
	set(&out.Input, u.Input)
	set(&out.Output, u.Output)
	if u.Inputs != nil {
		set(&out.CacheRead, u.Inputs.Cached)
		set(&out.CacheWrite, u.Inputs.Written)
	}
	if u.Outputs != nil {
		set(&out.Reasoning, u.Outputs.Reasoning)
	}
	if out.Reasoning > 0 && out.Input >= 0 && out.Output >= 0 && u.Total-out.Input-out.Output == out.Reasoning { // counted apart, as xAI does
		out.Output += out.Reasoning
	}
	return out
}

func chatUsageOf(u event.Usage) map[string]any {
	in, out := max(u.Input, 0), max(u.Output, 0)
	m := map[string]any{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out}
	inputs := map[string]int64{}
	if u.CacheRead >= 0 {
		inputs["cached_tokens"] = u.CacheRead
	}
	if u.CacheWrite >= 0 {
		inputs["cache_write_tokens"] = u.CacheWrite
	}
	if len(inputs) > 0 {
		m["prompt_tokens_details"] = inputs
	}
	if u.Reasoning >= 0 {
		m["completion_tokens_details"] = map[string]int64{"reasoning_tokens": u.Reasoning}
	}
	return m
}

var chatStops = map[string]StopReason{"stop": StopEnd, "length": StopLength, "tool_calls": StopTool, "function_call": StopTool, "content_filter": StopFilter}

func chatStop(s StopReason) string {
	switch s {
	case StopLength:
		return "length"
	case StopTool:
		return "tool_calls"
	case StopFilter, StopDeclined:
		return "content_filter"
	}
	return "stop"
}

func (chat) ReadAnswer(body []byte) (*Answer, error) {
	var v struct {
		ID, Model string
		Created   int64
		Choices   []struct {
			Message json.RawMessage
			Finish  string `json:"finish_reason"`
		}
		Usage *chatUsage
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, &Malformed{"body", "is not a chat completion"}
	}
	a := &Answer{ID: v.ID, Model: v.Model, Created: v.Created, Usage: noUsage}
	if v.Usage != nil {
		a.Usage, a.HasUsage = v.Usage.usage(), true
	}
	for _, c := range v.Choices {
		m, err := readObject(c.Message, "choices[].message")
		if err != nil {
			return nil, err
		}
		parts := readChatThoughts(m)
		var text string
		if raw := m.raw("content"); isString(raw) {
			json.Unmarshal(raw, &text)
		} else if raw != nil { // some servers answer in parts
			var list []struct{ Text string }
			json.Unmarshal(raw, &list)
			for _, p := range list {
				text += p.Text
			}
		}
		if text != "" {
			parts = append(parts, Part{Kind: Text, Text: text})
		}
		if text := m.text("refusal"); text != "" {
			parts = append(parts, Part{Kind: Declined, Text: text})
		}
		calls, err := readChatCalls(m.raw("tool_calls"), "choices[].message.tool_calls")
		if err != nil {
			return nil, err
		}
		m.raw("role")
		var notes []json.RawMessage
		if json.Unmarshal(m.raw("annotations"), &notes); len(notes) > 0 {
			a.Lost = append(a.Lost, "annotations")
		}
		a.Lost = append(a.Lost, m.rest("choices[].message.")...)
		a.Choices = append(a.Choices, Candidate{Parts: append(parts, calls...), Stop: chatStops[c.Finish]})
	}
	return a, nil
}

func (chat) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	choices := []any{}
	for i, c := range a.Choices {
		m := chatMessage{Role: "assistant"}
		var text *string
		for k := range c.Parts {
			switch p := &c.Parts[k]; p.Kind {
			case Text:
				if text == nil {
					text = new(string)
				}
				*text += p.Text
			case Declined:
				said := p.Text
				m.Refusal = &said
			case Thought:
				m.Thoughts += p.Text
				if d, ok := chatDetailOf(p); ok {
					m.Details = append(m.Details, d)
				}
			case ToolCall:
				m.Calls = append(m.Calls, chatCallOf(p, nil))
			default:
				a.Lost = append(a.Lost, "content")
			}
		}
		if m.Content = any(nil); text != nil {
			m.Content = *text
		}
		choices = append(choices, map[string]any{"index": i, "message": m, "finish_reason": chatStop(c.Stop), "logprobs": nil})
	}
	v := map[string]any{"id": a.ID, "object": "chat.completion", "created": a.Created, "model": a.Model, "choices": choices}
	if a.HasUsage {
		v["usage"] = chatUsageOf(a.Usage)
	}
	return encode(v)
}

// chatDetailOf is what of a thought has to come back, where there is such.
func chatDetailOf(p *Part) (chatDetail, bool) {
	s := wrap(p, Chat)
	if s == "" {
		return chatDetail{}, false
	}
	if p.Sealed != "" {
		return chatDetail{Type: "reasoning.encrypted", Data: s}, true
	}
	return chatDetail{Type: "reasoning.text", Text: p.Text, Signature: s}, true
}

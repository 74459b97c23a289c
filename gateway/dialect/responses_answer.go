package dialect

import (
	"encoding/json"
	"fmt"
	"strings"

	"plumbline/gateway/event"
)

// responsesUsage is usage as the API counts it; its input holds what a cache gave.
type responsesUsage struct {
	Input  *int64 `json:"input_tokens"`
	Output *int64 `json:"output_tokens"`
	Inputs struct {
		Cached  *int64 `json:"cached_tokens"`
		Written *int64 `json:"cache_write_tokens"`
	} `json:"input_tokens_details"`
	Outputs struct {
		Reasoning *int64 `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
}

func (u *responsesUsage) usage() event.Usage {
	out := event.Usage{Input: -1, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}
	for _, f := range []struct{ to, from *int64 }{
		{&out.Input, u.Input}, {&out.Output, u.Output}, {&out.CacheRead, u.Inputs.Cached},
		{&out.CacheWrite, u.Inputs.Written}, {&out.Reasoning, u.Outputs.Reasoning},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return out
}

// responsesUsageOf has every field that the API's clients count on; what is not known
// they see as zero.
func responsesUsageOf(u event.Usage) map[string]any {
	in, out := max(u.Input, 0), max(u.Output, 0)
	inputs := map[string]int64{"cached_tokens": max(u.CacheRead, 0)}
	if u.CacheWrite >= 0 {
		inputs["cache_write_tokens"] = u.CacheWrite
	}
	return map[string]any{
		"input_tokens": in, "input_tokens_details": inputs,
		"output_tokens": out, "output_tokens_details": map[string]int64{"reasoning_tokens": max(u.Reasoning, 0)},
		"total_tokens": in + out,
	}
}

// responsesAnswer is an answer, as it stands alone and in the events of a stream.
type responsesAnswer struct {
	ID         string
	Model      string
	Created    int64 `json:"created_at"`
	Status     string
	Incomplete struct{ Reason string } `json:"incomplete_details"`
	Error      *struct{ Code, Message string }
	Output     []json.RawMessage
	Usage      *responsesUsage
}

func (responses) ReadAnswer(body []byte) (*Answer, error) {
	var v responsesAnswer
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, &Malformed{"body", "is not a response"}
	}
	if v.Error != nil || v.Status == "failed" {
		return nil, &Malformed{"error", "stands where the answer should be"}
	}
	switch v.Status {
	case "", "completed", "incomplete":
	default:
		return nil, &Malformed{"status", "says that there is no whole answer yet"}
	}
	a := &Answer{ID: v.ID, Model: v.Model, Created: v.Created, Usage: noUsage}
	if v.Usage != nil {
		a.Usage, a.HasUsage = v.Usage.usage(), true
	}
	var c Candidate
	for i, raw := range v.Output {
		parts, err := readOutput(raw, fmt.Sprintf("output.%d", i))
		if err != nil {
			return nil, err
		}
		if parts == nil {
			a.Lost = append(a.Lost, "output")
		}
		c.Parts = append(c.Parts, parts...)
	}
	c.Stop = v.stop(c.Parts)
	a.Choices = []Candidate{c}
	return a, nil
}

// stop is why the answer ended, which the dialect says only where it is no good end.
func (v *responsesAnswer) stop(parts []Part) StopReason {
	switch v.Incomplete.Reason {
	case "max_output_tokens":
		return StopLength
	case "content_filter":
		return StopFilter
	}
	stop := StopEnd
	for _, p := range parts {
		switch p.Kind {
		case ToolCall:
			return StopTool
		case Declined:
			stop = StopDeclined
		}
	}
	return stop
}

// readOutput reads an item of an answer; nil when it is of a kind that nobody else
// has, which only tools of the provider's own are.
func readOutput(raw json.RawMessage, field string) ([]Part, error) {
	o, err := readObject(raw, field)
	if err != nil {
		return nil, err
	}
	switch o.text("type") {
	case "message":
		list, err := readList(o.raw("content"), field+".content")
		if err != nil {
			return nil, err
		}
		parts := []Part{}
		for k, raw := range list {
			at := fmt.Sprintf("%s.content.%d", field, k)
			c, err := readObject(raw, at)
			if err != nil {
				return nil, err
			}
			p, err := readContent(c, at)
			if err != nil {
				return nil, &Malformed{at, "is neither text nor a refusal"}
			}
			parts = append(parts, p)
		}
		return parts, nil
	case "function_call":
		return []Part{{Kind: ToolCall, ID: o.text("call_id"), Name: o.text("name"), Text: o.text("arguments")}}, nil
	case "custom_tool_call":
		return []Part{{Kind: ToolCall, ID: o.text("call_id"), Name: o.text("name"), Text: customArguments(o.text("input"))}}, nil
	case "reasoning":
		id := o.text("id")
		p, err := readReasoning(o, field)
		if p.Origin == Responses {
			p.ID = id
		}
		return []Part{p}, err
	}
	return nil, nil
}

// responseID is an answer's id as the dialect's clients know them.
func responseID(id string) string {
	if strings.HasPrefix(id, "resp_") {
		return id
	}
	return "resp_" + id
}

// itemID is the id of the nth item of a response.
func itemID(kind, response string, n int) string {
	prefix := map[string]string{"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}[kind]
	return fmt.Sprintf("%s_%s_%d", prefix, strings.TrimPrefix(response, "resp_"), n)
}

// responsesEnd is an answer's status, and why it is not whole.
func responsesEnd(s StopReason, declined bool) (status string, why any) {
	switch {
	case s == StopLength:
		return "incomplete", map[string]string{"reason": "max_output_tokens"}
	case s == StopFilter, s == StopDeclined && !declined:
		return "incomplete", map[string]string{"reason": "content_filter"}
	}
	return "completed", nil
}

// head is what every answer to a request says: mostly the request once more.
func (r *Request) head() map[string]any {
	h := map[string]any{
		"object": "response", "background": false, "error": nil, "incomplete_details": nil, "instructions": nil,
		"max_output_tokens": nil, "max_tool_calls": nil, "metadata": map[string]string{}, "parallel_tool_calls": true,
		"previous_response_id": nil, "reasoning": responsesReasoning{}, "service_tier": "default", "store": false,
		"temperature": 1.0, "text": map[string]any{"format": map[string]string{"type": "text"}}, "tool_choice": "auto",
		"tools": []any{}, "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": nil, "usage": nil,
	}
	if r == nil {
		return h
	}
	hosted := *r
	hosted.Tools = nil
	for _, t := range r.Tools {
		if t.Hosted == "" {
			hosted.Tools = append(hosted.Tools, t)
		}
	}
	w, err := hosted.responsesBody()
	if err != nil { // hosted tools were all that could fail
		return h
	}
	set := func(key string, v any, said bool) {
		if said {
			h[key] = v
		}
	}
	set("max_output_tokens", w.MaxTokens, w.MaxTokens > 0)
	set("metadata", w.Metadata, w.Metadata != nil)
	set("parallel_tool_calls", w.Parallel, w.Parallel != nil)
	set("reasoning", w.Reasoning, w.Reasoning != nil)
	set("store", w.Store, true)
	set("temperature", w.Temperature, w.Temperature != nil)
	set("tool_choice", w.ToolChoice, w.ToolChoice != nil)
	set("tools", w.Tools, w.Tools != nil)
	set("top_p", w.TopP, w.TopP != nil)
	set("user", w.User, w.User != "")
	if w.Text != nil {
		if w.Text.Format == nil {
			w.Text.Format = &responsesFormat{Type: "text"}
		}
		h["text"] = w.Text
	}
	if len(r.System) == 1 {
		h["instructions"] = r.System[0].Text
	}
	return h
}

func (responses) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	h := r.head()
	id := responseID(a.ID)
	h["id"], h["created_at"], h["completed_at"], h["model"] = id, a.Created, a.Created, a.Model
	if a.HasUsage {
		h["usage"] = responsesUsageOf(a.Usage)
	}
	if len(a.Choices) == 0 {
		return nil, &Malformed{"answer", "holds nothing"}
	}
	c := a.Choices[0]
	if len(a.Choices) > 1 {
		a.Lost = append(a.Lost, "choices")
	}
	output, declined := []responsesItem{}, false
	for i := range c.Parts {
		p := &c.Parts[i]
		declined = declined || p.Kind == Declined
		output = appendOutput(output, p, id, r, a)
	}
	h["status"], h["incomplete_details"] = responsesEnd(c.Stop, declined)
	h["output"] = output
	return encode(h)
}

// appendOutput adds a part: to the last message, or in an item of its own.
func appendOutput(output []responsesItem, p *Part, id string, r *Request, a *Answer) []responsesItem {
	n := len(output)
	switch p.Kind {
	case Text, Declined:
		if n > 0 && output[n-1].Content != nil {
			*output[n-1].Content = append(*output[n-1].Content, outputOf(p.Kind, p.Text))
			return output
		}
		return append(output, responsesItem{Type: "message", ID: itemID("message", id, n), Status: "completed", Role: "assistant", Content: &[]outputText{outputOf(p.Kind, p.Text)}})
	case ToolCall:
		if sign := wrap(p, Responses); sign != "" {
			output = append(output, reasoningItem(&Part{Kind: Thought, Signature: p.Signature, Origin: p.Origin}, itemID("reasoning", id, n)))
		}
		it := callItem(p, r.custom(p.Name))
		it.ID, it.Status = itemID(it.Type, id, len(output)), "completed"
		return append(output, it)
	case Thought:
		it := reasoningItem(p, itemID("reasoning", id, n))
		it.Status = "completed"
		return append(output, it)
	}
	a.Lost = append(a.Lost, "output")
	return output
}

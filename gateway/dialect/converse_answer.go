package dialect

import (
	"encoding/json"
	"fmt"
	"strings"

	"plumbline/gateway/event"
)

var converseStops = map[string]StopReason{
	"end_turn":                      StopEnd,
	"tool_use":                      StopTool,
	"max_tokens":                    StopLength,
	"model_context_window_exceeded": StopLength,
	"stop_sequence":                 StopSequence,
	"guardrail_intervened":          StopFilter,
	"content_filtered":              StopFilter,
}

func converseStop(s StopReason) string {
	switch s {
	case StopTool:
		return "tool_use"
	case StopLength:
		return "max_tokens"
	case StopSequence:
		return "stop_sequence"
	case StopFilter, StopDeclined:
		return "content_filtered"
	}
	return "end_turn"
}

// converseCounts is usage as the API writes it. Its input is without what a cache took
// or gave.
type converseCounts struct {
	Input      int64                `json:"inputTokens"`
	Output     int64                `json:"outputTokens"`
	Total      int64                `json:"totalTokens"`
	CacheRead  *int64               `json:"cacheReadInputTokens,omitempty"`
	CacheWrite *int64               `json:"cacheWriteInputTokens,omitempty"`
	Details    []converseCacheCount `json:"cacheDetails,omitempty"`
}

type converseCacheCount struct {
	TTL    string `json:"ttl"`
	Tokens int64  `json:"inputTokens"`
}

func converseUsage(u event.Usage) converseCounts {
	c := converseCounts{Input: max(u.Input-max(u.CacheRead, 0)-max(u.CacheWrite, 0), 0), Output: max(u.Output, 0)}
	c.Total = c.Input + max(u.CacheRead, 0) + max(u.CacheWrite, 0) + c.Output
	if u.CacheRead >= 0 {
		c.CacheRead = &u.CacheRead
	}
	if u.CacheWrite >= 0 {
		c.CacheWrite = &u.CacheWrite
	}
	if u.CacheWrite1h > 0 {
		c.Details = []converseCacheCount{{"1h", u.CacheWrite1h}}
	}
	return c
}

// readConverseUsage reads usage; false when there is none.
func readConverseUsage(raw json.RawMessage) (event.Usage, bool) {
	var c struct {
		Input      *int64               `json:"inputTokens"`
		Output     *int64               `json:"outputTokens"`
		CacheRead  *int64               `json:"cacheReadInputTokens"`
		CacheWrite *int64               `json:"cacheWriteInputTokens"`
		Details    []converseCacheCount `json:"cacheDetails"`
	}
	u := noUsage
	if len(raw) == 0 || json.Unmarshal(raw, &c) != nil {
		return u, false
	}
	for _, f := range []struct{ to, from *int64 }{{&u.Input, c.Input}, {&u.Output, c.Output}, {&u.CacheRead, c.CacheRead}, {&u.CacheWrite, c.CacheWrite}} {
		if f.from != nil && *f.from >= 0 && *f.from < 1<<53 {
			*f.to = *f.from
		}
	}
	for _, d := range c.Details {
		if d.TTL == "1h" && d.Tokens > 0 && d.Tokens <= u.CacheWrite {
			u.CacheWrite1h = d.Tokens
		}
	}
	if u.Input >= 0 {
		u.Input += max(u.CacheRead, 0) + max(u.CacheWrite, 0)
	}
	return u, u.Input >= 0 || u.Output >= 0
}

func (converse) ReadAnswer(body []byte) (*Answer, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	out, err := readObject(o.raw("output"), "output")
	if err != nil {
		return nil, err
	}
	m, err := readObject(out.raw("message"), "output.message")
	if err != nil {
		return nil, err
	}
	list, err := readList(m.raw("content"), "output.message.content")
	if err != nil {
		return nil, err
	}
	a := &Answer{Usage: noUsage}
	c := Candidate{Stop: converseStops[o.text("stopReason")]}
	for i, raw := range list {
		b, err := readObject(raw, fmt.Sprintf("output.message.content.%d", i))
		if err != nil {
			return nil, err
		}
		p, ok := converseAnswerPart(b, a)
		if !ok {
			for _, left := range b.rest("content.") {
				a.lose(left)
			}
			continue
		}
		c.Parts = append(c.Parts, p)
	}
	a.Choices = []Candidate{c}
	a.Usage, a.HasUsage = readConverseUsage(o.raw("usage"))
	return a, nil
}

// converseAnswerPart reads a block of an answer; false when it is of a kind that no
// other API has.
func converseAnswerPart(b object, a *Answer) (Part, bool) {
	if _, ok := b["text"]; ok {
		return Part{Kind: Text, Text: b.text("text")}, true
	}
	for _, key := range []string{"toolUse", "reasoningContent", "citationsContent", "image"} {
		o, err := readObject(b[key], key)
		if err != nil {
			continue
		}
		switch key {
		case "toolUse":
			return converseCall(o), true
		case "reasoningContent":
			return converseThought(o), true
		case "citationsContent":
			var list []struct{ Text string }
			json.Unmarshal(o.raw("content"), &list)
			p := Part{Kind: Text}
			for _, t := range list {
				p.Text += t.Text
			}
			a.lose("content.citations")
			return p, true
		case "image":
			if p, err := converseMedia(o, key, key); err == nil && p.Media.Data != "" {
				return p, true
			}
		}
	}
	return Part{}, false
}

func (converse) WriteAnswer(a *Answer, r *Request) ([]byte, error) {
	var w struct {
		Output struct {
			Message converseMessage `json:"message"`
		} `json:"output"`
		Stop    string         `json:"stopReason"`
		Usage   converseCounts `json:"usage"`
		Metrics struct {
			Latency int64 `json:"latencyMs"`
		} `json:"metrics"`
	}
	w.Output.Message = converseMessage{"assistant", []converseBlock{}}
	w.Usage = converseUsage(a.Usage)
	if len(a.Choices) > 1 {
		a.lose("choices")
	}
	w.Stop = converseStop(StopUnknown)
	if len(a.Choices) > 0 {
		w.Stop = converseStop(a.Choices[0].Stop)
		for i := range a.Choices[0].Parts {
			p := &a.Choices[0].Parts[i]
			blocks, ok := answerBlocks(p, Converse)
			for k := range blocks {
				w.Output.Message.Content = append(w.Output.Message.Content, converseOf(&blocks[k]))
			}
			switch {
			case ok:
			case p.Kind == Image && p.Media.Data != "" && strings.HasPrefix(p.Media.Type, "image/"):
				f := &converseFile{Format: strings.TrimPrefix(p.Media.Type, "image/")}
				f.Source.Bytes = p.Media.Data
				w.Output.Message.Content = append(w.Output.Message.Content, converseBlock{Image: f})
			default:
				a.lose("content")
			}
		}
	}
	return encode(w)
}

// converseOf is a block of an answer in this API's form.
func converseOf(b *block) converseBlock {
	switch b.Type {
	case "tool_use":
		return converseBlock{Call: &converseUse{b.ID, b.Name, b.Input}}
	case "thinking":
		return converseBlock{Thought: &converseReasoning{Text: &converseThoughtText{*b.Thinking, *b.Signature}}}
	case "redacted_thinking":
		return converseBlock{Thought: &converseReasoning{Redacted: inBytes(b.Data)}}
	}
	return converseBlock{Text: b.Text}
}

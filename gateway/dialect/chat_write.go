package dialect

import (
	"encoding/json"
)

type chatBody struct {
	Model       string            `json:"model"`
	Messages    []chatMessage     `json:"messages"`
	Stream      bool              `json:"stream,omitempty"`
	Options     *chatOptions      `json:"stream_options,omitempty"`
	MaxTokens   int64             `json:"max_tokens,omitempty"`
	Most        int64             `json:"max_completion_tokens,omitempty"`
	Temperature *float64          `json:"temperature,omitempty"`
	TopP        *float64          `json:"top_p,omitempty"`
	Choices     int64             `json:"n,omitempty"`
	Presence    *float64          `json:"presence_penalty,omitempty"`
	Frequency   *float64          `json:"frequency_penalty,omitempty"`
	Seed        *int64            `json:"seed,omitempty"`
	Stop        []string          `json:"stop,omitempty"`
	Logprobs    bool              `json:"logprobs,omitempty"`
	TopLogprobs int64             `json:"top_logprobs,omitempty"`
	Tools       []any             `json:"tools,omitempty"`
	ToolChoice  any               `json:"tool_choice,omitempty"`
	Parallel    *bool             `json:"parallel_tool_calls,omitempty"`
	Format      any               `json:"response_format,omitempty"`
	Effort      string            `json:"reasoning_effort,omitempty"`
	Verbosity   string            `json:"verbosity,omitempty"`
	User        string            `json:"user,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Tier        string            `json:"service_tier,omitempty"`
	Store       *bool             `json:"store,omitempty"`
	CacheKey    string            `json:"prompt_cache_key,omitempty"`
}

type chatOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// chatMessage is a message of a request or an answer, and the delta of a stream.
type chatMessage struct {
	Role      string       `json:"role,omitempty"`
	Name      string       `json:"name,omitempty"`
	Content   any          `json:"content"` // text, parts or null
	Refusal   *string      `json:"refusal,omitempty"`
	Thoughts  string       `json:"reasoning_content,omitempty"`
	Details   []chatDetail `json:"reasoning_details,omitempty"`
	Calls     []chatCall   `json:"tool_calls,omitempty"`
	AnswersTo string       `json:"tool_call_id,omitempty"`
}

type chatDetail struct {
	Type      string `json:"type"`
	Text      string `json:"text,omitempty"`
	Signature string `json:"signature,omitempty"`
	Data      string `json:"data,omitempty"`
}

func (chat) WriteRequest(r *Request) ([]byte, error) {
	b := &chatBody{Model: r.Model, Messages: []chatMessage{}, Stream: r.Stream, MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP, Choices: r.Choices, Presence: r.Presence,
		Frequency: r.Frequency, Seed: r.Seed, Stop: r.Stop, Logprobs: r.Logprobs, TopLogprobs: r.TopLogprobs, Parallel: r.Parallel, User: r.User,
		Verbosity: r.Verbosity, Metadata: r.Metadata, Tier: r.Tier, Store: r.Store, CacheKey: r.CacheKey, Effort: r.effort()}
	if r.Asks.NewerLimit {
		b.MaxTokens, b.Most = 0, r.MaxTokens
	}
	if r.Stream && !r.Asks.NoStreamUsage {
		b.Options = &chatOptions{true}
	}
	if r.TopK != nil {
		r.lose("top_k")
	}
	if len(r.System) > 0 {
		content, err := r.chatContent(r.System)
		if err != nil {
			return nil, err
		}
		b.Messages = append(b.Messages, chatMessage{Role: "system", Content: content})
	}
	for i := range r.Turns {
		messages, err := r.chatTurn(&r.Turns[i])
		if err != nil {
			return nil, err
		}
		b.Messages = append(b.Messages, messages...)
	}
	if err := r.writeChatTools(b); err != nil {
		return nil, err
	}
	switch r.Format.Kind {
	case FormatJSON:
		b.Format = map[string]string{"type": "json_object"}
	case FormatSchema:
		name := r.Format.Name
		if name == "" {
			name = "answer"
		}
		b.Format = map[string]any{"type": "json_schema", "json_schema": schemaFormat{name, r.Format.Description, r.Format.Strict, r.Format.Schema}}
	}
	return encode(b)
}

type schemaFormat struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Strict      *bool           `json:"strict,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
}

// effort is the effort that was asked for, or what a budget of thought comes nearest
// to: the steps are those between which vendors' own tables draw the line.
func (r *Request) effort() string {
	b := r.Reasoning.Budget
	switch {
	case r.Reasoning.Effort != "" || b == nil:
		return r.Reasoning.Effort
	case *b < 0: // as much as the model likes
		return ""
	case *b == 0:
		return "none"
	case *b <= 2048:
		return "low"
	case *b <= 12288:
		return "medium"
	}
	return "high"
}

func (r *Request) writeChatTools(b *chatBody) error {
	for i := range r.Tools {
		t := &r.Tools[i]
		switch {
		case t.Custom:
			b.Tools = append(b.Tools, map[string]any{"type": "custom", "custom": map[string]string{"name": t.Name, "description": t.Description}})
			continue
		case t.Hosted != "":
			return &Impossible{"tools", "the tool " + t.Hosted + " is run by another provider itself"}
		}
		if t.Cache {
			r.lose("cache_control")
		}
		f := map[string]any{"name": t.Name}
		if t.Description != "" {
			f["description"] = t.Description
		}
		if len(t.Schema) > 0 {
			f["parameters"] = json.RawMessage(t.Schema)
		}
		if t.Strict != nil {
			f["strict"] = *t.Strict
		}
		b.Tools = append(b.Tools, map[string]any{"type": "function", "function": f})
	}
	switch r.Choice.Mode {
	case ChoiceAuto:
		b.ToolChoice = "auto"
	case ChoiceNone:
		b.ToolChoice = "none"
	case ChoiceRequired:
		b.ToolChoice = "required"
	case ChoiceNamed:
		b.ToolChoice = map[string]any{"type": "function", "function": map[string]string{"name": r.Choice.Name}}
	}
	if len(b.Tools) == 0 {
		b.ToolChoice, b.Parallel = nil, nil
	}
	return nil
}

// chatTurn writes a turn. Results of tools are messages of their own; what they hold
// beside text comes in the user's message after them, for a tool's message takes none.
func (r *Request) chatTurn(t *Turn) (out []chatMessage, err error) {
	var said, shown []Part
	m := chatMessage{Role: "user", Name: t.Name}
	switch t.Role {
	case Assistant:
		m.Role = "assistant"
	case System:
		m.Role = "system"
	}
	for _, p := range t.Parts {
		switch p.Kind {
		case ToolResult:
			text, media := splitResult(p.Content)
			if p.Failed {
				r.lose("tool_result.is_error")
			}
			out = append(out, chatMessage{Role: "tool", AnswersTo: p.ID, Content: text})
			shown = append(shown, media...)
		case ToolCall:
			m.Calls = append(m.Calls, chatCallOf(&p, nil))
		case Thought:
			r.lose("reasoning")
		case Declined:
			text := p.Text
			m.Refusal = &text
		default:
			said = append(said, p)
		}
	}
	said = append(shown, said...)
	if len(said) > 0 {
		if m.Content, err = r.chatContent(said); err != nil {
			return nil, err
		}
	}
	if len(said) > 0 || len(m.Calls) > 0 || m.Refusal != nil {
		out = append(out, m)
	}
	return out, nil
}

func splitResult(content []Part) (text string, media []Part) {
	for _, p := range content {
		if p.Kind == Text {
			text += p.Text
		} else {
			media = append(media, p)
		}
	}
	return text, media
}

// chatCallOf writes a call; index is set in streams.
func chatCallOf(p *Part, index *int) chatCall {
	text := p.Text
	c := chatCall{Index: index, ID: p.ID, Type: "function", Function: &chatFunction{p.Name, &text}}
	if s := wrap(p, Gemini); s != "" {
		c.Extra = &chatExtra{}
		c.Extra.Google.Signature = s
	}
	return c
}

// chatContent is a text where it is one, else a list of parts.
func (r *Request) chatContent(parts []Part) (any, error) {
	if len(parts) == 1 && parts[0].Kind == Text {
		if parts[0].Cache {
			r.lose("cache_control")
		}
		return parts[0].Text, nil
	}
	list := []any{}
	for i := range parts {
		p := &parts[i]
		if p.Cache {
			r.lose("cache_control")
		}
		switch p.Kind {
		case Text:
			list = append(list, map[string]string{"type": "text", "text": p.Text})
		case Image:
			if p.Media.FileID != "" {
				return nil, &Impossible{"image", "an image that was sent to a provider before is at that provider alone"}
			}
			v := map[string]string{"url": p.Media.dataURL()}
			if p.Media.Detail != "" {
				v["detail"] = p.Media.Detail
			}
			list = append(list, map[string]any{"type": "image_url", "image_url": v})
		case Audio:
			format := audioFormat(p.Media.Type)
			if p.Media.Data == "" || format == "" {
				return nil, &Impossible{"audio", "the provider's API takes sound as wav or mp3 in the request alone"}
			}
			list = append(list, map[string]any{"type": "input_audio", "input_audio": map[string]string{"data": p.Media.Data, "format": format}})
		case File:
			v := map[string]string{}
			switch {
			case p.Media.Data != "":
				if v["file_data"], v["filename"] = p.Media.dataURL(), p.Media.Name; p.Media.Name == "" {
					v["filename"] = "file"
				}
			default:
				return nil, &Impossible{"file", "the provider's API takes files in the request alone"}
			}
			list = append(list, map[string]any{"type": "file", "file": v})
		default:
			return nil, &Impossible{"content", "the provider's API has no place for this part"}
		}
	}
	return list, nil
}

func audioFormat(mime string) string {
	switch mime {
	case "audio/wav", "audio/x-wav", "audio/wave":
		return "wav"
	case "audio/mp3", "audio/mpeg":
		return "mp3"
	}
	return ""
}

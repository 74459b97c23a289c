package dialect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// defaultMaxTokens is what a provider that wants a limit is given when the caller
// names none and the price table knows none of the model.
const defaultMaxTokens = 4096

func (messages) WriteRequest(r *Request) ([]byte, error) {
	w := messagesRequest{Model: r.Model, MaxTokens: r.MaxTokens, Stream: r.Stream, Stop: r.stops()}
	if w.MaxTokens == 0 {
		w.MaxTokens = r.MostTokens
	}
	if w.MaxTokens == 0 {
		w.MaxTokens = defaultMaxTokens
	}
	if r.Choices > 1 {
		return nil, &Impossible{"n", "the provider's API gives one answer for each call"}
	}
	if err := r.messagesTools(&w); err != nil {
		return nil, err
	}
	if err := r.messagesTurns(&w); err != nil {
		return nil, err
	}
	if r.User != "" {
		w.Metadata = &messagesMeta{r.User}
	}
	switch r.Tier {
	case "", "auto":
		w.ServiceTier = r.Tier
	case "default", "standard", "standard_only":
		w.ServiceTier = "standard_only"
	default:
		r.lose("service_tier")
	}
	r.messagesWishes(&w)
	r.loseSampling()
	return encode(w)
}

// loseSampling names what the dialect has no place for.
func (r *Request) loseSampling() {
	for _, f := range []struct {
		field string
		asked bool
	}{
		{"seed", r.Seed != nil},
		{"presence_penalty", r.Presence != nil && *r.Presence != 0},
		{"frequency_penalty", r.Frequency != nil && *r.Frequency != 0},
		{"logprobs", r.Logprobs},
		{"top_logprobs", r.TopLogprobs > 0},
		{"metadata", len(r.Metadata) > 0},
		{"store", r.Store != nil && *r.Store},
		{"prompt_cache_key", r.CacheKey != ""},
		{"verbosity", r.Verbosity != ""},
	} {
		if f.asked {
			r.lose(f.field)
		}
	}
}

// stops are the stop sequences that the provider takes: it refuses those of white
// space alone.
func (r *Request) stops() []string {
	var out []string
	for _, s := range r.Stop {
		if strings.TrimSpace(s) == "" {
			r.lose("stop")
			continue
		}
		out = append(out, s)
	}
	return out
}

func (r *Request) messagesTools(w *messagesRequest) error {
	for _, t := range r.Tools {
		if t.Hosted != "" {
			return &Impossible{"tools", fmt.Sprintf("the provider's API has no tool %s that works as asked", t.Hosted)}
		}
		schema := json.RawMessage(t.Schema)
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		if first(schema) != '{' {
			return &Malformed{"tools", "the schema of the arguments is not a JSON object"}
		}
		mt := messagesTool{Name: t.Name, Description: t.Description, InputSchema: schema, Cache: mark(t.Cache)}
		if t.Strict != nil && *t.Strict {
			mt.Strict, mt.InputSchema = t.Strict, closed(schema)
		}
		w.Tools = append(w.Tools, mt)
	}
	alone := r.Parallel != nil && !*r.Parallel && len(r.Tools) > 0
	switch r.Choice.Mode {
	case ChoiceAuto:
		w.ToolChoice = &messagesChoice{Type: "auto", Alone: alone}
	case ChoiceRequired:
		w.ToolChoice = &messagesChoice{Type: "any", Alone: alone}
	case ChoiceNamed:
		w.ToolChoice = &messagesChoice{Type: "tool", Name: r.Choice.Name, Alone: alone}
	case ChoiceNone:
		w.ToolChoice = &messagesChoice{Type: "none"}
	default:
		if alone {
			w.ToolChoice = &messagesChoice{Type: "auto", Alone: true}
		}
	}
	return nil
}

func mark(cache bool) *cacheControl {
	if !cache {
		return nil
	}
	return &cacheControl{"ephemeral"}
}

// messagesTurns writes the conversation: no turn is empty, no two of one role follow
// each other, and the results of tools stand first in theirs.
func (r *Request) messagesTurns(w *messagesRequest) error {
	var err error
	if w.System, err = r.writeBlocks(r.System, "system"); err != nil {
		return err
	}
	m := releaseOf(r.Model)
	for i, t := range r.Turns {
		if t.Name != "" {
			r.lose("messages.name")
		}
		content, err := r.writeBlocks(t.Parts, fmt.Sprintf("messages.%d.content", i))
		if err != nil {
			return err
		}
		if len(content) == 0 {
			continue
		}
		role := "user"
		switch t.Role {
		case Assistant:
			role = "assistant"
		case System:
			// Its place is lost where the model takes it at the top alone; its weight is not.
			if role = "system"; m != 0 && m < heeds {
				w.System = append(w.System, content...)
				r.lose("messages.role")
				continue
			}
		}
		if n := len(w.Messages); n > 0 && w.Messages[n-1].Role == role {
			w.Messages[n-1].Content = append(w.Messages[n-1].Content, content...)
			continue
		}
		w.Messages = append(w.Messages, message{role, content})
	}
	if len(w.Messages) == 0 {
		return &Impossible{"messages", "the provider's API wants a message of the user"}
	}
	for _, m := range w.Messages {
		resultsFirst(m.Content)
	}
	return nil
}

// resultsFirst moves the results of tools to the front, in their order.
func resultsFirst(content []block) {
	at := 0
	for i, b := range content {
		if b.Type != "tool_result" {
			continue
		}
		copy(content[at+1:i+1], content[at:i])
		content[at] = b
		at++
	}
}

func (r *Request) writeBlocks(parts []Part, field string) ([]block, error) {
	var out []block
	for i := range parts {
		b, err := r.writeBlock(&parts[i], fmt.Sprintf("%s.%d", field, i))
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		b.Cache = mark(parts[i].Cache && b.Type != "thinking" && b.Type != "redacted_thinking")
		out = append(out, *b)
	}
	return out, nil
}

// writeBlock writes a part; nil when there is nothing to write.
func (r *Request) writeBlock(p *Part, field string) (*block, error) {
	switch p.Kind {
	case Text, Declined:
		if p.Text == "" { // the provider refuses it
			return nil, nil
		}
		return &block{Type: "text", Text: &p.Text}, nil
	case Image, File:
		if p.Media.Detail != "" && p.Media.Detail != "auto" {
			r.lose("messages.content.detail")
		}
		return mediaSource(p, field)
	case ToolCall:
		return &block{Type: "tool_use", ID: p.ID, Name: p.Name, Input: r.arguments(p.Text)}, nil
	case ToolResult:
		content, err := r.writeBlocks(p.Content, field+".content")
		return &block{Type: "tool_result", ToolUseID: p.ID, Content: content, IsError: p.Failed}, err
	case Thought:
		switch {
		case p.Origin != Messages: // another's thoughts, which this provider refuses
			r.lose("messages.thinking")
			return nil, nil
		case p.Sealed != "":
			return &block{Type: "redacted_thinking", Data: p.Sealed}, nil
		}
		return &block{Type: "thinking", Thinking: &p.Text, Signature: &p.Signature}, nil
	case Audio:
		return nil, &Impossible{field, "the provider's API takes no audio"}
	}
	return nil, &Impossible{field, "the provider's API takes no part of this kind"}
}

// arguments are a call's arguments as an object, which the API wants. A model that
// wrote something else gets to see what it wrote.
func (r *Request) arguments(text string) json.RawMessage {
	if strings.TrimSpace(text) == "" {
		return json.RawMessage("{}")
	}
	if first([]byte(text)) == '{' && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	r.lose("messages.tool_calls.arguments")
	b, _ := encode(struct {
		Arguments string `json:"arguments"`
	}{text})
	return b
}

func mediaSource(p *Part, field string) (*block, error) {
	m, b := p.Media, &block{Type: "image"}
	if p.Kind == File {
		b.Type, b.Title = "document", m.Name
	}
	switch {
	case m.FileID != "":
		return nil, &Impossible{field, "a file that was sent to one provider is not known to another: send its content"}
	case m.Data != "" && p.Kind == File && strings.HasPrefix(m.Type, "text/"):
		text, err := base64.StdEncoding.DecodeString(m.Data)
		if err != nil {
			return nil, &Malformed{field, "is not base64"}
		}
		b.Source = &source{Type: "text", MediaType: "text/plain", Data: string(text)}
	case m.Data != "" && m.Type == "":
		return nil, &Impossible{field, "the provider's API wants the media type said"}
	case m.Data != "" && p.Kind == File && m.Type != "application/pdf":
		return nil, &Impossible{field, "the provider's API takes PDF and plain text alone"}
	case m.Data != "":
		b.Source = &source{Type: "base64", MediaType: m.Type, Data: m.Data}
	case m.URL != "" && p.Kind == File && m.Type != "" && m.Type != "application/pdf":
		return nil, &Impossible{field, "the provider's API takes links to PDF alone"}
	case m.URL != "":
		b.Source = &source{Type: "url", URL: m.URL}
	default:
		return nil, &Malformed{field, "holds neither data nor a link"}
	}
	return b, nil
}

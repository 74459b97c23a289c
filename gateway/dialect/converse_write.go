package dialect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

func (converse) WriteRequest(r *Request) ([]byte, error) {
	var w converseRequest
	if r.Choices > 1 {
		return nil, &Impossible{"n", "the provider's API gives one answer for each call"}
	}
	if err := r.converseTurns(&w); err != nil {
		return nil, err
	}
	if err := r.converseTools(&w); err != nil {
		return nil, err
	}
	r.converseWishes(&w)
	if w.Metadata = r.Metadata; len(r.Metadata) > 16 {
		w.Metadata = nil
		r.lose("metadata")
	}
	switch r.Tier {
	case "", "auto":
	case "default", "flex", "priority", "reserved":
		w.Tier = &converseTier{r.Tier}
	case "standard", "standard_only":
		w.Tier = &converseTier{"default"}
	default:
		r.lose("service_tier")
	}
	if r.User != "" {
		r.lose("user")
	}
	if r.Parallel != nil && !*r.Parallel && len(r.Tools) > 0 {
		r.lose("parallel_tool_calls")
	}
	metadata := r.Metadata
	r.Metadata = nil // it has a place here
	r.loseSampling()
	r.Metadata = metadata
	return encode(w)
}

// converseWishes writes sampling, thinking and the answer's form. Claude takes and
// refuses here what it does in its maker's API.
func (r *Request) converseWishes(w *converseRequest) {
	var more converseMore
	var out converseOutConfig
	c := converseConfig{MaxTokens: r.MaxTokens, Stop: r.stops()}
	if strings.Contains(r.Model, "claude") {
		m := messagesRequest{MaxTokens: r.MaxTokens}
		if m.MaxTokens == 0 { // the API's own default is the model's most
			if m.MaxTokens = r.MostTokens; m.MaxTokens == 0 {
				m.MaxTokens = defaultMaxTokens
			}
		}
		r.messagesWishes(&m)
		c.Temperature, c.TopP, more.TopK, more.Thinking = m.Temperature, m.TopP, m.TopK, m.Thinking
		if m.Thinking != nil && m.Thinking.Type == "enabled" {
			c.MaxTokens = m.MaxTokens // which the budget was measured against
		}
		if m.OutputConfig != nil {
			out.Effort = m.OutputConfig.Effort
		}
	} else {
		c.Temperature, c.TopP = r.Temperature, r.TopP
		if r.TopK != nil {
			r.lose("top_k")
		}
		switch effort := r.effort(); {
		case effort == "" && r.Reasoning.Budget == nil:
		case strings.Contains(r.Model, "gpt-oss") && (effort == "low" || effort == "medium" || effort == "high"):
			more.Effort = effort
		case effort != "none":
			r.lose("reasoning")
		}
		if r.Format.Kind == FormatJSON {
			r.lose("response_format")
		}
	}
	if r.Format.Kind == FormatSchema {
		out.Format = &converseFormat{Type: "json_schema"}
		out.Format.Structure.Schema = converseSchema{string(closed(r.Format.Schema)), r.Format.Name, r.Format.Description}
	}
	if c.MaxTokens != 0 || c.Temperature != nil || c.TopP != nil || len(c.Stop) > 0 {
		w.Config = &c
	}
	if more != (converseMore{}) {
		w.More = &more
	}
	if out != (converseOutConfig{}) {
		w.Output = &out
	}
}

// converseTools writes tools. The API has no word for calling none of them: they are
// not offered then, which it takes only where no call stands in the conversation.
func (r *Request) converseTools(w *converseRequest) error {
	called := false
	for _, t := range r.Turns {
		for _, p := range t.Parts {
			called = called || p.Kind == ToolCall || p.Kind == ToolResult
		}
	}
	switch {
	case called && r.Choice.Mode == ChoiceNone:
		return &Impossible{"tool_choice", "the provider's API cannot be asked to call none of the tools that it is told of"}
	case called && len(r.Tools) == 0:
		return &Impossible{"tools", "the provider's API wants the tools of which calls stand in the conversation"}
	case len(r.Tools) == 0 || r.Choice.Mode == ChoiceNone:
		return nil
	}
	t := &converseTools{}
	for i := range r.Tools {
		tool := &r.Tools[i]
		if tool.Hosted != "" {
			return &Impossible{"tools", fmt.Sprintf("the provider's API has no tool %s that works as asked", tool.Hosted)}
		}
		s := &converseSpec{Name: tool.Name, Description: tool.Description, Strict: tool.Strict}
		if s.Schema.JSON = tool.Schema; len(tool.Schema) == 0 {
			s.Schema.JSON = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		if first(s.Schema.JSON) != '{' {
			return &Malformed{"tools", "the schema of the arguments is not a JSON object"}
		}
		if tool.Strict != nil && !*tool.Strict {
			s.Strict = nil
		}
		t.Tools = append(t.Tools, converseTool{Spec: s})
		if tool.Cache {
			t.Tools = append(t.Tools, converseTool{Cache: &cacheControl{"default"}})
		}
	}
	switch r.Choice.Mode {
	case ChoiceAuto:
		t.Choice = json.RawMessage(`{"auto":{}}`)
	case ChoiceRequired:
		t.Choice = json.RawMessage(`{"any":{}}`)
	case ChoiceNamed:
		t.Choice, _ = encode(map[string]any{"tool": map[string]string{"name": r.Choice.Name}})
	}
	w.Tools = t
	return nil
}

func (r *Request) converseTurns(w *converseRequest) error {
	var err error
	if w.System, err = r.converseBlocks(r.System, "system"); err != nil {
		return err
	}
	for i, t := range r.Turns {
		if t.Name != "" {
			r.lose("messages.name")
		}
		content, err := r.converseBlocks(t.Parts, fmt.Sprintf("messages.%d.content", i))
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
		case System: // its place is lost, its weight is not
			w.System = append(w.System, content...)
			r.lose("messages.role")
			continue
		}
		if n := len(w.Messages); n > 0 && w.Messages[n-1].Role == role {
			w.Messages[n-1].Content = append(w.Messages[n-1].Content, content...)
			continue
		}
		w.Messages = append(w.Messages, converseMessage{role, content})
	}
	if len(w.Messages) == 0 {
		return &Impossible{"messages", "the provider's API wants a message of the user"}
	}
	return nil
}

func (r *Request) converseBlocks(parts []Part, field string) ([]converseBlock, error) {
	out := []converseBlock{}
	for i := range parts {
		p := &parts[i]
		b, err := r.converseBlock(p, fmt.Sprintf("%s.%d", field, i))
		if err != nil {
			return nil, err
		}
		if b == (converseBlock{}) {
			continue
		}
		if out = append(out, b); p.Cache && p.Kind != Thought {
			out = append(out, converseBlock{Cache: &cacheControl{"default"}})
		}
	}
	return out, nil
}

// converseBlock writes a part; nothing for an empty one, which the API refuses.
func (r *Request) converseBlock(p *Part, field string) (converseBlock, error) {
	switch p.Kind {
	case Text, Declined:
		if p.Text == "" {
			return converseBlock{}, nil
		}
		return converseBlock{Text: &p.Text}, nil
	case ToolCall:
		return converseBlock{Call: &converseUse{p.ID, p.Name, r.arguments(p.Text)}}, nil
	case ToolResult:
		content, err := r.converseBlocks(p.Content, field+".content")
		if err != nil {
			return converseBlock{}, err
		}
		result := &converseResult{ID: p.ID, Content: content}
		if p.Failed {
			result.Status = "error"
		}
		return converseBlock{Result: result}, nil
	case Thought:
		if p.Origin != Converse {
			r.lose("messages.thinking")
			return converseBlock{}, nil
		}
		return converseBlock{Thought: converseReasoningOf(p)}, nil
	case Image, Audio, File:
		return r.converseFile(p, field)
	}
	return converseBlock{}, &Impossible{field, "the provider's API takes no part of this kind"}
}

func converseReasoningOf(p *Part) *converseReasoning {
	if p.Sealed != "" && p.Text == "" {
		return &converseReasoning{Redacted: wrapBytes(p, Converse)}
	}
	return &converseReasoning{Text: &converseThoughtText{p.Text, wrap(p, Converse)}}
}

// documentName are the characters that the API takes in the name of a document.
var documentName = regexp.MustCompile(`[^A-Za-z0-9()\[\]-]+`)

func (r *Request) converseFile(p *Part, field string) (converseBlock, error) {
	m, f := &p.Media, &converseFile{}
	if m.Detail != "" && m.Detail != "auto" {
		r.lose("messages.content.detail")
	}
	switch {
	case strings.HasPrefix(m.FileID, "s3://"):
		f.Source.S3 = &converseS3{m.FileID}
	case m.FileID != "":
		return converseBlock{}, &Impossible{field, "a file that was sent to one provider is not known to another: send its content"}
	case m.Data != "":
		if _, err := base64.StdEncoding.DecodeString(m.Data); err != nil {
			return converseBlock{}, &Malformed{field, "is not base64"}
		}
		f.Source.Bytes = m.Data
	default:
		return converseBlock{}, &Impossible{field, "the provider's API takes no links: send the content"}
	}
	kind, format, _ := strings.Cut(m.Type, "/")
	if f.Format = format; p.Kind != File {
		switch {
		case format == "":
			return converseBlock{}, &Impossible{field, "the provider's API wants the media type said"}
		case p.Kind == Image:
			return converseBlock{Image: f}, nil
		}
		f.Format = strings.TrimPrefix(format, "x-")
		return converseBlock{Audio: f}, nil
	}
	if kind == "video" && format != "" {
		return converseBlock{Video: f}, nil
	}
	f.Format = ""
	for name, mime := range converseFormats {
		if mime == m.Type {
			f.Format = name
		}
	}
	if f.Format == "" {
		return converseBlock{}, &Impossible{field, "the provider's API takes no files of this type"}
	}
	base, _, _ := strings.Cut(m.Name, ".")
	if f.Name = strings.Trim(documentName.ReplaceAllString(base, "-"), "-"); f.Name == "" {
		f.Name = "document"
	}
	return converseBlock{Document: f}, nil
}

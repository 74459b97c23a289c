package dialect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

func init() { register(Messages, messages{}) }

// messages is the codec of Anthropic's Messages
// (platform.claude.com/docs/en/api/messages).
type messages struct{}

// Tools that Anthropic runs itself, or that change what a call is, have no likeness
// elsewhere; what merely tunes the call is lost by name.
var messagesImpossible = map[string]string{
	"mcp_servers":   "no other API takes MCP servers in this form",
	"container":     "no other API has this provider's containers",
	"thread":        "no other API has this provider's threads",
	"inference_geo": "where the call is processed cannot be asked of another provider",
}

func (messages) ReadRequest(body []byte, model string, stream bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream, StreamUsage: true}
	delete(o, "model")
	delete(o, "stream")
	for key, why := range messagesImpossible {
		if o.raw(key) != nil {
			return nil, &Impossible{key, why}
		}
	}
	if said, err := o.take("max_tokens", &r.MaxTokens); err != nil {
		return nil, err
	} else if !said || r.MaxTokens < 0 {
		return nil, &Malformed{"max_tokens", "is required, as a positive number"}
	} else if r.MaxTokens == 0 {
		return nil, &Impossible{"max_tokens", "no other API fills a cache without an answer"}
	}
	for _, f := range []struct {
		key string
		to  any
	}{
		{"temperature", &r.Temperature}, {"top_p", &r.TopP}, {"top_k", &r.TopK},
		{"stop_sequences", &r.Stop}, {"service_tier", &r.Tier},
	} {
		if _, err := o.take(f.key, f.to); err != nil {
			return nil, err
		}
	}
	if r.System, err = r.blocks(o.raw("system"), "system", nil); err != nil {
		return nil, err
	}
	if err := r.readTurns(o.raw("messages")); err != nil {
		return nil, err
	}
	if o.raw("cache_control") != nil { // of the last block, wherever it is
		if n := len(r.Turns); n > 0 && len(r.Turns[n-1].Parts) > 0 {
			parts := r.Turns[n-1].Parts
			parts[len(parts)-1].Cache = true
		}
	}
	if err := r.readMessagesTools(o); err != nil {
		return nil, err
	}
	if err := r.readMessagesWishes(o); err != nil {
		return nil, err
	}
	for _, field := range o.rest("") {
		r.lose(field)
	}
	return r, nil
}

// readMessagesWishes reads how the answer shall be thought about and look.
func (r *Request) readMessagesWishes(o object) error {
	if raw := o.raw("metadata"); raw != nil {
		m, err := readObject(raw, "metadata")
		if err != nil {
			return err
		}
		r.User = m.text("user_id")
		r.loseAll(m.rest("metadata."))
	}
	format := o.raw("output_format")
	if raw := o.raw("output_config"); raw != nil {
		c, err := readObject(raw, "output_config")
		if err != nil {
			return err
		}
		if r.Reasoning.Effort = c.text("effort"); r.Reasoning.Effort == "max" {
			r.Reasoning.Effort = "xhigh"
		}
		if f := c.raw("format"); f != nil {
			format = f
		}
		r.loseAll(c.rest("output_config."))
	}
	if format != nil {
		f, err := readObject(format, "output_config.format")
		if err != nil {
			return err
		}
		if kind := f.text("type"); kind != "json_schema" {
			return &Malformed{"output_config.format.type", "must be json_schema"}
		}
		r.Format = Format{Kind: FormatSchema, Name: "answer", Schema: f.raw("schema")}
		if first(r.Format.Schema) != '{' {
			return &Malformed{"output_config.format.schema", "is not a JSON object"}
		}
		yes := true
		r.Format.Strict = &yes
		r.loseAll(f.rest("output_config.format."))
	}
	raw := o.raw("thinking")
	if raw == nil {
		return nil
	}
	t, err := readObject(raw, "thinking")
	if err != nil {
		return err
	}
	switch kind := t.text("type"); kind {
	case "enabled":
		if _, err := t.take("budget_tokens", &r.Reasoning.Budget); err != nil {
			return within("thinking", err)
		}
		r.Reasoning.Show = true
	case "adaptive": // the model decides, as other APIs have it where nothing is said
		r.Reasoning.Show = true
	case "disabled":
		r.Reasoning.Budget = new(int64)
	default:
		r.lose("thinking")
	}
	if t.text("display") == "omitted" {
		r.Reasoning.Show = false
	}
	r.loseAll(t.rest("thinking."))
	return nil
}

func (r *Request) loseAll(fields []string) {
	for _, f := range fields {
		r.lose(f)
	}
}

func (r *Request) readTurns(raw json.RawMessage) error {
	list, err := readList(raw, "messages")
	if err != nil {
		return err
	}
	calls := map[string]string{} // names by id: results do not repeat them, and other APIs want them
	for i, raw := range list {
		field := fmt.Sprintf("messages.%d", i)
		m, err := readObject(raw, field)
		if err != nil {
			return err
		}
		var t Turn
		switch role := m.text("role"); role {
		case "user":
		case "assistant":
			t.Role = Assistant
		case "system":
			t.Role = System
		default:
			return &Malformed{field + ".role", "must be user, assistant or system"}
		}
		if t.Parts, err = r.blocks(m.raw("content"), field+".content", calls); err != nil {
			return err
		}
		r.loseAll(m.rest("messages."))
		r.Turns = append(r.Turns, t)
	}
	return nil
}

// blocks reads content: a string, or a list of blocks.
func (r *Request) blocks(raw json.RawMessage, field string, calls map[string]string) ([]Part, error) {
	switch first(raw) {
	case 0:
		return nil, nil
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, &Malformed{field, "is not a JSON string"}
		}
		return []Part{{Kind: Text, Text: text}}, nil
	}
	list, err := readList(raw, field)
	if err != nil {
		return nil, &Malformed{field, "is neither a string nor an array of blocks"}
	}
	var parts []Part
	for i, raw := range list {
		at := fmt.Sprintf("%s.%d", field, i)
		b, err := readObject(raw, at)
		if err != nil {
			return nil, err
		}
		ps, err := r.block(b, at, calls)
		if err != nil {
			return nil, err
		}
		cache := b.raw("cache_control")
		if cache != nil && len(ps) > 0 {
			ps[len(ps)-1].Cache = true
		}
		for _, left := range b.rest("messages.content.") {
			r.lose(left)
		}
		parts = append(parts, ps...)
	}
	return parts, nil
}

// block reads one block. A document of plain text becomes text: every dialect
// carries that, and few carry such documents.
func (r *Request) block(b object, at string, calls map[string]string) ([]Part, error) {
	kind := b.text("type")
	switch kind {
	case "text":
		return []Part{{Kind: Text, Text: b.text("text")}}, nil
	case "image", "document":
		return r.mediaBlock(b, kind, at)
	case "tool_use":
		p := Part{Kind: ToolCall, ID: b.text("id"), Name: b.text("name"), Text: "{}"}
		if in := b.raw("input"); in != nil {
			p.Text = string(in)
		}
		if calls != nil {
			calls[p.ID] = p.Name
		}
		delete(b, "caller")
		return []Part{p}, nil
	case "tool_result":
		p := Part{Kind: ToolResult, ID: b.text("tool_use_id")}
		p.Name = calls[p.ID]
		if _, err := b.take("is_error", &p.Failed); err != nil {
			return nil, within(at, err)
		}
		var err error
		p.Content, err = r.blocks(b.raw("content"), at+".content", nil)
		return []Part{p}, err
	case "thinking":
		p := Part{Kind: Thought, Text: b.text("thinking")}
		unwrap(&p, b.text("signature"), Messages)
		return []Part{p}, nil
	case "redacted_thinking":
		p := Part{Kind: Thought}
		if unwrap(&p, b.text("data"), Messages); p.Origin == Messages {
			p.Sealed, p.Signature = p.Signature, ""
		}
		return []Part{p}, nil
	}
	return nil, &Impossible{at + ".type", "no other API has blocks of this type"}
}

func (r *Request) mediaBlock(b object, kind, at string) ([]Part, error) {
	s, err := readObject(b.raw("source"), at+".source")
	if err != nil {
		return nil, err
	}
	p := Part{Kind: Image, Media: Media{Name: b.text("title")}}
	if kind == "document" {
		p.Kind = File
	}
	switch from := s.text("type"); from {
	case "base64":
		p.Media.Type, p.Media.Data = s.text("media_type"), s.text("data")
	case "url":
		if p.Media.URL = s.text("url"); kind == "document" {
			p.Media.Type = "application/pdf" // a link can be to nothing else
		}
	case "file":
		p.Media.FileID = s.text("file_id")
	case "text":
		s.text("media_type")
		return []Part{{Kind: Text, Text: s.text("data")}}, nil
	case "content":
		return r.blocks(s.raw("content"), at+".source.content", nil)
	default:
		return nil, &Malformed{at + ".source.type", "is no type of source that the API has"}
	}
	if p.Media.Data == "" && p.Media.URL == "" && p.Media.FileID == "" {
		return nil, &Malformed{at + ".source", "holds nothing"}
	}
	if p.Media.Data != "" {
		if _, err := base64.StdEncoding.DecodeString(p.Media.Data); err != nil {
			return nil, &Malformed{at + ".source.data", "is not base64"}
		}
	}
	return []Part{p}, nil
}

func (r *Request) readMessagesTools(o object) error {
	if raw := o.raw("tools"); raw != nil {
		list, err := readList(raw, "tools")
		if err != nil {
			return err
		}
		for i, raw := range list {
			field := fmt.Sprintf("tools.%d", i)
			t, err := readObject(raw, field)
			if err != nil {
				return err
			}
			if kind := t.text("type"); kind != "" && kind != "custom" {
				r.Tools = append(r.Tools, Tool{Name: t.text("name"), Hosted: kind, Raw: raw})
				continue
			}
			tool := Tool{Name: t.text("name"), Description: t.text("description"), Schema: t.raw("input_schema"), Cache: t.raw("cache_control") != nil}
			if _, err := t.take("strict", &tool.Strict); err != nil {
				return within(field, err)
			}
			r.loseAll(t.rest("tools."))
			r.Tools = append(r.Tools, tool)
		}
	}
	raw := o.raw("tool_choice")
	if raw == nil {
		return nil
	}
	c, err := readObject(raw, "tool_choice")
	if err != nil {
		return err
	}
	switch mode := c.text("type"); mode {
	case "auto":
		r.Choice.Mode = ChoiceAuto
	case "any":
		r.Choice.Mode = ChoiceRequired
	case "none":
		r.Choice.Mode = ChoiceNone
	case "tool":
		r.Choice = Choice{ChoiceNamed, c.text("name")}
	default:
		return &Malformed{"tool_choice.type", "must be auto, any, tool or none"}
	}
	var alone *bool
	if _, err := c.take("disable_parallel_tool_use", &alone); err != nil {
		return within("tool_choice", err)
	}
	if alone != nil {
		many := !*alone
		r.Parallel = &many
	}
	return nil
}

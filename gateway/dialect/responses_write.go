package dialect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

func (responses) WriteRequest(r *Request) ([]byte, error) {
	if r.Choices > 1 {
		return nil, &Impossible{"n", "the provider's API gives one answer for each call"}
	}
	w, err := r.responsesBody()
	if err != nil {
		return nil, err
	}
	if err := r.responsesInput(w); err != nil {
		return nil, err
	}
	w.Stream = r.Stream
	if w.Reasoning != nil && w.Reasoning.Effort != "none" && !w.Store {
		// What the provider does not keep it gives sealed, so that it can be sent again.
		w.Include = []string{"reasoning.encrypted_content"}
	}
	r.loseFields(map[string]bool{
		"stop":              len(r.Stop) > 0,
		"seed":              r.Seed != nil,
		"top_k":             r.TopK != nil,
		"presence_penalty":  r.Presence != nil && *r.Presence != 0,
		"frequency_penalty": r.Frequency != nil && *r.Frequency != 0,
		"logprobs":          r.Logprobs,
		"top_logprobs":      r.TopLogprobs > 0,
	})
	return encode(w)
}

// loseFields notes the fields that were asked for, in the order of their names.
func (r *Request) loseFields(asked map[string]bool) {
	for _, field := range slices.Sorted(maps.Keys(asked)) {
		if asked[field] {
			r.lose(field)
		}
	}
}

// responsesBody is the request without its conversation.
func (r *Request) responsesBody() (*responsesBody, error) {
	w := &responsesBody{
		Model: r.Model, Parallel: r.Parallel, MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP,
		Metadata: r.Metadata, User: r.User, CacheKey: r.CacheKey, Tier: r.Tier,
		// The API keeps what nobody says not to keep; others do not.
		Store: r.Store != nil && *r.Store,
	}
	for i := range r.Tools {
		t := &r.Tools[i]
		if t.Hosted != "" {
			return nil, &Impossible{"tools", fmt.Sprintf("the provider's API has no tool %s that works as asked", printable(t.Hosted))}
		}
		if t.Cache {
			r.lose("tools.cache_control")
		}
		w.Tools = append(w.Tools, responsesTool(t))
	}
	switch r.Choice.Mode {
	case ChoiceAuto:
		w.ToolChoice = "auto"
	case ChoiceNone:
		w.ToolChoice = "none"
	case ChoiceRequired:
		w.ToolChoice = "required"
	case ChoiceNamed:
		w.ToolChoice = responsesNamed{"function", r.Choice.Name}
		if r.custom(r.Choice.Name) {
			w.ToolChoice = responsesNamed{"custom", r.Choice.Name}
		}
	}
	if r.Verbosity != "" || r.Format.Kind != FormatText {
		w.Text = &responsesText{Verbosity: r.Verbosity, Format: r.responsesFormat()}
	}
	if e := r.responsesEffort(); e != "" || r.Reasoning.Show && r.Reasoning.Budget != nil {
		w.Reasoning = &responsesReasoning{Effort: e}
		if r.Reasoning.Show && e != "none" {
			w.Reasoning.Summary = "auto"
		}
	}
	return w, nil
}

func responsesTool(t *Tool) any {
	if t.Custom {
		// Of its definition only what this dialect's own callers write is left out.
		if o, err := readObject(t.Raw, "tools"); err == nil && o["custom"] == nil {
			return json.RawMessage(t.Raw)
		}
		return struct {
			responsesNamed
			Description string `json:"description,omitempty"`
		}{responsesNamed{"custom", t.Name}, t.Description}
	}
	f := responsesFunction{Type: "function", Name: t.Name, Description: t.Description, Parameters: t.Schema}
	f.Strict = t.Strict != nil && *t.Strict
	return f
}

func (r *Request) responsesFormat() *responsesFormat {
	switch r.Format.Kind {
	case FormatJSON:
		return &responsesFormat{Type: "json_object"}
	case FormatSchema:
		f := &responsesFormat{Type: "json_schema", Name: r.Format.Name, Description: r.Format.Description, Schema: r.Format.Schema, Strict: r.Format.Strict}
		if f.Name == "" { // the API wants one
			f.Name = "answer"
		}
		return f
	}
	return nil
}

// responsesEffort is how much the model shall think, in words: the API takes no
// number of tokens.
func (r *Request) responsesEffort() string {
	if r.Reasoning.Effort != "" || r.Reasoning.Budget == nil {
		return r.Reasoning.Effort
	}
	switch n := *r.Reasoning.Budget; {
	case n == 0:
		return "none"
	case n <= 2048:
		return "low"
	case n <= 16384:
		return "medium"
	}
	return "high"
}

// responsesInput writes the conversation. One text above it is the instructions; more
// stand as a developer's message at its head.
func (r *Request) responsesInput(w *responsesBody) error {
	w.Input = []any{}
	if len(r.System) == 1 && r.System[0].Kind == Text {
		if w.Instructions = &r.System[0].Text; r.System[0].Cache {
			r.lose("cache_control")
		}
	} else if len(r.System) > 0 {
		content, err := r.responsesContent(r.System, "system")
		if err != nil {
			return err
		}
		w.Input = append(w.Input, inputMessage{"message", "developer", content})
	}
	custom := map[string]bool{}
	for i := range r.Turns {
		t := &r.Turns[i]
		if t.Name != "" {
			r.lose("messages.name")
		}
		field := fmt.Sprintf("messages.%d", i)
		var err error
		if t.Role == Assistant {
			err = r.responsesTurn(w, t, field, custom)
		} else {
			err = r.responsesSaid(w, t, field, custom)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// responsesSaid writes what the user or the app says: messages, and the results of
// tools as items of their own.
func (r *Request) responsesSaid(w *responsesBody, t *Turn, field string, custom map[string]bool) error {
	role := "user"
	if t.Role == System {
		role = "developer"
	}
	var said []Part
	flush := func() error {
		if len(said) == 0 {
			return nil
		}
		content, err := r.responsesContent(said, field)
		w.Input = append(w.Input, inputMessage{"message", role, content})
		said = nil
		return err
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Kind != ToolResult {
			said = append(said, *p)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		out := toolOutput{Type: "function_call_output", CallID: p.ID}
		if custom[p.ID] {
			out.Type = "custom_tool_call_output"
		}
		if p.Failed {
			r.lose("tool_result.is_error")
		}
		if p.Cache {
			r.lose("cache_control")
		}
		switch {
		case len(p.Content) == 0:
			out.Output = ""
		case len(p.Content) == 1 && p.Content[0].Kind == Text:
			out.Output = p.Content[0].Text
		default:
			content, err := r.responsesContent(p.Content, field)
			if err != nil {
				return err
			}
			out.Output = content
		}
		w.Input = append(w.Input, out)
	}
	return flush()
}

// responsesContent writes parts that go to a model.
func (r *Request) responsesContent(parts []Part, field string) ([]responsesContent, error) {
	out := []responsesContent{}
	for i := range parts {
		p := &parts[i]
		if p.Cache {
			r.lose("cache_control")
		}
		switch m := &p.Media; {
		case p.Kind == Text:
			out = append(out, responsesContent{Type: "input_text", Text: &p.Text})
		case m.FileID != "":
			return nil, &Impossible{field, "a file that was sent to one provider is not known to another: send its content"}
		case p.Kind == Image:
			out = append(out, responsesContent{Type: "input_image", ImageURL: m.dataURL(), Detail: m.Detail})
		case p.Kind == File && m.Data != "":
			c := responsesContent{Type: "input_file", FileData: m.dataURL(), FileName: m.Name}
			if c.FileName == "" { // the API wants one with content
				c.FileName = "file"
			}
			out = append(out, c)
		case p.Kind == File:
			out = append(out, responsesContent{Type: "input_file", FileURL: m.URL})
		case p.Kind == Audio:
			return nil, &Impossible{field, "the provider's API takes no audio"}
		default:
			return nil, &Impossible{field, "the provider's API takes no part of this kind there"}
		}
	}
	return out, nil
}

// responsesTurn writes what a model did, each in an item of its own.
func (r *Request) responsesTurn(w *responsesBody, t *Turn, field string, custom map[string]bool) error {
	var said []outputText
	flush := func() {
		if len(said) > 0 {
			w.Input = append(w.Input, inputMessage{"message", "assistant", said})
			said = nil
		}
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Cache {
			r.lose("cache_control")
		}
		switch p.Kind {
		case Text, Declined:
			said = append(said, outputOf(p.Kind, p.Text))
		case ToolCall:
			flush()
			custom[p.ID] = r.custom(p.Name)
			w.Input = append(w.Input, callItem(p, custom[p.ID]))
		case Thought:
			if p.Origin != Responses || p.Signature == "" { // what is not sealed the provider does not take
				r.lose("messages.thinking")
				continue
			}
			flush()
			w.Input = append(w.Input, reasoningItem(p, p.ID))
		default:
			return &Impossible{field, "the provider's API takes no such part of an assistant"}
		}
	}
	flush()
	return nil
}

func callItem(p *Part, custom bool) responsesItem {
	it := responsesItem{Type: "function_call", CallID: p.ID, Name: p.Name}
	text := p.Text
	if custom {
		text = customInput(text)
		it.Type, it.Input = "custom_tool_call", &text
	} else {
		it.Arguments = &text
	}
	return it
}

func reasoningItem(p *Part, id string) responsesItem {
	it := responsesItem{Type: "reasoning", ID: id, Summary: &[]summaryText{}, Encrypted: wrap(p, Responses)}
	if p.Text != "" {
		it.Summary = &[]summaryText{{"summary_text", p.Text}}
	}
	return it
}

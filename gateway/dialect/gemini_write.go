package dialect

import (
	"fmt"
	"strings"
)

func (gemini) WriteRequest(r *Request) ([]byte, error) {
	var w geminiRequest
	if err := r.geminiContents(&w); err != nil {
		return nil, err
	}
	if err := r.geminiTools(&w); err != nil {
		return nil, err
	}
	c := generateConfig{
		MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP, TopK: r.TopK, Stop: r.Stop, Seed: r.Seed,
		Presence: r.Presence, Frequency: r.Frequency, Logprobs: r.Logprobs, Thinking: r.geminiThinking(),
	}
	if r.Logprobs {
		c.TopLogprobs = r.TopLogprobs
	}
	if r.Choices > 1 {
		c.Candidates = r.Choices
	}
	switch r.Format.Kind {
	case FormatSchema:
		c.Schema = r.Format.Schema
		fallthrough
	case FormatJSON:
		c.MIME = "application/json"
	}
	if b, err := encode(c); err != nil {
		return nil, err
	} else if string(b) != "{}" {
		w.Config = &c
	}
	switch r.Tier {
	case "", "auto":
	case "flex", "priority", "standard":
		w.ServiceTier = r.Tier
	case "default", "standard_only":
		w.ServiceTier = "standard"
	default:
		r.lose("service_tier")
	}
	for _, f := range []struct {
		field string
		asked bool
	}{
		{"user", r.User != ""},
		{"metadata", len(r.Metadata) > 0},
		{"store", r.Store != nil && *r.Store},
		{"prompt_cache_key", r.CacheKey != ""},
		{"verbosity", r.Verbosity != ""},
		{"parallel_tool_calls", r.Parallel != nil && !*r.Parallel && len(r.Tools) > 0},
	} {
		if f.asked {
			r.lose(f.field)
		}
	}
	return encode(w)
}

// olderGemini reports whether a model is of the generations before 3, which take a
// budget of thought and not a level, sign nothing that they want back, and take no
// images in the results of tools.
func olderGemini(model string) bool {
	return strings.Contains(model, "gemini-1") || strings.Contains(model, "gemini-2")
}

// geminiBudgets are the budgets that Google's own table gives for OpenAI's efforts
// (ai.google.dev/gemini-api/docs/openai).
var geminiBudgets = map[string]int64{"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}

func (r *Request) geminiThinking() *geminiThinking {
	want := r.Reasoning
	if want == (Reasoning{}) {
		return nil
	}
	pro := strings.Contains(r.Model, "pro")
	off := want.Effort == "none" || want.Budget != nil && *want.Budget == 0
	t := geminiThinking{Show: want.Show}
	if olderGemini(r.Model) {
		if !strings.Contains(r.Model, "gemini-2.5") { // these do not think
			if !off && (want.Effort != "" || want.Budget != nil) {
				r.lose("reasoning")
			}
			return nil
		}
		budget, said := geminiBudgets[want.Effort]
		if want.Budget != nil {
			budget, said = *want.Budget, *want.Budget >= 0
		}
		switch most := int64(24576); {
		case !said:
		case pro && budget < 128: // cannot be told not to think
			r.lose("reasoning")
			budget = 128
			fallthrough
		default:
			if pro {
				most = 32768
			}
			budget = min(budget, most)
			t.Budget = &budget
		}
		return t.orNone()
	}
	level := r.effort()
	switch level {
	case "none":
		r.lose("reasoning") // the least is not nothing
		fallthrough
	case "minimal":
		if level = "minimal"; pro {
			level = "low"
		}
	case "xhigh":
		level = "high"
	}
	t.Level = strings.ToUpper(level)
	return t.orNone()
}

func (t geminiThinking) orNone() *geminiThinking {
	if t == (geminiThinking{}) {
		return nil
	}
	return &t
}

func (r *Request) geminiTools(w *geminiRequest) error {
	var t geminiTool
	for i := range r.Tools {
		tool := &r.Tools[i]
		if tool.Hosted != "" {
			return &Impossible{"tools", fmt.Sprintf("the provider's API has no tool %s that works as asked", tool.Hosted)}
		}
		if tool.Cache {
			r.lose("cache_control")
		}
		if len(tool.Schema) > 0 && first(tool.Schema) != '{' {
			return &Malformed{"tools", "the schema of the arguments is not a JSON object"}
		}
		t.Functions = append(t.Functions, geminiFunction{tool.Name, tool.Description, tool.Schema})
	}
	if len(t.Functions) > 0 {
		w.Tools = []geminiTool{t}
	}
	var c geminiChoice
	switch r.Choice.Mode {
	case ChoiceUnset:
		return nil
	case ChoiceAuto:
		c.Calling.Mode = "AUTO"
	case ChoiceNone:
		c.Calling.Mode = "NONE"
	case ChoiceNamed:
		c.Calling.Allowed = []string{r.Choice.Name}
		fallthrough
	case ChoiceRequired:
		c.Calling.Mode = "ANY"
	}
	w.ToolConfig = &c
	return nil
}

// unsigned stands where a call has no signature, as when another model made it or the
// caller's dialect has no place for one. Gemini 3 refuses the call without
// (ai.google.dev/gemini-api/docs/thought-signatures).
const unsigned = "skip_thought_signature_validator"

// geminiContents writes the conversation. The results of tools stand alone in their
// content, right after that of the calls.
func (r *Request) geminiContents(w *geminiRequest) error {
	system, err := r.geminiParts(r.System, "system")
	if err != nil {
		return err
	}
	for i, t := range r.Turns {
		if t.Name != "" {
			r.lose("messages.name")
		}
		field := fmt.Sprintf("messages.%d.content", i)
		switch t.Role {
		case System: // its place is lost, its weight is not
			parts, err := r.geminiParts(t.Parts, field)
			if err != nil {
				return err
			}
			system = append(system, parts...)
			r.lose("messages.role")
		case Assistant:
			parts, err := r.geminiParts(t.Parts, field)
			if err != nil {
				return err
			}
			w.add("model", parts)
		default:
			var results, other []Part
			for _, p := range t.Parts {
				if p.Kind == ToolResult {
					results = append(results, p)
				} else {
					other = append(other, p)
				}
			}
			for _, run := range [][]Part{results, other} {
				parts, err := r.geminiParts(run, field)
				if err != nil {
					return err
				}
				w.add("user", parts)
			}
		}
	}
	if len(system) > 0 {
		w.System = &geminiContent{Parts: system}
	}
	if len(w.Contents) == 0 {
		return &Impossible{"messages", "the provider's API wants a message of the user"}
	}
	if !olderGemini(r.Model) {
		signCalls(w.Contents)
	}
	return nil
}

// add appends a content, or to the last one where it is of the same kind.
func (w *geminiRequest) add(role string, parts []geminiPart) {
	if len(parts) == 0 {
		return
	}
	if n := len(w.Contents); n > 0 && w.Contents[n-1].Role == role && (parts[0].Result != nil) == (w.Contents[n-1].Parts[0].Result != nil) {
		w.Contents[n-1].Parts = append(w.Contents[n-1].Parts, parts...)
		return
	}
	w.Contents = append(w.Contents, geminiContent{role, parts})
}

// signCalls sees that the first call of each of the model's contents is signed: those
// at once with it are not.
func signCalls(contents []geminiContent) {
	for _, c := range contents {
		for i := range c.Parts {
			if c.Parts[i].Call == nil {
				continue
			}
			if c.Parts[i].Signature == "" {
				c.Parts[i].Signature = unsigned
			}
			break
		}
	}
}

func (r *Request) geminiParts(parts []Part, field string) ([]geminiPart, error) {
	var (
		out  []geminiPart
		sign string // of a thought without words: it is the next part's
	)
	for i := range parts {
		p := &parts[i]
		if p.Cache {
			r.lose("cache_control")
		}
		if p.Kind == Thought {
			if p.Origin != Gemini {
				r.lose("messages.thinking")
				continue
			}
			if p.Text == "" && p.Signature != "" {
				sign = p.Signature
				continue
			}
		}
		ps, err := r.geminiPart(p, fmt.Sprintf("%s.%d", field, i))
		if err != nil {
			return nil, err
		}
		if len(ps) == 0 {
			continue
		}
		if sign != "" && ps[0].Signature == "" {
			ps[0].Signature = sign
		}
		sign = ""
		out = append(out, ps...)
	}
	if sign != "" {
		out = append(out, geminiPart{Text: new(string), Signature: sign})
	}
	return out, nil
}

// geminiPart writes a part; nothing for an empty one.
func (r *Request) geminiPart(p *Part, field string) ([]geminiPart, error) {
	var sign string
	if p.Origin == Gemini {
		sign = p.Signature
	}
	switch p.Kind {
	case Text, Declined, Thought:
		if p.Text == "" && sign == "" {
			return nil, nil
		}
		return []geminiPart{{Text: &p.Text, Thought: p.Kind == Thought, Signature: sign}}, nil
	case Image, Audio, File:
		return r.geminiMediaPart(p, field)
	case ToolCall:
		return []geminiPart{{Call: &geminiCall{p.ID, p.Name, r.arguments(p.Text)}, Signature: sign}}, nil
	case ToolResult:
		return r.geminiResultPart(p, field)
	}
	return nil, &Impossible{field, "the provider's API takes no part of this kind"}
}

func (r *Request) geminiMediaPart(p *Part, field string) ([]geminiPart, error) {
	m := &p.Media
	if m.Detail != "" && m.Detail != "auto" {
		r.lose("messages.content.detail")
	}
	switch {
	case m.FileID != "":
		return nil, &Impossible{field, "a file that was sent to one provider is not known to another: send its content"}
	case m.Data != "" && m.Type == "":
		return nil, &Impossible{field, "the provider's API wants the media type said"}
	case m.Data != "":
		return []geminiPart{{Inline: &geminiBlob{m.Type, m.Data}}}, nil
	case m.URL != "":
		return []geminiPart{{File: &geminiFile{m.Type, m.URL}}}, nil
	}
	return nil, &Malformed{field, "holds neither data nor a link"}
}

func (r *Request) geminiResultPart(p *Part, field string) ([]geminiPart, error) {
	if p.Name == "" {
		return nil, &Malformed{field, "answers no call that stands before it"}
	}
	text, media := splitResult(p.Content)
	key := "output"
	if p.Failed {
		key = "error"
	}
	result := geminiPart{Result: &geminiResult{ID: p.ID, Name: p.Name, Response: map[string]string{key: text}}}
	parts, err := r.geminiParts(media, field)
	if err != nil {
		return nil, err
	}
	if olderGemini(r.Model) {
		return append([]geminiPart{result}, parts...), nil
	}
	result.Result.Parts = parts
	return []geminiPart{result}, nil
}

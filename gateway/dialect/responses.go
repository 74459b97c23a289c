package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
)

func init() { register(Responses, responses{}) }

// responses is the codec of OpenAI's Responses
// (platform.openai.com/docs/api-reference/responses).
type responses struct{}

// responsesImpossible are the fields of a body that ask for what the provider keeps,
// with what the app can do.
var responsesImpossible = map[string]string{
	"previous_response_id": "the answer that it names is kept by the provider that gave it, and no other can go on from it; send the whole conversation in input",
	"conversation":         "the conversation that it names is kept by one provider; send it in input",
	"prompt":               "the prompt that it names is kept by one provider; send its text in instructions and input",
}

func (responses) ReadRequest(body []byte, model string, stream bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream, StreamUsage: true}
	delete(o, "model")
	delete(o, "stream")
	for _, key := range []string{"previous_response_id", "conversation", "prompt"} {
		if o.raw(key) != nil {
			return nil, &Impossible{key, responsesImpossible[key]}
		}
	}
	if err := r.readResponsesFields(o); err != nil {
		return nil, err
	}
	var instructions string
	if said, err := o.take("instructions", &instructions); err != nil {
		return nil, err
	} else if said {
		r.System = append(r.System, Part{Kind: Text, Text: instructions})
	}
	if err := r.readInput(o.raw("input")); err != nil {
		return nil, err
	}
	if err := r.readResponsesTools(o); err != nil {
		return nil, err
	}
	r.loseAll(o.rest(""))
	return r, nil
}

func (r *Request) readResponsesFields(o object) error {
	var (
		background bool
		truncation string
		user       string
		include    []string
	)
	for _, f := range []struct {
		key string
		to  any
	}{
		{"background", &background}, {"truncation", &truncation}, {"include", &include},
		{"max_output_tokens", &r.MaxTokens}, {"temperature", &r.Temperature}, {"top_p", &r.TopP},
		{"top_logprobs", &r.TopLogprobs}, {"metadata", &r.Metadata}, {"user", &user},
		{"safety_identifier", &r.User}, {"prompt_cache_key", &r.CacheKey}, {"store", &r.Store},
		{"service_tier", &r.Tier}, {"parallel_tool_calls", &r.Parallel},
	} {
		if _, err := o.take(f.key, f.to); err != nil {
			return err
		}
	}
	if background {
		return &Impossible{"background", "the answer would have to be fetched later from the provider that keeps it"}
	}
	if truncation != "" && truncation != "disabled" {
		r.lose("truncation")
	}
	if r.MaxTokens < 0 {
		return &Malformed{"max_output_tokens", "is below zero"}
	}
	if r.User == "" {
		r.User = user
	} else if user != "" && user != r.User {
		r.lose("user")
	}
	for _, what := range include {
		switch what {
		case "reasoning.encrypted_content": // given wherever there is one
		case "message.output_text.logprobs":
			r.Logprobs = true
		default:
			r.lose("include." + what)
		}
	}
	r.Logprobs = r.Logprobs || r.TopLogprobs > 0
	if raw := o.raw("stream_options"); raw != nil {
		s, err := readObject(raw, "stream_options")
		if err != nil {
			return err
		}
		if hide := s.raw("include_obfuscation"); string(hide) == "true" {
			r.lose("stream_options.include_obfuscation")
		}
		r.loseAll(s.rest("stream_options."))
	}
	if err := r.readResponsesText(o.raw("text")); err != nil {
		return err
	}
	return r.readResponsesReasoning(o.raw("reasoning"))
}

func (r *Request) readResponsesText(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	t, err := readObject(raw, "text")
	if err != nil {
		return err
	}
	r.Verbosity = t.text("verbosity")
	format := t.raw("format")
	r.loseAll(t.rest("text."))
	if format == nil {
		return nil
	}
	f, err := readObject(format, "text.format")
	if err != nil {
		return err
	}
	switch f.text("type") {
	case "text":
	case "json_object":
		r.Format.Kind = FormatJSON
	case "json_schema":
		r.Format = Format{Kind: FormatSchema, Name: f.text("name"), Description: f.text("description"), Schema: f.raw("schema")}
		if first(r.Format.Schema) != '{' {
			return &Malformed{"text.format.schema", "is not a JSON object"}
		}
		if _, err := f.take("strict", &r.Format.Strict); err != nil {
			return err
		}
	default:
		return &Impossible{"text.format.type", "no other API has a format of this type"}
	}
	r.loseAll(f.rest("text.format."))
	return nil
}

func (r *Request) readResponsesReasoning(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	t, err := readObject(raw, "reasoning")
	if err != nil {
		return err
	}
	r.Reasoning.Effort = t.text("effort")
	summary, older := t.text("summary"), t.text("generate_summary")
	if summary == "" {
		summary = older
	}
	r.Reasoning.Show = summary != ""
	if summary != "" && summary != "auto" { // how long it shall be
		r.lose("reasoning.summary")
	}
	r.loseAll(t.rest("reasoning."))
	return nil
}

func (r *Request) readResponsesTools(o object) error {
	if raw := o.raw("tools"); raw != nil {
		list, err := readList(raw, "tools")
		if err != nil {
			return err
		}
		for i, raw := range list {
			t, err := r.readResponsesTool(raw, fmt.Sprintf("tools.%d", i))
			if err != nil {
				return err
			}
			r.Tools = append(r.Tools, t)
		}
	}
	raw := o.raw("tool_choice")
	if raw == nil {
		return nil
	}
	if isString(raw) {
		var ok bool
		if r.Choice.Mode, ok = responsesChoices[string(raw)]; !ok {
			return &Malformed{"tool_choice", "must be auto, none, required or an object"}
		}
		return nil
	}
	c, err := readObject(raw, "tool_choice")
	if err != nil {
		return err
	}
	switch kind := c.text("type"); kind {
	case "function", "custom":
		r.Choice = Choice{ChoiceNamed, c.text("name")}
	case "allowed_tools":
		return r.allow(c)
	default:
		return &Impossible{"tool_choice", "the tool that it names is run by one provider"}
	}
	return nil
}

var responsesChoices = map[string]ChoiceMode{`"auto"`: ChoiceAuto, `"none"`: ChoiceNone, `"required"`: ChoiceRequired}

// allow keeps only the tools that a choice allows: other APIs can say the same by
// offering no more than these.
func (r *Request) allow(c object) error {
	var allowed []struct{ Type, Name string }
	if _, err := c.take("tools", &allowed); err != nil {
		return &Malformed{"tool_choice.tools", "is not an array of tools"}
	}
	if r.Choice.Mode = ChoiceAuto; c.text("mode") == "required" {
		r.Choice.Mode = ChoiceRequired
	}
	var kept []Tool
	for _, t := range r.Tools {
		for _, a := range allowed {
			if t.Hosted == "" && t.Name == a.Name || t.Hosted != "" && t.Hosted == a.Type {
				kept = append(kept, t)
				break
			}
		}
	}
	if len(kept) == 0 {
		return &Malformed{"tool_choice.tools", "names none of the tools"}
	}
	r.Tools = kept
	return nil
}

// customSchema is the schema of a custom tool where tools take objects.
const customSchema = `{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}`

func (r *Request) readResponsesTool(raw json.RawMessage, field string) (Tool, error) {
	o, err := readObject(raw, field)
	if err != nil {
		return Tool{}, err
	}
	switch kind := o.text("type"); kind {
	case "function":
		t := Tool{Name: o.text("name"), Description: o.text("description"), Schema: o.raw("parameters")}
		if t.Name == "" {
			return t, &Malformed{field + ".name", "is missing"}
		}
		var strict bool
		if _, err := o.take("strict", &strict); err != nil {
			return t, &Malformed{field + ".strict", "is neither true nor false"}
		}
		if strict {
			t.Strict = &strict
		}
		r.loseAll(o.rest("tools."))
		return t, nil
	case "custom":
		t := Tool{Name: o.text("name"), Description: o.text("description"), Custom: true, Raw: raw, Schema: []byte(customSchema)}
		if t.Name == "" {
			return t, &Malformed{field + ".name", "is missing"}
		}
		r.readGrammar(&t, o.raw("format"))
		r.loseAll(o.rest("tools."))
		return t, nil
	case "":
		return Tool{}, &Malformed{field + ".type", "is missing"}
	default:
		return Tool{Name: o.text("name"), Hosted: kind, Raw: raw}, nil
	}
}

// readGrammar tells the model in words of the grammar that nobody else enforces.
func (r *Request) readGrammar(t *Tool, raw json.RawMessage) {
	var f struct{ Type, Syntax, Definition string }
	if json.Unmarshal(raw, &f) != nil || f.Type != "grammar" {
		return
	}
	r.lose("tools.format")
	t.Description = strings.TrimSpace(fmt.Sprintf("%s\n\nThe input must follow this grammar (%s):\n%s", t.Description, f.Syntax, f.Definition))
}

// custom reports whether a tool of this name takes free text.
func (r *Request) custom(name string) bool {
	for i := range r.Tools {
		if r.Tools[i].Name == name && r.Tools[i].Custom {
			return true
		}
	}
	return false
}

// customArguments is a custom tool's input as arguments.
func customArguments(input string) string {
	b, _ := encode(struct {
		Input string `json:"input"`
	}{input})
	return string(b)
}

// customInput is the input in a custom tool's arguments; what is no such object is
// the input itself.
func customInput(arguments string) string {
	var a struct {
		Input *string `json:"input"`
	}
	if json.Unmarshal([]byte(arguments), &a) == nil && a.Input != nil {
		return *a.Input
	}
	return arguments
}

package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
)

func init() { register(Chat, chat{}) }

// chat is the codec of OpenAI's chat completions
// (platform.openai.com/docs/api-reference/chat) and of the many servers that speak
// them.
type chat struct{}

// What changes the answer itself is refused, what merely tunes the call is lost by
// name.
var chatImpossible = map[string]string{
	"audio":              "answers in sound are this API's alone",
	"web_search_options": "no other API has this provider's search",
	"functions":          "the older functions are this API's alone; offer tools",
	"function_call":      "the older functions are this API's alone; use tool_choice",
}

func (chat) ReadRequest(body []byte, model string, stream bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream}
	delete(o, "model")
	delete(o, "stream")
	for key, why := range chatImpossible {
		if o.raw(key) != nil {
			return nil, &Impossible{key, why}
		}
	}
	var most, older int64
	var user string
	for _, f := range []struct {
		key string
		to  any
	}{
		{"max_tokens", &older}, {"max_completion_tokens", &most}, {"temperature", &r.Temperature}, {"top_p", &r.TopP}, {"top_k", &r.TopK}, {"n", &r.Choices},
		{"presence_penalty", &r.Presence}, {"frequency_penalty", &r.Frequency}, {"seed", &r.Seed}, {"logprobs", &r.Logprobs}, {"top_logprobs", &r.TopLogprobs},
		{"user", &user}, {"safety_identifier", &r.User}, {"metadata", &r.Metadata}, {"service_tier", &r.Tier}, {"store", &r.Store}, {"prompt_cache_key", &r.CacheKey},
		{"parallel_tool_calls", &r.Parallel}, {"reasoning_effort", &r.Reasoning.Effort}, {"verbosity", &r.Verbosity},
	} {
		if _, err := o.take(f.key, f.to); err != nil {
			return nil, err
		}
	}
	if r.MaxTokens = most; most == 0 {
		r.MaxTokens = older
	}
	if r.User == "" {
		r.User = user
	}
	r.Reasoning.Show = true
	if raw := o.raw("modalities"); raw != nil && strings.Contains(string(raw), "audio") {
		return nil, &Impossible{"modalities", "answers in sound are this API's alone"}
	}
	if raw := o.raw("stop"); isString(raw) {
		var s string
		json.Unmarshal(raw, &s)
		r.Stop = []string{s}
	} else if raw != nil && json.Unmarshal(raw, &r.Stop) != nil {
		return nil, &Malformed{"stop", "must be a string or a list of strings"}
	}
	if raw := o.raw("stream_options"); raw != nil {
		s, err := readObject(raw, "stream_options")
		if err != nil {
			return nil, err
		}
		if _, err := s.take("include_usage", &r.StreamUsage); err != nil {
			return nil, within("stream_options", err)
		}
	}
	if err := r.readChatMessages(o.raw("messages")); err != nil {
		return nil, err
	}
	if err := r.readChatTools(o); err != nil {
		return nil, err
	}
	if err := r.readChatFormat(o.raw("response_format")); err != nil {
		return nil, err
	}
	for _, field := range o.rest("") {
		r.lose(field)
	}
	return r, nil
}

func (r *Request) readChatMessages(raw json.RawMessage) error {
	list, err := readList(raw, "messages")
	if err != nil {
		return err
	}
	for i, raw := range list {
		at := fmt.Sprintf("messages[%d]", i)
		m, err := readObject(raw, at)
		if err != nil {
			return err
		}
		role, name := m.text("role"), m.text("name")
		content := m.raw("content")
		switch role {
		case "system", "developer":
			parts, err := r.readChatContent(content, at)
			if err != nil {
				return err
			}
			if len(r.Turns) == 0 {
				r.System = append(r.System, parts...)
			} else {
				r.Turns = append(r.Turns, Turn{Role: System, Name: name, Parts: parts})
			}
		case "user":
			parts, err := r.readChatContent(content, at)
			if err != nil {
				return err
			}
			r.Turns = append(r.Turns, Turn{Role: User, Name: name, Parts: parts})
		case "assistant":
			parts, err := r.readChatAssistant(m, content, at)
			if err != nil {
				return err
			}
			r.Turns = append(r.Turns, Turn{Role: Assistant, Name: name, Parts: parts})
		case "tool":
			parts, err := r.readChatContent(content, at)
			if err != nil {
				return err
			}
			result := Part{Kind: ToolResult, ID: m.text("tool_call_id"), Name: name, Content: parts}
			if n := len(r.Turns); n > 0 && onlyResults(r.Turns[n-1]) {
				r.Turns[n-1].Parts = append(r.Turns[n-1].Parts, result)
			} else {
				r.Turns = append(r.Turns, Turn{Role: User, Parts: []Part{result}})
			}
		default:
			return &Malformed{at + ".role", "must be system, developer, user, assistant or tool"}
		}
		for _, field := range m.rest("messages[].") {
			r.lose(field)
		}
	}
	r.nameResults()
	return nil
}

func onlyResults(t Turn) bool {
	for _, p := range t.Parts {
		if p.Kind != ToolResult {
			return false
		}
	}
	return t.Role == User && len(t.Parts) > 0
}

// nameResults names the tools of results by the calls that they answer: some dialects
// want the name.
func (r *Request) nameResults() {
	names := map[string]string{}
	for i := range r.Turns {
		for k := range r.Turns[i].Parts {
			switch p := &r.Turns[i].Parts[k]; p.Kind {
			case ToolCall:
				names[p.ID] = p.Name
			case ToolResult:
				if p.Name == "" {
					p.Name = names[p.ID]
				}
			}
		}
	}
}

func (r *Request) readChatAssistant(m object, content json.RawMessage, at string) ([]Part, error) {
	if m.raw("audio") != nil {
		return nil, &Impossible{at + ".audio", "answers in sound are this API's alone"}
	}
	if m.raw("function_call") != nil {
		return nil, &Impossible{at + ".function_call", "the older functions are this API's alone; use tool_calls"}
	}
	parts := readChatThoughts(m)
	said, err := r.readChatContent(content, at)
	if err != nil {
		return nil, err
	}
	parts = append(parts, said...)
	if text := m.text("refusal"); text != "" {
		parts = append(parts, Part{Kind: Declined, Text: text})
	}
	m.raw("annotations")
	calls, err := readChatCalls(m.raw("tool_calls"), at+".tool_calls")
	return append(parts, calls...), err
}

// readChatThoughts reads what a model thought: reasoning_content as DeepSeek has it,
// and reasoning_details as OpenRouter has them, which can carry a signature.
func readChatThoughts(m object) []Part {
	var (
		parts   []Part
		details []struct{ Type, Text, Summary, Signature, Data string }
	)
	text := m.text("reasoning_content")
	if other := m.text("reasoning"); text == "" {
		text = other
	}
	json.Unmarshal(m.raw("reasoning_details"), &details)
	for _, d := range details {
		p := Part{Kind: Thought, Text: d.Text + d.Summary}
		unwrap(&p, d.Signature, Chat)
		if d.Data != "" {
			unwrap(&p, d.Data, Chat)
			if p.Origin == Chat {
				p.Signature, p.Sealed = "", d.Data
			}
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 && text != "" {
		parts = append(parts, Part{Kind: Thought, Text: text, Origin: Chat})
	}
	return parts
}

// chatCall is a tool call. extra_content carries Gemini's signature as Google's own
// server of this dialect does (ai.google.dev/gemini-api/docs/openai).
type chatCall struct {
	Index    *int          `json:"index,omitempty"`
	ID       string        `json:"id,omitempty"`
	Type     string        `json:"type,omitempty"`
	Function *chatFunction `json:"function,omitempty"`
	Custom   *chatCustom   `json:"custom,omitempty"`
	Extra    *chatExtra    `json:"extra_content,omitempty"`
}

type chatFunction struct {
	Name      string  `json:"name,omitempty"`
	Arguments *string `json:"arguments,omitempty"`
}

type chatCustom struct {
	Name  string `json:"name,omitempty"`
	Input string `json:"input"`
}

type chatExtra struct {
	Google struct {
		Signature string `json:"thought_signature"`
	} `json:"google"`
}

func readChatCalls(raw json.RawMessage, at string) ([]Part, error) {
	if raw == nil {
		return nil, nil
	}
	var calls []chatCall
	if json.Unmarshal(raw, &calls) != nil {
		return nil, &Malformed{at, "is not a list of tool calls"}
	}
	var parts []Part
	for i, c := range calls {
		p := Part{Kind: ToolCall, ID: c.ID}
		switch {
		case c.Function != nil:
			if p.Name = c.Function.Name; c.Function.Arguments != nil {
				p.Text = *c.Function.Arguments
			}
		case c.Custom != nil:
			p.Name = c.Custom.Name
			b, err := encode(map[string]string{"input": c.Custom.Input})
			if err != nil {
				return nil, err
			}
			p.Text = string(b)
		default:
			return nil, &Malformed{fmt.Sprintf("%s[%d]", at, i), "is neither a function's call nor a custom tool's"}
		}
		if c.Extra != nil && c.Extra.Google.Signature != "" {
			unwrap(&p, c.Extra.Google.Signature, Gemini)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// readChatContent reads a message's content: a text, or a list of parts.
func (r *Request) readChatContent(raw json.RawMessage, at string) ([]Part, error) {
	if raw == nil {
		return nil, nil
	}
	if isString(raw) {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		if text == "" {
			return nil, nil
		}
		return []Part{{Kind: Text, Text: text}}, nil
	}
	list, err := readList(raw, at+".content")
	if err != nil {
		return nil, err
	}
	var parts []Part
	for i, raw := range list {
		at := fmt.Sprintf("%s.content[%d]", at, i)
		c, err := readObject(raw, at)
		if err != nil {
			return nil, err
		}
		p, err := readChatPart(c, at)
		if err != nil {
			return nil, err
		}
		if raw := c.raw("cache_control"); raw != nil {
			p.Cache = true
		}
		if p.Kind != Text || p.Text != "" { // an empty text says nothing, and some APIs refuse it
			parts = append(parts, p)
		}
		for _, field := range c.rest("messages[].content[].") {
			r.lose(field)
		}
	}
	return parts, nil
}

func readChatPart(c object, at string) (Part, error) {
	switch kind := c.text("type"); kind {
	case "text":
		return Part{Kind: Text, Text: c.text("text")}, nil
	case "refusal":
		return Part{Kind: Declined, Text: c.text("refusal")}, nil
	case "image_url":
		var v struct{ URL, Detail string }
		var err error
		if raw := c.raw("image_url"); isString(raw) {
			err = json.Unmarshal(raw, &v.URL)
		} else {
			err = json.Unmarshal(raw, &v)
		}
		if err != nil || v.URL == "" {
			return Part{}, &Malformed{at + ".image_url", "has no url"}
		}
		m := mediaOf(v.URL)
		m.Detail = v.Detail
		return Part{Kind: Image, Media: m}, nil
	case "input_audio":
		var v struct{ Data, Format string }
		if json.Unmarshal(c.raw("input_audio"), &v) != nil || v.Data == "" {
			return Part{}, &Malformed{at + ".input_audio", "has no data"}
		}
		return Part{Kind: Audio, Media: Media{Type: "audio/" + v.Format, Data: v.Data}}, nil
	case "file":
		var v struct {
			Data string `json:"file_data"`
			ID   string `json:"file_id"`
			Name string `json:"filename"`
		}
		if json.Unmarshal(c.raw("file"), &v) != nil {
			return Part{}, &Malformed{at + ".file", "is not a JSON object"}
		}
		m := Media{FileID: v.ID, Name: v.Name}
		if v.Data != "" {
			m = mediaOf(v.Data)
			if m.Name = v.Name; m.URL != "" { // base64 without a data URL
				m.Data, m.URL = m.URL, ""
			}
		}
		return Part{Kind: File, Media: m}, nil
	default:
		return Part{}, &Impossible{at, fmt.Sprintf("content of type %q is not known here", kind)}
	}
}

// mediaOf reads a data URL, or takes any other for what it is.
func mediaOf(url string) Media {
	if rest, ok := strings.CutPrefix(url, "data:"); ok {
		if kind, data, ok := strings.Cut(rest, ";base64,"); ok && data != "" {
			return Media{Type: kind, Data: data}
		}
	}
	return Media{URL: url}
}

// dataURL is the other way.
func (m *Media) dataURL() string {
	if m.Data == "" {
		return m.URL
	}
	return "data:" + m.Type + ";base64," + m.Data
}

func (r *Request) readChatTools(o object) error {
	raw := o.raw("tools")
	if raw == nil {
		o.raw("tool_choice")
		return nil
	}
	var tools []struct {
		Type     string
		Function struct {
			Name, Description string
			Parameters        json.RawMessage
			Strict            *bool
		}
		Custom struct{ Name, Description string }
	}
	if json.Unmarshal(raw, &tools) != nil {
		return &Malformed{"tools", "is not a list of tools"}
	}
	list, _ := readList(raw, "tools")
	for i, t := range tools {
		switch t.Type {
		case "function":
			r.Tools = append(r.Tools, Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters, Strict: t.Function.Strict})
		case "custom":
			r.Tools = append(r.Tools, Tool{Name: t.Custom.Name, Description: t.Custom.Description, Custom: true, Raw: list[i],
				Schema: []byte(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`)})
		default:
			r.Tools = append(r.Tools, Tool{Hosted: t.Type, Raw: list[i]})
		}
	}
	return r.readChatChoice(o.raw("tool_choice"))
}

func (r *Request) readChatChoice(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	if isString(raw) {
		var s string
		json.Unmarshal(raw, &s)
		mode, ok := map[string]ChoiceMode{"auto": ChoiceAuto, "none": ChoiceNone, "required": ChoiceRequired}[s]
		if !ok {
			return &Malformed{"tool_choice", "must be auto, none, required or a tool"}
		}
		r.Choice.Mode = mode
		return nil
	}
	var v struct {
		Type             string
		Function, Custom struct{ Name string }
	}
	if json.Unmarshal(raw, &v) != nil {
		return &Malformed{"tool_choice", "must be auto, none, required or a tool"}
	}
	if name := v.Function.Name + v.Custom.Name; name != "" {
		r.Choice = Choice{ChoiceNamed, name}
		return nil
	}
	return &Impossible{"tool_choice", "no other API takes a choice among some tools"}
}

func (r *Request) readChatFormat(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var v struct {
		Type   string
		Schema struct {
			Name, Description string
			Schema            json.RawMessage
			Strict            *bool
		} `json:"json_schema"`
	}
	if json.Unmarshal(raw, &v) != nil {
		return &Malformed{"response_format", "is not a JSON object"}
	}
	switch v.Type {
	case "text", "":
	case "json_object":
		r.Format.Kind = FormatJSON
	case "json_schema":
		r.Format = Format{FormatSchema, v.Schema.Name, v.Schema.Description, v.Schema.Schema, v.Schema.Strict}
	default:
		return &Impossible{"response_format", fmt.Sprintf("the form %q is this API's alone", v.Type)}
	}
	return nil
}

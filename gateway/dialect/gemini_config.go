package dialect

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

func (r *Request) readGeminiTools(tools, config json.RawMessage) error {
	if tools != nil {
		list, err := readList(tools, "tools")
		if err != nil {
			return err
		}
		for i, raw := range list {
			field := fmt.Sprintf("tools.%d", i)
			t, err := geminiObject(raw, field)
			if err != nil {
				return err
			}
			if err := r.readDeclarations(t.raw("functionDeclarations"), field); err != nil {
				return err
			}
			for _, hosted := range t.rest("") {
				r.Tools = append(r.Tools, Tool{Name: hosted, Hosted: hosted, Raw: raw})
			}
		}
	}
	if config == nil {
		return nil
	}
	c, err := geminiObject(config, "toolConfig")
	if err != nil {
		return err
	}
	if raw := c.raw("functionCallingConfig"); raw != nil {
		f, err := geminiObject(raw, "toolConfig.functionCallingConfig")
		if err != nil {
			return err
		}
		if err := r.readCallingConfig(f); err != nil {
			return err
		}
	}
	r.loseAll(c.rest("toolConfig."))
	return nil
}

func (r *Request) readDeclarations(raw json.RawMessage, field string) error {
	if raw == nil {
		return nil
	}
	list, err := readList(raw, field+".functionDeclarations")
	if err != nil {
		return err
	}
	for i, raw := range list {
		f, err := geminiObject(raw, fmt.Sprintf("%s.functionDeclarations.%d", field, i))
		if err != nil {
			return err
		}
		t := Tool{Name: f.text("name"), Description: f.text("description"), Schema: f.raw("parametersJsonSchema")}
		if p := f.raw("parameters"); t.Schema == nil && p != nil {
			t.Schema = jsonSchema(p)
		}
		r.loseAll(f.rest("tools.functionDeclarations."))
		r.Tools = append(r.Tools, t)
	}
	return nil
}

func (r *Request) readCallingConfig(f object) error {
	var allowed []string
	if _, err := f.take("allowedFunctionNames", &allowed); err != nil {
		return within("toolConfig.functionCallingConfig", err)
	}
	switch mode := strings.ToUpper(f.text("mode")); mode {
	case "", "MODE_UNSPECIFIED":
	case "AUTO", "VALIDATED":
		r.Choice.Mode = ChoiceAuto
	case "NONE":
		r.Choice.Mode = ChoiceNone
	case "ANY":
		if r.Choice.Mode = ChoiceRequired; len(allowed) == 1 {
			r.Choice = Choice{ChoiceNamed, allowed[0]}
		}
	default:
		return &Malformed{"toolConfig.functionCallingConfig.mode", "must be AUTO, ANY, NONE or VALIDATED"}
	}
	if len(allowed) > 1 { // other APIs know one or all: those that are not allowed are not offered
		var kept []Tool
		for _, t := range r.Tools {
			for _, name := range allowed {
				if t.Name == name || t.Hosted != "" {
					kept = append(kept, t)
					break
				}
			}
		}
		r.Tools = kept
	}
	r.loseAll(f.rest("toolConfig.functionCallingConfig."))
	return nil
}

func (r *Request) readGenerationConfig(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	const path = "generationConfig"
	c, err := geminiObject(raw, path)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		key string
		to  any
	}{
		{"temperature", &r.Temperature}, {"topP", &r.TopP}, {"presencePenalty", &r.Presence}, {"frequencyPenalty", &r.Frequency},
		{"stopSequences", &r.Stop}, {"responseLogprobs", &r.Logprobs},
	} {
		if _, err := c.take(f.key, f.to); err != nil {
			return within(path, err)
		}
	}
	for _, f := range []struct {
		key string
		to  func(n *int64)
	}{
		{"maxOutputTokens", func(n *int64) { r.MaxTokens = max(*n, 0) }},
		{"topK", func(n *int64) { r.TopK = n }},
		{"seed", func(n *int64) { r.Seed = n }},
		{"candidateCount", func(n *int64) { r.Choices = max(*n, 0) }},
		{"logprobs", func(n *int64) { r.TopLogprobs = max(*n, 0) }},
	} {
		n, err := c.takeInt(f.key)
		if err != nil {
			return within(path, err)
		}
		if n != nil {
			f.to(n)
		}
	}
	var modalities []string
	if _, err := c.take("responseModalities", &modalities); err != nil {
		return within(path, err)
	}
	for _, m := range modalities {
		if !strings.EqualFold(m, "TEXT") {
			return &Impossible{path + ".responseModalities", "other APIs answer this call in text alone"}
		}
	}
	if err := r.readGeminiFormat(c); err != nil {
		return err
	}
	if raw := c.raw("thinkingConfig"); raw != nil {
		if err := r.readThinkingConfig(raw); err != nil {
			return err
		}
	}
	r.loseAll(c.rest(path + "."))
	return nil
}

func (r *Request) readThinkingConfig(raw json.RawMessage) error {
	const path = "generationConfig.thinkingConfig"
	t, err := geminiObject(raw, path)
	if err != nil {
		return err
	}
	if _, err := t.take("includeThoughts", &r.Reasoning.Show); err != nil {
		return within(path, err)
	}
	budget, err := t.takeInt("thinkingBudget")
	if err != nil {
		return within(path, err)
	}
	if budget != nil && *budget >= 0 { // less is what the model thinks right, as where nothing is said
		r.Reasoning.Budget = budget
	}
	switch level := strings.ToLower(t.text("thinkingLevel")); level {
	case "minimal", "low", "medium", "high":
		r.Reasoning.Effort = level
	case "", "thinking_level_unspecified":
	default:
		r.lose(path + ".thinkingLevel")
	}
	r.loseAll(t.rest(path + "."))
	return nil
}

func (r *Request) readGeminiFormat(c object) error {
	const path = "generationConfig."
	mime := c.text("responseMimeType")
	schema := c.raw("responseJsonSchema")
	if old := c.raw("responseSchema"); schema == nil && old != nil {
		schema = jsonSchema(old)
	}
	if raw := c.raw("responseFormat"); raw != nil {
		if first(raw) != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		list, err := readList(raw, path+"responseFormat")
		if err != nil {
			return err
		}
		for _, raw := range list {
			f, err := geminiObject(raw, path+"responseFormat")
			if err != nil {
				return err
			}
			said := f.raw("text")
			if said == nil || len(f.rest("")) > 0 {
				return &Impossible{path + "responseFormat", "other APIs answer this call in text alone"}
			}
			t, err := geminiObject(said, path+"responseFormat.text")
			if err != nil {
				return err
			}
			mime, schema = t.text("mimeType"), t.raw("schema")
			switch strings.ToUpper(mime) { // an enum in the newest form
			case "APPLICATION_JSON":
				mime = "application/json"
			case "TEXT_PLAIN":
				mime = ""
			}
		}
	}
	switch mime {
	case "application/json":
		r.Format.Kind = FormatJSON
	case "", "text/plain":
	default:
		return &Impossible{path + "responseMimeType", "other APIs answer in text or in JSON alone"}
	}
	if schema == nil {
		return nil
	}
	if first(schema) != '{' {
		return &Malformed{path + "responseSchema", "is not a JSON object"}
	}
	yes := true
	r.Format = Format{Kind: FormatSchema, Name: "answer", Schema: schema, Strict: &yes}
	return nil
}

// formats are those of strings that JSON Schema has; OpenAPI's others, as int32, are
// refused elsewhere.
var formats = map[string]bool{"date-time": true, "date": true, "time": true, "duration": true, "email": true, "hostname": true, "ipv4": true, "ipv6": true, "uri": true, "uuid": true}

// jsonSchema is a JSON Schema that says what one of Google's says: theirs is OpenAPI's,
// with types in capitals and numbers that may be strings.
func jsonSchema(raw json.RawMessage) json.RawMessage {
	return eachSchema(raw, func(ms []member) []member {
		var (
			out   []member
			order []string
			null  bool
		)
		for _, m := range ms {
			m.key = camel(m.key)
			var s string
			json.Unmarshal(m.value, &s)
			switch m.key {
			case "nullable":
				null = string(m.value) == "true"
				continue
			case "propertyOrdering":
				json.Unmarshal(m.value, &order)
				continue
			case "example":
				continue
			case "format":
				if !formats[s] {
					continue
				}
			case "type":
				if s == "TYPE_UNSPECIFIED" {
					continue
				}
				if s != "" {
					m.value, _ = encode(strings.ToLower(s))
				}
			case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
				if s != "" && json.Valid([]byte(s)) {
					m.value = json.RawMessage(s)
				}
			}
			out = append(out, m)
		}
		for i := range out {
			switch {
			case null && out[i].key == "type":
				out[i].value = json.RawMessage(`[` + string(out[i].value) + `,"null"]`)
			case len(order) > 0 && out[i].key == "properties":
				out[i].value = ordered(out[i].value, order)
			}
		}
		return out
	})
}

// ordered puts an object's members in the order of a list; those that are not in it
// come last.
func ordered(raw json.RawMessage, by []string) json.RawMessage {
	ms := members(raw)
	if ms == nil {
		return raw
	}
	place := func(key string) int {
		for i, name := range by {
			if name == key {
				return i
			}
		}
		return len(by)
	}
	sort.SliceStable(ms, func(i, k int) bool { return place(ms[i].key) < place(ms[k].key) })
	return joined(ms)
}

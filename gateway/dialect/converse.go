package dialect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

func init() { register(Converse, converse{}) }

// converse is the codec of Amazon Bedrock's Converse and ConverseStream
// (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html). An event
// of a stream is read and written as one object with its type as the key,
// {"contentBlockDelta":{...}}: on the wire the type stands in a header of the binary
// event stream.
type converse struct{}

var converseImpossible = map[string]string{
	"guardrailConfig": "no other API has this provider's guardrails",
	"promptVariables": "a prompt that is kept at Bedrock is there alone",
}

func (converse) ReadRequest(body []byte, model string, stream bool) (*Request, error) {
	o, err := readObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream, StreamUsage: true}
	delete(o, "modelId")
	for key, why := range converseImpossible {
		if o.raw(key) != nil {
			return nil, &Impossible{key, why}
		}
	}
	if r.System, err = r.converseParts(o.raw("system"), "system"); err != nil {
		return nil, err
	}
	list, err := readList(o.raw("messages"), "messages")
	if err != nil {
		return nil, err
	}
	for i, raw := range list {
		at := fmt.Sprintf("messages.%d", i)
		m, err := readObject(raw, at)
		if err != nil {
			return nil, err
		}
		var t Turn
		switch m.text("role") {
		case "user":
		case "assistant":
			t.Role = Assistant
		case "system":
			t.Role = System
		default:
			return nil, &Malformed{at + ".role", "must be user or assistant"}
		}
		if t.Parts, err = r.converseParts(m.raw("content"), at+".content"); err != nil {
			return nil, err
		}
		r.loseAll(m.rest("messages."))
		r.Turns = append(r.Turns, t)
	}
	r.nameResults()
	if err := r.readConverseConfig(o); err != nil {
		return nil, err
	}
	if err := r.readConverseTools(o.raw("toolConfig")); err != nil {
		return nil, err
	}
	r.loseAll(o.rest(""))
	return r, nil
}

func (r *Request) readConverseConfig(o object) error {
	if raw := o.raw("inferenceConfig"); raw != nil {
		c, err := readObject(raw, "inferenceConfig")
		if err != nil {
			return err
		}
		for _, f := range []struct {
			key string
			to  any
		}{{"maxTokens", &r.MaxTokens}, {"temperature", &r.Temperature}, {"topP", &r.TopP}, {"stopSequences", &r.Stop}} {
			if _, err := c.take(f.key, f.to); err != nil {
				return within("inferenceConfig", err)
			}
		}
		r.MaxTokens = max(r.MaxTokens, 0)
		r.loseAll(c.rest("inferenceConfig."))
	}
	if _, err := o.take("requestMetadata", &r.Metadata); err != nil {
		return err
	}
	if raw := o.raw("serviceTier"); raw != nil {
		t, err := readObject(raw, "serviceTier")
		if err != nil {
			return err
		}
		r.Tier = t.text("type")
	}
	if raw := o.raw("additionalModelRequestFields"); raw != nil {
		const path = "additionalModelRequestFields"
		c, err := readObject(raw, path)
		if err != nil {
			return err
		}
		if _, err := c.take("top_k", &r.TopK); err != nil {
			return within(path, err)
		}
		r.Reasoning.Effort = c.text("reasoning_effort")
		// Claude's own fields, which stand here in the words of its API.
		claude := object{"thinking": c.raw("thinking"), "output_config": c.raw("output_config")}
		if err := r.readMessagesWishes(claude); err != nil {
			return within(path, err)
		}
		r.loseAll(c.rest(path + "."))
	}
	raw := o.raw("outputConfig")
	if raw == nil {
		return nil
	}
	c, err := readObject(raw, "outputConfig")
	if err != nil {
		return err
	}
	if effort := c.text("effort"); effort != "" {
		if r.Reasoning.Effort = effort; effort == "max" {
			r.Reasoning.Effort = "xhigh"
		}
	}
	if raw := c.raw("textFormat"); raw != nil {
		var f struct {
			Type      string `json:"type"`
			Structure struct {
				Schema struct{ Schema, Name, Description string } `json:"jsonSchema"`
			} `json:"structure"`
		}
		if json.Unmarshal(raw, &f) != nil || f.Type != "json_schema" {
			return &Malformed{"outputConfig.textFormat", "must be of type json_schema"}
		}
		s := f.Structure.Schema
		if first([]byte(s.Schema)) != '{' || !json.Valid([]byte(s.Schema)) {
			return &Malformed{"outputConfig.textFormat.structure.jsonSchema.schema", "is not a JSON object in a string"}
		}
		if s.Name == "" {
			s.Name = "answer"
		}
		yes := true
		r.Format = Format{Kind: FormatSchema, Name: s.Name, Description: s.Description, Schema: []byte(s.Schema), Strict: &yes}
	}
	r.loseAll(c.rest("outputConfig."))
	return nil
}

func (r *Request) readConverseTools(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	c, err := readObject(raw, "toolConfig")
	if err != nil {
		return err
	}
	list, err := readList(c.raw("tools"), "toolConfig.tools")
	if err != nil {
		return err
	}
	for i, raw := range list {
		at := fmt.Sprintf("toolConfig.tools.%d", i)
		t, err := readObject(raw, at)
		if err != nil {
			return err
		}
		spec := t.raw("toolSpec")
		switch {
		case t.raw("cachePoint") != nil:
			if n := len(r.Tools); n > 0 {
				r.Tools[n-1].Cache = true
			}
			continue
		case spec == nil:
			for _, kind := range t.rest("") {
				r.Tools = append(r.Tools, Tool{Name: kind, Hosted: kind, Raw: raw})
			}
			continue
		}
		s, err := readObject(spec, at+".toolSpec")
		if err != nil {
			return err
		}
		tool := Tool{Name: s.text("name"), Description: s.text("description")}
		if _, err := s.take("strict", &tool.Strict); err != nil {
			return within(at+".toolSpec", err)
		}
		if in := s.raw("inputSchema"); in != nil {
			schema, err := readObject(in, at+".toolSpec.inputSchema")
			if err != nil {
				return err
			}
			tool.Schema = schema.raw("json")
		}
		r.loseAll(s.rest("toolConfig.tools.toolSpec."))
		r.Tools = append(r.Tools, tool)
	}
	choice := c.raw("toolChoice")
	if choice == nil {
		return nil
	}
	o, err := readObject(choice, "toolConfig.toolChoice")
	if err != nil {
		return err
	}
	switch {
	case o["auto"] != nil:
		r.Choice.Mode = ChoiceAuto
	case o["any"] != nil:
		r.Choice.Mode = ChoiceRequired
	case o["tool"] != nil:
		t, err := readObject(o["tool"], "toolConfig.toolChoice.tool")
		if err != nil {
			return err
		}
		r.Choice = Choice{ChoiceNamed, t.text("name")}
	default:
		return &Malformed{"toolConfig.toolChoice", "must be auto, any or tool"}
	}
	return nil
}

// converseParts reads blocks. A cache point marks what stands before it.
func (r *Request) converseParts(raw json.RawMessage, field string) ([]Part, error) {
	if raw == nil {
		return nil, nil
	}
	list, err := readList(raw, field)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for i, raw := range list {
		at := fmt.Sprintf("%s.%d", field, i)
		b, err := readObject(raw, at)
		if err != nil {
			return nil, err
		}
		if b.raw("cachePoint") != nil {
			if n := len(parts); n > 0 {
				parts[n-1].Cache = true
			}
			continue
		}
		p, err := r.conversePart(b, at)
		if err != nil {
			return nil, err
		}
		r.loseAll(b.rest("messages.content."))
		parts = append(parts, p)
	}
	return parts, nil
}

func (r *Request) conversePart(b object, at string) (Part, error) {
	if _, ok := b["text"]; ok {
		return Part{Kind: Text, Text: b.text("text")}, nil
	}
	for _, key := range []string{"toolUse", "toolResult", "reasoningContent", "image", "document", "video", "audio", "json"} {
		raw := b.raw(key)
		if raw == nil {
			continue
		}
		if key == "json" { // of a tool's result
			return Part{Kind: Text, Text: string(raw)}, nil
		}
		o, err := readObject(raw, at+"."+key)
		if err != nil {
			return Part{}, err
		}
		switch key {
		case "toolUse":
			return converseCall(o), nil
		case "toolResult":
			p := Part{Kind: ToolResult, ID: o.text("toolUseId"), Failed: o.text("status") == "error"}
			p.Content, err = r.converseParts(o.raw("content"), at+".toolResult.content")
			return p, err
		case "reasoningContent":
			return converseThought(o), nil
		}
		p, err := converseMedia(o, key, at+"."+key)
		if o.raw("context") != nil {
			r.lose("messages.content.document.context")
		}
		if o.raw("citations") != nil {
			r.lose("messages.content.document.citations")
		}
		return p, err
	}
	return Part{}, &Impossible{at, "no other API has blocks of this kind"}
}

func converseCall(o object) Part {
	p := Part{Kind: ToolCall, ID: o.text("toolUseId"), Name: o.text("name"), Text: "{}"}
	if in := o.raw("input"); in != nil {
		p.Text = string(in)
	}
	return p
}

func converseThought(o object) Part {
	p := Part{Kind: Thought}
	if raw := o.raw("reasoningText"); raw != nil {
		var t struct{ Text, Signature string }
		json.Unmarshal(raw, &t)
		p.Text = t.Text
		unwrap(&p, t.Signature, Converse)
		return p
	}
	unwrapBytes(&p, o.text("redactedContent"), Converse)
	if p.Origin == Converse {
		p.Sealed, p.Signature = p.Signature, ""
	}
	return p
}

// converseFormats are media types by the names that the API has for them.
var converseFormats = map[string]string{
	"pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
	"doc": "application/msword", "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls": "application/vnd.ms-excel", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

func converseMedia(o object, key, at string) (Part, error) {
	p := Part{Kind: File, Media: Media{Name: o.text("name")}}
	format := o.text("format")
	switch key {
	case "image":
		p.Kind, p.Media.Type = Image, "image/"+format
	case "audio":
		p.Kind, p.Media.Type = Audio, "audio/"+format
	case "video":
		p.Media.Type = "video/" + format
	default:
		p.Media.Type = converseFormats[format]
	}
	s, err := readObject(o.raw("source"), at+".source")
	if err != nil {
		return p, err
	}
	if _, ok := s["text"]; ok {
		return Part{Kind: Text, Text: s.text("text")}, nil
	}
	if raw := s.raw("content"); raw != nil {
		var list []struct{ Text string }
		if json.Unmarshal(raw, &list) != nil {
			return p, &Malformed{at + ".source.content", "is not an array of texts"}
		}
		var texts []string
		for _, t := range list {
			texts = append(texts, t.Text)
		}
		return Part{Kind: Text, Text: strings.Join(texts, "\n")}, nil
	}
	if raw := s.raw("s3Location"); raw != nil {
		l, err := readObject(raw, at+".source.s3Location")
		if err != nil {
			return p, err
		}
		p.Media.FileID = l.text("uri")
	}
	if p.Media.Data = s.text("bytes"); p.Media.Data != "" {
		if _, err := base64.StdEncoding.DecodeString(p.Media.Data); err != nil {
			return p, &Malformed{at + ".source.bytes", "is not base64"}
		}
	}
	if p.Media.Data == "" && p.Media.FileID == "" {
		return p, &Malformed{at + ".source", "holds nothing"}
	}
	return p, nil
}

package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
)

// inputReader turns input items into turns. What a model did comes as items of their
// own (reasoning, message, function_call), and is one turn until somebody else speaks;
// so are the results of one turn's calls.
type inputReader struct {
	r     *Request
	calls map[string]string // names of tools, by call
	began bool              // a turn was read, so that instructions stand in the middle
	sign  *Part             // the signature of the call that comes next (see signsCall)
}

func (r *Request) readInput(raw json.RawMessage) error {
	switch first(raw) {
	case 0:
		return &Malformed{"input", "is missing"}
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return &Malformed{"input", "is not a JSON string"}
		}
		r.Turns = []Turn{{Role: User, Parts: []Part{{Kind: Text, Text: text}}}}
		return nil
	}
	list, err := readList(raw, "input")
	if err != nil {
		return &Malformed{"input", "is neither a string nor an array of items"}
	}
	in := &inputReader{r: r, calls: map[string]string{}}
	for i, raw := range list {
		field := fmt.Sprintf("input.%d", i)
		o, err := readObject(raw, field)
		if err != nil {
			return err
		}
		if err := in.item(o, field); err != nil {
			return err
		}
	}
	return nil
}

func (in *inputReader) item(o object, field string) error {
	kind := o.text("type")
	// Ids and states of items are the provider's business.
	id := o.text("id")
	delete(o, "status")
	defer func() {
		in.r.loseAll(o.rest("input."))
	}()
	switch kind {
	case "message", "":
		return in.message(o, field)
	case "function_call", "custom_tool_call":
		p := Part{Kind: ToolCall, ID: o.text("call_id"), Name: o.text("name")}
		if p.Text = o.text("arguments"); kind == "custom_tool_call" {
			p.Text = customArguments(o.text("input"))
		}
		in.calls[p.ID] = p.Name
		if in.sign != nil {
			p.Signature, p.Origin, in.sign = in.sign.Signature, in.sign.Origin, nil
		}
		in.add(Assistant, p)
		return nil
	case "function_call_output", "custom_tool_call_output":
		p := Part{Kind: ToolResult, ID: o.text("call_id")}
		if p.Name = o.text("name"); p.Name == "" {
			p.Name = in.calls[p.ID]
		}
		var err error
		p.Content, err = in.content(o.raw("output"), field+".output")
		in.add(User, p)
		return err
	case "reasoning":
		return in.reasoning(o, id, field)
	case "item_reference":
		return &Impossible{field, "the item that it names is kept by one provider; send the item itself"}
	}
	return &Impossible{field + ".type", fmt.Sprintf("no other API has items of the type %s", printable(kind))}
}

// printable is a name that a caller gave, short enough for a message.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return -1
	}, s[:min(len(s), 40)])
}

func (in *inputReader) message(o object, field string) error {
	role := o.text("role")
	parts, err := in.content(o.raw("content"), field+".content")
	if err != nil {
		return err
	}
	switch role {
	case "user":
		in.began = true
		in.r.Turns = append(in.r.Turns, Turn{Role: User, Parts: parts})
	case "assistant":
		in.add(Assistant, parts...)
	case "system", "developer":
		if !in.began {
			in.r.System = append(in.r.System, parts...)
			return nil
		}
		in.r.Turns = append(in.r.Turns, Turn{Role: System, Parts: parts})
	default:
		return &Malformed{field + ".role", "must be user, assistant, system or developer"}
	}
	return nil
}

// add adds to the turn that is going on, if it is of that side and, on the user's,
// of tools' results.
func (in *inputReader) add(role Role, parts ...Part) {
	in.began = true
	if n := len(in.r.Turns); n > 0 && in.r.Turns[n-1].Role == role {
		last := &in.r.Turns[n-1]
		if role == Assistant || len(last.Parts) > 0 && last.Parts[len(last.Parts)-1].Kind == ToolResult {
			last.Parts = append(last.Parts, parts...)
			return
		}
	}
	in.r.Turns = append(in.r.Turns, Turn{Role: role, Parts: parts})
}

func (in *inputReader) reasoning(o object, id, field string) error {
	p, err := readReasoning(o, field)
	if err != nil {
		return err
	}
	if signsCall(&p) {
		in.sign = &p
		return nil
	}
	if p.Origin == Responses {
		p.ID = id
	}
	in.add(Assistant, p)
	return nil
}

// readReasoning reads a reasoning item, in a request or in an answer. Its summary, or
// where the model shows it the text itself, is the thought.
func readReasoning(o object, field string) (Part, error) {
	p := Part{Kind: Thought}
	var summary, content []struct{ Type, Text string }
	for key, to := range map[string]any{"summary": &summary, "content": &content} {
		if _, err := o.take(key, to); err != nil {
			return p, &Malformed{field + "." + key, "is not an array of texts"}
		}
	}
	if len(content) > 0 {
		summary = content
	}
	for i, s := range summary {
		if i > 0 {
			p.Text += summaryBreak
		}
		p.Text += s.Text
	}
	unwrap(&p, o.text("encrypted_content"), Responses)
	return p, nil
}

// signsCall reports whether a thought is nothing but the signature of the call after
// it: Gemini signs calls, and this dialect has a place for signatures in reasoning
// items alone.
func signsCall(p *Part) bool {
	return p.Kind == Thought && p.Text == "" && p.Signature != "" && p.Origin == Gemini
}

// summaryBreak is what stands between the parts of a summary, which elsewhere is one
// text.
const summaryBreak = "\n\n"

// content reads a string, or a list of parts.
func (in *inputReader) content(raw json.RawMessage, field string) ([]Part, error) {
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
		return nil, &Malformed{field, "is neither a string nor an array of parts"}
	}
	var parts []Part
	for i, raw := range list {
		at := fmt.Sprintf("%s.%d", field, i)
		o, err := readObject(raw, at)
		if err != nil {
			return nil, err
		}
		p, err := readContent(o, at)
		if err != nil {
			return nil, err
		}
		p.Cache = o.raw("prompt_cache_breakpoint") != nil
		delete(o, "annotations") // of an earlier answer, with its logprobs
		delete(o, "logprobs")
		in.r.loseAll(o.rest("input.content."))
		parts = append(parts, p)
	}
	return parts, nil
}

func readContent(o object, at string) (Part, error) {
	switch kind := o.text("type"); kind {
	case "input_text", "output_text", "text":
		return Part{Kind: Text, Text: o.text("text")}, nil
	case "refusal":
		return Part{Kind: Declined, Text: o.text("refusal")}, nil
	case "input_image":
		p := Part{Kind: Image, Media: mediaOf(o.text("image_url"))}
		p.Media.FileID, p.Media.Detail = o.text("file_id"), o.text("detail")
		return p, p.Media.held(at)
	case "input_file":
		p := Part{Kind: File, Media: Media{URL: o.text("file_url")}}
		if data := o.text("file_data"); strings.HasPrefix(data, "data:") {
			p.Media = mediaOf(data)
		} else if data != "" {
			p.Media.Data = data
		}
		p.Media.FileID, p.Media.Name, p.Media.Detail = o.text("file_id"), o.text("filename"), o.text("detail")
		return p, p.Media.held(at)
	case "input_audio":
		a, err := readObject(o.raw("input_audio"), at+".input_audio")
		if err != nil {
			return Part{}, err
		}
		return Part{Kind: Audio, Media: Media{Type: "audio/" + a.text("format"), Data: a.text("data")}}, nil
	default:
		return Part{}, &Impossible{at + ".type", fmt.Sprintf("no other API has parts of the type %s", printable(kind))}
	}
}

// held refuses media that are nowhere.
func (m *Media) held(field string) error {
	if m.Data == "" && m.URL == "" && m.FileID == "" {
		return &Malformed{field, "holds neither content nor where it is"}
	}
	return nil
}

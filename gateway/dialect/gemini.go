package dialect

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

func init() { register(Gemini, gemini{}) }

// gemini is the codec of Google's generateContent
// (ai.google.dev/api/generate-content).
type gemini struct{}

// geminiObject reads an object of the API. Google's servers take every name in
// lowerCamelCase and in snake_case; here only the first is left.
func geminiObject(raw []byte, field string) (object, error) {
	o, err := readObject(raw, field)
	if err != nil {
		return nil, err
	}
	for key, value := range o {
		if name := camel(key); name != key {
			if _, twice := o[name]; twice {
				return nil, &Malformed{field, fmt.Sprintf("has both %s and %s", name, key)}
			}
			delete(o, key)
			o[name] = value
		}
	}
	return o, nil
}

func camel(key string) string {
	if !strings.Contains(key, "_") {
		return key
	}
	words := strings.Split(key, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// protoInt is a whole number, which Google's servers also take as a string or with a
// fraction of zero.
type protoInt int64

func (n *protoInt) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return fmt.Errorf("%w: no whole number", strconv.ErrSyntax)
	}
	*n = protoInt(f)
	return nil
}

// takeInt takes a whole number out; nil when it is not there.
func (o object) takeInt(key string) (*int64, error) {
	var n protoInt
	said, err := o.take(key, &n)
	if !said {
		return nil, err
	}
	return (*int64)(&n), nil
}

func (gemini) ReadRequest(body []byte, model string, stream bool) (*Request, error) {
	o, err := geminiObject(body, "body")
	if err != nil {
		return nil, err
	}
	r := &Request{Model: model, Stream: stream, StreamUsage: true}
	delete(o, "model")
	if o.raw("cachedContent") != nil {
		return nil, &Impossible{"cachedContent", "content that was cached at Google is there alone; send it"}
	}
	if r.Tier = strings.ToLower(o.text("serviceTier")); r.Tier == "unspecified" {
		r.Tier = ""
	}
	for _, f := range []struct {
		key string
		to  any
	}{{"labels", &r.Metadata}, {"store", &r.Store}} {
		if _, err := o.take(f.key, f.to); err != nil {
			return nil, err
		}
	}
	turns := geminiTurns{r: r, names: map[string]string{}}
	if raw := o.raw("systemInstruction"); raw != nil {
		c, err := geminiObject(raw, "systemInstruction")
		if err != nil {
			return nil, err
		}
		delete(c, "role")
		if r.System, err = turns.parts(c.raw("parts"), "systemInstruction.parts"); err != nil {
			return nil, err
		}
	}
	if err := turns.read(o.raw("contents")); err != nil {
		return nil, err
	}
	if err := r.readGeminiTools(o.raw("tools"), o.raw("toolConfig")); err != nil {
		return nil, err
	}
	if err := r.readGenerationConfig(o.raw("generationConfig")); err != nil {
		return nil, err
	}
	r.loseAll(o.rest(""))
	return r, nil
}

// geminiTurns reads a conversation. Calls need no ids here, elsewhere they do: where
// they have none they are numbered, and results without one answer the first call of
// their name that has no result yet.
type geminiTurns struct {
	r     *Request
	calls int
	open  []Part // calls without a result
	names map[string]string
}

func (g *geminiTurns) read(raw json.RawMessage) error {
	list, err := readList(raw, "contents")
	if err != nil {
		return err
	}
	for i, raw := range list {
		field := fmt.Sprintf("contents.%d", i)
		c, err := geminiObject(raw, field)
		if err != nil {
			return err
		}
		var t Turn
		switch role := c.text("role"); role {
		case "", "user", "function", "tool":
		case "model":
			t.Role = Assistant
		default:
			return &Malformed{field + ".role", "must be user or model"}
		}
		if t.Parts, err = g.parts(c.raw("parts"), field+".parts"); err != nil {
			return err
		}
		g.r.loseAll(c.rest("contents."))
		// An answer that was streamed comes back in the pieces it came in.
		if n := len(g.r.Turns); n > 0 && t.Role == Assistant && g.r.Turns[n-1].Role == Assistant {
			t.Parts = append(g.r.Turns[n-1].Parts, t.Parts...)
			g.r.Turns = g.r.Turns[:n-1]
		}
		if t.Role == Assistant {
			t.Parts, _ = mergeThoughts(t.Parts)
		}
		g.r.Turns = append(g.r.Turns, t)
	}
	return nil
}

func (g *geminiTurns) parts(raw json.RawMessage, field string) ([]Part, error) {
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
		o, err := geminiObject(raw, at)
		if err != nil {
			return nil, err
		}
		p, err := g.part(o, at)
		if err != nil {
			return nil, err
		}
		g.r.loseAll(o.rest("contents.parts."))
		if p.Kind == Text && p.Text == "" && p.Signature == "" {
			continue
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func (g *geminiTurns) part(o object, at string) (Part, error) {
	var thought bool
	if _, err := o.take("thought", &thought); err != nil {
		return Part{}, within(at, err)
	}
	sign := o.text("thoughtSignature")
	p, err := g.content(o, at)
	if err != nil {
		return Part{}, err
	}
	if p.Kind == Text && thought {
		p.Kind, p.Origin = Thought, Gemini
	}
	unwrapBytes(&p, sign, Gemini)
	return p, nil
}

func (g *geminiTurns) content(o object, at string) (Part, error) {
	for _, key := range []string{"functionCall", "functionResponse", "inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"} {
		raw := o.raw(key)
		if raw == nil {
			continue
		}
		f, err := geminiObject(raw, at+"."+key)
		if err != nil {
			return Part{}, err
		}
		switch key {
		case "functionCall":
			return g.call(f), nil
		case "functionResponse":
			return g.result(f, at)
		case "inlineData", "fileData":
			return geminiMedia(f, at+"."+key)
		}
		return Part{}, &Impossible{at + "." + key, "no other API has tools that Google runs"}
	}
	text := ""
	if _, err := o.take("text", &text); err != nil {
		return Part{}, within(at, err)
	}
	return Part{Kind: Text, Text: text}, nil
}

func (g *geminiTurns) call(f object) Part {
	p := Part{Kind: ToolCall, ID: f.text("id"), Name: f.text("name"), Text: "{}"}
	if args := f.raw("args"); args != nil {
		p.Text = string(args)
	}
	if p.ID == "" {
		p.ID = "call_" + strconv.Itoa(g.calls)
	}
	g.calls++
	g.open = append(g.open, Part{ID: p.ID, Name: p.Name})
	g.names[p.ID] = p.Name
	g.r.loseAll(f.rest("contents.parts.functionCall."))
	return p
}

func (g *geminiTurns) result(f object, at string) (Part, error) {
	p := Part{Kind: ToolResult, ID: f.text("id"), Name: f.text("name")}
	for i, c := range g.open {
		if c.ID == p.ID || p.ID == "" && c.Name == p.Name {
			p.ID = c.ID
			g.open = append(g.open[:i:i], g.open[i+1:]...)
			break
		}
	}
	if p.Name == "" {
		p.Name = g.names[p.ID]
	}
	if p.ID == "" { // no call is open; the provider will say so
		p.ID = "call_" + strconv.Itoa(g.calls)
		g.calls++
	}
	said, failed := geminiResponse(f.raw("response"))
	p.Failed = failed
	if said != "" {
		p.Content = append(p.Content, Part{Kind: Text, Text: said})
	}
	if raw := f.raw("parts"); raw != nil {
		media, err := g.parts(raw, at+".functionResponse.parts")
		if err != nil {
			return Part{}, err
		}
		p.Content = append(p.Content, media...)
	}
	g.r.loseAll(f.rest("contents.parts.functionResponse."))
	return p, nil
}

// geminiResponse is what a function's response says: its output or its error where
// they stand alone, else all of it.
func geminiResponse(raw json.RawMessage) (said string, failed bool) {
	ms := members(raw)
	if len(ms) != 1 {
		return string(raw), false
	}
	switch key := ms[0].key; key {
	case "output", "result", "error":
		failed = key == "error"
		if json.Unmarshal(ms[0].value, &said) == nil && isString(ms[0].value) {
			return said, failed
		}
		return string(ms[0].value), failed
	}
	return string(raw), false
}

func geminiMedia(f object, at string) (Part, error) {
	m := Media{Type: f.text("mimeType"), Name: f.text("displayName"), Data: f.text("data")}
	switch uri := f.text("fileUri"); {
	case strings.HasPrefix(uri, "https://generativelanguage.googleapis.com/"), uri != "" && !strings.HasPrefix(uri, "http"):
		m.FileID = uri // sent to Google before, or in its storage
	default:
		m.URL = uri
	}
	if m.Data == "" && m.URL == "" && m.FileID == "" {
		return Part{}, &Malformed{at, "holds nothing"}
	}
	if m.Data != "" {
		if _, err := base64.StdEncoding.DecodeString(m.Data); err != nil { // Google takes the URL alphabet too, others do not
			b, err := base64.URLEncoding.DecodeString(m.Data)
			if err != nil {
				return Part{}, &Malformed{at + ".data", "is not base64"}
			}
			m.Data = base64.StdEncoding.EncodeToString(b)
		}
	}
	kind, _, _ := strings.Cut(m.Type, "/")
	switch kind {
	case "image":
		return Part{Kind: Image, Media: m}, nil
	case "audio":
		return Part{Kind: Audio, Media: m}, nil
	}
	return Part{Kind: File, Media: m}, nil
}

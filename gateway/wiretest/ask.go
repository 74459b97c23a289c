package wiretest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// ask is what a request wants, whatever its dialect.
type ask struct {
	model    string
	stream   bool
	words    string // of the user, the last of them
	prompt   int    // bytes of all texts
	images   []string
	tools    []tool
	forced   string // name of the tool that must be called; "*" for any
	noTools  bool
	schema   node     // that the answer must follow
	open     []string // ids of calls without a result
	results  []string // since the model last spoke
	thinking bool     // asked for by the request itself
}

type tool struct {
	name   string
	schema node
}

// toolCall is a tool call of an answer.
type toolCall struct {
	id, name, arguments string
}

// reply is what the model says, whatever the dialect.
type reply struct {
	id       string
	thought  string
	text     string
	refusal  bool
	cut      bool
	calls    []toolCall
	input    int64 // tokens, of which cached were read from the cache
	cached   int64
	output   int64 // tokens, of which thinking were thought
	thinking int64
}

// said notes words of somebody: a text, or texts in parts. The last of the user's
// is what is answered.
func (a *ask) said(role string, content node) {
	text := contentText(content)
	a.prompt += len(text)
	switch role {
	case "user":
		for _, p := range content.items() {
			if t := p.at("text").text(); t != "" {
				text = t
			}
		}
		if text != "" {
			a.words = text
		}
	case "assistant", "model":
		a.results = nil
	}
}

// saw notes an image, by a data URL, another URL, or a type with base64.
func (a *ask) saw(url string) {
	if media, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,"); ok && strings.HasPrefix(url, "data:") {
		raw, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			media += " (broken)"
		}
		a.images = append(a.images, fmt.Sprintf("%s of %d bytes", media, len(raw)))
		a.prompt += 4 * 85
		return
	}
	a.images = append(a.images, url)
}

// called notes a call that the model made earlier in the conversation.
func (a *ask) called(id string) { a.open = append(a.open, id) }

// answered notes a tool's result; false when nothing called for it.
func (a *ask) answered(id, text string) bool {
	a.prompt += len(text)
	a.results = append(a.results, text)
	for i, o := range a.open {
		if o == id {
			a.open = append(a.open[:i], a.open[i+1:]...)
			return true
		}
	}
	return false
}

// reply makes the model's answer.
func (c *call) reply(a *ask) *reply {
	r := &reply{id: c.id, input: int64(a.prompt/4 + 3)}
	if c.has("reasoning") || a.thinking {
		r.thought = "The user wants an answer – first I weigh what is known."
		r.thinking = tokens(r.thought)
	}
	switch {
	case c.has("refusal"):
		r.refusal, r.text = true, "I cannot help with that."
	case c.picked(a) != nil:
		r.calls = c.picked(a)
	case len(a.results) > 0:
		r.text = "The tool says: " + strings.Join(a.results, " | ")
	case a.schema.there():
		r.text = string(encode(sample(a.schema, a.schema, "")))
	case len(a.images) > 0:
		r.text = "I see " + strings.Join(a.images, " and ") + "."
	default:
		r.text = "You said: " + clip(a.words, 400) + " – naïve 東京."
	}
	if c.has("length") {
		r.cut, r.text = true, clip(r.text, 24)
	}
	if c.has("cached") {
		r.cached = r.input / 2
	}
	r.output = tokens(r.text) + r.thinking
	for _, t := range r.calls {
		r.output += tokens(t.name+t.arguments) + 4
	}
	return r
}

// picked are the calls that the model makes, if any.
func (c *call) picked(a *ask) []toolCall {
	if a.noTools || len(a.tools) == 0 || len(a.results) > 0 {
		return nil
	}
	want, count := c.after("call-"), 1
	switch {
	case want != "":
	case a.forced != "" && a.forced != "*":
		want = a.forced
	case c.has("parallel"):
		want, count = a.tools[0].name, 2
	case c.has("tool"), a.forced == "*":
		want = a.tools[0].name
	default:
		return nil
	}
	for _, t := range a.tools {
		if t.name != want {
			continue
		}
		var out []toolCall
		for i := range count {
			mark := ""
			if count > 1 {
				mark = fmt.Sprint(i + 1)
			}
			out = append(out, toolCall{fmt.Sprintf("%s%d", c.id[:16], i), t.name, string(encode(sample(t.schema, t.schema, mark)))})
		}
		return out
	}
	return nil
}

// sample makes a value that follows a schema. mark is added to free texts, so that
// parallel calls differ.
func sample(s, root node, mark string) any {
	if ref := s.at("$ref").text(); strings.HasPrefix(ref, "#/") {
		return sample(root.at(strings.Split(ref[2:], "/")...), root, mark)
	}
	for _, any := range []string{"anyOf", "oneOf", "allOf"} {
		if l := s.at(any).items(); len(l) > 0 {
			return sample(l[0], root, mark)
		}
	}
	if l := s.at("enum").items(); len(l) > 0 {
		return l[0].v
	}
	if s.has("const") {
		return s.at("const").v
	}
	kind := s.at("type").text()
	if l := s.at("type").items(); len(l) > 0 {
		kind = l[0].text()
	}
	switch strings.ToLower(kind) {
	case "string":
		return "Zürich" + mark
	case "integer":
		return json.Number("14")
	case "number":
		return json.Number("14.5")
	case "boolean":
		return true
	case "null":
		return nil
	case "array":
		return list{sample(s.at("items"), root, mark)}
	}
	properties, _ := s.at("properties").v.(map[string]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	sort.Strings(names)
	out := object{}
	for _, name := range names {
		out = append(out, name, sample(node{properties[name]}, root, mark))
	}
	return out
}

// tokens is a count as good as any for a model that does not exist.
func tokens(text string) int64 { return int64(len(text)+3) / 4 }

// clip cuts a text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xC0 == 0x80 {
		n--
	}
	return text[:n]
}

// pieces cuts a text as a model streams it: a few characters at a time, without
// regard to words.
func pieces(text string) []string {
	var out []string
	sizes := [...]int{1, 7, 4, 11, 3}
	for i := 0; text != ""; i++ {
		n := sizes[i%len(sizes)]
		p := clip(text, n)
		if p == "" { // one character is longer
			p = clip(text, 4)
		}
		out, text = append(out, p), text[len(p):]
	}
	return out
}

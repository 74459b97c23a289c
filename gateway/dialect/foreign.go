package dialect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// places are where in a body thoughts of other providers can stand, wrapped, by
// operation. A path has # for any element of a list.
type places struct {
	own   Name
	marks map[string]string // where a wrapped text can be, and what goes with it
	empty map[string]string // what goes when nothing is left of a list or an object
}

var (
	chatPlaces = places{Chat, map[string]string{
		"messages.#.reasoning_details.#.signature": "messages.#.reasoning_details.#",
		"messages.#.reasoning_details.#.data":      "messages.#.reasoning_details.#",
		chatCallSignature:                          chatCallSignature,
	}, map[string]string{
		"messages.#.reasoning_details":                 "messages.#.reasoning_details",
		"messages.#.tool_calls.#.extra_content.google": "messages.#.tool_calls.#.extra_content.google",
		"messages.#.tool_calls.#.extra_content":        "messages.#.tool_calls.#.extra_content",
	}}
	responsesPlaces = places{Responses, map[string]string{"input.#.encrypted_content": "input.#"}, nil}
	messagesPlaces  = places{Messages, map[string]string{
		"messages.#.content.#.signature": "messages.#.content.#",
		"messages.#.content.#.data":      "messages.#.content.#",
	}, map[string]string{"messages.#.content": "messages.#"}}
	conversePlaces = places{Converse, map[string]string{
		"messages.#.content.#.reasoningContent.reasoningText.signature": "messages.#.content.#",
		"messages.#.content.#.reasoningContent.redactedContent":         "messages.#.content.#",
	}, map[string]string{"messages.#.content": "messages.#"}}
	geminiPlaces = places{Gemini, map[string]string{
		"contents.#.parts.#.thoughtSignature":                         "contents.#.parts.#.thoughtSignature",
		"contents.#.parts.#.thought_signature":                        "contents.#.parts.#.thought_signature",
		"generateContentRequest.contents.#.parts.#.thoughtSignature":  "generateContentRequest.contents.#.parts.#.thoughtSignature",
		"generateContentRequest.contents.#.parts.#.thought_signature": "generateContentRequest.contents.#.parts.#.thought_signature",
	}, map[string]string{"contents.#.parts": "contents.#", "generateContentRequest.contents.#.parts": "generateContentRequest.contents.#"}}
)

const chatCallSignature = "messages.#.tool_calls.#.extra_content.google.thought_signature"

var placesOf = map[Operation]*places{
	ChatCompletions: &chatPlaces,
	ResponsesCreate: &responsesPlaces, ResponseCount: &responsesPlaces, ResponseCompact: &responsesPlaces,
	MessagesCreate: &messagesPlaces, MessagesCount: &messagesPlaces,
	GenerateContent: &geminiPlaces, GeminiCount: &geminiPlaces,
	ConverseCreate: &conversePlaces,
}

// WithoutForeign takes out of a body what other providers signed or sealed: a caller
// who had answers of theirs sends it wrapped, and a provider of the caller's own
// dialect, who gets the body as it is, would refuse it. What is wrapped and yet the
// dialect's own is unwrapped. Everything else stays byte for byte; a body without
// anything wrapped is given back itself. lost names what was taken out, dotted.
func WithoutForeign(op Operation, body []byte) (out []byte, lost []string, err error) {
	at := placesOf[op]
	if at == nil || !bytes.Contains(body, []byte("plumbline")) && !bytes.Contains(body, []byte(wrappedBytes)) {
		return body, nil, nil
	}
	w := &foreign{places: at, body: body, dec: json.NewDecoder(bytes.NewReader(body))}
	w.dec.UseNumber()
	if _, err := w.value(""); err != nil {
		return nil, nil, &Malformed{"body", "is not JSON"}
	}
	if len(w.edits) == 0 {
		return body, nil, nil
	}
	out = make([]byte, 0, len(body))
	from := 0
	for _, e := range w.edits {
		out = append(append(out, body[from:e.start]...), e.with...)
		from = e.end
	}
	return append(out, body[from:]...), w.lost, nil
}

// wrappedBytes begins what is wrapped where bytes stand in base64: the first nine
// letters of it.
var wrappedBytes = base64.StdEncoding.EncodeToString([]byte(wrapped))[:12]

// foreign is one walk over a body.
type foreign struct {
	*places
	body  []byte
	dec   *json.Decoder
	depth int
	edits []edit // in the body's order, none within another
	lost  []string
}

type edit struct {
	start, end int
	with       []byte
}

// child is an element of a list or a field of an object.
type child struct {
	key        string
	start, end int // with its key
	value      int // where its value begins
	gone       string
}

// next is where the next token begins.
func (w *foreign) next() int {
	at := int(w.dec.InputOffset())
	for at < len(w.body) && strings.IndexByte(" \t\r\n,:", w.body[at]) >= 0 {
		at++
	}
	return at
}

// deepest is how deep a body may nest: deeper than any that was looked at before.
const deepest = 512

var errDeep = errors.New("the body nests too deep")

// value reads one value, and gives the path of what must go because of it, "" for
// nothing.
func (w *foreign) value(path string) (gone string, err error) {
	if w.depth++; w.depth > deepest {
		return "", errDeep
	}
	defer func() { w.depth-- }()
	start := w.next()
	t, err := w.dec.Token()
	if err != nil {
		return "", err
	}
	switch t := t.(type) {
	case json.Delim:
		return w.inside(path, t == '{')
	case string:
		unit, ok := w.marks[path]
		if !ok {
			return "", nil
		}
		text, ok := isWrapped(t)
		own, p := w.own, Part{}
		if path == chatCallSignature {
			own = Gemini
		}
		switch {
		case !ok:
			return "", nil
		case p.unwrapped(text) && p.Origin == own:
			inner := p.Signature + p.Sealed // one of them
			if _, again := isWrapped(inner); again {
				break
			}
			with, err := encode(inner)
			w.edits = append(w.edits, edit{start, int(w.dec.InputOffset()), with})
			return "", err
		}
		w.lose(path)
		return unit, nil
	}
	return "", nil
}

// isWrapped reports whether a text is one that was wrapped, in base64 or not, and gives
// it without base64.
func isWrapped(s string) (string, bool) {
	if text, ok := fromBytes(s); ok {
		return text, true
	}
	return s, strings.HasPrefix(s, wrapped)
}

func (w *foreign) lose(path string) {
	name := strings.ReplaceAll(path, ".#", "")
	for _, l := range w.lost {
		if l == name {
			return
		}
	}
	w.lost = append(w.lost, name)
}

// inside reads a list or an object up to its end.
func (w *foreign) inside(path string, isObject bool) (gone string, err error) {
	var children []child
	before, some := len(w.edits), false
	for w.dec.More() {
		c := child{start: w.next()}
		below := "#"
		if isObject {
			t, err := w.dec.Token()
			if err != nil {
				return "", err
			}
			c.key, _ = t.(string)
			below = c.key
		}
		if path != "" {
			below = path + "." + below
		}
		c.value = w.next()
		if c.gone, err = w.value(below); err != nil {
			return "", err
		}
		c.end = int(w.dec.InputOffset())
		if c.gone != "" && c.gone != below { // more goes than this
			gone = c.gone
		}
		some = some || c.gone == below
		children = append(children, c)
	}
	if _, err := w.dec.Token(); err != nil {
		return "", err
	}
	if some && isObject && w.own == Gemini {
		gone = w.unsign(path, children, gone)
	}
	left := 0
	for i := range children {
		if children[i].gone == "" {
			left++
		}
	}
	if unit := w.empty[path]; some && left == 0 && unit != "" {
		gone = unit
	}
	switch {
	case gone != "": // nothing within it needs to be edited
		w.edits = w.edits[:before]
	case some:
		w.cut(children, before)
	}
	return gone, nil
}

// unsign sees to a part of Gemini's whose signature goes: what is nothing without it
// goes as well, and a call says that it has none.
func (w *foreign) unsign(path string, children []child, gone string) string {
	var signed *child
	for i := range children {
		if c := &children[i]; c.gone != "" {
			signed = c
		}
	}
	for _, c := range children {
		text := string(w.body[c.value:c.end])
		switch {
		case c.key == "thought" && text == "true", c.key == "text" && text == `""`:
			return path
		case c.key == "functionCall" || c.key == "function_call":
			signed.gone = ""
			w.edits = append(w.edits, edit{signed.value, signed.end, []byte(`"` + unsigned + `"`)})
		}
	}
	return gone
}

// cut takes children out, each with a comma. Edits within those that stay are among
// the walk's since before, and keep their order.
func (w *foreign) cut(children []child, before int) {
	inner := append([]edit(nil), w.edits[before:]...)
	w.edits = w.edits[:before]
	take := func(end int) {
		for len(inner) > 0 && inner[0].start < end {
			w.edits = append(w.edits, inner[0])
			inner = inner[1:]
		}
	}
	for i := 0; i < len(children); i++ {
		if children[i].gone == "" {
			take(children[i].end)
			continue
		}
		k := i
		for k+1 < len(children) && children[k+1].gone != "" {
			k++
		}
		e := edit{children[i].start, children[k].end, nil}
		switch {
		case k+1 < len(children):
			e.end = children[k+1].start
		case i > 0:
			e.start = children[i-1].end
		}
		w.edits = append(w.edits, e)
		i = k
	}
}

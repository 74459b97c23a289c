// Package peek reads from a JSON body, in one pass and without building a tree,
// what the pipeline needs to know, and edits bodies by splicing, so that fields
// that nobody here knows and numbers of any size survive byte for byte.
package peek

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep a body may nest.
const MaxDepth = 128

// Span is a JSON value's place in a body. A string's span is what stands between
// its quotes.
type Span struct {
	Start, End int
	Escaped    bool // a string that holds escapes
	Channel    int  // answers: which choice, and which tool call of it
}

// Body is what was found. It is reused; spans refer to the bytes given to Parse.
type Body struct {
	// Requests.
	Model         Span
	HasModel      bool
	Stream        bool
	HasMessages   bool
	HasInput      bool
	IncludeUsage  bool
	StreamOptions Span // the value of stream_options; zero when there is none
	UsageFlag     Span // the value of stream_options.include_usage
	MaxTokens     int64
	Choices       int64 // n
	Tools         bool
	User          Span
	End           int // offset of the closing brace

	// Both. Text is every string that a person, a model or a tool wrote.
	Text []Span

	// Answers.
	Usage      Usage
	HasUsage   bool
	NoChoices  bool // "choices" is there and empty
	hasChoices bool
	choice     int
	tool       int

	b    []byte
	keys []Span
}

// Usage is as the provider counts; -1 where it says nothing.
type Usage struct{ Input, Output, CacheRead, Reasoning int64 }

// Error says what is wrong with a body, and where.
type Error struct {
	Code   string // body_malformed, body_too_deep, body_duplicate_key, body_not_utf8
	Offset int
	What   string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.What, e.Offset) }

// state is where in a known structure the reader stands.
type state uint8

const (
	other state = iota
	request
	answer
	model
	stream
	streamOptions
	includeUsage
	maxTokens
	choices
	tools
	user
	text // a string here is text; below it everything is
	label
	answerChoices
	answerChoice
	choiceIndex
	message
	toolCalls
	toolCall
	toolIndex
	function
	usage
	usageInput
	usageOutput
	inputDetails
	outputDetails
	cacheRead
	reasoning
	answerModel
)

// Request reads a request body.
func (p *Body) Request(b []byte) error { return p.parse(b, request) }

// Answer reads an answer body or one chunk of a streamed one.
func (p *Body) Answer(b []byte) error { return p.parse(b, answer) }

func (p *Body) parse(b []byte, root state) error {
	*p = Body{Text: p.Text[:0], keys: p.keys[:0], b: b, MaxTokens: -1, Choices: 1, Usage: Usage{-1, -1, -1, -1}}
	if !utf8.Valid(b) {
		at := 0
		for at < len(b) {
			r, n := utf8.DecodeRune(b[at:])
			if r == utf8.RuneError && n <= 1 {
				break
			}
			at += n
		}
		return &Error{"body_not_utf8", at, "the body is not UTF-8"}
	}
	i := skip(b, 0)
	if i == len(b) || b[i] != '{' {
		return p.bad(i, "the body must be a JSON object")
	}
	i, err := p.value(i, 0, root)
	if err != nil {
		return err
	}
	p.End = i - 1
	if i = skip(b, i); i != len(b) {
		return p.bad(i, "there is something after the JSON object")
	}
	p.NoChoices = p.hasChoices && p.choice == 0
	return nil
}

func (p *Body) bad(i int, what string) error { return &Error{"body_malformed", i, what} }

func skip(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// value reads one value that begins at i and returns the offset after it.
func (p *Body) value(i, depth int, st state) (int, error) {
	if i >= len(p.b) {
		return i, p.bad(i, "the body ends too early")
	}
	if depth > MaxDepth {
		return i, &Error{"body_too_deep", i, fmt.Sprintf("the body nests deeper than %d", MaxDepth)}
	}
	start := i
	switch c := p.b[i]; {
	case c == '{':
		end, err := p.object(i, depth, st)
		if st == streamOptions {
			p.StreamOptions = Span{Start: start, End: end}
		}
		return end, err
	case c == '[':
		return p.array(i, depth, st)
	case c == '"':
		span, end, err := p.str(i)
		if err == nil {
			p.onString(st, span)
		}
		return end, err
	case c == '-' || c >= '0' && c <= '9':
		end, err := p.number(i)
		if err == nil {
			p.onNumber(st, p.b[start:end])
		}
		return end, err
	case bytes.HasPrefix(p.b[i:], []byte("true")):
		p.onLiteral(st, start, start+4, true)
		return i + 4, nil
	case bytes.HasPrefix(p.b[i:], []byte("false")):
		p.onLiteral(st, start, start+5, false)
		return i + 5, nil
	case bytes.HasPrefix(p.b[i:], []byte("null")):
		if st == streamOptions {
			p.StreamOptions = Span{Start: start, End: start + 4}
		}
		return i + 4, nil
	}
	return i, p.bad(i, "there is no JSON value")
}

func (p *Body) object(i, depth int, st state) (int, error) {
	first := len(p.keys)
	defer func() { p.keys = p.keys[:first] }()
	if st == answerChoices {
		st = answerChoice
		p.tool = 0
	}
	i = skip(p.b, i+1)
	if i < len(p.b) && p.b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(p.b) || p.b[i] != '"' {
			return i, p.bad(i, "a key is missing")
		}
		key, end, err := p.str(i)
		if err != nil {
			return end, err
		}
		if key.Escaped && depth == 0 {
			return i, p.bad(i, "a top-level key is written with escapes")
		}
		if p.repeated(first, key) {
			return i, &Error{"body_duplicate_key", i, fmt.Sprintf("the key %q is there twice", clip(p.b[key.Start:key.End]))}
		}
		p.keys = append(p.keys, key)
		if i = skip(p.b, end); i >= len(p.b) || p.b[i] != ':' {
			return i, p.bad(i, "a colon is missing")
		}
		if i, err = p.value(skip(p.b, i+1), depth+1, next(st, p.b[key.Start:key.End])); err != nil {
			return i, err
		}
		if i = skip(p.b, i); i >= len(p.b) {
			return i, p.bad(i, "the body ends too early")
		}
		switch p.b[i] {
		case '}':
			return i + 1, nil
		case ',':
			i = skip(p.b, i+1)
		default:
			return i, p.bad(i, "a comma or a brace is missing")
		}
	}
}

// repeated compares with the object's keys so far. Bodies with thousands of keys
// in one object are rare enough for a plain search with a length check.
func (p *Body) repeated(first int, key Span) bool {
	k := p.b[key.Start:key.End]
	for _, s := range p.keys[first:] {
		if s.End-s.Start == len(k) && string(p.b[s.Start:s.End]) == string(k) {
			return true
		}
	}
	return false
}

func clip(b []byte) []byte { return b[:min(len(b), 40)] }

func (p *Body) array(i, depth int, st state) (int, error) {
	if st == answerChoices {
		p.hasChoices = true
	}
	elem := st
	switch st {
	case toolCalls:
		elem = toolCall
	case tools:
		elem = text
	case stream, model, includeUsage, maxTokens, choices, user, label:
		elem = other
	}
	i = skip(p.b, i+1)
	if i < len(p.b) && p.b[i] == ']' {
		return i + 1, nil
	}
	if st == tools {
		p.Tools = true
	}
	for n := 0; ; n++ {
		if st == answerChoices {
			p.choice = n + 1
		}
		if st == toolCalls {
			p.tool = n + 1
		}
		var err error
		if i, err = p.value(i, depth+1, elem); err != nil {
			return i, err
		}
		if i = skip(p.b, i); i >= len(p.b) {
			return i, p.bad(i, "the body ends too early")
		}
		switch p.b[i] {
		case ']':
			return i + 1, nil
		case ',':
			i = skip(p.b, i+1)
		default:
			return i, p.bad(i, "a comma or a bracket is missing")
		}
	}
}

// str reads a string whose opening quote is at i.
func (p *Body) str(i int) (Span, int, error) {
	s := Span{Start: i + 1}
	for at := i + 1; ; {
		n := bytes.IndexByte(p.b[at:], '"')
		if n < 0 {
			return s, len(p.b), p.bad(i, "a string has no end")
		}
		part := p.b[at : at+n]
		if esc := bytes.IndexByte(part, '\\'); esc >= 0 {
			s.Escaped = true
			if err := p.control(part[:esc], at); err != nil {
				return s, at, err
			}
			size, ok := escape(p.b[at+esc:])
			if !ok {
				return s, at, p.bad(at+esc, "there is no such escape")
			}
			at += esc + size
			continue
		}
		if err := p.control(part, at); err != nil {
			return s, at, err
		}
		s.End = at + n
		return s, at + n + 1, nil
	}
}

func (p *Body) control(part []byte, at int) error {
	for k, c := range part {
		if c < 0x20 {
			return p.bad(at+k, "a string holds a control character")
		}
	}
	return nil
}

// escape gives the length of the escape at the start of b.
func escape(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, true
	case 'u':
		if len(b) < 6 {
			return 0, false
		}
		for _, c := range b[2:6] {
			if hex(c) < 0 {
				return 0, false
			}
		}
		return 6, true
	}
	return 0, false
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func (p *Body) number(i int) (int, error) {
	at, b := i, p.b
	if b[at] == '-' {
		at++
	}
	digits := func() bool {
		from := at
		for at < len(b) && b[at] >= '0' && b[at] <= '9' {
			at++
		}
		return at > from
	}
	from := at
	if !digits() || b[from] == '0' && at > from+1 {
		return i, p.bad(i, "there is no such number")
	}
	if at < len(b) && b[at] == '.' {
		at++
		if !digits() {
			return i, p.bad(i, "there is no such number")
		}
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		if !digits() {
			return i, p.bad(i, "there is no such number")
		}
	}
	return at, nil
}

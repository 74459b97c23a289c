// Package peek reads from a JSON body, in one pass and without building a tree,
// what the pipeline needs to know, and edits bodies by splicing, so that fields
// that nobody here knows and numbers of any size survive byte for byte.
package peek

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"plumbline/gateway/event"
)

// MaxDepth is how deep a body may nest.
const MaxDepth = 128

// MaxParts is how many objects and lists a request may have, how many texts, and how
// many keys an object may have with those around it. A list of {} takes three bytes an
// element, and what is built from one, here and in another dialect, takes a hundred
// times that; a conversation that fills a model's window has a tenth of it. It is a
// power of two.
const MaxParts = 1 << 17

// Span is a JSON value's place in a body. A string's span is what stands between
// its quotes.
type Span struct {
	Start, End int
	Escaped    bool // a string that holds escapes
	Whole      bool // answers: complete in itself; what comes later in its channel is another text
	Again      bool // answers: complete in itself, and it may have come in its channel before, in pieces or whole
	Kept       bool // signed by the provider: guards look at it, nobody may change it
	Channel    int  // answers: which choice, and which of its texts (see Choice)
}

// Choice is the number of a channel's choice, from 1. One choice has several
// texts that grow independently of each other: content, refusal, reasoning, and
// the arguments of each tool call.
func (s Span) Choice() int { return s.Channel >> 8 }

// Body is what was found. It is reused; spans refer to the bytes given to Parse.
type Body struct {
	// Requests.
	Model         Span
	HasModel      bool
	Stream        bool
	HasMessages   bool // the key is there
	HasInput      bool // the key is there
	IncludeUsage  bool
	StreamOptions Span // the value of stream_options; zero when there is none
	UsageFlag     Span // the value of stream_options.include_usage
	MaxTokens     int64
	Choices       int64 // n
	Tools         bool
	User          Span
	Previous      Span // the id of the response to go on from (Responses)
	Unstored      bool // store is false (Responses)
	Background    bool // the provider works on after it answered (Responses)
	Conversation  bool // a conversation is named that the provider keeps (Responses)
	Media         int  // images, sounds and files: no guard reads them
	MediaBytes    int  // of them, what stands in the body itself
	Sealed        bool // a field that no grammar knows holds a long text that reads like a file's bytes, at which no guard looks
	End           int  // offset of the closing brace

	// Both. Text is every string that a person, a model or a tool wrote.
	Text []Span
	// Kept are ids of items (Responses): in a request of those that it names and that
	// the provider has to have, in an answer of those that are in it.
	Kept []Span

	// Tier is the service tier, as far as its price differs: what a request asks for, and
	// where an answer was served. TierStandard stands for every other one; empty where
	// nothing is said.
	Tier string
	// Wrapped: a string of the body's begins as what the gateway wraps does.
	Wrapped bool
	// Searches is how many a request allows the provider to make, where each has a fee.
	Searches int64

	// Answers.
	// Searched is how many searches with a fee the event says have been made, which the
	// stream's last event counts all (Responses).
	Searched   int64
	Usage      Usage
	HasUsage   bool
	ID         Span   // of the answer, or of the one in an event (Responses)
	Items      int    // of an answer's "data": images, vectors
	NoChoices  bool   // "choices" is there and empty
	Failed     bool   // an error stands in the place of an answer
	Ended      bool   // the event says that the stream is whole
	Finished   []int  // choices that ended here
	Logprobs   []Span // the tokens of a choice's text once more; Channel says of which
	hasChoices bool
	choice     int
	tool       int
	finished   bool
	extra      int64 // a count that belongs to another
	place      int   // of a text in its item (Responses)
	item       bool  // an item stands in the event, whose texts know their place
	failed     bool
	sound      bool // what comes is no text
	input      inputItem
	made       madeItem
	calls      int64 // most that a request allows of its provider's tools; -1: it does not say (Responses)
	offered    tool  // of a request's tools (Messages, Responses)
	total      int64
	sum        int64 // what the usage says that it is altogether
	by         by
	seen       int // choices of an event

	b    []byte
	g    *grammar
	root state
	keys []keySpan
	like *Like // whose pattern was found last, if what was found still stands here

	prompts    int64 // of a list of them
	asked      int   // where it stands how many answers are asked for
	absurd     bool  // it says that it used more than there can be
	odd        int   // where "stream" stands that is neither true nor false; 0: nowhere
	containers int   // so far
	released   int64 // bytes of texts, of which Release let go
}

// Usage is what the body says was used; -1 where it says nothing. A grammar whose
// vendor counts otherwise than event.Usage says adds it up.
type Usage = event.Usage

var noUsage = Usage{Input: -1, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}

// TierStandard is every service tier without prices of its own.
const TierStandard = "standard"

// Error says what is wrong with a body, and where.
type Error struct {
	Code   string // body_malformed, body_too_deep, body_too_complex, body_duplicate_key, body_not_utf8
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
	text  // a string here is text; below it everything is
	free  // the same, without labels: what an app or a model put there is all text
	stray // a field of a request that the grammar does not know (see stray.go)
	sealed
	release // a version, in such a field
	kept    // text that a provider signed
	label
	media
	blob
	fileID
	answerChoices
	answerChoice
	choiceIndex
	finishReason
	logprobs
	message
	refusalText
	reasoningText
	functionCall
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
	cacheWrite
	audioIn
	audioOut
	reasoning
	answerModel
	answerError

	items
	item
	usageSeconds
	usageSum
	serviceTier

	lastShared // other grammars' own states begin here
)

// Forget lets go of the bytes that were read, and keeps what can be used again.
func (p *Body) Forget() {
	p.clear()
	p.Text, p.Kept, p.Logprobs, p.keys = few(p.Text), few(p.Kept), few(p.Logprobs), few(p.keys)
}

// clear empties a body in place, which is large, and keeps its lists' memory.
func (p *Body) clear() {
	text, kept, finished, logprobs, keys := p.Text[:0], p.Kept[:0], p.Finished[:0], p.Logprobs[:0], p.keys[:0]
	*p = Body{}
	p.Text, p.Kept, p.Finished, p.Logprobs, p.keys = text, kept, finished, logprobs, keys
}

// fewMost is how long a list may be that is kept for another body.
const fewMost = 4096

// few keeps what the next body will need, and not what one large body needed.
func few[T any](s []T) []T {
	if cap(s) > fewMost {
		return nil
	}
	return s[:0]
}

// Release lets go of the bytes. What was found in them stays, but for where texts and
// keys stand when there are many.
func (p *Body) Release() {
	p.b = nil
	if cap(p.Text) > fewMost {
		p.released, p.Text = p.TextBytes(), nil
	}
	if cap(p.keys) > fewMost {
		p.keys = nil
	}
}

// TextBytes is how many bytes all texts have as they stand in the body.
func (p *Body) TextBytes() int64 {
	n := p.released
	for i := range p.Text {
		n += int64(p.Text[i].End - p.Text[i].Start)
	}
	return n
}

// Request reads a request body.
func (p *Body) Request(b []byte, of Grammar) error {
	g := grammars[of]
	return p.parse(b, g, g.request)
}

// Answer reads an answer body or one event of a streamed one.
func (p *Body) Answer(b []byte, of Grammar) error {
	g := grammars[of]
	return p.parse(b, g, g.answer)
}

func (p *Body) parse(b []byte, g *grammar, root state) error {
	if p.g != nil { // else nothing was read since Forget
		p.clear()
	}
	p.b, p.g, p.root, p.MaxTokens, p.Choices, p.calls = b, g, root, -1, 1, -1
	p.Usage = noUsage
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
	if p.odd > 0 {
		return &Error{"body_invalid", p.odd, `write "stream" as true or false: some providers would read this so`}
	}
	if root == g.request && p.tooManyAnswers() {
		return &Error{"body_invalid", p.asked, fmt.Sprintf("the request asks for more than %d answers", MaxAnswers)}
	}
	p.End = i - 1
	if i = skip(b, i); i != len(b) {
		return p.bad(i, "there is something after the JSON object")
	}
	p.NoChoices = p.hasChoices && p.choice == 0
	if g.finish != nil {
		g.finish(p)
	}
	if p.absurd {
		p.Usage, p.HasUsage = noUsage, false
	}
	return nil
}

func (p *Body) bad(i int, what string) error { return &Error{"body_malformed", i, what} }

func skip(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
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
	if p.containers|len(p.Text)|len(p.keys) >= MaxParts && p.root == p.g.request {
		return i, &Error{"body_too_complex", i, fmt.Sprintf("the body has %d lists and objects, texts, or keys of one object", MaxParts)}
	}
	switch b, c := p.b, p.b[i]; {
	case c == '"':
		span, end := Span{Start: i + 1, End: plain(b, i+1)}, 0
		if end = span.End + 1; end > len(b) || b[span.End] != '"' {
			var err error
			if span, end, err = p.str(i); err != nil {
				return end, err
			}
		}
		if c := b[i+1]; (c == Wrapping[0] || c == wrappedBytes[0]) && isWrapped(b[span.Start:span.End]) {
			p.Wrapped = true
		}
		p.g.onString(p, st, span)
		return end, nil
	case c == '{':
		return p.object(i, depth, st)
	case c == '[':
		return p.array(i, depth, st)
	case c == '-' || c >= '0' && c <= '9':
		end, err := p.number(i)
		if err == nil {
			p.g.onNumber(p, st, b[i:end])
		}
		return end, err
	case bytes.HasPrefix(b[i:], []byte("true")):
		p.g.onLiteral(p, st, true)
		return i + 4, nil
	case bytes.HasPrefix(b[i:], []byte("false")):
		p.g.onLiteral(p, st, false)
		return i + 5, nil
	case bytes.HasPrefix(b[i:], []byte("null")):
		return i + 4, nil
	}
	return i, p.bad(i, "there is no JSON value")
}

func (p *Body) object(i, depth int, st state) (int, error) {
	first, b, g := len(p.keys), p.b, p.g
	p.containers++
	var seen map[string]struct{}
	var some uint64 // a bit for each key so far: two that are the same have the same
	if st == answerChoices {
		st = answerChoice
	}
	i = skip(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return i, p.bad(i, "a key is missing")
		}
		start := i + 1
		end, escaped := plain(b, start), false
		if end >= len(b) || b[end] != '"' {
			key, at, err := p.str(i)
			if err != nil {
				return at, err
			}
			end, escaped = key.End, key.Escaped
			if escaped && depth == 0 {
				return i, p.bad(i, "a top-level key is written with escapes")
			}
		}
		name := b[start:end]
		if escaped {
			name = Unescape(nil, name)
		}
		bit := bitOf(name)
		if (some&bit != 0 || len(p.keys)-first >= manyKeys) && p.repeated(first, name, &seen) {
			return i, p.twice(i, depth, name)
		}
		some |= bit
		p.keys = append(p.keys, keySpan{start, end, escaped})
		if i = skip(b, end+1); i >= len(b) || b[i] != ':' {
			return i, p.bad(i, "a colon is missing")
		}
		below := g.next(st, name)
		if depth == 0 && !means(below) && p.root == g.request {
			if meant, ok := folded(name); ok && means(g.next(st, meant)) {
				return start - 1, p.bad(start-1, fmt.Sprintf("write the key %q as %q: some providers would read it so", name, meant))
			}
		}
		from := skip(b, i+1)
		var err error
		if i, err = p.value(from, depth+1, below); err != nil {
			return i, err
		}
		g.onValue(p, st, below, name, from, i)
		if i = skip(b, i); i >= len(b) {
			return i, p.bad(i, "the body ends too early")
		}
		switch b[i] {
		case '}':
			p.keys = p.keys[:first]
			return i + 1, nil
		case ',':
			i = skip(b, i+1)
		default:
			return i, p.bad(i, "a comma or a brace is missing")
		}
	}
}

func (p *Body) array(i, depth int, st state) (int, error) {
	p.containers++
	if st == answerChoices {
		p.hasChoices = true
	}
	elem := p.g.element(st)
	i = skip(p.b, i+1)
	if i < len(p.b) && p.b[i] == ']' {
		return i + 1, nil
	}
	if st == tools {
		p.Tools = true
	}
	for n := 0; ; n++ {
		from := len(p.Text)
		p.g.onBegin(p, st, n)
		var err error
		if i, err = p.value(i, depth+1, elem); err != nil {
			return i, err
		}
		p.g.onEnd(p, st, from)
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

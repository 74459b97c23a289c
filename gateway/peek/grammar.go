package peek

import "bytes"

// Grammar says what the keys of a wire format mean.
type Grammar uint8

// The grammars. OpenAI's is that of its chat completions, completions, embeddings
// and whatever else has its texts under messages, input or prompt.
const (
	OpenAI Grammar = iota
	Messages
	Gemini
	Responses
	Converse
	Media // images, speech and transcripts of OpenAI's
	grammarCount
)

// grammar is one format's meaning of keys. A new one begins with openAI's functions
// for the states that are common to all (text, label, media, usageInput and the
// like), and adds states of its own after lastShared.
type grammar struct {
	request, answer state
	next            func(st state, key []byte) state // of a key's value in an object of state st
	element         func(st state) state             // of an array's elements

	onString  func(p *Body, st state, s Span)
	onNumber  func(p *Body, st state, digits []byte)
	onLiteral func(p *Body, st state, value bool)
	onValue   func(p *Body, st, below state, key []byte, from, to int) // b[from:to] stands under key in an object of state st
	onBegin   func(p *Body, st state, n int)                           // an array's element n begins
	onEnd     func(p *Body, st state, from int)                        // it ended; its texts begin at Text[from]
	finish    func(p *Body)                                            // the body is read; may be nil
}

var grammars = [grammarCount]*grammar{OpenAI: &openAI, Messages: &messages, Gemini: &gemini, Converse: &converse, Responses: &responses, Media: &mediaGrammar}

var openAI = grammar{
	request: request, answer: answer, next: next, element: element,
	onString: (*Body).onString, onNumber: (*Body).onNumber, onLiteral: (*Body).onLiteral, onValue: (*Body).onValue,
	onBegin: (*Body).onBegin, onEnd: (*Body).onElement, finish: (*Body).apart,
}

// element is the state of an array's elements.
func element(st state) state {
	switch st {
	case toolCalls:
		return toolCall
	case items:
		return item
	case tools:
		return text
	case stream, model, includeUsage, maxTokens, choices, user, label:
		return other
	}
	return st
}

// onBegin counts where an element does not say its index.
func (p *Body) onBegin(st state, n int) {
	switch st {
	case answerChoices:
		p.choice, p.finished = n+1, false
	case toolCalls:
		p.tool = n + 1
	case items:
		p.Items++
	}
}

// Wrapping begins a text that the gateway itself put into an answer around what a
// provider signed or sealed: a caller sends it again as it is.
const Wrapping = "plumbline:"

// wrappedBytes begins such a text where it stands in base64: the first nine letters.
const wrappedBytes = "cGx1bWJsaW5l"

func isWrapped(text []byte) bool {
	return bytes.HasPrefix(text, []byte(Wrapping)) || bytes.HasPrefix(text, []byte(wrappedBytes))
}

package peek

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"

	"plumbline/gateway/event"
)

// next is the state of a key's value.
func next(st state, key []byte) state {
	switch st {
	case request:
		switch string(key) {
		case "model":
			return model
		case "stream":
			return stream
		case "stream_options":
			return streamOptions
		case "max_tokens", "max_completion_tokens":
			return maxTokens
		case "n", "best_of": // of which all are billed, and n are given
			return choices
		case "service_tier":
			return serviceTier
		case "tools", "functions":
			return tools
		case "user", "safety_identifier":
			return user
		case "messages", "input", "prompt", "instructions", "suffix", "prediction", "response_format":
			return text
		case "audio", "modalities", "function_call", "tool_choice", "encoding_format", "reasoning_effort", "verbosity", "moderation",
			"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "input_file_id", "endpoint", "completion_window":
			return other
		}
		return nextStray(key)
	case streamOptions:
		if string(key) == "include_usage" {
			return includeUsage
		}
		return nextStray(key)
	case text, label, media:
		switch string(key) {
		case "role", "type", "id", "tool_call_id", "detail", "format":
			return label
		case "image_url", "input_audio", "video_url", "file":
			return media
		case "url", "data", "file_data":
			if st == media {
				return blob
			}
		case "file_id":
			if st == media {
				return fileID
			}
		case "signature", "thought_signature", "encrypted_content":
			return sealed
		case "reasoning_details", "extra_content": // a provider's own, with what it signed or encrypted
			return nextStray(key)
		}
		return text
	case stray, sealed, release:
		return nextStray(key)
	case answer:
		switch string(key) {
		case "choices":
			return answerChoices
		case "data":
			return items
		case "text", "segments", "words": // a transcript
			return text
		case "usage":
			return usage
		case "service_tier":
			return serviceTier
		case "model":
			return answerModel
		case "error":
			return answerError
		}
	case item:
		if string(key) == "revised_prompt" {
			return text
		}
	case answerChoice:
		switch string(key) {
		case "message", "delta":
			return message
		case "index":
			return choiceIndex
		case "finish_reason":
			return finishReason
		case "logprobs":
			return logprobs
		case "text":
			return text
		}
	case message:
		switch string(key) {
		case "content":
			return text
		case "refusal":
			return refusalText
		case "reasoning_content", "reasoning":
			return reasoningText
		case "tool_calls":
			return toolCalls
		case "function_call":
			return functionCall
		}
	case toolCall:
		switch string(key) {
		case "index":
			return toolIndex
		case "function", "custom":
			return function
		}
	case function:
		switch string(key) {
		case "arguments", "input":
			return text
		}
	case functionCall:
		if string(key) == "arguments" {
			return functionCall
		}
	case usage:
		switch string(key) {
		case "prompt_tokens", "input_tokens":
			return usageInput
		case "completion_tokens", "output_tokens":
			return usageOutput
		case "prompt_tokens_details", "input_tokens_details", "input_token_details":
			return inputDetails
		case "completion_tokens_details", "output_tokens_details", "output_token_details":
			return outputDetails
		case "total_tokens":
			return usageSum
		case "seconds":
			return usageSeconds
		}
	case inputDetails:
		switch string(key) {
		case "cached_tokens":
			return cacheRead
		case "cache_write_tokens":
			return cacheWrite
		case "audio_tokens":
			return audioIn
		}
	case outputDetails:
		switch string(key) {
		case "reasoning_tokens":
			return reasoning
		case "audio_tokens":
			return audioOut
		}
	}
	return other
}

func (p *Body) onString(st state, s Span) {
	switch st {
	case model:
		p.Model, p.HasModel = s, true
	case answerModel:
		p.Model, p.HasModel = s, true
	case user:
		p.User = s
	case serviceTier:
		p.Tier = tierOf(p.b[s.Start:s.End], s.Escaped)
	case text:
		p.text(s, p.tool)
	case stray, sealed, release:
		p.onStray(st, s)
	case refusalText:
		p.text(s, channelRefusal)
	case reasoningText:
		p.text(s, channelReasoning)
	case functionCall:
		p.text(s, channelFunction)
	case finishReason:
		p.finished = true
	case fileID:
		p.Media++
	case maxTokens, choices:
		digits := p.b[s.Start:s.End]
		if s.Escaped {
			digits = Unescape(nil, digits)
		}
		p.limit(st, digits)
	case media, blob:
		p.Media++
		if opaque(p.b[s.Start:s.End]) {
			p.MediaBytes += s.End - s.Start
		} else {
			p.text(s, 0) // a URL can carry as much as any other text
		}
	}
}

func tierOf(name []byte, escaped bool) string {
	if escaped {
		name = Unescape(nil, name)
	}
	switch string(name) {
	case event.TierFlex:
		return event.TierFlex
	case event.TierPriority:
		return event.TierPriority
	}
	return TierStandard
}

// A choice's texts besides its content, which is 0, and the arguments of tool
// call n, which are n+1.
const (
	mostTools        = 250
	channelFunction  = mostTools + 2
	channelRefusal   = mostTools + 3
	channelReasoning = mostTools + 4
)

func (p *Body) text(s Span, sub int) {
	if s.End > s.Start {
		s.Channel = sub
		p.Text = append(p.Text, s)
	}
}

// opaque reports whether a string is nothing but base64, alone or in a data URL.
func opaque(b []byte) bool {
	least := 32 // what is shorter could as well be a word
	if len(b) > 5 && string(b[:5]) == "data:" {
		_, b, _ = bytes.Cut(b, []byte(";base64,"))
		least = 1
	}
	if len(b) < least {
		return false
	}
	for _, c := range bytes.TrimRight(b, "=") {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// onValue notes where a value stands: b[from:to], under key in an object of state
// st.
func (p *Body) onValue(st, below state, key []byte, from, to int) {
	switch below {
	case stream:
		if c := p.b[from]; c != 't' && c != 'f' && c != 'n' {
			p.odd = from
		}
	case choices:
		p.asked = from
	case streamOptions:
		p.StreamOptions = Span{Start: from, End: to}
	case includeUsage:
		p.UsageFlag = Span{Start: from, End: to}
	case answerError:
		p.Failed = p.b[from] != 'n'
	case logprobs:
		if p.b[from] != 'n' {
			p.Logprobs = append(p.Logprobs, Span{Start: from, End: to})
		}
	case text:
		if st == request {
			p.HasMessages = p.HasMessages || string(key) == "messages"
			p.HasInput = p.HasInput || string(key) == "input"
			if string(key) == "prompt" && p.b[from] == '[' {
				p.prompts, p.asked = prompts(p.b[from+1:to]), from
			}
		}
	}
}

// onElement ends an array's element: only now is it known which choice or tool
// call it is of, for its index may come last. Its texts begin at from.
func (p *Body) onElement(st state, from int) {
	switch st {
	case answerChoices:
		for i := range p.Text[from:] {
			p.Text[from+i].Channel |= p.choice << 8
		}
		for i := range p.Logprobs {
			if p.Logprobs[i].Channel == 0 {
				p.Logprobs[i].Channel = p.choice << 8
			}
		}
		if p.finished {
			p.Finished = append(p.Finished, p.choice)
		}
	case toolCalls:
		for i := range p.Text[from:] {
			p.Text[from+i].Channel = p.tool
		}
		p.tool = 0
	}
}

// onNumber keeps what is a whole number in range; anything else is the
// provider's to refuse.
func (p *Body) onNumber(st state, digits []byte) {
	if st == maxTokens || st == choices {
		p.limit(st, digits)
		return
	}
	if st < maxTokens {
		return
	}
	switch st {
	case choiceIndex, toolIndex, usageInput, usageOutput, cacheRead, cacheWrite, audioIn, audioOut, reasoning, usageSeconds, usageSum:
	default:
		return
	}
	n := whole(digits)
	if n < 0 && st == usageSeconds { // a begun one counts
		digits, _, _ = bytes.Cut(digits, []byte("."))
		n = whole(digits) + 1
	}
	if (n > mostCount || len(digits) > 18) && st != choiceIndex && st != toolIndex {
		p.absurd = true
		return
	}
	if n < 0 {
		return
	}
	switch st {
	case choiceIndex:
		p.choice = int(min(n, 1<<20)) + 1
	case toolIndex:
		p.tool = int(min(n, mostTools)) + 1
	case usageInput:
		p.Usage.Input, p.HasUsage = n, true
	case usageOutput:
		p.Usage.Output, p.HasUsage = n, true
	case cacheRead:
		p.Usage.CacheRead = n
	case cacheWrite:
		p.Usage.CacheWrite = n
	case usageSeconds:
		p.Usage.Seconds, p.HasUsage = n, true
	case usageSum:
		p.sum = n
	case audioIn:
		p.Usage.AudioIn = n
	case audioOut:
		p.Usage.AudioOut = n
	case reasoning:
		p.Usage.Reasoning = n
	}
}

// prompts counts what is in a list of prompts (completions): texts, or lists of tokens.
// Tokens alone are one prompt.
func prompts(list []byte) (n int64) {
	depth := 0
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '"':
			if depth == 0 {
				n++
			}
			for i++; i < len(list) && list[i] != '"'; i++ {
				if list[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if depth == 0 {
				n++
			}
			depth++
		case ']', '}':
			depth--
		}
	}
	return n
}

// MaxAnswers is how many answers one request may ask for; vendors give some hundred. What
// is held for more would not fit where such sums are kept.
const MaxAnswers = 1 << 16

// Answers is how many answers a request asks for: each of its choices for each of its
// prompts. It is at most MaxAnswers.
func (p *Body) Answers() int64 { return p.Choices * max(p.prompts, 1) }

func (p *Body) tooManyAnswers() bool { return p.Choices > MaxAnswers/max(p.prompts, 1) }

// limit takes a number of the request that bounds what the answer costs.
func (p *Body) limit(st state, text []byte) {
	n := Loosely(text)
	if st == choices {
		p.Choices = max(p.Choices, n)
	} else {
		p.MaxTokens = max(p.MaxTokens, n)
	}
}

// Loosely reads a number from 0 on as any server does that takes a fraction, an exponent or
// a string for a whole one, and rounds it up: what was not read would not be held for. It
// is -1 for what is no number to any server, or below 0.
func Loosely(text []byte) int64 {
	if n := whole(text); n >= 0 && len(text) > 0 {
		return n
	}
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange) || !(f > 0):
		return -1
	case f >= mostLimit:
		return mostLimit
	}
	return int64(math.Ceil(f))
}

// mostLimit stands for every larger one.
const mostLimit = 1 << 53

// mostCount is the most that one answer can say it used. No model has read or written a
// hundredth of that in one call; an answer that says more is not believed in any of its
// counts, for the sums of a few such would not fit where they are kept.
const mostCount = 1 << 30

// count reads how many of something an answer used beside its tokens.
func count(digits []byte) int64 {
	n := whole(digits)
	if n > mostCount {
		return 0
	}
	return max(n, 0)
}

// apart adds thoughts to the output where the vendor counts them apart, as xAI does in
// chat completions: there the sum is right with them alone
// (docs.x.ai/docs/key-information/consumption-and-rate-limits).
func (p *Body) apart() {
	if u := &p.Usage; u.Reasoning > 0 && u.Input >= 0 && u.Output >= 0 && p.sum-u.Input-u.Output == u.Reasoning {
		u.Output += u.Reasoning
	}
}

// whole reads a whole number from 0 on; -1 for any other.
func whole(digits []byte) (n int64) {
	if len(digits) > 18 {
		return -1
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

func (p *Body) onLiteral(st state, value bool) {
	switch st {
	case stream:
		p.Stream = value
	case includeUsage:
		p.IncludeUsage = value
	}
}

// Unescape appends a string's text to dst. Lone surrogates become the
// replacement character.
func Unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		c := b[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		i++
		switch b[i] {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r := rune4(b[i+1:])
			i += 4
			if r >= 0xd800 && r < 0xdc00 && i+6 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
				if low := rune4(b[i+3:]); low >= 0xdc00 && low < 0xe000 {
					r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
					i += 6
				}
			}
			dst = append(dst, string(r)...)
		default:
			dst = append(dst, b[i])
		}
		i++
	}
	return dst
}

func rune4(b []byte) (r rune) {
	if len(b) < 4 {
		return 0xfffd
	}
	for _, c := range b[:4] {
		r = r<<4 | rune(hex(c))
	}
	return r
}

// Escape appends text as it stands between the quotes of a JSON string.
func Escape(dst, text []byte) []byte {
	dst = slices.Grow(dst, len(text))
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0')
			if c < 16 {
				dst = append(dst, '0')
			}
			dst = strconv.AppendUint(dst, uint64(c), 16)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// Edit replaces body[Start:End] by With.
type Edit struct {
	Start, End int
	With       []byte
}

// Splice appends body with edits applied; they must be sorted and apart.
func Splice(dst, body []byte, edits []Edit) []byte {
	size, at := len(body), 0
	for i := range edits {
		size += len(edits[i].With) - (edits[i].End - edits[i].Start)
	}
	dst = slices.Grow(dst, size)
	for _, e := range edits {
		dst = append(dst, body[at:e.Start]...)
		dst = append(dst, e.With...)
		at = e.End
	}
	return append(dst, body[at:]...)
}

package peek

import "strconv"

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
		case "n":
			return choices
		case "tools", "functions":
			return tools
		case "user", "safety_identifier":
			return user
		case "messages", "input", "prompt", "instructions":
			return text
		}
	case streamOptions:
		if string(key) == "include_usage" {
			return includeUsage
		}
	case text, label:
		switch string(key) {
		case "role", "type", "id", "tool_call_id", "detail", "format":
			return label
		}
		return text
	case answer:
		switch string(key) {
		case "choices":
			return answerChoices
		case "usage":
			return usage
		case "model":
			return answerModel
		}
	case answerChoice:
		switch string(key) {
		case "message", "delta":
			return message
		case "index":
			return choiceIndex
		case "text":
			return text
		}
	case message:
		switch string(key) {
		case "content", "refusal", "reasoning_content":
			return text
		case "tool_calls":
			return toolCalls
		}
	case toolCall:
		switch string(key) {
		case "index":
			return toolIndex
		case "function":
			return function
		}
	case function:
		if string(key) == "arguments" {
			return text
		}
	case usage:
		switch string(key) {
		case "prompt_tokens":
			return usageInput
		case "completion_tokens":
			return usageOutput
		case "prompt_tokens_details":
			return inputDetails
		case "completion_tokens_details":
			return outputDetails
		}
	case inputDetails:
		if string(key) == "cached_tokens" {
			return cacheRead
		}
	case outputDetails:
		if string(key) == "reasoning_tokens" {
			return reasoning
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
	case text:
		p.HasMessages = true
		if n := s.End - s.Start; n > 0 && !(n > 5 && string(p.b[s.Start:s.Start+5]) == "data:") {
			s.Channel = p.choice<<8 | p.tool
			p.Text = append(p.Text, s)
		}
	}
}

// onNumber keeps what is a whole number in range; anything else is the
// provider's to refuse.
func (p *Body) onNumber(st state, digits []byte) {
	if st < maxTokens || len(digits) > 18 {
		return
	}
	switch st {
	case maxTokens, choices, choiceIndex, toolIndex, usageInput, usageOutput, cacheRead, reasoning:
	default:
		return
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return
		}
		n = n*10 + int64(c-'0')
	}
	switch st {
	case maxTokens:
		p.MaxTokens = max(p.MaxTokens, n)
	case choices:
		p.Choices = max(n, 1)
	case choiceIndex:
		p.choice = int(min(n, 1<<20)) + 1
		for i := range p.Text { // of this choice, when its index came last
			if p.Text[i].Channel>>8 == 0 {
				p.Text[i].Channel |= p.choice << 8
			}
		}
	case toolIndex:
		p.tool = int(min(n, 250)) + 1
	case usageInput:
		p.Usage.Input, p.HasUsage = n, true
	case usageOutput:
		p.Usage.Output, p.HasUsage = n, true
	case cacheRead:
		p.Usage.CacheRead = n
	case reasoning:
		p.Usage.Reasoning = n
	}
}

func (p *Body) onLiteral(st state, from, to int, value bool) {
	switch st {
	case stream:
		p.Stream = value
	case includeUsage:
		p.IncludeUsage = value
		p.UsageFlag = Span{Start: from, End: to}
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
	at := 0
	for _, e := range edits {
		dst = append(dst, body[at:e.Start]...)
		dst = append(dst, e.With...)
		at = e.End
	}
	return append(dst, body[at:]...)
}

package peek

// The states of Google's generateContent beyond the shared ones. Its servers take
// names in camelCase and in snake_case.
const (
	gemRequest state = lastShared + 32 + iota
	gemConfig
	gemText // contents and instructions: text, but for labels
	gemMedia
	gemCall // a function's call or its result
	gemAnswer
	gemCandidates
	gemCandidate
	gemContent
	gemParts
	gemPart
	gemThought
	gemFinish
	gemFeedback
	gemBlock
	gemUsage
	gemToolUse
)

var gemini = grammar{
	request: gemRequest, answer: gemAnswer, next: nextGemini, element: elementGemini,
	onString: onStringGemini, onNumber: onNumberGemini, onLiteral: onLiteralGemini, onValue: (*Body).onValue,
	onBegin: func(p *Body, st state, n int) {
		switch st {
		case gemCandidates:
			p.choice, p.finished = n+1, false
		case gemParts:
			p.tool = 0
		}
	},
	onEnd: func(p *Body, st state, from int) {
		switch st {
		case gemCandidates:
			p.ofChoice(from)
			if p.finished {
				p.Finished = append(p.Finished, p.choice)
			}
		case gemParts:
			if p.tool != 0 {
				for i := range p.Text[from:] {
					p.Text[from+i].Channel = p.tool
				}
			}
			p.tool = 0
		}
	},
	finish: finishGemini,
}

func nextGemini(st state, key []byte) state {
	switch st {
	case gemRequest:
		switch string(key) {
		case "contents", "content", "systemInstruction", "system_instruction", "requests":
			return gemText
		case "generateContentRequest":
			return gemRequest
		case "tools":
			return tools
		case "generationConfig", "generation_config":
			return gemConfig
		}
	case gemConfig:
		switch string(key) {
		case "maxOutputTokens", "max_output_tokens":
			return maxTokens
		case "candidateCount", "candidate_count":
			return choices
		case "responseSchema", "response_schema", "responseJsonSchema", "response_json_schema":
			return free
		}
	case gemText:
		switch string(key) {
		case "role", "model", "taskType", "task_type", "thoughtSignature", "thought_signature":
			return other
		case "inlineData", "inline_data", "fileData", "file_data":
			return gemMedia
		case "functionCall", "function_call", "functionResponse", "function_response":
			return gemCall
		}
		return gemText
	case gemMedia:
		switch string(key) {
		case "mimeType", "mime_type":
			return other
		case "data", "fileUri", "file_uri":
			return blob
		}
		return gemText
	case gemCall:
		switch string(key) {
		case "id", "name", "scheduling":
			return other
		}
		return free
	case free, text:
		return st
	case gemAnswer:
		switch string(key) {
		case "candidates":
			return gemCandidates
		case "modelVersion":
			return answerModel
		case "usageMetadata":
			return gemUsage
		case "promptFeedback":
			return gemFeedback
		case "error":
			return answerError
		}
	case gemCandidate:
		switch string(key) {
		case "content":
			return gemContent
		case "index":
			return choiceIndex
		case "finishReason":
			return gemFinish
		}
	case gemContent:
		if string(key) == "parts" {
			return gemParts
		}
	case gemPart:
		switch string(key) {
		case "text":
			return text
		case "thought":
			return gemThought
		case "functionCall":
			return gemCall
		case "executableCode", "codeExecutionResult":
			return free
		}
	case gemFeedback:
		if string(key) == "blockReason" {
			return gemBlock
		}
	case gemUsage:
		switch string(key) {
		case "promptTokenCount":
			return usageInput
		case "candidatesTokenCount":
			return usageOutput
		case "cachedContentTokenCount":
			return cacheRead
		case "thoughtsTokenCount":
			return reasoning
		case "toolUsePromptTokenCount":
			return gemToolUse
		}
	}
	return other
}

func elementGemini(st state) state {
	switch st {
	case gemCandidates:
		return gemCandidate
	case gemParts:
		return gemPart
	case tools:
		return free
	case maxTokens, choices, gemFinish:
		return other
	}
	return st
}

func onStringGemini(p *Body, st state, s Span) {
	switch st {
	case gemText:
		p.text(s, 0)
	case free: // what a function is called with comes whole
		s.Whole = true
		p.text(s, 0)
	case gemFinish:
		p.finished, p.Ended = true, true
	case gemBlock:
		p.Ended = true
	default:
		p.onString(st, s)
	}
}

func onNumberGemini(p *Body, st state, digits []byte) {
	if st == gemToolUse {
		p.extra = max(whole(digits), 0)
		return
	}
	p.onNumber(st, digits)
}

func onLiteralGemini(p *Body, st state, value bool) {
	if st == gemThought && value {
		p.tool = channelReasoning
		return
	}
	p.onLiteral(st, value)
}

// finishGemini: what tools put into the prompt is counted beside promptTokenCount, and
// thoughts beside candidatesTokenCount.
func finishGemini(p *Body) {
	u := &p.Usage
	if u.Input >= 0 {
		u.Input += p.extra
	}
	if u.Reasoning > 0 {
		u.Output = max(u.Output, 0) + u.Reasoning
	}
}

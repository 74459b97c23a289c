package peek

import "bytes"

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
	gemTotal
	gemPromptBy // counts by what was counted
	gemCachedBy
	gemAnswerBy
	gemMode
	gemCount
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
		case gemPromptBy, gemCachedBy, gemAnswerBy:
			p.by = by{}
		}
	},
	onEnd: func(p *Body, st state, from int) {
		switch st {
		case gemCandidates:
			p.ofChoice(from)
			for i := range p.Logprobs {
				if p.Logprobs[i].Channel == 0 {
					p.Logprobs[i].Channel = p.choice << 8
				}
			}
			if p.finished {
				p.Finished = append(p.Finished, p.choice)
			}
			// The stream has no last event: it is whole when its choices are. Of several the
			// last to stop says so, as far as one event shows.
			p.Ended = p.finished && (p.Ended || p.seen == 0)
			p.seen++
		case gemParts:
			if p.tool != 0 {
				for i := range p.Text[from:] {
					p.Text[from+i].Channel = p.tool
				}
			}
			p.tool = 0
		case gemPromptBy:
			p.by.add(&p.Usage.ImageIn, &p.Usage.AudioIn)
		case gemCachedBy:
			p.by.add(nil, &p.Usage.CachedAudio)
		case gemAnswerBy:
			p.by.add(&p.Usage.ImageOut, &p.Usage.AudioOut)
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
		case "model", "toolConfig", "tool_config", "safetySettings", "safety_settings", "cachedContent", "cached_content", "taskType", "task_type", "serviceTier", "service_tier":
			return other
		}
		return nextStray(key)
	case gemConfig:
		switch string(key) {
		case "maxOutputTokens", "max_output_tokens":
			return maxTokens
		case "candidateCount", "candidate_count":
			return choices
		case "responseSchema", "response_schema", "responseJsonSchema", "response_json_schema":
			return free
		case "responseMimeType", "response_mime_type", "responseModalities", "response_modalities", "speechConfig", "speech_config", "mediaResolution", "media_resolution",
			"thinkingConfig", "thinking_config", "imageConfig", "image_config":
			return other
		}
		return nextStray(key)
	case stray, sealed, release:
		return nextStray(key)
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
		case "logprobsResult":
			return logprobs
		case "groundingMetadata", "citationMetadata", "finishMessage": // the answer's text once more, and what it is from
			return free
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
		case "totalTokenCount":
			return gemTotal
		case "promptTokensDetails":
			return gemPromptBy
		case "cacheTokensDetails":
			return gemCachedBy
		case "candidatesTokensDetails":
			return gemAnswerBy
		}
	case gemPromptBy, gemCachedBy, gemAnswerBy:
		switch string(key) {
		case "modality":
			return gemMode
		case "tokenCount":
			return gemCount
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
		p.finished = string(p.b[s.Start:s.End]) != "FINISH_REASON_UNSPECIFIED"
	case gemBlock:
		p.Ended = true
	case gemMode:
		p.by.mode = string(p.b[s.Start:s.End])
	case maxTokens, choices: // which may be strings to Google's servers
		p.onNumber(st, p.b[s.Start:s.End])
	default:
		p.onString(st, s)
	}
}

func onNumberGemini(p *Body, st state, digits []byte) {
	switch st {
	case gemToolUse:
		p.extra = count(digits)
	case gemTotal:
		p.total = count(digits)
	case gemCount:
		p.by.count = count(digits)
	default:
		before, after, _ := bytes.Cut(digits, []byte("."))
		if len(bytes.Trim(after, "0")) == 0 { // and may have a fraction of zero
			digits = before
		}
		p.onNumber(st, digits)
	}
}

// by is a count of one modality.
type by struct {
	mode  string
	count int64
}

func (b by) add(image, audio *int64) {
	switch {
	case b.mode == "IMAGE" && image != nil:
		*image += b.count
	case b.mode == "AUDIO":
		*audio += b.count
	}
}

func onLiteralGemini(p *Body, st state, value bool) {
	if st == gemThought && value {
		p.tool = channelReasoning
		return
	}
	p.onLiteral(st, value)
}

// finishGemini: what tools put into the prompt is counted beside promptTokenCount, and
// thoughts beside candidatesTokenCount. A count of zero is left out.
func finishGemini(p *Body) {
	u := &p.Usage
	if u.Input >= 0 {
		u.Input += p.extra
	}
	switch {
	case u.Output >= 0 || u.Reasoning >= 0:
		u.Output = max(u.Output, 0) + max(u.Reasoning, 0)
	case u.Input >= 0 && p.total > 0:
		u.Output = max(p.total-u.Input, 0)
	}
}

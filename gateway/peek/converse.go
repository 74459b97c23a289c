package peek

import "bytes"

// The states of Bedrock's Converse beyond the shared ones. An event of a stream is an
// object with its type as the key.
const (
	cvRequest state = lastShared + iota
	cvConfig
	cvTools
	cvTurns
	cvBlock // of a request; in text that stands alone, too
	cvFile
	cvSource
	cvBytes
	cvCall
	cvResult
	cvThought
	cvAnswer
	cvOutput
	cvBlocks // of an answer
	cvAnswerBlock
	cvEvent
	cvEnd
	cvStop
	cvUse
	cvArguments
	cvReasoning
	cvUsage
	cvDetails
	cvTTL
	cvTokens
)

var converse = grammar{
	request: cvRequest, answer: cvAnswer, next: nextConverse, element: elementConverse,
	onString: onStringConverse, onNumber: onNumberConverse, onLiteral: (*Body).onLiteral, onValue: onValueConverse,
	onBegin: func(p *Body, st state, n int) {
		switch st {
		case cvBlocks:
			p.choice = n + 1
		case cvDetails:
			p.by = by{}
		}
	},
	onEnd: func(p *Body, st state, from int) {
		switch st {
		case cvBlocks:
			p.ofChoice(from)
		case cvDetails:
			if p.by.mode == "1h" {
				p.Usage.CacheWrite1h = p.by.count
			}
		}
	},
	finish: func(p *Body) {
		if p.root != cvAnswer {
			return
		}
		p.ofChoice(0)
		if p.finished {
			p.Finished = append(p.Finished, p.choice)
		}
		// What a cache took or gave is counted beside inputTokens.
		if u := &p.Usage; u.Input >= 0 {
			u.Input += max(u.CacheRead, 0) + max(u.CacheWrite, 0)
		}
	},
}

func nextConverse(st state, key []byte) state {
	switch st {
	case cvRequest:
		switch string(key) {
		case "modelId":
			return model
		case "messages":
			return cvTurns
		case "system":
			return cvBlock
		case "inferenceConfig":
			return cvConfig
		case "toolConfig":
			return cvTools
		case "outputConfig", "requestMetadata", "promptVariables", "additionalModelRequestFields":
			return free
		case "additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig", "serviceTier":
			return other
		}
		return nextStray(key)
	case cvConfig:
		if string(key) == "maxTokens" {
			return maxTokens
		}
		return nextStray(key)
	case cvTools:
		switch string(key) {
		case "tools":
			return tools
		case "toolChoice":
			return other
		}
		return nextStray(key)
	case cvTurns:
		switch string(key) {
		case "content":
			return cvBlock
		case "role":
			return other
		}
		return nextStray(key)
	case cvBlock:
		switch string(key) {
		case "image", "document", "video", "audio":
			return cvFile
		case "toolUse":
			return cvCall
		case "toolResult":
			return cvResult
		case "reasoningContent":
			return cvThought
		case "cachePoint":
			return other
		}
		return free
	case cvFile:
		switch string(key) {
		case "source":
			return cvSource
		case "name", "context":
			return text
		case "format":
			return other
		}
		return nextStray(key)
	case cvSource:
		switch string(key) {
		case "bytes":
			return cvBytes
		case "s3Location":
			return cvSource
		case "uri":
			return blob
		case "text":
			return text
		case "content":
			return cvBlock
		case "bucketOwner": // the number of an account
			return other
		}
		return nextStray(key)
	case cvCall:
		switch string(key) {
		case "input":
			return free
		case "toolUseId", "name", "type":
			return other
		}
		return nextStray(key)
	case cvResult:
		switch string(key) {
		case "content":
			return cvBlock
		case "toolUseId", "status", "type":
			return other
		}
		return nextStray(key)
	case cvThought:
		switch string(key) {
		case "reasoningText":
			return cvThought
		case "text":
			return kept
		case "signature", "redactedContent":
			return other
		}
		return nextStray(key)
	case stray, sealed, release:
		return nextStray(key)
	case free, text:
		return st
	default:
		return nextConverseAnswer(st, key)
	}
}

func nextConverseAnswer(st state, key []byte) state {
	switch st {
	case cvAnswer:
		switch string(key) {
		case "output":
			return cvOutput
		case "usage":
			return cvUsage
		case "error":
			return answerError
		case "contentBlockStart", "contentBlockDelta":
			return cvEvent
		case "contentBlockStop":
			return cvStop
		case "metadata":
			return cvEnd
		}
		if bytes.HasSuffix(key, []byte("Exception")) {
			return answerError
		}
	case cvOutput:
		switch string(key) {
		case "message":
			return cvOutput
		case "content":
			return cvBlocks
		}
	case cvEvent, cvStop:
		switch string(key) {
		case "contentBlockIndex":
			return choiceIndex
		case "delta", "start":
			return cvAnswerBlock
		}
	case cvEnd:
		if string(key) == "usage" {
			return cvUsage
		}
	case cvAnswerBlock:
		switch string(key) {
		case "text":
			return text
		case "toolUse":
			return cvUse
		case "reasoningContent":
			return cvReasoning
		}
		return free
	case cvUse:
		if string(key) == "input" {
			return cvArguments
		}
	case cvArguments:
		return free // of a whole answer
	case cvReasoning:
		switch string(key) {
		case "reasoningText":
			return cvReasoning
		case "text":
			return reasoningText
		}
	case cvUsage:
		switch string(key) {
		case "inputTokens":
			return usageInput
		case "outputTokens":
			return usageOutput
		case "cacheReadInputTokens":
			return cacheRead
		case "cacheWriteInputTokens":
			return cacheWrite
		case "cacheDetails":
			return cvDetails
		}
	case cvDetails:
		switch string(key) {
		case "ttl":
			return cvTTL
		case "inputTokens":
			return cvTokens
		}
	}
	return other
}

func elementConverse(st state) state {
	switch st {
	case cvBlocks:
		return cvAnswerBlock
	case tools:
		return free
	case maxTokens, model, cvUsage:
		return other
	}
	return st
}

func onStringConverse(p *Body, st state, s Span) {
	switch st {
	case free:
		s.Whole = p.root == cvAnswer
		p.text(s, 0)
	case kept:
		s.Kept = true
		p.text(s, 0)
	case cvArguments:
		p.text(s, 1)
	case cvBytes:
		if b := p.b[s.Start:s.End]; opaque(b) {
			p.MediaBytes += len(b)
		} else { // nothing is hidden where bytes should be
			p.text(s, 0)
		}
		p.Media++
	case cvTTL:
		p.by.mode = string(p.b[s.Start:s.End])
	default:
		p.onString(st, s)
	}
}

func onNumberConverse(p *Body, st state, digits []byte) {
	if st == cvTokens {
		p.by.count = count(digits)
		return
	}
	p.onNumber(st, digits)
}

func onValueConverse(p *Body, st, below state, key []byte, from, to int) {
	if st == cvAnswer {
		switch below {
		case cvStop:
			p.finished = true
		case cvEnd: // it is the last there is
			p.Ended = true
		}
	}
	p.onValue(st, below, key, from, to)
}

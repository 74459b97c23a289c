package peek

import "bytes"

// The states of Anthropic's Messages beyond the shared ones.
const (
	msgRequest state = lastShared + iota
	msgMetadata
	msgText  // system and messages: text, but for labels
	msgMedia // the source of an image or a document
	msgData  // of it: base64, or plain text
	msgEdits // of the context
	msgServers
	msgAnswer
	msgType // says what an event is
	msgBlocks
	msgBlock
	msgDelta
	msgInput // of a tool
	msgUsage
	msgWritten
	msgWritten1h
	msgServer
	msgSearches
	msgTool
	msgToolType
	msgToolUses
)

// searchesUnsaid is how many searches are held for where the request sets no max_uses:
// a model makes few, and none counts them beforehand.
const searchesUnsaid = 10

var messages = grammar{
	request: msgRequest, answer: msgAnswer, next: nextMessages, element: elementMessages,
	onString: onStringMessages, onNumber: onNumberMessages, onLiteral: (*Body).onLiteral, onValue: (*Body).onValue,
	onBegin: func(p *Body, st state, n int) {
		switch st {
		case msgBlocks:
			p.choice = n + 1
		case tools:
			p.offered = tool{uses: -1}
		}
	},
	onEnd: func(p *Body, st state, from int) {
		switch st {
		case msgBlocks:
			p.ofChoice(from)
		case tools:
			p.mayTool()
		}
	},
	finish: finishMessages,
}

// tool is what a tool of a request says of itself so far.
type tool struct {
	kind Span
	uses int64 // -1: it does not say
}

// mayTool ends a tool. One that searches the web has a fee for each search.
func (p *Body) mayTool() {
	kind := p.b[p.offered.kind.Start:p.offered.kind.End]
	if p.offered.kind.Escaped {
		kind = Unescape(nil, kind)
	}
	if n := p.offered.uses; bytes.HasPrefix(kind, []byte("web_search")) {
		if n < 0 {
			n = searchesUnsaid
		}
		p.Searches += min(n, 1<<32)
	}
}

func nextMessages(st state, key []byte) state {
	switch st {
	case msgRequest:
		switch string(key) {
		case "model":
			return model
		case "stream":
			return stream
		case "max_tokens":
			return maxTokens
		case "tools":
			return tools
		case "service_tier":
			return serviceTier
		case "metadata":
			return msgMetadata
		case "system", "messages":
			return msgText
		case "output_config", "output_format":
			return free
		case "context_management":
			return msgEdits
		case "mcp_servers":
			return msgServers
		case "thinking", "tool_choice", "container", "betas", "anthropic_beta", "anthropic_version", "inference_geo", "speed", "cache_control", "billing_policy", "diagnostics",
			"fallback_credit_token", "fallbacks", "user_profile_id", "workspace_id":
			return other
		}
		return nextStray(key)
	case msgMetadata:
		if string(key) == "user_id" {
			return user
		}
		return nextStray(key)
	case msgServers:
		if string(key) == "authorization_token" { // which the provider is to give to that server
			return other
		}
		return nextStray(key)
	case stray, sealed, release:
		return nextStray(key)
	case msgText:
		switch string(key) {
		case "role", "type", "id", "tool_use_id", "cache_control", "name", "signature", "data", "encrypted_content":
			return other
		case "source":
			return msgMedia
		case "thinking":
			return kept
		case "input":
			return free
		}
		return msgText
	case msgMedia:
		switch string(key) {
		case "type", "media_type":
			return other
		case "data":
			return msgData
		case "url":
			return blob
		case "file_id":
			return fileID
		}
		return msgText
	case msgEdits:
		if string(key) == "instructions" {
			return text
		}
		return msgEdits
	case msgAnswer:
		switch string(key) {
		case "type":
			return msgType
		case "message":
			return msgAnswer
		case "model":
			return answerModel
		case "content":
			return msgBlocks
		case "content_block":
			return msgBlock
		case "delta":
			return msgDelta
		case "index":
			return choiceIndex
		case "usage":
			return msgUsage
		case "error":
			return answerError
		}
	case msgBlock, msgDelta:
		switch string(key) {
		case "text":
			return text
		case "thinking":
			return reasoningText
		case "partial_json", "input":
			return msgInput
		case "content", "citations", "citation":
			return free
		}
	case msgInput:
		return msgInput
	case msgTool:
		switch string(key) {
		case "type":
			return msgToolType
		case "max_uses":
			return msgToolUses
		}
		return free
	case msgToolType, msgToolUses:
		return free
	case free, text:
		return st
	case msgUsage:
		switch string(key) {
		case "service_tier":
			return serviceTier
		case "input_tokens":
			return usageInput
		case "output_tokens":
			return usageOutput
		case "cache_read_input_tokens":
			return cacheRead
		case "cache_creation_input_tokens":
			return cacheWrite
		case "cache_creation":
			return msgWritten
		case "server_tool_use":
			return msgServer
		case "output_tokens_details":
			return outputDetails
		}
	case outputDetails:
		if string(key) == "thinking_tokens" {
			return reasoning
		}
	case msgWritten:
		if string(key) == "ephemeral_1h_input_tokens" {
			return msgWritten1h
		}
	case msgServer:
		if string(key) == "web_search_requests" {
			return msgSearches
		}
	}
	return other
}

func elementMessages(st state) state {
	switch st {
	case msgBlocks:
		return msgBlock
	case tools:
		return msgTool
	case msgTool, msgToolType, msgToolUses:
		return free
	case stream, model, maxTokens, user, label, msgType:
		return other
	}
	return st
}

func onStringMessages(p *Body, st state, s Span) {
	switch st {
	case msgText:
		p.text(s, 0)
	case free, msgTool, msgToolType, msgToolUses:
		if st == msgToolType {
			p.offered.kind = s
		}
		s.Whole = p.root == msgAnswer // what the provider's own tools found
		p.text(s, 0)
	case msgData:
		if b := p.b[s.Start:s.End]; opaque(b) {
			p.Media++
			p.MediaBytes += len(b)
		} else { // of a document that is text
			p.text(s, 0)
		}
	case kept:
		s.Kept = true
		p.text(s, 0)
	case msgInput:
		p.text(s, 1)
	case msgType:
		switch string(p.b[s.Start:s.End]) {
		case "message_stop":
			p.Ended = true
		case "content_block_stop":
			p.finished = true
		case "error":
			p.Failed = true
		}
	default:
		p.onString(st, s)
	}
}

func onNumberMessages(p *Body, st state, digits []byte) {
	switch st {
	case msgWritten1h:
		p.Usage.CacheWrite1h = count(digits)
	case msgToolUses:
		p.offered.uses = whole(digits)
	case msgSearches:
		p.Usage.Searches = count(digits)
	default:
		p.onNumber(st, digits)
	}
}

// finishMessages: an event's index may come after its text, and Anthropic counts what
// was read from or written to a cache beside input_tokens, not in them.
func finishMessages(p *Body) {
	if p.root != msgAnswer {
		return
	}
	p.ofChoice(0)
	if p.finished {
		p.Finished = append(p.Finished, p.choice)
	}
	if u := &p.Usage; u.Input >= 0 {
		u.Input += max(u.CacheRead, 0) + max(u.CacheWrite, 0)
	}
}

// ofChoice says of texts from an index on which choice or block they are of.
func (p *Body) ofChoice(from int) {
	for i := range p.Text[from:] {
		if p.Text[from+i].Choice() == 0 {
			p.Text[from+i].Channel |= p.choice << 8
		}
	}
}

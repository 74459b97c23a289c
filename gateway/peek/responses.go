package peek

import "bytes"

// The states of OpenAI's Responses beyond the shared ones.
const (
	resRequest state = lastShared + iota
	resInput         // items: text, but for labels
	resPrompt        // a kept prompt with what is put into it
	resVariables
	resFormat
	resAnswer // an answer, or an event that may hold one
	resType   // says what an event is
	resDelta  // a piece of text
	resAgain  // a text that came in pieces before
	resPlace  // which content or part of a summary
	resOutput
	resItem
	resContents
	resContent
	resArguments
	resOther // any text of an item's besides
	resPrevious
	resStore
	resID
	resUsage
	resInputs
	resOutputs
	resItems     // the input: a text, or items
	resInputItem // one of them
	resInputID   // and what it says of itself
	resInputType
	resInputRole
	resInputHeld
	resConversation
	resBackground
	resMadeID // of an item in an answer
	resMadeType
	resAction
	resActionType
	resTool // of a request
	resToolType
	resMaxCalls
)

// inputItem is what an item of the input says of itself so far.
type inputItem struct {
	id, kind   Span
	role, held bool // held: what it stands for is in it
}

// names reports whether an item is one that its provider keeps, and that this one
// only names. An item without a type and a role is such; so are thoughts and images
// that come without what is in them.
func (p *Body) names(it *inputItem) bool {
	if it.id.End == it.id.Start {
		return false
	}
	kind := p.b[it.kind.Start:it.kind.End]
	if it.kind.Escaped {
		kind = Unescape(nil, kind)
	}
	switch string(kind) {
	case "item_reference":
		return true
	case "":
		return !it.role
	case "reasoning", "image_generation_call", "compaction":
		return !it.held
	}
	return false
}

// madeItem is what an item of an answer says of itself so far.
type madeItem struct {
	kind, action Span
	done         bool // it came as an event of its own, and is whole
}

// searched reports that the item is a search of the web, which has a fee. To open a
// page and to look in one has none
// (platform.openai.com/docs/guides/tools-web-search).
func (p *Body) searched() bool {
	action := string(p.said(p.made.action))
	return string(p.said(p.made.kind)) == "web_search_call" && (action == "" || action == "search")
}

// said is a text without its escapes.
func (p *Body) said(s Span) []byte {
	if text := p.b[s.Start:s.End]; !s.Escaped {
		return text
	} else {
		return Unescape(nil, text)
	}
}

// Texts of an item: its content, one by one, the parts of its summary, its arguments
// or input, and whatever else it has.
const (
	resSummaries     = 100
	resMostContents  = resSummaries - 1
	resChannelCall   = 250
	resChannelOthers = 251
)

var responses = grammar{
	request: resRequest, answer: resAnswer, next: nextResponses, element: elementResponses,
	onString: onStringResponses, onNumber: onNumberResponses, onLiteral: onLiteralResponses, onValue: onValueResponses,
	onBegin: onBeginResponses, onEnd: onEndResponses, finish: finishResponses,
}

func nextResponses(st state, key []byte) state {
	switch st {
	case resRequest:
		switch string(key) {
		case "model":
			return model
		case "stream":
			return stream
		case "max_output_tokens":
			return maxTokens
		case "tools":
			return tools
		case "max_tool_calls":
			return resMaxCalls
		case "user", "safety_identifier":
			return user
		case "input":
			return resItems
		case "conversation":
			return resConversation
		case "background":
			return resBackground
		case "service_tier":
			return serviceTier
		case "instructions", "metadata", "client_metadata":
			return free
		case "prompt":
			return resPrompt
		case "previous_response_id":
			return resPrevious
		case "store":
			return resStore
		case "text":
			return resFormat
		case "include", "reasoning", "tool_choice", "truncation", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "moderation", "context_management",
			"access_programs", "background_options":
			return other
		}
		return nextStray(key)
	case resPrompt:
		switch string(key) {
		case "variables":
			return resVariables
		case "id", "version":
			return other
		}
		return nextStray(key)
	case stray, sealed, release:
		return nextStray(key)
	case resVariables: // whatever they are called
		return resInput
	case resFormat:
		switch string(key) {
		case "format":
			return free
		case "verbosity":
			return other
		}
		return nextStray(key)
	case resItems, resInputItem:
		switch string(key) {
		case "id":
			return resInputID
		case "type":
			return resInputType
		case "role":
			return resInputRole
		case "encrypted_content":
			return resInputHeld
		}
		return nextResponses(resInput, key)
	case resInput:
		switch string(key) {
		case "type", "role", "id", "status", "call_id", "approval_request_id", "encrypted_content", "detail", "phase", "name", "namespace", "server_label":
			return other
		case "image_url", "file_data", "file_url", "data", "result":
			return blob
		case "file_id":
			return fileID
		}
		return resInput
	case resTool:
		if string(key) == "type" {
			return resToolType
		}
		return free
	case free:
		return free
	case resUsage:
		switch string(key) {
		case "input_tokens":
			return usageInput
		case "output_tokens":
			return usageOutput
		case "input_tokens_details":
			return resInputs
		case "output_tokens_details":
			return resOutputs
		}
	case resInputs:
		return next(inputDetails, key)
	case resOutputs:
		return next(outputDetails, key)
	}
	return nextResponsesAnswer(st, key)
}

// nextResponsesAnswer is the part of answers. What an answer says again of its
// request (instructions, tools and the like) is no text of the model's.
func nextResponsesAnswer(st state, key []byte) state {
	switch st {
	case resAnswer:
		switch string(key) {
		case "type", "status":
			return resType
		case "response":
			return resAnswer
		case "model":
			return answerModel
		case "error":
			return answerError
		case "usage":
			return resUsage
		case "service_tier":
			return serviceTier
		case "output_index":
			return choiceIndex
		case "content_index", "summary_index":
			return resPlace
		case "delta":
			return resDelta
		case "text", "refusal", "arguments", "input", "code":
			return resAgain
		case "part":
			return resContent
		case "item":
			return resItem
		case "output", "data": // data is a list of items
			return resOutput
		case "id":
			return resID
		case "logprobs":
			return logprobs
		case "annotation":
			return resOther
		}
	case resItem:
		switch string(key) {
		case "id":
			return resMadeID
		case "type":
			return resMadeType
		case "action":
			return resAction
		case "status", "role", "call_id", "name", "encrypted_content", "server_label", "namespace", "phase":
			return other
		case "content":
			return resContents
		case "summary":
			return resContents
		case "arguments", "input":
			return resArguments
		case "result", "image_url":
			return blob
		}
		return resOther
	case resContent:
		switch string(key) {
		case "text", "refusal":
			return resAgain
		case "annotations":
			return resOther
		case "logprobs":
			return logprobs
		}
	case resAction:
		if string(key) == "type" {
			return resActionType
		}
		return nextResponsesAnswer(resOther, key)
	case resOther:
		switch string(key) {
		case "type", "id", "file_id", "container_id", "call_id":
			return other
		}
		return resOther
	}
	return other
}

func elementResponses(st state) state {
	switch st {
	case tools:
		return resTool
	case resTool, resToolType:
		return free
	case resAction:
		return resOther
	case resOutput:
		return resItem
	case resContents:
		return resContent
	case resItems:
		return resInputItem
	case resInputID, resInputType, resInputRole, resInputHeld, resConversation, resBackground, resMadeID, resMadeType, resActionType, resMaxCalls:
		return other
	case stream, model, maxTokens, user, resType, resDelta, resAgain, resPlace, resPrevious, resStore, resID:
		return other
	}
	return st
}

func onStringResponses(p *Body, st state, s Span) {
	switch st {
	case resInput, resItems, resInputItem, resVariables, free, resTool, resToolType:
		if st == resToolType {
			p.offered.kind = s
		}
		p.text(s, 0)
	case resInputID:
		p.input.id = s
	case resInputType:
		p.input.kind = s
	case resInputRole:
		p.input.role = true
	case resInputHeld:
		p.input.held = s.End > s.Start
	case resConversation:
		p.Conversation = true
	case resMadeType:
		p.made.kind = s
	case resActionType:
		p.made.action = s
	case resMadeID:
		p.Kept = append(p.Kept, s)
	case resType:
		p.event(string(p.b[s.Start:s.End]))
	case resPrevious:
		p.Previous = s
	case resID:
		p.ID = s
	case resDelta:
		p.text(s, 0)
	case resAgain, resContents, resContent:
		s.Again = true
		p.text(s, p.place)
	case resArguments:
		s.Again = true
		p.text(s, resChannelCall)
	case resOther, resAction:
		s.Again = true
		p.text(s, resChannelOthers)
	default:
		p.onString(st, s)
	}
}

func onLiteralResponses(p *Body, st state, value bool) {
	switch st {
	case resStore:
		p.Unstored = !value
		return
	case resBackground:
		p.Background = value
		return
	}
	p.onLiteral(st, value)
}

// event notes what an event, or the answer in it, says of itself.
func (p *Body) event(kind string) {
	switch kind {
	case "response.completed", "response.incomplete":
		p.Ended = true
	case "response.failed", "error", "failed":
		p.failed = true
	case "response.output_item.done", "response.output_text.done", "response.refusal.done", "response.function_call_arguments.done",
		"response.custom_tool_call_input.done", "response.mcp_call_arguments.done", "response.reasoning_summary_text.done", "response.reasoning_text.done",
		"response.code_interpreter_call_code.done":
		p.finished = true
	}
	switch kind {
	case "response.output_item.done":
		p.item, p.made.done = true, true
	case "response.output_item.added":
		p.item = true
	case "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.custom_tool_call_input.delta",
		"response.custom_tool_call_input.done", "response.mcp_call_arguments.delta", "response.mcp_call_arguments.done":
		p.tool = resChannelCall
	case "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "response.reasoning_summary_part.added", "response.reasoning_summary_part.done":
		p.tool = resSummaries
	case "response.code_interpreter_call_code.delta", "response.code_interpreter_call_code.done":
		p.tool = resChannelOthers
	case "response.audio.delta", "response.image_generation_call.partial_image":
		p.sound = true
	}
}

func onNumberResponses(p *Body, st state, digits []byte) {
	if st == resPlace {
		p.place = int(min(max(whole(digits), 0), resMostContents))
		return
	}
	if st == resMaxCalls {
		p.calls = max(whole(digits), 0)
		return
	}
	p.onNumber(st, digits)
}

func onValueResponses(p *Body, st, below state, key []byte, from, to int) {
	if st == resRequest && string(key) == "input" {
		p.HasInput = true
	}
	if st == resItem && below == resContents && string(key) == "summary" {
		p.summarized(from)
	}
	switch {
	case st == resInputItem && string(key) == "result":
		p.input.held = p.input.held || to-from > len("null")
	case st == resConversation && string(key) == "id":
		p.Conversation = true
	}
	p.onValue(st, below, key, from, to)
}

// summarized moves the texts that stand at or after an offset to the channels of a
// summary.
func (p *Body) summarized(from int) {
	for i := len(p.Text) - 1; i >= 0 && p.Text[i].Start >= from; i-- {
		p.Text[i].Channel += resSummaries
	}
}

func onBeginResponses(p *Body, st state, n int) {
	switch st {
	case resItems:
		p.input = inputItem{}
	case tools:
		p.offered = tool{uses: -1}
	case resOutput:
		p.choice = n + 1
		p.made = madeItem{}
	case resContents:
		p.place = min(n, resMostContents)
	}
}

func onEndResponses(p *Body, st state, from int) {
	switch st {
	case resItems:
		if p.names(&p.input) {
			p.Kept = append(p.Kept, p.input.id)
		}
	case tools:
		if bytes.HasPrefix(p.said(p.offered.kind), []byte("web_search")) {
			p.Searches = searchesUnsaid
		}
	case resOutput:
		if p.searched() {
			p.Usage.Searches++
		}
		p.ofChoice(from)
		for i := range p.Logprobs {
			if p.Logprobs[i].Channel == 0 {
				p.Logprobs[i].Channel = p.choice << 8
			}
		}
		p.choice = 0
	case resContents:
		p.place = 0
	}
}

// finishResponses: an event's place may come after its text.
func finishResponses(p *Body) {
	if p.root != resAnswer {
		if p.Searches > 0 && p.calls >= 0 {
			p.Searches = min(p.calls, 1<<32)
		}
		return
	}
	if p.made.done && p.searched() {
		p.Searched = 1
	}
	if p.failed {
		p.Failed = true
	}
	if p.choice == 0 {
		return
	}
	for i := range p.Text {
		s := &p.Text[i]
		if s.Choice() != 0 {
			continue
		}
		switch {
		case p.item, s.Channel >= resChannelCall:
		case p.tool >= resChannelCall:
			s.Channel = p.tool
		default:
			s.Channel = p.tool + p.place
		}
	}
	if p.sound { // a delta that is no text
		p.Text = p.Text[:0]
	}
	p.ofChoice(0)
	for i := range p.Logprobs {
		if p.Logprobs[i].Channel == 0 {
			p.Logprobs[i].Channel = p.choice << 8
		}
	}
	if p.finished {
		p.Finished = append(p.Finished, p.choice)
	}
}

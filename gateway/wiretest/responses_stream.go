package wiretest

// responseStream writes the events of one response and, on the way, the response
// itself: the whole answer is what response.completed carries.
type responseStream struct {
	call      *call
	ask       *ask
	reply     *reply
	body      node
	encrypted bool // content of reasoning items is given out

	frames [][]byte
	output list
	last   object
}

// event appends one event with its sequence number.
func (s *responseStream) event(kind string, members ...any) {
	s.frames = append(s.frames, named(kind, append(object{"type", kind, "sequence_number", len(s.frames)}, members...)))
}

func (s *responseStream) write() {
	s.event("response.created", "response", s.response("in_progress", nil))
	s.event("response.in_progress", "response", s.response("in_progress", nil))
	r := s.reply
	if r.thought != "" {
		s.reasoning()
	}
	for i, t := range r.calls {
		s.function(i, t)
	}
	if len(r.calls) == 0 {
		if !s.message() {
			return
		}
	}
	status := "completed"
	if r.cut {
		status = "incomplete"
	}
	s.last = s.response(status, s.usage())
	s.event("response."+status, "response", s.last)
}

func (s *responseStream) usage() object {
	r := s.reply
	return object{"input_tokens", r.input, "input_tokens_details", object{"cached_tokens", r.cached, "cache_write_tokens", 0},
		"output_tokens", r.output, "output_tokens_details", object{"reasoning_tokens", r.thinking}, "total_tokens", r.input + r.output}
}

func (s *responseStream) response(status string, usage any) object {
	b := s.body
	or := func(name string, other any) any {
		if b.has(name) {
			return b.at(name).v
		}
		return other
	}
	var incomplete any
	if status == "incomplete" {
		incomplete = object{"reason", "max_output_tokens"}
	}
	output := s.output
	if output == nil {
		output = list{}
	}
	return object{"id", "resp_" + s.reply.id, "object", "response", "created_at", created, "status", status, "background", false, "error", nil,
		"incomplete_details", incomplete, "instructions", or("instructions", nil), "max_output_tokens", or("max_output_tokens", nil), "max_tool_calls", nil,
		"model", s.ask.model, "output", output, "parallel_tool_calls", or("parallel_tool_calls", true), "previous_response_id", or("previous_response_id", nil),
		"prompt_cache_key", or("prompt_cache_key", nil), "reasoning", or("reasoning", object{"effort", nil, "summary", nil}), "safety_identifier", nil, "service_tier", "default",
		"store", or("store", true), "temperature", or("temperature", 1), "text", or("text", object{"format", object{"type", "text"}}), "tool_choice", or("tool_choice", "auto"),
		"tools", s.tools(), "top_logprobs", 0, "top_p", or("top_p", 1), "truncation", "disabled", "usage", usage, "metadata", or("metadata", object{})}
}

// tools are those of the request; what was left out of a function is said.
func (s *responseStream) tools() list {
	out := list{}
	for _, t := range s.body.at("tools").items() {
		if m, ok := t.v.(map[string]any); ok && t.at("type").text() == "function" {
			for name, usual := range map[string]any{"strict": false, "description": nil} {
				if !t.has(name) {
					m[name] = usual
				}
			}
		}
		out = append(out, t.v)
	}
	return out
}

func (s *responseStream) reasoning() {
	id := "rs_" + s.reply.id
	at := len(s.output)
	item := object{"id", id, "type", "reasoning", "summary", list{}}
	if s.encrypted {
		item = append(item, "encrypted_content", seal(id))
	}
	s.event("response.output_item.added", "output_index", at, "item", item)
	part := func(text string) object { return object{"type", "summary_text", "text", text} }
	s.event("response.reasoning_summary_part.added", "item_id", id, "output_index", at, "summary_index", 0, "part", part(""))
	for _, p := range pieces(s.reply.thought) {
		s.event("response.reasoning_summary_text.delta", "item_id", id, "output_index", at, "summary_index", 0, "delta", p)
	}
	s.event("response.reasoning_summary_text.done", "item_id", id, "output_index", at, "summary_index", 0, "text", s.reply.thought)
	s.event("response.reasoning_summary_part.done", "item_id", id, "output_index", at, "summary_index", 0, "part", part(s.reply.thought))
	item[5] = list{part(s.reply.thought)}
	s.output = append(s.output, item)
	s.event("response.output_item.done", "output_index", at, "item", item)
}

func (s *responseStream) function(i int, t toolCall) {
	id, at := "fc_"+t.id, len(s.output)
	item := func(status, arguments string) object {
		return object{"id", id, "type", "function_call", "status", status, "arguments", arguments, "call_id", "call_" + t.id, "name", t.name}
	}
	s.event("response.output_item.added", "output_index", at, "item", item("in_progress", ""))
	for _, p := range pieces(t.arguments) {
		s.event("response.function_call_arguments.delta", "item_id", id, "output_index", at, "delta", p)
	}
	s.event("response.function_call_arguments.done", "item_id", id, "output_index", at, "name", t.name, "arguments", t.arguments)
	s.output = append(s.output, item("completed", t.arguments))
	s.event("response.output_item.done", "output_index", at, "item", item("completed", t.arguments))
}

// message writes the text or the refusal; false when the stream broke in it.
func (s *responseStream) message() bool {
	r, id, at := s.reply, "msg_"+s.reply.id, len(s.output)
	status := "completed"
	if r.cut {
		status = "incomplete"
	}
	part := func(text string) object {
		if r.refusal {
			return object{"type", "refusal", "refusal", text}
		}
		return object{"type", "output_text", "annotations", list{}, "logprobs", list{}, "text", text}
	}
	item := func(status string, content list) object {
		return object{"id", id, "type", "message", "status", status, "content", content, "role", "assistant"}
	}
	here := func(more ...any) []any {
		return append([]any{"item_id", id, "output_index", at, "content_index", 0}, more...)
	}
	s.event("response.output_item.added", "output_index", at, "item", item("in_progress", list{}))
	s.event("response.content_part.added", here("part", part(""))...)
	for i, p := range pieces(r.text) {
		switch {
		case i == 3 && s.call.has("broken"):
			w := vendorWords[500]
			s.event("error", "code", w.openaiType, "message", w.message, "param", nil)
			return false
		case r.refusal:
			s.event("response.refusal.delta", here("delta", p)...)
		default:
			s.event("response.output_text.delta", here("delta", p, "logprobs", list{})...)
		}
	}
	if r.refusal {
		s.event("response.refusal.done", here("refusal", r.text)...)
	} else {
		s.event("response.output_text.done", here("text", r.text, "logprobs", list{})...)
	}
	s.event("response.content_part.done", here("part", part(r.text))...)
	s.output = append(s.output, item(status, list{part(r.text)}))
	s.event("response.output_item.done", "output_index", at, "item", item(status, list{part(r.text)}))
	return true
}

package wiretest

import "encoding/json"

// messageStream writes the events of one message and, on the way, its content.
type messageStream struct {
	call    *call
	ask     *ask
	reply   *reply
	frames  [][]byte
	content list
}

func (m *messageStream) event(kind string, members ...any) {
	m.frames = append(m.frames, named(kind, append(object{"type", kind}, members...)))
}

// usage counts what was read from the cache beside the other input, as the vendor
// does.
func (m *messageStream) usage(output int64) object {
	r := m.reply
	return object{"input_tokens", r.input - r.cached, "cache_creation_input_tokens", 0, "cache_read_input_tokens", r.cached,
		"cache_creation", object{"ephemeral_5m_input_tokens", 0, "ephemeral_1h_input_tokens", 0}, "output_tokens", output, "service_tier", "standard"}
}

func (m *messageStream) stop() string {
	switch r := m.reply; {
	case len(r.calls) > 0:
		return "tool_use"
	case r.refusal:
		return "refusal"
	case r.cut:
		return "max_tokens"
	}
	return "end_turn"
}

// write makes the events: the message's start, each block with a ping after the
// first block's start, the reason to stop with the usage, the end.
func (m *messageStream) write() {
	r := m.reply
	m.event("message_start", "message", object{"id", "msg_" + r.id, "type", "message", "role", "assistant", "model", m.ask.model, "content", list{},
		"stop_reason", nil, "stop_sequence", nil, "usage", m.usage(1)})
	if r.thought != "" {
		m.block(object{"type", "thinking", "thinking", "", "signature", ""}, "thinking_delta", "thinking", r.thought,
			object{"type", "thinking", "thinking", r.thought, "signature", seal(r.thought)})
	}
	if r.text != "" {
		if !m.block(object{"type", "text", "text", ""}, "text_delta", "text", r.text, object{"type", "text", "text", r.text}) {
			return
		}
	}
	for _, t := range r.calls {
		id := "toolu_" + t.id
		m.block(object{"type", "tool_use", "id", id, "name", t.name, "input", object{}}, "input_json_delta", "partial_json", t.arguments,
			object{"type", "tool_use", "id", id, "name", t.name, "input", json.RawMessage(t.arguments)})
	}
	m.event("message_delta", "delta", object{"stop_reason", m.stop(), "stop_sequence", nil}, "usage", m.usage(r.output))
	m.event("message_stop")
}

// block writes one content block; false when the stream broke in it.
func (m *messageStream) block(start object, kind, field, text string, whole object) bool {
	at := len(m.content)
	m.event("content_block_start", "index", at, "content_block", start)
	if at == 0 {
		m.event("ping")
	}
	if kind == "input_json_delta" { // the vendor begins with an empty one
		m.event("content_block_delta", "index", at, "delta", object{"type", kind, field, ""})
	}
	for i, p := range pieces(text) {
		if i == 3 && kind == "text_delta" && m.call.has("broken") {
			m.frames = append(m.frames, named("error", anthropicError("overloaded_error", "Overloaded", "req_"+m.call.id)))
			return false
		}
		m.event("content_block_delta", "index", at, "delta", object{"type", kind, field, p})
	}
	if kind == "thinking_delta" {
		m.event("content_block_delta", "index", at, "delta", object{"type", "signature_delta", "signature", seal(text)})
	}
	m.event("content_block_stop", "index", at)
	m.content = append(m.content, whole)
	return true
}

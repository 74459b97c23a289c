package wiretest

import "encoding/json"

// converseStream writes the events of a ConverseStream and, on the way, the content of
// the same answer in one piece.
type converseStream struct {
	call    *call
	reply   *reply
	frames  [][]byte
	content list
}

// event adds an event. AWS pads some with a field p, so that their sizes tell nothing.
func (m *converseStream) event(kind string, members ...any) {
	m.frames = append(m.frames, said(kind, encode(append(object(members), "p", "abcdefghijklm"[:1+len(m.frames)%13]))))
}

// usage counts what was read from the cache beside the other input.
func (m *converseStream) usage() object {
	r := m.reply
	u := object{"inputTokens", r.input - r.cached, "outputTokens", r.output, "totalTokens", r.input + r.output}
	if r.cached > 0 {
		u = append(u, "cacheReadInputTokens", r.cached, "cacheWriteInputTokens", 0)
	}
	return u
}

func (m *converseStream) stop() string {
	switch r := m.reply; {
	case len(r.calls) > 0:
		return "tool_use"
	case r.refusal:
		return "content_filtered"
	case r.cut:
		return "max_tokens"
	}
	return "end_turn"
}

// write makes the events: the start, the blocks, why it stopped, and the usage last.
// Only calls of tools say that they begin.
func (m *converseStream) write() {
	r := m.reply
	m.event("messageStart", "role", "assistant")
	if r.thought != "" {
		for _, p := range pieces(r.thought) {
			m.delta(object{"reasoningContent", object{"text", p}})
		}
		m.delta(object{"reasoningContent", object{"signature", seal(r.thought)}})
		m.closed(object{"reasoningContent", object{"reasoningText", object{"signature", seal(r.thought), "text", r.thought}}})
	}
	if r.text != "" {
		for i, p := range pieces(r.text) {
			if i == 3 && m.call.has("broken") {
				m.frames = append(m.frames, thrown("modelStreamErrorException", "The model could not go on."))
				return
			}
			m.delta(object{"text", p})
		}
		m.closed(object{"text", r.text})
	}
	for _, t := range r.calls {
		id := "tooluse_" + t.id
		m.event("contentBlockStart", "contentBlockIndex", len(m.content), "start", object{"toolUse", object{"name", t.name, "toolUseId", id}})
		for _, p := range pieces(t.arguments) {
			m.delta(object{"toolUse", object{"input", p}})
		}
		m.closed(object{"toolUse", object{"input", json.RawMessage(t.arguments), "name", t.name, "toolUseId", id}})
	}
	m.event("messageStop", "stopReason", m.stop())
	m.event("metadata", "metrics", object{"latencyMs", 12}, "usage", m.usage())
}

func (m *converseStream) delta(d object) {
	m.event("contentBlockDelta", "contentBlockIndex", len(m.content), "delta", d)
}

func (m *converseStream) closed(block object) {
	m.event("contentBlockStop", "contentBlockIndex", len(m.content))
	m.content = append(m.content, block)
}

package wiretest

import (
	"net/http"
	"strings"
)

const messagesFields = "cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model output_config output_format service_tier speed " +
	"stop_sequences stream system temperature thinking tool_choice tools top_k top_p diagnostics"

// routeAnthropic finds what answers a path below /v1; nil for no such path.
func (c *call) routeAnthropic(method, path string) func() *Answer {
	switch method + " " + path {
	case "POST /messages":
		return c.messages
	case "POST /messages/count_tokens":
		return c.countTokens
	case "GET /models":
		return c.anthropicModels
	}
	if id, ok := strings.CutPrefix(path, "/models/"); ok && method == http.MethodGet {
		return func() *Answer { return c.anthropicModel(id) }
	}
	if rest, ok := strings.CutPrefix(path, "/messages/batches"); ok {
		return c.routeMessageBatches(method, rest)
	}
	return nil
}

func anthropicError(kind, message, request string) object {
	return object{"type", "error", "error", object{"type", kind, "message", message}, "request_id", request}
}

var anthropicModelIDs = []string{"claude-sonnet-4-5", "claude-haiku-4-5"}

func anthropicModelObject(id string) object {
	return object{"type", "model", "id", id, "display_name", strings.ReplaceAll(id, "-", " "), "created_at", "2026-01-01T00:00:00Z"}
}

func (c *call) anthropicModels() *Answer {
	data := list{}
	for _, id := range anthropicModelIDs {
		data = append(data, anthropicModelObject(id))
	}
	return c.whole(object{"data", data, "has_more", false, "first_id", anthropicModelIDs[0], "last_id", anthropicModelIDs[len(anthropicModelIDs)-1]})
}

func (c *call) anthropicModel(id string) *Answer {
	for _, known := range anthropicModelIDs {
		if id == known {
			return c.whole(anthropicModelObject(id))
		}
	}
	return c.fail(http.StatusNotFound, "model: "+id)
}

// messages answers the Messages API.
func (c *call) messages() *Answer {
	body, failure := c.messagesBody()
	if failure != nil {
		return failure
	}
	a, failure := c.readMessages(body)
	if failure != nil {
		return failure
	}
	if body.at("max_tokens").number() <= 0 {
		return c.fail(400, "max_tokens: Field required")
	}
	return c.message(a)
}

// message says what the model answers.
func (c *call) message(a *ask) *Answer {
	r := c.reply(a)
	m := &messageStream{call: c, ask: a, reply: r}
	m.write()
	if a.stream {
		return c.events(m.frames)
	}
	return c.whole(object{"id", "msg_" + r.id, "type", "message", "role", "assistant", "model", a.model, "content", m.content,
		"stop_reason", m.stop(), "stop_sequence", nil, "usage", m.usage(r.output)})
}

func (c *call) messagesBody() (node, *Answer) {
	if c.header.Get("Anthropic-Version") == "" {
		return node{}, c.fail(400, "anthropic-version: header is required")
	}
	body, err := decode(c.body)
	if err != nil {
		return node{}, c.fail(400, "The request body is not valid JSON")
	}
	return body, c.unknown(body, messagesFields)
}

func (c *call) countTokens() *Answer {
	body, failure := c.messagesBody()
	if failure != nil {
		return failure
	}
	a, failure := c.readMessages(body)
	if failure != nil {
		return failure
	}
	return c.whole(object{"input_tokens", c.reply(a).input})
}

func (c *call) readMessages(body node) (*ask, *Answer) {
	a := &ask{}
	a.model, a.stream = body.at("model").text(), body.at("stream").truth()
	if c.model != "" {
		a.model = c.model
	}
	if a.model == "" {
		return nil, c.fail(400, "model: Field required")
	}
	if len(body.at("messages").items()) == 0 {
		return nil, c.fail(400, "messages: at least one message is required")
	}
	a.prompt += len(contentText(body.at("system")))
	for _, m := range body.at("messages").items() {
		if failure := c.readTurn(a, m); failure != nil {
			return nil, failure
		}
	}
	if len(a.open) > 0 {
		return nil, c.fail(400, "messages: `tool_use` ids were found without `tool_result` blocks immediately after: "+strings.Join(a.open, ", "))
	}
	for _, t := range body.at("tools").items() {
		a.tools = append(a.tools, tool{t.at("name").text(), t.at("input_schema")})
	}
	switch body.at("tool_choice", "type").text() {
	case "none":
		a.noTools = true
	case "any":
		a.forced = "*"
	case "tool":
		a.forced = body.at("tool_choice", "name").text()
	}
	for _, format := range []node{body.at("output_config", "format"), body.at("output_format")} {
		if format.at("type").text() == "json_schema" {
			a.schema = format.at("schema")
		}
	}
	a.thinking = body.at("thinking", "type").text() == "enabled"
	return a, nil
}

// readTurn reads one message.
func (c *call) readTurn(a *ask, m node) *Answer {
	role := m.at("role").text()
	switch role {
	case "user", "assistant", "system":
	default:
		return c.fail(400, `messages: Unexpected role "`+role+`".`)
	}
	waiting := len(a.open)
	a.said(role, m.at("content"))
	for _, b := range m.at("content").items() {
		switch b.at("type").text() {
		case "image":
			a.saw(imageSource(b.at("source")))
		case "tool_use":
			a.called(b.at("id").text())
		case "tool_result":
			if !a.answered(b.at("tool_use_id").text(), contentText(b.at("content"))) {
				return c.fail(400, "messages: unexpected `tool_use_id` found in `tool_result` blocks: "+b.at("tool_use_id").text()+".")
			}
			for _, p := range b.at("content").items() {
				if p.at("type").text() == "image" {
					a.saw(imageSource(p.at("source")))
				}
			}
		case "thinking":
			if b.at("signature").text() != seal(b.at("thinking").text()) {
				return c.fail(400, "messages: Invalid `signature` in `thinking` block")
			}
		}
	}
	if role == "user" && waiting > 0 && len(a.open) > 0 {
		return c.fail(400, "messages: `tool_use` ids were found without `tool_result` blocks immediately after: "+strings.Join(a.open, ", "))
	}
	return nil
}

func imageSource(source node) string {
	if source.at("type").text() == "base64" {
		return "data:" + source.at("media_type").text() + ";base64," + source.at("data").text()
	}
	return source.at("url").text()
}

package wiretest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"

	"plumbline/gateway/provider/eventstream"
)

const converseFields = "additionalModelRequestFields additionalModelResponseFieldPaths guardrailConfig inferenceConfig messages outputConfig performanceConfig promptVariables " +
	"requestMetadata serviceTier system toolConfig"

const invokeFields = "anthropic_beta anthropic_version max_tokens messages metadata output_config output_format stop_sequences system temperature thinking tool_choice tools top_k top_p"

// routeBedrock finds what answers a path below /model; nil for no such path.
func (c *call) routeBedrock(method, path string) func() *Answer {
	at := strings.LastIndex(path, "/")
	if method != http.MethodPost || at < 1 {
		return nil
	}
	c.model = path[:at]
	switch path[at+1:] {
	case "converse":
		return func() *Answer { return c.converse(false) }
	case "converse-stream":
		return func() *Answer { return c.converse(true) }
	case "invoke":
		return func() *Answer { return c.claude(false) }
	case "invoke-with-response-stream":
		return func() *Answer { return c.chunks(c.claude(true)) }
	}
	return nil
}

// routeVertexClaude finds what answers for Anthropic's models on Vertex AI.
func (c *call) routeVertexClaude(path string) func() *Answer {
	c.vendor = anthropic
	model, verb, _ := strings.Cut(path[strings.LastIndex(path, "/models/")+len("/models/"):], ":")
	c.model = model
	switch verb {
	case "rawPredict":
		return func() *Answer { return c.claude(false) }
	case "streamRawPredict": // which says in its body, too, that it streams
		return func() *Answer { return c.claude(true) }
	}
	return nil
}

// claude answers as Anthropic's models on a cloud do: the path names the model, and the
// version stands in the body.
func (c *call) claude(stream bool) *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "The request body is not valid JSON")
	}
	version, fields := "bedrock-2023-05-31", invokeFields
	if c.vendor == anthropic {
		version, fields = "vertex-2023-10-16", messagesFields+" anthropic_version"
	}
	if body.at("anthropic_version").text() != version || body.has("model") {
		return c.fail(400, "anthropic_version: "+version+" is required, and the path names the model")
	}
	if failure := c.unknown(body, fields); failure != nil {
		return failure
	}
	a, failure := c.readMessages(body)
	if failure != nil {
		return failure
	}
	if body.at("max_tokens").number() <= 0 {
		return c.fail(400, "max_tokens: Field required")
	}
	a.stream = stream
	return c.message(a)
}

// chunks puts events of Anthropic's into the messages of Bedrock.
func (c *call) chunks(a *Answer) *Answer {
	if a.Status != http.StatusOK {
		return a
	}
	for i, e := range a.Events {
		_, data, _ := bytes.Cut(e, []byte("data: "))
		payload := encode(object{"bytes", base64.StdEncoding.EncodeToString(bytes.TrimSpace(data)), "p", "abcdefgh"[:1+i%8]})
		a.Events[i] = said("chunk", payload)
	}
	return a
}

// said is an event of Bedrock's, with its headers as AWS writes them.
func said(event string, payload []byte) []byte {
	return eventstream.Append(nil, payload, ":event-type", event, ":content-type", "application/json", ":message-type", "event")
}

// thrown is an exception in a stream of Bedrock's.
func thrown(exception, message string) []byte {
	return eventstream.Append(nil, encode(object{"message", message}), ":exception-type", exception, ":content-type", "application/json", ":message-type", "exception")
}

// converse answers Converse and ConverseStream.
func (c *call) converse(stream bool) *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "Unable to parse the request body as JSON.")
	}
	if failure := c.unknown(body, converseFields); failure != nil {
		return failure
	}
	a, failure := c.readConverse(body)
	if failure != nil {
		return failure
	}
	r := c.reply(a)
	m := &converseStream{call: c, reply: r}
	m.write()
	if stream {
		return c.events(m.frames)
	}
	return c.whole(object{"metrics", object{"latencyMs", 12}, "output", object{"message", object{"content", m.content, "role", "assistant"}},
		"stopReason", m.stop(), "usage", m.usage()})
}

func (c *call) readConverse(body node) (*ask, *Answer) {
	a := &ask{model: c.model}
	for _, b := range body.at("system").items() {
		a.prompt += len(b.at("text").text())
	}
	if len(body.at("messages").items()) == 0 {
		return nil, c.fail(400, "The messages field must not be empty.")
	}
	for _, m := range body.at("messages").items() {
		if failure := c.readConverseTurn(a, m); failure != nil {
			return nil, failure
		}
	}
	if len(a.open) > 0 {
		return nil, c.fail(400, "Expected toolResult blocks for the following Ids: "+strings.Join(a.open, ", "))
	}
	for _, t := range body.at("toolConfig", "tools").items() {
		a.tools = append(a.tools, tool{t.at("toolSpec", "name").text(), t.at("toolSpec", "inputSchema", "json")})
	}
	choice := body.at("toolConfig", "toolChoice")
	switch {
	case choice.has("any"):
		a.forced = "*"
	case choice.has("tool"):
		a.forced = choice.at("tool", "name").text()
	}
	if text := body.at("outputConfig", "textFormat", "structure", "jsonSchema", "schema").text(); text != "" {
		schema, err := decode([]byte(text))
		if err != nil {
			return nil, c.fail(400, "The schema is not valid JSON.")
		}
		a.schema = schema
	}
	thinking := body.at("additionalModelRequestFields", "thinking", "type").text()
	a.thinking = thinking == "enabled" || thinking == "adaptive"
	return a, nil
}

func (c *call) readConverseTurn(a *ask, m node) *Answer {
	role := m.at("role").text()
	if role != "user" && role != "assistant" {
		return c.fail(400, "Value '"+role+"' at 'messages.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]")
	}
	if m.at("content").text() != "" || len(m.at("content").items()) == 0 {
		return c.fail(400, "The content field in the Message object is empty. Add a ContentBlock object to the content field and try again.")
	}
	a.said(role, m.at("content"))
	for _, b := range m.at("content").items() {
		switch {
		case b.has("image"):
			a.saw("data:image/" + b.at("image", "format").text() + ";base64," + b.at("image", "source", "bytes").text())
		case b.has("toolUse"):
			a.called(b.at("toolUse", "toolUseId").text())
		case b.has("toolResult"):
			id := b.at("toolResult", "toolUseId").text()
			if !a.answered(id, contentText(b.at("toolResult", "content"))) {
				return c.fail(400, "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn: "+id)
			}
		case b.has("reasoningContent"):
			t := b.at("reasoningContent", "reasoningText")
			if t.there() && t.at("signature").text() != seal(t.at("text").text()) {
				return c.fail(400, "Invalid `signature` in `thinking` block")
			}
		}
	}
	return nil
}

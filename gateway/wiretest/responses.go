package wiretest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

const responsesFields = "background context_management conversation include input instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls " +
	"previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text " +
	"tool_choice tools top_logprobs top_p truncation user client_metadata"

// storedResponse is a response that may be gone on from.
type storedResponse struct {
	whole  object
	input  list
	output list
	asked  *ask
}

// responses answers the Responses API.
func (c *call) responses() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, responsesFields); a != nil {
		return a
	}
	a, failure := c.readResponses(body)
	if failure != nil {
		return failure
	}
	s := &responseStream{call: c, ask: a, reply: c.reply(a), body: body, encrypted: body.at("store").v == false}
	for _, in := range body.at("include").items() {
		s.encrypted = s.encrypted || in.text() == "reasoning.encrypted_content"
	}
	s.write()
	if body.at("store").v != false {
		c.keep(s, body)
	}
	if a.stream {
		return c.events(s.frames)
	}
	return c.whole(s.last)
}

func (c *call) keep(s *responseStream, body node) {
	var input list
	for i, in := range responseInput(body) {
		m, ok := in.v.(map[string]any)
		if ok && m["id"] == nil {
			m["id"] = "msg_in" + string(rune('0'+i)) + c.id
		}
		input = append(input, m)
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.kept["resp_"+c.id] = &storedResponse{s.last, input, s.output, s.ask}
}

// responseInput is the input as items, though it may be a text.
func responseInput(body node) []node {
	if text := body.at("input").text(); text != "" {
		return []node{{map[string]any{"type": "message", "role": "user", "content": []any{map[string]any{"type": "input_text", "text": text}}}}}
	}
	return body.at("input").items()
}

func (c *call) readResponses(body node) (*ask, *Answer) {
	a := &ask{}
	if previous := body.at("previous_response_id").text(); previous != "" {
		c.server.mu.Lock()
		kept := c.server.kept[previous]
		c.server.mu.Unlock()
		if kept == nil {
			return nil, c.failCode(400, "Previous response with id '"+previous+"' not found.", "previous_response_not_found")
		}
		a.prompt = kept.asked.prompt
		for _, o := range kept.output {
			item, _ := decode(encode(o))
			if item.at("type").text() == "function_call" {
				a.called(item.at("call_id").text())
			}
		}
	}
	a.model, a.stream = body.at("model").text(), body.at("stream").truth()
	if a.model == "" {
		return nil, c.failCode(400, "Missing required parameter: 'model'.", "missing_required_parameter")
	}
	a.prompt += len(body.at("instructions").text())
	for _, in := range responseInput(body) {
		switch in.at("type").text() {
		case "", "message":
			a.said(in.at("role").text(), in.at("content"))
			if s := in.at("content").text(); s != "" {
				break
			}
			for _, p := range in.at("content").items() {
				if p.at("type").text() == "input_image" {
					a.saw(p.at("image_url").text())
				}
			}
		case "function_call":
			a.called(in.at("call_id").text())
			a.results = nil
		case "function_call_output":
			output := contentText(in.at("output"))
			if !a.answered(in.at("call_id").text(), output) {
				return nil, c.fail(400, "No tool call found for function call output with call_id "+in.at("call_id").text()+".")
			}
		case "reasoning":
			if sealed := in.at("encrypted_content").text(); sealed != "" && sealed != seal(in.at("id").text()) {
				return nil, c.failCode(400, "The encrypted content for item "+in.at("id").text()+" could not be verified.", "invalid_encrypted_content")
			}
		}
	}
	if len(a.open) > 0 {
		return nil, c.fail(400, "No tool output found for function call "+a.open[0]+".")
	}
	for _, t := range body.at("tools").items() {
		if t.at("type").text() == "function" {
			a.tools = append(a.tools, tool{t.at("name").text(), t.at("parameters")})
		}
	}
	choice := body.at("tool_choice")
	a.noTools = choice.text() == "none"
	a.forced = choice.at("name").text()
	if choice.text() == "required" {
		a.forced = "*"
	}
	switch body.at("text", "format", "type").text() {
	case "json_schema":
		a.schema = body.at("text", "format", "schema")
	case "json_object":
		a.schema = node{map[string]any{"type": "object"}}
	}
	return a, nil
}

// seal makes what stands for encrypted or signed content. It has every character
// of base64, so that a careless re-encoding shows.
func seal(of string) string {
	sum := sha256.Sum256([]byte("sealed " + of))
	return "gAAAA+/" + base64.StdEncoding.EncodeToString(append(sum[:], sum[:5]...))
}

// routeResponse answers what is asked about one kept response.
func (c *call) routeResponse(method, rest string) func() *Answer {
	id, action, _ := strings.Cut(rest, "/")
	return func() *Answer {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		kept := c.server.kept[id]
		if kept == nil {
			return c.fail(http.StatusNotFound, "Response with id '"+id+"' not found.")
		}
		switch method + " " + action {
		case "GET ":
			return c.whole(kept.whole)
		case "DELETE ":
			delete(c.server.kept, id)
			return c.whole(object{"id", id, "object", "response", "deleted", true})
		case "GET input_items":
			first, last := "", ""
			if len(kept.input) > 0 {
				first, _ = kept.input[0].(map[string]any)["id"].(string)
				last, _ = kept.input[len(kept.input)-1].(map[string]any)["id"].(string)
			}
			return c.whole(object{"object", "list", "data", kept.input, "first_id", first, "last_id", last, "has_more", false})
		case "POST cancel":
			return c.fail(400, "Cannot cancel a synchronous response.")
		}
		return c.fail(http.StatusNotFound, "")
	}
}

// inputTokens counts what a request would read.
func (c *call) inputTokens() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	a, failure := c.readResponses(body)
	if failure != nil {
		return failure
	}
	return c.whole(object{"object", "response.input_tokens", "input_tokens", c.reply(a).input})
}

package wiretest

import "strings"

const chatFields = "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages metadata modalities model moderation n " +
	"parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream " +
	"stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options"

// chat answers chat completions.
func (c *call) chat() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	if a := c.unknown(body, chatFields); a != nil {
		return a
	}
	a, failure := c.readChat(body)
	if failure != nil {
		return failure
	}
	r := c.reply(a)
	n := max(body.at("n").number(), 1)
	if a.stream {
		return c.events(c.chatStream(a, r, int(n), body.at("stream_options", "include_usage").truth()))
	}
	choices := list{}
	for i := range int(n) {
		choices = append(choices, object{"index", i, "message", chatMessage(r), "logprobs", nil, "finish_reason", chatFinish(r)})
	}
	return c.whole(object{"id", "chatcmpl-" + r.id, "object", "chat.completion", "created", created, "model", a.model, "choices", choices,
		"usage", chatUsage(r, n), "service_tier", "default", "system_fingerprint", "fp_wiretest"})
}

func (c *call) readChat(body node) (*ask, *Answer) {
	a := &ask{}
	a.model, a.stream = body.at("model").text(), body.at("stream").truth()
	if a.model == "" && c.vendor != azure {
		return nil, c.fail(400, "you must provide a model parameter")
	}
	if len(body.at("messages").items()) == 0 {
		return nil, c.failCode(400, "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.", "empty_array")
	}
	for _, m := range body.at("messages").items() {
		role := m.at("role").text()
		if role == "tool" {
			if !a.answered(m.at("tool_call_id").text(), contentText(m.at("content"))) {
				return nil, c.fail(400, "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
			}
			continue
		}
		if len(a.open) > 0 {
			return nil, c.fail(400, "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: "+strings.Join(a.open, ", "))
		}
		a.said(role, m.at("content"))
		for _, p := range m.at("content").items() {
			if p.at("type").text() == "image_url" {
				a.saw(p.at("image_url", "url").text())
			}
		}
		for _, t := range m.at("tool_calls").items() {
			a.called(t.at("id").text())
		}
	}
	if len(a.open) > 0 {
		return nil, c.fail(400, "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.")
	}
	for _, t := range body.at("tools").items() {
		a.tools = append(a.tools, tool{t.at("function", "name").text(), t.at("function", "parameters")})
	}
	choice := body.at("tool_choice")
	a.noTools = choice.text() == "none"
	a.forced = choice.at("function", "name").text()
	if choice.text() == "required" {
		a.forced = "*"
	}
	switch body.at("response_format", "type").text() {
	case "json_schema":
		a.schema = body.at("response_format", "json_schema", "schema")
	case "json_object":
		a.schema = node{map[string]any{"type": "object"}}
	}
	return a, nil
}

// contentText is the text of a message's content, which is a string or parts.
func contentText(content node) string {
	if s := content.text(); s != "" {
		return s
	}
	var texts []string
	for _, p := range content.items() {
		if t := p.at("text").text(); t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n")
}

func chatFinish(r *reply) string {
	switch {
	case len(r.calls) > 0:
		return "tool_calls"
	case r.cut:
		return "length"
	}
	return "stop"
}

func chatMessage(r *reply) object {
	var content, refusal any = r.text, nil
	if len(r.calls) > 0 {
		content = nil
	}
	if r.refusal {
		content, refusal = nil, r.text
	}
	m := object{"role", "assistant", "content", content, "refusal", refusal, "annotations", list{}}
	if r.thought != "" {
		m = append(m, "reasoning_content", r.thought)
	}
	if len(r.calls) > 0 {
		calls := list{}
		for _, t := range r.calls {
			calls = append(calls, object{"id", "call_" + t.id, "type", "function", "function", object{"name", t.name, "arguments", t.arguments}})
		}
		m = append(m, "tool_calls", calls)
	}
	return m
}

func chatUsage(r *reply, n int64) object {
	return object{"prompt_tokens", r.input, "completion_tokens", r.output * n, "total_tokens", r.input + r.output*n,
		"prompt_tokens_details", object{"cached_tokens", r.cached, "audio_tokens", 0},
		"completion_tokens_details", object{"reasoning_tokens", r.thinking, "audio_tokens", 0, "accepted_prediction_tokens", 0, "rejected_prediction_tokens", 0}}
}

// chatStream is the stream of chunks: the role first, then deltas, the reason to
// finish, usage in a chunk without choices where it was asked for, [DONE].
func (c *call) chatStream(a *ask, r *reply, n int, usage bool) [][]byte {
	var out [][]byte
	chunk := func(choices list, counted any) {
		o := object{"id", "chatcmpl-" + r.id, "object", "chat.completion.chunk", "created", created, "model", a.model,
			"service_tier", "default", "system_fingerprint", "fp_wiretest", "choices", choices}
		if usage {
			o = append(o, "usage", counted)
		}
		out = append(out, data(o))
	}
	each := func(delta object, finish any) {
		for i := range n {
			chunk(list{object{"index", i, "delta", delta, "logprobs", nil, "finish_reason", finish}}, nil)
		}
	}
	first := object{"role", "assistant", "content", "", "refusal", nil}
	if len(r.calls) > 0 {
		first = object{"role", "assistant", "content", nil}
	}
	each(first, nil)
	for _, p := range pieces(r.thought) {
		each(object{"reasoning_content", p}, nil)
	}
	field := "content"
	if r.refusal {
		field = "refusal"
	}
	for i, p := range pieces(r.text) {
		if i == 3 && c.has("broken") {
			w := vendorWords[500]
			return append(out, data(object{"error", object{"message", w.message, "type", w.openaiType, "param", nil, "code", nil}}))
		}
		each(object{field, p}, nil)
	}
	for i, t := range r.calls {
		each(object{"tool_calls", list{object{"index", i, "id", "call_" + t.id, "type", "function", "function", object{"name", t.name, "arguments", ""}}}}, nil)
		for _, p := range pieces(t.arguments) {
			each(object{"tool_calls", list{object{"index", i, "function", object{"arguments", p}}}}, nil)
		}
	}
	each(object{}, chatFinish(r))
	if usage {
		chunk(list{}, chatUsage(r, int64(n)))
	}
	return append(out, []byte("data: [DONE]\n\n"))
}

// data is one server-sent event without a name.
func data(v any) []byte { return append(append([]byte("data: "), encode(v)...), "\n\n"...) }

// named is one server-sent event whose name is also its type.
func named(name string, v any) []byte {
	return append([]byte("event: "+name+"\n"), data(v)...)
}

// completions answers the older API for texts.
func (c *call) completions() *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "We could not parse the JSON body of your request.")
	}
	a := &ask{}
	a.model = body.at("model").text()
	a.said("user", body.at("prompt"))
	r := c.reply(a)
	completion := func(text string, finish any) object {
		return object{"id", "cmpl-" + r.id, "object", "text_completion", "created", created, "model", a.model,
			"choices", list{object{"text", text, "index", 0, "logprobs", nil, "finish_reason", finish}}}
	}
	usage := object{"prompt_tokens", r.input, "completion_tokens", r.output, "total_tokens", r.input + r.output}
	if !body.at("stream").truth() {
		return c.whole(append(completion(r.text, chatFinish(r)), "usage", usage))
	}
	var out [][]byte
	for _, p := range pieces(r.text) {
		out = append(out, data(completion(p, nil)))
	}
	out = append(out, data(completion("", chatFinish(r))))
	if body.at("stream_options", "include_usage").truth() {
		last := completion("", nil)
		last[len(last)-1] = list{}
		out = append(out, data(append(last, "usage", usage)))
	}
	return c.events(append(out, []byte("data: [DONE]\n\n")))
}

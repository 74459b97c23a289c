package dialect

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const responsesWhole = `{"model":"m","stream":true,"instructions":"Be brief.","store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","max_output_tokens":64,
"temperature":0.5,"top_p":0.9,"parallel_tool_calls":false,"service_tier":"flex","safety_identifier":"u1","user":"u1","metadata":{"team":"a"},"truncation":"disabled","background":false,
"reasoning":{"effort":"low","summary":"auto"},"text":{"verbosity":"low","format":{"type":"json_schema","name":"seen","schema":{"type":"object"},"strict":true}},
"input":[{"role":"developer","content":"Speak English."},
{"type":"message","role":"user","content":[{"type":"input_text","text":"What is this?"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}]},
{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"I look."},{"type":"summary_text","text":"Twice."}],"encrypted_content":"c2VhbGVk"},
{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Let me see.","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"Not that."}]},
{"type":"function_call","id":"fc_1","call_id":"call_1","name":"look","arguments":"{\"deep\":true}","status":"completed"},
{"type":"custom_tool_call","call_id":"call_2","name":"patch","input":"*** \"Begin\""},
{"type":"function_call_output","call_id":"call_1","output":"a cat"},
{"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"done"},{"type":"input_image","image_url":"https://example.com/a.png"}]},
{"role":"developer","content":"Now in French."},{"role":"user","content":"And?"}],
"tools":[{"type":"function","name":"look","description":"looks","parameters":{"type":"object"},"strict":true},{"type":"custom","name":"patch","description":"patches","format":{"type":"grammar","syntax":"lark","definition":"start: X"}}],
"tool_choice":{"type":"function","name":"look"},"client_metadata":{"a":"b"}}`

func TestResponsesReadRequest(t *testing.T) {
	got, err := Of(Responses).ReadRequest([]byte(responsesWhole), "target", true)
	if err != nil {
		t.Fatal(err)
	}
	patch := `{"type":"custom","name":"patch","description":"patches","format":{"type":"grammar","syntax":"lark","definition":"start: X"}}`
	want := &Request{Model: "target", Stream: true, StreamUsage: true, MaxTokens: 64, Temperature: ptr(0.5), TopP: ptr(0.9), User: "u1", Store: ptr(false), CacheKey: "k", Tier: "flex",
		Metadata: map[string]string{"team": "a"}, Verbosity: "low", Parallel: ptr(false),
		System: []Part{text("Be brief."), text("Speak English.")},
		Turns: []Turn{
			{Role: User, Parts: []Part{text("What is this?"), {Kind: Image, Media: Media{Type: "image/png", Data: "iVBORw0KGgo=", Detail: "low"}}, {Kind: File, Media: Media{Type: "application/pdf", Data: "JVBERg==", Name: "a.pdf"}}}},
			{Role: Assistant, Parts: []Part{
				{Kind: Thought, ID: "rs_1", Text: "I look.\n\nTwice.", Signature: "c2VhbGVk", Origin: Responses},
				text("Let me see."), {Kind: Declined, Text: "Not that."},
				{Kind: ToolCall, ID: "call_1", Name: "look", Text: `{"deep":true}`},
				{Kind: ToolCall, ID: "call_2", Name: "patch", Text: `{"input":"*** \"Begin\""}`},
			}},
			{Role: User, Parts: []Part{
				{Kind: ToolResult, ID: "call_1", Name: "look", Content: []Part{text("a cat")}},
				{Kind: ToolResult, ID: "call_2", Name: "patch", Content: []Part{text("done"), {Kind: Image, Media: Media{URL: "https://example.com/a.png"}}}},
			}},
			{Role: System, Parts: []Part{text("Now in French.")}},
			{Role: User, Parts: []Part{text("And?")}},
		},
		Tools: []Tool{{Name: "look", Description: "looks", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)},
			{Name: "patch", Description: "patches\n\nThe input must follow this grammar (lark):\nstart: X", Custom: true, Schema: []byte(customSchema), Raw: []byte(patch)}},
		Choice:    Choice{ChoiceNamed, "look"},
		Format:    Format{Kind: FormatSchema, Name: "seen", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)},
		Reasoning: Reasoning{Effort: "low", Show: true},
		Lost:      []string{"tools.format", "client_metadata"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	body, err := Of(Responses).WriteRequest(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Of(Responses).ReadRequest(body, "target", true)
	if err != nil {
		t.Fatal(err)
	}
	want.Lost = []string{"tools.format"}
	want.Turns[1].Parts[0].Text = "I look.\n\nTwice."
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("through what was written: %s\n%s", diff, body)
	}
}

func TestResponsesReadInput(t *testing.T) {
	said := []Turn{{Role: User, Parts: []Part{text("hi")}}}
	call := Part{Kind: ToolCall, ID: "c", Name: "f", Text: "{}"}
	for _, c := range []struct {
		name, fields string
		want         Request
	}{
		{"a string", `"input":"hi"`, Request{Turns: said}},
		{"a message without a type", `"input":[{"role":"user","content":"hi"}]`, Request{Turns: said}},
		{"a choice among tools", `"input":"hi","tools":[{"type":"function","name":"a","parameters":null},{"type":"function","name":"b","parameters":{}}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"b"}]}`,
			Request{Turns: said, Tools: []Tool{{Name: "b", Schema: []byte("{}")}}, Choice: Choice{Mode: ChoiceRequired}}},
		{"a hosted tool", `"input":"hi","tools":[{"type":"web_search"}]`, Request{Turns: said, Tools: []Tool{{Hosted: "web_search", Raw: []byte(`{"type":"web_search"}`)}}}},
		{"any JSON", `"input":"hi","text":{"format":{"type":"json_object"}}`, Request{Turns: said, Format: Format{Kind: FormatJSON}}},
		{"plain text", `"input":"hi","text":{"format":{"type":"text"}}`, Request{Turns: said}},
		{"a longer summary", `"input":"hi","reasoning":{"effort":"high","summary":"detailed"}`, Request{Turns: said, Reasoning: Reasoning{Effort: "high", Show: true}, Lost: []string{"reasoning.summary"}}},
		{"cut where it is too long", `"input":"hi","truncation":"auto","max_tool_calls":3`, Request{Turns: said, Lost: []string{"truncation", "max_tool_calls"}}},
		{"probabilities", `"input":"hi","top_logprobs":2,"include":["message.output_text.logprobs","file_search_call.results"]`, Request{Turns: said, Logprobs: true, TopLogprobs: 2, Lost: []string{"include.file_search_call.results"}}},
		{"a file elsewhere", `"input":[{"role":"user","content":[{"type":"input_file","file_url":"https://example.com/a.pdf"},{"type":"input_image","file_id":"file-1"}]}]`,
			Request{Turns: []Turn{{Parts: []Part{{Kind: File, Media: Media{URL: "https://example.com/a.pdf"}}, {Kind: Image, Media: Media{FileID: "file-1"}}}}}}},
		{"thoughts of another provider", `"input":[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"plumbline:messages:signature:c2ln"},{"type":"reasoning","summary":[],"encrypted_content":"plumbline:messages:sealed:c2Vh"}]`,
			Request{Turns: append(said[:1:1], Turn{Role: Assistant, Parts: []Part{{Kind: Thought, Text: "hm", Signature: "c2ln", Origin: Messages}, {Kind: Thought, Sealed: "c2Vh", Origin: Messages}}})}},
		{"a call that another provider signed", `"input":[{"role":"user","content":"hi"},{"type":"reasoning","summary":[],"encrypted_content":"plumbline:gemini:signature:c2ln"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]`,
			Request{Turns: append(said[:1:1], Turn{Role: Assistant, Parts: []Part{{Kind: ToolCall, ID: "c", Name: "f", Text: "{}", Signature: "c2ln", Origin: Gemini}}})}},
		{"two rounds of calls", `"input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]`,
			Request{Turns: append(said[:1:1], Turn{Role: Assistant, Parts: []Part{call}}, Turn{Role: User, Parts: []Part{{Kind: ToolResult, ID: "c", Name: "f", Content: []Part{text("1")}}}}, Turn{Role: Assistant, Parts: []Part{call}})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Of(Responses).ReadRequest([]byte(`{`+c.fields+`}`), "m", false)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Model, c.want.StreamUsage = "m", true
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResponsesRefused(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		impossible   bool
		want         string // the field
	}{
		{"goes on from an answer", `"input":"hi","previous_response_id":"resp_1"`, true, "previous_response_id"},
		{"a kept conversation", `"input":"hi","conversation":"conv_1"`, true, "conversation"},
		{"a kept prompt", `"input":"hi","prompt":{"id":"pmpt_1"}`, true, "prompt"},
		{"in the background", `"input":"hi","background":true`, true, "background"},
		{"a kept item", `"input":[{"type":"item_reference","id":"msg_1"}]`, true, "input.0"},
		{"an item of a hosted tool", `"input":[{"type":"web_search_call","id":"ws_1","status":"completed"}]`, true, "input.0.type"},
		{"a part that is not known", `"input":[{"role":"user","content":[{"type":"hologram"}]}]`, true, "input.0.content.0.type"},
		{"a choice of a hosted tool", `"input":"hi","tool_choice":{"type":"file_search"}`, true, "tool_choice"},
		{"a format that is not known", `"input":"hi","text":{"format":{"type":"xml"}}`, true, "text.format.type"},
		{"no input", `"instructions":"hi"`, false, "input"},
		{"input of another type", `"input":5`, false, "input"},
		{"a role that is none", `"input":[{"role":"tool","content":"hi"}]`, false, "input.0.role"},
		{"an image that is nowhere", `"input":[{"role":"user","content":[{"type":"input_image"}]}]`, false, "input.0.content.0"},
		{"a schema that is none", `"input":"hi","text":{"format":{"type":"json_schema","name":"a","schema":1}}`, false, "text.format.schema"},
		{"a number as text", `"input":"hi","temperature":"warm"`, false, "temperature"},
		{"a tool without a name", `"input":"hi","tools":[{"type":"function"}]`, false, "tools.0.name"},
		{"a limit below zero", `"input":"hi","max_output_tokens":-1`, false, "max_output_tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Of(Responses).ReadRequest([]byte(`{`+c.fields+`}`), "m", false)
			var (
				impossible *Impossible
				malformed  *Malformed
			)
			switch {
			case errors.As(err, &impossible):
				if !c.impossible || impossible.Field != c.want {
					t.Errorf("got %q, impossible", impossible.Field)
				}
			case errors.As(err, &malformed):
				if c.impossible || malformed.Field != c.want {
					t.Errorf("got %q, malformed", malformed.Field)
				}
			default:
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestResponsesWriteRequest(t *testing.T) {
	hi := []Turn{{Parts: []Part{text("hi")}}}
	const input = `"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],`
	for _, c := range []struct {
		name string
		r    Request
		lost []string
		want string
	}{
		{"least", Request{Turns: hi}, nil, `{"model":"m",` + input + `"store":false}`},
		{"thinks so many tokens", Request{Turns: hi, Reasoning: Reasoning{Budget: ptr[int64](4096), Show: true}}, nil,
			`{"model":"m",` + input + `"reasoning":{"effort":"medium","summary":"auto"},"include":["reasoning.encrypted_content"],"store":false}`},
		{"thinks not at all", Request{Turns: hi, Reasoning: Reasoning{Budget: ptr[int64](0), Show: true}}, nil, `{"model":"m",` + input + `"reasoning":{"effort":"none"},"store":false}`},
		{"is kept", Request{Turns: hi, Store: ptr(true), Reasoning: Reasoning{Effort: "high"}}, nil, `{"model":"m",` + input + `"reasoning":{"effort":"high"},"store":true}`},
		{"a tool that is not strict", Request{Turns: hi, Tools: []Tool{{Name: "f"}}, Choice: Choice{Mode: ChoiceRequired}}, nil,
			`{"model":"m",` + input + `"tools":[{"type":"function","name":"f","parameters":null,"strict":false}],"tool_choice":"required","store":false}`},
		{"several instructions", Request{System: []Part{text("a"), text("b")}, Turns: hi}, nil,
			`{"model":"m","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"store":false}`},
		{"what it has no place for", Request{Turns: []Turn{{Name: "ann", Parts: []Part{{Text: "hi", Cache: true}}}}, Stop: []string{"x"}, Seed: ptr[int64](1), TopK: ptr[int64](1), Logprobs: true}, []string{"logprobs", "messages.name", "cache_control", "seed", "stop", "top_k"},
			`{"model":"m",` + input + `"store":false}`},
		{"a tool that failed", Request{Turns: []Turn{{Role: Assistant, Parts: []Part{{Kind: Thought, Text: "hm", Signature: "s", Origin: Messages}, {Kind: ToolCall, ID: "c", Name: "f", Text: "{}"}}}, {Parts: []Part{{Kind: ToolResult, ID: "c", Failed: true}, text("and?")}}}},
			[]string{"messages.thinking", "tool_result.is_error"},
			`{"model":"m","input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":""},{"type":"message","role":"user","content":[{"type":"input_text","text":"and?"}]}],"store":false}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.Model = "m"
			got, err := Of(Responses).WriteRequest(&c.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
			slicesEqualAnyOrder(t, c.lost, c.r.Lost)
		})
	}
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"several answers", Request{Turns: hi, Choices: 2}, "n"},
		{"a hosted tool", Request{Turns: hi, Tools: []Tool{{Hosted: "web_search_20250305"}}}, "tools"},
		{"sound", Request{Turns: []Turn{{Parts: []Part{{Kind: Audio, Media: Media{Data: "AA=="}}}}}}, "messages.0"},
		{"a file of another provider", Request{Turns: []Turn{{Parts: []Part{{Kind: File, Media: Media{FileID: "f"}}}}}}, "messages.0"},
	} {
		_, err := Of(Responses).WriteRequest(&c.r)
		var impossible *Impossible
		if !errors.As(err, &impossible) || impossible.Field != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func slicesEqualAnyOrder(t *testing.T, want, got []string) {
	t.Helper()
	count := map[string]int{}
	for _, s := range want {
		count[s]++
	}
	for _, s := range got {
		count[s]--
	}
	for s, n := range count {
		if n != 0 {
			t.Errorf("lost %q: %d too few", s, n)
		}
	}
}

const responsesAnswered = `{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"served","output":[
{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"c2Vh"},
{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"output_text","text":"b","annotations":[]}]},
{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}"},{"type":"custom_tool_call","id":"ctc_1","call_id":"c2","name":"patch","input":"x\ny"}],
"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}}`

func TestResponsesAnswer(t *testing.T) {
	got, err := Of(Responses).ReadAnswer([]byte(responsesAnswered))
	if err != nil {
		t.Fatal(err)
	}
	want := &Answer{ID: "resp_1", Model: "served", Created: 7, HasUsage: true, Usage: event.Usage{Input: 10, Output: 5, CacheRead: 4, CacheWrite: 0, Reasoning: 2},
		Choices: []Candidate{{Stop: StopTool, Parts: []Part{
			{Kind: Thought, ID: "rs_1", Text: "hm", Signature: "c2Vh", Origin: Responses}, text("a"), text("b"),
			{Kind: ToolCall, ID: "c1", Name: "f", Text: "{}"}, {Kind: ToolCall, ID: "c2", Name: "patch", Text: `{"input":"x\ny"}`},
		}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r := &Request{Model: "m", System: []Part{text("Be brief.")}, MaxTokens: 9, Tools: []Tool{{Name: "patch", Custom: true, Raw: []byte(`{"type":"custom","name":"patch"}`)}}}
	body, err := Of(Responses).WriteAnswer(got, r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Of(Responses).ReadAnswer(body)
	if err != nil {
		t.Fatal(err)
	}
	want.Choices[0].Parts[0].ID = "rs_1_0" // ids of items are the writer's
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("through what was written: %s", diff)
	}
	// What clients of the API take for granted.
	var v map[string]json.RawMessage
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"object": `"response"`, "status": `"completed"`, "error": "null", "incomplete_details": "null", "instructions": `"Be brief."`, "max_output_tokens": "9",
		"tools": `[{"type":"custom","name":"patch"}]`, "tool_choice": `"auto"`, "parallel_tool_calls": "true", "metadata": "{}", "temperature": "1", "top_p": "1", "previous_response_id": "null"} {
		if got := string(v[field]); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

func TestResponsesEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		parts  []Part
		stop   StopReason
		status string
		want   StopReason
	}{
		{"the model was done", []Part{text("a")}, StopEnd, `"completed"`, StopEnd},
		{"the limit", []Part{text("a")}, StopLength, `"incomplete"`, StopLength},
		{"a filter", nil, StopFilter, `"incomplete"`, StopFilter},
		{"a call", []Part{{Kind: ToolCall, ID: "c"}}, StopTool, `"completed"`, StopTool},
		{"a refusal in words", []Part{{Kind: Declined, Text: "no"}}, StopDeclined, `"completed"`, StopDeclined},
		{"a refusal without words", []Part{text("a")}, StopDeclined, `"incomplete"`, StopFilter},
		{"a stop sequence", []Part{text("a")}, StopSequence, `"completed"`, StopEnd},
	} {
		body, err := Of(Responses).WriteAnswer(&Answer{ID: "x", Choices: []Candidate{{Parts: c.parts, Stop: c.stop}}}, &Request{})
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ Status json.RawMessage }
		json.Unmarshal(body, &v)
		a, err := Of(Responses).ReadAnswer(body)
		if err != nil {
			t.Fatal(err)
		}
		if string(v.Status) != c.status || a.Choices[0].Stop != c.want {
			t.Errorf("%s: %s, %d", c.name, v.Status, a.Choices[0].Stop)
		}
	}
	for _, body := range []string{`{"status":"failed","error":{"code":"server_error","message":"x"},"output":[]}`, `{"status":"queued","output":[]}`, `[]`} {
		if _, err := Of(Responses).ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s was taken for an answer", body)
		}
	}
}

package dialect

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const messagesFull = `{
	"model":"claude-opus-4-6","max_tokens":1000,"stream":true,
	"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
	"messages":[
		{"role":"user","content":"What is on these?"},
		{"role":"user","content":[
			{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
			{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}},
			{"type":"image","source":{"type":"file","file_id":"file_1"}},
			{"type":"document","title":"Terms","context":"signed","citations":{"enabled":true},"source":{"type":"base64","media_type":"application/pdf","data":"BBBB"}},
			{"type":"document","source":{"type":"text","media_type":"text/plain","data":"plain words"}},
			{"type":"document","source":{"type":"content","content":[{"type":"text","text":"chunk"}]}}]},
		{"role":"assistant","content":[
			{"type":"thinking","thinking":"Hm.","signature":"EqoB=="},
			{"type":"redacted_thinking","data":"EmwK=="},
			{"type":"text","text":"I look."},
			{"type":"tool_use","id":"toolu_1","name":"look","input":{"n":12345678901234567890},"caller":{"type":"direct"}},
			{"type":"tool_use","id":"toolu_2","name":"look","input":{}}]},
		{"role":"user","content":[
			{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"a cat"},{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"CCCC"}}]},
			{"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"no such page","cache_control":{"type":"ephemeral"}}]},
		{"role":"system","content":"Answer in French."}],
	"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object","properties":{"n":{"type":"integer"}}},"strict":true,"cache_control":{"type":"ephemeral"},"input_examples":[{}]},
		{"type":"web_search_20250305","name":"web_search","max_uses":2}],
	"tool_choice":{"type":"auto","disable_parallel_tool_use":true},
	"thinking":{"type":"enabled","budget_tokens":2000},
	"output_config":{"effort":"max","format":{"type":"json_schema","schema":{"type":"object"}}},
	"stop_sequences":["END"],"temperature":0.5,"top_p":0.9,"top_k":40,
	"metadata":{"user_id":"u-1"},"service_tier":"standard_only",
	"context_management":{"edits":[]},"speed":null,"betas":["x"]}`

func TestMessagesReadRequest(t *testing.T) {
	got, err := Of(Messages).ReadRequest([]byte(messagesFull), "claude-opus-4-6", true)
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{
		Model: "claude-opus-4-6", Stream: true, StreamUsage: true, MaxTokens: 1000,
		System: []Part{{Kind: Text, Text: "Be brief.", Cache: true}},
		Turns: []Turn{
			{Role: User, Parts: []Part{{Kind: Text, Text: "What is on these?"}}},
			{Role: User, Parts: []Part{
				{Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}},
				{Kind: Image, Media: Media{URL: "https://a.example/b.png"}},
				{Kind: Image, Media: Media{FileID: "file_1"}},
				{Kind: File, Media: Media{Type: "application/pdf", Data: "BBBB", Name: "Terms"}},
				{Kind: Text, Text: "plain words"},
				{Kind: Text, Text: "chunk"},
			}},
			{Role: Assistant, Parts: []Part{
				{Kind: Thought, Text: "Hm.", Signature: "EqoB==", Origin: Messages},
				{Kind: Thought, Sealed: "EmwK==", Origin: Messages},
				{Kind: Text, Text: "I look."},
				{Kind: ToolCall, ID: "toolu_1", Name: "look", Text: `{"n":12345678901234567890}`},
				{Kind: ToolCall, ID: "toolu_2", Name: "look", Text: `{}`},
			}},
			{Role: User, Parts: []Part{
				{Kind: ToolResult, ID: "toolu_1", Name: "look", Content: []Part{{Kind: Text, Text: "a cat"}, {Kind: Image, Media: Media{Type: "image/jpeg", Data: "CCCC"}}}},
				{Kind: ToolResult, ID: "toolu_2", Name: "look", Failed: true, Cache: true, Content: []Part{{Kind: Text, Text: "no such page"}}},
			}},
			{Role: System, Parts: []Part{{Kind: Text, Text: "Answer in French."}}},
		},
		Tools: []Tool{
			{Name: "look", Description: "Looks.", Schema: []byte(`{"type":"object","properties":{"n":{"type":"integer"}}}`), Strict: ptr(true), Cache: true},
			{Name: "web_search", Hosted: "web_search_20250305", Raw: []byte(`{"type":"web_search_20250305","name":"web_search","max_uses":2}`)},
		},
		Choice: Choice{Mode: ChoiceAuto}, Parallel: ptr(false),
		Format:      Format{Kind: FormatSchema, Name: "answer", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)},
		Reasoning:   Reasoning{Effort: "xhigh", Budget: ptr(int64(2000)), Show: true},
		Temperature: ptr(0.5), TopP: ptr(0.9), TopK: ptr(int64(40)), Stop: []string{"END"},
		User: "u-1", Tier: "standard_only",
		Lost: []string{"messages.content.citations", "messages.content.context", "tools.input_examples", "betas", "context_management"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesReadThinking(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		want         Reasoning
	}{
		{"none", ``, Reasoning{}},
		{"adaptive", `,"thinking":{"type":"adaptive"}`, Reasoning{Show: true}},
		{"adaptive and silent", `,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"low"}`, Reasoning{Effort: "low"}},
		{"disabled", `,"thinking":{"type":"disabled"}`, Reasoning{Budget: ptr(int64(0))}},
	} {
		r, err := Of(Messages).ReadRequest([]byte(`{"max_tokens":9,"messages":[{"role":"user","content":"a"}]`+c.fields+`}`), "m", false)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, r.Reasoning); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestMessagesRefused(t *testing.T) {
	content := func(block string) string {
		return `{"max_tokens":9,"messages":[{"role":"user","content":[` + block + `]}]}`
	}
	for _, c := range []struct{ name, body, want string }{
		{"no object", `[]`, "body: is not a JSON object"},
		{"no limit", `{"messages":[]}`, "max_tokens: is required, as a positive number"},
		{"no messages", `{"max_tokens":9}`, "messages: is not a JSON array"},
		{"role", `{"max_tokens":9,"messages":[{"role":"tool","content":"a"}]}`, "messages.0.role: must be user, assistant or system"},
		{"content", `{"max_tokens":9,"messages":[{"role":"user","content":7}]}`, "messages.0.content: is neither a string nor an array of blocks"},
		{"cache filled alone", `{"max_tokens":0,"messages":[]}`, "max_tokens: no other API fills a cache without an answer"},
		{"server tool's block", content(`{"type":"server_tool_use"}`), "messages.0.content.0.type: no other API has blocks of this type"},
		{"source", content(`{"type":"image","source":{"type":"odd"}}`), "messages.0.content.0.source.type: is no type of source that the API has"},
		{"base64", content(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"!"}}`), "messages.0.content.0.source.data: is not base64"},
		{"MCP", `{"max_tokens":9,"messages":[],"mcp_servers":[{}]}`, "mcp_servers: no other API takes MCP servers in this form"},
		{"where", `{"max_tokens":9,"messages":[],"inference_geo":"us"}`, "inference_geo: where the call is processed cannot be asked of another provider"},
		{"choice", `{"max_tokens":9,"messages":[],"tool_choice":{"type":"x"}}`, "tool_choice.type: must be auto, any, tool or none"},
		{"number", `{"max_tokens":"9","messages":[]}`, "max_tokens: has another type than the API says"},
	} {
		_, err := Of(Messages).ReadRequest([]byte(c.body), "m", false)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func asked(parts ...Part) []Turn { return []Turn{{Role: User, Parts: parts}} }

func text(s string) Part { return Part{Kind: Text, Text: s} }

func TestMessagesWriteRequest(t *testing.T) {
	hello := asked(text("hello"))
	const user = `"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]`
	for _, c := range []struct {
		name string
		r    Request
		want string
		lost []string
	}{
		{"limit of the model", Request{Model: "m", MostTokens: 64000, Turns: hello}, `{"model":"m","max_tokens":64000,` + user + `}`, nil},
		{"least", Request{Model: "claude-x", Turns: hello}, `{"model":"claude-x","max_tokens":4096,` + user + `}`, nil},
		{"much", Request{
			Model: "claude-sonnet-4-5", Stream: true, MaxTokens: 100, Turns: hello, System: []Part{{Kind: Text, Text: "Be brief.", Cache: true}},
			Tools:  []Tool{{Name: "f"}, {Name: "g", Description: "d", Schema: []byte(`{"type":"object","properties":{"b":{"type":"object","properties":{}},"a":{}}}`), Strict: ptr(true)}},
			Choice: Choice{ChoiceNamed, "f"}, Parallel: ptr(false), Stop: []string{"END", " \n"}, Temperature: ptr(0.2), TopP: ptr(0.5), TopK: ptr(int64(3)),
			User: "u", Tier: "default", Seed: ptr(int64(1)), Presence: ptr(0.0), Frequency: ptr(0.1), Logprobs: true, Metadata: map[string]string{"a": "b"}, Store: ptr(false), CacheKey: "k",
		}, `{"model":"claude-sonnet-4-5","max_tokens":100,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],` + user + `,
			"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}},
				{"name":"g","description":"d","input_schema":{"type":"object","properties":{"b":{"type":"object","properties":{},"additionalProperties":false},"a":{}},"additionalProperties":false},"strict":true}],
			"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},"temperature":0.2,"top_k":3,"stop_sequences":["END"],
			"metadata":{"user_id":"u"},"service_tier":"standard_only","stream":true}`,
			[]string{"stop", "top_p", "seed", "frequency_penalty", "logprobs", "metadata", "prompt_cache_key"}},
		{"turns", Request{Model: "m", Turns: []Turn{
			{Role: User, Name: "anna", Parts: []Part{text("a"), text("")}}, {Role: User, Parts: []Part{text("b")}},
			{Role: Assistant, Parts: []Part{
				{Kind: Thought, Text: "another's", Signature: "s", Origin: Gemini},
				{Kind: Thought, Text: "own", Signature: "s", Origin: Messages}, {Kind: Thought, Sealed: "d", Origin: Messages},
				{Kind: ToolCall, ID: "1", Name: "f", Text: `{"a":12345678901234567890}`}, {Kind: ToolCall, ID: "2", Name: "f"}, {Kind: ToolCall, ID: "3", Name: "f", Text: `cut {`}}},
			{Role: User, Parts: []Part{text("and"), {Kind: ToolResult, ID: "1", Content: []Part{text("x"), {Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}}}}}},
			{Role: User, Parts: []Part{{Kind: ToolResult, ID: "2", Failed: true}, {Kind: ToolResult, ID: "3"}}},
			{Role: Assistant, Parts: []Part{text("")}},
		}}, `{"model":"m","max_tokens":4096,"messages":[
			{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
			{"role":"assistant","content":[{"type":"thinking","thinking":"own","signature":"s"},{"type":"redacted_thinking","data":"d"},
				{"type":"tool_use","id":"1","name":"f","input":{"a":12345678901234567890}},{"type":"tool_use","id":"2","name":"f","input":{}},{"type":"tool_use","id":"3","name":"f","input":{"arguments":"cut {"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
				{"type":"tool_result","tool_use_id":"2","is_error":true},{"type":"tool_result","tool_use_id":"3"},{"type":"text","text":"and"}]}]}`,
			[]string{"messages.name", "messages.thinking", "messages.tool_calls.arguments"}},
		{"media", Request{Model: "m", Turns: asked(
			Part{Kind: Image, Media: Media{URL: "https://a.example/b.png", Detail: "high"}},
			Part{Kind: File, Media: Media{Type: "application/pdf", Data: "BBBB", Name: "Terms"}},
			Part{Kind: File, Media: Media{Type: "text/plain", Data: "d29yZHM="}},
			Part{Kind: File, Media: Media{Type: "application/pdf", URL: "https://a.example/b.pdf"}},
		)}, `{"model":"m","max_tokens":4096,"messages":[{"role":"user","content":[
			{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}},
			{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"BBBB"},"title":"Terms"},
			{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}},
			{"type":"document","source":{"type":"url","url":"https://a.example/b.pdf"}}]}]}`, []string{"messages.content.detail"}},
		{"instruction in the middle", Request{Model: "claude-opus-4-8", Turns: []Turn{hello[0], {Role: System, Parts: []Part{text("now")}}}},
			`{"model":"claude-opus-4-8","max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]},{"role":"system","content":[{"type":"text","text":"now"}]}]}`, nil},
		{"instruction for an older model", Request{Model: "claude-opus-4-6", Turns: []Turn{hello[0], {Role: System, Parts: []Part{text("now")}}}},
			`{"model":"claude-opus-4-6","max_tokens":4096,"system":[{"type":"text","text":"now"}],` + user + `}`, []string{"messages.role"}},
		{"schema", Request{Model: "m", Turns: hello, Format: Format{Kind: FormatSchema, Schema: []byte(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"array","items":{"type":"object","additionalProperties":true}}}}`)}},
			`{"model":"m","max_tokens":4096,` + user + `,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"array","items":{"type":"object","additionalProperties":true}}},"additionalProperties":false}}}}`, nil},
		{"any JSON", Request{Model: "m", Turns: hello, Format: Format{Kind: FormatJSON}}, `{"model":"m","max_tokens":4096,` + user + `}`, []string{"response_format"}},
	} {
		r := c.r
		got, err := Of(Messages).WriteRequest(&r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(compact(t, c.want), string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.lost, r.Lost); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// What a model takes of thinking and sampling depends on its release.
func TestMessagesWishesByRelease(t *testing.T) {
	loop := []Turn{{Role: User, Parts: []Part{text("a")}}, {Role: Assistant, Parts: []Part{{Kind: ToolCall, ID: "1", Name: "f"}}}, {Role: User, Parts: []Part{{Kind: ToolResult, ID: "1"}}}}
	for _, c := range []struct {
		name string
		r    Request
		want string // from thinking on
		lost []string
	}{
		{"effort before thoughts", Request{Model: "claude-3-5-haiku-20241022", Reasoning: Reasoning{Effort: "high"}, Temperature: ptr(0.5)}, `"temperature":0.5`, []string{"reasoning"}},
		{"effort as budget", Request{Model: "claude-sonnet-4-5", MaxTokens: 64000, Reasoning: Reasoning{Effort: "medium"}, Temperature: ptr(0.5)}, `"thinking":{"type":"enabled","budget_tokens":4096,"display":"omitted"}`, []string{"temperature"}},
		{"budget leaves room", Request{Model: "claude-3-7-sonnet-20250219", MaxTokens: 4000, Reasoning: Reasoning{Effort: "high", Show: true}}, `"thinking":{"type":"enabled","budget_tokens":2000}`, nil},
		{"no room", Request{Model: "claude-sonnet-4-20250514", MaxTokens: 1500, Reasoning: Reasoning{Effort: "low"}}, ``, []string{"reasoning"}},
		{"effort adapts", Request{Model: "claude-opus-4-6", MaxTokens: 100, Reasoning: Reasoning{Effort: "minimal", Show: true}}, `"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"low"}`, nil},
		{"budget as asked", Request{Model: "claude-opus-4-6", MaxTokens: 9000, Reasoning: Reasoning{Budget: ptr(int64(5000)), Show: true}}, `"thinking":{"type":"enabled","budget_tokens":5000}`, nil},
		{"budget as effort", Request{Model: "us.anthropic.claude-opus-4-7-v1:0", Reasoning: Reasoning{Budget: ptr(int64(5000))}, Temperature: ptr(0.5), TopP: ptr(0.5), TopK: ptr(int64(1))},
			`"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"medium"}`, []string{"temperature", "top_p", "top_k"}},
		{"off", Request{Model: "claude-sonnet-4-5@20250929", Reasoning: Reasoning{Effort: "none"}}, `"thinking":{"type":"disabled"}`, nil},
		{"cannot be off", Request{Model: "claude-fable-5", Reasoning: Reasoning{Budget: ptr(int64(0))}}, ``, []string{"reasoning"}},
		{"tool that must be called", Request{Model: "claude-opus-4-6", Choice: Choice{Mode: ChoiceRequired}, Tools: []Tool{{Name: "f"}}, Reasoning: Reasoning{Effort: "high"}, Temperature: ptr(1.7)}, `"temperature":1`, []string{"reasoning", "temperature"}},
		{"another's calls", Request{Model: "claude-sonnet-4-5", MaxTokens: 9000, Turns: loop, Reasoning: Reasoning{Effort: "low"}}, ``, []string{"reasoning"}},
		{"both of sampling", Request{Model: "claude-3-opus-20240229", Temperature: ptr(0.5), TopP: ptr(0.5)}, `"temperature":0.5,"top_p":0.5`, nil},
		{"not Anthropic's", Request{Model: "kimi-k3", MaxTokens: 9000, Reasoning: Reasoning{Effort: "low", Show: true}, TopP: ptr(0.97)}, `"thinking":{"type":"enabled","budget_tokens":1024},"top_p":0.97`, nil},
	} {
		r := c.r
		if r.Turns == nil {
			r.Turns = asked(text("a"))
		}
		if r.MaxTokens == 0 {
			r.MaxTokens = 2000
		}
		var w messagesRequest
		w.MaxTokens = r.MaxTokens
		r.messagesWishes(&w)
		got, err := encode(w)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"model":"","max_tokens":%d,"messages":null`, r.MaxTokens)
		if c.want != "" {
			want += "," + c.want
		}
		if diff := cmp.Diff(want+"}", string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.lost, r.Lost); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestMessagesImpossible(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"choices", Request{Turns: asked(text("a")), Choices: 2}, "n: the provider's API gives one answer for each call"},
		{"hosted", Request{Turns: asked(text("a")), Tools: []Tool{{Hosted: "web_search"}}}, "tools: the provider's API has no tool web_search that works as asked"},
		{"audio", Request{Turns: asked(Part{Kind: Audio})}, "messages.0.content.0: the provider's API takes no audio"},
		{"file of another", Request{Turns: asked(Part{Kind: Image, Media: Media{FileID: "file-1"}})}, "messages.0.content.0: a file that was sent to one provider is not known to another: send its content"},
		{"spreadsheet", Request{Turns: asked(Part{Kind: File, Media: Media{Type: "application/vnd.ms-excel", Data: "AAAA"}})}, "messages.0.content.0: the provider's API takes PDF and plain text alone"},
		{"nothing said", Request{System: []Part{text("a")}}, "messages: the provider's API wants a message of the user"},
	} {
		_, err := Of(Messages).WriteRequest(&c.r)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMessagesAnswer(t *testing.T) {
	const body = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[
		{"type":"thinking","thinking":"Hm.","signature":"EqoB=="},{"type":"redacted_thinking","data":"EmwK=="},
		{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}},
		{"type":"text","text":"I look.","citations":null},{"type":"tool_use","id":"toolu_1","name":"look","input":{"n":12345678901234567890}}],
		"stop_reason":"tool_use","stop_sequence":null,
		"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":15,"ephemeral_1h_input_tokens":5},"server_tool_use":{"web_search_requests":1},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3},"service_tier":"standard"}}`
	got, err := Of(Messages).ReadAnswer([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := &Answer{
		ID: "msg_1", Model: "claude-opus-4-6", HasUsage: true, Usage: event.Usage{Input: 60, Output: 7, CacheRead: 30, CacheWrite: 20, Reasoning: 3, CacheWrite1h: 5, Searches: 1},
		Choices: []Candidate{{Stop: StopTool, Parts: []Part{
			{Kind: Thought, Text: "Hm.", Signature: "EqoB==", Origin: Messages},
			{Kind: Thought, Sealed: "EmwK==", Origin: Messages},
			{Kind: Text, Text: "I look."},
			{Kind: ToolCall, ID: "toolu_1", Name: "look", Text: `{"n":12345678901234567890}`},
		}}},
		Lost: []string{"content.type"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back, err := Of(Messages).WriteAnswer(got, &Request{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact(t, `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[
		{"type":"thinking","thinking":"Hm.","signature":"EqoB=="},{"type":"redacted_thinking","data":"EmwK=="},
		{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_1","name":"look","input":{"n":12345678901234567890}}],
		"stop_reason":"tool_use","stop_sequence":null,
		"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":15,"ephemeral_1h_input_tokens":5},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3}}}`), string(back)); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesWriteAnswer(t *testing.T) {
	const usage = `"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}`
	for _, c := range []struct {
		name string
		c    Candidate
		want string // content and after
	}{
		{"length", Candidate{Parts: []Part{text("a")}, Stop: StopLength}, `[{"type":"text","text":"a"}],"stop_reason":"max_tokens","stop_sequence":null,`},
		{"sequence", Candidate{Stop: StopSequence, Sequence: "END"}, `[],"stop_reason":"stop_sequence","stop_sequence":"END",`},
		{"filter", Candidate{Stop: StopFilter}, `[],"stop_reason":"refusal","stop_sequence":null,`},
		{"refusal", Candidate{Parts: []Part{{Kind: Declined, Text: "no"}}, Stop: StopDeclined}, `[{"type":"text","text":"no"}],"stop_reason":"refusal","stop_sequence":null,`},
		{"pause", Candidate{Stop: StopPause}, `[],"stop_reason":"pause_turn","stop_sequence":null,`},
		{"unknown", Candidate{}, `[],"stop_reason":"end_turn","stop_sequence":null,`},
		{"another's signature", Candidate{Parts: []Part{{Kind: ToolCall, ID: "1", Name: "f", Text: "{}", Signature: "s", Origin: Gemini}}, Stop: StopTool},
			`[{"type":"thinking","thinking":"","signature":"plumbline:gemini:signature:s"},{"type":"tool_use","id":"1","name":"f","input":{}}],"stop_reason":"tool_use","stop_sequence":null,`},
		{"another's seal", Candidate{Parts: []Part{{Kind: Thought, Sealed: "s", Origin: Responses}}, Stop: StopEnd},
			`[{"type":"redacted_thinking","data":"plumbline:responses:sealed:s"}],"stop_reason":"end_turn","stop_sequence":null,`},
	} {
		got, err := Of(Messages).WriteAnswer(&Answer{ID: "x", Usage: noUsage, Choices: []Candidate{c.c}}, &Request{Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(`{"id":"x","type":"message","role":"assistant","model":"m","content":`+c.want+usage, string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

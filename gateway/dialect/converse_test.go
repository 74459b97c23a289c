package dialect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const converseFull = `{
	"system":[{"text":"Be brief."},{"cachePoint":{"type":"default"}}],
	"messages":[
		{"role":"user","content":[{"text":"What is on these?"},
			{"image":{"format":"png","source":{"bytes":"AAAA"}}},
			{"image":{"format":"jpeg","source":{"s3Location":{"uri":"s3://bucket/b.jpg"}}}},
			{"document":{"format":"pdf","name":"Terms","source":{"bytes":"BBBB"},"context":"signed"}},
			{"document":{"format":"txt","name":"t","source":{"text":"plain words"}}},
			{"audio":{"format":"wav","source":{"bytes":"CCCC"}}}]},
		{"role":"assistant","content":[
			{"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"sig"}}},
			{"reasoningContent":{"redactedContent":"DDDD"}},
			{"toolUse":{"toolUseId":"t1","name":"look","input":{"n":12345678901234567890}}}]},
		{"role":"user","content":[{"toolResult":{"toolUseId":"t1","status":"error","content":[{"text":"a cat"},{"json":{"a":1}},{"image":{"format":"png","source":{"bytes":"EEEE"}}}]}},{"cachePoint":{"type":"default"}}]}],
	"inferenceConfig":{"maxTokens":100,"temperature":0.5,"topP":0.9,"stopSequences":["END"]},
	"toolConfig":{"tools":[{"toolSpec":{"name":"look","description":"Looks.","inputSchema":{"json":{"type":"object"}},"strict":true}},{"cachePoint":{"type":"default"}},{"systemTool":{"name":"nova_grounding"}}],"toolChoice":{"tool":{"name":"look"}}},
	"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000},"top_k":40,"anthropic_beta":["x"]},
	"requestMetadata":{"team":"x"},"serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"},
	"outputConfig":{"effort":"max","textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"out","description":"d"}}}}}`

func TestConverseReadRequest(t *testing.T) {
	got, err := Of(Converse).ReadRequest([]byte(converseFull), "m", true)
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{
		Model: "m", Stream: true, StreamUsage: true,
		System: []Part{{Kind: Text, Text: "Be brief.", Cache: true}},
		Turns: []Turn{
			{Parts: []Part{
				text("What is on these?"),
				{Kind: Image, Media: Media{Type: "image/png", Data: "AAAA"}},
				{Kind: Image, Media: Media{Type: "image/jpeg", FileID: "s3://bucket/b.jpg"}},
				{Kind: File, Media: Media{Type: "application/pdf", Data: "BBBB", Name: "Terms"}},
				text("plain words"),
				{Kind: Audio, Media: Media{Type: "audio/wav", Data: "CCCC"}},
			}},
			{Role: Assistant, Parts: []Part{
				{Kind: Thought, Text: "Hm.", Signature: "sig", Origin: Converse},
				{Kind: Thought, Sealed: "DDDD", Origin: Converse},
				{Kind: ToolCall, ID: "t1", Name: "look", Text: `{"n":12345678901234567890}`},
			}},
			{Parts: []Part{{Kind: ToolResult, ID: "t1", Name: "look", Failed: true, Cache: true, Content: []Part{text("a cat"), text(`{"a":1}`), {Kind: Image, Media: Media{Type: "image/png", Data: "EEEE"}}}}}},
		},
		Tools: []Tool{
			{Name: "look", Description: "Looks.", Schema: []byte(`{"type":"object"}`), Strict: ptr(true), Cache: true},
			{Name: "systemTool", Hosted: "systemTool", Raw: []byte(`{"systemTool":{"name":"nova_grounding"}}`)},
		},
		Choice:      Choice{ChoiceNamed, "look"},
		Format:      Format{Kind: FormatSchema, Name: "out", Description: "d", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)},
		Reasoning:   Reasoning{Effort: "xhigh", Budget: ptr(int64(2000)), Show: true},
		Temperature: ptr(0.5), TopP: ptr(0.9), TopK: ptr(int64(40)), MaxTokens: 100, Stop: []string{"END"},
		Metadata: map[string]string{"team": "x"}, Tier: "flex",
		Lost: []string{"messages.content.document.context", "additionalModelRequestFields.anthropic_beta", "performanceConfig"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConverseRefused(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"no messages", `{}`, "messages: is not a JSON array"},
		{"role", `{"messages":[{"role":"tool"}]}`, "messages.0.role: must be user or assistant"},
		{"block", `{"messages":[{"role":"user","content":[{"searchResult":{}}]}]}`, "messages.0.content.0: no other API has blocks of this kind"},
		{"source", `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{}}}]}]}`, "messages.0.content.0.image.source: holds nothing"},
		{"guardrail", `{"messages":[],"guardrailConfig":{}}`, "guardrailConfig: no other API has this provider's guardrails"},
		{"choice", `{"messages":[],"toolConfig":{"tools":[],"toolChoice":{}}}`, "toolConfig.toolChoice: must be auto, any or tool"},
		{"schema", `{"messages":[],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"x"}}}}}`, "outputConfig.textFormat.structure.jsonSchema.schema: is not a JSON object in a string"},
	} {
		_, err := Of(Converse).ReadRequest([]byte(c.body), "m", false)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestConverseWriteRequest(t *testing.T) {
	hello := asked(text("hello"))
	const user = `"messages":[{"role":"user","content":[{"text":"hello"}]}]`
	for _, c := range []struct {
		name string
		r    Request
		want string
		lost []string
	}{
		{"least", Request{Turns: hello}, `{` + user + `}`, nil},
		{"claude", Request{
			Model: "us.anthropic.claude-opus-4-6-v1", MaxTokens: 100, Turns: hello, System: []Part{{Kind: Text, Text: "Be brief.", Cache: true}},
			Tools:  []Tool{{Name: "f", Cache: true}, {Name: "g", Description: "d", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)}},
			Choice: Choice{Mode: ChoiceAuto}, Parallel: ptr(false), Stop: []string{"END"}, Temperature: ptr(0.2), TopK: ptr(int64(3)), Reasoning: Reasoning{Effort: "high", Show: true},
			User: "u", Tier: "standard_only", Seed: ptr(int64(1)), Metadata: map[string]string{"a": "b"},
			Format: Format{Kind: FormatSchema, Name: "out", Schema: []byte(`{"type":"object"}`)},
		}, `{` + user + `,"system":[{"text":"Be brief."},{"cachePoint":{"type":"default"}}],"inferenceConfig":{"maxTokens":100,"stopSequences":["END"]},
			"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}},{"cachePoint":{"type":"default"}},
				{"toolSpec":{"name":"g","description":"d","inputSchema":{"json":{"type":"object"}},"strict":true}}],"toolChoice":{"auto":{}}},
			"additionalModelRequestFields":{"thinking":{"type":"adaptive","display":"summarized"}},"requestMetadata":{"a":"b"},"serviceTier":{"type":"default"},
			"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\",\"additionalProperties\":false}","name":"out"}}},"effort":"high"}}`,
			[]string{"temperature", "top_k", "user", "parallel_tool_calls", "seed"}},
		{"another's model", Request{Model: "amazon.nova-pro-v1:0", Turns: hello, Temperature: ptr(0.2), TopP: ptr(0.5), TopK: ptr(int64(3)), Reasoning: Reasoning{Effort: "low"}},
			`{` + user + `,"inferenceConfig":{"temperature":0.2,"topP":0.5}}`, []string{"top_k", "reasoning"}},
		{"open weights", Request{Model: "openai.gpt-oss-120b-1:0", Turns: hello, Reasoning: Reasoning{Effort: "low"}}, `{` + user + `,"additionalModelRequestFields":{"reasoning_effort":"low"}}`, nil},
		{"no tools wanted", Request{Turns: hello, Tools: []Tool{{Name: "f"}}, Choice: Choice{Mode: ChoiceNone}}, `{` + user + `}`, nil},
		{"turns and media", Request{Tools: []Tool{{Name: "f"}}, Turns: []Turn{
			{Name: "anna", Parts: []Part{{Kind: Image, Media: Media{Type: "image/png", Data: "AAAA", Detail: "low"}}, {Kind: File, Media: Media{Type: "application/pdf", Data: "BBBB", Name: "my terms_2.pdf"}}, {Kind: Audio, Media: Media{Type: "audio/x-wav", Data: "CCCC"}}}},
			{Parts: []Part{text("look")}}, {Role: System, Parts: []Part{text("now")}},
			{Role: Assistant, Parts: []Part{{Kind: Thought, Text: "mine", Signature: "s", Origin: Converse}, {Kind: Thought, Text: "another's", Signature: "s", Origin: Messages}, {Kind: ToolCall, ID: "1", Name: "f", Text: "{}"}}},
			{Parts: []Part{{Kind: ToolResult, ID: "1", Failed: true, Content: []Part{text("x")}}}},
		}}, `{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"AAAA"}}},{"document":{"format":"pdf","name":"my-terms-2","source":{"bytes":"BBBB"}}},{"audio":{"format":"wav","source":{"bytes":"CCCC"}}},{"text":"look"}]},
			{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"mine","signature":"s"}}},{"toolUse":{"toolUseId":"1","name":"f","input":{}}}]},
			{"role":"user","content":[{"toolResult":{"toolUseId":"1","content":[{"text":"x"}],"status":"error"}}]}],"system":[{"text":"now"}],
			"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}}]}}`,
			[]string{"messages.name", "messages.content.detail", "messages.role", "messages.thinking"}},
	} {
		r := c.r
		got, err := Of(Converse).WriteRequest(&r)
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

func TestConverseImpossible(t *testing.T) {
	called := []Turn{{Parts: []Part{text("a")}}, {Role: Assistant, Parts: []Part{{Kind: ToolCall, ID: "1", Name: "f"}}}}
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"choices", Request{Turns: asked(text("a")), Choices: 2}, "n: the provider's API gives one answer for each call"},
		{"hosted", Request{Turns: asked(text("a")), Tools: []Tool{{Hosted: "web_search"}}}, "tools: the provider's API has no tool web_search that works as asked"},
		{"link", Request{Turns: asked(Part{Kind: Image, Media: Media{URL: "https://a.example/b.png"}})}, "messages.0.content.0: the provider's API takes no links: send the content"},
		{"file of another", Request{Turns: asked(Part{Kind: File, Media: Media{FileID: "file-1"}})}, "messages.0.content.0: a file that was sent to one provider is not known to another: send its content"},
		{"archive", Request{Turns: asked(Part{Kind: File, Media: Media{Type: "application/zip", Data: "AAAA"}})}, "messages.0.content.0: the provider's API takes no files of this type"},
		{"calls without tools", Request{Turns: called}, "tools: the provider's API wants the tools of which calls stand in the conversation"},
		{"no more calls", Request{Turns: called, Tools: []Tool{{Name: "f"}}, Choice: Choice{Mode: ChoiceNone}}, "tool_choice: the provider's API cannot be asked to call none of the tools that it is told of"},
		{"nothing said", Request{System: []Part{text("a")}}, "messages: the provider's API wants a message of the user"},
	} {
		_, err := Of(Converse).WriteRequest(&c.r)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestConverseAnswer(t *testing.T) {
	const body = `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"sig"}}},{"reasoningContent":{"redactedContent":"DDDD"}},{"text":"I look."},
		{"citationsContent":{"content":[{"text":"It "},{"text":"says."}],"citations":[]}},{"toolUse":{"toolUseId":"t1","name":"look","input":{"n":1}}},{"guardContent":{}}]}},
		"stopReason":"tool_use","usage":{"inputTokens":10,"outputTokens":7,"totalTokens":67,"cacheReadInputTokens":30,"cacheWriteInputTokens":20,"cacheDetails":[{"ttl":"1h","inputTokens":5},{"ttl":"5m","inputTokens":15}]},"metrics":{"latencyMs":12}}`
	got, err := Of(Converse).ReadAnswer([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := &Answer{
		HasUsage: true, Usage: event.Usage{Input: 60, Output: 7, CacheRead: 30, CacheWrite: 20, Reasoning: -1, CacheWrite1h: 5},
		Choices: []Candidate{{Stop: StopTool, Parts: []Part{
			{Kind: Thought, Text: "Hm.", Signature: "sig", Origin: Converse}, {Kind: Thought, Sealed: "DDDD", Origin: Converse}, text("I look."), text("It says."),
			{Kind: ToolCall, ID: "t1", Name: "look", Text: `{"n":1}`},
		}}},
		Lost: []string{"content.citations", "content.guardContent"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back, err := Of(Converse).WriteAnswer(got, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact(t, `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"sig"}}},{"reasoningContent":{"redactedContent":"DDDD"}},{"text":"I look."},{"text":"It says."},
		{"toolUse":{"toolUseId":"t1","name":"look","input":{"n":1}}}]}},"stopReason":"tool_use","usage":{"inputTokens":10,"outputTokens":7,"totalTokens":67,"cacheReadInputTokens":30,"cacheWriteInputTokens":20,"cacheDetails":[{"ttl":"1h","inputTokens":5}]},"metrics":{"latencyMs":0}}`), string(back)); diff != "" {
		t.Error(diff)
	}
	for _, body := range []string{`{}`, `{"output":{"message":{}}}`, `{"message":"Too many requests"}`} {
		if a, err := Of(Converse).ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, a)
		}
	}
}

const converseEvents = `{"messageStart":{"role":"assistant"}}
{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm."}},"p":"abc"}}
{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}}}
{"contentBlockStop":{"contentBlockIndex":0}}
{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"text":"I "}}}
{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"text":"look."}}}
{"contentBlockStop":{"contentBlockIndex":1}}
{"contentBlockStart":{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"look"}}}}
{"contentBlockDelta":{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"n\":1}"}}}}
{"contentBlockStop":{"contentBlockIndex":2}}
{"messageStop":{"stopReason":"tool_use"}}`

const converseMetadata = `{"metadata":{"usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15},"metrics":{"latencyMs":9}}}`

// lines are the data of events, of which some hold several.
func lines(texts ...string) (out [][]byte) {
	for _, text := range texts {
		for _, l := range strings.Split(text, "\n") {
			out = append(out, []byte(l))
		}
	}
	return out
}

func TestConverseReader(t *testing.T) {
	got := events(t, Converse, converseEvents+"\n"+converseMetadata)
	want := []Event{
		{Kind: Started},
		{Kind: PartBegan, Part: Part{Kind: Thought, Origin: Converse}},
		{Kind: Delta, Text: "Hm."},
		{Kind: Delta, Signature: "sig"},
		{Kind: PartEnded},
		{Kind: PartBegan, Index: 1},
		{Kind: Delta, Index: 1, Text: "I "},
		{Kind: Delta, Index: 1, Text: "look."},
		{Kind: PartEnded, Index: 1},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "t1", Name: "look"}},
		{Kind: Delta, Index: 2, Text: `{"n":1}`},
		{Kind: PartEnded, Index: 2},
		{Kind: Stopped, Stop: StopTool},
		{Kind: Counted, Usage: event.Usage{Input: 10, Output: 5, CacheRead: -1, CacheWrite: -1, Reasoning: -1}},
		{Kind: Ended},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		name, lines string
		want        bool
	}{{"without usage", converseEvents, true}, {"cut", `{"messageStart":{"role":"assistant"}}`, false}, {"usage alone", converseMetadata, false}} {
		r := Of(Converse).NewReader()
		var got []Event
		for _, d := range append(lines(c.lines), nil) {
			var err error
			if got, err = r.Read(got, d); err != nil {
				t.Fatal(err)
			}
		}
		if ended := got[len(got)-1].Kind == Ended; ended != c.want {
			t.Errorf("%s: %v, want %v", c.name, ended, c.want)
		}
	}
	failed := events(t, Converse, `{"type":"error","error":{"type":"throttlingException","message":"slow down"}}`)
	if diff := cmp.Diff([]Event{{Kind: Failed, Class: "throttlingException", Message: "slow down"}}, failed); diff != "" {
		t.Error(diff)
	}
	failed = events(t, Converse, `{"throttlingException":{"message":"slow down"}}`)
	if diff := cmp.Diff([]Event{{Kind: Failed, Class: "throttlingException", Message: "slow down"}}, failed); diff != "" {
		t.Error(diff)
	}
}

func TestConverseWriter(t *testing.T) {
	out, ok := relay(Converse, lines(converseEvents, converseMetadata))
	if !ok {
		t.Fatal("not read")
	}
	var got []string
	for _, d := range dataOf(out) {
		got = append(got, string(d))
	}
	if diff := cmp.Diff(`{"messageStart":{"role":"assistant"}}
{"contentBlockDelta":{"delta":{"reasoningContent":{"text":"Hm."}},"contentBlockIndex":0}}
{"contentBlockDelta":{"delta":{"reasoningContent":{"signature":"sig"}},"contentBlockIndex":0}}
{"contentBlockStop":{"contentBlockIndex":0}}
{"contentBlockDelta":{"delta":{"text":"I "},"contentBlockIndex":1}}
{"contentBlockDelta":{"delta":{"text":"look."},"contentBlockIndex":1}}
{"contentBlockStop":{"contentBlockIndex":1}}
{"contentBlockStart":{"start":{"toolUse":{"toolUseId":"t1","name":"look"}},"contentBlockIndex":2}}
{"contentBlockDelta":{"delta":{"toolUse":{"input":"{\"n\":1}"}},"contentBlockIndex":2}}
{"contentBlockStop":{"contentBlockIndex":2}}
{"messageStop":{"stopReason":"tool_use"}}
{"metadata":{"usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15},"metrics":{"latencyMs":0}}}`, strings.Join(got, "\n")); diff != "" {
		t.Error(diff)
	}
	var failed []byte
	w := Of(Converse).NewWriter(&Request{})
	for _, class := range []string{"rate_limit_error", "invalid_request_error", "overloaded_error", "odd"} {
		failed = w.Write(failed, &Event{Kind: Failed, Class: class, Message: "m"})
	}
	const want = "data: {\"throttlingException\":{\"message\":\"m\"}}\n\ndata: {\"validationException\":{\"message\":\"m\"}}\n\ndata: {\"serviceUnavailableException\":{\"message\":\"m\"}}\n\ndata: {\"modelStreamErrorException\":{\"message\":\"m\"}}\n\n"
	if diff := cmp.Diff(want, string(failed)); diff != "" {
		t.Error(diff)
	}
}

func FuzzConverseRequest(f *testing.F) {
	f.Add([]byte(converseFull))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"text":"a"},{"document":{"format":"docx","name":"a.b","source":{"content":[{"text":"x"}]}}},{"reasoningContent":{"redactedContent":"cGx1bWJsaW5lOm1lc3NhZ2VzOnNlYWxlZDp4"}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}],"toolChoice":{"any":{}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableRequest(t, Converse, b) })
}

func FuzzConverseAnswer(f *testing.F) {
	f.Add([]byte(`{"output":{"message":{"content":[{"text":"a"},{"toolUse":{"toolUseId":"1","name":"f","input":{"a":1}}},{"reasoningContent":{"reasoningText":{"text":"t","signature":"s"}}},{"image":{"format":"png","source":{"bytes":"AAAA"}}}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"cacheReadInputTokens":3}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableAnswer(t, Converse, b) })
}

func FuzzConverseStream(f *testing.F) {
	f.Add([]byte(converseEvents + "\n" + converseMetadata))
	f.Add([]byte(`{"contentBlockDelta":{"contentBlockIndex":3,"delta":{"reasoningContent":{"redactedContent":"DDDD"}}}}` + "\n" + `{"validationException":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableStream(t, Converse, b) })
}

package dialect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const chatWhole = `{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":64,"temperature":0.5,"stop":"END","n":1,
"messages":[{"role":"system","content":"Be brief."},
{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]},
{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"deep\":true}"}},{"id":"call_2","type":"function","function":{"name":"ask","arguments":"{}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]},
{"role":"tool","tool_call_id":"call_1","content":"a cat"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"yes"}]}],
"tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"},"strict":true}}],"tool_choice":{"type":"function","function":{"name":"look"}},
"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"seen","schema":{"type":"object"},"strict":true}},"reasoning_effort":"low","safety_identifier":"u1",
"logit_bias":{"50256":-100},"prediction":null}`

func TestChatReadRequest(t *testing.T) {
	got, err := Of(Chat).ReadRequest([]byte(chatWhole), "target", true)
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{Model: "target", Stream: true, StreamUsage: true, MaxTokens: 64, Temperature: ptr(0.5), Stop: []string{"END"}, Choices: 1, User: "u1",
		System: []Part{{Text: "Be brief."}},
		Turns: []Turn{
			{Role: User, Parts: []Part{{Text: "What is this?"}, {Kind: Image, Media: Media{Type: "image/png", Data: "iVBORw0KGgo=", Detail: "low"}}}},
			{Role: Assistant, Parts: []Part{{Kind: ToolCall, ID: "call_1", Name: "look", Text: `{"deep":true}`}, {Kind: ToolCall, ID: "call_2", Name: "ask", Text: "{}", Origin: Gemini, Signature: "c2ln"}}},
			{Role: User, Parts: []Part{{Kind: ToolResult, ID: "call_1", Name: "look", Content: []Part{{Text: "a cat"}}}, {Kind: ToolResult, ID: "call_2", Name: "ask", Content: []Part{{Text: "yes"}}}}},
		},
		Tools:     []Tool{{Name: "look", Description: "looks", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)}},
		Choice:    Choice{ChoiceNamed, "look"},
		Parallel:  ptr(false),
		Format:    Format{Kind: FormatSchema, Name: "seen", Schema: []byte(`{"type":"object"}`), Strict: ptr(true)},
		Reasoning: Reasoning{Effort: "low", Show: true},
		Lost:      []string{"logit_bias"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	body, err := Of(Chat).WriteRequest(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Of(Chat).ReadRequest(body, "target", true)
	if err != nil {
		t.Fatal(err)
	}
	want.Lost = nil
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("through what was written: %s\n%s", diff, body)
	}
}

func TestChatImpossible(t *testing.T) {
	for _, c := range []struct{ name, body, field string }{
		{"sound out", `{"messages":[],"modalities":["text","audio"],"audio":{"voice":"x"}}`, "audio"},
		{"older functions", `{"messages":[],"functions":[]}`, "functions"},
		{"unknown content", `{"messages":[{"role":"user","content":[{"type":"hologram"}]}]}`, "messages[0].content[0]"},
		{"unknown role", `{"messages":[{"role":"chorus","content":"x"}]}`, "messages[0].role"},
		{"no messages", `{}`, "messages"},
		{"an image without an address", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "messages[0].content[0].image_url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Of(Chat).ReadRequest([]byte(c.body), "m", false)
			if err == nil || !strings.HasPrefix(err.Error(), c.field+":") {
				t.Errorf("%v, want something about %s", err, c.field)
			}
		})
	}
}

func TestChatAnswer(t *testing.T) {
	body := `{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning_content":"hm","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}`
	got, err := Of(Chat).ReadAnswer([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := &Answer{ID: "chatcmpl-1", Model: "m-1", Created: 1790000000, HasUsage: true, Usage: event.Usage{Input: 9, Output: 4, CacheRead: 3, CacheWrite: -1, Reasoning: 0},
		Choices: []Candidate{{Stop: StopTool, Parts: []Part{{Kind: Thought, Text: "hm", Origin: Chat}, {Text: "Hello"}, {Kind: ToolCall, ID: "call_1", Name: "look", Text: "{}"}}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	written, err := Of(Chat).WriteAnswer(got, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Of(Chat).ReadAnswer(written)
	if diff := cmp.Diff(want, again); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

const chatStreamed = `{"id":"c","created":1790000000,"model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"Hel"}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"lo"}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":""}}]}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"ask","arguments":"{}"}}]}}]}
{"id":"c","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
{"id":"c","model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}
[DONE]`

func TestChatStream(t *testing.T) {
	read := func(text string) (events []Event) {
		r := Of(Chat).NewReader()
		for _, data := range strings.Split(text, "\n") {
			var err error
			if events, err = r.Read(events, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		return events
	}
	got := read(chatStreamed)
	want := []Event{
		{Kind: Started, ID: "c", Model: "m-1", Created: 1790000000},
		{Kind: PartBegan, Part: Part{Kind: Text}}, {Kind: Delta, Text: "Hel"}, {Kind: Delta, Text: "lo"}, {Kind: PartEnded},
		{Kind: PartBegan, Index: 1, Part: Part{Kind: ToolCall, ID: "call_1", Name: "look"}}, {Kind: Delta, Index: 1, Text: `{"a":`}, {Kind: Delta, Index: 1, Text: "1}"}, {Kind: PartEnded, Index: 1},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "call_2", Name: "ask"}}, {Kind: Delta, Index: 2, Text: "{}"}, {Kind: PartEnded, Index: 2},
		{Kind: Stopped, Stop: StopTool},
		{Kind: Counted, Usage: event.Usage{Input: 9, Output: 4, CacheRead: -1, CacheWrite: -1, Reasoning: -1}},
		{Kind: Ended},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w := Of(Chat).NewWriter(&Request{StreamUsage: true})
	var out []byte
	for i := range got {
		out = w.Write(out, &got[i])
	}
	var data []string
	for _, line := range strings.Split(string(out), "\n") {
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = append(data, d)
		}
	}
	if diff := cmp.Diff(want, read(strings.Join(data, "\n"))); diff != "" {
		t.Errorf("through what was written: %s", diff)
	}
}

func FuzzChat(f *testing.F) {
	f.Add([]byte(chatWhole))
	for _, data := range strings.Split(chatStreamed, "\n") {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzCodec(t, Chat, b) })
}

// fuzzCodec feeds bytes to all that reads foreign ones: nothing may panic, and what
// was written is read to the same bytes again.
func fuzzCodec(t *testing.T, n Name, b []byte) {
	c := Of(n)
	if r, err := c.ReadRequest(b, "m", false); err == nil {
		if one, err := c.WriteRequest(r); err == nil {
			again, err := c.ReadRequest(one, "m", false)
			if err != nil {
				t.Fatalf("what was written is refused: %v\n%s", err, one)
			}
			if two, err := c.WriteRequest(again); err != nil || string(two) != string(one) {
				t.Fatalf("%v\n%s\n%s", err, one, two)
			}
		}
	}
	if a, err := c.ReadAnswer(b); err == nil {
		if one, err := c.WriteAnswer(a, &Request{}); err == nil {
			if _, err := c.ReadAnswer(one); err != nil {
				t.Fatalf("what was written is refused: %v\n%s", err, one)
			}
		}
	}
	reader, writer := c.NewReader(), c.NewWriter(&Request{StreamUsage: true})
	events, err := reader.Read(nil, b)
	if err != nil {
		return
	}
	var out []byte
	for i := range events {
		out = writer.Write(out, &events[i])
	}
}

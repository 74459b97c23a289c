package dialect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const messagesEvents = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"ping"}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqoB=="}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}
{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"I look."}}
{"type":"content_block_stop","index":2}
{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}
{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"n\":1}"}}
{"type":"content_block_stop","index":3}
{"type":"content_block_start","index":4,"content_block":{"type":"redacted_thinking","data":"EmwK=="}}
{"type":"content_block_stop","index":4}
{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}
{"type":"message_stop"}
{"type":"content_block_start","index":9,"content_block":{"type":"text","text":"after the end"}}`

func TestMessagesReader(t *testing.T) {
	got := events(t, Messages, messagesEvents)
	want := []Event{
		{Kind: Started, ID: "msg_1", Model: "claude-opus-4-6"},
		{Kind: Counted, Usage: event.Usage{Input: 15, Output: 1, CacheRead: 5, CacheWrite: 0, Reasoning: -1}},
		{Kind: PartBegan, Part: Part{Kind: Thought, Origin: Messages}},
		{Kind: Delta, Text: "Hm."},
		{Kind: Delta, Signature: "EqoB=="},
		{Kind: PartEnded},
		{Kind: PartBegan, Index: 1},
		{Kind: Delta, Index: 1, Text: "I look."},
		{Kind: PartEnded, Index: 1},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "toolu_1", Name: "look"}},
		{Kind: Delta, Index: 2, Text: `{"n":1}`},
		{Kind: PartEnded, Index: 2},
		{Kind: PartBegan, Index: 3, Part: Part{Kind: Thought, Sealed: "EmwK==", Origin: Messages}},
		{Kind: PartEnded, Index: 3},
		{Kind: Stopped, Stop: StopTool},
		{Kind: Counted, Usage: event.Usage{Input: 15, Output: 9, CacheRead: 5, CacheWrite: 0, Reasoning: 4}},
		{Kind: Ended},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := Of(Messages).NewReader().Read(nil, nil); len(got) > 0 || err != nil {
		t.Errorf("a stream without its last event: %v %v", got, err)
	}
	failed := events(t, Messages, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	if diff := cmp.Diff([]Event{{Kind: Failed, Class: "overloaded_error", Message: "Overloaded"}}, failed); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesWriter(t *testing.T) {
	const (
		end  = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}` + "\n" + `{"type":"message_stop"}`
		stop = `{"type":"content_block_stop","index":`
	)
	for _, c := range []struct {
		name   string
		events []Event
		want   string // data of each frame
	}{
		{"whole", []Event{
			{Kind: Started, ID: "x", Model: "gpt"},
			{Kind: PartBegan, Part: Part{Kind: Text}}, {Kind: Delta, Text: "a"}, {Kind: Delta, Text: "b"}, {Kind: PartEnded},
			{Kind: Stopped, Stop: StopLength}, {Kind: Counted, Usage: event.Usage{Input: 12, Output: 3, CacheRead: 2, CacheWrite: -1, Reasoning: -1}}, {Kind: Ended},
		}, `{"type":"message_start","message":{"id":"x","type":"message","role":"assistant","model":"gpt","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}
{"type":"content_block_stop","index":0}
{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"input_tokens":10,"cache_creation_input_tokens":null,"cache_read_input_tokens":2,"output_tokens":3}}
{"type":"message_stop"}`},
		{"thoughts that nobody ends, then text", []Event{
			{Kind: PartBegan, Part: Part{Kind: Thought, Origin: Gemini}}, {Kind: Delta, Text: "hm"},
			{Kind: PartBegan, Index: 1}, {Kind: Delta, Index: 1, Text: "a"}, {Kind: Delta, Text: "more"}, {Kind: Ended},
		}, `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"plumbline:gemini:signature:"}}
` + stop + `0}
{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}
` + stop + `1}
{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":2,"delta":{"type":"thinking_delta","thinking":"more"}}
{"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"plumbline:gemini:signature:"}}
` + stop + `2}
` + end},
		{"calls at once", []Event{
			{Kind: PartBegan, Part: Part{Kind: ToolCall, ID: "1", Name: "f"}}, {Kind: PartBegan, Index: 1, Part: Part{Kind: ToolCall, ID: "2", Name: "g"}},
			{Kind: Delta, Index: 1, Text: "{}"}, {Kind: Delta, Text: `{"a":`}, {Kind: Delta, Text: `1}`}, {Kind: PartEnded}, {Kind: PartEnded, Index: 1},
			{Kind: Delta, Text: "late"}, {Kind: Ended},
		}, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"1","name":"f","input":{}}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}
{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}
` + stop + `0}
{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"2","name":"g","input":{}}}
{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}
` + stop + `1}
` + end},
		{"calls that nobody ends", []Event{
			{Kind: PartBegan, Part: Part{Kind: ToolCall, ID: "1", Name: "f"}}, {Kind: PartBegan, Index: 1, Part: Part{Kind: ToolCall, ID: "2", Name: "g"}}, {Kind: Ended},
		}, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"1","name":"f","input":{}}}
` + stop + `0}
{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"2","name":"g","input":{}}}
` + stop + `1}
` + end},
		{"another's signature, an image and another choice", []Event{
			{Kind: PartBegan, Part: Part{Kind: ToolCall, ID: "1", Name: "f", Signature: "s", Origin: Gemini}}, {Kind: Delta, Text: "{}"}, {Kind: PartEnded},
			{Kind: PartBegan, Index: 1, Part: Part{Kind: Image}}, {Kind: Delta, Index: 1, Text: "AAAA"}, {Kind: PartEnded, Index: 1}, {Kind: Delta, Choice: 1, Text: "other"}, {Kind: Ended},
		}, `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"plumbline:gemini:signature:s"}}
` + stop + `0}
{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"1","name":"f","input":{}}}
{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}
` + stop + `1}
` + end},
		{"sealed", []Event{{Kind: PartBegan, Part: Part{Kind: Thought, Sealed: "s", Origin: Responses}}, {Kind: PartEnded}, {Kind: Ended}},
			`{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"plumbline:responses:sealed:s"}}
` + stop + `0}
` + end},
		{"failure", []Event{{Kind: Failed, Class: "server_error", Message: "m"}}, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
	} {
		var out []byte
		w := Of(Messages).NewWriter(&Request{})
		for i := range c.events {
			out = w.Write(out, &c.events[i])
		}
		var lines []string
		for _, d := range dataOf(out) {
			lines = append(lines, string(d))
		}
		if diff := cmp.Diff(c.want, strings.Join(lines, "\n")); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if !strings.HasSuffix(string(out), "\n\n") || !strings.HasPrefix(string(out), "event: ") {
			t.Errorf("%s: frames %q", c.name, out)
		}
	}
}

func FuzzMessagesRequest(f *testing.F) {
	for _, s := range []string{messagesFull, `{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"plumbline:gemini:signature:s"},{"type":"tool_use","input":[]}]}],"thinking":{"type":"adaptive"}}`,
		`{"max_tokens":5000,"system":"s","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":""}}]}],"output_format":{"type":"json_schema","schema":{"anyOf":[{"properties":{}}]}},"thinking":{"type":"enabled","budget_tokens":1024},"cache_control":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { stableRequest(t, Messages, b) })
}

func FuzzMessagesAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"msg_1","type":"message","model":"m","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f","input":{"a":1}},{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"}],"stop_reason":"stop_sequence","stop_sequence":"x","usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":null}}`))
	f.Add([]byte(`{"content":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableAnswer(t, Messages, b) })
}

func FuzzMessagesStream(f *testing.F) {
	f.Add([]byte(messagesEvents))
	f.Add([]byte(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{"a":1}}}` + "\n" + `{"type":"content_block_delta","index":7,"delta":{}}` + "\n" + `{"type":"error","error":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableStream(t, Messages, b) })
}

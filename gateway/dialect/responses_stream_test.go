package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const responsesStream = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"served","created_at":7,"status":"in_progress","output":[]}}
{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","status":"in_progress","output":[]}}
{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}
{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0,"item_id":"rs_1","part":{"type":"summary_text","text":""}}
{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"item_id":"rs_1","delta":"one"}
{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"item_id":"rs_1","text":"one"}
{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"item_id":"rs_1","delta":"two"}
{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"one"},{"type":"summary_text","text":"two"}],"encrypted_content":"c2Vh"}}
{"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}
{"type":"response.content_part.added","output_index":1,"content_index":0,"item_id":"msg_1","part":{"type":"output_text","text":"","annotations":[]}}
{"type":"response.output_text.delta","output_index":1,"content_index":0,"item_id":"msg_1","delta":"He"}
{"type":"response.output_text.delta","output_index":1,"content_index":0,"item_id":"msg_1","delta":"llo"}
{"type":"response.output_text.done","output_index":1,"content_index":0,"item_id":"msg_1","text":"Hello"}
{"type":"response.content_part.done","output_index":1,"content_index":0,"item_id":"msg_1","part":{"type":"output_text","text":"Hello"}}
{"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}}
{"type":"response.output_item.added","output_index":2,"item":{"id":"fc_1","type":"function_call","call_id":"c1","name":"f","arguments":""}}
{"type":"response.function_call_arguments.delta","output_index":2,"item_id":"fc_1","delta":"{\"a\""}
{"type":"response.function_call_arguments.delta","output_index":2,"item_id":"fc_1","delta":":1}"}
{"type":"response.function_call_arguments.done","output_index":2,"item_id":"fc_1","arguments":"{\"a\":1}"}
{"type":"response.output_item.done","output_index":2,"item":{"id":"fc_1","type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"}}
{"type":"response.output_item.added","output_index":3,"item":{"id":"ctc_1","type":"custom_tool_call","call_id":"c2","name":"patch","input":""}}
{"type":"response.custom_tool_call_input.delta","output_index":3,"item_id":"ctc_1","delta":"a\n\""}
{"type":"response.custom_tool_call_input.done","output_index":3,"item_id":"ctc_1","input":"a\n\""}
{"type":"response.output_item.done","output_index":3,"item":{"id":"ctc_1","type":"custom_tool_call","call_id":"c2","name":"patch","input":"a\n\""}}
{"type":"response.shell_call_output_content.delta","delta":{"stdout":"x"}}
{"type":"response.completed","sequence_number":20,"response":{"id":"resp_1","model":"served","status":"completed","output":[{"id":"fc_1","type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"}],"usage":{"input_tokens":3,"output_tokens":4}}}`

func TestResponsesReader(t *testing.T) {
	usage := noUsage
	usage.Input, usage.Output = 3, 4
	want := []Event{
		{Kind: Started, ID: "resp_1", Model: "served", Created: 7},
		{Kind: PartBegan, Index: 0, Part: Part{Kind: Thought, ID: "rs_1", Origin: Responses}},
		{Kind: Delta, Index: 0, Text: "one"}, {Kind: Delta, Index: 0, Text: "\n\ntwo"}, {Kind: Delta, Index: 0, Signature: "c2Vh"}, {Kind: PartEnded, Index: 0},
		{Kind: PartBegan, Index: 1}, {Kind: Delta, Index: 1, Text: "He"}, {Kind: Delta, Index: 1, Text: "llo"}, {Kind: PartEnded, Index: 1},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "c1", Name: "f"}}, {Kind: Delta, Index: 2, Text: `{"a"`}, {Kind: Delta, Index: 2, Text: `:1}`}, {Kind: PartEnded, Index: 2},
		{Kind: PartBegan, Index: 3, Part: Part{Kind: ToolCall, ID: "c2", Name: "patch"}}, {Kind: Delta, Index: 3, Text: `{"input":"a\n\"`}, {Kind: Delta, Index: 3, Text: `"}`}, {Kind: PartEnded, Index: 3},
		{Kind: Stopped, Stop: StopTool}, {Kind: Counted, Usage: usage}, {Kind: Ended},
	}
	if diff := cmp.Diff(want, events(t, Responses, responsesStream)); diff != "" {
		t.Error(diff)
	}
}

// Servers leave out what repeats something, on either side.
func TestResponsesReaderOfLooseServers(t *testing.T) {
	const created = `{"type":"response.created","response":{"id":"r","model":"m"}}` + "\n"
	const done = "\n" + `{"type":"response.completed","response":{"status":"completed","output":[]}}`
	text := []Event{{Kind: PartBegan}, {Kind: Delta, Text: "hi"}, {Kind: PartEnded}, {Kind: Stopped, Stop: StopEnd}, {Kind: Ended}}
	for _, c := range []struct {
		name, lines string
		want        []Event
	}{
		{"no part is announced", created + `{"type":"response.output_text.delta","delta":"hi"}` + done, text},
		{"no delta", created + `{"type":"response.output_text.done","text":"hi"}` + done, text},
		{"the item alone", created + `{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"hi"}]}}` + done, text},
		{"the answer alone", created + `{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}}`, text},
		{"not whole", created + `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}`, []Event{{Kind: Stopped, Stop: StopLength}, {Kind: Ended}}},
		{"a custom call without input", created + `{"type":"response.output_item.done","item":{"type":"custom_tool_call","call_id":"c","name":"n","input":""}}` + done,
			[]Event{{Kind: PartBegan, Part: Part{Kind: ToolCall, ID: "c", Name: "n"}}, {Kind: Delta, Text: `{"input":""}`}, {Kind: PartEnded}, {Kind: Stopped, Stop: StopTool}, {Kind: Ended}}},
		{"a failure", created + `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"}}}`, []Event{{Kind: Failed, Class: "server_error", Message: "m"}}},
		{"an error", created + `{"type":"error","code":"rate_limit_exceeded","message":"m"}`, []Event{{Kind: Failed, Class: "rate_limit_exceeded", Message: "m"}}},
		{"an error in its envelope", created + `{"type":"error","error":{"type":"overloaded","message":"m"}}`, []Event{{Kind: Failed, Class: "overloaded", Message: "m"}}},
	} {
		got := events(t, Responses, c.lines)
		if diff := cmp.Diff(c.want, got[1:]); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, bad := range []string{`{"type":"response.created"}`, `{"type":"response.completed"}`, `{"type":"response.function_call_arguments.delta","delta":"x"}`, `nothing`} {
		if _, err := Of(Responses).NewReader().Read(nil, []byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestResponsesWriter(t *testing.T) {
	w := Of(Responses).NewWriter(&Request{Model: "m", Tools: []Tool{{Name: "patch", Custom: true, Raw: []byte(`{"type":"custom","name":"patch"}`)}}})
	var out []byte
	for _, e := range events(t, Responses, responsesStream) {
		out = w.Write(out, &e)
	}
	if diff := cmp.Diff(`response.created
response.in_progress
response.output_item.added 0
response.reasoning_summary_part.added 0 ""
response.reasoning_summary_text.delta 0 "one"
response.reasoning_summary_text.delta 0 "\n\ntwo"
response.reasoning_summary_text.done 0 "one\n\ntwo"
response.reasoning_summary_part.done 0 "one\n\ntwo"
response.output_item.done 0
response.output_item.added 1
response.content_part.added 1 ""
response.output_text.delta 1 "He"
response.output_text.delta 1 "llo"
response.output_text.done 1 "Hello"
response.content_part.done 1 "Hello"
response.output_item.done 1
response.output_item.added 2
response.function_call_arguments.delta 2 "{\"a\""
response.function_call_arguments.delta 2 ":1}"
response.function_call_arguments.done 2 "{\"a\":1}"
response.output_item.done 2
response.output_item.added 3
response.custom_tool_call_input.delta 3 "a\n\""
response.custom_tool_call_input.done 3 "a\n\""
response.output_item.done 3
response.completed
`, outline(t, out)); diff != "" {
		t.Error(diff)
	}
}

// Whatever order a provider ends its parts in, clients see each item added, grown and
// ended.
func TestResponsesWriterOfPartsThatOverlap(t *testing.T) {
	w := Of(Responses).NewWriter(&Request{Model: "m"})
	var out []byte
	for _, e := range []Event{
		{Kind: PartBegan, Index: 0}, {Kind: Delta, Index: 0, Text: "a"},
		{Kind: PartBegan, Index: 1, Part: Part{Kind: ToolCall, ID: "c1", Name: "f", Signature: "s", Origin: Gemini}},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "c2", Name: "g"}},
		{Kind: Delta, Index: 1, Text: "{}"}, {Kind: Delta, Index: 2, Text: "[]"}, {Kind: Delta, Index: 0, Text: "b"},
		{Kind: PartEnded, Index: 0}, {Kind: PartEnded, Index: 1}, {Kind: Delta, Index: 7, Text: "of nothing"},
		{Kind: Stopped, Stop: StopLength}, {Kind: Ended}, {Kind: Delta, Index: 0, Text: "late"},
	} {
		out = w.Write(out, &e)
	}
	if diff := cmp.Diff(`response.created
response.in_progress
response.output_item.added 0
response.content_part.added 0 ""
response.output_text.delta 0 "a"
response.output_item.added 1
response.output_item.done 1
response.output_item.added 2
response.output_item.added 3
response.function_call_arguments.delta 2 "{}"
response.function_call_arguments.delta 3 "[]"
response.output_text.delta 0 "b"
response.output_text.done 0 "ab"
response.content_part.done 0 "ab"
response.output_item.done 0
response.function_call_arguments.done 2 "{}"
response.output_item.done 2
response.function_call_arguments.done 3 "[]"
response.output_item.done 3
response.incomplete
`, outline(t, out)); diff != "" {
		t.Error(diff)
	}
}

func TestResponsesWriterOfAFailure(t *testing.T) {
	w := Of(Responses).NewWriter(&Request{Model: "m"})
	var out []byte
	for _, e := range []Event{{Kind: Started, ID: "x"}, {Kind: PartBegan}, {Kind: Delta, Text: "a"}, {Kind: Failed, Class: "server_error", Message: "sorry"}, {Kind: Ended}} {
		out = w.Write(out, &e)
	}
	got := strings.Split(strings.TrimSpace(outline(t, out)), "\n")
	if got[len(got)-1] != "response.failed" || !strings.Contains(string(out), `"error":{"code":"server_error","message":"sorry"}`) {
		t.Errorf("%s", out)
	}
}

// outline is a stream in short: its events' types, with the item and the text of
// those that have one. It holds every frame to what is true of all: its number, its
// name, and that whole texts are what their pieces were.
func outline(t *testing.T, stream []byte) string {
	t.Helper()
	var out strings.Builder
	grown := map[string]string{}
	for n, data := range dataOf(stream) {
		var e struct {
			Type                                   string
			Seq                                    int    `json:"sequence_number"`
			Output                                 *int   `json:"output_index"`
			ItemID                                 string `json:"item_id"`
			Delta, Text, Arguments, Input, Refusal *string
			Part                                   *struct{ Text, Refusal *string }
			Item                                   json.RawMessage
		}
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Seq != n {
			t.Errorf("event %d has the number %d", n, e.Seq)
		}
		if !strings.Contains(string(stream), "event: "+e.Type+"\ndata: "+string(data)+"\n\n") {
			t.Errorf("the frame of event %d does not name it", n)
		}
		if e.Output != nil && e.Item == nil && e.ItemID == "" {
			t.Errorf("event %d names no item", n)
		}
		fmt.Fprint(&out, e.Type)
		if e.Output != nil {
			fmt.Fprintf(&out, " %d", *e.Output)
		}
		if e.Part != nil {
			if e.Text = e.Part.Text; e.Text == nil {
				e.Text = e.Part.Refusal
			}
		}
		for _, text := range []*string{e.Delta, e.Text, e.Arguments, e.Input, e.Refusal} {
			if text != nil {
				fmt.Fprintf(&out, " %q", *text)
			}
		}
		if e.Delta != nil {
			grown[e.ItemID] += *e.Delta
		} else if e.Arguments != nil && *e.Arguments != grown[e.ItemID] {
			t.Errorf("event %d: %q grew", n, grown[e.ItemID])
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func FuzzResponsesRequest(f *testing.F) {
	for _, s := range []string{responsesWhole, `{"input":"hi"}`, `{"input":[{"type":"item_reference","id":"x"}]}`, `{"input":[{"type":"reasoning","encrypted_content":"plumbline:gemini:signature:x"}]}`,
		`{"input":[{"type":"custom_tool_call","call_id":"a","name":"b","input":"\u0000"}],"tools":[{"type":"custom","name":"b"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { stableRequest(t, Responses, b) })
}

func FuzzResponsesAnswer(f *testing.F) {
	for _, s := range []string{responsesAnswered, `{"output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"x"}]}]}`, `{"output":[{"type":"web_search_call"}],"status":"incomplete","incomplete_details":{"reason":"content_filter"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { stableAnswer(t, Responses, b) })
}

func FuzzResponsesStream(f *testing.F) {
	f.Add([]byte(responsesStream))
	f.Add([]byte(`{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableStream(t, Responses, b) })
}

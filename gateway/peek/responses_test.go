package peek

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const responsesWhole = `{"model":"m","stream":true,"max_output_tokens":64,"user":"u1","store":false,"include":["reasoning.encrypted_content"],"instructions":"Be brief.","metadata":{"team":"blue"},
"previous_response_id":"resp_0","prompt":{"id":"pmpt_1","version":"2","variables":{"name":"Ann","photo":{"type":"input_image","image_url":"https://example.com/a.png"}}},
"text":{"verbosity":"low","format":{"type":"json_schema","name":"seen","schema":{"description":"what is there"}}},"reasoning":{"effort":"low"},
"input":[{"role":"user","content":"hi"},{"type":"message","id":"msg_1","role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","detail":"low","image_url":"data:image/png;base64,iVBORw0KGgo="},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="},{"type":"input_file","file_id":"file-1"}]},
{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"c2VhbGVk"},
{"type":"function_call","id":"fc_1","call_id":"call_1","name":"look","arguments":"{\"at\":1}","status":"completed"},
{"type":"function_call_output","call_id":"call_1","output":"a cat"},{"type":"custom_tool_call","call_id":"call_2","name":"patch","input":"begin"},
{"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"a dog"}]},{"type":"item_reference","id":"msg_0"}],
"tools":[{"type":"function","name":"look","description":"looks","parameters":{"type":"object"}}],"service_tier":"auto"}`

func TestResponsesRequest(t *testing.T) {
	var p Body
	b := []byte(responsesWhole)
	if err := p.Request(b, Responses); err != nil {
		t.Fatal(err)
	}
	want := []string{"Be brief.", "blue", "Ann", "https://example.com/a.png", "json_schema", "seen", "what is there", "hi", "look", "a.pdf", "hm", `{\"at\":1}`, "a cat", "begin", "a dog", "function", "look", "looks", "object"}
	if diff := cmp.Diff(want, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if string(b[p.Model.Start:p.Model.End]) != "m" || !p.Stream || p.MaxTokens != 64 || !p.Tools || p.Media != 4 || !p.HasInput || string(b[p.User.Start:p.User.End]) != "u1" {
		t.Errorf("%+v", p)
	}
	b = []byte(`{"model":"m","input":"hello"}`)
	if err := p.Request(b, Responses); err != nil || !p.HasInput || cmp.Diff([]string{"hello"}, textsOf(&p, b)) != "" {
		t.Errorf("%v, %q", err, textsOf(&p, b))
	}
}

// Which items of an input the provider has to have, and which items an answer has.
func TestResponsesItems(t *testing.T) {
	for _, c := range []struct {
		name, body string
		answer     bool
		want       []string
	}{
		{"references", `{"input":[{"type":"item_reference","id":"a"},{"id":"b","type":"item\u005freference"},{"id":"c"},{"id":"d","type":null}]}`, false, []string{"a", "b", "c", "d"}},
		{"thoughts", `{"input":[{"id":"a","type":"reasoning","summary":[]},{"id":"b","type":"reasoning","encrypted_content":"x"},{"id":"c","type":"reasoning","encrypted_content":null},{"id":"d","encrypted_content":"","type":"reasoning"}]}`, false, []string{"a", "c", "d"}},
		{"images", `{"input":[{"type":"image_generation_call","id":"a"},{"type":"image_generation_call","id":"b","result":"aGk="},{"type":"image_generation_call","id":"c","result":null}]}`, false, []string{"a", "c"}},
		{"what stands there itself", `{"input":[{"id":"a","role":"user","content":"x"},{"id":"b","type":"message","role":"assistant","content":[{"id":"c","type":"item_reference"}]},{"type":"function_call","id":"d","arguments":"{}"}]}`, false, nil},
		{"a text", `{"input":"item_reference"}`, false, nil},
		{"an answer", `{"id":"resp_1","output":[{"id":"a","type":"reasoning"},{"type":"message","id":"b","content":[{"type":"output_text","text":"x","annotations":[{"id":"c"}]}]}]}`, true, []string{"a", "b"}},
		{"an event", `{"type":"response.output_item.added","item":{"id":"a","type":"message","content":[]}}`, true, []string{"a"}},
		{"a list", `{"object":"list","data":[{"id":"a","type":"message"}]}`, true, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			b := []byte(c.body)
			read := p.Request
			if c.answer {
				read = p.Answer
			}
			if err := read(b, Responses); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Kept {
				got = append(got, string(b[s.Start:s.End]))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for body, want := range map[string]bool{`{"conversation":"conv_1"}`: true, `{"conversation":{"id":"conv_1"}}`: true, `{"conversation":null}`: false, `{}`: false} {
		var p Body
		if err := p.Request([]byte(body), Responses); err != nil || p.Conversation != want {
			t.Errorf("%s: %v, error %v", body, p.Conversation, err)
		}
	}
}

// channelsOf gives each text with its choice and sub-channel, and a star where it
// came before.
func channelsOf(p *Body, b []byte) string {
	var out []string
	for _, s := range p.Text {
		again := ""
		if s.Again {
			again = "*"
		}
		out = append(out, fmt.Sprintf("%d/%d%s %s", s.Choice(), s.Channel&0xff, again, b[s.Start:s.End]))
	}
	return strings.Join(out, "|")
}

func TestResponsesAnswer(t *testing.T) {
	const item = `{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[{"type":"url_citation","title":"t","url":"https://example.com"}],"logprobs":[]},{"type":"refusal","refusal":"b"}]}`
	const thought = `{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"s0"},{"type":"summary_text","text":"s1"}],"content":[{"type":"reasoning_text","text":"c0"}],"encrypted_content":"c2Vh"}`
	const call = `{"id":"fc_1","type":"function_call","call_id":"c","name":"look","arguments":"{}","status":"completed"}`
	for _, c := range []struct {
		name, body string
		finished   []int
		ended      bool
		failed     bool
		want       string
	}{
		{"a delta", `{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":2,"delta":"hi","logprobs":[],"obfuscation":"xyz"}`, nil, false, false, "2/2 hi"},
		{"its place comes last", `{"delta":"hi","content_index":2,"output_index":1,"type":"response.output_text.delta"}`, nil, false, false, "2/2 hi"},
		{"a refusal", `{"type":"response.refusal.delta","output_index":0,"content_index":1,"delta":"no"}`, nil, false, false, "1/1 no"},
		{"arguments", `{"output_index":0,"delta":"{","type":"response.function_call_arguments.delta"}`, nil, false, false, "1/250 {"},
		{"input of a custom tool", `{"type":"response.custom_tool_call_input.delta","output_index":0,"delta":"x"}`, nil, false, false, "1/250 x"},
		{"a summary", `{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"s"}`, nil, false, false, "1/101 s"},
		{"thoughts", `{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"s"}`, nil, false, false, "1/0 s"},
		{"sound", `{"type":"response.audio.delta","output_index":0,"delta":"UklGRg=="}`, nil, false, false, ""},
		{"whole", `{"type":"response.output_text.done","output_index":1,"content_index":2,"text":"hi"}`, []int{2}, false, false, "2/2* hi"},
		{"whole arguments", `{"type":"response.function_call_arguments.done","output_index":1,"name":"look","arguments":"{}"}`, []int{2}, false, false, "2/250* {}"},
		{"whole input", `{"type":"response.custom_tool_call_input.done","output_index":1,"input":"x"}`, []int{2}, false, false, "2/250* x"},
		{"whole summary", `{"type":"response.reasoning_summary_text.done","output_index":1,"summary_index":3,"text":"x"}`, []int{2}, false, false, "2/103* x"},
		{"a part", `{"type":"response.content_part.done","part":{"type":"output_text","text":"hi","annotations":[]},"output_index":0,"content_index":2}`, nil, false, false, "1/2* hi"},
		{"a part of a summary", `{"type":"response.reasoning_summary_part.done","part":{"type":"summary_text","text":"hi"},"output_index":0,"summary_index":2}`, nil, false, false, "1/102* hi"},
		{"an item", `{"type":"response.output_item.done","item":` + item + `,"output_index":3}`, []int{4}, false, false, "4/0* a|4/251* t|4/251* https://example.com|4/1* b"},
		{"a thought", `{"type":"response.output_item.done","output_index":0,"item":` + thought + `}`, []int{1}, false, false, "1/100* s0|1/101* s1|1/0* c0"},
		{"a call", `{"type":"response.output_item.done","output_index":0,"item":` + call + `}`, []int{1}, false, false, "1/250* {}"},
		{"the last", `{"type":"response.completed","sequence_number":9,"response":{"id":"r","model":"served","error":null,"instructions":"secret","tools":[{"type":"function","name":"n"}],"text":{"format":{"type":"text"}},"output":[` + thought + `,` + item + `,` + call + `],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":3},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}}`, nil, true, false,
			"1/100* s0|1/101* s1|1/0* c0|2/0* a|2/251* t|2/251* https://example.com|2/1* b|3/250* {}"},
		{"cut short", `{"type":"response.incomplete","response":{"output":[]}}`, nil, true, false, ""},
		{"a failure", `{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"},"output":[]}}`, nil, false, true, ""},
		{"an error", `{"type":"error","code":"x","message":"m","param":null}`, nil, false, true, "0/0* x"},
		{"not streamed", `{"id":"r","object":"response","status":"completed","error":null,"output":[` + call + `]}`, nil, false, false, "1/250* {}"},
		{"not streamed, failed", `{"id":"r","object":"response","status":"failed","error":{"code":"c"},"output":[` + call + `]}`, nil, false, true, "1/250* {}"},
		{"a hosted tool", `{"type":"response.output_item.done","output_index":0,"item":{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"who is ann"}}}`, []int{1}, false, false, "1/251* who is ann"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			b := []byte(c.body)
			if err := p.Answer(b, Responses); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, channelsOf(&p, b)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.finished, append([]int(nil), p.Finished...)); diff != "" || p.Ended != c.ended || p.Failed != c.failed {
				t.Errorf("finished %v, ended %v, failed %v", p.Finished, p.Ended, p.Failed)
			}
			if c.name == "the last" {
				want := noUsage
				want.Input, want.Output, want.CacheRead, want.Reasoning = 9, 5, 3, 2
				if diff := cmp.Diff(want, p.Usage); diff != "" || !p.HasUsage || string(b[p.Model.Start:p.Model.End]) != "served" {
					t.Errorf("%s, %+v", diff, p)
				}
			}
		})
	}
}

func FuzzResponses(f *testing.F) {
	fuzzGrammar(f, Responses, responsesWhole, `{"type":"response.output_text.delta","output_index":1,"content_index":2,"delta":"hi","logprobs":[{"token":"a"}]}`,
		`{"type":"response.completed","response":{"output":[{"type":"message","content":[{"text":"a"}],"summary":[{"text":"b"}]}]}}`)
}

// Searches are those that a request allows and those that an answer made; to look into
// a page that was found is none.
func TestResponsesSearches(t *testing.T) {
	const search, page = `{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q","sources":[{"type":"url","url":"u"}]}}`, `{"id":"ws_2","action":{"url":"u","type":"open_page"},"type":"web_search_call"}`
	for _, c := range []struct {
		name, body                string
		answer                    bool
		allowed, searched, single int64
	}{
		{"no tool", `{"tools":[{"type":"function","name":"web_search"}],"max_tool_calls":3}`, false, 0, 0, 0},
		{"no limit", `{"tools":[{"type":"web_search"}]}`, false, searchesUnsaid, 0, 0},
		{"preview, in escapes", `{"tools":[{"search_context_size":"low","type":"web\u005fsearch_preview_2025_03_11"}]}`, false, searchesUnsaid, 0, 0},
		{"a limit before", `{"max_tool_calls":3,"tools":[{"type":"web_search"},{"type":"web_search_preview"}]}`, false, 3, 0, 0},
		{"a limit behind", `{"tools":[{"type":"web_search"}],"max_tool_calls":30}`, false, 30, 0, 0},
		{"none allowed", `{"tools":[{"type":"web_search"}],"max_tool_calls":0}`, false, 0, 0, 0},
		{"a type of something else", `{"tools":[{"type":"mcp","server":{"type":"web_search"}}]}`, false, 0, 0, 0},
		{"an answer", `{"output":[` + search + `,` + page + `,{"type":"web_search_call","id":"old"},{"type":"message","content":[]}],"usage":{"input_tokens":1,"output_tokens":1}}`, true, 0, 2, 0},
		{"the last event", `{"type":"response.completed","response":{"output":[` + search + `,` + search + `],"usage":{"input_tokens":1,"output_tokens":1}}}`, true, 0, 2, 0},
		{"one is done", `{"item":` + search + `,"output_index":0,"type":"response.output_item.done"}`, true, 0, 0, 1},
		{"a page is open", `{"type":"response.output_item.done","item":` + page + `}`, true, 0, 0, 0},
		{"one begins", `{"type":"response.output_item.added","item":` + search + `}`, true, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			read := p.Request
			if c.answer {
				read = p.Answer
			}
			if err := read([]byte(c.body), Responses); err != nil {
				t.Fatal(err)
			}
			if p.Searches != c.allowed || p.Usage.Searches != c.searched || p.Searched != c.single {
				t.Errorf("%d allowed, %d made, %d now", p.Searches, p.Usage.Searches, p.Searched)
			}
		})
	}
}

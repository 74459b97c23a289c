package peek

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// textsOf gives what was found as text, with the choice and the sub-channel of each.
func textsOf(p *Body, b []byte) (out []string) {
	for _, s := range p.Text {
		t := string(b[s.Start:s.End])
		if s.Kept {
			t += " (kept)"
		}
		out = append(out, t)
	}
	return out
}

const messagesWhole = `{"model":"claude","max_tokens":64,"stream":true,"metadata":{"user_id":"u1"},"thinking":{"type":"enabled","budget_tokens":1024},
"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],
"messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"}}]},
{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2lnbmVk"},{"type":"redacted_thinking","data":"c2VhbGVk"},{"type":"tool_use","id":"toolu_1","name":"look","input":{"id":"jane@example.com","deep":[1,"two"]}}]},
{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"a cat"}]}],
"tools":[{"name":"look","description":"looks","input_schema":{"type":"object"}}]}`

func TestMessagesRequest(t *testing.T) {
	var p Body
	b := []byte(messagesWhole)
	if err := p.Request(b, Messages); err != nil {
		t.Fatal(err)
	}
	want := []string{"Be brief.", "What is it?", "hm (kept)", "jane@example.com", "two", "a cat", "look", "looks", "object"}
	if diff := cmp.Diff(want, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if string(b[p.Model.Start:p.Model.End]) != "claude" || !p.Stream || p.MaxTokens != 64 || !p.Tools || p.Media != 1 || p.MediaBytes != 44 || string(b[p.User.Start:p.User.End]) != "u1" {
		t.Errorf("%+v", p)
	}
}

// Guards read all of a tool that the provider has itself, and its searches are counted.
func TestMessagesTools(t *testing.T) {
	var p Body
	b := []byte(`{"service_tier":"auto","tools":["odd",{"type":"web_search_1","name":"web_search","max_uses":3,"user_location":{"type":"approximate","city":"Berlin"}},{"type":"web_search_1","max_uses":"many"},{"type":{"deep":"text"},"max_uses":[4,"x"],"name":"look"}]}`)
	if err := p.Request(b, Messages); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"odd", "web_search_1", "web_search", "approximate", "Berlin", "web_search_1", "many", "text", "x", "look"}, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if p.Searches != 3+searchesUnsaid || p.Tier != TierStandard {
		t.Errorf("%d searches, tier %q", p.Searches, p.Tier)
	}
}

// The service tier is read in each dialect that has one, wherever it stands.
func TestServiceTier(t *testing.T) {
	for _, c := range []struct {
		name, body string
		of         Grammar
		want       string
	}{
		{"chat", `{"service_tier":"priority","usage":{"prompt_tokens":1}}`, OpenAI, "priority"},
		{"in metadata it is a word", `{"choices":[{"message":{"content":"x","service_tier":"priority"}}]}`, OpenAI, ""},
		{"null", `{"service_tier":null}`, OpenAI, ""},
		{"responses", `{"type":"response.completed","response":{"service_tier":"flex"}}`, Responses, "flex"},
		{"messages", `{"type":"message","usage":{"input_tokens":1,"service_tier":"priority"}}`, Messages, "priority"},
		{"messages, begun", `{"type":"message_start","message":{"usage":{"input_tokens":1,"service_tier":"standard"}}}`, Messages, TierStandard},
	} {
		var p Body
		if err := p.Answer([]byte(c.body), c.of); err != nil || p.Tier != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, p.Tier, err, c.want)
		}
	}
}

func TestMessagesAnswer(t *testing.T) {
	type found struct {
		Text     []string
		Channels []int
		Usage    Usage
		HasUsage bool
		Finished []int
		Ended    bool
		Failed   bool
	}
	none := noUsage
	for _, c := range []struct {
		name, body string
		want       found
	}{
		{"whole", `{"type":"message","model":"claude-1","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"Hello"},{"type":"tool_use","id":"t","name":"look","input":{"a":"b"}}],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":4,"output_tokens_details":{"thinking_tokens":2},"server_tool_use":{"web_search_requests":1}}}`,
			found{Text: []string{"hm", "Hello", "b"}, Channels: []int{1<<8 | channelReasoning, 2 << 8, 3<<8 | 1}, HasUsage: true,
				Usage: Usage{Input: 18, Output: 4, CacheRead: 5, CacheWrite: 3, CacheWrite1h: 2, Reasoning: 2, Searches: 1}}},
		{"start", `{"type":"message_start","message":{"model":"claude-1","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}`,
			found{HasUsage: true, Usage: Usage{Input: 10, Output: 1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}}},
		{"text", `{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"},"index":1}`, found{Text: []string{"Hi"}, Channels: []int{2 << 8}, Usage: none}},
		{"arguments", `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`, found{Text: []string{`{\"a`}, Channels: []int{1<<8 | 1}, Usage: none}},
		{"signature", `{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`, found{Usage: none}},
		{"block ends", `{"type":"content_block_stop","index":2}`, found{Finished: []int{3}, Usage: none}},
		{"counted", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":0}}`, found{HasUsage: true, Usage: Usage{Input: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}}},
		{"ping", `{"type":"ping"}`, found{Usage: none}},
		{"end", `{"type":"message_stop"}`, found{Ended: true, Usage: none}},
		{"error", `{"type":"error","error":{"type":"overloaded_error","message":"x"}}`, found{Failed: true, Usage: none}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			b := []byte(c.body)
			if err := p.Answer(b, Messages); err != nil {
				t.Fatal(err)
			}
			got := found{textsOf(&p, b), nil, p.Usage, p.HasUsage, p.Finished, p.Ended, p.Failed}
			for _, s := range p.Text {
				got.Channels = append(got.Channels, s.Channel)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A document may be text, which guards read, and edits of the context hold what an app
// wrote.
func TestMessagesDocuments(t *testing.T) {
	var p Body
	b := []byte(`{"messages":[{"role":"user","content":[{"type":"document","title":"terms","source":{"type":"text","media_type":"text/plain","data":"plain words"}},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"chunk"}]}},{"type":"document","source":{"type":"url","url":"https://a.example/d"}}]}],"context_management":{"edits":[{"type":"compact","instructions":"keep names"}]}}`)
	if err := p.Request(b, Messages); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"terms", "plain words", "chunk", "https://a.example/d", "keep names"}, textsOf(&p, b)); diff != "" || p.Media != 1 {
		t.Errorf("%s %+v", diff, p)
	}
	b = []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"web_search_tool_result","content":[{"title":"a"},{"title":"b"}]}}`)
	if err := p.Answer(b, Messages); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, textsOf(&p, b)); diff != "" || !p.Text[0].Whole || !p.Text[1].Whole {
		t.Errorf("%s %+v", diff, p)
	}
}

func FuzzMessages(f *testing.F) { fuzzGrammar(f, Messages, messagesWhole) }

// fuzzGrammar: whatever is read is JSON, and every text stands between its quotes.
func fuzzGrammar(f *testing.F, g Grammar, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Body
		for _, read := range []func([]byte, Grammar) error{p.Request, p.Answer} {
			if read(b, g) != nil {
				continue
			}
			if !json.Valid(b) {
				t.Fatalf("not JSON: %q", b)
			}
			for _, s := range p.Text {
				if s.Start < 1 || s.End >= len(b) || b[s.Start-1] != '"' || b[s.End] != '"' || strings.Contains(string(b[s.Start:s.End]), "\n") {
					t.Fatalf("%+v in %q", s, b)
				}
			}
		}
	})
}

package dialect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
)

const geminiEvents = `{"candidates":[{"content":{"parts":[{"text":"Hm","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10},"modelVersion":"gemini-3-pro","responseId":"r1"}
{"candidates":[{"content":{"parts":[{"text":"m.","thought":true},{"text":"I "}],"role":"model"},"index":0}],"modelVersion":"gemini-3-pro","responseId":"r1"}
{"candidates":[{"content":{"parts":[{"text":"look."}],"role":"model"},"index":0}]}
{"candidates":[{"content":{"parts":[{"functionCall":{"id":"c1","name":"look","args":{"n":1}},"thoughtSignature":"sig"},{"functionCall":{"id":"c2","name":"look","args":{}}}],"role":"model"},"index":0}]}
{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":2,"totalTokenCount":17}}`

func TestGeminiReader(t *testing.T) {
	got := events(t, Gemini, geminiEvents)
	want := []Event{
		{Kind: Started, ID: "r1", Model: "gemini-3-pro"},
		{Kind: PartBegan, Part: Part{Kind: Thought, Origin: Gemini}},
		{Kind: Delta, Text: "Hm"},
		{Kind: Counted, Usage: event.Usage{Input: 10, Output: 0, CacheRead: -1, CacheWrite: -1, Reasoning: -1}},
		{Kind: Delta, Text: "m."},
		{Kind: PartEnded},
		{Kind: PartBegan, Index: 1, Part: Part{Kind: Text, Origin: Gemini}},
		{Kind: Delta, Index: 1, Text: "I "},
		{Kind: Delta, Index: 1, Text: "look."},
		{Kind: PartEnded, Index: 1},
		{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "c1", Name: "look", Signature: "sig", Origin: Gemini}},
		{Kind: Delta, Index: 2, Text: `{"n":1}`},
		{Kind: PartEnded, Index: 2},
		{Kind: PartBegan, Index: 3, Part: Part{Kind: ToolCall, ID: "c2", Name: "look"}},
		{Kind: Delta, Index: 3, Text: `{}`},
		{Kind: PartEnded, Index: 3},
		{Kind: Stopped, Stop: StopTool},
		{Kind: Counted, Usage: event.Usage{Input: 10, Output: 7, CacheRead: -1, CacheWrite: -1, Reasoning: 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The stream has no last event: it is whole when its choices are and the connection
// ends.
func TestGeminiEnds(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		want        bool
	}{
		{"whole", geminiEvents, true},
		{"cut", `{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`, false},
		{"one of two", `{"candidates":[{"finishReason":"STOP"},{"index":1,"content":{"parts":[{"text":"a"}]}}]}`, false},
		{"refused prompt", `{"promptFeedback":{"blockReason":"SAFETY"}}`, true},
		{"nothing said", `{"usageMetadata":{"promptTokenCount":1}}`, false},
	} {
		r := Of(Gemini).NewReader()
		var got []Event
		for _, d := range strings.Split(c.lines, "\n") {
			var err error
			if got, err = r.Read(got, []byte(d)); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		got, err := r.Read(got, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if ended := got[len(got)-1].Kind == Ended; ended != c.want {
			t.Errorf("%s: %v, want %v", c.name, ended, c.want)
		}
	}
	failed := events(t, Gemini, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`)
	if diff := cmp.Diff([]Event{{Kind: Failed, Class: "UNAVAILABLE", Message: "The model is overloaded."}}, failed); diff != "" {
		t.Error(diff)
	}
}

func TestGeminiWriter(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []Event
		want   string // data of each frame
	}{
		{"whole", []Event{
			{Kind: Started, ID: "x", Model: "claude"},
			{Kind: PartBegan, Part: Part{Kind: Thought, Origin: Messages}}, {Kind: Delta, Text: "Hm."}, {Kind: Delta, Signature: "EqoB=="}, {Kind: PartEnded},
			{Kind: PartBegan, Index: 1}, {Kind: Delta, Index: 1, Text: "a"}, {Kind: PartEnded, Index: 1},
			{Kind: PartBegan, Index: 2, Part: Part{Kind: ToolCall, ID: "1", Name: "f"}}, {Kind: Delta, Index: 2, Text: `{"a":`}, {Kind: Delta, Index: 2, Text: `1}`}, {Kind: PartEnded, Index: 2},
			{Kind: PartBegan, Index: 3, Part: Part{Kind: ToolCall, ID: "2", Name: "g"}},
			{Kind: Stopped, Stop: StopLength}, {Kind: Counted, Usage: event.Usage{Input: 12, Output: 3, CacheRead: 2, CacheWrite: -1, Reasoning: -1}}, {Kind: Ended},
		}, `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true}]},"index":0}],"modelVersion":"claude","responseId":"x"}
{"candidates":[{"content":{"role":"model","parts":[{"text":"","thought":true,"thoughtSignature":"cGx1bWJsaW5lOm1lc3NhZ2VzOnNpZ25hdHVyZTpFcW9CPT0="}]},"index":0}],"modelVersion":"claude","responseId":"x"}
{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"index":0}],"modelVersion":"claude","responseId":"x"}
{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"a":1}}}]},"index":0}],"modelVersion":"claude","responseId":"x"}
{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"2","name":"g","args":{}}}]},"index":0}],"modelVersion":"claude","responseId":"x"}
{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"MAX_TOKENS","index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":3,"cachedContentTokenCount":2,"totalTokenCount":15},"modelVersion":"claude","responseId":"x"}`},
		{"two choices", []Event{
			{Kind: PartBegan}, {Kind: PartBegan, Choice: 1}, {Kind: Delta, Choice: 1, Text: "b"}, {Kind: Delta, Text: "a"},
			{Kind: Stopped, Choice: 1, Stop: StopEnd}, {Kind: Stopped, Stop: StopFilter}, {Kind: Ended},
		}, `{"candidates":[{"content":{"role":"model","parts":[{"text":"b"}]},"index":1}],"modelVersion":"m"}
{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"index":0}],"modelVersion":"m"}
{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":1},{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"SAFETY","index":0}],"modelVersion":"m"}`},
		{"failure", []Event{{Kind: Failed, Class: "overloaded_error", Message: "m"}}, `{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}`},
	} {
		var out []byte
		w := Of(Gemini).NewWriter(&Request{Model: "m"})
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
	}
}

func FuzzGeminiRequest(f *testing.F) {
	for _, s := range []string{geminiFull, `{"contents":[{"parts":[{"function_response":{"name":"f","response":{"result":7}}},{"text":"","thought":true,"thought_signature":"cGx1bWJsaW5lOm1lc3NhZ2VzOnNpZ25hdHVyZTpFcW9CPT0="}]}],"generationConfig":{"responseFormat":{"text":{"mimeType":"APPLICATION_JSON","schema":{}}}}}`,
		`{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":[]}}]},{"parts":[{"functionResponse":{"name":"f","response":{}}}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"any_of":[{}]}}}}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { stableRequest(t, Gemini, b) })
}

func FuzzGeminiAnswer(f *testing.F) {
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"t","thought":true},{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"s"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"totalTokenCount":"9"},"responseId":"r"}`))
	f.Add([]byte(`{"promptFeedback":{"blockReason":"OTHER"}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableAnswer(t, Gemini, b) })
}

func FuzzGeminiStream(f *testing.F) {
	f.Add([]byte(geminiEvents))
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"s"},{"inlineData":{"data":"AAAA"}}]},"index":3}]}` + "\n" + `{"error":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) { stableStream(t, Gemini, b) })
}

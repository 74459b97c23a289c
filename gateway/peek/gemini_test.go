package peek

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const geminiWhole = `{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"What is it?"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"}}]},
{"role":"model","parts":[{"functionCall":{"id":"f1","name":"look","args":{"role":"jane@example.com"}},"thoughtSignature":"c2ln"}]},
{"role":"user","parts":[{"functionResponse":{"name":"look","response":{"result":"a cat"}}}]}],
"tools":[{"functionDeclarations":[{"name":"look","description":"looks"}]}],"generationConfig":{"maxOutputTokens":64,"candidateCount":2}}`

func TestGeminiRequest(t *testing.T) {
	var p Body
	b := []byte(geminiWhole)
	if err := p.Request(b, Gemini); err != nil {
		t.Fatal(err)
	}
	want := []string{"Be brief.", "What is it?", "jane@example.com", "a cat", "look", "looks"}
	if diff := cmp.Diff(want, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if p.MaxTokens != 64 || p.Choices != 2 || !p.Tools || p.Media != 1 || p.MediaBytes != 44 {
		t.Errorf("%+v", p)
	}
}

func TestGeminiAnswer(t *testing.T) {
	var p Body
	b := []byte(`{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"Hello"},{"functionCall":{"name":"look","args":{"a":"b"}}}]},"finishReason":"STOP","index":0}],"modelVersion":"gemini-x","usageMetadata":{"promptTokenCount":10,"toolUsePromptTokenCount":2,"cachedContentTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":5}}`)
	if err := p.Answer(b, Gemini); err != nil {
		t.Fatal(err)
	}
	var channels []int
	for _, s := range p.Text {
		channels = append(channels, s.Channel)
	}
	if diff := cmp.Diff([]string{"hm", "Hello", "b"}, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1<<8 | channelReasoning, 1 << 8, 1 << 8}, channels); diff != "" || !p.Text[2].Whole {
		t.Error(diff)
	}
	want := Usage{Input: 12, Output: 8, CacheRead: 4, CacheWrite: -1, Reasoning: 5}
	if diff := cmp.Diff(want, p.Usage); diff != "" || !p.Ended || !cmp.Equal(p.Finished, []int{1}) || string(b[p.Model.Start:p.Model.End]) != "gemini-x" {
		t.Errorf("%s %+v", diff, p)
	}
	if err := p.Answer([]byte(`{"promptFeedback":{"blockReason":"SAFETY"}}`), Gemini); err != nil || !p.Ended {
		t.Errorf("a blocked prompt: %v", err)
	}
	if err := p.Answer([]byte(`{"error":{"code":429,"message":"x"}}`), Gemini); err != nil || !p.Failed {
		t.Errorf("an error: %v", err)
	}
}

func TestGeminiUsage(t *testing.T) {
	for _, c := range []struct {
		name, usage string
		want        Usage
		has         bool
	}{
		{"by modality", `{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":7,"thoughtsTokenCount":3,"toolUsePromptTokenCount":2,"totalTokenCount":22,
			"promptTokensDetails":[{"modality":"TEXT","tokenCount":5},{"modality":"AUDIO","tokenCount":3},{"tokenCount":2,"modality":"IMAGE"}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":1}],
			"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":6},{"modality":"AUDIO","tokenCount":1}]}`,
			Usage{Input: 12, Output: 10, CacheRead: 4, CacheWrite: -1, Reasoning: 3, AudioIn: 3, ImageIn: 2, CachedAudio: 1, ImageOut: 6, AudioOut: 1}, true},
		{"thoughts alone", `{"promptTokenCount":10,"thoughtsTokenCount":3,"totalTokenCount":13}`, Usage{Input: 10, Output: 3, CacheRead: -1, CacheWrite: -1, Reasoning: 3}, true},
		{"nothing yet", `{"promptTokenCount":10,"totalTokenCount":10}`, Usage{Input: 10, Output: 0, CacheRead: -1, CacheWrite: -1, Reasoning: -1}, true},
		{"prompt alone", `{"promptTokenCount":10}`, Usage{Input: 10, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}, true},
		{"null", `null`, noUsage, false},
	} {
		var p Body
		if err := p.Answer([]byte(`{"usageMetadata":`+c.usage+`}`), Gemini); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, p.Usage); diff != "" || p.HasUsage != c.has {
			t.Errorf("%s: %v %s", c.name, p.HasUsage, diff)
		}
	}
}

// The stream is whole when every choice of its last event stopped.
func TestGeminiEnded(t *testing.T) {
	for _, c := range []struct {
		name, body string
		finished   []int
		want       bool
	}{
		{"text", `{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`, nil, false},
		{"not said why", `{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}`, nil, false},
		{"one", `{"candidates":[{"finishReason":"MAX_TOKENS"}]}`, []int{1}, true},
		{"one of two", `{"candidates":[{"finishReason":"STOP","index":1},{"index":0}]}`, []int{2}, false},
		{"the other of two", `{"candidates":[{"index":0},{"finishReason":"STOP","index":1}]}`, []int{2}, false},
		{"both", `{"candidates":[{"finishReason":"STOP","index":1},{"finishReason":"SAFETY","index":0}]}`, []int{2, 1}, true},
	} {
		var p Body
		if err := p.Answer([]byte(c.body), Gemini); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.finished, append([]int(nil), p.Finished...)); diff != "" || p.Ended != c.want {
			t.Errorf("%s: %v %s", c.name, p.Ended, diff)
		}
	}
}

// Google's servers take other spellings, and say an answer's text more than once.
func TestGeminiSpellings(t *testing.T) {
	var p Body
	b := []byte(`{"system_instruction":{"parts":[{"text":"one"}]},"contents":[{"parts":[{"function_response":{"name":"f","response":{"output":"two"}}},{"file_data":{"mime_type":"video/mp4","file_uri":"https://a.example/v"}}]}],"generation_config":{"max_output_tokens":"20","candidate_count":2.0}}`)
	if err := p.Request(b, Gemini); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two", "https://a.example/v"}, textsOf(&p, b)); diff != "" || p.MaxTokens != 20 || p.Choices != 2 || p.Media != 1 {
		t.Errorf("%s %+v", diff, p)
	}
	b = []byte(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"groundingMetadata":{"groundingSupports":[{"segment":{"text":"again"}}]},"logprobsResult":{"chosenCandidates":[{"token":"a"}]},"index":2}]}`)
	if err := p.Answer(b, Gemini); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "again"}, textsOf(&p, b)); diff != "" || !p.Text[1].Whole || len(p.Logprobs) != 1 || p.Logprobs[0].Choice() != 3 {
		t.Errorf("%s %+v", diff, p)
	}
}

func FuzzGemini(f *testing.F) {
	fuzzGrammar(f, Gemini, geminiWhole, `{"candidates":[{"content":{"parts":[{"text":"a","thought":true}]},"finishReason":"STOP","index":1,"logprobsResult":{}}],"usageMetadata":{"promptTokenCount":1.0,"totalTokenCount":3,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":1}]}}`)
}

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

func FuzzGemini(f *testing.F) { fuzzGrammar(f, Gemini, geminiWhole) }

package peek

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const converseWhole = `{"system":[{"text":"Be brief."},{"cachePoint":{"type":"default"}}],
"messages":[{"role":"user","content":[{"text":"What is it?"},{"image":{"format":"png","source":{"bytes":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"}}},{"document":{"format":"txt","name":"terms","source":{"text":"plain words"}}},{"video":{"format":"mp4","source":{"s3Location":{"uri":"s3://bucket/a"}}}}]},
{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}},{"reasoningContent":{"redactedContent":"c2VhbGVk"}},{"toolUse":{"toolUseId":"t","name":"look","input":{"toolUseId":"jane@example.com","deep":[1,"two"]}}}]},
{"role":"user","content":[{"toolResult":{"toolUseId":"t","status":"success","content":[{"text":"a cat"},{"json":{"name":"three"}}]}}]}],
"inferenceConfig":{"maxTokens":64,"stopSequences":["x"]},"toolConfig":{"tools":[{"toolSpec":{"name":"look","description":"looks"}}],"toolChoice":{"tool":{"name":"look"}}},"requestMetadata":{"team":"four"}}`

func TestConverseRequest(t *testing.T) {
	var p Body
	b := []byte(converseWhole)
	if err := p.Request(b, Converse); err != nil {
		t.Fatal(err)
	}
	want := []string{"Be brief.", "What is it?", "terms", "plain words", "s3://bucket/a", "hm (kept)", "jane@example.com", "two", "a cat", "three", "x", "look", "looks", "four"}
	if diff := cmp.Diff(want, textsOf(&p, b)); diff != "" {
		t.Error(diff)
	}
	if p.MaxTokens != 64 || !p.Tools || p.Media != 2 || p.MediaBytes != 44 {
		t.Errorf("%+v", p)
	}
}

func TestConverseAnswer(t *testing.T) {
	type found struct {
		Text     []string
		Channels []int
		Usage    Usage
		HasUsage bool
		Finished []int
		Ended    bool
		Failed   bool
	}
	for _, c := range []struct {
		name, body string
		want       found
	}{
		{"whole", `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}},{"text":"Hello"},{"toolUse":{"toolUseId":"t","name":"look","input":{"a":"b"}}}]}},"stopReason":"tool_use","usage":{"inputTokens":10,"outputTokens":4,"totalTokens":22,"cacheReadInputTokens":5,"cacheWriteInputTokens":3,"cacheDetails":[{"ttl":"5m","inputTokens":1},{"inputTokens":2,"ttl":"1h"}]},"metrics":{"latencyMs":1}}`,
			found{Text: []string{"hm", "Hello", "b"}, Channels: []int{1<<8 | channelReasoning, 2 << 8, 3 << 8}, HasUsage: true,
				Usage: Usage{Input: 18, Output: 4, CacheRead: 5, CacheWrite: 3, CacheWrite1h: 2, Reasoning: -1}}},
		{"start", `{"messageStart":{"role":"assistant"}}`, found{Usage: noUsage}},
		{"text", `{"contentBlockDelta":{"delta":{"text":"Hi"},"contentBlockIndex":1,"p":"abcdefgh"}}`, found{Text: []string{"Hi"}, Channels: []int{2 << 8}, Usage: noUsage}},
		{"arguments", `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a"}}}}`, found{Text: []string{`{\"a`}, Channels: []int{1<<8 | 1}, Usage: noUsage}},
		{"call", `{"contentBlockStart":{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"look"}}}}`, found{Usage: noUsage}},
		{"thought", `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}}`, found{Text: []string{"hm"}, Channels: []int{1<<8 | channelReasoning}, Usage: noUsage}},
		{"signature", `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}}`, found{Usage: noUsage}},
		{"block ends", `{"contentBlockStop":{"contentBlockIndex":2}}`, found{Finished: []int{3}, Usage: noUsage}},
		{"stop", `{"messageStop":{"stopReason":"end_turn"}}`, found{Usage: noUsage}},
		{"counted", `{"metadata":{"usage":{"inputTokens":1,"outputTokens":0,"totalTokens":1},"metrics":{"latencyMs":1}}}`, found{HasUsage: true, Ended: true, Usage: Usage{Input: 1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}}},
		{"exception", `{"throttlingException":{"message":"x"}}`, found{Failed: true, Usage: noUsage}},
		{"error", `{"type":"error","error":{"type":"throttlingException","message":"x"}}`, found{Failed: true, Usage: noUsage}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Body
			b := []byte(c.body)
			if err := p.Answer(b, Converse); err != nil {
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

func FuzzConverse(f *testing.F) {
	fuzzGrammar(f, Converse, converseWhole, `{"contentBlockDelta":{"delta":{"text":"a"},"contentBlockIndex":1}}`, `{"metadata":{"usage":{"inputTokens":1,"cacheDetails":[{"ttl":"1h","inputTokens":2}]}}}`)
}

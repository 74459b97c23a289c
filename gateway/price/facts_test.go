package price

import (
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

// What calls of known models cost, computed by hand from what their vendors
// publish: each feature of the table once, through the embedded files.
func TestKnownCalls(t *testing.T) {
	tb := table(t)
	on := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const dollar, cent = money.Dollar, money.Dollar / 100
	for _, c := range []struct {
		name, vendor, model, day string
		u                        event.Usage
		want                     money.Nano
	}{
		{"a million in and out", "openai", "gpt-4.1", "2026-10-01", event.Usage{Input: 1e6, Output: 1e6}, 10 * dollar},
		{"half of it cached", "openai", "gpt-4.1", "2026-10-01", event.Usage{Input: 1e6, CacheRead: 5e5}, 125 * cent},
		{"in a batch", "openai", "gpt-4.1", "2026-10-01", event.Usage{Input: 1e6, Output: 1e6, Batch: true}, 5 * dollar},
		{"in the tier flex", "openai", "gpt-5", "2026-10-01", event.Usage{Input: 1e6, CacheRead: 5e5, Output: 1e6, Tier: event.TierFlex}, (625*dollar/10 + 625*dollar/100 + 1000*dollar) / 200},
		{"in the tier priority", "openai", "gpt-4.1", "2026-10-01", event.Usage{Input: 1e6, CacheRead: 5e5, Output: 1e6, Tier: event.TierPriority}, 175*cent + 4375*cent/100 + 14*dollar},
		{"in a tier without a price", "openai", "gpt-5.4-nano", "2026-10-01", event.Usage{Input: 1e6, Output: 1e6, Tier: event.TierPriority}, 145 * cent},
		{"committed capacity costs no less", "anthropic", "claude-sonnet-4-6", "2026-10-01", event.Usage{Input: 1e6, Output: 1e6, Tier: event.TierPriority}, 18 * dollar},
		{"below its tier", "openai", "gpt-5.4", "2026-10-01", event.Usage{Input: 200_000, Output: 1e6}, 1550 * cent},
		{"above it", "openai", "gpt-5.4", "2026-10-01", event.Usage{Input: 300_000, Output: 1e6}, 24 * dollar},
		{"before a price fell", "openai", "o3", "2025-06-09", event.Usage{Input: 1e6, Output: 1e6}, 50 * dollar},
		{"after it fell", "openai", "o3", "2025-06-10", event.Usage{Input: 1e6, Output: 1e6}, 10 * dollar},
		{"sound in and out", "openai", "gpt-audio", "2026-10-01", event.Usage{Input: 1e6, AudioIn: 5e5, Output: 1e6, AudioOut: 5e5}, 125*cent + 16*dollar + 5*dollar + 32*dollar},
		{"image tokens", "openai", "gpt-image-1.5", "2026-10-01", event.Usage{Input: 1e6, ImageIn: 5e5, Output: 1e6, ImageOut: 1e6}, 250*cent + 4*dollar + 32*dollar},
		{"an image in high definition", "openai", "dall-e-3", "2025-10-01", event.Usage{Images: 2, Form: "1792x1024 hd"}, 24 * cent},
		{"an hour of sound", "openai", "whisper-1", "2026-10-01", event.Usage{Seconds: 3600}, 36 * cent},
		{"a book read out", "openai", "tts-1", "2026-10-01", event.Usage{Characters: 500_000}, 750 * cent},
		{"free of charge", "openai", "omni-moderation-latest", "2026-10-01", event.Usage{Input: 1e6}, 0},
		{"written to the cache for five minutes", "anthropic", "claude-sonnet-4-6", "2026-10-01", event.Usage{Input: 1e6, CacheWrite: 1e6}, 375 * cent},
		{"and for an hour", "anthropic", "claude-sonnet-4-6", "2026-10-01", event.Usage{Input: 1e6, CacheWrite: 1e6, CacheWrite1h: 1e6}, 6 * dollar},
		{"searches", "anthropic", "claude-sonnet-4-6", "2026-10-01", event.Usage{Input: 1e6, Searches: 7}, 3*dollar + 7*cent},
		{"a tier that was given up, before", "anthropic", "claude-opus-4-6", "2026-03-12", event.Usage{Input: 1e6}, 10 * dollar},
		{"and after", "anthropic", "claude-opus-4-6", "2026-03-13", event.Usage{Input: 1e6}, 5 * dollar},
		{"sound beside text", "google", "gemini-2.5-flash", "2026-10-01", event.Usage{Input: 1e6, AudioIn: 1e6}, dollar},
		{"image drawn", "google", "gemini-2.5-flash-image", "2026-10-01", event.Usage{Output: 1290, ImageOut: 1290}, 1290 * 30_000},
		{"image made", "vertex", "imagen-4.0-generate-001", "2026-10-01", event.Usage{Images: 4}, 16 * cent},
		{"reasoning apart", "perplexity", "sonar-deep-research", "2026-10-01", event.Usage{Output: 1e6, Reasoning: 5e5, Searches: 30}, 4*dollar + 150*cent + 15*cent},
		{"a fee for the call", "perplexity", "sonar", "2026-10-01", event.Usage{Input: 1e6, Form: "low"}, dollar + cent/2},
		{"images of a vendor with forms", "bedrock", "amazon.nova-canvas-v1:0", "2026-10-01", event.Usage{Images: 1, Form: "2048x2048 premium"}, 8 * cent},
		{"an hour of sound elsewhere", "groq", "whisper-large-v3-turbo", "2026-10-01", event.Usage{Seconds: 3600}, 4 * cent},
		{"a fee and nothing else", "cohere", "rerank-v3.5", "2026-10-01", event.Usage{Requests: 1000}, 2 * dollar},
		{"an inference provider by name", "huggingface", "meta-llama/Llama-3.1-8B-Instruct:nebius", "2026-10-01", event.Usage{Input: 1e6, Output: 1e6}, 12 * cent},
	} {
		r, ok := tb.Rate(c.vendor, c.model, on(c.day))
		if !ok {
			t.Errorf("%s: %s %s has no price on %s", c.name, c.vendor, c.model, c.day)
			continue
		}
		if got := r.Cost(c.u); got != c.want {
			t.Errorf("%s: %s %s costs %s, want %s", c.name, c.vendor, c.model, got, c.want)
		}
	}
}

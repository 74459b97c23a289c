package projection

import (
	"fmt"
	"testing"
	"time"

	"plumbline/app/server/load"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// sent is an intent as the gateway leaves it, and its outcome.
func sent(n int) (intent, outcome event.Event) {
	id := testID()
	system := fmt.Sprintf("sys-%d", n%8)
	intent = event.Event{Kind: event.Intent, Exchange: id, System: system, SystemVersion: 3, Key: fmt.Sprintf("key%d", n%40), Address: "10.0.0.0/24", Dialect: "openai", Endpoint: "chat.completions",
		Stream: n%2 == 0, ModelAsked: "gpt-4o", Route: "main", Provider: "openai", ModelTarget: "gpt-4o", Region: "eu", Try: 1, ConfigRevision: 12, PriceTable: "2026-11", Request: [32]byte{1, 2},
		Decision: event.Decision{Effect: event.EffectAllow, Rule: "default.allow", Revision: "ab12"}, Deadline: 1_800_000_000_000_000,
		Prompt: []event.Verdict{{Guard: "pii", Version: "1", State: event.Hit, Action: event.ActionRedacted, Blocking: true, Classes: []string{"email"}, Hits: 1},
			{Guard: "secrets", Version: "1", State: event.Clear, Blocking: true}, {Guard: "injection", Version: "1", State: event.Clear}},
		Holds: []event.Hold{{Budget: "org", Amount: 9_000_000, Window: 1_800_000_000}, {Budget: system, Amount: 9_000_000, Window: 1_800_000_000}}}
	outcome = event.Event{Kind: event.Outcome, Exchange: id, System: system, Key: intent.Key, Status: 200, End: event.EndComplete, ModelServed: "gpt-4o-2024-11-20", PriceTable: "2026-11",
		Usage: event.Usage{Input: 200, Output: 90}, Source: event.UsageProvider, Charge: 2_000_000, Held: 9_000_000, Holds: intent.Holds, Tries: 1, FirstByte: 20_000, Upstream: 30_000, Total: 31_000,
		BytesIn: 1024, BytesOut: 400, Answer: [32]byte{3}, AnswerGuard: intent.Prompt}
	return intent, outcome
}

// BenchmarkCatchUp applies exchanges of two records each to the index and the
// rollups, in SQLite with synchronous=FULL. The bar is 10,000 exchanges a second.
func BenchmarkCatchUp(b *testing.B) { benchmarkCatchUp(b, batchLeaves) }

// BenchmarkFollow applies the same exchanges in batches as small as those of a
// server that is busy and not behind.
func BenchmarkFollow(b *testing.B) { benchmarkCatchUp(b, 500) }

func benchmarkCatchUp(b *testing.B, batch int) {
	const exchanges = 10_000
	f := newFeed("acme")
	f.batch = func() int { return batch }
	at := time.UnixMilli(1_800_000_000_000)
	f.put(b, "acme", at, record.LedgerHour, &record.Hour{Hour: at.Unix() / 3600})
	var late []event.Event
	for n := range exchanges {
		intent, outcome := sent(n)
		f.event(b, "acme", at, intent)
		if late = append(late, outcome); len(late) > 16 { // as with 16 callers at once
			f.event(b, "acme", at, late[0])
			late = late[1:]
		}
	}
	for _, e := range late {
		f.event(b, "acme", at, e)
	}
	pool := sqlite(b)
	s := New(pool, "sqlite", f, nil)
	b.ReportAllocs()
	b.ResetTimer()
	cpu := time.Duration(0)
	for range b.N {
		b.StopTimer()
		if err := s.Rebuild(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		before := load.CPU()
		if err := s.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		cpu += load.CPU() - before
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(exchanges*b.N), "cpu-us/exchange")
	b.ReportMetric(float64(exchanges*b.N)/b.Elapsed().Seconds(), "exchanges/s")
}

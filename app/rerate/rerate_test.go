package rerate

import (
	"testing"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/price"
)

// The sum of a batch's usage says nothing of the tiers that its requests fell into, so
// its charge stays, and the plan says why. What can be computed from the sum is.
func TestBatchesWithPricesByContextStay(t *testing.T) {
	table, err := price.Parse([]byte(`vendors:
  v:
    - {model: stepped, from: 2026-01-01, input: "1", output: "2", batch_factor: "0.5", tiers: [{above: 1000, input: "10", output: "20"}], max_output: 1000}
    - {model: far, from: 2026-01-01, input: "1", output: "2", batch_factor: "0.5", tiers: [{above: 3000, input: "10", output: "20"}], max_output: 1000}
    - {model: near, from: 2026-01-01, input: "1", output: "2", batch_factor: "0.5", tiers: [{above: 2999, input: "10", output: "20"}], max_output: 1000}
    - {model: flat, from: 2026-01-01, input: "1", output: "2", batch_factor: "0.5", max_output: 1000}
`), "prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, model string
		requests    int64
		source      event.UsageSource
		kept        string
		after       money.Nano
	}{
		{"a sum, with tiers", "stepped", 3, event.UsageProvider, SumOfBatch, 0},
		{"counted here, with tiers", "stepped", 3, event.UsageCounted, SumOfBatch, 0},
		{"a sum below every step", "far", 3, event.UsageProvider, "", 3000*500 + 10*1000},
		{"a sum just above one", "near", 3, event.UsageProvider, SumOfBatch, 0},
		{"one request is no sum", "stepped", 1, event.UsageProvider, "", 3000*5000 + 10*10_000},
		{"at its hold", "stepped", 3, event.UsageEstimated, "", 3000*5000 + 10*10_000},
		{"without tiers", "flat", 3, event.UsageProvider, "", 3000*500 + 10*1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &computing{table: table, adjusted: map[ident.ID]money.Nano{}, seen: map[ident.ID]bool{}, vendors: map[string][]vendorSince{"p": {{vendor: "v"}}},
				lines: map[[3]string]*Line{}, kept: map[[2]string]*Kept{}, plan: &Plan{}}
			e := &event.Event{Kind: event.Outcome, Exchange: ident.ID{0x01, 0xa0}, Provider: "p", ModelTarget: c.model, Source: c.source, Charge: 77, Usage: event.Usage{Input: 3000, Output: 10, Requests: c.requests, Batch: true}}
			if err := k.rate(e); err != nil {
				t.Fatal(err)
			}
			p := k.finish()
			if c.kept != "" {
				if len(p.Kept) != 1 || p.Kept[0] != (Kept{c.kept, c.model, 1, 77}) || p.Corrections() != 0 || len(p.Lines) != 0 {
					t.Errorf("%+v", p)
				}
				return
			}
			if len(p.Kept) != 0 || len(p.Lines) != 1 || p.Lines[0].After != c.after || p.Corrections() != 1 {
				t.Errorf("%+v", p)
			}
		})
	}
}

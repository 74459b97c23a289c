package price

import (
	"math"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

var day = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func table(t *testing.T) *Table {
	t.Helper()
	table, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestEmbeddedTable(t *testing.T) {
	tb := table(t)
	if tb.Models() < 60 || len(tb.Hash()) != 16 {
		t.Errorf("%d models, hash %q", tb.Models(), tb.Hash())
	}
	for vendor, models := range tb.models {
		for model, entries := range models {
			for _, e := range entries {
				if e.rate.Input <= 0 && e.rate.Output <= 0 {
					t.Errorf("%s %s costs nothing", vendor, model)
				}
				if e.rate.MaxOutput <= 0 {
					t.Errorf("%s %s has no output limit, so it could not be held", vendor, model)
				}
			}
		}
	}
}

func TestRate(t *testing.T) {
	tb := table(t)
	for _, c := range []struct {
		name, vendor, model string
		at                  time.Time
		want                money.Nano // output
		ok                  bool
	}{
		{"plain", "openai", "gpt-4o-mini", day, 600_000_000, true},
		{"dated snapshot", "openai", "gpt-4o-mini-2024-07-18", day, 600_000_000, true},
		{"snapshot with its own price", "openai", "gpt-4o-2024-05-13", day, 15_000_000_000, true},
		{"likeness is not enough", "openai", "gpt-4o-mini-turbo", day, 0, false},
		{"before its date", "openai", "gpt-4o-mini", day.AddDate(-9, 0, 0), 0, false},
		{"other vendor", "mistral", "gpt-4o-mini", day, 0, false},
		{"only a date", "openai", "-2024-07-18", day, 0, false},
	} {
		got, ok := tb.Rate(c.vendor, c.model, c.at)
		if ok != c.ok || got.Output != c.want {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, got.Output, ok, c.want, c.ok)
		}
	}
}

func TestCost(t *testing.T) {
	r := Rate{Input: 150_000_000, Output: 600_000_000, CacheRead: 75_000_000, CacheWrite: 150_000_000}
	for _, c := range []struct {
		name string
		u    event.Usage
		want money.Nano
	}{
		{"input and output", event.Usage{Input: 1000, Output: 500}, 150_000 + 300_000},
		{"cached part is cheaper", event.Usage{Input: 1000, CacheRead: 400}, 600*150 + 400*75},
		{"unknown costs nothing", event.Usage{Input: -1, Output: -1, CacheRead: -1}, 0},
		{"more cached than input", event.Usage{Input: 10, CacheRead: 40}, 40 * 75},
	} {
		if got := r.Cost(c.u); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := (Rate{Input: 1}).Cost(event.Usage{Input: 1}); got != 1 {
		t.Errorf("a millionth is rounded to %d, want up to 1", got)
	}
	if got := (Rate{Output: math.MaxInt64}).Ceiling(0, math.MaxInt64); got != most {
		t.Errorf("beyond the largest amount: %d", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key": "dated: x\nvendors: {a: [{model: m, from: 2026-01-01, input: \"1\", output: \"1\", max_output: 1, colour: red}]}",
		"no price":    "vendors: {a: [{model: m, from: 2026-01-01}]}",
		"below zero":  "vendors: {a: [{model: m, from: 2026-01-01, input: \"-1\", output: \"1\", max_output: 1}]}",
		"no limit":    "vendors: {a: [{model: m, from: 2026-01-01, input: \"1\", output: \"1\"}]}",
		"bad date":    "vendors: {a: [{model: m, from: soon, input: \"1\", output: \"1\", max_output: 1}]}",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func BenchmarkRate(b *testing.B) {
	tb, _ := Load()
	b.ReportAllocs()
	for b.Loop() {
		r, _ := tb.Rate("openai", "gpt-4o-mini-2024-07-18", day)
		r.Cost(event.Usage{Input: 100, Output: 100})
	}
}

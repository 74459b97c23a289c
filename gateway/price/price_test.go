package price

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
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

// free are the vendors some of whose models cost nothing for a call.
var free = []string{"local", "nvidia", "openrouter", "openai", "cohere", "huggingface"}

// Every row of the embedded table is plausible: the dates are days, nothing is
// below zero or as dear as a slip of the decimal point would make it, what can
// answer without a limit has one, and each vendor is there.
func TestEmbeddedTable(t *testing.T) {
	tb := table(t)
	if n := tb.Models(); n < 300 || len(tb.Hash()) != 16 {
		t.Errorf("%d models, hash %q", n, tb.Hash())
	}
	want := []string{"anthropic", "azure", "bedrock", "cerebras", "cohere", "deepseek", "fireworks", "google", "groq", "huggingface", "local", "mistral", "nvidia", "openai", "openrouter", "perplexity", "simulated", "together", "vertex", "xai"}
	if diff := cmp.Diff(want, tb.Vendors()); diff != "" {
		t.Errorf("vendors (-want +got):\n%s", diff)
	}
	current := 0
	for vendor, models := range tb.models {
		for model, entries := range models {
			for _, e := range entries {
				if why := implausible(&e.rate); why != "" {
					t.Errorf("%s %s: %s", vendor, model, why)
				}
				if e.rate.Ceiling(event.Usage{Input: 1e9, Output: 1e9, Characters: 1e9, Seconds: 1e9, Images: 1, Requests: 1}) == 0 && !slices.Contains(free, vendor) {
					t.Errorf("%s %s costs nothing", vendor, model)
				}
				if e.from.Year() < 2020 && model != Any || e.from.Year() > 2027 {
					t.Errorf("%s %s: from %s", vendor, model, e.from)
				}
			}
			if r, ok := tb.Rate(vendor, model, day); ok && !entries[0].alias && r.MaxOutput >= 0 && model != Any {
				current++
			}
		}
	}
	if current < 300 {
		t.Errorf("%d models have a price on %s", current, day.Format(time.DateOnly))
	}
}

func implausible(r *Rate) string {
	for _, tiers := range [][]tier{r.standard, r.batch} {
		for _, x := range tiers {
			for _, p := range []money.Nano{x.input, x.cacheRead, x.cacheWrite, x.cacheWrite1h, x.audioIn, x.cachedAudio, x.imageIn, x.output, x.reasoning, x.audioOut, x.imageOut} {
				if p < 0 || p > 1000*money.Dollar {
					return "a million tokens cost " + p.String()
				}
			}
			if x.output > 0 && r.MaxOutput <= 0 {
				return "no output limit, so it could not be held"
			}
			if x.cacheRead > x.input || x.input > 0 && x.cacheWrite > 3*x.input {
				return "its cache costs more than it saves"
			}
		}
	}
	for i := range r.standard {
		if r.batch[i].input > r.standard[i].input {
			return "dearer in a batch"
		}
	}
	if max(r.image, r.request, r.search) > money.Dollar || r.hour > 10*money.Dollar || r.characters > 1000*money.Dollar {
		return "a fee of dollars"
	}
	return ""
}

func TestRate(t *testing.T) {
	tb := table(t)
	for _, c := range []struct {
		name, vendor, model string
		at                  time.Time
		want                money.Nano // of a million tokens out
		ok                  bool
	}{
		{"plain", "openai", "gpt-4o-mini", day, 600_000_000, true},
		{"dated snapshot", "openai", "gpt-4o-mini-2024-07-18", day, 600_000_000, true},
		{"snapshot with its own price", "openai", "gpt-4o-2024-05-13", day, 15_000_000_000, true},
		{"snapshot as Vertex dates it", "vertex", "claude-haiku-4-5@20251001", day, 5_000_000_000, true},
		{"further name", "vertex", "claude-opus-4-7", day, 25_000_000_000, true},
		{"regional profile of Bedrock", "bedrock", "eu.anthropic.claude-sonnet-4-6", day, 16_500_000_000, true},
		{"global profile", "bedrock", "global.anthropic.claude-sonnet-4-6", day, 15_000_000_000, true},
		{"likeness is not enough", "openai", "gpt-4o-mini-turbo", day, 0, false},
		{"before its date", "openai", "gpt-4o-mini", day.AddDate(-9, 0, 0), 0, false},
		{"other vendor", "mistral", "gpt-4o-mini", day, 0, false},
		{"only a date", "openai", "-2024-07-18", day, 0, false},
		{"last moment of an old price", "anthropic", "claude-sonnet-5", day.Add(-time.Microsecond), 10_000_000_000, true},
		{"first moment of a new one", "anthropic", "claude-sonnet-5", day, 15_000_000_000, true},
		{"a price that is not in force yet", "google", "gemini-3.7-flash", day, 3_750_000_000, true},
		{"any local model", "local", "qwen3:30b", day, 0, true},
	} {
		r, ok := tb.Rate(c.vendor, c.model, c.at)
		if got := r.Cost(event.Usage{Output: 1_000_000}); ok != c.ok || got != c.want {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "{model: m, from: 2026-01-01, input: \"1\", output: \"1\", max_output: 1, colour: red}", `line 4: unknown key "colour"`},
		{"key twice", "{model: m, from: 2026-01-01, input: \"1\", input: \"2\"}", "line 4"},
		{"no price", "{model: m, from: 2026-01-01}", "line 4: a m: input: a price is missing"},
		{"below zero", "{model: m, from: 2026-01-01, input: \"-1\"}", "line 4: a m: input: a price below zero"},
		{"no number", "{model: m, from: 2026-01-01, input: cheap}", "line 4: a m: input: malformed amount"},
		{"no limit", "{model: m, from: 2026-01-01, input: \"1\", output: \"1\"}", "line 4: a m: max_output is missing"},
		{"no limit of sound", "{model: m, from: 2026-01-01, input: \"1\", audio_output: \"1\"}", "line 4: a m: max_output is missing"},
		{"bad date", "{model: m, from: soon, input: \"1\"}", "line 4: a m: from: \"soon\" is no day"},
		{"no model", "{from: 2026-01-01, input: \"1\"}", "line 4: a : model: name the model"},
		{"same day twice", "{model: m, from: 2026-01-01, input: \"1\"}\n    - {model: n, also: [m], from: 2026-01-01, input: \"2\"}", "line 5: a n: m has two prices from 2026-01-01 on"},
		{"tiers out of order", "{model: m, from: 2026-01-01, input: \"1\", tiers: [{above: 9, input: \"2\"}, {above: 9, input: \"3\"}]}", "line 4: a m: tiers: above 9 tokens does not come after"},
		{"tier from nothing", "{model: m, from: 2026-01-01, input: \"1\", tiers: [{input: \"2\"}]}", "tiers: above 0 tokens"},
		{"factor above one", "{model: m, from: 2026-01-01, input: \"1\", batch_factor: \"2\"}", "line 4: a m: batch_factor"},
		{"batch twice", "{model: m, from: 2026-01-01, input: \"1\", batch_factor: \"0.5\", batch: {input: \"1\"}}", "line 4: a m: batch: prices of its own"},
		{"form without a name", "{model: m, from: 2026-01-01, image: \"1\", forms: [{image: \"2\"}]}", "line 4: a m: forms: name the form"},
	} {
		_, err := Parse([]byte("dated: 2026-01-01\nvendors:\n  a:\n    - "+c.text+"\n"), "own.yaml")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "own.yaml") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Own prices stand in place of the table's from their day on, also of those that
// the table has for later; other models and vendors stay, and the hash says so.
func TestWith(t *testing.T) {
	base, err := Parse([]byte(`vendors:
  a:
    - {model: m, from: 2026-01-01, input: "1"}
    - {model: m, from: 2026-05-01, input: "2"}
    - {model: m, from: 2026-09-01, input: "3"}
    - {model: other, from: 2026-01-01, input: "9"}
`), "base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := []inventory.Price{
		{Vendor: "a", PriceRow: inventory.PriceRow{Model: "m", From: "2026-06-01", TokenPrices: inventory.TokenPrices{Input: "0.5"}}},
		{Vendor: "b", PriceRow: inventory.PriceRow{Model: Any, From: "2026-06-01", TokenPrices: inventory.TokenPrices{Input: "7"}}},
	}
	with, err := base.With(own)
	if err != nil {
		t.Fatal(err)
	}
	on := func(tb *Table, vendor, model, day string) money.Nano {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := tb.Rate(vendor, model, at)
		if !ok {
			return -1
		}
		return r.Cost(event.Usage{Input: 1_000_000})
	}
	for _, c := range []struct {
		name, vendor, model, day string
		want                     money.Nano
	}{
		{"before", "a", "m", "2026-05-31", 2 * money.Dollar},
		{"from its day", "a", "m", "2026-06-01", money.Dollar / 2},
		{"in place of a later one", "a", "m", "2026-10-01", money.Dollar / 2},
		{"another model", "a", "other", "2026-10-01", 9 * money.Dollar},
		{"a vendor of its own", "b", "whatever", "2026-10-01", 7 * money.Dollar},
		{"and not before", "b", "whatever", "2026-05-01", -1},
	} {
		if got := on(with, c.vendor, c.model, c.day); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := on(base, "a", "m", "2026-10-01"); got != 3*money.Dollar {
		t.Errorf("the base table changed: %s", got)
	}
	turned, err := base.With([]inventory.Price{own[1], own[0]})
	if err != nil || turned.Hash() != with.Hash() {
		t.Errorf("the order of prices changes the hash (%v)", err)
	}
	own[0].Input = "0.6"
	dearer, err := base.With(own)
	if err != nil || dearer.Hash() == with.Hash() || with.Hash() == base.Hash() {
		t.Errorf("hashes %s, %s and %s (%v)", base.Hash(), with.Hash(), dearer.Hash(), err)
	}
	if same, err := base.With(nil); err != nil || same != base {
		t.Errorf("without own prices it is another table (%v)", err)
	}
	own[0].Input = "cheap"
	if _, err := base.With(own); err == nil {
		t.Error("a price that is none was taken")
	}
}

func BenchmarkRate(b *testing.B) {
	tb, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, _ := tb.Rate("openai", "gpt-4o-mini-2024-07-18", day)
		r.Cost(event.Usage{Input: 100, Output: 100})
	}
}

package price

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

func rateOf(t interface{ Fatal(...any) }, r inventory.PriceRow) Rate {
	r.Model, r.From = "m", "2026-01-01"
	e, err := entryOf(&r)
	if err != nil {
		t.Fatal(err)
	}
	return e.rate
}

// Amounts computed by hand. A price of $1 a million tokens is 1000 nano-dollars a
// token.
func TestCost(t *testing.T) {
	chat := rateOf(t, inventory.PriceRow{MaxOutput: 1000, BatchFactor: "0.5",
		TokenPrices: inventory.TokenPrices{Input: "3", Output: "15", CacheRead: "0.3", CacheWrite: "3.75", CacheWrite1h: "6"},
		Tiers:       []inventory.PriceTier{{Above: 200_000, TokenPrices: inventory.TokenPrices{Input: "6", Output: "22.5", CacheRead: "0.6", CacheWrite: "7.5"}}},
		Search:      "0.01", Request: "0.005"})
	tiered := rateOf(t, inventory.PriceRow{MaxOutput: 1000, FlexFactor: "0.25", BatchFactor: "0.5", TokenPrices: inventory.TokenPrices{Input: "4", Output: "8", CacheRead: "0.4"},
		Priority: &inventory.TokenPrices{Input: "7", Output: "14", CacheRead: "0.7"}, Request: "0.005"})
	media := rateOf(t, inventory.PriceRow{MaxOutput: 1000,
		TokenPrices: inventory.TokenPrices{Input: "1", Output: "4", CacheRead: "0.1", Reasoning: "3", AudioInput: "32", AudioOutput: "64", CachedAudio: "0.4", ImageInput: "8", ImageOutput: "30"},
		Batch:       &inventory.TokenPrices{Input: "0.7", Output: "3"}})
	speech := rateOf(t, inventory.PriceRow{Characters: "15", AudioHour: "0.111"})
	image := rateOf(t, inventory.PriceRow{Image: "0.04", Forms: []inventory.PriceForm{{Form: "1024x1024 standard"}, {Form: "1024x1024 hd", Image: "0.08"}, {Form: "1792x1024 hd", Image: "0.12"}}})
	search := rateOf(t, inventory.PriceRow{MaxOutput: 1000, TokenPrices: inventory.TokenPrices{Input: "1", Output: "1"}, Forms: []inventory.PriceForm{{Form: "low", Request: "0.005"}, {Form: "high", Request: "0.012"}}})
	const fee = 5_000_000
	for _, c := range []struct {
		name string
		r    Rate
		u    event.Usage
		want money.Nano
	}{
		{"input and output", chat, event.Usage{Input: 1000, Output: 500}, 1000*3000 + 500*15_000 + fee},
		{"read from the cache", chat, event.Usage{Input: 1000, CacheRead: 400}, 600*3000 + 400*300 + fee},
		{"written to the cache", chat, event.Usage{Input: 1000, CacheWrite: 400}, 600*3000 + 400*3750 + fee},
		{"part of it for an hour", chat, event.Usage{Input: 1000, CacheWrite: 400, CacheWrite1h: 100}, 600*3000 + 300*3750 + 100*6000 + fee},
		{"for an hour, the sum unknown", chat, event.Usage{Input: 1000, CacheWrite: -1, CacheWrite1h: 100}, 900*3000 + 100*6000 + fee},
		{"at the tier's edge", chat, event.Usage{Input: 200_000, Output: 10}, 200_000*3000 + 10*15_000 + fee},
		{"above it the whole call", chat, event.Usage{Input: 200_001, Output: 10}, 200_001*6000 + 10*22_500 + fee},
		{"cached tokens count for the tier", chat, event.Usage{Input: 200_001, CacheRead: 200_000}, 1*6000 + 200_000*600 + fee},
		{"a tier keeps what it does not name", chat, event.Usage{Input: 200_001, CacheWrite: 1, CacheWrite1h: 1}, 200_000*6000 + 1*6000 + fee},
		{"batch", chat, event.Usage{Input: 1000, Output: 500, CacheRead: 400, Batch: true}, (600*3000+400*300+500*15_000)/2 + fee},
		{"batch above the tier", chat, event.Usage{Input: 300_000, Batch: true}, 300_000*3000 + fee},
		{"flex, by its factor", tiered, event.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: event.TierFlex}, 600*1000 + 400*100 + 10*2000 + fee},
		{"priority, at prices of its own", tiered, event.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: event.TierPriority}, 600*7000 + 400*700 + 10*14_000 + fee},
		{"a batch has no service tier", tiered, event.Usage{Input: 1000, Output: 10, Batch: true, Tier: event.TierPriority}, 1000*2000 + 10*4000 + fee},
		{"a service tier without a price", chat, event.Usage{Input: 1000, Output: 500, Tier: event.TierFlex}, 1000*3000 + 500*15_000 + fee},
		{"a service tier alone is no call", tiered, event.Usage{Tier: event.TierPriority}, 0},
		{"searches", chat, event.Usage{Input: 1000, Searches: 3}, 1000*3000 + 3*10_000_000 + fee},
		{"many calls in one record", chat, event.Usage{Input: 1000, Requests: 4}, 1000*3000 + 4*fee},
		{"nothing counted is no call", chat, event.Usage{}, 0},
		{"form and batch alone are no call", chat, event.Usage{Form: "hd", Batch: true}, 0},
		{"unknown counts are a call", chat, event.Usage{Input: -1, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}, fee},
		{"more cached than input", chat, event.Usage{Input: 10, CacheRead: 40}, 40*300 + fee},

		{"reasoning apart", media, event.Usage{Output: 100, Reasoning: 40}, 60*4000 + 40*3000},
		{"reasoning at the price of output", chat, event.Usage{Output: 100, Reasoning: 40}, 100*15_000 + fee},
		{"more reasoning than output", media, event.Usage{Output: 10, Reasoning: 40}, 40 * 3000},
		{"sound in", media, event.Usage{Input: 100, AudioIn: 30}, 70*1000 + 30*32_000},
		{"sound in and cached", media, event.Usage{Input: 100, AudioIn: 30, CacheRead: 50, CachedAudio: 20}, 40*1000 + 10*32_000 + 30*100 + 20*400},
		{"cached sound that is not known", media, event.Usage{Input: 100, AudioIn: 80, CacheRead: 50}, 50*32_000 + 50*100},
		{"images in", media, event.Usage{Input: 100, ImageIn: 60}, 40*1000 + 60*8000},
		{"sound and images out", media, event.Usage{Output: 100, AudioOut: 50, ImageOut: 20}, 30*4000 + 50*64_000 + 20*30_000},
		{"own prices of a batch", media, event.Usage{Input: 1000, Output: 100, AudioOut: 50, Batch: true}, 1000*700 + 100*3000},

		{"characters", speech, event.Usage{Characters: 1234}, 1234 * 15_000},
		{"seconds of sound, rounded up", speech, event.Usage{Seconds: 7}, 215_834}, // 7 · 111,000,000 / 3600 = 215,833.3…
		{"an hour of it", speech, event.Usage{Seconds: 3600}, 111_000_000},

		{"image of the first form", image, event.Usage{Images: 2, Form: "1024x1024 standard"}, 80_000_000},
		{"image of a dearer one", image, event.Usage{Images: 2, Form: "1792x1024 hd"}, 240_000_000},
		{"image of no known form", image, event.Usage{Images: 1, Form: "4096x4096 hd"}, 120_000_000},
		{"fee of a form", search, event.Usage{Input: 100, Form: "low"}, 100*1000 + 5_000_000},
		{"fee of no known form", search, event.Usage{Input: 100}, 100*1000 + 12_000_000},
	} {
		if got := c.r.Cost(c.u); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	smallest := rateOf(t, inventory.PriceRow{TokenPrices: inventory.TokenPrices{Input: "0.000000001"}})
	if got := smallest.Cost(event.Usage{Input: 1}); got != 1 {
		t.Errorf("a millionth is rounded to %d, want up to 1", got)
	}
}

func TestCeiling(t *testing.T) {
	r := rateOf(t, inventory.PriceRow{MaxOutput: 1000,
		TokenPrices: inventory.TokenPrices{Input: "1", Output: "4", CacheWrite: "1.25", CacheWrite1h: "2", Reasoning: "5", AudioInput: "32", AudioOutput: "64"},
		Tiers:       []inventory.PriceTier{{Above: 1000, TokenPrices: inventory.TokenPrices{Input: "3"}}},
		Image:       "0.1", Search: "0.01", Request: "0.001"})
	const fee = 1_000_000
	for _, c := range []struct {
		name string
		most event.Usage
		want money.Nano
	}{
		{"all input at its dearest, all output too", event.Usage{Input: 100, Output: 10, CacheRead: -1, CacheWrite: -1, Reasoning: -1}, 100*1250 + 10*5000 + fee},
		{"perhaps for an hour", event.Usage{Input: 100, CacheWrite1h: -1}, 100*2000 + fee},
		{"perhaps sound", event.Usage{Input: 100, Output: 10, AudioIn: -1, AudioOut: -1}, 100*32_000 + 10*64_000 + fee},
		{"a tier that it can reach", event.Usage{Input: 1001}, 1001*3000 + fee},
		{"images, searches, calls", event.Usage{Images: 3, Searches: 2, Requests: 4}, 3*100_000_000 + 2*10_000_000 + 4*fee},
		{"nothing", event.Usage{}, 0},
	} {
		if got := r.Ceiling(c.most); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	dear := rateOf(t, inventory.PriceRow{MaxOutput: 1, TokenPrices: inventory.TokenPrices{Output: "9000000000"}, Image: "9000000000"})
	if got := dear.Ceiling(event.Usage{Output: math.MaxInt64, Images: math.MaxInt64}); got != most {
		t.Errorf("beyond the largest amount: %d", got)
	}
}

// No usage within what was held for costs more than was held.
func TestCostStaysBelowItsCeiling(t *testing.T) {
	amount := rapid.Map(rapid.Int64Range(0, 100_000_000_000), func(n int64) string { return money.Nano(n).String() })
	maybe := rapid.OneOf(rapid.Just(""), amount)
	tokens := rapid.Custom(func(t *rapid.T) inventory.TokenPrices {
		return inventory.TokenPrices{Input: amount.Draw(t, "input"), Output: amount.Draw(t, "output"), CacheRead: maybe.Draw(t, "read"), CacheWrite: maybe.Draw(t, "write"), CacheWrite1h: maybe.Draw(t, "1h"), Reasoning: maybe.Draw(t, "reasoning"),
			AudioInput: maybe.Draw(t, "audio in"), AudioOutput: maybe.Draw(t, "audio out"), CachedAudio: maybe.Draw(t, "cached audio"), ImageInput: maybe.Draw(t, "image in"), ImageOutput: maybe.Draw(t, "image out")}
	})
	rapid.Check(t, func(t *rapid.T) {
		row := inventory.PriceRow{MaxOutput: 1, TokenPrices: tokens.Draw(t, "tokens"), Image: maybe.Draw(t, "image"), Request: maybe.Draw(t, "request"), Search: maybe.Draw(t, "search"), Characters: maybe.Draw(t, "characters"), AudioHour: maybe.Draw(t, "hour")}
		switch rapid.IntRange(0, 3).Draw(t, "more") {
		case 1:
			row.Tiers, row.BatchFactor = []inventory.PriceTier{{Above: 500, TokenPrices: tokens.Draw(t, "tier")}, {Above: 2000, TokenPrices: tokens.Draw(t, "tier")}}, "0.3"
		case 2:
			own := tokens.Draw(t, "batch")
			row.Batch = &own
			fast := tokens.Draw(t, "priority")
			row.Priority, row.FlexFactor = &fast, "0.4"
		case 3:
			row.Forms = []inventory.PriceForm{{Form: "small", Image: maybe.Draw(t, "small"), Request: maybe.Draw(t, "low")}, {Form: "large", Image: amount.Draw(t, "large")}}
		}
		r := rateOf(t, row)
		count := rapid.Int64Range(0, 5000)
		held := event.Usage{Input: count.Draw(t, "input"), Output: count.Draw(t, "output"), CacheRead: -1, CacheWrite: -1, Reasoning: -1, Images: count.Draw(t, "images"), Characters: count.Draw(t, "characters"), Seconds: count.Draw(t, "seconds"), Searches: count.Draw(t, "searches"), Requests: count.Draw(t, "requests"),
			Form: rapid.SampledFrom([]string{"", "small", "large"}).Draw(t, "form"), Batch: rapid.Bool().Draw(t, "batched"), Tier: rapid.SampledFrom([]string{"", event.TierFlex, event.TierPriority}).Draw(t, "tier")}
		up := func(most int64, name string) int64 { return rapid.Int64Range(-1, max(most, -1)).Draw(t, name) }
		unknown := rapid.SampledFrom([]int64{0, -1})
		for _, f := range []*int64{&held.CacheWrite1h, &held.AudioIn, &held.CachedAudio, &held.ImageIn, &held.AudioOut, &held.ImageOut} {
			*f = unknown.Draw(t, "known")
		}
		u := event.Usage{Input: up(held.Input, "in"), Output: up(held.Output, "out"), Images: up(held.Images, "made"), Characters: up(held.Characters, "spoken"), Seconds: up(held.Seconds, "heard"), Searches: up(held.Searches, "searched"), Requests: up(held.Requests, "calls"), Form: held.Form, Batch: held.Batch,
			Tier: rapid.SampledFrom([]string{"", held.Tier}).Draw(t, "served")} // what was asked for, or the standard one
		u.CacheRead = up(u.Input, "read")
		u.CacheWrite = up(u.Input-max(u.CacheRead, 0), "written")
		u.Reasoning = up(u.Output, "reasoned")
		part := func(known, most int64, name string) int64 {
			if known == 0 {
				return 0
			}
			return up(most, name)
		}
		u.CacheWrite1h = part(held.CacheWrite1h, u.CacheWrite, "1h")
		u.AudioIn, u.ImageIn = part(held.AudioIn, u.Input, "heard in"), part(held.ImageIn, u.Input, "seen")
		u.CachedAudio = part(held.CachedAudio, u.CacheRead, "cached")
		u.AudioOut, u.ImageOut = part(held.AudioOut, u.Output, "said"), part(held.ImageOut, u.Output, "drawn")
		if cost, ceiling := r.Cost(u), r.Ceiling(held); cost > ceiling && !nothing(held) {
			t.Fatalf("%+v costs %s, held was %s for %+v", u, cost, ceiling, held)
		}
	})
}

func TestForm(t *testing.T) {
	r := rateOf(t, inventory.PriceRow{Forms: []inventory.PriceForm{{Form: "1024x1024 standard", Image: "0.04"}, {Form: "1024x1024 HD", Image: "0.08"}, {Form: "1792x1024 hd", Image: "0.12"}}})
	for _, c := range []struct {
		name string
		said []string
		want string
	}{
		{"nothing said is the default", []string{"", ""}, "1024x1024 standard"},
		{"size alone", []string{"1024x1024", ""}, "1024x1024 standard"},
		{"quality alone, in any case", []string{"", "Hd"}, "1024x1024 HD"},
		{"both", []string{"1792x1024", "hd"}, "1792x1024 hd"},
		{"not sold", []string{"1792x1024", "standard"}, ""},
		{"not known", []string{"auto", ""}, ""},
	} {
		if got := r.Form(c.said...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

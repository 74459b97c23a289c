package routing

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/app/money"
	"plumbline/inventory"
)

// order is where a call would go, one after the other.
func (r *rig) order(route string, f Facts) (out []inventory.ProviderID) {
	for p := r.made(route, f); p.Next(r.now, f.Regions); {
		out = append(out, p.Target.Provider)
	}
	return out
}

func TestOrderOfTargets(t *testing.T) {
	when := func(name string, values ...string) map[string]inventory.OneOf {
		return map[string]inventory.OneOf{name: values}
	}
	r := newRig(
		inventory.Route{Model: "one", Provider: "a", Target: "m", Aliases: []string{"uno"}},
		inventory.Route{Model: "tiers", Targets: []inventory.Target{{Provider: "c", Tier: 2}, {Provider: "b", Tier: 1}, {Provider: "a", Tier: 1}}},
		inventory.Route{Model: "nested", Targets: []inventory.Target{{Provider: "d"}, {Route: "tiers", Tier: 1}, {Provider: "e", Tier: 2}}},
		inventory.Route{Model: "cost", Strategy: inventory.ByCost, Targets: to("a", "b", "c", "d")},
		inventory.Route{Model: "when", Targets: []inventory.Target{
			{Provider: "a", When: when("key", "desk", "lab")}, {Provider: "b", When: when("stream", "true")}, {Provider: "c", When: when("data_class", "email", "none")},
			{Provider: "d", When: when("attribute.team", "red")}, {Provider: "e", When: map[string]inventory.OneOf{"system": {"S"}, "endpoint": {"embeddings"}}}, {Provider: "f", When: when("risk_class", "minimal")}}},
	)
	r.free.prices = map[inventory.ProviderID]money.Nano{"a": 3, "b": 1, "d": 1}
	r.free.cannot = map[inventory.ProviderID]string{"e": "operation_unsupported"}
	for _, c := range []struct {
		name, route string
		facts       Facts
		want        []inventory.ProviderID
	}{
		{"one", "one", Facts{}, []inventory.ProviderID{"a"}},
		{"alias", "uno", Facts{}, []inventory.ProviderID{"a"}},
		{"tiers, and the list within one", "tiers", Facts{}, []inventory.ProviderID{"b", "a", "c"}},
		{"a route within a route", "nested", Facts{}, []inventory.ProviderID{"d", "b", "a", "c"}},
		{"cheapest first, unpriced last", "cost", Facts{}, []inventory.ProviderID{"b", "d", "a", "c"}},
		{"region", "cost", Facts{Regions: []string{"r0", "r2"}}, []inventory.ProviderID{"a", "c"}},
		{"no condition is met", "when", Facts{}, nil},
		{"key", "when", Facts{Key: "lab"}, []inventory.ProviderID{"a"}},
		{"stream", "when", Facts{Stream: true}, []inventory.ProviderID{"b"}},
		{"guards did not look yet", "when", Facts{Pending: true}, []inventory.ProviderID{"c"}},
		{"guards never looked", "when", Facts{Inspected: false, Classes: ""}, nil},
		{"guards found nothing", "when", Facts{Inspected: true}, []inventory.ProviderID{"c"}},
		{"guards found it", "when", Facts{Inspected: true, Classes: "card,email"}, []inventory.ProviderID{"c"}},
		{"guards found something else", "when", Facts{Inspected: true, Classes: "card"}, nil},
		{"attribute", "when", Facts{Attributes: map[string]string{"team": "red"}}, []inventory.ProviderID{"d"}},
		{"all conditions of a target", "when", Facts{System: "S"}, nil},
		{"what the provider does not speak", "when", Facts{System: "S", Endpoint: "embeddings"}, nil},
		{"risk class", "when", Facts{RiskClass: "minimal"}, []inventory.ProviderID{"f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, r.order(c.route, c.facts)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if r.order("one", Facts{}); r.plan.order[0].Model != "m" || r.table["uno"].Name != "uno" || r.table["uno"].Declared.Model != "one" {
		t.Errorf("%+v", r.plan.order[0])
	}
}

// Whatever stands in the way of every target is said, a region before all else.
func TestWhyNoTargetIsLeft(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: []inventory.Target{{Provider: "a"}, {Provider: "b"}, {Provider: "c", When: map[string]inventory.OneOf{"key": {"k"}}}}})
	r.free.cannot = map[inventory.ProviderID]string{"b": "operation_unsupported"}
	p := r.made("x", Facts{Regions: []string{"r7"}})
	if p.Next(r.now, []string{"r7"}) || p.Blocked() != RegionNotAllowed {
		t.Errorf("%q %+v", p.Blocked(), p.Skipped())
	}
	want := []Skip{{"a", "x", RegionNotAllowed}, {"b", "x", RegionNotAllowed}, {"c", "x", NotMeant}}
	if diff := cmp.Diff(want, p.Skipped()); diff != "" {
		t.Error(diff)
	}
	r.free.cannot["a"] = "provider_unavailable"
	if p = r.made("x", Facts{}); p.Next(r.now, nil) || p.Blocked() != "provider_unavailable" {
		t.Errorf("%q %+v", p.Blocked(), p.Skipped())
	}
}

// Regions are asked at each step: what was allowed when the plan was made may not be
// when its turn comes.
func TestRegionIsCheckedAtEachStep(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b", "c")})
	p := r.made("x", Facts{Regions: []string{"r0", "r1", "r2"}})
	if !p.Next(r.now, []string{"r0", "r1", "r2"}) || p.Target.Provider != "a" || p.Why != "priority" {
		t.Fatalf("%+v", p.Target)
	}
	p.Try.End(r.now, Failed, "refused", 0)
	if !p.Next(r.now, []string{"r2"}) || p.Target.Provider != "c" || p.Why != Failover {
		t.Errorf("%+v", p.Target)
	}
	if diff := cmp.Diff([]Skip{{"b", "x", RegionNotAllowed}}, p.Skipped()); diff != "" {
		t.Error(diff)
	}
	if p.Next(r.now, nil) || p.Left() {
		t.Error("a fourth target")
	}
}

// Any weights: each target gets its share, within five standard deviations of 20,000
// draws, also of what is left when one of them is out of health.
func TestWeightsAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 20), 2, 6).Draw(t, "weights")
		ids := []inventory.ProviderID{"a", "b", "c", "d", "e", "f"}
		route := inventory.Route{Model: "x", Strategy: inventory.ByWeight}
		for i, w := range weights {
			route.Targets = append(route.Targets, inventory.Target{Provider: ids[i], Weight: weight(w)})
		}
		r := newRig(route)
		out := rapid.IntRange(-1, len(weights)-1).Draw(t, "out")
		if out >= 0 {
			r.fail(ids[out], "x")
			weights[out] = 0
		}
		sum := 0
		for _, w := range weights {
			sum += w
		}
		got := map[inventory.ProviderID]int{}
		const draws = 20_000
		for range draws {
			p := r.made("x", Facts{})
			p.Next(r.now, nil)
			got[p.Target.Provider]++
		}
		if sum == 0 {
			return // all last, in the order of the list
		}
		for i, w := range weights {
			p := float64(w) / float64(sum)
			if want := p * draws; math.Abs(float64(got[ids[i]])-want) > 5*math.Sqrt(draws*p*(1-p))+1 {
				t.Errorf("%v without %d: %s got %d of %d, want %.0f", weights, out, ids[i], got[ids[i]], draws, want)
			}
		}
	})
}

// Whatever the strategy, health and regions, a plan asks each target that may be asked
// once and no other, lower tiers first.
func TestPlansAskEachTargetOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []inventory.ProviderID{"a", "b", "c", "d", "e", "f", "g", "h"}
		n := rapid.IntRange(1, len(ids)).Draw(t, "n")
		route := inventory.Route{Model: "x", Strategy: rapid.SampledFrom(inventory.Strategies()).Draw(t, "strategy")}
		tiers := map[inventory.ProviderID]int{}
		for _, id := range ids[:n] {
			tiers[id] = rapid.IntRange(0, 2).Draw(t, "tier")
			route.Targets = append(route.Targets, inventory.Target{Provider: id, Tier: tiers[id]})
		}
		r := newRig(route)
		r.free.prices = map[inventory.ProviderID]money.Nano{"a": 5, "c": 2, "d": 2}
		regions := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"r0", "r1", "r2", "r3"}), func(s string) string { return s }).Draw(t, "regions")
		var want []inventory.ProviderID
		for _, id := range ids[:n] {
			allowed := len(regions) == 0 || slices.Contains(regions, r.org.Providers[id].Region)
			down := rapid.Bool().Draw(t, "down")
			if down {
				r.fail(id, "x")
			}
			if allowed && !down {
				want = append(want, id)
			}
		}
		got := r.order("x", Facts{Regions: regions})
		if !slices.IsSortedFunc(got, func(a, b inventory.ProviderID) int { return tiers[a] - tiers[b] }) {
			t.Errorf("tiers of %v: %v", got, tiers)
		}
		if len(want) == 0 && len(got) == 1 && r.plan.Why != "" {
			return // the best of those out of health
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRoundRobinTakesTurns(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Strategy: inventory.RoundRobin, Targets: to("a", "b", "c"), Aliases: []string{"y"}})
	var got []inventory.ProviderID
	for _, name := range []string{"x", "y", "x", "x"} {
		got = append(got, r.ask(name, Answered))
	}
	r.table = r.Compile(r.org) // a new snapshot goes on where the old one was
	got = append(got, r.ask("x", Answered))
	r.fail("a", "x")
	for range 4 {
		got = append(got, r.ask("x", Answered))
	}
	if diff := cmp.Diff([]inventory.ProviderID{"a", "b", "c", "a", "b", "c", "b", "c", "b"}, got); diff != "" {
		t.Error(diff)
	}
}

// The faster deployment gets more, but not all: the other is seen to become faster.
func TestLatencyPrefersTheFaster(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Strategy: inventory.ByLatency, Targets: to("a", "b", "c")})
	latency := map[inventory.ProviderID]time.Duration{"a": 400 * time.Millisecond, "b": 40 * time.Millisecond, "c": 300 * time.Millisecond}
	got := map[inventory.ProviderID]int{}
	for range 3000 {
		p := r.made("x", Facts{})
		p.Next(r.now, nil)
		got[p.Target.Provider]++
		p.Try.Sent(r.now)
		p.Try.First(r.now.Add(latency[p.Target.Provider]))
		p.Try.End(r.now, Answered, "", 0)
		r.now = r.now.Add(10 * time.Millisecond)
	}
	if got["b"] < 1900 || got["a"] == 0 || got["c"] == 0 {
		t.Errorf("%v", got)
	}
	if s := r.deployment(Key{"acme", "b", "x"}).Stand(r.now); s.Latency < 39*time.Millisecond || s.Latency > 41*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

// A peak counts at once and is forgotten slowly; what is under way counts too.
func TestPeakEWMA(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Provider: "a"})
	d := r.deployment(Key{"acme", "a", "x"})
	at := r.now.UnixNano()
	for _, c := range []struct {
		name         string
		observe      time.Duration
		after        time.Duration
		least, limit time.Duration
	}{
		{"first", 100 * time.Millisecond, 0, 100 * time.Millisecond, 100 * time.Millisecond},
		{"peak", 2 * time.Second, time.Second, 2 * time.Second, 2 * time.Second},
		{"lower", 100 * time.Millisecond, time.Second, 1800 * time.Millisecond, 1900 * time.Millisecond},
		{"long after", 100 * time.Millisecond, time.Minute, 100 * time.Millisecond, 110 * time.Millisecond},
	} {
		at += int64(c.after)
		d.observe(float64(c.observe), at)
		if got := time.Duration(d.load(at)); got < c.least || got > c.limit {
			t.Errorf("%s: %s, want %s to %s", c.name, got, c.least, c.limit)
		}
	}
	idle := d.load(at)
	try, _ := d.admit(at, false)
	if busy := d.load(at); busy != 2*idle {
		t.Errorf("under way: %v, want %v", busy, 2*idle)
	}
	try.End(r.now, Nothing, "", 0)
	try.End(r.now, Nothing, "", 0)
	if later := d.load(at + int64(forgetting)); d.running.Load() != 0 || math.Abs(later*math.E-idle) > 1 {
		t.Errorf("fading: %v of %v", later, idle)
	}
}

// A plan is made without allocating, once its memory is there.
func TestPlansAllocateNothing(t *testing.T) {
	for _, s := range inventory.Strategies() {
		r := newRig(inventory.Route{Model: "x", Strategy: s, Targets: to("a", "b", "c")}, inventory.Route{Model: "one", Provider: "a"})
		for _, route := range []string{"x", "one"} {
			f := Facts{Key: "k"}
			if n := testing.AllocsPerRun(200, func() {
				r.plan.Reset(r.now)
				r.plan.Make(r.table[route], &f, &r.free, r.now)
				r.plan.Next(r.now, nil)
				r.plan.Try.End(r.now, Answered, "", 0)
			}); n > 0 {
				t.Errorf("%s, %s: %v allocations", s, route, n)
			}
		}
	}
}

func BenchmarkOneTarget(b *testing.B) {
	r := newRig(inventory.Route{Model: "one", Provider: "a"})
	f := Facts{Key: "k"}
	b.ReportAllocs()
	for range b.N {
		r.plan.Reset(r.now)
		r.plan.Make(r.table["one"], &f, &r.free, r.now)
		r.plan.Next(r.now, nil)
		r.plan.Try.End(r.now, Answered, "", 0)
	}
}

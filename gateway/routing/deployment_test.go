package routing

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/inventory"
)

// Whatever the outcomes of a minute: the breaker opens with the request that makes at
// least a tenth of at least twenty fail, and not before.
func TestBreakerOpensAtItsRatio(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(inventory.Route{Model: "x", Provider: "a"})
		results := rapid.SliceOfN(rapid.SampledFrom([]Result{Answered, Answered, Answered, Answered, Answered, Failed, Limited, Nothing}), 1, 80).Draw(t, "results")
		failed, total := 0, 0
		for i, result := range results {
			r.ask("x", result)
			if result == Failed {
				failed++
			}
			if result == Failed || result == Answered {
				total++
			}
			want := Closed
			if result == Failed && total >= 20 && failed*10 >= total {
				want = Open
			}
			if got := r.state("a", "x"); got != want {
				t.Fatalf("after %d (%d of %d failed): %s, want %s", i+1, failed, total, got, want)
			}
			if want == Open {
				return
			}
			r.now = r.now.Add(500 * time.Millisecond)
		}
	})
}

// The window slides: failures older than a minute do not count.
func TestWindowSlides(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Provider: "a"})
	for range 15 {
		r.ask("x", Failed)
	}
	r.now = r.now.Add(61 * time.Second)
	for range 19 {
		r.ask("x", Answered)
	}
	if s := r.deployment(Key{"acme", "a", "x"}).Stand(r.now); s.State != Closed || s.Answered != 19 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	r.now = r.now.Add(59 * time.Second)
	if s := r.deployment(Key{"acme", "a", "x"}).Stand(r.now); s.Answered != 19 {
		t.Errorf("%+v", s)
	}
	r.now = r.now.Add(time.Second)
	if s := r.deployment(Key{"acme", "a", "x"}).Stand(r.now); s.Answered != 0 {
		t.Errorf("%+v", s)
	}
}

// Open, then one probe at a time, then closed after three that were answered; one that
// fails opens it again for twice as long.
func TestBreakerComesBackByProbes(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
	r.fail("a", "x")
	for range 50 {
		if got := r.ask("x", Answered); got != "b" {
			t.Fatalf("an open breaker let a call through to %s", got)
		}
	}
	r.now = r.now.Add(5 * time.Second)
	if got := r.state("a", "x"); got != HalfOpen {
		t.Fatal(got)
	}
	var probe Plan
	probe.Make(r.table["x"], &Facts{}, &r.free, r.now)
	if !probe.Next(r.now, nil) || probe.Target.Provider != "a" || probe.Try.State() != HalfOpen {
		t.Fatalf("%+v", probe.Target)
	}
	if got := r.ask("x", Answered); got != "b" {
		t.Errorf("a second probe beside the first, to %s", got)
	}
	probe.Try.End(r.now, Failed, "http_503", 0)
	r.now = r.now.Add(9 * time.Second)
	if got := r.ask("x", Answered); got != "b" {
		t.Errorf("the second pause is no longer than the first: %s", got)
	}
	r.now = r.now.Add(time.Second)
	for i := range 3 {
		if s := r.state("a", "x"); s == Closed {
			t.Errorf("closed after %d probes", i)
		}
		if got := r.ask("x", Answered); got != "a" {
			t.Errorf("probe %d went to %s", i, got)
		}
	}
	if got := r.state("a", "x"); got != Closed {
		t.Errorf("%s after three probes", got)
	}
	r.ask("x", Failed)
	if got := r.state("a", "x"); got != Closed {
		t.Errorf("judged by failures from before: %s", got)
	}
}

// A probe that ends without a result, because the caller hung up, makes room for the
// next.
func TestProbeWithoutResultMakesRoom(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
	r.fail("a", "x")
	r.now = r.now.Add(5 * time.Second)
	for range 2 {
		if r.ask("x", Nothing) != "a" {
			t.Error("the place of the probe stayed taken")
		}
	}
}

// Half open, however many ask at the same moment: one probe.
func TestOneProbeAtATime(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
	r.fail("a", "x")
	r.now = r.now.Add(5 * time.Second)
	var probes, most, now atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		all.Go(func() {
			<-start
			var p Plan
			for range 50 {
				p.Make(r.table["x"], &Facts{}, &r.free, r.now)
				p.Next(r.now, nil)
				if p.Target.Provider == "a" {
					probes.Add(1)
					most.Store(max(most.Load(), now.Add(1)))
					time.Sleep(10 * time.Microsecond)
					now.Add(-1)
				}
				p.Reset(r.now)
			}
		})
	}
	close(start)
	all.Wait()
	if probes.Load() == 0 || most.Load() != 1 {
		t.Errorf("%d probes, %d at once", probes.Load(), most.Load())
	}
}

// The breaker is open within five seconds of its twentieth counted request, with
// callers at work on it from many sides.
func TestBreakerOpensAtOnce(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
	var counted atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var p Plan
			for range 100 {
				p.Make(r.table["x"], &Facts{}, &r.free, r.now)
				p.Next(r.now, nil)
				if p.Target.Provider == "a" {
					counted.Add(1)
					p.Try.End(r.now, Failed, "reset", 0)
				}
				p.Try.End(r.now, Answered, "", 0)
				p.Reset(r.now)
			}
		})
	}
	all.Wait()
	if n := counted.Load(); r.state("a", "x") != Open || n > 20+8 {
		t.Errorf("%s after %d requests", r.state("a", "x"), n)
	}
}

// A 429 opens no breaker. Its deployment is passed over until it may be asked; when
// that is in an hour, until MaxWait, and what the provider said is shown.
func TestRateLimits(t *testing.T) {
	for _, c := range []struct {
		name         string
		wait, passed time.Duration
	}{
		{"no time", 0, time.Second},
		{"some seconds", 7 * time.Second, 7 * time.Second},
		{"an hour", time.Hour, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
			for range 30 {
				p := r.made("x", Facts{})
				p.Next(r.now, nil)
				if p.Target.Provider == "a" {
					p.Try.End(r.now, Limited, "http_429", c.wait)
				}
			}
			s := r.deployment(Key{"acme", "a", "x"}).Stand(r.now)
			if s.State != Closed || s.Limited != 1 || s.Failed != 0 || !s.PassedOver.Equal(r.now.Add(c.passed)) || s.LastFailure != "http_429" {
				t.Errorf("%+v", s)
			}
			if c.wait > 0 && !s.RetryAfter.Equal(r.now.Add(c.wait)) {
				t.Errorf("shown %s, want %s", s.RetryAfter, r.now.Add(c.wait))
			}
			r.now = r.now.Add(c.passed - time.Nanosecond)
			if got := r.ask("x", Answered); got != "b" {
				t.Errorf("asked before its time: %s", got)
			}
			if diff := cmp.Diff([]Skip{{"a", "x", RateLimited}}, r.plan.Skipped()); diff != "" || r.plan.Why != Bypass {
				t.Error(r.plan.Why, diff)
			}
			r.now = r.now.Add(time.Nanosecond)
			if got := r.ask("x", Answered); got != "a" {
				t.Errorf("not asked again: %s", got)
			}
			if s := r.deployment(Key{"acme", "a", "x"}).Stand(r.now); !s.RetryAfter.IsZero() || !s.PassedOver.IsZero() {
				t.Errorf("still shown: %+v", s)
			}
		})
	}
}

// If all are open, the one that comes back first is asked; its answers close it.
func TestAllOpenTheBestIsTried(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b", "c")})
	r.fail("a", "x")
	r.now = r.now.Add(2 * time.Second)
	r.fail("b", "x")
	d := r.deployment(Key{"acme", "c", "x"})
	try, _ := d.admit(r.now.UnixNano(), false)
	try.End(r.now, Limited, "http_429", time.Hour)
	p := r.made("x", Facts{})
	if !p.Next(r.now, nil) || p.Target.Provider != "a" || p.Why != AllOpen {
		t.Fatalf("%+v %s", p.Target, p.Why)
	}
	if diff := cmp.Diff([]Skip{{"b", "x", CircuitOpen}, {"c", "x", RateLimited}}, p.Skipped()); diff != "" {
		t.Error(diff)
	}
	if p.Next(r.now, nil) {
		t.Error("a second one out of health was asked")
	}
	for range 3 {
		r.ask("x", Answered)
	}
	if r.state("a", "x") != Closed || r.state("b", "x") != Open {
		t.Errorf("%s, %s", r.state("a", "x"), r.state("b", "x"))
	}
}

// While all are down calls are asked all the same, each another target than the one
// before. However many they are, they open no breaker a second time and make no pause
// longer: who is back is asked again as soon as after one failure.
func TestCallsWhileAllAreDownMakeNoPauseLonger(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Targets: to("a", "b")})
	r.fail("a", "x")
	r.fail("b", "x")
	asked := map[inventory.ProviderID]int{}
	for range 100 {
		r.now = r.now.Add(10 * time.Millisecond)
		asked[r.ask("x", Failed)]++
	}
	if asked["a"] != 50 || asked["b"] != 50 {
		t.Errorf("asked %v", asked)
	}
	for _, id := range []inventory.ProviderID{"a", "b"} {
		s := r.deployment(Key{"acme", id, "x"}).Stand(r.now)
		if pause := s.OpenUntil.Sub(r.now); s.Opened != 1 || pause < 4*time.Second || pause > 5*time.Second {
			t.Errorf("%s opened %d times, and comes back in %s", id, s.Opened, pause)
		}
	}
	r.now = r.now.Add(5 * time.Second)
	for range 3 {
		r.ask("x", Answered)
	}
	if r.state("a", "x") != Closed && r.state("b", "x") != Closed {
		t.Errorf("%s, %s", r.state("a", "x"), r.state("b", "x"))
	}
}

// A route with one target asks it in any health: there is nothing else.
func TestOneTargetIsAlwaysAsked(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Provider: "a"})
	r.fail("a", "x")
	p := r.made("x", Facts{})
	if !p.Next(r.now, nil) || p.Why != Only || p.Try.State() != Open || len(p.Skipped()) != 0 {
		t.Errorf("%s %s %+v", p.Why, p.Try.State(), p.Skipped())
	}
}

// What no route leads to any more is forgotten; what still is led to is not.
func TestHealthOfWhatIsGoneIsForgotten(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Provider: "a"}, inventory.Route{Model: "y", Provider: "b"})
	r.fail("a", "x")
	r.fail("b", "y")
	delete(r.org.Routes, "y")
	r.table = r.Compile(r.org)
	r.Retain([]Table{r.table})
	var got []string
	for _, s := range r.Stands("acme", r.now) {
		got = append(got, string(s.Provider)+" "+s.State.String())
	}
	if diff := cmp.Diff([]string{"a open"}, got); diff != "" || len(r.Stands("other", r.now)) != 0 || len(r.turns) != 1 {
		t.Error(diff)
	}
}

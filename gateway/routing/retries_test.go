package routing

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// sent sends one call to the only target of a route, and gives the plan at it.
func (r *rig) sent(t *testing.T, route string) *Plan {
	t.Helper()
	p := r.made(route, Facts{})
	if !p.Next(r.now, nil) {
		t.Fatal("no target")
	}
	p.Try.Sent(r.now)
	return p
}

// retry sends one call whose first attempt fails, and reports whether there is a second
// one.
func (r *rig) retry(t *testing.T, route string) bool {
	t.Helper()
	p := r.sent(t, route)
	target := p.Target
	p.Try.End(r.now, Failed, "http_503", 0)
	if !p.Again(target, r.now) {
		if p.Target != nil {
			t.Fatal("a target is left")
		}
		return false
	}
	if p.Target != target || p.Why != Retry {
		t.Fatalf("%+v %s", p.Target, p.Why)
	}
	p.Try.Sent(r.now)
	p.Try.End(r.now, Failed, "http_503", 0)
	return true
}

// unbroken is a rig whose breakers open never.
func unbroken(routes ...inventory.Route) *rig {
	r := newRig(routes...)
	r.limits.Least = 1 << 30
	return r
}

func (r *rig) retries(t *testing.T, route string, calls int) (made int) {
	t.Helper()
	for range calls {
		if r.retry(t, route) {
			made++
		}
	}
	return made
}

// Whatever fails: in any ten seconds a provider gets no more retries than a fifth of
// its calls, and than ten where these are few, over all its models. Retries are no calls.
func TestRetriesAreAShareOfCalls(t *testing.T) {
	r := unbroken(inventory.Route{Model: "x", Provider: "a"}, inventory.Route{Model: "y", Provider: "a"}, inventory.Route{Model: "z", Provider: "b"})
	if n := r.retries(t, "x", 30); n != 10 {
		t.Errorf("%d retries of 30 calls, want the floor", n)
	}
	if n := r.retries(t, "y", 70); n != 10 { // 100 calls of the provider's by now
		t.Errorf("another model of the same provider: %d more of 70, want 10", n)
	}
	if n := r.retries(t, "z", 10); n != 10 {
		t.Errorf("another provider: %d of 10", n)
	}
	for range 900 {
		p := r.sent(t, "x")
		p.Try.End(r.now, Answered, "", 0)
	}
	if n := r.retries(t, "x", 1000); n != 380 { // 2000 calls, of which 20 had a retry before
		t.Errorf("%d more retries, want 380", n)
	}
	r.now = r.now.Add(9 * time.Second)
	if n := r.retries(t, "x", 5); n != 1 { // 401 of 2005
		t.Errorf("nine seconds later: %d retries, want 1", n)
	}
	r.now = r.now.Add(time.Second)
	if n := r.retries(t, "x", 20); n != 9 { // 1 of them in the second before
		t.Errorf("ten seconds later: %d retries, want 9", n)
	}
	want := []Retries{{"acme", "a", RetryCounts{Made: 410, OverShare: 715}}, {"acme", "b", RetryCounts{Made: 10}}}
	if diff := cmp.Diff(want, r.Health.Retries()); diff != "" {
		t.Error(diff)
	}
}

// Attempts at the next target, and those with another key of the provider's, are
// no retries: no share holds them.
func TestFailingOverIsNoRetry(t *testing.T) {
	r := unbroken(inventory.Route{Model: "x", Targets: to("a", "b")})
	for range 100 {
		p := r.sent(t, "x")
		p.Try.End(r.now, Failed, "http_503", 0)
		if !p.Next(r.now, nil) || p.Target.Provider != "b" || p.Why != Failover {
			t.Fatalf("%+v %s", p.Target, p.Why)
		}
		p.Try.Sent(r.now)
		target := p.Target
		p.Try.End(r.now, Nothing, "", 0)
		if p.Rekeyed(target, r.now); p.Target != target || p.Why != Retry {
			t.Fatalf("%+v %s", p.Target, p.Why)
		}
		p.Try.Sent(r.now)
		p.Try.End(r.now, Answered, "", 0)
	}
	want := []Retries{{Org: "acme", Provider: "a"}, {Org: "acme", Provider: "b"}}
	if diff := cmp.Diff(want, r.Health.Retries()); diff != "" {
		t.Error(diff)
	}
	d := r.deployment(Key{"acme", "b", "x"})
	if calls := uint32(d.retries.calls[r.now.Unix()%recent].Load()); calls != 100 {
		t.Errorf("%d calls, want 100: another key is the same call", calls)
	}
}

// A call that is sent to what is broken because nothing else is there is sent once; so
// are a probe that fails and the call that opens the breaker.
func TestNoRetryWhileTheBreakerIsOpen(t *testing.T) {
	r := newRig(inventory.Route{Model: "x", Provider: "a"})
	for range 19 {
		p := r.sent(t, "x")
		p.Try.End(r.now, Failed, "refused", 0)
	}
	if r.retry(t, "x") || r.state("a", "x") != Open {
		t.Errorf("the call that opened the breaker was sent again; %s", r.state("a", "x"))
	}
	if r.retry(t, "x") {
		t.Error("a call to what is broken was sent again")
	}
	r.now = r.now.Add(time.Minute)
	p := r.sent(t, "x")
	if p.Try.State() != HalfOpen {
		t.Fatal(p.Try.State())
	}
	target := p.Target
	p.Try.End(r.now, Limited, "http_429", time.Second)
	if p.Again(target, r.now) {
		t.Error("a probe was sent again")
	}
	if diff := cmp.Diff([]Retries{{"acme", "a", RetryCounts{BreakerOpen: 3}}}, r.Health.Retries()); diff != "" {
		t.Error(diff)
	}
}

// Calls and retries at the same time: the share is not passed by one, and a call
// allocates nothing for it.
func TestRetriesAtTheSameTime(t *testing.T) {
	h := NewHealth(Limits{}, nil)
	r := h.deployment(Key{"acme", "a", "x"}).retries
	now := time.Unix(1_790_000_000, 0)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				r.called(now)
			}
		})
	}
	all.Wait()
	var made atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 500 {
				if r.take(now, Closed) {
					made.Add(1)
				}
			}
		})
	}
	all.Wait()
	if made.Load() != 800 {
		t.Errorf("%d retries of 4000 calls, want 800", made.Load())
	}
	if n := testing.AllocsPerRun(100, func() { r.called(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The retries of a provider that no route leads to any more are forgotten.
func TestRetriesOfWhatIsGoneAreForgotten(t *testing.T) {
	r := unbroken(inventory.Route{Model: "x", Provider: "a"}, inventory.Route{Model: "y", Provider: "b"})
	r.retry(t, "x")
	delete(r.org.Routes, "y")
	r.table = r.Compile(r.org)
	r.Retain([]Table{r.table})
	if diff := cmp.Diff([]Retries{{"acme", "a", RetryCounts{Made: 1}}}, r.Health.Retries()); diff != "" {
		t.Error(diff)
	}
}

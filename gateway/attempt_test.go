package gateway

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
	"plumbline/gateway/routing"
	"plumbline/inventory"
)

// place is an upstream under a test's hand, in a region that has its name.
type place struct {
	answer func(w http.ResponseWriter, q *http.Request)
	calls  atomic.Int32
}

// routed is a rig with the places a, b and c, which all are of OpenAI's kind, and a
// route to them: a and b of gpt-4o-mini, c of the dearer gpt-4o.
func routed(t *testing.T, change func(v *inventory.Route)) (*rig, map[inventory.ProviderID]*place) {
	r := newRig(t, answerPlain)
	places := map[inventory.ProviderID]*place{}
	for _, id := range []inventory.ProviderID{"a", "b", "c"} {
		p := &place{answer: answerPlain}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body)
			p.calls.Add(1)
			p.answer(w, q)
		}))
		t.Cleanup(srv.Close)
		places[id] = p
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: "openai", BaseURL: srv.URL + "/v1", Region: string(id)}
	}
	route := &inventory.Route{Model: "chat", Aliases: []string{"fast"}, Targets: []inventory.Target{{Provider: "a", Model: "gpt-4o-mini"}, {Provider: "b", Model: "gpt-4o-mini"}, {Provider: "c", Model: "gpt-4o", Tier: 1}}}
	if change != nil {
		change(route)
	}
	r.org().Routes["chat"] = route
	r.use()
	return r, places
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, `{"error":{"message":"no"}}`)
	}
}

func (p *place) asked() int { return int(p.calls.Load()) }

// A call goes on to the next provider before anything was given out. Each further
// attempt is on record before it is sent, says what failed, and raises the hold where
// its model costs more.
func TestFailover(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		class  string
	}{
		{"overloaded", status(503), "http_503"},
		{"server error", status(500), "http_500"},
		{"timeout of its own", status(408), "http_408"},
		{"too many requests, for an hour", status(429, "Retry-After", "3600"), "http_429"},
		{"the gateway's credential", status(401), "http_401"},
		{"connection reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := routed(t, nil)
			p["a"].answer, p["b"].answer = c.answer, c.answer
			seen := map[inventory.ProviderID]int{}
			p["c"].answer = func(w http.ResponseWriter, q *http.Request) {
				seen["c"] = strings.Count(r.rec.kinds(), "attempt")
				answerPlain(w, q)
			}
			began := time.Now()
			resp, answer := r.post(ask("fast", "my card is 4111 1111 1111 1111"))
			if resp.StatusCode != 200 || answer != plainAnswer || resp.Header.Get(hdrProvider) != "c" {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("failing over waited: %s", took)
			}
			if got := r.rec.kinds(); got != "intent attempt attempt outcome" || seen["c"] != 2 {
				t.Fatalf("%s, %d attempts on record when the last was sent", got, seen["c"])
			}
			e := r.rec.events
			if e[0].Choice != "priority" || e[0].Provider != "a" || e[0].Route != "chat" || e[0].ModelAsked != "fast" {
				t.Errorf("intent %+v", e[0])
			}
			for i, want := range []string{"b", "c"} {
				if a := e[i+1]; a.Provider != want || a.Region != want || a.UpstreamErr != c.class || a.Choice != routing.Failover || a.Try != uint32(i+2) || a.Exchange != e[0].Exchange || a.Request == [32]byte{} {
					t.Errorf("attempt %+v", a)
				}
			}
			if e[1].Holds[0].Amount != e[0].Holds[0].Amount || e[2].Holds[0].Amount < 10*e[0].Holds[0].Amount || e[3].Held != e[2].Holds[0].Amount {
				t.Errorf("held %v, %v, %v; settled %v", e[0].Holds, e[1].Holds, e[2].Holds, e[3].Held)
			}
			if out := e[3]; out.Provider != "c" || out.Tries != 3 || out.Charge != 10*2500+3*10_000 || out.Abandoned != 0 || out.UpstreamErr != "" {
				t.Errorf("outcome %+v", out)
			}
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || b.Charged != e[3].Charge {
				t.Errorf("balance %+v", b)
			}
		})
	}
}

// What guards took out of the first attempt stays out of the others, whatever their
// number of targets and dialect.
func TestFurtherAttemptsAreRedactedToo(t *testing.T) {
	for _, targets := range [][]inventory.Target{{{Provider: "up", Model: "gpt-4o-mini"}}, {{Provider: "dead", Model: "gpt-4o-mini"}, {Provider: "up", Model: "gpt-4o-mini"}}} {
		var calls atomic.Int32
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
			if calls.Add(1) == 1 {
				status(503)(w, q)
				return
			}
			answerPlain(w, q)
		})
		r.org().Routes["chat"] = &inventory.Route{Model: "chat", Targets: targets, MaxAttempts: 3}
		r.use()
		for _, prompt := range []string{"my card is 4111 1111 1111 1111", strings.Repeat("word ", 400_000) + "and my card is 4111 1111 1111 1111"} {
			calls.Store(0)
			if resp, answer := r.post(ask("chat", prompt)); resp.StatusCode != 200 || calls.Load() != 2 {
				t.Fatalf("%d after %d calls: %s", resp.StatusCode, calls.Load(), answer)
			}
			if body := string(r.body); strings.Contains(body, "4111") || !strings.Contains(body, `"model":"gpt-4o-mini"`) || len(body) < len(prompt) {
				t.Errorf("the last attempt sent %d bytes: %.100s", len(body), body)
			}
		}
	}
}

// Between two attempts everything is asked again; what does not hold any more ends the
// call, and nothing is sent to the next provider.
func TestFailoverIsCheckedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *rig, o *inventory.OrgView, k *inventory.Key)
		status int
		code   string
		went   string // where calls went
	}{
		{"nothing", func(*rig, *inventory.OrgView, *inventory.Key) {}, 200, "", "ac"},
		{"suspended", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Suspended = &inventory.Suspension{}
		}, 403, "system_suspended", "a"},
		{"key revoked", func(_ *rig, _ *inventory.OrgView, k *inventory.Key) { k.RevokedAt = time.Now() }, 401, "key_revoked", "a"},
		{"model taken from the key", func(_ *rig, _ *inventory.OrgView, k *inventory.Key) { k.Models = []string{"x"} }, 403, "model_not_allowed", "a"},
		{"budget too small for the dearer one", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.OrgBudgets = []*inventory.Budget{{ID: "all", Org: "acme", Scope: inventory.ScopeOrg, Limit: 100_000, Window: "month"}}
		}, 429, "budget_exceeded", "a"},
		{"its region is not allowed any more", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Regions = []string{"a"}
		}, 503, "", "a"},
		{"it moved to another region", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Regions = []string{"a", "c"}
			p := *o.Providers["c"]
			p.Region = "z"
			o.Providers["c"] = &p
		}, 503, "", "a"},
		{"the target is gone", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			v := *o.Routes["chat"]
			v.Targets = v.Targets[:1]
			o.Routes["chat"] = &v
		}, 503, "", "a"},
		{"ledger gone", func(r *rig, _ *inventory.OrgView, _ *inventory.Key) { r.rec.down = true }, 503, "ledger_unavailable", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := routed(t, func(v *inventory.Route) { v.Targets = slices.Delete(v.Targets, 1, 2); v.MaxAttempts = 2 })
			p["a"].answer = func(w http.ResponseWriter, q *http.Request) {
				org, key := *r.org(), *r.snap.Keys["k1"]
				system := *org.Systems["SYS-001"]
				org.Systems = map[inventory.SystemID]*inventory.System{"SYS-001": &system}
				org.Routes, org.Providers = maps.Clone(org.Routes), maps.Clone(org.Providers)
				r.rec.mu.Lock()
				c.change(r, &org, &key)
				r.rec.mu.Unlock()
				r.g.Use(context.Background(), &inventory.Snapshot{Revision: 2, Orgs: map[inventory.OrgID]*inventory.OrgView{"acme": &org}, Keys: map[inventory.KeyID]*inventory.Key{"k1": &key}})
				status(503, "X-Should-Retry", "false")(w, q)
			}
			resp, answer := r.post(ask("chat", "x"))
			went := strings.Repeat("a", p["a"].asked()) + strings.Repeat("c", p["c"].asked())
			want := c.code
			if c.status == 503 && want == "" {
				want, c.status = "upstream_error", 502 // what failed first stands
			}
			if resp.StatusCode != c.status || code(answer) != want || went != c.went {
				t.Errorf("%d after %s: %s", resp.StatusCode, went, answer)
			}
			r.rec.wait(t, 2)
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || (b.Charged > 0) != (c.status == 200) {
				t.Errorf("balance %+v", b)
			}
		})
	}
}

// Targets in regions that the system does not declare are passed over, and on record
// as such; when none is left the call is refused, before anything leaves.
func TestRegionsAreARuleOfTheGateway(t *testing.T) {
	for _, c := range []struct {
		name    string
		regions []string
		status  int
		went    string
		skipped []string
	}{
		{"none declared", nil, 200, "a", nil},
		{"one", []string{"c"}, 200, "c", []string{"region_not_allowed a/gpt-4o-mini", "region_not_allowed b/gpt-4o-mini"}},
		{"none there", []string{"eu"}, 403, "", []string{"region_not_allowed a/gpt-4o-mini", "region_not_allowed b/gpt-4o-mini", "region_not_allowed c/gpt-4o"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := routed(t, nil)
			r.org().Systems["SYS-001"].Regions = c.regions
			r.use()
			resp, answer := r.post(ask("chat", "x"))
			went := ""
			for _, id := range []inventory.ProviderID{"a", "b", "c"} {
				went += strings.Repeat(string(id), p[id].asked())
			}
			if resp.StatusCode != c.status || went != c.went || c.status == 403 && code(answer) != "region_not_allowed" {
				t.Errorf("%d to %q: %s", resp.StatusCode, went, answer)
			}
			if diff := cmp.Diff(c.skipped, r.rec.events[0].Skipped); diff != "" {
				t.Error(diff)
			}
		})
	}
	// A provider that declares no region is in none.
	r := newRig(t, answerPlain)
	r.org().Systems["SYS-001"].Regions = []string{"eu"}
	r.use()
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 403 || code(answer) != "region_not_allowed" || r.body != nil {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// An open breaker is passed over; if all are open, the best is tried.
func TestBreakersInThePath(t *testing.T) {
	r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:2] })
	p["a"].answer = status(500)
	for range 20 {
		if resp, answer := r.post(ask("chat", "x")); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
	}
	before := p["a"].asked()
	if resp, _ := r.post(ask("chat", "x")); resp.StatusCode != 200 || p["a"].asked() != before || before != 20 {
		t.Errorf("%d, %d and then %d calls to what is broken", resp.StatusCode, before, p["a"].asked())
	}
	r.rec.wait(t, 20*3+2)
	if e := r.rec.last(); e.Choice != routing.Bypass || !slices.Equal(e.Skipped, []string{"circuit_open a/gpt-4o-mini"}) {
		t.Errorf("%+v", e)
	}
	p["b"].answer = status(500)
	for range 20 {
		r.post(ask("chat", "x"))
	}
	p["a"].answer, p["b"].answer = answerPlain, answerPlain
	if resp, answer := r.post(ask("chat", "x")); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if e := r.rec.last(); e.Choice != routing.AllOpen || e.Breaker != event.BreakerOpen || e.Provider != "a" {
		t.Errorf("%+v", e)
	}
	var states []string
	for _, s := range r.g.Health("acme") {
		if s.Model == "gpt-4o-mini" && (s.Provider == "a" || s.Provider == "b") {
			states = append(states, fmt.Sprintf("%s %s %s", s.Provider, s.State, s.LastFailure))
		}
	}
	if diff := cmp.Diff([]string{"a open http_500", "b open http_500"}, states); diff != "" {
		t.Error(diff)
	}
}

// An outage does not double the traffic. Where nothing else is there, a dead provider
// gets each call once as soon as its breaker is open, and before that no more retries
// than its share.
func TestAnOutageIsNotMadeWorse(t *testing.T) {
	dead := func(t *testing.T, limits routing.Limits) (r *rig, asked func() int, outcomes func() map[uint32]int) {
		r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:1] })
		r.g.health = routing.NewHealth(limits, nil)
		now := time.Now()
		r.g.c.Now, r.g.c.Since = func() time.Time { return now }, func(time.Time) time.Duration { return 0 }
		r.use()
		p["a"].answer = status(503)
		return r, p["a"].asked, func() map[uint32]int {
			tries := map[uint32]int{}
			for _, e := range r.rec.events {
				if e.Kind == event.Outcome {
					tries[e.Tries]++
				}
			}
			return tries
		}
	}
	t.Run("before the breaker opens", func(t *testing.T) {
		r, asked, outcomes := dead(t, routing.Limits{Least: 1 << 30, RetryFloor: 3})
		for range 20 {
			if resp, answer := r.post(ask("chat", "x")); resp.StatusCode != 502 || code(answer) != "upstream_error" {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
		}
		r.rec.wait(t, 20+4+20)
		if diff := cmp.Diff(map[uint32]int{1: 16, 2: 4}, outcomes()); diff != "" || asked() != 24 {
			t.Errorf("%d calls to the provider; %s", asked(), diff)
		}
	})
	t.Run("while it is open", func(t *testing.T) {
		r, asked, outcomes := dead(t, routing.Limits{})
		for range 20 {
			r.post(ask("chat", "x"))
		}
		r.rec.wait(t, 20+10+20)
		if diff := cmp.Diff(map[uint32]int{1: 10, 2: 10}, outcomes()); diff != "" || asked() != 30 {
			t.Errorf("%d calls to the provider; %s", asked(), diff)
		}
		want := []routing.Retries{{Org: "acme", Provider: "a", RetryCounts: routing.RetryCounts{Made: 10, BreakerOpen: 10}}}
		got := slices.DeleteFunc(r.g.Retries(), func(c routing.Retries) bool { return c.Provider != "a" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A 429 of an hour: the call goes elsewhere at once, so do those after it, and where
// there is nothing else the caller gets the 429 with its time, at once.
func TestTooManyRequestsForAnHour(t *testing.T) {
	r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:2] })
	p["a"].answer = status(429, "Retry-After", "3600")
	for range 3 {
		if resp, answer := r.post(ask("chat", "x")); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
	}
	if p["a"].asked() != 1 || p["b"].asked() != 3 {
		t.Errorf("%d and %d calls", p["a"].asked(), p["b"].asked())
	}
	p["b"].answer = p["a"].answer
	began := time.Now()
	resp, answer := r.post(ask("chat", "x"))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "3600" || time.Since(began) > time.Second {
		t.Errorf("%d %v after %s: %s", resp.StatusCode, resp.Header, time.Since(began), answer)
	}
}

// A server error that asks for an hour is not waited for within the call, and nor is
// one that asks for longer than is sensible.
func TestServerErrorForAnHour(t *testing.T) {
	for _, after := range []string{"3600", "11"} {
		for _, code := range []int{500, 503, 408} {
			r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:1] })
			p["a"].answer = status(code, "Retry-After", after)
			resp, answer := r.post(ask("chat", "x"))
			if resp.StatusCode < 400 || p["a"].asked() != 1 {
				t.Errorf("%d after %s seconds: %d after %d calls: %s", code, after, resp.StatusCode, p["a"].asked(), answer)
			}
		}
	}
}

// A short wait is waited out at the only deployment there is, and no longer than the
// caller waits.
func TestWaitingForTheSameDeployment(t *testing.T) {
	for _, c := range []struct {
		name, wait, patience string
		status, calls        int
	}{
		{"waits", "0.2", "", 200, 2},
		{"longer than the caller does", "5", "2", 429, 1},
		{"longer than is sensible", "11", "", 429, 1},
		{"no time is named", "", "", 429, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:1] })
			var first atomic.Int64
			p["a"].answer = func(w http.ResponseWriter, q *http.Request) {
				if p["a"].asked() == 1 {
					first.Store(time.Now().UnixNano())
					status(429, "Retry-After", c.wait)(w, q)
					return
				}
				if since := time.Now().UnixNano() - first.Load(); since < int64(200*time.Millisecond) {
					t.Errorf("asked again after %s", time.Duration(since))
				}
				answerPlain(w, q)
			}
			resp, answer := r.raw("/v1/chat/completions", ask("chat", "x"), "X-Stainless-Timeout", c.patience)
			if resp.StatusCode != c.status || p["a"].asked() != c.calls {
				t.Errorf("%d after %d calls: %s", resp.StatusCode, p["a"].asked(), answer)
			}
		})
	}
}

// Timeouts of a route: an attempt that is not answered in time is given up on, and may
// be billed, so its hold stays and is charged.
func TestTimeoutsOfARoute(t *testing.T) {
	hang := func(w http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
	for _, c := range []struct {
		name   string
		change func(v *inventory.Route)
		answer func(http.ResponseWriter, *http.Request)
		stream bool
		status int
		code   string
		billed bool
	}{
		{"first byte", func(v *inventory.Route) { v.FirstByteTimeout = inventory.Duration(50 * time.Millisecond) }, hang, false, 200, "", true},
		{"attempt", func(v *inventory.Route) { v.AttemptTimeout = inventory.Duration(50 * time.Millisecond) }, hang, false, 200, "", true},
		{"attempt, one alone", func(v *inventory.Route) {
			v.AttemptTimeout, v.MaxAttempts = inventory.Duration(50*time.Millisecond), 1
		}, hang, false, 504, "upstream_timeout", false},
		{"deadline", func(v *inventory.Route) { v.Deadline = inventory.Duration(100 * time.Millisecond) }, hang, false, 504, "upstream_timeout", false},
		{"idle stream", func(v *inventory.Route) { v.IdleTimeout = inventory.Duration(50 * time.Millisecond) }, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello \"}}]}\n\n")
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		}, true, 200, "upstream_cut", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := routed(t, func(v *inventory.Route) { v.Targets = v.Targets[:2]; c.change(v) })
			p["a"].answer = c.answer
			body := ask("chat", "x")
			if c.stream {
				body = strings.Replace(body, "{", `{"stream":true,`, 1)
			}
			began := time.Now()
			resp, answer := r.post(body)
			if resp.StatusCode != c.status || c.code != "" && !strings.Contains(answer, c.code) || time.Since(began) > 5*time.Second {
				t.Errorf("%d after %s: %s", resp.StatusCode, time.Since(began), answer)
			}
			for strings.Count(r.rec.kinds(), "outcome") == 0 {
				time.Sleep(time.Millisecond)
			}
			e := r.rec.last()
			if hold := r.rec.events[0].Holds[0].Amount; c.billed && (e.Abandoned != hold || e.Charge != hold+10*150+3*600 || e.Held != 2*hold) || !c.billed && e.Abandoned != 0 {
				t.Errorf("held %s: %+v", hold, e)
			}
			if e.UpstreamErr != "" && e.UpstreamErr != "timeout" {
				t.Errorf("class %s", e.UpstreamErr)
			}
		})
	}
}

// Conditions on what guards find: the plan is made anew once they looked.
func TestRoutesByWhatWasFound(t *testing.T) {
	r, p := routed(t, func(v *inventory.Route) {
		v.Targets[0].When = map[string]inventory.OneOf{"data_class": {"none"}}
		v.Targets[1].When = map[string]inventory.OneOf{"data_class": {"email"}, "attribute.team": {"red"}}
		v.Targets = v.Targets[:2]
	})
	r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: inventory.Monitor}}}
	r.use()
	for _, c := range []struct {
		name, prompt, metadata string
		status                 int
		a, b                   int
	}{
		{"nothing", "hello", "", 200, 1, 0},
		{"an address", "write to jane@example.com", `{"team":"red"}`, 200, 1, 1},
		{"an address of another team", "write to jane@example.com", `{"team":"blue"}`, 403, 1, 1},
	} {
		resp, answer := r.raw("/v1/chat/completions", ask("chat", c.prompt), "X-Plumbline-Metadata", c.metadata)
		if resp.StatusCode != c.status || p["a"].asked() != c.a || p["b"].asked() != c.b || c.status == 403 && code(answer) != "no_target" {
			t.Errorf("%s: %d, %d and %d calls: %s", c.name, resp.StatusCode, p["a"].asked(), p["b"].asked(), answer)
		}
	}
	r.rec.wait(t, 5)
	if e := r.rec.events[2]; e.Provider != "b" || e.Choice != "priority" {
		t.Errorf("%+v", e)
	}
}

// A route that asks the cheapest first, as the price table has it.
func TestRouteByCost(t *testing.T) {
	r, p := routed(t, func(v *inventory.Route) {
		v.Strategy, v.Targets = inventory.ByCost, []inventory.Target{{Provider: "c", Model: "gpt-4o"}, {Provider: "b", Model: "gpt-4o-mini"}}
	})
	if resp, answer := r.post(ask("chat", "x")); resp.StatusCode != 200 || p["b"].asked() != 1 || p["c"].asked() != 0 {
		t.Errorf("%d, %d and %d calls: %s", resp.StatusCode, p["b"].asked(), p["c"].asked(), answer)
	}
}

// A key that may ask for a route may ask for it by its aliases; one that may ask for an
// alias alone may not ask for the route by its name. The list of models has both.
func TestAliasesAndKeys(t *testing.T) {
	for _, c := range []struct {
		may  []string
		ask  string
		want int
	}{{nil, "fast", 200}, {[]string{"chat"}, "fast", 200}, {[]string{"fast"}, "fast", 200}, {[]string{"fast"}, "chat", 403}, {[]string{"other"}, "fast", 403}} {
		r, _ := routed(t, nil)
		r.snap.Keys["k1"].Models = c.may
		r.use()
		if resp, answer := r.post(ask(c.ask, "x")); resp.StatusCode != c.want {
			t.Errorf("%v asks for %s: %d %s", c.may, c.ask, resp.StatusCode, answer)
		}
		_, list := r.send(http.MethodGet, "/v1/models", testKey, "")
		if has := strings.Contains(list, `"`+c.ask+`"`); has != (c.want == 200) {
			t.Errorf("%v: %s", c.may, list)
		}
	}
}

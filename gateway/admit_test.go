package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// Every carrier that clients use takes a key, none of them is passed on or logged.
func TestCarriersOfAKey(t *testing.T) {
	var log bytes.Buffer
	var got *http.Request
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) { got = q; answerPlain(w, q) })
	r.g.c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, c := range []struct {
		name, path, header, value string
		status                    int
	}{
		{"bearer", "", "Authorization", "Bearer " + testKey, 200},
		{"bearer in any case", "", "Authorization", "bearer  " + testKey, 200},
		{"x-api-key", "", "X-Api-Key", testKey, 200},
		{"api-key", "", "Api-Key", testKey, 200},
		{"x-goog-api-key", "", "X-Goog-Api-Key", testKey, 200},
		{"query", "?key=" + testKey, "", "", 200},
		{"query among others", "?beta=true&key=" + testKey, "", "", 200},
		{"basic", "", "Authorization", "Basic " + testKey, 401},
		{"no scheme", "", "Authorization", testKey, 401},
		{"wrong in the query", "?key=pk-k1-wrong", "", "", 401},
		{"other query", "?api=" + testKey, "", "", 401},
	} {
		got = nil
		req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions"+c.path, strings.NewReader(ask("gpt-4o-mini", "x")))
		if c.header != "" {
			req.Header.Set(c.header, c.value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		if got != nil && strings.Contains(fmt.Sprint(got.URL, got.Header), testKey) {
			t.Errorf("%s: the provider got %s %v", c.name, got.URL, got.Header)
		}
		if strings.Contains(string(answer), "secret") || strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the key shows in %s or %s", c.name, answer, log.String())
		}
	}
}

// Every answer carries the request id of its record, also where nothing is
// recorded.
func TestRequestIDIsOnEveryAnswer(t *testing.T) {
	r := newRig(t, answerPlain)
	for _, c := range []struct {
		method, path, key string
		status            int
		allow             string
	}{
		{http.MethodPost, "/v1/chat/completions", testKey, 200, ""},
		{http.MethodPost, "/v1/chat/completions", "", 401, ""},
		{http.MethodGet, "/v1/chat/completions", testKey, 405, "POST"},
		{http.MethodGet, "/v1/models", testKey, 200, ""},
		{http.MethodGet, "/v1/models/none", testKey, 404, ""},
		{http.MethodPost, "/v1/models", testKey, 405, "GET"},
		{http.MethodPut, "/v1/responses/resp_1", testKey, 405, "GET, DELETE"},
		{http.MethodPost, "/v1/nothing", testKey, 404, ""},
	} {
		resp, answer := r.send(c.method, c.path, c.key, ask("gpt-4o-mini", "x"))
		id := resp.Header.Get("X-Request-Id")
		if resp.StatusCode != c.status || len(id) < 20 {
			t.Errorf("%s %s: %d %q %s", c.method, c.path, resp.StatusCode, id, answer)
		}
		if resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s takes %q, want %q", c.method, c.path, resp.Header.Get("Allow"), c.allow)
		}
		if c.path != "/v1/models" || c.status != 200 {
			if e := r.rec.last(); e.Exchange.String() != id {
				t.Errorf("%s %s: record of %s, answer of %s", c.method, c.path, e.Exchange, id)
			}
		}
	}
}

// A key that belongs to no registered system is refused, or let pass and recorded
// as such, as the organisation says; policy may still refuse it.
func TestUnregisteredUse(t *testing.T) {
	r := newRig(t, answerPlain)
	r.org().Settings.Unregistered = "flag"
	r.use()
	if resp, answer := r.send(http.MethodPost, "/v1/chat/completions", "pk-k2-secret", ask("gpt-4o-mini", "mail anna@example.com")); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	e := r.rec.events[0]
	if e.System != "" || e.Key != "k2" || e.Kind != event.Intent || e.Prompt[0].State != event.Hit {
		t.Errorf("%+v", e)
	}
	r.org().Policies = []*inventory.Policy{{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"unregistered\" if not input.system.registered"}}
	r.use()
	if resp, answer := r.send(http.MethodPost, "/v1/chat/completions", "pk-k2-secret", ask("gpt-4o-mini", "x")); resp.StatusCode != 403 || code(answer) != "policy_denied" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if resp, _ := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 200 {
		t.Errorf("a registered system is refused: %d", resp.StatusCode)
	}
}

// What the register says of a system, at each of its stages.
func TestStatesOfASystem(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *inventory.System)
		code string
	}{
		{"in use", func(*inventory.System) {}, ""},
		{"pilot", func(s *inventory.System) { s.Lifecycle = inventory.Pilot }, ""},
		{"planned", func(s *inventory.System) { s.Lifecycle = inventory.Planned }, "system_not_in_use"},
		{"in development", func(s *inventory.System) { s.Lifecycle = inventory.Development }, "system_not_in_use"},
		{"retired", func(s *inventory.System) { s.Lifecycle = inventory.Retired }, "system_retired"},
		{"prohibited", func(s *inventory.System) { s.RiskClass = inventory.Prohibited }, "system_prohibited"},
		{"high risk", func(s *inventory.System) { s.RiskClass = inventory.HighRiskAnnexIII }, ""},
		{"rejected", func(s *inventory.System) { s.Approval.State = inventory.Rejected }, "system_unapproved"},
		{"never asked for", func(s *inventory.System) { s.Approval = inventory.Approval{} }, "system_unapproved"},
		{"valid for an hour", func(s *inventory.System) { s.Approval.Until = time.Now().Add(time.Hour) }, ""},
		{"ended", func(s *inventory.System) { s.Approval.Until = time.Now() }, "approval_expired"},
		{"renewal asked for", func(s *inventory.System) {
			s.Approval = inventory.Approval{State: inventory.Requested, Standing: &inventory.Approval{State: inventory.Approved, Until: time.Now().Add(time.Hour)}}
		}, ""},
		{"renewal rejected", func(s *inventory.System) {
			s.Approval = inventory.Approval{State: inventory.Rejected, Standing: &inventory.Approval{State: inventory.Approved}}
		}, ""},
		{"renewal asked for, and ended", func(s *inventory.System) {
			s.Approval = inventory.Approval{State: inventory.Requested, Standing: &inventory.Approval{State: inventory.Approved, Until: time.Now()}}
		}, "approval_expired"},
		{"withdrawn", func(s *inventory.System) { s.Approval.State = inventory.Withdrawn }, "system_unapproved"},
		{"suspended", func(s *inventory.System) { s.Suspended = &inventory.Suspension{} }, "system_suspended"},
		{"suspended and retired", func(s *inventory.System) {
			s.Suspended, s.Lifecycle = &inventory.Suspension{}, inventory.Retired
		}, "system_retired"},
	} {
		r := newRig(t, answerPlain)
		c.set(r.org().Systems["SYS-001"])
		r.org().Settings.Contact = "governance@acme.example"
		r.use()
		resp, answer := r.post(ask("gpt-4o-mini", "x"))
		want := 403
		if c.code == "" {
			want = 200
		}
		if resp.StatusCode != want || code(answer) != c.code || want == 403 && !strings.Contains(answer, "governance@acme.example") {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
}

// A stream in flight goes on when its system is suspended; the next exchange does
// not begin.
func TestSuspensionInMidStream(t *testing.T) {
	more := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(delta("first "))(w, q)
		<-more
		sse(delta("second "), "data: [DONE]\n\n")(w, q)
	})
	answered := make(chan string)
	go func() { _, answer := r.post(streamed); answered <- answer }()
	r.rec.wait(t, 1)
	r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{}
	r.use()
	if resp, answer := r.post(streamed); resp.StatusCode != 403 || code(answer) != "system_suspended" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	close(more)
	if answer := <-answered; !strings.Contains(answer, "second") || !strings.HasSuffix(answer, "[DONE]\n\n") {
		t.Errorf("%q", answer)
	}
}

// Between two attempts of one exchange everything is asked again.
func TestAttemptsAreCheckedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *rig, org *inventory.OrgView, key *inventory.Key)
		status int
		code   string
	}{
		{"nothing", func(*rig, *inventory.OrgView, *inventory.Key) {}, 200, ""},
		{"key revoked", func(_ *rig, _ *inventory.OrgView, k *inventory.Key) { k.RevokedAt = time.Now() }, 401, "key_revoked"},
		{"key expired", func(_ *rig, _ *inventory.OrgView, k *inventory.Key) { k.ExpiresAt = time.Now().Add(-time.Second) }, 401, "key_expired"},
		{"model taken from the key", func(_ *rig, _ *inventory.OrgView, k *inventory.Key) { k.Models = []string{"other"} }, 403, "model_not_allowed"},
		{"approval ended", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Approval.Until = time.Now().Add(-time.Second)
		}, 403, "approval_expired"},
		{"approval withdrawn", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Approval = inventory.Approval{State: inventory.Withdrawn}
		}, 403, "system_unapproved"},
		{"approval ended before its renewal", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Approval = inventory.Approval{State: inventory.Requested, Standing: &inventory.Approval{State: inventory.Approved, Until: time.Now().Add(-time.Second)}}
		}, 403, "approval_expired"},
		{"system retired", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Systems["SYS-001"].Lifecycle = inventory.Retired
		}, 403, "system_retired"},
		{"route gone", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) { delete(o.Routes, "gpt-4o-mini") }, 404, "model_not_found"},
		{"route changed", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.Routes["gpt-4o-mini"] = &inventory.Route{Model: "gpt-4o-mini", Provider: "up", Target: "gpt-4o"}
		}, 503, "route_changed"},
		{"region left", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			p := *o.Providers["up"]
			p.Region = "us"
			o.Providers["up"] = &p
		}, 403, "policy_denied"},
		{"budget lowered", func(_ *rig, o *inventory.OrgView, _ *inventory.Key) {
			o.OrgBudgets = []*inventory.Budget{{ID: "all", Org: "acme", Scope: inventory.ScopeOrg, Limit: 1, Window: "month"}}
		}, 429, "budget_exceeded"},
		{"ledger gone", func(r *rig, _ *inventory.OrgView, _ *inventory.Key) { r.rec.down = true }, 503, "ledger_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32
			var r *rig
			r = newRig(t, func(w http.ResponseWriter, q *http.Request) {
				if calls.Add(1) > 1 {
					answerPlain(w, q)
					return
				}
				org, key := *r.org(), *r.snap.Keys["k1"]
				system := *org.Systems["SYS-001"]
				org.Systems = map[inventory.SystemID]*inventory.System{"SYS-001": &system}
				org.Routes, org.Providers = maps.Clone(org.Routes), maps.Clone(org.Providers)
				r.rec.mu.Lock()
				c.change(r, &org, &key)
				r.rec.mu.Unlock()
				r.g.Use(context.Background(), &inventory.Snapshot{Revision: 2, Orgs: map[inventory.OrgID]*inventory.OrgView{"acme": &org}, Keys: map[inventory.KeyID]*inventory.Key{"k1": &key}})
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			p := *r.org().Providers["up"]
			p.Region = "eu"
			r.org().Providers["up"] = &p
			r.org().Policies = []*inventory.Policy{{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"region\" if input.provider.region != \"eu\""}}
			r.use()
			resp, answer := r.post(ask("gpt-4o-mini", "x"))
			want := int32(1)
			if c.status == 200 {
				want = 2
			}
			if resp.StatusCode != c.status || code(answer) != c.code || calls.Load() != want {
				t.Errorf("%d after %d calls: %s", resp.StatusCode, calls.Load(), answer)
			}
			r.rec.wait(t, 2)
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || (b.Charged > 0) != (c.status == 200) {
				t.Errorf("balance %+v", b)
			}
		})
	}
}

// A key's limits: so many a minute, over every endpoint, and so many at a time,
// whose places come back however a call ends.
func TestLimitsOfAKey(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) { <-release; answerPlain(w, q) })
	r.snap.Keys["k1"].Concurrency = 2
	r.use()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { r.post(ask("gpt-4o-mini", "x")) })
	}
	for r.g.InFlight() < 2 {
		time.Sleep(time.Millisecond)
	}
	r.rec.wait(t, 2)
	resp, answer := r.post(ask("gpt-4o-mini", "x"))
	if resp.StatusCode != 429 || code(answer) != "concurrency_limited" || resp.Header.Get("Retry-After") != "1" || resp.Header.Get("X-Should-Retry") != "" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
	}
	close(release)
	wg.Wait()
	for _, body := range []string{ask("gpt-4o-mini", "AKIAIOSFODNN7EXAMPLE"), ask("dead", "x"), ask("unpriced", "x"), ask("gpt-4o-mini", "x"), ask("gpt-4o-mini", "x")} {
		if resp, answer := r.post(body); resp.StatusCode == 429 {
			t.Errorf("a place did not come back: %s", answer)
		}
	}
	r.snap.Keys["k1"] = &inventory.Key{ID: "k1", Org: "acme", System: "SYS-001", Hash: hashKey("secret"), PerMinute: 3}
	r.use()
	limited := 0
	for range 4 {
		resp, answer = r.send(http.MethodGet, "/v1/models", testKey, "")
		if resp.StatusCode == 429 {
			limited++
			if code(answer) != "rate_limited" || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Retry-After-Ms") == "" {
				t.Errorf("%v %s", resp.Header, answer)
			}
		}
	}
	if limited == 0 {
		t.Error("four requests passed a limit of three a minute")
	}
}

// Policy is asked before the guards, with findings unknown, and after them, also
// where there is no guard; what a guard redacted does not leave, so it is not found.
func TestPolicyIsAskedTwice(t *testing.T) {
	for _, c := range []struct {
		name, rule, prompt string
		mode               inventory.GuardMode
		status             int
	}{
		{"before", `input.phase == "before"`, "x", inventory.Monitor, 403},
		{"findings before", "input.phase == \"before\"\n\tcount(input.found) >= 0", "mail anna@example.com", inventory.Monitor, 200},
		{"found", `"email" in input.found`, "mail anna@example.com", inventory.Monitor, 403},
		{"not found", `"email" in input.found`, "mail", inventory.Monitor, 200},
		{"redacted", `"email" in input.found`, "mail anna@example.com", inventory.Redact, 200},
		{"after without a guard", `input.phase == "after"`, "x", "", 403},
		{"unknown without a guard", `count(input.found) >= 0`, "x", "", 200},
	} {
		called := false
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) { called = true; answerPlain(w, q) })
		delete(r.org().Profiles, "default")
		if c.mode != "" {
			r.org().Profiles["default"] = &inventory.GuardProfile{ID: "default", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: c.mode}}}
		}
		r.org().Policies = []*inventory.Policy{{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"rule\" if {\n\t" + c.rule + "\n}"}}
		r.use()
		if resp, answer := r.post(ask("gpt-4o-mini", c.prompt)); resp.StatusCode != c.status || called != (c.status == 200) {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		if e := r.rec.last(); c.status == 403 && (e.Decision.Effect != event.EffectDeny || e.Decision.Rule != "p:rule") {
			t.Errorf("%s: %+v", c.name, e.Decision)
		}
	}
}

// A shadow policy's verdict, on either asking, is on record and changes nothing.
func TestShadowPolicyIsOnRecord(t *testing.T) {
	for _, phase := range []string{"before", "after"} {
		r := newRig(t, answerPlain)
		r.org().Policies = []*inventory.Policy{{ID: "s", Mode: "shadow", Source: "package plumbline\n\ndeny contains \"rule\" if input.phase == \"" + phase + "\""}}
		r.use()
		if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
		if d := r.rec.events[0].Decision; d.Effect != event.EffectAllow || d.ShadowEffect != event.EffectDeny || d.ShadowRule != "s:rule" || d.Revision == "" {
			t.Errorf("%s: %+v", phase, d)
		}
	}
}

// An organisation whose policies do not compile gets nothing, and others go on.
func TestBrokenPoliciesRefuse(t *testing.T) {
	r := newRig(t, answerPlain)
	org := *r.org()
	org.Policies = []*inventory.Policy{{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains"}}
	other := *r.org()
	snap := *r.snap
	snap.Orgs = map[inventory.OrgID]*inventory.OrgView{"acme": &org, "other": &other}
	snap.Keys = map[inventory.KeyID]*inventory.Key{"k1": r.snap.Keys["k1"], "k3": {ID: "k3", Org: "other", System: "SYS-001", Hash: hashKey("secret")}}
	if err := r.g.Use(t.Context(), &snap); err == nil || !strings.Contains(err.Error(), "acme") {
		t.Errorf("%v", err)
	}
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 403 || code(answer) != "policy_broken" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if resp, answer := r.send(http.MethodPost, "/v1/chat/completions", "pk-k3-secret", ask("gpt-4o-mini", "x")); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// A register that could not be confirmed is not obeyed.
func TestAStaleRegisterRefuses(t *testing.T) {
	r := newRig(t, answerPlain)
	r.g.c.Fresh = func() bool { return false }
	resp, answer := r.post(ask("gpt-4o-mini", "x"))
	if resp.StatusCode != 503 || code(answer) != "register_stale" || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
	}
}

func usd(cents int64) money.Nano { return money.Nano(cents) * money.Dollar / 100 }

// Whichever of the three budgets is short: the call is refused, nothing stays held
// in the others, and the refusal says not to come again.
func TestEveryBudgetIsAsked(t *testing.T) {
	for _, short := range []inventory.BudgetScope{inventory.ScopeKey, inventory.ScopeSystem, inventory.ScopeOrg} {
		r := newRig(t, answerPlain)
		limit := func(s inventory.BudgetScope) []*inventory.Budget {
			b := &inventory.Budget{ID: inventory.BudgetID(s), Org: "acme", Scope: s, Limit: usd(100), Window: "day"}
			if s == short {
				b.Limit = 10
			}
			return []*inventory.Budget{b}
		}
		o := r.org()
		o.KeyBudgets["k1"], o.SystemBudgets["SYS-001"], o.OrgBudgets = limit(inventory.ScopeKey), limit(inventory.ScopeSystem), limit(inventory.ScopeOrg)
		r.use()
		resp, answer := r.post(ask("gpt-4o-mini", "x"))
		var e struct {
			Error struct{ Type, Message string }
		}
		json.Unmarshal([]byte(answer), &e)
		if resp.StatusCode != 429 || code(answer) != "budget_exceeded" || resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("Retry-After") != "" || e.Error.Type != "insufficient_quota" ||
			!strings.Contains(e.Error.Message, string(short)) || !strings.Contains(e.Error.Message, "until") {
			t.Errorf("%s: %d %v %s", short, resp.StatusCode, resp.Header, answer)
		}
		for _, b := range []*inventory.Budget{o.KeyBudgets["k1"][0], o.SystemBudgets["SYS-001"][0], o.OrgBudgets[0]} {
			if got := r.g.c.Budgets.Now(b); got.Held != 0 || got.Charged != 0 {
				t.Errorf("%s short, %s: %+v", short, b.ID, got)
			}
		}
	}
}

// However a call ends, its hold is gone and its charge is right.
func TestHoldsAreSettled(t *testing.T) {
	usage := func(in, out int) string {
		return fmt.Sprintf(`{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"content":"Hi"}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, in, out)
	}
	for _, c := range []struct {
		name      string
		upstream  http.HandlerFunc
		body      string
		charged   func(held money.Nano) money.Nano
		overspent bool
		source    event.UsageSource
	}{
		{"answered", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, usage(10, 3)) }, ask("gpt-4o-mini", "x"), func(money.Nano) money.Nano { return 10*150 + 3*600 }, false, event.UsageProvider},
		{"more than was held", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, usage(10, 5000)) }, ask("gpt-4o-mini", "x"), func(money.Nano) money.Nano { return 10*150 + 5000*600 }, true, event.UsageProvider},
		{"no usage", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"four words of text"}}]}`)
		}, ask("gpt-4o-mini", "abcdefgh"), func(money.Nano) money.Nano { return 2*150 + 5*600 }, false, event.UsageCounted},
		{"error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, ask("gpt-4o-mini", "x"), func(money.Nano) money.Nano { return 0 }, false, event.UsageCounted},
		{"error in a good answer", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"error":{"message":"canary"}}`) }, ask("gpt-4o-mini", "x"), func(money.Nano) money.Nano { return 0 }, false, event.UsageCounted},
		{"unreachable", answerPlain, ask("dead", "x"), func(money.Nano) money.Nano { return 0 }, false, event.UsageCounted},
		{"no answer in time", func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, ask("gpt-4o-mini", "x"), func(held money.Nano) money.Nano { return held }, false, event.UsageEstimated},
		{"unpriced, allowed by the operator", answerPlain, ask("unpriced", "x"), func(money.Nano) money.Nano { return 0 }, false, event.UsageProvider},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.upstream)
			r.g.c.Timeout = 300 * time.Millisecond
			r.org().Routes["unpriced"].Unpriced = true
			r.use()
			_, answer := r.post(c.body)
			r.rec.wait(t, 2)
			e := r.rec.last()
			got := r.g.c.Budgets.Now(r.org().OrgBudgets[0])
			if want := c.charged(e.Held); got.Held != 0 || got.Charged != want || e.Charge != want || (got.Overspent > 0) != c.overspent || e.Source != c.source {
				t.Errorf("%s: %+v, record charge %d of %d, source %d, want %d", answer, got, e.Charge, e.Held, e.Source, want)
			}
			if strings.Contains(answer, "canary") {
				t.Errorf("%s", answer)
			}
		})
	}
}

// What is held covers the whole body, every choice, and images.
func TestWhatIsHeld(t *testing.T) {
	r := newRig(t, answerPlain)
	held := func(body string) money.Nano {
		t.Helper()
		if resp, answer := r.post(body); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
		return r.rec.last().Held
	}
	plain := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"max_tokens":100%s}`
	one := held(fmt.Sprintf(plain, ""))
	if want := money.Nano(len(fmt.Sprintf(plain, ""))*150 + 100*600); one != want {
		t.Errorf("held %d, want %d", one, want)
	}
	if n := held(fmt.Sprintf(plain, `,"n":3`)); n < one+2*100*600 {
		t.Errorf("three choices hold %d, one %d", n, one)
	}
	if n := held(fmt.Sprintf(plain, `,"max_completion_tokens":500`)); n < one+400*600 {
		t.Errorf("the larger limit holds %d", n)
	}
	if n := held(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}]}`); n < 16384*600 {
		t.Errorf("without a limit %d are held", n)
	}
	image := `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("QUJD", 50_000) + `"}}`
	if n := held(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":[` + image + `]}],"max_tokens":100}`); n < mediaTokens*150 || n > (mediaTokens+1000)*150+100*600 {
		t.Errorf("an image holds %d", n)
	}
}

// Fifty callers at once never get more than their budget, and all of it.
func TestCallersShareABudget(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"x"}}],"usage":{"prompt_tokens":100,"completion_tokens":100}}`)
	})
	const cost = 100*150 + 100*600
	r.org().OrgBudgets[0].Limit = 20 * cost
	r.use()
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("x", 30) + `"}],"max_tokens":100}`
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if resp, _ := r.post(body); resp.StatusCode == 200 {
				passed.Add(1)
			}
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Charged+b.Held > 20*cost {
				t.Errorf("%+v is promised of %d", b, 20*cost)
			}
		})
	}
	wg.Wait()
	if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Charged != money.Nano(passed.Load())*cost || b.Held != 0 || passed.Load() == 0 || passed.Load() > 20 {
		t.Errorf("%d passed: %+v", passed.Load(), b)
	}
}

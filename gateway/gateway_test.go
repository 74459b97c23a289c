package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/event"
	"plumbline/gateway/price"
	"plumbline/gateway/provider/credential"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// recorder keeps events, durable at once unless it is down.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
	down   bool
	stuck  bool // takes intents and then breaks the promise
	onSeen func(e *event.Event)
}

func (r *recorder) Submit(e *event.Event) (*event.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down && e.Kind != event.Outcome {
		return nil, event.ErrUnavailable
	}
	c := *e
	c.Prompt = append([]event.Verdict(nil), e.Prompt...)
	c.AnswerGuard = append([]event.Verdict(nil), e.AnswerGuard...)
	c.Holds = append([]event.Hold(nil), e.Holds...)
	r.events = append(r.events, c)
	if r.onSeen != nil {
		r.onSeen(&c)
	}
	p := event.NewCommit()
	if r.stuck && e.Kind == event.Intent {
		p.Resolve(event.ErrUnavailable)
	} else {
		p.Resolve(nil)
	}
	return p, nil
}

func (r *recorder) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		out = append(out, map[event.Kind]string{1: "intent", 2: "attempt", 3: "outcome", 4: "refused"}[e.Kind])
	}
	return strings.Join(out, " ")
}

func (r *recorder) last() event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// wait returns once the exchange has its outcome.
func (r *recorder) wait(t *testing.T, n int) {
	t.Helper()
	for range 500 {
		r.mu.Lock()
		got := len(r.events)
		r.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %d records: %s", n, r.kinds())
}

// rig is a gateway with one organisation, and an upstream under the test's hand.
type rig struct {
	t    testing.TB
	g    *Gateway
	rec  *recorder
	snap *inventory.Snapshot
	srv  *httptest.Server
	up   *httptest.Server
	mu   sync.Mutex
	body []byte // the request body that reached the upstream last
	env  map[string]string
}

func (r *rig) resolve(reference string) (string, error) {
	if v := r.env[reference]; v != "" {
		return v, nil
	}
	return "", errors.New("not set")
}

const testKey = "pk-k1-secret"

func hashKey(secret string) [32]byte { return sha256.Sum256([]byte("pepper" + secret)) }

func newRig(t testing.TB, upstream http.HandlerFunc) *rig {
	prices, err := price.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, rec: &recorder{}}
	r.up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.body = body
		r.mu.Unlock()
		upstream(w, q)
	}))
	t.Cleanup(r.up.Close)
	r.env = map[string]string{"env:UP": "sk-upstream"}
	keys, err := credential.New(credential.Config{Resolve: r.resolve})
	if err != nil {
		t.Fatal(err)
	}
	r.g, err = New(Config{Recorder: r.rec, Credentials: keys, Budgets: budget.New(time.Now), Prices: prices, HashKey: hashKey, Hangup: time.Second,
		ContentKey: func(string, string, time.Time) ([32]byte, error) { return [32]byte{1}, nil },
		Pseudonym:  func(string) ([32]byte, error) { return [32]byte{2}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	key := &inventory.Key{ID: "k1", Org: "acme", System: "SYS-001", Hash: hashKey("secret")}
	org := &inventory.OrgView{
		Org:     inventory.Org{ID: "acme"},
		Systems: map[inventory.SystemID]*inventory.System{"SYS-001": {ID: "SYS-001", Org: "acme", Lifecycle: inventory.InUse, Approval: inventory.Approval{State: inventory.Approved}}},
		Providers: map[inventory.ProviderID]*inventory.Provider{"up": {ID: "up", Kind: "openai", BaseURL: r.up.URL + "/v1", CredentialRef: "env:UP"},
			"sim": {ID: "sim", Kind: "simulated"}, "dead": {ID: "dead", Kind: "openai", BaseURL: "http://127.0.0.1:9/v1"}},
		Routes: map[string]*inventory.Route{"gpt-4o-mini": {Model: "gpt-4o-mini", Provider: "up"}, "alias": {Model: "alias", Provider: "up", Target: "gpt-4o-mini"},
			"sim-small": {Model: "sim-small", Provider: "sim"}, "sim-cut": {Model: "sim-cut", Provider: "sim"}, "sim-embed": {Model: "sim-embed", Provider: "sim"}, "dead": {Model: "dead", Provider: "dead", Target: "gpt-4o-mini"},
			"unpriced": {Model: "unpriced", Provider: "up"}},
		Profiles: map[inventory.ProfileID]*inventory.GuardProfile{"default": {ID: "default", Guards: []inventory.GuardSetting{
			{Guard: "pii", Mode: inventory.Redact}, {Guard: "secrets", Mode: inventory.Block}, {Guard: "injection", Mode: inventory.Monitor}}}},
		SystemBudgets: map[inventory.SystemID][]*inventory.Budget{}, KeyBudgets: map[inventory.KeyID][]*inventory.Budget{},
		OrgBudgets: []*inventory.Budget{{ID: "all", Org: "acme", Scope: inventory.ScopeOrg, Limit: 100 * money.Dollar, Window: "month"}},
	}
	r.snap = &inventory.Snapshot{Revision: 1, Orgs: map[inventory.OrgID]*inventory.OrgView{"acme": org}, Keys: map[inventory.KeyID]*inventory.Key{"k1": key,
		"k2": {ID: "k2", Org: "acme", Hash: hashKey("secret")}}}
	r.use()
	r.srv = httptest.NewServer(r.g)
	t.Cleanup(r.srv.Close)
	return r
}

// use puts a copy into force: a snapshot never changes.
func (r *rig) use() {
	snap := *r.snap
	snap.Orgs = map[inventory.OrgID]*inventory.OrgView{}
	for id, o := range r.snap.Orgs {
		c := *o
		c.Systems, c.Providers, c.Profiles = maps.Clone(o.Systems), maps.Clone(o.Providers), maps.Clone(o.Profiles)
		snap.Orgs[id] = &c
	}
	if err := r.g.Use(context.Background(), &snap); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) org() *inventory.OrgView { return r.snap.Orgs["acme"] }

func (r *rig) post(body string) (*http.Response, string) {
	return r.send(http.MethodPost, "/v1/chat/completions", testKey, body)
}

func (r *rig) send(method, path, key, body string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.srv.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		answer = append(answer, "<"+err.Error()+">"...)
	}
	return resp, string(answer)
}

func code(answer string) string {
	var e struct{ Error struct{ Code string } }
	json.Unmarshal([]byte(answer), &e)
	return e.Error.Code
}

const plainAnswer = `{"id":"c1","model":"gpt-4o-mini-2024-07-18","big":12345678901234567890,"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."}}],"usage":{"prompt_tokens":10,"completion_tokens":3}}`

func answerPlain(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, plainAnswer)
}

func ask(model, prompt string) string {
	b, _ := json.Marshal(map[string]any{"model": model, "messages": []any{map[string]string{"role": "user", "content": prompt}}, "max_tokens": 50})
	return string(b)
}

func TestOneCall(t *testing.T) {
	r := newRig(t, answerPlain)
	r.rec.onSeen = func(e *event.Event) {
		if e.Kind == event.Intent && r.body != nil {
			t.Error("the upstream was called before the intent was durable")
		}
	}
	body := `{"model":"alias","messages":[{"role":"user","content":"Hi"}],"seed":98765432109876543210,"future_field":{"a":[1.50,null]},"user":"u-7"}`
	resp, answer := r.post(body)
	if resp.StatusCode != 200 || answer != plainAnswer {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	if want := strings.Replace(body, `"alias"`, `"gpt-4o-mini"`, 1); string(r.body) != want {
		t.Errorf("upstream got %s\nwant %s", r.body, want)
	}
	if got := r.rec.kinds(); got != "intent outcome" {
		t.Fatalf("records: %s", got)
	}
	in, out := r.rec.events[0], r.rec.events[1]
	if in.Exchange.String() != resp.Header.Get("X-Request-Id") || out.Exchange != in.Exchange {
		t.Error("request id differs")
	}
	if out.Usage.Input != 10 || out.Usage.Output != 3 || out.Source != event.UsageProvider || out.Charge != 10*150+3*600 || out.ModelServed != "gpt-4o-mini-2024-07-18" || out.End != event.EndComplete {
		t.Errorf("outcome %+v", out)
	}
	if len(in.Holds) != 1 || in.Holds[0].Amount < out.Charge || in.Request == [32]byte{} || out.Answer == [32]byte{} || in.Pseudonym == [16]byte{} {
		t.Errorf("intent %+v", in)
	}
	if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || b.Charged != out.Charge {
		t.Errorf("balance %+v", b)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(r *rig)
		key    string
		body   string
		status int
		code   string
	}{
		{"no key", nil, "none", ask("gpt-4o-mini", "x"), 401, "key_missing"},
		{"unknown key", nil, "pk-k9-secret", ask("gpt-4o-mini", "x"), 401, "key_unknown"},
		{"wrong secret", nil, "pk-k1-other", ask("gpt-4o-mini", "x"), 401, "key_unknown"},
		{"revoked", func(r *rig) { r.snap.Keys["k1"].RevokedAt = time.Now() }, testKey, ask("gpt-4o-mini", "x"), 401, "key_revoked"},
		{"expired", func(r *rig) { r.snap.Keys["k1"].ExpiresAt = time.Now().Add(-time.Hour) }, testKey, ask("gpt-4o-mini", "x"), 401, "key_expired"},
		{"unregistered", nil, "pk-k2-secret", ask("gpt-4o-mini", "x"), 403, "system_unregistered"},
		{"unapproved", func(r *rig) { r.org().Systems["SYS-001"].Approval.State = inventory.Requested }, testKey, ask("gpt-4o-mini", "x"), 403, "system_unapproved"},
		{"approval over", func(r *rig) { r.org().Systems["SYS-001"].Approval.Until = time.Now().Add(-time.Hour) }, testKey, ask("gpt-4o-mini", "x"), 403, "approval_expired"},
		{"suspended", func(r *rig) { r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{} }, testKey, ask("gpt-4o-mini", "x"), 403, "system_suspended"},
		{"retired", func(r *rig) { r.org().Systems["SYS-001"].Lifecycle = inventory.Retired }, testKey, ask("gpt-4o-mini", "x"), 403, "system_retired"},
		{"model of the key", func(r *rig) { r.snap.Keys["k1"].Models = []string{"alias"} }, testKey, ask("gpt-4o-mini", "x"), 403, "model_not_allowed"},
		{"no route", nil, testKey, ask("nothing", "x"), 404, "model_not_found"},
		{"unpriced", nil, testKey, ask("unpriced", "x"), 403, "model_unpriced"},
		{"policy", func(r *rig) {
			r.org().Policies = []*inventory.Policy{{ID: "p", Mode: "enforce", Source: "package plumbline\n\ndeny contains \"never\" if true"}}
		}, testKey, ask("gpt-4o-mini", "x"), 403, "policy_denied"},
		{"budget", func(r *rig) { r.org().OrgBudgets[0].Limit = 1 }, testKey, ask("gpt-4o-mini", "x"), 429, "budget_exceeded"},
		{"rate", func(r *rig) { k := r.snap.Keys["k1"]; k.PerMinute = 1; r.g.c.Budgets.Admit(k, time.Now()) }, testKey, ask("gpt-4o-mini", "x"), 429, "rate_limited"},
		{"secret", nil, testKey, ask("gpt-4o-mini", "AKIAIOSFODNN7EXAMPLE"), 400, "guard_blocked"},
		{"duplicate key", nil, testKey, `{"model":"gpt-4o-mini","model":"alias"}`, 400, "body_duplicate_key"},
		{"not JSON", nil, testKey, `{"model":`, 400, "body_malformed"},
		{"no model", nil, testKey, `{}`, 400, "model_missing"},
		{"too large", nil, testKey, `{"model":"` + strings.Repeat("x", MaxBody) + `"}`, 413, "body_too_large"},
		{"ledger down", func(r *rig) { r.rec.down = true }, testKey, ask("gpt-4o-mini", "x"), 503, "ledger_unavailable"},
		{"promise broken", func(r *rig) { r.rec.stuck = true }, testKey, ask("gpt-4o-mini", "x"), 503, "ledger_unavailable"},
		{"suspended while the ledger is down", func(r *rig) {
			r.rec.down = true
			r.org().Systems["SYS-001"].Suspended = &inventory.Suspension{}
		}, testKey, ask("gpt-4o-mini", "x"), 403, "system_suspended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			called := false
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) { called = true; answerPlain(w, q) })
			if c.set != nil {
				c.set(r)
				r.use()
			}
			key := c.key
			if key == "none" {
				key = ""
			}
			resp, answer := r.send(http.MethodPost, "/v1/chat/completions", key, c.body)
			if resp.StatusCode != c.status || code(answer) != c.code {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			if called {
				t.Error("the upstream was called")
			}
			if resp.Header.Get("X-Request-Id") == "" {
				t.Error("no x-request-id")
			}
			if c.code == "budget_exceeded" && resp.Header.Get("X-Should-Retry") != "false" || c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Errorf("headers %v", resp.Header)
			}
			if !r.rec.down && !r.rec.stuck {
				if e := r.rec.last(); e.Kind != event.Refused || e.Code != c.code || e.Exchange.String() != resp.Header.Get("X-Request-Id") {
					t.Errorf("record %+v", e)
				}
			}
			if b := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); b.Held != 0 || b.Charged != 0 {
				t.Errorf("a refusal left %+v", b)
			}
		})
	}
}

func sse(frames ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, f := range frames {
			io.WriteString(w, f)
			w.(http.Flusher).Flush()
		}
	}
}

func delta(text string) string {
	b, _ := json.Marshal(map[string]any{"id": "c", "choices": []any{map[string]any{"index": 0, "delta": map[string]string{"content": text}}}})
	return "data: " + string(b) + "\n\n"
}

const usageFrame = `data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}` + "\n\n"

func TestStreamAsksForUsageAndTakesItOutAgain(t *testing.T) {
	r := newRig(t, sse(delta("Hello "), ": keep-alive\n\n", delta("there."), usageFrame, "data: [DONE]\n\n"))
	_, answer := r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"x"}]}`)
	if want := delta("Hello ") + ": keep-alive\n\n" + delta("there.") + "data: [DONE]\n\n"; answer != want {
		t.Errorf("%q\nwant %q", answer, want)
	}
	if !bytes.Contains(r.body, []byte(`"stream_options":{"include_usage":true}`)) {
		t.Errorf("upstream got %s", r.body)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Usage.Output != 5 || e.Source != event.UsageProvider || e.End != event.EndComplete {
		t.Errorf("%+v", e)
	}
	_, answer = r.post(`{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[]}`)
	if !strings.Contains(answer, usageFrame) {
		t.Errorf("usage that the caller asked for is gone: %q", answer)
	}
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: r.up.URL + "/v1", NoStreamUsage: true}
	r.use()
	r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"four words of text"}]}`)
	r.rec.wait(t, 6)
	if bytes.Contains(r.body, []byte("stream_options")) {
		t.Errorf("a provider that refuses it was asked: %s", r.body)
	}
}

func TestUsageIsCountedAndLabelledWhenTheProviderSaysNothing(t *testing.T) {
	r := newRig(t, sse(delta("Hello there."), "data: [DONE]\n\n"))
	r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"sixteen letters!"}]}`)
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.Source != event.UsageCounted || e.Usage.Input != 4 || e.Usage.Output != 3 || e.Charge == 0 {
		t.Errorf("%+v", e)
	}
}

func TestRedactionAcrossChunks(t *testing.T) {
	r := newRig(t, sse(delta("Mail anna@exa"), delta("mple.com or pay 4111 1111"), delta(" 1111 1111"), delta(" now."), usageFrame, "data: [DONE]\n\n"))
	_, answer := r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"write to bo@example.com"}]}`)
	var text strings.Builder
	for _, f := range strings.Split(answer, "\n\n") {
		var c struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if json.Unmarshal([]byte(strings.TrimPrefix(f, "data: ")), &c) == nil && len(c.Choices) > 0 {
			text.WriteString(c.Choices[0].Delta.Content)
		}
	}
	if text.String() != "Mail [EMAIL] or pay [CARD] now." || !strings.HasSuffix(answer, "data: [DONE]\n\n") {
		t.Errorf("%q in %q", text.String(), answer)
	}
	if !bytes.Contains(r.body, []byte("write to [EMAIL]")) {
		t.Errorf("prompt went out as %s", r.body)
	}
	r.rec.wait(t, 2)
	if v := r.rec.last().AnswerGuard[0]; v.State != event.Hit || v.Action != event.ActionRedacted || v.Hits != 2 {
		t.Errorf("%+v", v)
	}
}

func TestBlockInMidStream(t *testing.T) {
	r := newRig(t, sse(delta("The key is "), delta("AKIAIOSFODNN7"), delta("EXAMPLE."), delta(" More."), "data: [DONE]\n\n"))
	_, answer := r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[]}`)
	if strings.Contains(answer, "AKIA") || strings.Contains(answer, "[DONE]") || !strings.Contains(answer, "guard_blocked") {
		t.Errorf("%q", answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndBlocked || e.Code != "guard_blocked" || e.AnswerGuard[1].At == 0 {
		t.Errorf("%+v", e)
	}
}

func TestUpstreamCutInMidStream(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(delta("Half of "))(w, q)
		panic(http.ErrAbortHandler)
	})
	_, answer := r.post(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"x"}]}`)
	if strings.Contains(answer, "[DONE]") || !strings.Contains(answer, "upstream_cut") || !strings.Contains(answer, "Half of") {
		t.Errorf("%q", answer)
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndCut || e.Source != event.UsagePartial || e.Usage.Output == 0 {
		t.Errorf("%+v", e)
	}
}

func TestCallerGoneInMidStream(t *testing.T) {
	more := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		sse(delta("Some words. "))(w, q)
		<-more
		sse(delta("More words."), usageFrame, "data: [DONE]\n\n")(w, q)
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","stream":true,"messages":[]}`))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 10))
	cancel()
	resp.Body.Close()
	time.Sleep(50 * time.Millisecond)
	close(more)
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.End != event.EndClientGone || e.Usage.Output != 5 || e.Source != event.UsageProvider || e.Charge == 0 {
		t.Errorf("%+v", e)
	}
}

func TestFurtherAttemptsAreRecordedAndCheckedAgain(t *testing.T) {
	calls := 0
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answerPlain(w, q)
	})
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 200 {
		t.Fatal(answer)
	}
	if got := r.rec.kinds(); got != "intent attempt outcome" || r.rec.last().Tries != 2 {
		t.Fatalf("%s", got)
	}
	// Suspended between two attempts: the second is not sent.
	calls = 0
	r.rec.onSeen = func(e *event.Event) {
		if e.Kind == event.Intent {
			r.rec.onSeen = nil
			s := *r.org().Systems["SYS-001"]
			s.Suspended = &inventory.Suspension{}
			org := *r.org()
			org.Systems = map[inventory.SystemID]*inventory.System{"SYS-001": &s}
			r.g.Use(context.Background(), &inventory.Snapshot{Revision: 2, Orgs: map[inventory.OrgID]*inventory.OrgView{"acme": &org}, Keys: r.snap.Keys})
		}
	}
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 403 || calls != 1 {
		t.Errorf("%d after %d calls: %s", resp.StatusCode, calls, answer)
	}
}

func TestUpstreamFailures(t *testing.T) {
	for _, c := range []struct {
		name, model     string
		upstream        http.HandlerFunc
		status          int
		code, upstream2 string
	}{
		{"unreachable", "dead", answerPlain, 502, "upstream_unreachable", "refused"},
		{"server error", "gpt-4o-mini", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 502, "upstream_error", "http_500"},
		{"our credential", "gpt-4o-mini", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 502, "upstream_credential", "http_401"},
		{"not JSON", "gpt-4o-mini", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, 502, "upstream_bad_answer", "bad_answer"},
	} {
		r := newRig(t, c.upstream)
		resp, answer := r.post(ask(c.model, "x"))
		e := r.rec.last()
		if resp.StatusCode != c.status || code(answer) != c.code || e.UpstreamErr != c.upstream2 || e.Charge != 0 || e.Kind != event.Outcome || resp.Header.Get(hdrProvider) != e.Provider {
			t.Errorf("%s: %d %s %+v", c.name, resp.StatusCode, answer, e)
		}
	}
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		io.WriteString(w, `{"error":{"message":"max_tokens is too large","code":"invalid"}}`)
	})
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 400 || code(answer) != "invalid" {
		t.Errorf("what the provider says about the request: %d %s", resp.StatusCode, answer)
	}
}

func TestSimulatedProviderModelsAndEmbeddings(t *testing.T) {
	r := newRig(t, answerPlain)
	resp, answer := r.post(ask("sim-small", "Hi"))
	if resp.StatusCode != 200 || !strings.Contains(answer, `"usage"`) || !r.rec.last().Simulated {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if _, again := r.post(ask("sim-small", "Hi")); again != answer {
		t.Error("the same request got another answer")
	}
	if _, answer = r.post(`{"model":"sim-cut","stream":true,"messages":[{"role":"user","content":"x"}]}`); !strings.Contains(answer, "upstream_cut") {
		t.Errorf("%s", answer)
	}
	if resp, answer = r.send(http.MethodPost, "/v1/embeddings", testKey, `{"model":"sim-embed","input":["a"]}`); resp.StatusCode != 200 || !strings.Contains(answer, `"embedding"`) {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	resp, answer = r.send(http.MethodGet, "/v1/models", testKey, "")
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(answer), &list); err != nil || len(list.Data) != 7 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if resp, _ = r.send(http.MethodGet, "/v1/models/alias", testKey, ""); resp.StatusCode != 200 {
		t.Errorf("one model: %d", resp.StatusCode)
	}
	if resp, answer = r.send(http.MethodPost, "/v1/other", testKey, "{}"); resp.StatusCode != 404 || code(answer) != "unknown_endpoint" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

func TestDrainWaitsForWhatIsRunning(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) { <-release; answerPlain(w, q) })
	done := make(chan int)
	go func() { resp, _ := r.post(ask("gpt-4o-mini", "x")); done <- resp.StatusCode }()
	for r.g.InFlight() == 0 {
		time.Sleep(time.Millisecond)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.g.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drained while a call ran: %v", err)
	}
	if resp, answer := r.post(ask("gpt-4o-mini", "x")); resp.StatusCode != 503 || code(answer) != "draining" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	close(release)
	if err := r.g.Drain(t.Context()); err != nil || <-done != 200 {
		t.Error("the running call was not answered")
	}
}

func TestStagesArePrintable(t *testing.T) {
	r := newRig(t, answerPlain)
	if got := strings.Join(r.g.Stages(), ", "); got != "identify, decode, admit, decide, inspect prompt, hold, commit intent, forward, settle and record" {
		t.Error(got)
	}
}

// The way of one request in docs/architecture.md goes through the stages as they
// are, in their order.
func TestStagesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^\d+\. \*\*(.+?)\.\*\*`).FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	if diff := cmp.Diff(newRig(t, answerPlain).g.Stages(), told); diff != "" {
		t.Error(diff)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(delta("x") + ": c\n\n" + usageFrame + "data: [DONE]\n\n"))
	f.Add([]byte("data: a\r\n\r\nevent: e\ndata:b\n\n"))
	f.Add([]byte("data: cut"))
	f.Add([]byte("event: m\ndata: {\"a\":\n: c\ndata: 1}\n\ndata\ndata\n\n\n\ndata:[DONE]\r\n\r\n"))
	f.Add([]byte("\r\r\n\ndata: long after blank lines" + strings.Repeat(" and more", 200) + "\r\n\r\ndata: next\n\n"))
	store, err := spill.New(spill.Config{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, long := &frames{r: newReader(b)}, &frames{r: newReader(b), store: store, short: 8, ctx: t.Context()}
		defer long.drop()
		total := 0
		for {
			data, err := fr.next()
			through, err2 := long.next() // by way of a file
			if err != err2 || err == nil && (!bytes.Equal(data, through) || (data == nil) != (through == nil) || !bytes.Equal(fr.raw, long.raw)) {
				t.Fatalf("%q %v, long %q %v", data, err, through, err2)
			}
			if err != nil {
				break
			}
			if data != nil && !bytes.Contains(fr.raw, data) {
				t.Fatal("data is not of its frame")
			}
			total += len(fr.raw)
		}
		if total > len(b) {
			t.Fatalf("%d bytes of %d", total, len(b))
		}
	})
}

func TestImagesAreRecordedAsUnread(t *testing.T) {
	r := newRig(t, answerPlain)
	body := `{"model":"gpt-4o-mini","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("QUJD", 20) + `"}}]}]}`
	if resp, answer := r.post(body); resp.StatusCode != http.StatusOK {
		t.Fatal(answer)
	}
	r.rec.wait(t, 2)
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	for _, v := range r.rec.events[0].Prompt {
		if v.State != event.Clear || v.Reason != "media_unread" {
			t.Errorf("%+v", v)
		}
	}
}

// noRandomness is a source that has run dry.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestWithoutRandomnessNothingIsSent(t *testing.T) {
	r := newRig(t, answerPlain)
	r.g.c.Rand = noRandomness{}
	resp, answer := r.post(ask("gpt-4o-mini", "x"))
	if resp.StatusCode != http.StatusServiceUnavailable || code(answer) != "no_randomness" || r.body != nil {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

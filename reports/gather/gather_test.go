package gather_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/app/server"
	"plumbline/assessments"
	"plumbline/assessments/evidence/record"
	"plumbline/frameworks"
	"plumbline/gateway/event"
	"plumbline/inventory"
	"plumbline/reports"
	"plumbline/reports/gather"
	"plumbline/reports/render"
)

const org inventory.OrgID = "acme"

// world is a server that nobody calls over HTTP: exchanges are written to its
// ledger as the gateway would.
type world struct {
	*testing.T
	s            *server.Server
	g            *gather.Gatherer
	anna, berta  authz.Actor
	key, unbound inventory.KeyID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	c, err := config.Load("", func(name string) string {
		return map[string]string{"PLUMBLINE_DATA_DIR": dir, "PLUMBLINE_INSTANCE": "test"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: c, Version: "test", Env: func(string) string { return "" }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	w := &world{T: t, s: s}
	if w.g, err = gather.New(gather.Deps{Register: s.Register, Engine: s.Engine, Projection: s.Projection, Catalog: s.Catalog, Prices: func([]inventory.Price) string { return "prices" }}); err != nil {
		t.Fatal(err)
	}
	w.register()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// register makes an organisation with two systems, two vendors and a key that
// belongs to none.
func (w *world) register() {
	w.Helper()
	r, ctx := w.s.Register, w.Context()
	first := authz.Actor{Org: org, ID: "job:test", Name: "test"}
	w.must(r.CreateOrg(ctx, first, inventory.Org{ID: org, Name: "Acme Works"}))
	for _, p := range []struct {
		name  string
		role  authz.Role
		actor *authz.Actor
	}{{"Anna Author", authz.Admin, &w.anna}, {"Berta Second", authz.Approver, &w.berta}} {
		m, err := r.AddAccount(ctx, first, inventory.Person{Name: p.name, Email: strings.ToLower(p.name[:4]) + "@acme.example", Roles: []authz.Role{p.role}})
		w.must(err)
		*p.actor, err = r.Actor(org, m.ID)
		w.must(err)
	}
	w.must(r.PutProvider(ctx, w.anna, inventory.Provider{ID: "sim", Kind: "simulated", Vendor: "simulated", Region: "eu"}, "x"))
	w.must(r.PutProvider(ctx, w.anna, inventory.Provider{ID: "other", Kind: "openai", Vendor: "Other", BaseURL: "http://127.0.0.1:9/v1"}, "x"))
	w.must(r.PutRoute(ctx, w.anna, inventory.Route{Model: "assistant", Provider: "sim", Target: "sim-large"}, "x"))
	for _, id := range []inventory.SystemID{"SYS-001", "SYS-002"} {
		_, err := r.AddSystem(ctx, w.anna, inventory.System{ID: id, Name: "System " + string(id), Purpose: "p", Owner: "Owners", OwnerContact: "o@acme.example", Roles: []inventory.ActRole{inventory.RoleProvider, inventory.RoleDeployer},
			RiskClass: inventory.HighRiskAnnexIII, RiskReason: "Annex III", AnnexIII: "4.a", Lifecycle: inventory.InUse, Models: []inventory.ModelRef{{Provider: "sim", Model: "sim-large"}, {Provider: "sim", Model: "never"}},
			Vendors: []string{"simulated"}}, "x")
		w.must(err)
		w.must(r.RequestApproval(ctx, w.anna, id, "x"))
		w.must(r.DecideApproval(ctx, w.berta, id, true, time.Time{}, "x"))
	}
	w.must(r.PutBudget(ctx, w.anna, inventory.Budget{ID: "all", Scope: inventory.ScopeOrg, Limit: 10 * money.Dollar, Window: "month"}, "x"))
	k, _, err := r.CreateKey(ctx, w.anna, inventory.Key{System: "SYS-001", Name: "app"}, "x")
	w.must(err)
	w.key = k.ID
	k, _, err = r.CreateKey(ctx, w.anna, inventory.Key{Name: "nobody's"}, "x")
	w.must(err)
	w.unbound = k.ID
}

// call writes one exchange, spoiled by change, and waits for its end.
func (w *world) call(change func(in, out *event.Event)) {
	w.Helper()
	now := time.Now()
	id, err := ident.New(now, randomness{})
	w.must(err)
	hold := []event.Hold{{Budget: "all", Amount: 5000, Window: 1}}
	in := event.Event{Kind: event.Intent, Log: string(org), Exchange: id, At: now.UnixMicro(), System: "SYS-001", Key: string(w.key), Endpoint: "chat", Provider: "sim", ModelAsked: "assistant", ModelTarget: "sim-large", Simulated: true,
		Decision: event.Decision{Effect: event.EffectAllow, Rule: "r"}, Holds: hold, Prompt: []event.Verdict{{Guard: "pii", Version: "1", State: event.Clear}}}
	out := event.Event{Kind: event.Outcome, Log: string(org), Exchange: id, At: now.UnixMicro(), System: "SYS-001", Key: string(w.key), Status: 200, End: event.EndComplete, ModelServed: "sim-large", Usage: event.Usage{Input: 10, Output: 4},
		Source: event.UsageProvider, Charge: 1000, Held: 5000, Holds: hold, PriceTable: "p", Total: 1500, AnswerGuard: []event.Verdict{{Guard: "pii", Version: "1", State: event.Clear}}}
	if change != nil {
		change(&in, &out)
	}
	for _, e := range []*event.Event{&in, &out} {
		if e.Kind == event.Refused && e == &out {
			continue
		}
		c, err := w.s.Ledger.Submit(e)
		w.must(err)
		<-c.Done()
		w.must(c.Err())
	}
}

// refused writes a refusal.
func (w *world) refused(code, system string, key inventory.KeyID) {
	w.Helper()
	id, err := ident.New(time.Now(), randomness{})
	w.must(err)
	c, err := w.s.Ledger.Submit(&event.Event{Kind: event.Refused, Log: string(org), Exchange: id, At: time.Now().UnixMicro(), System: system, Key: string(key), Status: 403, Code: code})
	w.must(err)
	<-c.Done()
	w.must(c.Err())
}

func hit(action event.Action, classes ...string) []event.Verdict {
	return []event.Verdict{{Guard: "pii", Version: "1", State: event.Hit, Action: action, Classes: classes, Hits: uint32(len(classes))}}
}

// traffic is a little of everything.
func (w *world) traffic() {
	w.Helper()
	for range 6 {
		w.call(nil)
	}
	w.call(func(in, _ *event.Event) { in.Prompt = hit(event.ActionRedacted, "email", "iban") })
	w.call(func(in, _ *event.Event) { in.Prompt = hit(event.ActionMonitored, "email") })
	w.call(func(_, out *event.Event) { out.AnswerGuard = hit(event.ActionRedacted, "email") })
	w.call(func(_, out *event.Event) {
		out.Status, out.Code, out.End, out.ModelServed, out.Charge = 502, "upstream_failed", event.EndUpstreamError, "", 0
	})
	w.call(func(in, out *event.Event) { // undeclared, of another vendor, served under another name
		in.Provider, in.ModelAsked, in.ModelTarget, in.Simulated = "other", "side", "m", false
		out.ModelServed = "m-2026"
	})
	w.call(func(in, out *event.Event) { in.System, out.System = "SYS-002", "SYS-002" })
	for range 25 {
		w.refused("model_not_allowed", "SYS-001", w.key)
	}
	w.refused("system_unregistered", "", w.unbound)
}

func (w *world) inputs(r reports.Request, cp record.Checkpoint) reports.Inputs {
	w.Helper()
	in, err := w.g.Inputs(w.Context(), r, cp)
	w.must(err)
	return in
}

func (w *world) sign() record.Checkpoint {
	w.Helper()
	cp, err := w.s.Ledger.SignNow(w.Context(), string(org))
	w.must(err)
	return cp
}

func request(kind reports.Kind, cp record.Checkpoint) reports.Request {
	at := time.UnixMicro(cp.At).UTC()
	r := reports.Request{Org: org, Kind: kind, From: at.AddDate(0, 0, -30), To: at}
	switch kind {
	case reports.KindAudit:
		r.System, r.Framework = "SYS-001", frameworks.AIAct
	case reports.KindModelCard:
		r.System = "SYS-001"
	case reports.KindVendorRisk:
		r.Vendor = "simulated"
	}
	return r
}

type randomness struct{}

var counter byte

func (randomness) Read(b []byte) (int, error) {
	for i := range b {
		counter++
		b[i] = counter
	}
	return len(b), nil
}

func TestPictureOfASystem(t *testing.T) {
	w := newWorld(t)
	w.traffic()
	_, err := w.s.Engine.RunTests(t.Context(), org)
	w.must(err)
	cp := w.sign()
	in := w.inputs(request(reports.KindAudit, cp), cp)

	if in.OrgName != "Acme Works" || in.System == nil || in.System.ID != "SYS-001" || in.System.RiskBy != "Anna Author" || !in.Simulated || len(in.SystemAt) != 1 {
		t.Errorf("subject: %s, %+v", in.OrgName, in.System)
	}
	var u reports.Hour
	for _, h := range in.Usage {
		u.Exchanges, u.Answered, u.Refused, u.Failed, u.Cost, u.InputTokens = u.Exchanges+h.Exchanges, u.Answered+h.Answered, u.Refused+h.Refused, u.Failed+h.Failed, u.Cost+h.Cost, u.InputTokens+h.InputTokens
	}
	if want := (reports.Hour{Exchanges: 31, Answered: 10, Refused: 20, Failed: 1, Cost: 10_000, InputTokens: 110}); u != want {
		t.Errorf("usage %+v, want %+v", u, want)
	}
	models := map[string]reports.Model{}
	for _, m := range in.Models {
		models[m.Alias+"/"+m.Served] = m
	}
	if m := models["assistant/sim-large"]; m.Calls != 10 || m.Errors != 1 || m.Declared != "sim-large" || !m.Simulated || m.P95 == 0 || m.DeclaredRegion != "eu" || len(m.Cites) != 1 {
		t.Errorf("declared and served: %+v", m)
	}
	if m := models["side/m-2026"]; m.Calls != 1 || m.Declared != "" || m.Vendor != "Other" {
		t.Errorf("served and not declared: %+v", m)
	}
	if m := models["never/"]; m.Calls != 0 || m.Declared != "never" {
		t.Errorf("declared and never served: %+v", m)
	}
	guards := map[string]reports.Guard{}
	for _, g := range in.Guards {
		guards[g.Guard+" "+g.Class+" "+g.Phase] = g
	}
	for name, want := range map[string]reports.Guard{
		"pii  both":        {Guard: "pii", Phase: "both", Evaluated: 22, Hits: 3, Redacted: 2, Monitored: 1},
		"pii email prompt": {Guard: "pii", Class: "email", Phase: "prompt", Hits: 2, Redacted: 1, Monitored: 1},
		"pii iban prompt":  {Guard: "pii", Class: "iban", Phase: "prompt", Hits: 1, Redacted: 1},
		"pii email answer": {Guard: "pii", Class: "email", Phase: "answer", Hits: 1, Redacted: 1},
	} {
		if d := cmp.Diff(want, guards[name], cmpopts.IgnoreFields(reports.Guard{}, "Cites")); d != "" || len(guards[name].Cites) == 0 {
			t.Errorf("%s, cited by %v (-want +got):\n%s", name, guards[name].Cites, d)
		}
	}
	// 20 of a window have a record each; the other five get one when it ends.
	if len(in.Refusals) != 1 || in.Refusals[0].Count != 20 || len(in.Refusals[0].Cites) != 2 {
		t.Errorf("refusals %+v", in.Refusals)
	}
	if len(in.Budgets) != 1 || in.Budgets[0].Charged != 11_000 {
		t.Errorf("budgets %+v", in.Budgets)
	}
	for _, c := range in.Changes {
		if c.Object == "SYS-002" {
			t.Errorf("a change of another system: %+v", c)
		}
		if strings.HasPrefix(c.Actor, "p-") || strings.HasPrefix(c.Approver, "p-") {
			t.Errorf("an id in place of a name: %+v", c)
		}
	}
	if !slices.ContainsFunc(in.Changes, func(c reports.Change) bool { return c.Kind == "system.approved" && c.Approver == "Berta Second" }) {
		t.Errorf("changes %+v", in.Changes)
	}
	if !slices.ContainsFunc(in.Changes, func(c reports.Change) bool { return c.Kind == "budget.changed" }) {
		t.Errorf("the change of its budget is not listed: %+v", in.Changes)
	}
	if in.Collector.Marks == 0 || len(in.Collector.Cites) == 0 {
		t.Errorf("collector %+v", in.Collector)
	}
	w.controls(in)
	w.provable(in, cp)
}

// controls holds the picture's states to the engine's.
func (w *world) controls(in reports.Inputs) {
	w.Helper()
	a, err := w.s.Engine.Evaluate(w.Context(), org, "SYS-001", frameworks.AIAct)
	w.must(err)
	if len(in.Controls) != len(a.Controls) || len(in.Controls) != 110 {
		w.Fatalf("%d controls, the engine has %d", len(in.Controls), len(a.Controls))
	}
	tested := 0
	for i, c := range in.Controls {
		cs := a.Controls[i]
		if c.ID != cs.Control.ID || c.State != render.Status(cs.State) || c.Readiness != render.Status(cs.Readiness) || c.Section == "" {
			w.Errorf("%s is %s ready as %s, the engine says %s ready as %s", c.ID, c.State, c.Readiness, cs.State, cs.Readiness)
		}
		for _, x := range c.Tests {
			tested++
			if x.From.IsZero() || !x.To.After(x.From) || x.EndLeaf == 0 || len(x.Cites) == 0 || len(x.Metrics) == 0 || x.Version == 0 {
				w.Errorf("%s: a result without window, range, record or figures: %+v", c.ID, x)
			}
			for _, m := range x.Metrics {
				if m.Name == "" || strings.ContainsRune(m.Name, '_') || m.Value == "" || m.Threshold == "" {
					w.Errorf("%s %s: figure %+v", c.ID, x.ID, m)
				}
			}
		}
	}
	if tested == 0 {
		w.Error("no control has a test result")
	}
}

// provable: nothing at or past the checkpoint is cited.
func (w *world) provable(in reports.Inputs, cp record.Checkpoint) {
	w.Helper()
	for _, leaf := range in.Leaves() {
		if leaf >= cp.Size {
			w.Errorf("leaf %d is cited in a log of %d", leaf, cp.Size)
		}
	}
}

func TestPictureOfAVendor(t *testing.T) {
	w := newWorld(t)
	w.traffic()
	cp := w.sign()
	in := w.inputs(request(reports.KindVendorRisk, cp), cp)
	v := in.Vendor
	if v == nil || !v.Simulated || v.Calls != 11 || v.OrgCalls != 12 || v.Cost != 10_000 || v.OrgCost != 11_000 {
		t.Fatalf("vendor %+v", v)
	}
	if len(v.Systems) != 2 || v.Systems[0].Calls != 10 || !v.Systems[0].Declared || v.Systems[0].Keys != 1 || v.Systems[1].Calls != 1 {
		t.Errorf("systems %+v", v.Systems)
	}
	if len(v.Errors) != 1 || v.Errors[0].Code != "upstream_failed" || v.Errors[0].Count != 1 {
		t.Errorf("errors %+v", v.Errors)
	}
	// What an answer held was not sent to the vendor.
	want := []reports.Guard{{Guard: "pii", Class: "email", Phase: "prompt", Hits: 2, Redacted: 1, Monitored: 1}, {Guard: "pii", Class: "iban", Phase: "prompt", Hits: 1, Redacted: 1}}
	if d := cmp.Diff(want, v.PII, cmpopts.IgnoreFields(reports.Guard{}, "Cites")); d != "" {
		t.Errorf("personal data (-want +got):\n%s", d)
	}
	if _, err := w.g.Inputs(t.Context(), reports.Request{Org: org, Kind: reports.KindVendorRisk, Vendor: "nobody", From: time.Unix(0, 0), To: time.Now()}, cp); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown vendor: %v", err)
	}
}

// TestAsOfCheckpoint asks for the same checkpoint again after everything went on:
// traffic, changes, decisions on evidence.
func TestAsOfCheckpoint(t *testing.T) {
	w := newWorld(t)
	w.traffic()
	ev, err := w.s.Engine.Attach(t.Context(), w.anna, assessments.Evidence{Framework: frameworks.AIAct, Control: "26.9", System: "SYS-001", Type: "assessment.record", Title: "DPIA", Link: "https://acme.example/dpia"})
	w.must(err)
	cp := w.sign()
	before := map[reports.Kind]reports.Inputs{}
	kinds := []reports.Kind{reports.KindAudit, reports.KindModelCard, reports.KindVendorRisk}
	for _, k := range kinds {
		before[k] = w.inputs(request(k, cp), cp)
		w.provable(before[k], cp)
	}
	w.traffic()
	w.must(w.s.Engine.Decide(t.Context(), w.berta, ev.ID, true, "read it"))
	w.must(w.s.Register.PutBudget(t.Context(), w.anna, inventory.Budget{ID: "all", Scope: inventory.ScopeOrg, Limit: money.Dollar, Window: "day"}, "x"))
	w.must(w.s.Register.Suspend(t.Context(), w.anna, "SYS-001", "x"))
	for _, k := range kinds {
		if d := cmp.Diff(before[k], w.inputs(request(k, cp), cp)); d != "" {
			t.Errorf("%s at the same checkpoint later (-then +later):\n%s", k, d)
		}
	}
	later := w.sign()
	if d := cmp.Diff(before[reports.KindAudit], w.inputs(request(reports.KindAudit, later), later)); d == "" {
		t.Error("a later checkpoint gives the same picture")
	}
}

// TestNoTraffic: a system that never called anything is unknown, not at zero.
func TestNoTraffic(t *testing.T) {
	w := newWorld(t)
	cp := w.sign()
	in := w.inputs(request(reports.KindAudit, cp), cp)
	if len(in.Usage) != 0 || len(in.Guards) != 0 || in.Simulated {
		t.Errorf("usage %+v, guards %+v", in.Usage, in.Guards)
	}
	for _, c := range in.Controls {
		if c.State == render.Satisfied || c.Readiness == render.Satisfied {
			t.Errorf("%s is satisfied without traffic or people", c.ID)
		}
	}
	r := request(reports.KindAudit, cp)
	r.System = "SYS-009"
	if _, err := w.g.Inputs(t.Context(), r, cp); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown system: %v", err)
	}
}

func TestMissingDependency(t *testing.T) {
	w := newWorld(t)
	for name, d := range map[string]gather.Deps{
		"register": {Engine: w.s.Engine, Projection: w.s.Projection, Catalog: w.s.Catalog},
		"engine":   {Register: w.s.Register, Projection: w.s.Projection, Catalog: w.s.Catalog},
	} {
		if _, err := gather.New(d); err == nil {
			t.Errorf("made without %s", name)
		}
	}
}

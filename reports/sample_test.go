package reports

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/app/seal"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports/render"
)

const org = "acme"

// now is in the middle of an hour, so that no mark falls into a test.
var now = time.Date(2026, 11, 24, 10, 20, 0, 0, time.UTC)

// world is an organisation with a real ledger.
type world struct {
	t      testing.TB
	ledger *evidence.Ledger
	random *rand.ChaCha8
	leaves map[string]uint64

	records []Record // of a world without a ledger
}

// paper is a world without a ledger: records are made up in order, so that two
// processes have the same ones.
func paper(t testing.TB) *world {
	return &world{t: t, random: rand.NewChaCha8([32]byte{2}), leaves: map[string]uint64{}}
}

// note makes up a record.
func (w *world) note(kind record.Kind, id ident.ID, body any) uint64 {
	w.t.Helper()
	leaf := uint64(len(w.records))
	r := &record.Record{Envelope: record.Envelope{Kind: kind, Version: record.VersionOf(kind), ID: id, At: now.UnixMicro(), Writer: "w-1", Number: leaf + 1, Actor: "job:tests"}, Body: body}
	b, err := record.Append(nil, r)
	if err != nil {
		w.t.Fatal(err)
	}
	described, err := describe(record.Leaf{Index: leaf, Bytes: b})
	if err != nil {
		w.t.Fatal(err)
	}
	w.records = append(w.records, described)
	return leaf
}

// document builds a kind from made-up records.
func (w *world) document(r Request, change func(*Inputs)) *render.Doc {
	w.t.Helper()
	r.Org = org
	kind, err := check(r)
	if err != nil {
		w.t.Fatal(err)
	}
	in := w.inputs(r)
	r.From, r.To = now.AddDate(0, 0, -30), now
	in.Request, in.Org, in.ID, in.Number, in.IssuedAt, in.IssuedBy = r, org, kind.Prefix+"-2026-0001", 1, now, "Ada Example"
	if change != nil {
		change(&in)
	}
	in.Records = w.records
	in.Checkpoint = Checkpoint{record.Checkpoint{Origin: "plumbline.example/acme/1", Size: uint64(len(w.records)), At: now.UnixMicro(), Note: []byte("plumbline.example/acme/1\n1\nroot\n\n— plumbline.example/acme/1 sig\n")}, []string{"key"}}
	return kind.build(in)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, random: rand.NewChaCha8([32]byte{2}), leaves: map[string]uint64{}}
	w.ledger, err = evidence.Open(t.Context(), evidence.Config{Dir: t.TempDir(), Instance: "plumbline.example", Sealer: sealer,
		Now: func() time.Time { return now }, Rand: rand.NewChaCha8([32]byte{3}), Checkpoint: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.ledger.Close(context.Background()) })
	if err := w.ledger.CreateLog(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	return w
}

// put appends a record once by name and gives its leaf.
func (w *world) put(name string, kind record.Kind, body any) Cites {
	w.t.Helper()
	if leaf, ok := w.leaves[name]; ok {
		return Cites{leaf}
	}
	id, err := ident.New(now, w.random)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.ledger == nil {
		w.leaves[name] = w.note(kind, id, body)
		return Cites{w.leaves[name]}
	}
	leaf, err := w.ledger.Append(w.t.Context(), org, &record.Record{Envelope: record.Envelope{Kind: kind, ID: id, Actor: "job:tests"}, Body: body})
	if err != nil {
		w.t.Fatal(err)
	}
	w.leaves[name] = leaf
	return Cites{leaf}
}

// results of the tests that have one; the others have not run.
var results = map[string]render.Status{"t.capture_complete": render.Satisfied, "t.chain_verified": render.Partial, "t.inventory_match": render.NotSatisfied,
	"t.shadow_clear": render.Partial, "t.access_enforced": render.Satisfied, "t.guardrail_coverage": render.Satisfied, "t.tier_profile": render.Satisfied, "t.budget_enforced": render.Satisfied}

func (w *world) test(id string) (Test, bool) {
	result, ok := results[id]
	if !ok {
		return Test{}, false
	}
	return Test{ID: id, Version: 1, Result: result, From: now.AddDate(0, 0, -30), To: now, At: now, Population: 412, FirstLeaf: 0, EndLeaf: 900,
		Metrics: []Metric{{"unexplained_gaps", "0", "= 0"}, {"share_with_principal", "100.0%", "≥ 99.9%"}},
		Cites: w.put(id, record.ControlTest, &record.TestResult{Test: id, Version: 1, System: "screening", From: now.AddDate(0, 0, -30).UnixMicro(), To: now.UnixMicro(),
			EndLeaf: 900, Population: 412, Result: string(result), Catalog: "0123456789abcdef"})}, true
}

// control makes a result of a control of the real catalogue.
func (w *world) control(c *frameworks.Control, section string, i int) Control {
	out := Control{ID: c.ID, Title: c.Title, Gist: c.Gist, Section: section, Roles: c.Roles, State: render.NoEvidence, Runtime: c.Sufficiency,
		Why: "No current human evidence is attached.", WaitsFor: []string{"a document: " + c.Title}}
	for _, d := range c.Dates {
		if out.AppliesFrom.IsZero() || d.Effective.Before(out.AppliesFrom) {
			out.AppliesFrom = d.Effective
		}
	}
	for _, ref := range c.Tests {
		if x, ok := w.test(ref.Test); ok {
			out.Tests = append(out.Tests, x)
			out.State, out.Why = render.Partial, "Tests are satisfied; human evidence is missing."
			if x.Result == render.NotSatisfied {
				out.State, out.Why = render.NotSatisfied, "A required test is not satisfied; no human evidence can raise the result."
				break
			}
		}
	}
	switch {
	case i%17 == 3:
		out.State, out.Why, out.Tests, out.WaitsFor = render.NotApplicable, "The organisation has no such role for this system.", nil, nil
	case i%9 == 5 && out.State != render.NotSatisfied:
		out.Human = []Human{{What: "Risk policy, issue 2", State: "approved", Detail: "Approved by a second person on 3 Nov 2026", Current: true,
			Cites: w.put("human"+c.ID, record.EvidenceAttached, &record.HumanEvidence{Framework: c.Framework, Control: c.ID, System: "screening", Type: "document", Form: "file"})}}
		out.State, out.Why = render.Partial, "Human evidence is current; a test has no result yet."
	}
	return out
}

// inputs for a document of a kind, as a gatherer would make them.
func (w *world) inputs(r Request) Inputs {
	catalog, err := frameworks.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	system := inventory.System{ID: "screening", Name: "Candidate screening", Purpose: "Ranks applications for a recruiter's decision", Owner: "Head of HR technology",
		OwnerContact: "hr-tech@example.org", Roles: []inventory.ActRole{inventory.RoleDeployer}, RiskClass: inventory.HighRiskAnnexIII, RiskBy: "compliance officer",
		RiskAt: now.AddDate(0, -1, 0), RiskReason: "Annex III point 4(a)", DataCategories: []string{"job_applications"}, Stamp: inventory.Stamp{Version: 3}}
	in := Inputs{OrgName: "Acme Works", Contact: "Compliance office", Sample: true, Simulated: true, System: &system,
		SystemAt: w.put("system", record.RegisterChange, &record.Change{Kind: "system.update", Object: "screening", Version: 3}), Systems: []inventory.System{system},
		PriceTable: "9f86d081884c7d659a2feaa0c55ad015", Catalogue: catalog.Hash, Profile: "hiring"}
	in.Usage, in.UsageAt = usage(), w.put("hour", record.LedgerHour, &record.Hour{Hour: now.Unix() / 3600})
	in.Collector = Collector{Marks: 5, First: now.Add(-6 * time.Hour).Truncate(time.Hour), Last: now.Truncate(time.Hour), Cites: in.UsageAt}
	in.Models = []Model{
		{Alias: "screening-large", Provider: "sim", Vendor: "Built-in simulator", Declared: "sim-large-2026-08", Served: "sim-large-2026-08", Simulated: true, Region: "eu", DeclaredRegion: "eu",
			FirstSeen: now.Add(-5 * time.Hour), LastSeen: now, Calls: 61, Errors: 1, InputTokens: 61234, OutputTokens: 8123, P50: 740 * time.Millisecond, P95: 1620 * time.Millisecond, Cost: 34 * money.Dollar / 1000, Cites: in.SystemAt},
		{Alias: "screening-small", Provider: "sim", Vendor: "Built-in simulator", Declared: "sim-small-2026-08", Served: "sim-small-2026-10-preview", Simulated: true, FirstSeen: now.Add(-time.Hour), LastSeen: now, Calls: 9, Cites: in.SystemAt},
		{Alias: "archive", Provider: "sim", Declared: "sim-archive"},
	}
	in.Endpoints = []Endpoint{{"chat.completions", 61}, {"messages", 9}}
	in.Guards = []Guard{{Guard: "pii", Phase: "prompt", Evaluated: 70, Hits: 9, Redacted: 9, Cites: in.UsageAt}, {Guard: "pii", Class: "email", Phase: "prompt", Hits: 6, Redacted: 6},
		{Guard: "secrets", Phase: "prompt", Evaluated: 70, Hits: 1, Blocked: 1}, {Guard: "injection", Phase: "prompt", Evaluated: 66, Hits: 4, NotRun: 4, Monitored: 4}}
	in.Budgets = []Budget{{ID: "screening-month", Scope: "system", Target: "screening", Window: "month", Limit: money.Dollar / 10, Charged: 34 * money.Dollar / 1000}}
	in.Refusals = []Refusal{{"budget_exceeded", 6, in.UsageAt}, {"guard_blocked", 1, nil}}
	in.Outages = []Outage{{From: now.Add(-3 * time.Hour), To: now.Add(-3*time.Hour + 4*time.Second), Turned: 2, Cause: "locked",
		Cites: w.put("outage", record.LedgerOutage, &record.Outage{From: now.Add(-3 * time.Hour).UnixMicro(), To: now.Add(-3*time.Hour + 4*time.Second).UnixMicro(), Turned: 2, Cause: "locked"})}}
	in.Changes = []Change{{At: now.AddDate(0, 0, -2), Kind: "system.approval", Object: "screening", Actor: "acc-1", Approver: "acc-2", Cites: in.SystemAt}, {At: now.AddDate(0, 0, -1), Kind: "policy.put", Object: "default", Actor: "config", Imported: true}}
	for _, f := range catalog.Frameworks {
		if f.ID != r.Framework {
			continue
		}
		in.Framework = Framework{f.ID, f.Title, f.Version, f.Hash}
		for _, s := range f.Sections {
			for _, c := range s.Controls {
				in.Controls = append(in.Controls, w.control(c, s.ID+"  "+s.Title, len(in.Controls)))
			}
		}
	}
	if r.Vendor != "" {
		in.Vendor = &Vendor{Name: r.Vendor, Kind: "simulated", Simulated: true, Providers: []inventory.Provider{{ID: "sim", Kind: "simulated", Region: "eu"}},
			Calls: 70, OrgCalls: 210, Cost: 34 * money.Dollar / 1000, OrgCost: 90 * money.Dollar / 1000,
			Systems: []VendorSystem{{ID: "screening", Name: "Candidate screening", Declared: true, Calls: 61, Cost: 34 * money.Dollar / 1000, Models: []string{"sim-large-2026-08"}, Data: []string{"job_applications"}, Cites: in.SystemAt},
				{Calls: 9, Models: []string{"sim-small-2026-10-preview"}, Cites: in.UsageAt}},
			Errors: []Refusal{{"http_5xx", 1, in.UsageAt}}, PII: []Guard{{Guard: "pii", Class: "email", Phase: "prompt", Hits: 6, Redacted: 4, Monitored: 2, Cites: in.UsageAt}}}
	}
	return in
}

func usage() []Hour {
	var out []Hour
	for i := range 6 {
		h := Hour{Start: now.Truncate(time.Hour).Add(time.Duration(i-5) * time.Hour), Exchanges: int64(10 + i), Answered: int64(8 + i), Refused: 1, Failed: 1, InputTokens: 9000, OutputTokens: 1200, Cost: money.Nano(5_000_000 + 400_000*i)}
		if i == 2 {
			h = Hour{Start: h.Start, Down: true}
		}
		out = append(out, h)
	}
	return out
}

// build makes a document without the Service.
func (w *world) build(r Request) (*render.Doc, Inputs) {
	w.t.Helper()
	r.Org = org
	kind, err := check(r)
	if err != nil {
		w.t.Fatal(err)
	}
	in := w.inputs(r)
	cp, err := w.ledger.SignNow(w.t.Context(), org)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := period(&r, kind, cp); err != nil {
		w.t.Fatal(err)
	}
	in.Request, in.Org, in.ID, in.Number, in.IssuedAt, in.IssuedBy = r, org, kind.Prefix+"-2026-0001", 1, now, "Ada Example"
	in.Checkpoint = Checkpoint{cp, []string{"plumbline.example/acme/1+7c1f03ae+AbU9"}}
	s := &Service{d: Deps{Ledger: w.ledger}}
	if in.Records, err = s.records(w.t.Context(), &in); err != nil {
		w.t.Fatal(err)
	}
	doc := kind.build(in)
	if doc.Evidence, err = Prove(w.t.Context(), w.ledger, org, in.Checkpoint, citedOf(doc, in.Records)); err != nil {
		w.t.Fatal(err)
	}
	return doc, in
}

// requests is one of each kind, and an audit of each framework.
func requests() map[string]Request {
	return map[string]Request{
		"audit-eu":   {Kind: KindAudit, System: "screening", Framework: frameworks.AIAct},
		"audit-nist": {Kind: KindAudit, System: "screening", Framework: frameworks.AIRMF},
		"audit-iso":  {Kind: KindAudit, System: "screening", Framework: frameworks.ISO},
		"card":       {Kind: KindModelCard, System: "screening"},
		"vendor":     {Kind: KindVendorRisk, Vendor: "Built-in simulator"},
	}
}

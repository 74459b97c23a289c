package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"plumbline/assessments"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports"
	"plumbline/reports/render"
)

// picture is an organisation as of a checkpoint, while a document is gathered.
type picture struct {
	s     *Server
	ctx   context.Context
	r     reports.Request
	asOf  record.Checkpoint
	state *inventory.State
	in    reports.Inputs
	calls []projection.Exchange // ended before the checkpoint, in the period
}

// gather pictures the organisation as of a checkpoint for a document. Everything
// it says comes from leaves before the checkpoint's size.
func (s *Server) gather(ctx context.Context, r reports.Request, asOf record.Checkpoint) (reports.Inputs, error) {
	if err := s.Projection.CatchUp(ctx); err != nil {
		return reports.Inputs{}, err
	}
	state, err := s.Register.AsOf(ctx, r.Org, asOf.Size)
	if err != nil {
		return reports.Inputs{}, err
	}
	p := &picture{s: s, ctx: ctx, r: r, asOf: asOf, state: state}
	p.in = reports.Inputs{OrgName: state.Org.Name, Contact: state.Settings.Contact, Mark: state.Settings.Confidential, Sample: state.Org.Sample, Systems: state.Systems,
		Generated: "on request", PriceTable: s.Prices.Hash(), Catalogue: s.Catalog.Hash, Limits: limits()}
	for _, step := range []func() error{p.exchanges, p.system, p.framework, p.models, p.guards, p.budgets, p.refusals, p.outages, p.changes, p.vendor} {
		if err := step(); err != nil {
			return p.in, err
		}
	}
	return p.in, nil
}

// limits are what this version cannot show, in every document.
func limits() []string {
	return []string{
		"No witness outside the operator's control has co-signed the log: two live copies of it would not be noticed.",
		"No invoice of a provider has been set against the recorded usage.",
		"The gateway sees only what passes through it. Calls that go around it are not in these records.",
	}
}

// exchanges reads the period's ended exchanges, and the usage by hour.
func (p *picture) exchanges() error {
	system := string(p.r.System)
	if p.r.Kind == reports.KindVendorRisk {
		system = ""
	}
	f := projection.Filter{System: system, From: p.r.From.UnixMicro(), To: p.r.To.UnixMicro() + 1, Leaves: p.asOf.Size, Limit: 1000}
	for {
		page, next, err := p.s.Projection.Exchanges(p.ctx, string(p.r.Org), f)
		if err != nil {
			return err
		}
		p.calls = append(p.calls, page...)
		if next == "" {
			break
		}
		f.Before = next
	}
	hours := map[int64]*reports.Hour{}
	for i := range p.calls {
		x := &p.calls[i]
		p.in.Simulated = p.in.Simulated || x.Simulated
		at := x.Time().Truncate(time.Hour)
		h := hours[at.Unix()]
		if h == nil {
			h = &reports.Hour{Start: at}
			hours[at.Unix()] = h
		}
		h.Exchanges++
		switch x.State {
		case projection.Complete, projection.ClientGone:
			h.Answered++
		case projection.Refused, projection.Blocked:
			h.Refused++
		case projection.Incomplete:
			h.Incomplete++
		default:
			h.Failed++
		}
		h.InputTokens += max(x.Input, 0)
		h.OutputTokens += max(x.Output, 0)
		h.Cost += x.Charge
	}
	for _, h := range hours {
		p.in.Usage = append(p.in.Usage, *h)
	}
	sort.Slice(p.in.Usage, func(i, j int) bool { return p.in.Usage[i].Start.Before(p.in.Usage[j].Start) })
	p.in.UsageAt = p.cite(3, func(x *projection.Exchange) bool { return x.State == projection.Complete })
	return nil
}

// cite gives the leaves of up to n exchanges, the newest first.
func (p *picture) cite(n int, is func(*projection.Exchange) bool) reports.Cites {
	var out reports.Cites
	for i := range p.calls {
		x := &p.calls[i]
		if len(out) < n && is(x) && x.ClosedLeaf >= 0 {
			out = append(out, uint64(x.ClosedLeaf))
		}
	}
	return out
}

func (p *picture) system() error {
	if p.r.System == "" {
		return nil
	}
	s, err := p.state.System(p.r.System)
	if err != nil {
		return err
	}
	p.in.System, p.in.SystemAt = s, reports.Cites{s.Leaf}
	p.in.Profile = string(s.Profile)
	p.in.Approver = s.Approval.DecidedBy
	return nil
}

// framework evaluates the controls as of the checkpoint.
func (p *picture) framework() error {
	if p.r.Framework == "" {
		return nil
	}
	a, err := p.s.Engine.EvaluateAt(p.ctx, p.r.Org, p.r.System, p.r.Framework, assessments.View{State: p.state, At: time.UnixMicro(p.asOf.At).UTC(), Leaves: p.asOf.Size})
	if err != nil {
		return err
	}
	f := a.Framework
	p.in.Framework = reports.Framework{ID: f.ID, Title: f.Title, Version: f.Version, Hash: f.Hash}
	sections := map[string]string{}
	for _, s := range f.Sections {
		sections[s.ID] = s.ID + " " + s.Title
	}
	for i := range a.Controls {
		p.in.Controls = append(p.in.Controls, control(&a.Controls[i], sections, string(a.System.RiskClass)))
	}
	return nil
}

func control(c *assessments.ControlState, sections map[string]string, class string) reports.Control {
	k := c.Control
	out := reports.Control{ID: k.ID, Title: k.Title, Gist: k.Gist, Section: sections[k.Section], Roles: k.Roles, AppliesFrom: k.From(class).Effective, State: render.Status(c.State),
		Why: c.Why, WaitsFor: c.WaitsFor, Runtime: runtime(k), Beyond: beyond(k)}
	if c.Decision != nil {
		out.Cites, out.DecidedBy = reports.Cites{uint64(c.Decision.Leaf)}, c.Decision.Approver
	}
	for _, t := range c.Tests {
		out.Tests = append(out.Tests, test(&t))
	}
	for _, h := range c.Human {
		row := reports.Human{What: h.Item.Type + ": " + h.Item.What, State: h.Status, Current: h.Status == "current"}
		if ev := h.Evidence; ev != nil {
			row.Detail = fmt.Sprintf("%s, attached by %s on %s", ev.Title, ev.Author, ev.At.Format(time.DateOnly))
			row.Cites = reports.Cites{uint64(ev.Leaf)}
			if ev.DecidedLeaf >= 0 {
				row.Cites = append(row.Cites, uint64(ev.DecidedLeaf))
			}
		}
		out.Human = append(out.Human, row)
	}
	return out
}

func runtime(k *frameworks.Control) string {
	if k.Sufficiency == "human_only" {
		return "none"
	}
	return k.Sufficiency
}

func beyond(k *frameworks.Control) string {
	switch k.Sufficiency {
	case "human_only":
		return "Nothing of this passes through a gateway."
	case "supporting":
		return "Runtime evidence corroborates or contradicts people's evidence; it cannot stand in for it."
	case "partial":
		return "Runtime evidence shows operation, not that the measure was designed well or fits the risk."
	}
	return ""
}

func test(t *assessments.TestState) reports.Test {
	out := reports.Test{ID: t.Ref.Test, Result: render.Status(t.State), Reason: t.Why}
	if t.Test != nil {
		out.Name = t.Test.Name
	}
	r := t.Result
	if r == nil {
		return out
	}
	out.Version, out.From, out.To, out.At = r.Version, time.UnixMicro(r.From).UTC(), time.UnixMicro(r.To).UTC(), time.UnixMicro(r.At).UTC()
	out.Population, out.FirstLeaf, out.EndLeaf = r.Population, r.FirstLeaf, r.EndLeaf
	out.Cites = append(reports.Cites{r.Leaf}, r.Cited...)
	for i, m := range r.Metrics {
		row := reports.Metric{Name: strings.ReplaceAll(m.Key, "_", " "), Value: "not known"}
		if m.Known {
			row.Value = figure(m)
		}
		if i < len(t.Test.Conditions) {
			c := t.Test.Conditions[i]
			row.Threshold = fmt.Sprintf("%s %v", c.Op, c.Satisfied)
			if c.Partial != nil {
				row.Threshold += fmt.Sprintf("; partial %s %v", c.Op, c.Partial)
			}
		}
		out.Metrics = append(out.Metrics, row)
	}
	return out
}

func figure(m record.Metric) string {
	if strings.HasSuffix(m.Key, "_ratio") {
		return fmt.Sprintf("%.2f %%", float64(m.Value)/1e4)
	}
	return fmt.Sprint(m.Value)
}

// models sets what is declared beside what was seen.
func (p *picture) models() error {
	observed, err := p.s.Projection.Observed(p.ctx, string(p.r.Org), string(p.r.System))
	if err != nil {
		return err
	}
	providers := map[string]inventory.Provider{}
	for _, v := range p.state.Providers {
		providers[string(v.ID)] = v
	}
	var declared []inventory.ModelRef
	for _, s := range p.state.Systems {
		if p.r.System == "" || s.ID == p.r.System {
			declared = append(declared, s.Models...)
		}
	}
	seen := map[inventory.ModelRef]bool{}
	for _, o := range observed {
		if o.FirstLeaf >= p.asOf.Size {
			continue
		}
		ref := inventory.ModelRef{Provider: inventory.ProviderID(o.Provider), Model: o.Model}
		seen[ref] = true
		m := p.model(o.System, o.Provider, o.Model, providers)
		m.FirstSeen, m.LastSeen, m.Cites = time.UnixMicro(o.FirstAt).UTC(), time.UnixMicro(o.LastAt).UTC(), reports.Cites{o.FirstLeaf}
		if slices.Contains(declared, ref) {
			m.Declared = o.Model
		}
		p.in.Models = append(p.in.Models, m)
	}
	for _, d := range declared {
		if !seen[d] {
			seen[d] = true
			v := providers[string(d.Provider)]
			p.in.Models = append(p.in.Models, reports.Model{Provider: string(d.Provider), Vendor: vendorOf(v), Declared: d.Model, DeclaredRegion: v.Region, System: string(p.r.System)})
		}
	}
	return nil
}

func vendorOf(p inventory.Provider) string {
	if p.Vendor != "" {
		return p.Vendor
	}
	return p.Kind
}

// model adds up the period's calls of a system to a model.
func (p *picture) model(system, provider, model string, providers map[string]inventory.Provider) reports.Model {
	v := providers[provider]
	m := reports.Model{Alias: model, Provider: provider, Vendor: vendorOf(v), DeclaredRegion: v.Region, System: system, Simulated: v.Kind == "simulated"}
	var times []time.Duration
	for i := range p.calls {
		x := &p.calls[i]
		if x.System != system || x.Provider != provider || x.ModelTarget != model {
			continue
		}
		m.Alias = x.ModelAsked
		if x.OpenedLeaf < 0 {
			m.Refused++
			continue
		}
		m.Calls++
		if x.State == projection.Failed || x.State == projection.Cut || x.State == projection.Incomplete {
			m.Errors++
		} else {
			times = append(times, time.Duration(x.Total)*time.Microsecond)
		}
		if x.ModelServed != "" {
			m.Served = x.ModelServed
		}
		if x.Region != "" {
			m.Region = x.Region
		}
		m.InputTokens += max(x.Input, 0)
		m.OutputTokens += max(x.Output, 0)
		m.Cost += x.Charge
	}
	if n := len(times); n > 0 {
		slices.Sort(times)
		m.P50, m.P95 = times[n/2], times[n*95/100]
	}
	return m
}

// guards counts what the guards did, from the rollups of the period.
func (p *picture) guards() error {
	c, err := p.s.Projection.Sum(p.ctx, string(p.r.Org), string(p.r.System), p.r.From.Unix()/3600)
	if err != nil {
		return err
	}
	for _, guard := range []string{"pii", "secrets", "injection"} {
		g := reports.Guard{Guard: guard, Phase: "prompt and answer", Hits: c["hit."+guard], NotRun: c["not_run."+guard], Redacted: c["redacted."+guard], Blocked: c["blocked."+guard]}
		g.Evaluated = g.Hits + c["clear."+guard]
		g.Monitored = g.Hits - g.Redacted - g.Blocked
		if g.Evaluated+g.NotRun == 0 {
			continue
		}
		var classes []string
		for name := range c {
			if class, ok := strings.CutPrefix(name, "class."); ok && guardOf(class) == guard {
				classes = append(classes, class)
			}
		}
		slices.Sort(classes)
		g.Class = strings.Join(classes, ", ")
		g.Cites = p.cite(3, func(x *projection.Exchange) bool {
			return slices.ContainsFunc(strings.Split(x.Classes, ","), func(class string) bool { return class != "" && guardOf(class) == guard })
		})
		p.in.Guards = append(p.in.Guards, g)
	}
	return nil
}

func guardOf(class string) string {
	switch class {
	case "card", "email", "iban", "ip", "ssn":
		return "pii"
	case "override", "extraction", "jailbreak":
		return "injection"
	}
	return "secrets"
}

func (p *picture) budgets() error {
	balances, err := p.s.Projection.Balances(p.ctx, string(p.r.Org))
	if err != nil {
		return err
	}
	for _, b := range p.state.Budgets {
		concerns := p.r.System == "" || b.Scope == inventory.ScopeOrg || b.Target == string(p.r.System)
		if b.Scope == inventory.ScopeKey {
			concerns = p.r.System == "" || slices.ContainsFunc(p.state.Keys, func(k inventory.Key) bool { return string(k.ID) == b.Target && k.System == p.r.System })
		}
		if !concerns {
			continue
		}
		row := reports.Budget{ID: string(b.ID), Scope: string(b.Scope), Target: b.Target, Window: b.Window, Limit: b.Limit, Cites: reports.Cites{b.Leaf}}
		newest := int64(-1)
		for _, v := range balances {
			if v.Budget == string(b.ID) && v.Window > newest {
				newest, row.Charged, row.Over = v.Window, v.Charged, v.Overspent
			}
		}
		if b.Scope == inventory.ScopeKey {
			for i := range p.calls {
				if p.calls[i].Code == "budget_exceeded" && p.calls[i].Key == b.Target {
					row.Refused++
				}
			}
		}
		p.in.Budgets = append(p.in.Budgets, row)
	}
	return nil
}

// refusals counts what was turned away, single records and counts together.
func (p *picture) refusals() error {
	c, err := p.s.Projection.Sum(p.ctx, string(p.r.Org), string(p.r.System), p.r.From.Unix()/3600)
	if err != nil {
		return err
	}
	var codes []string
	for name := range c {
		if code, ok := strings.CutPrefix(name, "refused."); ok {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	for _, code := range codes {
		p.in.Refusals = append(p.in.Refusals, reports.Refusal{Code: code, Count: c["refused."+code], Cites: p.cite(3, func(x *projection.Exchange) bool { return x.State == projection.Refused && x.Code == code })})
	}
	return nil
}

// outages are read from the log itself: there are few.
func (p *picture) outages() error {
	c, err := p.s.Projection.Sum(p.ctx, string(p.r.Org), "", p.r.From.Unix()/3600)
	if err != nil || c["outages"] == 0 {
		return err
	}
	for from := uint64(0); from < p.asOf.Size; {
		leaves, err := p.s.Ledger.Feed(p.ctx, string(p.r.Org), from, 4096)
		if err != nil || len(leaves) == 0 {
			return err
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			r, err := record.Decode(leaf.Bytes)
			if err != nil {
				return err
			}
			if o, ok := r.Body.(*record.Outage); ok && leaf.Index < p.asOf.Size && o.To >= p.r.From.UnixMicro() {
				p.in.Outages = append(p.in.Outages, reports.Outage{From: time.UnixMicro(o.From).UTC(), To: time.UnixMicro(o.To).UTC(), Turned: int64(o.Turned), Cause: o.Cause, Cites: reports.Cites{leaf.Index}})
			}
		}
	}
	return nil
}

func (p *picture) changes() error {
	list, err := p.s.Projection.Changes(p.ctx, string(p.r.Org), p.r.From.UnixMicro(), 200)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Leaf >= p.asOf.Size || p.r.System != "" && strings.HasPrefix(c.Kind, "system.") && c.Object != string(p.r.System) {
			continue
		}
		p.in.Changes = append(p.in.Changes, reports.Change{At: time.UnixMicro(c.At).UTC(), Kind: c.Kind, Object: c.Object, Actor: p.person(c.Actor), Approver: p.person(c.Approver),
			Imported: c.Imported, Reasoned: c.Reasoned, Cites: reports.Cites{c.Leaf}})
	}
	return nil
}

// person is the name of an account, where the register has it.
func (p *picture) person(id string) string {
	for _, m := range p.state.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return id
}

// vendor pictures one supplier over all systems.
func (p *picture) vendor() error {
	if p.r.Kind != reports.KindVendorRisk {
		return nil
	}
	v := &reports.Vendor{Name: p.r.Vendor}
	for _, d := range p.state.Providers {
		if vendorOf(d) == p.r.Vendor {
			v.Providers = append(v.Providers, d)
			v.Kind, v.Simulated = d.Kind, v.Simulated || d.Kind == "simulated"
			v.Cites = append(v.Cites, d.Leaf)
		}
	}
	if len(v.Providers) == 0 {
		return fmt.Errorf("no provider of %q is declared", p.r.Vendor)
	}
	systems := map[string]*reports.VendorSystem{}
	errs, data := map[string]*reports.Refusal{}, map[string]*reports.Refusal{}
	for i := range p.calls {
		x := &p.calls[i]
		if x.OpenedLeaf >= 0 {
			v.OrgCalls++
			v.OrgCost += x.Charge
		}
		if x.OpenedLeaf < 0 || !slices.ContainsFunc(v.Providers, func(d inventory.Provider) bool { return string(d.ID) == x.Provider }) {
			continue
		}
		v.Calls++
		v.Cost += x.Charge
		p.vendorSystem(systems, x)
		if x.State == projection.Failed || x.State == projection.Cut {
			tally(errs, x.Code, x)
		}
		for _, class := range strings.Split(x.Classes, ",") {
			if class != "" {
				tally(data, class, x)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(systems)) {
		v.Systems = append(v.Systems, *systems[id])
	}
	v.Errors, v.PII = sorted(errs), sorted(data)
	p.in.Vendor = v
	return nil
}

func (p *picture) vendorSystem(systems map[string]*reports.VendorSystem, x *projection.Exchange) {
	s := systems[x.System]
	if s == nil {
		s = &reports.VendorSystem{ID: inventory.SystemID(x.System), Name: "unregistered use"}
		if d, err := p.state.System(s.ID); err == nil {
			s.Name, s.Declared, s.Data = d.Name, slices.Contains(d.Vendors, p.r.Vendor), d.DataCategories
		}
		s.Cites = reports.Cites{uint64(x.ClosedLeaf)}
		systems[x.System] = s
	}
	s.Calls++
	s.Cost += x.Charge
	if !slices.Contains(s.Models, x.ModelTarget) {
		s.Models = append(s.Models, x.ModelTarget)
		slices.Sort(s.Models)
	}
}

func tally(m map[string]*reports.Refusal, code string, x *projection.Exchange) {
	if m[code] == nil {
		m[code] = &reports.Refusal{Code: code}
	}
	m[code].Count++
	if len(m[code].Cites) < 3 && x.ClosedLeaf >= 0 {
		m[code].Cites = append(m[code].Cites, uint64(x.ClosedLeaf))
	}
}

func sorted(m map[string]*reports.Refusal) []reports.Refusal {
	var out []reports.Refusal
	for _, code := range slices.Sorted(maps.Keys(m)) {
		out = append(out, *m[code])
	}
	return out
}

// proof makes a document's proof file.
func (s *Server) proof(ctx context.Context, p reports.Proving) ([]byte, error) {
	return verify.MakeProof(ctx, s.Ledger, p.Log, p.Document.ID, record.Leaf{Index: p.Leaf, Bytes: p.Bytes}, p.Document.AsOfSize, p.Checkpoint.Checkpoint, p.Checkpoint.Keys, s.rotations(ctx, p.Log, len(p.Checkpoint.Keys)))
}

// rotations finds the leaves that name a log's newer keys. A log that was never
// rotated is not searched.
func (s *Server) rotations(ctx context.Context, log string, keys int) []uint64 {
	var out []uint64
	for from, size := uint64(0), s.Ledger.Size(log); keys > 1 && from < size && len(out) < keys-1; {
		leaves, err := s.Ledger.Feed(ctx, log, from, 4096)
		if err != nil || len(leaves) == 0 {
			return out
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			if r, err := record.Decode(leaf.Bytes); err == nil && r.Kind == record.LedgerRotated {
				out = append(out, leaf.Index)
			}
		}
	}
	return out
}

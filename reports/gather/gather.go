// Package gather pictures an organisation as of a checkpoint for the builders of
// package reports: from the register's versions, the assessment of that moment
// and the projections of the ledger.
package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports"
)

// Deps of a Gatherer. All but Prices are needed.
type Deps struct {
	Register   *inventory.Register
	Engine     *assessments.Engine
	Projection *projection.Store
	Catalog    *frameworks.Catalog
	Prices     func(own []inventory.Price) string // hash of the price table with an organisation's own prices on top
}

// Gatherer makes the inputs of documents.
type Gatherer struct{ d Deps }

// New makes a Gatherer. It fails when a dependency is missing.
func New(d Deps) (*Gatherer, error) {
	if d.Register == nil || d.Engine == nil || d.Projection == nil || d.Catalog == nil {
		return nil, errors.New("gather: Register, Engine, Projection and Catalog are needed")
	}
	return &Gatherer{d}, nil
}

// prices is the hash of the table that prices an organisation's calls.
func (g *Gatherer) prices(own []inventory.Price) string {
	if g.d.Prices == nil {
		return ""
	}
	return g.d.Prices(own)
}

// Inputs pictures the organisation as of the first cp.Size leaves. It first lets
// the projections catch up. Errors: NotFound for a system, framework or vendor
// that the organisation did not have then.
func (g *Gatherer) Inputs(ctx context.Context, r reports.Request, cp record.Checkpoint) (reports.Inputs, error) {
	if err := g.d.Projection.CatchUp(ctx); err != nil {
		return reports.Inputs{}, err
	}
	state, err := g.d.Register.AsOf(ctx, r.Org, cp.Size)
	if err != nil {
		return reports.Inputs{}, err
	}
	in := reports.Inputs{OrgName: state.Org.Name, Contact: state.Settings.Contact, Mark: state.Settings.Confidential, Sample: state.Org.Sample,
		Systems: state.Systems, PriceTable: g.prices(state.Prices), Catalogue: g.d.Catalog.Hash}
	p := &picture{g: g, ctx: ctx, r: r, cp: cp, state: state, in: &in, found: map[found]*reports.Guard{}}
	steps := []func() error{p.system, p.traffic, p.rollups, p.outages, p.budgets, p.changes}
	if r.Framework != "" {
		steps = append(steps, p.controls)
	}
	if r.Vendor != "" {
		steps = append([]func() error{p.vendor}, steps...)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return reports.Inputs{}, err
		}
	}
	return in, nil
}

// picture is one gathering.
type picture struct {
	g         *Gatherer
	ctx       context.Context
	r         reports.Request
	cp        record.Checkpoint
	state     *inventory.State
	in        *reports.Inputs
	providers map[string]bool // of the vendor asked for; nil: all
	found     map[found]*reports.Guard
}

func (p *picture) system() error {
	if p.r.System == "" {
		return nil
	}
	s, err := p.state.System(p.r.System)
	if err != nil {
		return err
	}
	named := *s
	named.RiskBy = p.name(s.RiskBy)
	p.in.System = &named
	if s.Leaf > 0 && s.Leaf < p.cp.Size {
		p.in.SystemAt = reports.Cites{s.Leaf}
	}
	if profile := p.state.ProfileOf(s); profile != nil {
		p.in.Profile = string(profile.ID)
	}
	return nil
}

// name is whoever an id stands for, as the register knew them then.
func (p *picture) name(id string) string {
	switch {
	case id == "config":
		return "configuration file"
	case strings.HasPrefix(id, "job:"):
		return "job " + strings.TrimPrefix(id, "job:")
	}
	for _, m := range p.state.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return id
}

// cite is a leaf as a citation, when there is one before the checkpoint.
func (p *picture) cite(leaves ...int64) reports.Cites {
	var out reports.Cites
	for _, l := range leaves {
		if l >= 0 && uint64(l) < p.cp.Size && !slices.Contains(out, uint64(l)) {
			out = append(out, uint64(l))
		}
	}
	return out
}

// budgets are those that limit the subject, with their newest window.
func (p *picture) budgets() error {
	balances, err := p.g.d.Projection.BalancesAsOf(p.ctx, string(p.r.Org), p.cp.Size)
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	for _, k := range p.state.Keys {
		if p.r.System == "" || k.System == p.r.System {
			keys[string(k.ID)] = true
		}
	}
	for _, b := range p.state.Budgets {
		mine := b.Scope == inventory.ScopeOrg || b.Scope == inventory.ScopeSystem && (p.r.System == "" || b.Target == string(p.r.System)) || b.Scope == inventory.ScopeKey && keys[b.Target]
		if !mine {
			continue
		}
		x := reports.Budget{ID: string(b.ID), Scope: string(b.Scope), Target: b.Target, Window: b.Window, Limit: b.Limit}
		window := int64(-1)
		for _, bal := range balances {
			if bal.Budget == string(b.ID) && bal.Window >= window {
				window, x.Charged, x.Over = bal.Window, bal.Charged, bal.Overspent
			}
		}
		if b.Leaf > 0 {
			x.Cites = p.cite(int64(b.Leaf))
		}
		p.in.Budgets = append(p.in.Budgets, x)
	}
	return nil
}

// maxChanges is how many changes a document lists.
const maxChanges = 200

// concerns reports whether a change of a row concerns the document's system: its own
// rows, those of its keys, what limits or governs them too, and requests for any of it.
func (p *picture) concerns(noun, object string, own map[string]bool) bool {
	switch noun {
	case "system", "key", "schedule":
		return own[object]
	case "budget":
		at := slices.IndexFunc(p.state.Budgets, func(b inventory.Budget) bool { return string(b.ID) == object })
		return at < 0 || p.state.Budgets[at].Scope == inventory.ScopeOrg || own[p.state.Budgets[at].Target]
	case "change":
		q, err := p.state.ChangeRequest(inventory.RequestID(object))
		return err != nil || p.concerns(q.Kind, q.Row, own)
	}
	return true
}

// object names what changed; of a change request also what it asks for.
func (p *picture) object(noun, id string) string {
	if q, err := p.state.ChangeRequest(inventory.RequestID(id)); noun == "change" && err == nil {
		return id + " for " + strings.ReplaceAll(q.Kind, "_", " ") + " " + q.Row
	}
	return id
}

// changes are those in the period that concern the subject: its own rows, and
// what holds for every system.
func (p *picture) changes() error {
	all, err := p.g.d.Projection.Changes(p.ctx, string(p.r.Org), p.r.From.UnixMicro(), 5000)
	if err != nil {
		return err
	}
	keys := map[string]bool{string(p.r.System): true}
	for _, k := range p.state.Keys {
		if k.System == p.r.System {
			keys[string(k.ID)] = true
		}
	}
	left := 0
	for _, c := range slices.Backward(all) {
		noun, _, _ := strings.Cut(c.Kind, ".")
		if c.Leaf >= p.cp.Size || c.At > p.r.To.UnixMicro() || noun == "person" || noun == "account" || p.r.System != "" && !p.concerns(noun, c.Object, keys) {
			continue
		}
		if len(p.in.Changes) == maxChanges {
			left++
			continue
		}
		p.in.Changes = append(p.in.Changes, reports.Change{At: time.UnixMicro(c.At).UTC(), Kind: c.Kind, Object: p.object(noun, c.Object), Actor: p.name(c.Actor), Approver: p.name(c.Approver),
			Imported: c.Imported, Reasoned: c.Reasoned, Cites: reports.Cites{c.Leaf}})
	}
	if left > 0 {
		p.in.Limits = append(p.in.Limits, fmt.Sprintf("%d further changes of the period are in the ledger and not listed here.", left))
	}
	return nil
}

// vendor finds a supplier by the name that its providers bear, or by a provider's
// id.
func (p *picture) vendor() error {
	v := &reports.Vendor{Name: p.r.Vendor}
	p.providers = map[string]bool{}
	for _, x := range p.state.Providers {
		if !strings.EqualFold(x.Vendor, p.r.Vendor) && !strings.EqualFold(string(x.ID), p.r.Vendor) {
			continue
		}
		p.providers[string(x.ID)] = true
		v.Providers, v.Kind = append(v.Providers, x), x.Kind
		v.Simulated = v.Simulated || x.Kind == "simulated"
		if x.Leaf > 0 {
			v.Cites = append(v.Cites, p.cite(int64(x.Leaf))...)
		}
	}
	if len(v.Providers) == 0 {
		return fault.New(fault.NotFound, "not_found", "there is no vendor %q", p.r.Vendor)
	}
	p.in.Vendor, p.in.Simulated = v, v.Simulated
	return nil
}

// vendorOf a provider as the register names it.
func (p *picture) vendorOf(provider string) (vendor, region string) {
	for _, x := range p.state.Providers {
		if string(x.ID) == provider {
			return x.Vendor, x.Region
		}
	}
	return "", ""
}

func charge(c projection.Counters) money.Nano { return money.Nano(c["charge"]) }

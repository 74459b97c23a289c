package gather

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plumbline/assessments/projection"
	"plumbline/inventory"
	"plumbline/reports"
)

// maxRows is how many exchanges are read for latency, models and examples. Past
// it the newest are taken and the document says so.
const maxRows = 20_000

// modelKey is a model as it was asked for and served.
type modelKey struct{ alias, provider, served string }

// modelRows gathers what was seen of a model.
type modelRows struct {
	reports.Model
	took []int64
}

// traffic reads the exchanges that closed before the checkpoint: models served,
// latency, refusals with examples, and who used a vendor.
func (p *picture) traffic() error {
	models := map[modelKey]*modelRows{}
	codes := map[string]*reports.Refusal{}
	users := map[string]*reports.VendorSystem{}
	f := projection.Filter{System: string(p.r.System), From: p.r.From.UnixMicro(), To: p.r.To.UnixMicro() + 1, Leaves: p.cp.Size, Limit: 1000}
	for rows := 0; ; {
		page, next, err := p.g.d.Projection.Exchanges(p.ctx, string(p.r.Org), f)
		if err != nil {
			return err
		}
		for i := range page {
			if err := p.exchange(&page[i], models, codes, users); err != nil {
				return err
			}
		}
		if rows += len(page); next == "" {
			break
		}
		if rows >= maxRows {
			p.in.Limits = append(p.in.Limits, fmt.Sprintf("Latency, models and examples come from the newest %d exchanges of the period; counts of traffic come from all.", rows))
			break
		}
		f.Before = next
	}
	p.refusals(codes)
	p.models(models)
	slices.SortFunc(p.in.Endpoints, func(a, b reports.Endpoint) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Name, b.Name))
	})
	if v := p.in.Vendor; v != nil {
		for _, id := range slices.Sorted(maps.Keys(users)) {
			v.Systems = append(v.Systems, *users[id])
		}
		p.declaredUsers(v)
		for i := range v.Systems {
			for _, k := range p.state.Keys {
				if k.System == v.Systems[i].ID && k.RevokedAt.IsZero() {
					v.Systems[i].Keys++
				}
			}
		}
		for _, k := range p.foundBy("pii") {
			if !k.answer {
				v.PII = append(v.PII, *p.found[k])
			}
		}
	}
	return nil
}

func (p *picture) exchange(x *projection.Exchange, models map[modelKey]*modelRows, codes map[string]*reports.Refusal, users map[string]*reports.VendorSystem) error {
	if v := p.in.Vendor; v != nil {
		if x.State != projection.Refused {
			v.OrgCalls++
			v.OrgCost = v.OrgCost.Add(x.Charge)
		}
		if x.State == projection.Refused || !p.providers[x.Provider] {
			return nil
		}
		p.vendorCall(v, x, users)
	}
	if err := p.verdicts(x); err != nil {
		return err
	}
	if x.State == projection.Refused {
		c := codes[x.Code]
		if c == nil {
			c = &reports.Refusal{Code: x.Code}
			codes[x.Code] = c
		}
		if c.Count++; len(c.Cites) < 2 {
			c.Cites = append(c.Cites, p.cite(x.ClosedLeaf)...)
		}
		return nil
	}
	p.in.Simulated = p.in.Simulated || x.Simulated
	served := x.ModelServed
	if served == "" {
		served = x.ModelTarget
	}
	k := modelKey{x.ModelAsked, x.Provider, served}
	m := models[k]
	if m == nil {
		vendor, region := p.vendorOf(x.Provider)
		m = &modelRows{Model: reports.Model{Alias: x.ModelAsked, Provider: x.Provider, Vendor: vendor, Served: served, Region: x.Region, DeclaredRegion: region, Simulated: x.Simulated, System: x.System}}
		models[k] = m
	}
	at := x.Time()
	if m.LastSeen.IsZero() {
		m.LastSeen, m.Cites = at, p.cite(x.ClosedLeaf)
	}
	m.FirstSeen = at // rows come newest first
	p.endpoint(x.Endpoint)
	m.Calls++
	if x.State != projection.Complete && x.State != projection.ClientGone {
		m.Errors++
	}
	m.InputTokens += max(x.Input, 0)
	m.OutputTokens += max(x.Output, 0)
	m.Cost = m.Cost.Add(x.Charge)
	if x.Total > 0 {
		m.took = append(m.took, x.Total)
	}
	return nil
}

// endpoint counts a call by its kind.
func (p *picture) endpoint(name string) {
	i := slices.IndexFunc(p.in.Endpoints, func(e reports.Endpoint) bool { return e.Name == name })
	if i < 0 {
		i, p.in.Endpoints = len(p.in.Endpoints), append(p.in.Endpoints, reports.Endpoint{Name: name})
	}
	p.in.Endpoints[i].Calls++
}

func (p *picture) vendorCall(v *reports.Vendor, x *projection.Exchange, users map[string]*reports.VendorSystem) {
	v.Calls++
	v.Cost = v.Cost.Add(x.Charge)
	u := users[x.System]
	if u == nil {
		u = &reports.VendorSystem{ID: inventory.SystemID(x.System)}
		if s, err := p.state.System(u.ID); err == nil {
			u.Name, u.Data, u.Declared = s.Name, s.DataCategories, p.declares(s)
		}
		u.Cites = p.cite(x.ClosedLeaf)
		users[x.System] = u
	}
	u.Calls++
	u.Cost = u.Cost.Add(x.Charge)
	if x.ModelTarget != "" && !slices.Contains(u.Models, x.ModelTarget) {
		u.Models = append(u.Models, x.ModelTarget)
	}
	if x.State == projection.Failed || x.State == projection.Cut {
		code := cmp.Or(x.Code, x.State)
		i := slices.IndexFunc(v.Errors, func(e reports.Refusal) bool { return e.Code == code })
		if i < 0 {
			v.Errors = append(v.Errors, reports.Refusal{Code: code, Cites: p.cite(x.ClosedLeaf)})
			i = len(v.Errors) - 1
		}
		v.Errors[i].Count++
	}
}

// declares says whether a system's entry names the vendor or one of its providers.
func (p *picture) declares(s *inventory.System) bool {
	return slices.ContainsFunc(s.Vendors, func(n string) bool { return strings.EqualFold(n, p.r.Vendor) }) ||
		slices.ContainsFunc(s.Models, func(m inventory.ModelRef) bool { return p.providers[string(m.Provider)] })
}

// declaredUsers adds the systems that name the vendor and were not seen to use it.
func (p *picture) declaredUsers(v *reports.Vendor) {
	for i := range p.state.Systems {
		s := &p.state.Systems[i]
		seen := slices.ContainsFunc(v.Systems, func(u reports.VendorSystem) bool { return u.ID == s.ID })
		if !seen && p.declares(s) {
			v.Systems = append(v.Systems, reports.VendorSystem{ID: s.ID, Name: s.Name, Declared: true, Data: s.DataCategories})
		}
	}
}

func (p *picture) refusals(codes map[string]*reports.Refusal) {
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		p.in.Refusals = append(p.in.Refusals, *codes[code])
	}
}

// models joins what was seen with what the register declares.
func (p *picture) models(seen map[modelKey]*modelRows) {
	declared := map[inventory.ModelRef]bool{}
	for i := range p.state.Systems {
		if s := &p.state.Systems[i]; p.r.System == "" || s.ID == p.r.System {
			for _, m := range s.Models {
				if p.providers == nil || p.providers[string(m.Provider)] {
					declared[m] = true
				}
			}
		}
	}
	for _, m := range seen {
		slices.Sort(m.took)
		if n := len(m.took); n > 0 {
			m.P50, m.P95 = micros(m.took[n/2]), micros(m.took[min(n-1, n*95/100)])
		}
		m.Declared = p.declaredFor(m, declared)
		p.in.Models = append(p.in.Models, m.Model)
	}
	for ref := range declared {
		if !slices.ContainsFunc(p.in.Models, func(m reports.Model) bool { return m.Declared == ref.Model && m.Provider == string(ref.Provider) }) {
			vendor, region := p.vendorOf(string(ref.Provider))
			p.in.Models = append(p.in.Models, reports.Model{Alias: ref.Model, Provider: string(ref.Provider), Vendor: vendor, Declared: ref.Model, DeclaredRegion: region})
		}
	}
	slices.SortFunc(p.in.Models, func(a, b reports.Model) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Alias, b.Alias), cmp.Compare(a.Served, b.Served))
	})
}

// declaredFor is the declared model that a seen one answers to: its own name, the
// name asked for, or the route's target.
func (p *picture) declaredFor(m *modelRows, declared map[inventory.ModelRef]bool) string {
	provider := inventory.ProviderID(m.Provider)
	names := []string{m.Served, m.Alias}
	for _, r := range p.state.Routes {
		if r.Model == m.Alias && r.Target != "" {
			names = append(names, r.Target)
		}
	}
	for _, n := range names {
		if !declared[inventory.ModelRef{Provider: provider, Model: n}] {
			continue
		}
		if n == m.Alias && p.routed(m.Alias, m.Served) {
			return m.Served // declared by the name that apps ask for, which routes to what was served
		}
		return n
	}
	return ""
}

func (p *picture) routed(alias, served string) bool {
	return slices.ContainsFunc(p.state.Routes, func(r inventory.Route) bool {
		return r.Model == alias && (r.Target == served || r.Target == "" && alias == served)
	})
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// rollups are usage by hour and what the guards did.
func (p *picture) rollups() error {
	if p.in.Vendor != nil {
		return p.vendorHours()
	}
	hours, err := p.g.d.Projection.HoursAsOf(p.ctx, string(p.r.Org), string(p.r.System), p.r.From, p.r.To, p.cp.Size)
	if err != nil {
		return err
	}
	sum := projection.Counters{}
	for _, h := range hours {
		c := h.Counters
		sum.AddAll(c)
		p.in.Usage = append(p.in.Usage, reports.Hour{Start: time.Unix(h.Hour*3600, 0).UTC(), Exchanges: c["closed"] + c["refused"], Answered: c["ok"], Refused: c["refused"], Failed: c["failed"], Incomplete: c["incomplete"],
			InputTokens: c["input"], OutputTokens: c["output"], Cost: charge(c)})
	}
	p.in.Simulated = p.in.Simulated || sum["simulated"] > 0
	if err := p.marks(); err != nil {
		return err
	}
	if sum["turned_away"] > 0 {
		p.in.Limits = append(p.in.Limits, fmt.Sprintf("%d calls were turned away while the ledger could not write.", sum["turned_away"]))
	}
	p.guards(sum)
	p.counted(sum)
	return nil
}

// marks cite the first and the last hour mark of the period: between them lies
// what the hours count.
func (p *picture) marks() error {
	marks, err := p.g.d.Projection.Marks(p.ctx, string(p.r.Org), p.r.From.Unix()/3600, p.cp.Size)
	if err != nil || len(marks) == 0 {
		return err
	}
	first, last := marks[0], marks[len(marks)-1]
	p.in.Collector = reports.Collector{Marks: len(marks), First: time.Unix(first.Hour*3600, 0).UTC(), Last: time.Unix(last.Hour*3600, 0).UTC(), Cites: p.cite(int64(first.Leaf), int64(last.Leaf))}
	if len(p.in.Usage) > 0 {
		p.in.UsageAt = p.in.Collector.Cites
	}
	return nil
}

// outages are the times of the period in which the log could not be written.
func (p *picture) outages() error {
	list, err := p.g.d.Projection.Outages(p.ctx, string(p.r.Org), p.r.From.UnixMicro(), p.cp.Size)
	for _, o := range list {
		p.in.Outages = append(p.in.Outages, reports.Outage{From: time.UnixMicro(o.From).UTC(), To: time.UnixMicro(o.To).UTC(), Turned: int64(o.Turned), Cause: o.Cause, Cites: p.cite(int64(o.Leaf))})
	}
	return err
}

// counted raises the counts of refusals to what the ledger counted without a
// record each.
func (p *picture) counted(sum projection.Counters) {
	for _, key := range slices.Sorted(maps.Keys(sum)) {
		code, ok := strings.CutPrefix(key, "refused.")
		if !ok {
			continue
		}
		i := slices.IndexFunc(p.in.Refusals, func(r reports.Refusal) bool { return r.Code == code })
		if i < 0 {
			p.in.Refusals = append(p.in.Refusals, reports.Refusal{Code: code})
			i = len(p.in.Refusals) - 1
		}
		p.in.Refusals[i].Count = max(p.in.Refusals[i].Count, sum[key])
	}
}

// vendorHours has no rollup by provider: it counts the models' rows.
func (p *picture) vendorHours() error {
	hours := map[int64]*reports.Hour{}
	f := projection.Filter{From: p.r.From.UnixMicro(), To: p.r.To.UnixMicro() + 1, Leaves: p.cp.Size, Limit: 1000}
	for rows := 0; rows < maxRows; {
		page, next, err := p.g.d.Projection.Exchanges(p.ctx, string(p.r.Org), f)
		if err != nil {
			return err
		}
		for i := range page {
			if x := &page[i]; p.providers[x.Provider] && x.State != projection.Refused {
				p.hourOf(hours, x)
			}
		}
		if rows += len(page); next == "" {
			break
		}
		f.Before = next
	}
	for _, h := range slices.Sorted(maps.Keys(hours)) {
		p.in.Usage = append(p.in.Usage, *hours[h])
	}
	return nil
}

func (p *picture) hourOf(hours map[int64]*reports.Hour, x *projection.Exchange) {
	at := x.Time().Truncate(time.Hour)
	h := hours[at.Unix()]
	if h == nil {
		h = &reports.Hour{Start: at}
		hours[at.Unix()] = h
	}
	h.Exchanges++
	switch x.State {
	case projection.Complete:
		h.Answered++
	case projection.Incomplete:
		h.Incomplete++
	default:
		h.Failed++
	}
	h.InputTokens += max(x.Input, 0)
	h.OutputTokens += max(x.Output, 0)
	h.Cost = h.Cost.Add(x.Charge)
}

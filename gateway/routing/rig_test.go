package routing

import (
	"math/rand/v2"
	"strconv"
	"time"

	"plumbline/app/money"
	"plumbline/inventory"
)

// rig is an organisation with the providers a to h, each in the region of its name's
// place in the alphabet, and a clock.
type rig struct {
	*Health
	org   *inventory.OrgView
	now   time.Time
	table Table
	plan  Plan
	free  call
}

// call is what a call says of targets: prices by provider, and what it cannot ask.
type call struct {
	prices map[inventory.ProviderID]money.Nano
	cannot map[inventory.ProviderID]string
}

func (c *call) Price(t *Target) (money.Nano, bool) { p, ok := c.prices[t.Provider]; return p, ok }
func (c *call) Cannot(t *Target) string            { return c.cannot[t.Provider] }

func newRig(routes ...inventory.Route) *rig {
	source := rand.New(rand.NewPCG(1, 2))
	r := &rig{Health: NewHealth(Limits{}, source.Uint64), now: time.Unix(1_790_000_000, 0),
		org: &inventory.OrgView{Org: inventory.Org{ID: "acme"}, Providers: map[inventory.ProviderID]*inventory.Provider{}, Routes: map[string]*inventory.Route{}}}
	for i, id := range []inventory.ProviderID{"a", "b", "c", "d", "e", "f", "g", "h"} {
		r.org.Providers[id] = &inventory.Provider{ID: id, Region: "r" + strconv.Itoa(i)}
	}
	for i := range routes {
		r.org.Routes[routes[i].Model] = &routes[i]
	}
	r.table = r.Compile(r.org)
	return r
}

func (r *rig) made(route string, f Facts) *Plan {
	r.plan.Reset(r.now)
	r.plan.Make(r.table[route], &f, &r.free, r.now)
	return &r.plan
}

// ask sends one call, which ends as said, and gives the provider that it went to.
func (r *rig) ask(route string, result Result) inventory.ProviderID {
	p := r.made(route, Facts{})
	if !p.Next(r.now, nil) {
		return ""
	}
	id := p.Target.Provider
	p.Try.End(r.now, result, "http_503", 0)
	return id
}

// fail makes a deployment's breaker open.
func (r *rig) fail(provider inventory.ProviderID, model string) {
	d := r.deployment(Key{"acme", provider, model})
	for range 20 {
		t, _ := d.admit(r.now.UnixNano(), true)
		t.End(r.now, Failed, "http_503", 0)
	}
}

func (r *rig) state(provider inventory.ProviderID, model string) State {
	return r.deployment(Key{"acme", provider, model}).Stand(r.now).State
}

func to(providers ...inventory.ProviderID) (out []inventory.Target) {
	for _, p := range providers {
		out = append(out, inventory.Target{Provider: p})
	}
	return out
}

func weight(n int) *int { return &n }

package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plumbline/gateway/dialect"
	"plumbline/inventory"
)

// Remark is about something that may be declared, and does not do what its author will
// have meant: every call that needs it is refused.
type Remark struct {
	Org    inventory.OrgID
	Origin inventory.Origin // of the route or key; none where people made it
	Text   string
}

func (r Remark) String() string {
	where := "organisation " + string(r.Org)
	if r.Origin.FromFile() {
		where = fmt.Sprintf("%s, line %d", r.Origin.File, r.Origin.Line)
	}
	return where + ": " + r.Text
}

// Remarks looks at everything that is in force, in order of organisation, file and line.
func (g *Gateway) Remarks() []Remark {
	v := g.view.Load()
	var out []Remark
	for _, id := range slices.Sorted(maps.Keys(v.orgs)) {
		o, from := v.orgs[id], len(out)
		for _, name := range slices.Sorted(maps.Keys(o.Routes)) {
			r := o.Routes[name]
			for _, text := range g.remarksOn(o, r) {
				out = append(out, Remark{id, r.Origin, text})
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v.snap.Keys)) {
			k := v.snap.Keys[key]
			if k.Org != id || !k.RevokedAt.IsZero() {
				continue
			}
			if s := o.Systems[k.System]; s != nil && s.Lifecycle == inventory.Retired && k.Origin.FromFile() { // a key that people made stays where its system ends
				out = append(out, Remark{id, k.Origin, fmt.Sprintf("the key %s is of the AI system %s, which is retired: its calls are refused (system_retired) until the file leaves it out, says revoked_at, or names another system", k.ID, s.ID)})
			}
			for _, name := range k.Models {
				if o.routes[name] == nil {
					out = append(out, Remark{id, k.Origin, fmt.Sprintf("the key %s may ask for %q, which no route is called", k.ID, name)})
				}
			}
		}
		slices.SortStableFunc(out[from:], func(a, b Remark) int {
			return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line))
		})
	}
	return out
}

func (g *Gateway) remarksOn(o *orgView, r *inventory.Route) []string {
	var out []string
	for _, t := range r.Leads() {
		for _, name := range t.When[inventory.WhenEndpoint] {
			if !slices.Contains(endpoints, name) {
				out = append(out, fmt.Sprintf("route %q has a condition on the endpoint %q, which there is none of; there are: %s", r.Model, name, strings.Join(endpoints, ", ")))
			}
		}
		up := o.providers[t.Provider]
		if t.Route != "" || up == nil || r.Unpriced {
			continue
		}
		if _, ok := o.prices.Rate(up.vendor, r.At(t), g.c.Now()); ok {
			continue
		}
		text := fmt.Sprintf("route %q leads to the model %q of the vendor %q, which has no price: its calls are refused (model_unpriced) until it has one in prices, or the route says allow_unpriced", r.Model, r.At(t), up.vendor)
		if !o.prices.Has(up.vendor) {
			text += "; vendors with prices are " + strings.Join(o.prices.Vendors(), ", ")
		}
		out = append(out, text)
	}
	return out
}

// endpoints are the operations that calls of models may be, as conditions and records
// name them.
var endpoints = func() []string {
	var out []string
	for _, b := range bases {
		for _, c := range b.calls {
			if e := c.to; e.op != dialect.Models && !e.lists() {
				out = append(out, string(e.op))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}()

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"plumbline/app/money"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/gateway/routing"
	"plumbline/inventory"
)

// Why a target cannot take a call at all, beside what routing says.
const (
	providerUnavailable  = "provider_unavailable"
	operationUnsupported = "operation_unsupported"
	targetGone           = "route_changed"
	notCarried           = "not_carried"
)

// mayAsk reports whether a key may ask for a route: by its name, or by the one that it
// was asked for under.
func mayAsk(key *inventory.Key, r *routing.Route) bool {
	return len(key.Models) == 0 || slices.Contains(key.Models, r.Name) || slices.Contains(key.Models, r.Declared.Model)
}

// resolve finds where a model name leads, for a key that may ask for it.
func (x *exchange) resolve() error {
	if err := x.find(x.key); err != nil {
		return err
	}
	x.ev.Route = x.route.Declared.Model
	return x.choose(true)
}

// find looks the route up in the organisation as x.org has it.
func (x *exchange) find(key *inventory.Key) error {
	route, ok := x.org.routes[x.model]
	switch {
	case ok && !mayAsk(key, route), !ok && len(key.Models) > 0 && !slices.Contains(key.Models, x.model):
		return refuse(http.StatusForbidden, "model_not_allowed", fmt.Sprintf("this key may not ask for the model %q", x.model)).about("model")
	case !ok:
		return refuse(http.StatusNotFound, "model_not_found", fmt.Sprintf("there is no route for the model %q; GET /v1/models lists them", x.model)).about("model")
	}
	x.route = route
	return nil
}

// choose plans the call, and places it at the first target. pending: guards did not
// look at it yet.
func (x *exchange) choose(pending bool) error {
	x.plan.Reset(x.now)
	f := x.routed(x.route, pending)
	x.plan.Make(x.route, &f, x, x.now)
	if !x.plan.Next(x.now, f.Regions) {
		return x.nowhere(x.system)
	}
	x.place(x.plan.Target)
	return nil
}

// routed is what the conditions of a route look at.
func (x *exchange) routed(r *routing.Route, pending bool) routing.Facts {
	f := routing.Facts{Key: string(x.key.ID), System: string(x.key.System), Endpoint: x.endpoint, Stream: x.stream, Attributes: x.attributes,
		Pending: pending, Inspected: x.input.Inspected, Classes: x.input.Found, Regions: allowed(x.system)}
	if x.system != nil {
		f.RiskClass = string(x.system.RiskClass)
	}
	if r.ByAttributes() && f.Attributes == nil {
		f.Attributes = attributesOf(x.r.Header)
	}
	return f
}

// allowed are the regions in which a system's calls may be answered; nil: any.
func allowed(s *inventory.System) []string {
	if s == nil {
		return nil
	}
	return s.Regions
}

// place makes a target the one that the call goes to.
func (x *exchange) place(t *routing.Target) {
	x.up, x.target = x.org.providers[t.Provider], t.Model
	if x.call.ofKept || x.call.op == dialect.BatchCreate {
		x.target = x.origin.Target
	}
	x.carriage, _ = x.up.carriage(x.call.op)
	e := &x.ev
	e.Provider, e.ModelTarget, e.Region, e.Simulated = string(t.Provider), x.target, x.up.declared.Region, x.up.kind.Simulated
	e.Choice, e.Breaker = x.plan.Why, breakers[x.plan.Try.State()]
	if e.Choice == routing.Only {
		e.Choice = ""
	}
	e.Skipped = passedOver(e.Skipped[:0], x.plan.Skipped())
}

var breakers = [...]event.Breaker{routing.Closed: event.BreakerClosed, routing.HalfOpen: event.BreakerHalfOpen, routing.Open: event.BreakerOpen}

// mostSkipped is how many targets that were passed over are named on record.
const mostSkipped = 8

func passedOver(dst []string, list []routing.Skip) []string {
	for _, s := range list {
		if len(dst) == mostSkipped {
			break
		}
		dst = append(dst, s.Why+" "+string(s.Provider)+"/"+s.Model)
	}
	return dst
}

// nowhere says why no target takes the call.
func (x *exchange) nowhere(s *inventory.System) *refusal {
	x.ev.Skipped = passedOver(x.ev.Skipped[:0], x.plan.Skipped())
	switch x.plan.Blocked() {
	case routing.RegionNotAllowed:
		return refuse(http.StatusForbidden, "region_not_allowed", fmt.Sprintf("the AI system %s may only use providers in %s, and the model %q has none there that can answer; ask for another model, or have the system's regions changed", s.ID, strings.Join(s.Regions, ", "), x.model)).about("model")
	case routing.NotMeant:
		return refuse(http.StatusForbidden, "no_target", fmt.Sprintf("no target of the model %q is meant for such a call: the conditions of its route are not met", x.model)).about("model")
	case operationUnsupported:
		if x.call.kind != "" {
			return refuse(http.StatusNotFound, operationUnsupported, fmt.Sprintf("the provider of the model %q has no %s; these kinds of provider have: %s", x.model, x.endpoint, speakersOf(x.call.op))).about("model")
		}
		return refuse(http.StatusNotFound, operationUnsupported, fmt.Sprintf("the provider of the model %q has no %s; ask for a model whose provider has it", x.model, x.endpoint)).about("model")
	case elsewhere:
		return x.leadsElsewhere()
	case itemElsewhere:
		return x.itemsElsewhere()
	case targetGone:
		return refuse(http.StatusServiceUnavailable, targetGone, "the route of this model changed while the call was under way; send it again").retryAfter(1)
	}
	return refuse(http.StatusServiceUnavailable, providerUnavailable, fmt.Sprintf("the provider of the model %q is not set up", x.model))
}

// speakersOf are the kinds of providers that have an operation, for a refusal.
func speakersOf(op dialect.Operation) string {
	var names []string
	for _, name := range provider.Kinds() {
		if k, err := provider.KindOf(name); err == nil && k.Speaks[op].At != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Price is the most that the call can cost at a target.
func (x *exchange) Price(t *routing.Target) (money.Nano, bool) {
	up := x.org.providers[t.Provider]
	if up == nil {
		return 0, false
	}
	rate, ok := x.org.prices.Rate(up.vendor, t.Model, x.start)
	if !ok {
		return 0, false
	}
	return rate.Ceiling(most(x, &rate)), true
}

// Cannot is why a target cannot take the call at all.
func (x *exchange) Cannot(t *routing.Target) string {
	up := x.org.providers[t.Provider]
	if up == nil {
		return providerUnavailable
	}
	if _, ok := up.carried[x.call.op]; !ok {
		return operationUnsupported
	}
	if x.lot != nil && up.kind.Speaks[x.lot.op].At == "" { // the requests of a batch go as they are
		return operationUnsupported
	}
	if x.origin != nil && x.origin.Provider != t.Provider {
		return elsewhere
	}
	if x.lack(up, t.Provider) {
		return itemElsewhere
	}
	return ""
}

// Retries are what became of the retries of all providers.
func (g *Gateway) Retries() []routing.Retries { return g.health.Retries() }

// Health is how the deployments of an organisation stand; "" is all organisations.
func (g *Gateway) Health(org inventory.OrgID) []routing.Stand { return g.health.Stands(org, g.c.Now()) }

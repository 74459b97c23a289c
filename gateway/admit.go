package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/policy"
	"plumbline/inventory"
)

// admit checks the AI system, the model and the key's rate.
func (g *Gateway) admit(x *exchange) error {
	x.now = x.start.Add(g.c.Since(x.start))
	if r := g.admissible(x.org, x.system, x.now); r != nil {
		return r
	}
	if x.call.op != dialect.Models && !x.call.lists() {
		if err := g.recall(x); err != nil {
			return err
		}
		if err := g.recallItems(x); err != nil {
			return err
		}
		if err := x.resolve(); err != nil {
			return err
		}
	}
	var err error
	if x.rated, err = g.c.Budgets.Admit(x.key, x.now); err != nil {
		var l *budget.Limited
		errors.As(err, &l)
		return refuse(http.StatusTooManyRequests, l.Code, l.Error()).retryIn(l.RetryAfter)
	}
	if x.call.op == dialect.Models {
		return g.models(x)
	}
	if x.call.lists() {
		return g.list(x)
	}
	return nil
}

// models lists what this key may ask for.
func (g *Gateway) models(x *exchange) error {
	names := make([]string, 0, len(x.org.routes))
	for name, r := range x.org.routes {
		if mayAsk(x.key, r) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	one, single := x.asked, x.call.inPath
	if single && !slices.Contains(names, one) {
		return refuse(http.StatusNotFound, "model_not_found", fmt.Sprintf("there is no route for the model %q", one)).about("model")
	}
	if single {
		names = []string{one}
	}
	list := make([]listed, 0, len(names))
	for _, name := range names {
		owner, route := "", x.org.routes[name]
		if t := route.First(); t != nil {
			owner = string(t.Provider)
		}
		list = append(list, listed{name, owner, route.Declared.ValidAt.Unix()})
	}
	b := x.call.api.models(x.buf[:0], list, single)
	x.buf = b
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	x.head(http.StatusOK)
	x.write(b)
	x.done = true
	return nil
}

// decide asks policy before inspection, with findings unknown.
func (g *Gateway) decide(x *exchange) error {
	in := &x.input
	*in = policy.Input{Org: string(x.key.Org), Key: string(x.key.ID), Model: x.model, Endpoint: x.endpoint, Stream: x.stream, Tools: x.peeked.Tools,
		Phase: "before", Hour: x.start.UTC().Hour()}
	x.placed(x.system)
	return g.askPolicy(x)
}

// placed tells policy of the system and of where the call goes. Both may differ
// for a further attempt.
func (x *exchange) placed(s *inventory.System) {
	in := &x.input
	in.Provider, in.Vendor, in.Region = string(x.up.declared.ID), x.up.vendor, x.up.declared.Region
	if s != nil {
		in.System, in.Registered, in.Approved = string(s.ID), true, true
		in.RiskClass, in.Lifecycle, in.Regions = string(s.RiskClass), string(s.Lifecycle), regions(s)
	}
}

func regions(s *inventory.System) string {
	switch len(s.Regions) {
	case 0:
		return ""
	case 1:
		return s.Regions[0]
	}
	return strings.Join(s.Regions, ",")
}

func (g *Gateway) askPolicy(x *exchange) error {
	if x.org.policies == nil {
		return refuse(http.StatusForbidden, "policy_broken", "the organisation's policies do not compile, so every call is refused until they do")
	}
	d := x.org.policies.Decide(x.r.Context(), &x.input)
	if x.ev.Decision.ShadowEffect == event.EffectDeny && d.ShadowEffect != event.EffectDeny {
		d.ShadowEffect, d.ShadowRule = x.ev.Decision.ShadowEffect, x.ev.Decision.ShadowRule
	}
	x.ev.Decision = d
	if d.Effect == event.EffectDeny {
		return refuse(http.StatusForbidden, "policy_denied", fmt.Sprintf("policy %s does not allow this call", d.Rule))
	}
	return nil
}

package routing

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"plumbline/app/money"
	"plumbline/inventory"
)

// Table holds an organisation's routes by every name that leads to them.
type Table map[string]*Route

// Route is a route made ready: its targets in order of tier, those of the routes that
// it names among them.
type Route struct {
	Declared *inventory.Route
	Name     string // that was asked for: the route's or an alias

	targets  []Target
	strategy inventory.Strategy
	classes  bool // a condition looks at data classes
	named    bool // or at an attribute
	turn     *atomic.Uint64
	rand     func() uint64
}

// Target is a deployment that a route leads to.
type Target struct {
	*Deployment
	At *inventory.Provider // nil when it is not there any more

	tier   []int // within the route, and within those that it names
	weight uint64
	when   []condition
}

type condition struct {
	name   string
	values inventory.OneOf
}

// Compile makes an organisation's routes ready.
func (h *Health) Compile(o *inventory.OrgView) Table {
	table := Table{}
	for _, v := range o.Routes {
		r := &Route{Declared: v, strategy: cmp.Or(v.Strategy, inventory.ByPriority), turn: h.turn(turnKey{o.Org.ID, v.Model}), rand: h.rand}
		h.expand(r, o, v, Target{weight: 1}, 0)
		slices.SortStableFunc(r.targets, func(a, b Target) int { return slices.Compare(a.tier, b.tier) })
		for i := range r.targets {
			for _, c := range r.targets[i].when {
				r.classes = r.classes || c.name == inventory.WhenDataClass
				r.named = r.named || strings.HasPrefix(c.name, inventory.WhenAttribute)
			}
		}
		for _, name := range v.Names() {
			c := *r
			c.Name = name
			table[name] = &c
		}
	}
	return table
}

// expand adds where a route leads; above says what holds for all of it. The register
// lets no route lead in a circle; depth is for a view that it did not make.
func (h *Health) expand(r *Route, o *inventory.OrgView, v *inventory.Route, above Target, depth int) {
	if depth > inventory.MaxTargets {
		return
	}
	for _, t := range v.Leads() {
		if len(r.targets) == inventory.MaxTargets {
			return
		}
		out := Target{tier: append(slices.Clone(above.tier), t.Tier), weight: above.weight, when: slices.Clone(above.when)}
		if t.Weight != nil {
			out.weight *= uint64(*t.Weight)
		}
		for name, values := range t.When {
			out.when = append(out.when, condition{name, values})
		}
		if t.Route != "" {
			if next := o.Routes[t.Route]; next != nil {
				h.expand(r, o, next, out, depth+1)
			}
			continue
		}
		out.At = o.Providers[t.Provider]
		out.Deployment = h.deployment(Key{o.Org.ID, t.Provider, v.At(t)})
		r.targets = append(r.targets, out)
	}
}

// Has finds the target with a deployment.
func (r *Route) Has(k Key) *Target {
	for i := range r.targets {
		if r.targets[i].Key == k {
			return &r.targets[i]
		}
	}
	return nil
}

// Targets is how many there are.
func (r *Route) Targets() int { return len(r.targets) }

// First is the first of them, whatever its health; nil when there is none.
func (r *Route) First() *Target {
	if len(r.targets) == 0 {
		return nil
	}
	return &r.targets[0]
}

// Takes reports whether a call of that kind may go to any of the targets, whatever their
// health.
func (r *Route) Takes(f *Facts, c Call) bool {
	return slices.ContainsFunc(r.targets, func(t Target) bool { return t.cannot(f, c) == "" })
}

// ByClasses reports whether a target depends on what guards find, so that a plan made
// before they looked is made once more.
func (r *Route) ByClasses() bool { return r.classes }

// ByAttributes reports whether a target depends on what the caller says of the call.
func (r *Route) ByAttributes() bool { return r.named }

// Facts are what conditions look at.
type Facts struct {
	Key, System, Endpoint, RiskClass string
	Stream                           bool
	Attributes                       map[string]string
	Pending                          bool   // guards did not look yet: conditions on data classes are open, and hold
	Inspected                        bool   // guards looked
	Classes                          string // what they found, with commas between
	Regions                          []string
}

// Call is the call that a plan is made for. It exists so that routing knows neither
// prices nor what providers speak.
type Call interface {
	// Price is the most that the call can cost at a target; false: it is not known.
	Price(t *Target) (money.Nano, bool)
	// Cannot is the code of why the call cannot go to a target at all, such as
	// operation_unsupported; empty: it can.
	Cannot(t *Target) string
}

// none is the data class of prompts in which guards found nothing.
const none = "none"

// cannot is why a call may not go to a target; empty: it may.
func (t *Target) cannot(f *Facts, c Call) string {
	switch {
	case !t.meets(f):
		return NotMeant
	case !t.InRegion(f.Regions):
		return RegionNotAllowed
	}
	return c.Cannot(t)
}

func (t *Target) meets(f *Facts) bool {
	for i := range t.when {
		if !t.when[i].holds(f) {
			return false
		}
	}
	return true
}

func (c *condition) holds(f *Facts) bool {
	var v string
	switch c.name {
	case inventory.WhenKey:
		v = f.Key
	case inventory.WhenSystem:
		v = f.System
	case inventory.WhenEndpoint:
		v = f.Endpoint
	case inventory.WhenRiskClass:
		v = f.RiskClass
	case inventory.WhenStream:
		v = "false"
		if f.Stream {
			v = "true"
		}
	case inventory.WhenDataClass:
		return c.found(f)
	default:
		v = f.Attributes[strings.TrimPrefix(c.name, inventory.WhenAttribute)]
		if v == "" {
			return false
		}
	}
	return slices.Contains(c.values, v)
}

// found: any class of the list was found, or nothing was and the list has none. What
// nobody looked for is unknown, and meets no condition.
func (c *condition) found(f *Facts) bool {
	switch {
	case f.Pending:
		return true
	case !f.Inspected:
		return false
	case f.Classes == "":
		return slices.Contains(c.values, none)
	}
	for class := range strings.SplitSeq(f.Classes, ",") {
		if slices.Contains(c.values, class) {
			return true
		}
	}
	return false
}

// InRegion reports whether a provider runs where it may. One that declares no region
// runs nowhere that is known.
func (t *Target) InRegion(allowed []string) bool {
	return len(allowed) == 0 || t.At != nil && t.At.Region != "" && slices.Contains(allowed, t.At.Region)
}

package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
)

// Route resolves a model name that apps ask for. It has one target, in Provider and
// Target, or a list of them.
type Route struct {
	Model    string     `json:"model" yaml:"model"`                         // name asked for
	Aliases  []string   `json:"aliases,omitempty" yaml:"aliases,omitempty"` // further names that lead here
	Org      OrgID      `json:"org" yaml:"-"`
	Provider ProviderID `json:"provider,omitempty" yaml:"provider,omitempty"`
	Target   string     `json:"target,omitempty" yaml:"target,omitempty"` // name at the provider; empty: the same
	Unpriced bool       `json:"allow_unpriced,omitempty" yaml:"allow_unpriced,omitempty"`

	Targets     []Target `json:"targets,omitempty" yaml:"targets,omitempty"`
	Strategy    Strategy `json:"strategy,omitempty" yaml:"strategy,omitempty"` // among targets of one tier; empty: priority
	MaxAttempts int      `json:"max_attempts,omitempty" yaml:"max_attempts,omitempty"`

	AttemptTimeout   Duration `json:"attempt_timeout,omitempty" yaml:"attempt_timeout,omitempty"`       // of one attempt, until something of its answer is given out
	FirstByteTimeout Duration `json:"first_byte_timeout,omitempty" yaml:"first_byte_timeout,omitempty"` // until the provider's answer begins
	IdleTimeout      Duration `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`             // between two pieces of an answer
	Deadline         Duration `json:"deadline,omitempty" yaml:"deadline,omitempty"`                     // of the whole exchange

	Stamp  `yaml:"-"`
	Origin Origin `json:"origin,omitzero" yaml:"-"`
}

// Strategy says which target of a tier is asked first.
type Strategy string

// The strategies.
const (
	ByPriority Strategy = "priority"    // in the order of the list
	ByWeight   Strategy = "weighted"    // by chance, in proportion to their weights
	RoundRobin Strategy = "round_robin" // each in turn
	ByLatency  Strategy = "latency"     // the faster of two that are picked by chance
	ByCost     Strategy = "cost"        // the cheapest for this call
)

// Strategies lists them, the default first.
func Strategies() []Strategy { return []Strategy{ByPriority, ByWeight, RoundRobin, ByLatency, ByCost} }

// known reports whether a route may have it; empty is the default.
func (s Strategy) known() bool { return s == "" || slices.Contains(Strategies(), s) }

// Target is one place where a route can lead.
type Target struct {
	Provider ProviderID `json:"provider,omitempty" yaml:"provider,omitempty"`
	Model    string     `json:"model,omitempty" yaml:"model,omitempty"`   // name at the provider; empty: the route's
	Route    string     `json:"route,omitempty" yaml:"route,omitempty"`   // in place of provider and model: the targets of another route
	Weight   *int       `json:"weight,omitempty" yaml:"weight,omitempty"` // nil: 1; 0: only after the others of its tier
	Tier     int        `json:"tier,omitempty" yaml:"tier,omitempty"`     // a higher one is asked when the lower ones cannot answer
	// When are conditions that a call must all meet, by the name of what is looked at:
	// key, system, endpoint, stream, risk_class, data_class, attribute.NAME.
	When map[string]OneOf `json:"when,omitempty" yaml:"when,omitempty"`
}

// What a condition may look at; attribute.NAME beside it.
const (
	WhenKey       = "key"
	WhenSystem    = "system"
	WhenEndpoint  = "endpoint"
	WhenStream    = "stream"
	WhenRiskClass = "risk_class"
	WhenDataClass = "data_class"
	WhenAttribute = "attribute."
)

var whens = []string{WhenKey, WhenSystem, WhenEndpoint, WhenStream, WhenRiskClass, WhenDataClass}

// Bounds of routes.
const (
	MaxTargets  = 32 // of a route, those of the routes that it names included
	maxAliases  = 32
	maxAttempts = 10
	maxWeight   = 1_000_000
	maxTier     = 100
	maxDuration = Duration(24 * time.Hour)
)

// Names are the model names that lead to the route.
func (v *Route) Names() []string { return append([]string{v.Model}, v.Aliases...) }

// Leads are the route's own targets, whichever form it has.
func (v *Route) Leads() []Target {
	if len(v.Targets) > 0 {
		return v.Targets
	}
	return []Target{{Provider: v.Provider, Model: v.Target}}
}

// At is the name of a target's model at its provider.
func (v *Route) At(t Target) string {
	if t.Model != "" {
		return t.Model
	}
	return v.Model
}

func (v *Route) uses(p ProviderID) bool {
	return slices.ContainsFunc(v.Leads(), func(t Target) bool { return t.Provider == p && t.Route == "" })
}

// PutRoute adds or changes where a model name leads.
func (r *Register) PutRoute(ctx context.Context, actor authz.Actor, v Route, reason string) error {
	if err := r.CheckRoute(actor, v); err != nil {
		return err
	}
	expect := v.Version
	v.Stamp, v.Origin, v.Org = Stamp{}, Origin{}, ""
	return r.put(ctx, actor, kindRoute, v.Model, reason, expect, v)
}

// CheckRoute says what is wrong with a route, as PutRoute would, and changes nothing.
func (r *Register) CheckRoute(actor authz.Actor, v Route) error {
	s, err := r.State(actor.Org)
	if err != nil {
		return err
	}
	return checkRoute(s, v)
}

// checkRoute checks a route beside the others of a state, which may have an older
// form of it.
func checkRoute(s *State, v Route) error {
	var wrong fault.Fields
	checkNames(&wrong, s, &v)
	if !v.Strategy.known() {
		wrong.Add("strategy", "%q is none of %s", v.Strategy, words(Strategies()))
	}
	switch {
	case len(v.Targets) > 0 && (v.Provider != "" || v.Target != ""):
		wrong.Add("targets", "give provider and target, or a list of targets, not both")
	case len(v.Targets) > 0:
	case v.Provider == "":
		wrong.Add("provider", "say where it leads: name a provider, or give a list of targets")
	case !s.hasProvider(v.Provider):
		wrong.Add("provider", "there is no provider %q", v.Provider)
	}
	for i := range v.Targets {
		checkTarget(&wrong, s, &v, i)
	}
	checkWays(&wrong, s, v)
	checkLimits(&wrong, &v)
	return wrong.Err()
}

func checkNames(wrong *fault.Fields, s *State, v *Route) {
	if v.Model == "" || len(v.Model) > 128 {
		wrong.Add("model", "name the model that apps ask for, in at most 128 characters")
	}
	if len(v.Aliases) > maxAliases {
		wrong.Add("aliases", "a route has at most %d aliases", maxAliases)
	}
	for i, name := range v.Aliases {
		at := fmt.Sprintf("aliases[%d]", i)
		if name == "" || len(name) > 128 {
			wrong.Add(at, "an alias is a name that apps ask for, in at most 128 characters")
		}
		if name == v.Model || slices.Contains(v.Aliases[:i], name) {
			wrong.Add(at, "the name %q is there twice", name)
		}
	}
	for i := range s.Routes {
		o := &s.Routes[i]
		if o.Model == v.Model {
			continue
		}
		if slices.Contains(o.Aliases, v.Model) {
			wrong.Add("model", "the name %q is an alias of the route %q already", v.Model, o.Model)
		}
		for k, name := range v.Aliases {
			if slices.Contains(o.Names(), name) {
				wrong.Add(fmt.Sprintf("aliases[%d]", k), "the name %q leads to the route %q already", name, o.Model)
			}
		}
	}
}

func checkTarget(wrong *fault.Fields, s *State, v *Route, i int) {
	t := &v.Targets[i]
	at := func(name string) string { return fmt.Sprintf("targets[%d].%s", i, name) }
	switch {
	case t.Route != "" && (t.Provider != "" || t.Model != ""):
		wrong.Add(at("route"), "give a provider or the name of another route, not both")
	case t.Route != "" && t.Route != v.Model && s.route(t.Route) == nil:
		wrong.Add(at("route"), "there is no route %q", t.Route)
	case t.Route == "" && !s.hasProvider(t.Provider):
		wrong.Add(at("provider"), "there is no provider %q", t.Provider)
	}
	if len(t.Model) > 128 {
		wrong.Add(at("model"), "a model's name has at most 128 characters")
	}
	switch {
	case t.Weight == nil:
	case v.Strategy != ByWeight && v.Strategy.known():
		wrong.Add(at("weight"), "a weight counts with the strategy weighted alone")
	case *t.Weight < 0 || *t.Weight > maxWeight:
		wrong.Add(at("weight"), "a weight is a whole number from 0 to %d", maxWeight)
	}
	if t.Tier < 0 || t.Tier > maxTier {
		wrong.Add(at("tier"), "a tier is a whole number from 0 to %d", maxTier)
	}
	for _, name := range slices.Sorted(maps.Keys(t.When)) {
		if err := checkWhen(name, t.When[name]); err != nil {
			wrong.Add(at("when"), "%v", err)
		}
	}
	for k := range v.Targets[:i] {
		if o := &v.Targets[k]; t.Route == "" && o.Provider == t.Provider && v.At(*o) == v.At(*t) && o.Route == "" && sameWhen(o.When, t.When) {
			wrong.Add(at("provider"), "the model %q at %q is a target already", v.At(*t), t.Provider)
		}
	}
}

func checkWhen(name string, values OneOf) error {
	attribute, is := strings.CutPrefix(name, WhenAttribute)
	switch {
	case is && (attribute == "" || len(attribute) > 64):
		return fmt.Errorf("%q: an attribute has a name of at most 64 characters, as in attribute.team", name)
	case !is && !slices.Contains(whens, name):
		return fmt.Errorf("%q is none of %s, attribute.NAME", name, strings.Join(whens, ", "))
	case len(values) == 0:
		return fmt.Errorf("%s: give one value or a list of them", name)
	case name == WhenStream && slices.ContainsFunc(values, func(s string) bool { return s != "true" && s != "false" }):
		return fmt.Errorf("stream is true or false")
	}
	return nil
}

func sameWhen(a, b map[string]OneOf) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

func checkLimits(wrong *fault.Fields, v *Route) {
	if v.MaxAttempts < 0 || v.MaxAttempts > maxAttempts {
		wrong.Add("max_attempts", "a call has from 1 to %d attempts; 0 is the default", maxAttempts)
	}
	for _, d := range []struct {
		name string
		is   Duration
	}{{"attempt_timeout", v.AttemptTimeout}, {"first_byte_timeout", v.FirstByteTimeout}, {"idle_timeout", v.IdleTimeout}, {"deadline", v.Deadline}} {
		if d.is < 0 || d.is > maxDuration || d.is > 0 && d.is < Duration(time.Millisecond) {
			wrong.Add(d.name, "a timeout is from 1ms to 24h, such as 30s; left out, there is none")
		}
	}
}

func (s *State) hasProvider(id ProviderID) bool {
	return slices.ContainsFunc(s.Providers, func(p Provider) bool { return p.ID == id })
}

func (s *State) route(model string) *Route {
	for i := range s.Routes {
		if s.Routes[i].Model == model {
			return &s.Routes[i]
		}
	}
	return nil
}

// checkWays follows the routes that name routes, as they are with v among them.
func checkWays(wrong *fault.Fields, s *State, v Route) {
	with := &State{Routes: slices.Clone(s.Routes)}
	if old := with.route(v.Model); old != nil {
		*old = v
	} else {
		with.Routes = append(with.Routes, v)
	}
	for i := range with.Routes {
		n, loop := with.targets(&with.Routes[i], nil)
		if loop != "" {
			wrong.Add("targets", "the routes lead in a circle: %s", loop)
		}
		if n > MaxTargets {
			wrong.Add("targets", "a route has at most %d targets, those of the routes that it names included; %q would have %d", MaxTargets, with.Routes[i].Model, n)
		}
	}
}

// targets counts where a route leads in the end, or names the circle that it is in.
func (s *State) targets(v *Route, above []string) (n int, loop string) {
	if slices.Contains(above, v.Model) {
		return 0, strings.Join(append(above, v.Model), " → ")
	}
	above = append(above, v.Model)
	for _, t := range v.Leads() {
		next := s.route(t.Route)
		if t.Route == "" || next == nil {
			n++
			continue
		}
		more, loop := s.targets(next, above)
		if n += more; loop != "" || n > MaxTargets {
			return n, loop
		}
	}
	return n, ""
}

func words[T ~string](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

package web

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/inventory"
)

func (r *request) routeForm(v inventory.Route) *form {
	providers := []option{{Label: "As listed below"}}
	for _, p := range r.state.Providers {
		providers = append(providers, option{Value: string(p.ID), Label: string(p.ID)})
	}
	var strategies []option
	for _, s := range inventory.Strategies() {
		strategies = append(strategies, option{Value: string(s), Label: strategyWords[s]})
	}
	duration := func(name, label, hint string, d inventory.Duration) field {
		value := ""
		if d != 0 {
			value = d.String()
		}
		return field{Name: name, Label: label, Value: value, Hint: hint, Optional: true, Mono: true}
	}
	unpriced, attempts := []string(nil), ""
	if v.Unpriced {
		unpriced = []string{"true"}
	}
	if v.MaxAttempts > 0 {
		attempts = strconv.Itoa(v.MaxAttempts)
	}
	return &form{Title: "Route", Intro: "A name that apps ask for, and what answers.", Action: "/gateway/routes", Submit: "Save", Cancel: "/gateway", Hidden: seen(v.Version), Fields: []field{
		naming(field{Name: "model", Label: "Model asked for", Value: v.Model, Mono: true}, v.Version),
		{Name: "aliases", Label: "Other names", Value: strings.Join(v.Aliases, ", "), Hint: "They lead to the same; commas between", Optional: true, Mono: true},
		{Name: "provider", Label: "Provider", Kind: "select", Value: string(v.Provider), Options: providers, Section: "One target"},
		{Name: "target", Label: "Model at the provider", Value: v.Target, Hint: "Empty: the same name", Optional: true, Mono: true},
		{Name: "targets", Label: "Targets", Kind: "textarea", Value: targetLines(v.Targets), Hint: "One a line, such as provider: openai, model: gpt-4o, tier: 0, weight: 3, when: {data_class: none}; route: NAME stands for the targets of another route", Optional: true, Mono: true, Section: "Or several"},
		{Name: "strategy", Label: "Which is asked first", Kind: "select", Value: string(v.Strategy), Options: strategies},
		{Name: "max_attempts", Label: "Attempts at most", Kind: "number", Value: attempts, Hint: "1 to 10; empty: as many as there are targets, 2 to 5", Optional: true, Section: "When something fails"},
		duration("attempt_timeout", "Longest attempt", "Such as 60s, until something of its answer is given out", v.AttemptTimeout),
		duration("first_byte_timeout", "Longest wait for an answer to begin", "Such as 15s", v.FirstByteTimeout),
		duration("idle_timeout", "Longest pause within an answer", "Such as 30s", v.IdleTimeout),
		duration("deadline", "Longest call", "Such as 2m", v.Deadline),
		{Name: "allow_unpriced", Label: "Price", Kind: "checks", Values: unpriced, Options: []option{{Value: "true", Label: "Allow a model without a price", Hint: "Its calls cost nothing on record, and budgets do not bound them"}}},
		reasonField("Kept with the change"),
	}}
}

var strategyWords = map[inventory.Strategy]string{
	inventory.ByPriority: "The first that can answer, in the order of the list", inventory.ByWeight: "By chance, in proportion to weights", inventory.RoundRobin: "Each in turn",
	inventory.ByLatency: "The one with less waiting of two picked by chance", inventory.ByCost: "The cheapest for the call",
}

// targetLines writes targets as the form has them.
func targetLines(list []inventory.Target) string {
	var lines []string
	for _, t := range list {
		var parts []string
		put := func(name, value string) {
			if value != "" {
				parts = append(parts, name+": "+value)
			}
		}
		put("provider", quoted(string(t.Provider)))
		put("model", quoted(t.Model))
		put("route", quoted(t.Route))
		if t.Tier != 0 {
			put("tier", strconv.Itoa(t.Tier))
		}
		if t.Weight != nil {
			put("weight", strconv.Itoa(*t.Weight))
		}
		var when []string
		for _, name := range sorted(t.When) {
			var values []string
			for _, v := range t.When[name] {
				values = append(values, quoted(v))
			}
			when = append(when, quoted(name)+": ["+strings.Join(values, ", ")+"]")
		}
		if when != nil {
			put("when", "{"+strings.Join(when, ", ")+"}")
		}
		lines = append(lines, strings.Join(parts, ", "))
	}
	return strings.Join(lines, "\n")
}

// quoted writes a text as YAML reads it back, plain where that is safe.
func quoted(s string) string {
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == "" {
		return s
	}
	return strconv.Quote(s)
}

// readTargets reads them; the error names every line that cannot be read, which is an
// empty target.
func readTargets(text string) (out []inventory.Target, err error) {
	var wrong []string
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var t inventory.Target
		if _, err := config.Strict([]byte("{"+line+"}"), fmt.Sprintf("line %d", i+1), &t); err != nil {
			var f *fault.Error
			if !errors.As(err, &f) {
				return nil, err
			}
			wrong, t = append(wrong, strings.Replace(f.Message, ": line 1: ", ": ", 1)), inventory.Target{}
		}
		out = append(out, t)
	}
	if wrong != nil {
		return out, fault.Field("targets", "%s", strings.Join(wrong, "; "))
	}
	return out, nil
}

// newRoutePage is an empty form, or that of the route ?model=.
func (r *request) newRoutePage() error {
	title, v := "New route", inventory.Route{}
	if name := r.c.QueryParam("model"); name != "" {
		found, err := find(r.state.Routes, "route", name, func(x *inventory.Route) bool { return x.Model == name })
		if err != nil {
			return err
		}
		if v = *found; v.Origin.FromFile() {
			return readOnly(v.Origin)
		}
		title = "Route " + name
	}
	return r.formPage(gatewayCrumbs(title), r.routeForm(v))
}

// routeEntered reads the form.
func (r *request) routeEntered() (inventory.Route, error) {
	v := inventory.Route{Model: r.value("model"), Aliases: list(r.value("aliases")), Provider: inventory.ProviderID(r.value("provider")), Target: r.value("target"),
		Unpriced: r.value("allow_unpriced") != "", Strategy: inventory.Strategy(r.value("strategy"))}
	var (
		wrong                fault.Fields
		clash, unread, other error
	)
	v.Version, clash = r.version("model", "route", v.Model, deletable["route"].has(r.state, v.Model))
	v.Targets, unread = readTargets(r.value("targets"))
	if text := r.value("max_attempts"); text != "" {
		if v.MaxAttempts, other = strconv.Atoi(text); other != nil {
			wrong.Add("max_attempts", "write a whole number")
		}
	}
	for name, d := range map[string]*inventory.Duration{"attempt_timeout": &v.AttemptTimeout, "first_byte_timeout": &v.FirstByteTimeout, "idle_timeout": &v.IdleTimeout, "deadline": &v.Deadline} {
		if text := r.value(name); text != "" {
			if err := d.UnmarshalText([]byte(text)); err != nil {
				wrong.Add(name, "%v", err)
			}
		}
	}
	return v, wrong.Join(clash, unread)
}

func (r *request) putRoute() error {
	v, err := r.routeEntered()
	err = gathered(err, func() error { return atForm(r.web.d.Register.CheckRoute(r.actor, v), "targets", "aliases") },
		func() error {
			return atForm(r.web.d.Register.PutRoute(r.ctx(), r.actor, v, r.value("reason")), "targets", "aliases")
		})
	if err != nil {
		return r.again(gatewayCrumbs("Route"), r.routeForm(v), err)
	}
	return r.done("/gateway", "Route "+v.Model+" is in force.")
}

// atForm puts errors about parts of fields, such as targets[1].weight, to the boxes
// that hold those fields.
func atForm(err error, fields ...string) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Fields == nil {
		return err
	}
	out := *f
	out.Fields = maps.Clone(f.Fields)
	for _, whole := range fields {
		var said []string
		for _, name := range slices.SortedFunc(maps.Keys(f.Fields), naturally) {
			rest, ok := strings.CutPrefix(name, whole+"[")
			index, part, _ := strings.Cut(rest, "]")
			if n, err := strconv.Atoi(index); ok && err == nil {
				said = append(said, strings.TrimSpace(fmt.Sprintf("number %d: %s %s", n+1, strings.TrimPrefix(part, "."), f.Fields[name])))
				delete(out.Fields, name)
			}
		}
		if before := out.Fields[whole]; before != "" {
			said = append([]string{before}, said...)
		}
		if said != nil {
			out.Fields[whole] = strings.Join(said, "; ")
		}
	}
	return &out
}

package web

import (
	"slices"
	"strings"

	"plumbline/assessments/projection"
)

// logFacets are the choices beside the list. Their numbers are those of the whole
// period and the chosen systems, from the counters of its hours; over a range of
// leaves there are none.
func (r *request) logFacets(data *exchangesData, sums map[string]projection.Counters) {
	q, chosen := data.Filter, sumChosen(sums, data.Filter.f.Systems)
	known := !q.ranged() && sums != nil
	outcome := facet{Legend: "Outcome", Name: "state"}
	for _, s := range projection.States() {
		n := endedIn(chosen, s)
		if s == projection.Open {
			n = int64(data.OpenN)
		}
		if n > 0 || sums == nil || q.has("state", s) || s == projection.Complete || s == projection.Refused {
			outcome.Choices = append(outcome.Choices, facetChoice{s, lookOf(s).word, n, known && (s != projection.Open || len(q.f.States) == 0), q.has("state", s)})
		}
	}
	systems := facet{Legend: "AI system", Name: "system"}
	for _, s := range r.state.Systems {
		c := sums[string(s.ID)]
		systems.Choices = append(systems.Choices, facetChoice{string(s.ID), s.Name, c["closed"] + c["refused"], known, q.has("system", string(s.ID))})
	}
	slices.SortStableFunc(systems.Choices, func(a, b facetChoice) int { return int(b.N - a.N) })
	systems.Choices, systems.Left = shortest(systems.Choices)
	systems.Choices = append(systems.Choices, facetChoice{none, "None registered", sums[""]["closed"] + sums[""]["refused"], known, q.has("system", none)})
	guards, codes, usage := facet{Legend: "Guard", Name: "guard"}, facet{Legend: "Code", Name: "code"}, facet{Legend: "Usage from", Name: "usage"}
	for _, name := range sorted(chosen) {
		found, ok := strings.CutPrefix(name, projection.FindingCounter(""))
		if guard, verdict, exact := strings.Cut(found, ":"); ok && exact && guard != "" {
			guards.add(q, found, guard+" "+findingWord(verdict), chosen[name])
		}
		if code, ok := strings.CutPrefix(name, "refused."); ok {
			codes.add(q, code, words(code), chosen[name]+chosen["code."+code])
		}
		if code, ok := strings.CutPrefix(name, "code."); ok && chosen["refused."+code] == 0 {
			codes.add(q, code, words(code), chosen[name])
		}
	}
	for _, s := range usageSources {
		if n := chosen["usage."+projection.SourceName(s)]; n > 0 || q.has("usage", projection.SourceName(s)) {
			usage.add(q, projection.SourceName(s), usageWord(s), n)
		}
	}
	for _, f := range []*facet{&guards, &codes, &usage} {
		for _, v := range q.values[f.Name] { // a choice stays visible when nothing has it
			if !slices.ContainsFunc(f.Choices, func(c facetChoice) bool { return c.Value == v }) {
				n := int64(0)
				if f == &guards {
					n = chosen[projection.FindingCounter(v)] // :redacted is counted too
				}
				f.Choices = append(f.Choices, facetChoice{v, findingWords(v), n, known && strings.Contains(v, ":"), true})
			}
		}
		for i := range f.Choices {
			f.Choices[i].Known = f.Choices[i].Known && known
		}
		slices.SortStableFunc(f.Choices, func(a, b facetChoice) int { return int(b.N - a.N) })
	}
	for _, f := range []facet{outcome, systems, guards, codes, usage} {
		if len(f.Choices) > 0 {
			data.Facets = append(data.Facets, f)
		}
	}
}

// facetChoices is how many AI systems a facet offers; those that are chosen stand
// there whatever they called.
const facetChoices = 12

// shortest keeps what is chosen and the first of the others, and says how many it
// leaves out.
func shortest(all []facetChoice) (kept []facetChoice, left int) {
	if len(all) <= facetChoices+1 {
		return all, 0
	}
	others := 0
	for _, c := range all {
		if !c.On {
			others++
		}
		if c.On || others <= facetChoices {
			kept = append(kept, c)
		}
	}
	return kept, len(all) - len(kept)
}

func (f *facet) add(q *logFilter, value, label string, n int64) {
	f.Choices = append(f.Choices, facetChoice{value, label, n, true, q.has(f.Name, value)})
}

// findingWord is what a guard did, in one or two words.
func findingWord(verdict string) string {
	switch verdict {
	case projection.Monitored:
		return "noted" // found, and let through
	case projection.NotRun:
		return "not run"
	}
	return verdict
}

// findingWords names a finding of an address: pii:redacted, or pii for whatever
// it found.
func findingWords(v string) string {
	guard, verdict, exact := strings.Cut(v, ":")
	switch {
	case !exact:
		return guard + " found something"
	case guard == "":
		return "any " + findingWord(verdict)
	}
	return guard + " " + findingWord(verdict)
}

// logChoosers are the lists of the form above the table.
func (r *request) logChoosers(data *exchangesData, sums map[string]projection.Counters) {
	q := data.Filter
	data.Keys = chooser{Name: "key", Label: "Key", Value: q.f.Key, Options: []option{{Label: "Every key"}}}
	known := q.f.Key == ""
	for _, k := range r.keysByName() {
		known = known || string(k.ID) == q.f.Key
		data.Keys.Options = append(data.Keys.Options, option{Value: string(k.ID), Label: k.Name + " (" + string(k.ID) + ")"})
	}
	if !known {
		data.Keys.Options = append(data.Keys.Options, option{Value: q.f.Key, Label: q.f.Key})
	}
	data.Models = chooser{Name: "model", Label: "Model", Value: q.f.Model, Options: []option{{Label: "Every model"}}}
	var models []string
	for _, v := range r.state.Routes {
		models = append(models, v.Model)
	}
	for _, counters := range sums {
		for name := range counters {
			if ref, ok := strings.CutPrefix(name, projection.ModelCounter("", "")[:len("model.")]); ok {
				_, model, _ := strings.Cut(ref, "/")
				models = append(models, model)
			}
		}
	}
	if q.f.Model != "" {
		models = append(models, q.f.Model)
	}
	slices.Sort(models)
	for _, m := range slices.Compact(models) {
		data.Models.Options = append(data.Models.Options, option{Value: m, Label: m})
	}
	data.Periods = []option{{Value: "1", Label: "Last 24 hours"}, {Value: "7", Label: "Last 7 days"}, {Value: "30", Label: "Last 30 days"}, {Value: "all", Label: "All on record"}}
	if d := q.values.Get("days"); d != "" && !slices.ContainsFunc(data.Periods, func(o option) bool { return o.Value == d }) {
		data.Periods = append(data.Periods, option{Value: d, Label: "Last " + d + " days"})
	}
	if q.values.Has("from") || q.values.Has("to") || q.ranged() {
		data.Periods = append([]option{{Label: "As set below"}}, data.Periods...)
	}
}

// Days is the chosen period for the form's list.
func (q *logFilter) Days() string {
	switch {
	case q.values.Has("from"), q.values.Has("to"), q.ranged():
		return ""
	case q.values.Has("days"):
		return q.values.Get("days")
	}
	return decimal(standardDays)
}

// From, To and Leaves are for the form.
func (q *logFilter) From() string   { return q.values.Get("from") }
func (q *logFilter) To() string     { return q.values.Get("to") }
func (q *logFilter) Leaves() string { return q.values.Get("leaves") }

// Here, Ever, Narrowed and HasSystems are for templates: the address of the list
// as it is, and over all time; whether something narrows it.
func (q *logFilter) Here() string     { return q.href() }
func (q *logFilter) Ever() string     { return q.href("days", "all", "from", "", "to", "", "leaves", "") }
func (q *logFilter) Narrowed() bool   { return len(q.Others()) > 0 }
func (q *logFilter) HasSystems() bool { return len(q.f.Systems) > 0 }

// pair is a hidden entry of a form.
type pair struct{ Name, Value string }

// Kept are the parts of the address that the filter's own form has no box for.
func (q *logFilter) Kept() []pair { return q.pairs("from", "to", "leaves") }

// Others are all parts but the period, for the form that sets hours.
func (q *logFilter) Others() []pair {
	return q.pairs(slices.DeleteFunc(slices.Clone(filterNames), func(n string) bool { return slices.Contains([]string{"days", "from", "to", "leaves"}, n) })...)
}

func (q *logFilter) pairs(names ...string) (out []pair) {
	for _, name := range names {
		for _, v := range q.values[name] {
			out = append(out, pair{name, v})
		}
	}
	return out
}

// setFilters lists what is on, each with the address without it.
func (r *request) setFilters(q *logFilter) []setFilter {
	labels := map[string]string{"system": "AI system", "key": "Key", "model": "Model", "target": "Sent to", "state": "Outcome", "code": "Code", "guard": "Guard", "usage": "Usage from", "from": "From", "to": "To", "leaves": "Leaves"}
	var out []setFilter
	for _, name := range filterNames {
		if labels[name] == "" {
			continue
		}
		for _, v := range q.values[name] {
			said := v
			switch name {
			case "system":
				if said = r.systemName(v); v == none {
					said = "none registered"
				}
			case "key":
				said = r.keyName(v)
			case "state":
				said = lookOf(v).word
			case "code", "usage":
				said = words(v)
			case "guard":
				said = findingWords(v)
			case "from", "to":
				said = strings.Replace(v, "T", " ", 1) + " UTC"
			}
			out = append(out, setFilter{labels[name], said, q.without(name, v)})
		}
	}
	return out
}

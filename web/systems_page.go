package web

import (
	"slices"
	"strings"
	"time"

	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/inventory"
)

type systemRow struct {
	inventory.System
	Status             string
	InForce            *inventory.Approval // the approval by which it is used; nil when there is none
	Exchanges          int64
	Spend              money.Nano
	Declared, Observed int
	Undeclared         int // models seen that nobody declared
	Counts             map[assessments.State]int
}

// stands reports whether a system where it stands is of a state of the list. One whose
// renewal is open is approved, and an approval of it is requested.
func stands(status, state string) bool {
	return state == "" || state == status || status == "renewal" && (state == "approved" || state == "requested")
}

type systemsData struct {
	Systems []systemRow // of this page
	Pager   pager
	All     int
	Query   string
	Class   string
	State   string
	Classes []option
	States  []option
	Days    int
}

// systemStatus is where a system stands, in one word.
func systemStatus(s *inventory.System, now time.Time) string {
	switch {
	case s.Lifecycle == inventory.Retired:
		return "retired"
	case s.Suspended != nil:
		return "suspended"
	}
	return approvalStatus(s.Approval, now)
}

var systemStates = []string{"approved", "renewal", "requested", "not_requested", "rejected", "withdrawn", "lapsed", "suspended", "retired"}

func (r *request) systemsPage() error {
	data := systemsData{All: len(r.state.Systems), Query: r.query("q"), Class: r.query("class"), State: r.query("state"), Days: 30}
	data.Classes = append([]option{{Label: "Every class"}}, classOptions()...)
	data.States = []option{{Label: "Every state"}}
	for _, s := range systemStates {
		data.States = append(data.States, option{Value: s, Label: lookOf(s).word})
	}
	matching := slices.DeleteFunc(slices.Clone(r.state.Systems), func(s inventory.System) bool { return !data.takes(&s, r.web.d.Now()) })
	var first, last int
	first, last, data.Pager = r.pageOf(len(matching))
	use, err := r.useBySystem(r.web.d.Now().AddDate(0, 0, -data.Days))
	if err != nil {
		return err
	}
	for _, s := range matching[first:last] {
		row, err := r.systemRow(s, use[string(s.ID)])
		if err != nil {
			return err
		}
		data.Systems = append(data.Systems, row)
	}
	return r.ok("systems", page{Title: "AI systems", Nav: "systems", Crumbs: []crumb{{Title: "AI systems"}}}, data)
}

// takes reports whether the filters let a system through.
func (d *systemsData) takes(s *inventory.System, now time.Time) bool {
	text := strings.ToLower(strings.Join([]string{string(s.ID), s.Name, s.Purpose, s.Owner, s.Department}, " "))
	class := string(s.RiskClass)
	if class == "" {
		class = "unclassified"
	}
	return strings.Contains(text, strings.ToLower(d.Query)) && (d.Class == "" || d.Class == class) && stands(systemStatus(s, now), d.State)
}

func classOptions() []option {
	var out []option
	for _, c := range inventory.RiskClasses {
		v := string(c)
		if v == "" {
			v = "unclassified"
		}
		out = append(out, option{Value: v, Label: className(c)})
	}
	return out
}

func (r *request) systemRow(s inventory.System, sum projection.Counters) (systemRow, error) {
	row := systemRow{System: s, Status: systemStatus(&s, r.web.d.Now()), InForce: inForce(s.Approval, r.web.d.Now()), Declared: len(s.Models), Counts: map[assessments.State]int{}}
	row.Exchanges, row.Spend = sum["closed"]+sum["refused"], money.Nano(sum["charge"])
	seen, err := r.observed(&s)
	if err != nil {
		return row, err
	}
	for _, o := range seen {
		if o.Calls > 0 {
			row.Observed++
		}
		if o.Status == "undeclared" {
			row.Undeclared++
		}
	}
	all, err := r.web.d.Engine.EvaluateAll(r.ctx(), r.actor.Org, s.ID)
	if err != nil {
		return row, err
	}
	for _, a := range all {
		for state, n := range a.Counts {
			row.Counts[state] += n
		}
	}
	return row, nil
}

// observedRow sets a model that was declared beside what was seen of it.
type observedRow struct {
	Provider, Model string
	Declared        bool
	Calls           int64
	First, Last     int64
	Status          string // declared, undeclared, unseen
	Simulated       bool
	FirstLeaf       uint64
}

// observed lists a system's models, declared and seen, the undeclared first.
func (r *request) observed(s *inventory.System) ([]observedRow, error) {
	seen, err := r.web.d.Projection.Observed(r.ctx(), string(r.actor.Org), string(s.ID))
	if err != nil {
		return nil, err
	}
	var out []observedRow
	for _, o := range seen {
		row := observedRow{Provider: o.Provider, Model: o.Model, Calls: o.Calls, First: o.FirstAt, Last: o.LastAt, Status: "undeclared", Simulated: o.Simulated, FirstLeaf: o.FirstLeaf}
		if slices.Contains(s.Models, inventory.ModelRef{Provider: inventory.ProviderID(o.Provider), Model: o.Model}) {
			row.Declared, row.Status = true, "declared"
		}
		out = append(out, row)
	}
	for _, m := range s.Models {
		if !slices.ContainsFunc(out, func(o observedRow) bool {
			return o.Provider == string(m.Provider) && o.Model == m.Model
		}) {
			out = append(out, observedRow{Provider: string(m.Provider), Model: m.Model, Declared: true, Status: "unseen", Simulated: r.simulated(string(m.Provider))})
		}
	}
	slices.SortStableFunc(out, func(a, b observedRow) int { return rankOf(a.Status) - rankOf(b.Status) })
	return out, nil
}

func rankOf(status string) int {
	return slices.Index([]string{"undeclared", "declared", "unseen"}, status)
}

func (r *request) simulated(provider string) bool {
	for _, p := range r.state.Providers {
		if string(p.ID) == provider {
			return p.Kind == "simulated"
		}
	}
	return false
}

package web

import (
	"fmt"
	"slices"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// chooser is a labelled list of a GET form.
type chooser struct {
	Name, Label, Value string
	Options            []option
}

// chosenSystem is the AI system that a page is about: the one asked for, else the
// first that is not retired. Nil when none is registered.
func (r *request) chosenSystem() (*inventory.System, error) {
	if id := r.query("system"); id != "" {
		return r.state.System(inventory.SystemID(id))
	}
	for i := range r.state.Systems {
		if r.state.Systems[i].Lifecycle != inventory.Retired {
			return &r.state.Systems[i], nil
		}
	}
	if len(r.state.Systems) > 0 {
		return &r.state.Systems[0], nil
	}
	return nil, nil
}

func (r *request) systemChooser(s *inventory.System) chooser {
	c := chooser{Name: "system", Label: "AI system", Value: string(s.ID)}
	for _, x := range r.state.Systems {
		label := x.Name
		if x.Lifecycle == inventory.Retired {
			label += " (retired)"
		}
		c.Options = append(c.Options, option{Value: string(x.ID), Label: label})
	}
	return c
}

type frameworksData struct {
	System   *inventory.System
	Chooser  chooser
	Rows     []frameworkLine
	Tests    []testRow
	Computed int
	Catalog  string
	At       time.Time

	Frameworks []*frameworks.Framework
}

type frameworkLine struct {
	*frameworks.Framework
	Counts map[assessments.State]int
	States []stateCount
	Pairs  int
	Href   string
}

type stateCount struct {
	State assessments.State
	N     int
	Href  string
}

// testRow is one test of the catalog with its newest result for a system.
type testRow struct {
	*frameworks.Test
	Computed bool
	Result   *projection.Result
	Controls int
}

func (r *request) frameworksPage() error {
	s, err := r.chosenSystem()
	if err != nil {
		return err
	}
	data := frameworksData{System: s, Catalog: r.web.d.Catalog.Hash, At: r.web.d.Now().UTC(), Frameworks: r.web.d.Catalog.Frameworks}
	p := page{Title: "Frameworks", Nav: "frameworks", Crumbs: []crumb{{Title: "Frameworks"}}}
	if s == nil {
		return r.ok("frameworks", p, data)
	}
	data.Chooser = r.systemChooser(s)
	for _, f := range r.web.d.Catalog.Frameworks {
		a, err := r.web.d.Engine.Evaluate(r.ctx(), r.actor.Org, s.ID, f.ID)
		if err != nil {
			return err
		}
		row := frameworkLine{Framework: f, Counts: a.Counts, Href: treeQuery{System: string(s.ID)}.href(f.ID, "")}
		for _, state := range assessments.States() {
			row.States = append(row.States, stateCount{state, a.Counts[state], treeQuery{System: string(s.ID), State: string(state)}.href(f.ID, "")})
		}
		for _, c := range f.Controls {
			row.Pairs += len(r.web.d.Catalog.Mapped(f.ID, c.ID))
		}
		data.Rows = append(data.Rows, row)
	}
	results, err := r.web.d.Projection.Newest(r.ctx(), string(r.actor.Org), string(s.ID), assessments.ComputedTests(), 0)
	if err != nil {
		return err
	}
	for _, t := range r.web.d.Catalog.Tests {
		row := testRow{Test: t, Computed: assessments.Computed(t.ID), Controls: r.controlsOf(t.ID)}
		if i := slices.IndexFunc(results, func(x projection.Result) bool { return x.Test == t.ID }); i >= 0 {
			row.Result = &results[i]
		}
		if row.Computed {
			data.Computed++
		}
		data.Tests = append(data.Tests, row)
	}
	slices.SortStableFunc(data.Tests, func(a, b testRow) int {
		switch {
		case a.Computed == b.Computed:
			return 0
		case a.Computed:
			return -1
		}
		return 1
	})
	return r.ok("frameworks", p, data)
}

// controlsOf counts the controls that a test speaks to, over all frameworks.
func (r *request) controlsOf(test string) (n int) {
	for _, f := range r.web.d.Catalog.Frameworks {
		for _, c := range f.Controls {
			if slices.ContainsFunc(c.Tests, func(t frameworks.TestRef) bool { return t.Test == test }) {
				n++
			}
		}
	}
	return n
}

type frameworkData struct {
	Framework  *frameworks.Framework
	Frameworks chooser
	Systems    chooser
	System     *inventory.System
	Query      treeQuery
	Clear      string // the tree without search and state
	States     chooser
	Counts     map[assessments.State]int
	Total      int
	Tree       []branch
	Control    *controlPane // nil: nothing matches
}

// Satisfied, Failing and Without are for the line under the bar.
func (d *frameworkData) Satisfied() int { return d.Counts[assessments.Satisfied] }
func (d *frameworkData) Failing() int   { return d.Counts[assessments.NotSatisfied] }
func (d *frameworkData) Without() int   { return d.Counts[assessments.NoEvidence] }

func (r *request) framework() (*frameworks.Framework, error) {
	f, err := r.web.d.Catalog.Framework(r.param("framework"))
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, "not_found", err, "There is no such framework.")
	}
	return f, nil
}

func (r *request) frameworkPage() error {
	f, err := r.framework()
	if err != nil {
		return err
	}
	s, err := r.chosenSystem()
	if err != nil {
		return err
	}
	p := page{Title: f.Title, Nav: "frameworks", Crumbs: []crumb{{"Frameworks", "/frameworks"}, {Title: f.Title}}, Wide: true}
	if s == nil {
		return r.ok("framework", p, &frameworkData{Framework: f})
	}
	a, err := r.web.d.Engine.Evaluate(r.ctx(), r.actor.Org, s.ID, f.ID)
	if err != nil {
		return err
	}
	q := treeQuery{System: string(s.ID), Control: r.query("control"), Search: r.query("q"), State: r.query("state")}
	if q.Control == "" {
		q.Control = firstShown(a, q)
	} else if _, err := f.Control(q.Control); err != nil {
		return fault.Wrap(fault.NotFound, "not_found", err, "This framework has no such control.")
	}
	data := &frameworkData{Framework: f, System: s, Systems: r.systemChooser(s), Query: q, Counts: a.Counts, Total: len(a.Controls), Tree: tree(a, q),
		Clear: treeQuery{System: q.System, Control: q.Control}.href(f.ID, q.Control), Frameworks: chooser{Name: "framework", Label: "Framework", Value: f.ID}}
	for _, x := range r.web.d.Catalog.Frameworks {
		data.Frameworks.Options = append(data.Frameworks.Options, option{Value: x.ID, Label: x.Title})
	}
	data.States = chooser{Name: "state", Label: "State", Value: q.State, Options: []option{{Label: "Every state"}}}
	for _, state := range assessments.States() {
		data.States.Options = append(data.States.Options, option{Value: string(state), Label: fmt.Sprintf("%s (%d)", lookOf(string(state)).word, a.Counts[state])})
	}
	if i := slices.IndexFunc(a.Controls, func(c assessments.ControlState) bool { return c.Control.ID == q.Control }); i >= 0 {
		p.Title = q.Control + ", " + f.Title
		if data.Control, err = r.controlPane(a, i, q); err != nil {
			return err
		}
	}
	return r.ok("framework", p, data)
}

// openFramework leads a chosen framework to its page: the list sends a form, the
// pages have paths.
func (r *request) openFramework() error {
	id := r.query("framework")
	if _, err := r.web.d.Catalog.Framework(id); err != nil {
		return fault.Wrap(fault.NotFound, "not_found", err, "There is no such framework.")
	}
	return r.redirect(treeQuery{System: r.query("system")}.href(id, ""))
}

// firstShown is the control that a tree opens with.
func firstShown(a *assessments.Assessment, q treeQuery) string {
	for i := range a.Controls {
		c := &a.Controls[i]
		if q.shows(c) && (q.State != "" || c.State != assessments.NotApplicable) {
			return c.Control.ID
		}
	}
	for i := range a.Controls {
		if q.shows(&a.Controls[i]) {
			return a.Controls[i].Control.ID
		}
	}
	return ""
}

// runTests runs every test of every system now, with an entry in the history of
// jobs.
func (r *request) runTests() error {
	if err := r.web.d.Jobs.Run(r.ctx(), r.actor, "control-tests"); err != nil {
		return err
	}
	return r.done(local(r.value("next"), "/frameworks"), "The control tests ran; their results are in the ledger.")
}

package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports"
)

// joinItem is one part of the strip from exchange to page.
type joinItem struct {
	Label, Text, Href string
	Current           bool
}

// controlPane is one control beside the tree.
type controlPane struct {
	assessments.ControlState
	Framework *frameworks.Framework
	Section   *frameworks.Section
	System    *inventory.System
	At        time.Time
	Href      string
	Prev      string
	Next      string
	Join      []joinItem
	TestViews []testView
	Items     []humanView
	Attached  []assessments.Evidence
	Proposals []assessments.Applicability
	Scope     *scope
	Mapped    []mappedRow
	Actions   []frameworks.Action
	Recorded  *projection.State
}

// Tone of the banner that says why.
func (c *controlPane) Tone() string { return lookOf(string(c.State)).tone }

// Icon of it.
func (c *controlPane) Icon() string { return lookOf(string(c.State)).icon }

// Reach is how far runtime evidence carries for this control.
func (c *controlPane) Reach() string { return reachOf(c.Control.Sufficiency) }

func reachOf(sufficiency string) string {
	switch sufficiency {
	case "full":
		return "Runtime can prove it"
	case "partial":
		return "Runtime proves a part"
	case "supporting":
		return "Runtime supports people's evidence"
	}
	return "People's evidence only"
}

// Named is the control's id and title, the id first when the title lacks it.
func (c *controlPane) Named() string { return c.Control.ID + " " + c.Control.Title }

// AttachHref opens the form for evidence of a type.
func (c *controlPane) AttachHref(kind string) string {
	return "/frameworks/" + c.Framework.ID + "/evidence?" + query("control", c.Control.ID, "system", string(c.System.ID), "type", kind)
}

// ActionHref opens the form that plans a corrective action.
func (c *controlPane) ActionHref() string {
	return "/frameworks/" + c.Framework.ID + "/action?" + query("control", c.Control.ID, "system", string(c.System.ID))
}

// LeaveOutHref opens the form that proposes to leave the control out.
func (c *controlPane) LeaveOutHref() string {
	return "/frameworks/" + c.Framework.ID + "/applicability?" + query("control", c.Control.ID, "system", string(c.System.ID))
}

// LeftOut reports that it was decided that the control does not concern the system.
func (c *controlPane) LeftOut() bool { return c.Decision != nil }

// Waiting reports that a proposal on whether it applies waits for a decision.
func (c *controlPane) Waiting() bool {
	return slices.ContainsFunc(c.Proposals, func(a assessments.Applicability) bool { return a.Approver == "" })
}

type humanView struct {
	assessments.HumanState
	Look string // state that it is drawn with
}

type mappedRow struct {
	frameworks.Pair
	Title, FrameworkTitle, Href string
	State                       string
}

// Mapping names where a pair comes from.
func (m mappedRow) Mapping() string { return strings.ReplaceAll(m.Source, "-", " ") }

// scope is whom and from when a control concerns, and how that meets the system.
type scope struct {
	Roles, Triggers []string
	OurRoles        []string
	Class           inventory.RiskClass
	Dates           []scopeDate
	Reach, Why      string
}

type scopeDate struct {
	Class             string
	Formal, Effective time.Time
	Ours              bool
}

func (r *request) controlPane(a *assessments.Assessment, i int, q treeQuery) (*controlPane, error) {
	cs := a.Controls[i]
	c := &controlPane{ControlState: cs, Framework: a.Framework, System: &a.System, At: a.At, Href: q.href(a.Framework.ID, cs.Control.ID)}
	for _, s := range a.Framework.Sections {
		if s.ID == cs.Control.Section {
			c.Section = s
		}
	}
	c.Prev, c.Next = neighbours(a, i, q)
	if a.Framework.ID == frameworks.AIAct {
		c.Scope = scopeOf(&cs, &a.System, a.At)
	}
	for _, h := range cs.Human {
		c.Items = append(c.Items, humanView{h, evidenceLook(h.Status)})
	}
	for _, act := range r.web.d.Catalog.Actions {
		if a.Framework.ID == frameworks.AIRMF && act.Parent == cs.Control.ID {
			c.Actions = append(c.Actions, act)
		}
	}
	return c, r.fillPane(c)
}

// fillPane adds what has to be read from stores.
func (r *request) fillPane(c *controlPane) error {
	ctx, org, d := r.ctx(), r.actor.Org, r.web.d
	states, err := d.Projection.States(ctx, string(org), c.Framework.ID, string(c.System.ID))
	if err != nil {
		return err
	}
	if s, ok := states[c.Control.ID]; ok {
		c.Recorded = &s
	}
	for _, t := range c.Tests {
		history, err := d.Projection.Results(ctx, string(org), string(c.System.ID), t.Ref.Test, 0, 30)
		if err != nil {
			return err
		}
		c.TestViews = append(c.TestViews, newTestView(t, history))
	}
	if c.Attached, err = d.Engine.Evidence(ctx, org, c.Framework.ID, c.Control.ID, c.System.ID); err != nil {
		return err
	}
	if c.Proposals, err = d.Engine.Proposals(ctx, org, c.Framework.ID, c.Control.ID, c.System.ID); err != nil {
		return err
	}
	if c.Mapped, err = r.mapped(c); err != nil {
		return err
	}
	c.Join, err = r.controlJoin(c)
	return err
}

func neighbours(a *assessments.Assessment, i int, q treeQuery) (prev, next string) {
	for j := i - 1; j >= 0 && prev == ""; j-- {
		if q.shows(&a.Controls[j]) {
			prev = q.href(a.Framework.ID, a.Controls[j].Control.ID)
		}
	}
	for j := i + 1; j < len(a.Controls) && next == ""; j++ {
		if q.shows(&a.Controls[j]) {
			next = q.href(a.Framework.ID, a.Controls[j].Control.ID)
		}
	}
	return prev, next
}

// mapped lists the crosswalk of a control, with each one's own state: evidence is
// reused, a verdict never.
func (r *request) mapped(c *controlPane) ([]mappedRow, error) {
	var out []mappedRow
	states := map[string]*assessments.Assessment{}
	for _, p := range r.web.d.Catalog.Mapped(c.Framework.ID, c.Control.ID) {
		f, err := r.web.d.Catalog.Framework(p.To[0])
		if err != nil {
			return nil, err
		}
		row := mappedRow{Pair: p, FrameworkTitle: f.Title}
		if k, err := f.Control(p.To[1]); err == nil {
			row.Title, row.Href = k.Title, treeQuery{System: string(c.System.ID)}.href(f.ID, k.ID)
			if states[f.ID] == nil {
				if states[f.ID], err = r.web.d.Engine.Evaluate(r.ctx(), r.actor.Org, c.System.ID, f.ID); err != nil {
					return nil, err
				}
			}
			for i := range states[f.ID].Controls {
				if states[f.ID].Controls[i].Control.ID == k.ID {
					row.State = string(states[f.ID].Controls[i].State)
				}
			}
		} else if i := slices.IndexFunc(f.Sections, func(s *frameworks.Section) bool { return s.ID == p.To[1] }); i >= 0 {
			row.Title = f.Sections[i].Title
		}
		out = append(out, row)
	}
	return out, nil
}

// controlJoin is the strip from the exchanges that were counted to the document
// that says so.
func (r *request) controlJoin(c *controlPane) ([]joinItem, error) {
	const days = 30
	sum, err := r.web.d.Projection.Sum(r.ctx(), string(r.actor.Org), string(c.System.ID), c.At.AddDate(0, 0, -days).Unix()/3600)
	if err != nil {
		return nil, err
	}
	keys := 0
	for _, k := range r.state.Keys {
		if k.System == c.System.ID {
			keys++
		}
	}
	docs, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return nil, err
	}
	traffic := joinItem{Label: fmt.Sprintf("Exchanges, %d days", days), Text: "none seen"}
	if n := sum["closed"] + sum["refused"]; n > 0 {
		traffic.Text = group(n)
		if r.can("exchange", "read") {
			traffic.Href = "/exchanges?" + query("system", string(c.System.ID))
		}
	}
	doc := joinItem{Label: "Document", Text: "none yet"}
	for _, x := range docs {
		if x.Kind == reports.KindAudit && x.System == c.System.ID && x.Framework == c.Framework.ID && x.State == reports.Issued {
			doc.Text, doc.Href = x.ID, "/documents/"+x.ID
			break
		}
	}
	return []joinItem{traffic, {Label: "Keys", Text: plural(keys, "key"), Href: "/keys?" + query("system", string(c.System.ID))},
		{Label: "AI system", Text: string(c.System.ID), Href: "/systems/" + string(c.System.ID)}, {Label: "Control", Text: c.Control.ID, Href: c.Href, Current: true}, doc}, nil
}

func scopeOf(cs *assessments.ControlState, s *inventory.System, at time.Time) *scope {
	c := cs.Control
	out := &scope{Roles: c.Roles, Triggers: c.Triggers, Class: s.RiskClass}
	for _, role := range s.Roles {
		out.OurRoles = append(out.OurRoles, string(role))
	}
	reach, why := c.Applicable(out.OurRoles, string(s.RiskClass), at)
	out.Reach, out.Why = string(reach), why
	ours := c.From(string(s.RiskClass))
	for _, key := range sorted(c.Dates) {
		d := c.Dates[key]
		name := map[string]string{"": "Every class", "annex_iii": "High-risk, Annex III", "annex_i": "High-risk, Annex I"}[key]
		if name == "" {
			name = words(key)
		}
		out.Dates = append(out.Dates, scopeDate{name, d.Formal, d.Effective, d == ours})
	}
	return out
}

// testView is a test of a control as its row shows it.
type testView struct {
	assessments.TestState
	Params  string
	Metrics []metricView
	History template.HTML
	Runs    int
}

// Name of the test in words.
func (t testView) Name() string {
	if t.Test == nil {
		return t.Ref.Test
	}
	return t.Test.Name
}

type metricView struct {
	Name, Value, Limit string
	Known              bool
}

func newTestView(t assessments.TestState, history []projection.Result) testView {
	v := testView{TestState: t, Runs: len(history)}
	var params []string
	for _, k := range sorted(t.Ref.Params) {
		params = append(params, fmt.Sprintf("%s: %v", k, t.Ref.Params[k]))
	}
	v.Params = strings.Join(params, ", ")
	if t.Result != nil && t.Test != nil {
		v.Metrics = metricViews(t.Test, t.Result)
	}
	if len(history) > 0 {
		states := make([]string, len(history))
		for i, x := range history {
			states[len(history)-1-i] = x.Result
			if x.Reason == "collector_down" {
				states[len(history)-1-i] = "collector_down"
			}
		}
		v.History = strip(states, v.Name())
	}
	return v
}

func metricViews(t *frameworks.Test, r *projection.Result) []metricView {
	var out []metricView
	for _, m := range r.Metrics {
		v := metricView{Name: metricName(m.Key), Known: m.Known}
		for _, c := range t.Conditions {
			if c.Key != m.Key {
				continue
			}
			_, truth := c.Satisfied.(bool)
			v.Value = figure(m.Key, float64(m.Value), truth, true)
			v.Limit = c.Op + " " + threshold(c.Key, c.Satisfied)
		}
		out = append(out, v)
	}
	return out
}

// metricName reads the unit off a key: oldest_open_finding_d is in days.
func metricName(key string) string {
	key = strings.TrimSuffix(key, "_if_none")
	for _, unit := range []string{"_ratio", "_pct", "_d", "_h", "_s"} {
		key = strings.TrimSuffix(key, unit)
	}
	return words(key)
}

// figure writes a measured value with its unit; shares are stored in parts per
// million.
func figure(key string, v float64, truth, stored bool) string {
	key = strings.TrimSuffix(key, "_if_none")
	switch {
	case truth && v != 0:
		return "yes"
	case truth:
		return "no"
	case strings.HasSuffix(key, "_ratio"):
		if stored {
			v /= 1e6
		}
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", 100*v), "0"), ".") + " %"
	case strings.HasSuffix(key, "_pct"):
		return fmt.Sprintf("%g %%", v)
	case strings.HasSuffix(key, "_d"):
		return group(int64(v)) + " days"
	case strings.HasSuffix(key, "_h"):
		return group(int64(v)) + " h"
	}
	return group(int64(v))
}

func threshold(key string, want any) string {
	switch x := want.(type) {
	case bool:
		return map[bool]string{true: "yes", false: "no"}[x]
	case float64:
		return figure(key, x, false, false)
	}
	return fmt.Sprint(want)
}

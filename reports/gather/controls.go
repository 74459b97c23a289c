package gather

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/reports"
	"plumbline/reports/render"
)

// controls evaluates the framework as of the checkpoint.
func (p *picture) controls() error {
	a, err := p.g.d.Engine.EvaluateAt(p.ctx, p.r.Org, p.r.System, p.r.Framework,
		assessments.View{State: p.state, At: time.UnixMicro(p.cp.At).UTC(), Leaves: p.cp.Size})
	if err != nil {
		return err
	}
	recorded, err := p.g.d.Projection.States(p.ctx, string(p.r.Org), p.r.Framework, string(p.r.System))
	if err != nil {
		return err
	}
	f := a.Framework
	p.in.Framework = reports.Framework{ID: f.ID, Title: f.Title, Version: f.Version, Hash: f.Hash}
	sections := map[string]string{}
	for _, s := range f.Sections {
		sections[s.ID] = s.ID + "  " + s.Title
	}
	for i := range a.Controls {
		cs := &a.Controls[i]
		c := p.control(cs, string(a.System.RiskClass))
		c.Section = sections[cs.Control.Section]
		if st, ok := recorded[cs.Control.ID]; ok && st.State == string(cs.State) {
			c.Cites = append(c.Cites, p.cite(int64(st.Leaf))...)
		}
		p.in.Controls = append(p.in.Controls, c)
	}
	return nil
}

func (p *picture) control(cs *assessments.ControlState, class string) reports.Control {
	c := cs.Control
	out := reports.Control{ID: c.ID, Title: c.Title, Gist: c.Gist, Roles: c.Roles, State: render.Status(cs.State), Why: cs.Why, WaitsFor: cs.WaitsFor, Runtime: sufficiency[c.Sufficiency], Shows: c.Shows}
	if c.Framework == frameworks.AIAct {
		d := c.From(class)
		out.AppliesFrom, out.Unsettled, out.Grace = d.Effective, !c.Settled, c.Grace
		if !d.Formal.Equal(d.Effective) {
			out.ByItsText = d.Formal
		}
	}
	if cs.State == assessments.NotYet {
		out.Readiness, out.ReadinessWhy = render.Status(cs.Readiness), cs.ReadinessWhy
	}
	out.Contradicted = cs.Code == "contradicted" || cs.ReadinessCode == "contradicted"
	if d := cs.Decision; d != nil {
		out.DecidedBy, out.Cites = p.name(d.Approver), p.cite(d.Leaf)
	}
	for i := range cs.Tests {
		if t := &cs.Tests[i]; t.Result != nil && uint64(t.Result.Leaf) < p.cp.Size {
			out.Tests = append(out.Tests, p.test(t))
		}
	}
	for _, h := range cs.Human {
		if ev := h.Evidence; ev != nil {
			out.Human = append(out.Human, reports.Human{What: h.Item.What, State: h.Status, Detail: p.attached(ev, h.Status), Current: h.Status == "current", Cites: p.cite(ev.Leaf, ev.DecidedLeaf)})
		}
	}
	for _, o := range cs.Others {
		if ev := o.Evidence; o.Exception() {
			x := reports.Exception{What: ev.Title, State: o.Status, By: p.name(ev.Author), Until: ev.Until, Cites: p.cite(ev.Leaf, ev.DecidedLeaf)}
			if o.Status != "pending" {
				x.Approver, x.Reason = p.name(ev.DecidedBy), ev.Reason
			}
			out.Exceptions = append(out.Exceptions, x)
		} else {
			out.Human = append(out.Human, reports.Human{What: assessments.TypeName(ev.Type) + ", not asked for", State: o.Status, Detail: p.attached(ev, o.Status), Current: o.Status == "current", Cites: p.cite(ev.Leaf, ev.DecidedLeaf)})
		}
	}
	if pl := cs.Plan; pl != nil {
		ev := pl.Evidence
		out.Plan = &reports.Plan{Cause: pl.Cause, Correction: pl.Correction, Action: pl.Action, Owner: pl.Owner, Due: pl.Due, State: pl.Status, By: p.name(ev.Author), Cites: p.cite(ev.Leaf, ev.DecidedLeaf)}
		if pl.Status != "pending" {
			out.Plan.Approver = p.name(ev.DecidedBy)
		}
	}
	return out
}

// attached says what a piece of evidence is, whose and until when. A decision that
// came after the checkpoint is not told: then it was pending.
func (p *picture) attached(ev *assessments.Evidence, status string) string {
	text := fmt.Sprintf("%s. %s by %s on %s", ev.Title, map[bool]string{true: "Link", false: "File"}[ev.Form == "link"], p.name(ev.Author), day(ev.At))
	if ev.DecidedBy != "" && status != "pending" {
		text += fmt.Sprintf("; %s by %s on %s: %s", ev.Decision, p.name(ev.DecidedBy), day(ev.DecidedAt), ev.Reason)
	}
	if !ev.Until.IsZero() {
		text += "; in force until " + day(ev.Until)
	}
	return text
}

func day(t time.Time) string { return t.UTC().Format("2\u00A0Jan\u00A02006") }

// sufficiency in words, as the detail of a control prints it.
var sufficiency = map[string]string{
	"full":       "full: runtime evidence can satisfy it once its precondition is met",
	"partial":    "partial: runtime evidence proves part; people must add the rest",
	"supporting": "supporting: runtime evidence can contradict a claim and never raises it",
	"human_only": "human only: no runtime evidence speaks to it",
}

func (p *picture) test(t *assessments.TestState) reports.Test {
	r := t.Result
	out := reports.Test{ID: r.Test, Version: r.Version, Result: render.Status(t.State), From: time.UnixMicro(r.From).UTC(), To: time.UnixMicro(r.To).UTC(), At: time.UnixMicro(r.At).UTC(),
		Population: r.Population, FirstLeaf: r.FirstLeaf, EndLeaf: r.EndLeaf, Cites: reports.Cites{r.Leaf}}
	if r.Reason != "" {
		out.Reason = t.Why
	}
	if t.Test != nil {
		out.Name = t.Test.Name
		out.Metrics = metrics(t.Test, r)
	}
	for _, leaf := range r.Cited {
		out.Cites = append(out.Cites, p.cite(int64(leaf))...)
	}
	return out
}

// metrics pairs a result's figures with the conditions that they were set against.
func metrics(t *frameworks.Test, r *projection.Result) []reports.Metric {
	var out []reports.Metric
	for _, m := range r.Metrics {
		share := strings.Contains(m.Key, "ratio")
		x := reports.Metric{Name: assessments.MetricName(m.Key), Value: "unknown"}
		if m.Known {
			x.Value = figure(float64(m.Value), share, 1e6)
		}
		for _, c := range t.Conditions {
			if c.Key != m.Key {
				continue
			}
			x.Threshold = threshold(c, share)
			if _, truth := c.Satisfied.(bool); truth && m.Known {
				x.Value = value(m.Value != 0, false)
			}
		}
		out = append(out, x)
	}
	return out
}

var operators = map[string]string{">=": "≥", "<=": "≤", "==": "=", "=": "=", ">": ">", "<": "<"}

func threshold(c frameworks.Condition, share bool) string {
	op, ok := operators[c.Op]
	if !ok {
		op = c.Op
	}
	text := op + "\u00A0" + value(c.Satisfied, share)
	if c.Partial != nil {
		text += ", partial " + op + "\u00A0" + value(c.Partial, share)
	}
	return text
}

func value(v any, share bool) string {
	switch v := v.(type) {
	case float64:
		return figure(v, share, 1)
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	}
	return fmt.Sprint(v)
}

// figure prints a count, or a share in percent that is kept as whole/unit.
func figure(n float64, share bool, unit float64) string {
	if share {
		text := strconv.FormatFloat(n/unit*100, 'f', 2, 64)
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

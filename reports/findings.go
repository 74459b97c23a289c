package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plumbline/reports/render"
)

// failing is a test that is not satisfied, and the controls that rest on it.
type failing struct {
	test     Test
	controls []Control
}

var gradeOrder = map[string]int{"major": 0, "minor": 1, "observation": 2}

// findings are proposed, one for each test that is not satisfied, as many
// controls may rest on one test, and one for each control that is not satisfied
// without such a test. A finding about a control in force is major when the test
// fails and minor when it passes in part; ahead of its date it is one grade less.
func (b *builder) findings() []render.Finding {
	var tests []failing
	at := map[string]int{}
	for _, c := range b.in.Controls {
		if stateOf(c) == render.NotApplicable {
			continue
		}
		for _, t := range c.Tests {
			if t.Result != render.NotSatisfied && t.Result != render.Partial {
				continue
			}
			i, ok := at[t.ID]
			if !ok {
				i = len(tests)
				at[t.ID] = i
				tests = append(tests, failing{test: t})
			}
			tests[i].controls = append(tests[i].controls, c)
		}
	}
	var out []render.Finding
	for _, f := range tests {
		if !slices.ContainsFunc(f.controls, func(c Control) bool { return !c.Contradicted }) {
			continue // told below as what it is: a contradiction
		}
		out = append(out, b.testFinding(f))
	}
	for _, c := range b.in.Controls {
		if c.Contradicted {
			out = append(out, b.contradiction(c))
		}
		if c.result() == render.NotSatisfied && !slices.ContainsFunc(c.Tests, func(t Test) bool { return t.Result == render.NotSatisfied || t.Result == render.Partial }) {
			out = append(out, b.controlFinding(c))
		}
	}
	slices.SortStableFunc(out, func(x, y render.Finding) int { return cmp.Compare(gradeOrder[x.Grade], gradeOrder[y.Grade]) })
	for i := range out {
		out[i].ID = fmt.Sprintf("F-%02d", i+1)
	}
	return out
}

func (b *builder) testFinding(f failing) render.Finding {
	inForce := false
	var refs []string
	for _, c := range f.controls {
		inForce = inForce || !c.ahead() && !c.AppliesFrom.After(b.in.IssuedAt)
		refs = append(refs, c.ID)
	}
	grade := "major"
	if f.test.Result == render.Partial || !inForce {
		grade = "minor"
		if f.test.Result == render.Partial && !inForce {
			grade = "observation"
		}
	}
	title := f.test.name() + ": " + lower(f.test.Result.Word())
	saw := observed(f.test, "; ")
	if f.test.Reason != "" {
		saw = append(saw, render.T(". "+sentence(f.test.Reason)+".")...)
	}
	return b.finding(grade, title, render.T(b.in.Framework.Title+" "+listed(refs, 14)+"; test ", render.Code(f.test.ID)), saw, f.test.Cites, planOf(f.controls))
}

// contradiction is where what people claim and what was recorded part ways.
func (b *builder) contradiction(c Control) render.Finding {
	grade := "major"
	if c.ahead() {
		grade = "minor"
	}
	var claim, seen []string
	cites := humanCites(c.Human)
	for _, h := range c.Human {
		if h.Current {
			claim = append(claim, h.What)
		}
	}
	for _, t := range c.Tests {
		if t.Result == render.NotSatisfied {
			seen = append(seen, t.name()+": "+observed(t, "; ").String()+".")
			cites = append(cites, t.Cites...)
		}
	}
	return b.finding(grade, "The record contradicts what people claim for "+c.ID, render.T(b.in.Framework.Title+" "+c.ID+", "+lower(c.Title)),
		render.T("Claimed, and accepted by a second person: "+strings.Join(claim, ", ")+". Recorded: "+strings.Join(seen, " ")), cites, c.Plan)
}

func (b *builder) controlFinding(c Control) render.Finding {
	grade := "major"
	if c.ahead() || c.AppliesFrom.After(b.in.IssuedAt) {
		grade = "minor"
	}
	var cites Cites
	cites = append(append(cites, c.Cites...), humanCites(c.Human)...)
	return b.finding(grade, c.Title+" is not satisfied", render.T(b.in.Framework.Title+" "+c.ID), orMuted(ended(sentence(c.reason())), "unknown"), cites, c.Plan)
}

// planOf is the first plan that stands among controls that rest on one test.
func planOf(controls []Control) *Plan {
	var any *Plan
	for _, c := range controls {
		switch {
		case c.Plan == nil:
		case c.Plan.State != "rejected":
			return c.Plan
		case any == nil:
			any = c.Plan
		}
	}
	return any
}

// finding fills what every finding has. Without a record to cite it is an
// observation: nothing that cannot be shown is a nonconformity.
func (b *builder) finding(grade, title string, requirement, observation render.Text, cites Cites, plan *Plan) render.Finding {
	out := render.Finding{Grade: grade, Title: title, Requirement: requirement, Observation: observation, Evidence: b.cite(6, cites)}
	if len(out.Evidence) == 0 {
		out.Grade = "observation"
	}
	owner := "system owner"
	if b.in.System != nil && b.in.System.Owner != "" {
		owner = b.in.System.Owner
	}
	action := render.Text(nil)
	if plan != nil && plan.State != "rejected" {
		out.Cause = render.T(ended(plan.Cause))
		out.Correction = orMuted(ended(plan.Correction), "None at once")
		action = render.T(ended(plan.Action), " ", render.Strong(plan.Owner), ", due ", render.Strong(day(plan.Due)), planState(plan), " ", b.cited(2, plan.Cites))
	}
	out.Action = b.needText("Cause, correction, corrective action and due date: "+lower(title), action, owner)
	return out
}

// planState says whether a plan is agreed, and whether its day has passed.
func planState(p *Plan) string {
	switch {
	case p.State == "pending":
		return "; proposed by " + p.By + ", not yet accepted"
	case p.State == "rejected":
		return "; turned down by " + p.Approver
	case p.State == "expired":
		return ", overdue; accepted by " + p.Approver
	}
	return "; accepted by " + p.Approver
}

// name is the test's name for people.
func (t Test) name() string {
	if t.Name != "" {
		return t.Name
	}
	return sentence(words(strings.TrimPrefix(t.ID, "t.")))
}

// observed lists a test's figures beside their thresholds.
func observed(t Test, between string) render.Text {
	if len(t.Metrics) == 0 {
		return render.T("No figure is recorded.")
	}
	var out render.Text
	for i, m := range t.Metrics {
		if i > 0 {
			out = append(out, render.T(between)...)
		}
		out = append(out, render.T(sentence(m.Name)+": ", render.Strong(m.Value))...)
		if m.Threshold != "" {
			out = append(out, render.T(render.Muted(" ("+m.Threshold+")"))...)
		}
	}
	return out
}

func listed(ids []string, limit int) string {
	if len(ids) > limit {
		return strings.Join(ids[:limit], ", ") + fmt.Sprintf(" and %d more", len(ids)-limit)
	}
	return strings.Join(ids, ", ")
}

func (b *builder) findingsPart(findings []render.Finding) render.Blocks {
	if len(findings) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("No test failed and no control is marked as not satisfied. Controls without evidence are not findings; they are listed in ", render.Ref("open", ""), ".")}}
	}
	out := render.Blocks{&render.Paragraph{Text: render.T("Findings are proposed by the engine from the records cited; a named person decides. Major: a control in force rests on a test that fails. Minor: the test passes in part, or the control's date lies ahead. Observation: both, or no record can be cited.")}}
	for i := range findings {
		out = append(out, &findings[i])
	}
	return out
}

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
		out = append(out, b.testFinding(f))
	}
	for _, c := range b.in.Controls {
		if c.State == render.NotSatisfied && !slices.ContainsFunc(c.Tests, func(t Test) bool { return t.Result == render.NotSatisfied || t.Result == render.Partial }) {
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
		inForce = inForce || !c.AppliesFrom.After(b.in.IssuedAt)
		refs = append(refs, c.ID)
	}
	grade := "major"
	if f.test.Result == render.Partial || !inForce {
		grade = "minor"
		if f.test.Result == render.Partial && !inForce {
			grade = "observation"
		}
	}
	name := f.test.Name
	if name == "" {
		name = sentence(words(strings.TrimPrefix(f.test.ID, "t.")))
	}
	title := name + ": " + lower(f.test.Result.Word())
	observed := metricsOf(f.test)
	if f.test.Reason != "" {
		observed = append(observed, render.T(" Reason: "+words(f.test.Reason)+".")...)
	}
	return b.finding(grade, title, render.T(b.in.Framework.Title+" "+listed(refs, 14)+"; test ", render.Code(f.test.ID)), observed, f.test.Cites)
}

func (b *builder) controlFinding(c Control) render.Finding {
	grade := "major"
	if c.AppliesFrom.After(b.in.IssuedAt) {
		grade = "minor"
	}
	var cites Cites
	cites = append(append(cites, c.Cites...), humanCites(c.Human)...)
	return b.finding(grade, c.Title+" is not satisfied", render.T(b.in.Framework.Title+" "+c.ID), orMuted(c.Why, "unknown"), cites)
}

// finding fills what every finding has. Without a record to cite it is an
// observation: nothing that cannot be shown is a nonconformity.
func (b *builder) finding(grade, title string, requirement, observation render.Text, cites Cites) render.Finding {
	evidence := b.cite(6, cites)
	if len(evidence) == 0 {
		grade = "observation"
	}
	owner := "system owner"
	if b.in.System != nil && b.in.System.Owner != "" {
		owner = b.in.System.Owner
	}
	return render.Finding{Grade: grade, Title: title, Requirement: requirement, Observation: observation, Evidence: evidence,
		Cause: render.NotProvided(owner), Correction: render.NotProvided(owner),
		Action: b.need("Cause, correction, corrective action and due date: "+lower(title), "", owner)}
}

func metricsOf(t Test) render.Text {
	var parts []string
	for _, m := range t.Metrics {
		s := words(m.Name) + " " + m.Value
		if m.Threshold != "" {
			s += " (threshold " + m.Threshold + ")"
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return render.T("No figure is recorded.")
	}
	return render.T(sentence(strings.Join(parts, "; ")) + ".")
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

// tests lists every test once, with what it saw.
func (b *builder) tests() render.Blocks {
	t := &render.Table{Caption: "Newest result of each test", Columns: []render.Column{{Title: "Test", Width: 36, Mono: true}, {Title: "Observed", Width: 34}, {Title: "Threshold", Width: 23},
		{Title: "Population, leaves", Width: 24}, {Title: "Result", Width: 33}, {Title: "Evidence", Width: 16}},
		Note: render.T("Leaves: the range of the ledger that the test read. Thresholds are defaults of the product unless a statute sets them.")}
	seen := map[string]bool{}
	for _, c := range b.in.Controls {
		for _, x := range c.Tests {
			if seen[x.ID] {
				continue
			}
			seen[x.ID] = true
			var observed, limits []string
			for _, m := range x.Metrics {
				observed = append(observed, words(m.Name)+"\u00A0"+m.Value)
				if m.Threshold != "" {
					limits = append(limits, m.Threshold)
				}
			}
			if x.Reason != "" {
				observed = append(observed, words(x.Reason))
			}
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(fmt.Sprintf("%s\u00A0v%d", x.ID, x.Version)), orMuted(strings.Join(observed, "; "), "nothing"),
				orMuted(strings.Join(limits, "; "), "none"), render.T(count(x.Population), "\n", fmt.Sprintf("%s..%s", count(x.FirstLeaf), count(x.EndLeaf))),
				render.T(render.Chip(x.Result)), b.cited(2, x.Cites)}})
		}
	}
	if len(t.Rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("No test has run for this system: every result is unknown.")}}
	}
	return render.Blocks{t}
}

// details show each control that is not satisfied, or that a person gave
// evidence for. One begins on a new page unless it has room.
func (b *builder) details() render.Blocks {
	var out render.Blocks
	for _, c := range b.in.Controls {
		if s := stateOf(c); s == render.NotSatisfied || (len(c.Human) > 0 && s != render.NotApplicable) {
			out = append(out, b.detail(c)...)
		}
	}
	return out
}

func (b *builder) detail(c Control) render.Blocks {
	note, room := "computed as of "+stamp(b.doc.AsOf), 118.0
	if len(c.Tests) > 0 {
		room = 175
	}
	rows := []render.Row{{Label: "Role and date", Value: render.T(roleText(c.Roles), ". Applies from ", b.appliesFrom(c))}}
	if c.Runtime != "" {
		rows = append(rows, render.Row{Label: "Evidence model", Value: render.T(sentence(words(c.Runtime)))})
	}
	if b.in.System != nil {
		rows = append(rows, render.Row{Label: "Owner", Value: orMuted(b.in.System.Owner, "unknown")})
	}
	out := render.Blocks{&render.Heading{Level: 2, Title: c.ID + "\u00A0\u00A0" + c.Title, Room: room}, &render.Verdict{Status: stateOf(c), Note: note}, &render.KeyValue{Rows: rows},
		&render.Heading{Level: 3, Title: "How the result follows"}, &render.Paragraph{Text: orMuted(c.Why, "Unknown: no reason is recorded.")}}
	if len(c.Tests) > 0 {
		t := &render.Table{Caption: "Runtime tests", Columns: []render.Column{{Title: "Test", Width: 40, Mono: true}, {Title: "Observed and threshold", Width: 62}, {Title: "Result", Width: 34}, {Title: "Evidence", Width: 30}}}
		for _, x := range c.Tests {
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(x.ID), metricsOf(x), render.T(render.Chip(x.Result)), b.cited(3, x.Cites)}})
		}
		out = append(out, t)
	}
	if len(c.Human) > 0 {
		t := &render.Table{Caption: "Human evidence", Columns: []render.Column{{Title: "What", Width: 58, Key: true}, {Title: "State", Width: 30}, {Title: "Detail", Width: 48}, {Title: "Evidence", Width: 30}}}
		for _, h := range c.Human {
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(h.What), render.T(words(h.State)), render.T(h.Detail), b.cited(2, h.Cites)}})
		}
		out = append(out, t)
	}
	if len(c.Tests) > 0 {
		out = append(out, &render.Heading{Level: 3, Title: "Query as run"}, queries(c.Tests))
	}
	if len(c.WaitsFor) > 0 {
		out = append(out, &render.Heading{Level: 3, Title: "What it waits for"}, listOf(c.WaitsFor))
	}
	beyond := c.Beyond
	if beyond == "" {
		beyond = "Runtime evidence shows what passed the gateway. It does not show what people decided, agreed or wrote elsewhere."
	}
	return append(out, &render.Heading{Level: 3, Title: "What runtime evidence cannot show here"}, &render.Paragraph{Text: render.T(beyond)})
}

func queries(tests []Test) render.Block {
	box := &render.CodeBox{}
	for _, x := range tests {
		box.Lines = append(box.Lines, fmt.Sprintf("test=%s version=%d window=%s/%s ledger=%d..%d population=%d -> %s", x.ID, x.Version,
			x.From.UTC().Format("2006-01-02T15:04Z"), x.To.UTC().Format("2006-01-02T15:04Z"), x.FirstLeaf, x.EndLeaf, x.Population, string(x.Result)))
	}
	return box
}

func listOf(items []string) render.Block {
	l := &render.List{}
	for _, s := range items {
		l.Items = append(l.Items, render.T(s))
	}
	return l
}

func roleText(roles []string) string {
	if len(roles) == 0 {
		return "Every role"
	}
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = words(r)
	}
	return sentence(strings.Join(out, ", "))
}

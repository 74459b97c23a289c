package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plumbline/frameworks"
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
	return b.finding(grade, title, render.T(b.in.Framework.Title+" "+listed(refs, 14)+"; test ", render.Code(f.test.ID)), saw, f.test.Cites)
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
		render.T("Claimed, and accepted by a second person: "+strings.Join(claim, ", ")+". Recorded: "+strings.Join(seen, " ")), cites)
}

func (b *builder) controlFinding(c Control) render.Finding {
	grade := "major"
	if c.ahead() || c.AppliesFrom.After(b.in.IssuedAt) {
		grade = "minor"
	}
	var cites Cites
	cites = append(append(cites, c.Cites...), humanCites(c.Human)...)
	return b.finding(grade, c.Title+" is not satisfied", render.T(b.in.Framework.Title+" "+c.ID), orMuted(ended(sentence(c.reason())), "unknown"), cites)
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
		Action: b.need("Cause, correction, corrective action and due date: "+lower(title), "", owner)}
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

// tests lists every test once, with what it saw.
func (b *builder) tests() render.Blocks {
	t := &render.Table{Caption: "Newest result of each test", Columns: []render.Column{{Title: "Test", Width: 40}, {Title: "Observed, against the threshold", Width: 56}, {Title: "Window and population", Width: 24},
		{Title: "Result", Width: 31}, {Title: "Evidence", Width: 15}},
		Note: render.T("Leaves: the range of the ledger that the test read. Thresholds are defaults of the product unless a statute sets them. A figure that is unknown could not be measured; it is not zero.")}
	seen := map[string]bool{}
	for _, c := range b.in.Controls {
		for _, x := range c.Tests {
			if seen[x.ID] {
				continue
			}
			seen[x.ID] = true
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(render.Strong(x.name()), "\n", render.Code(fmt.Sprintf("%s\u00A0v%d", x.ID, x.Version))), observed(x, "\n"),
				render.T(fmt.Sprintf("%d days\n%s observed\nleaves %s to %s", int(x.To.Sub(x.From).Hours()/24+0.5), count(x.Population), count(x.FirstLeaf), count(max(x.EndLeaf, 1)-1))),
				render.T(render.Chip(x.Result)), b.cited(2, x.Cites)}})
		}
	}
	if len(t.Rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("No test has run for this system: every result is unknown.")}}
	}
	return render.Blocks{t}
}

// details show each control that is not satisfied, satisfied in part, contradicted
// or excepted. One begins on a new page unless it has room.
func (b *builder) details() render.Blocks {
	var out render.Blocks
	intro := &render.Paragraph{Text: render.T("Controls that are not satisfied, satisfied in part, contradicted or excepted. Runtime evidence shows what passed the gateway; it does not show what people decided, agreed or wrote elsewhere.")}
	for _, c := range b.in.Controls {
		if s := c.result(); s == render.NotSatisfied || s == render.Partial || c.Contradicted || len(c.Exceptions) > 0 {
			out = append(out, b.detail(c)...)
		}
	}
	if len(out) > 0 {
		out = append(render.Blocks{intro}, out...)
	}
	return out
}

func (b *builder) detail(c Control) render.Blocks {
	note := "computed as of " + stamp(b.doc.AsOf)
	if c.ahead() {
		note = "readiness; not yet applicable; " + note
	}
	room := min(70+22*float64(len(c.Tests))+14*float64(len(c.Human))+6*float64(len(c.WaitsFor)), 175)
	rows := []render.Row{{Label: "Role and date", Value: render.T(roleText(c.Roles), ". Applies from ", b.appliesFrom(c))}}
	if c.Runtime != "" {
		rows = append(rows, render.Row{Label: "Evidence model", Value: render.T(sentence(words(c.Runtime)))})
	}
	if c.Shows != "" {
		rows = append(rows, render.Row{Label: "Runtime evidence shows", Value: render.T(sentence(c.Shows))})
	}
	if b.in.System != nil {
		rows = append(rows, render.Row{Label: "Owner", Value: orMuted(b.in.System.Owner, "unknown")})
	}
	out := render.Blocks{&render.Heading{Level: 2, Title: c.ID + "\u00A0\u00A0" + c.Title, Room: room}, &render.Verdict{Status: c.result(), Note: note}, &render.KeyValue{Rows: rows},
		&render.Heading{Level: 3, Title: "How the result follows"}, &render.Paragraph{Text: orMuted(ended(sentence(c.reason())), "Unknown: no reason is recorded.")}}
	if len(c.Tests) > 0 {
		t := &render.Table{Caption: "Runtime tests", Columns: []render.Column{{Title: "Test", Width: 44}, {Title: "Observed, against the threshold", Width: 62}, {Title: "Result", Width: 34}, {Title: "Evidence", Width: 30}}}
		for _, x := range c.Tests {
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(x.name(), "\n", render.Code(x.ID)), observed(x, "\n"), render.T(render.Chip(x.Result)), b.cited(3, x.Cites)}})
		}
		out = append(out, t)
	}
	if len(c.Human) > 0 {
		t := &render.Table{Caption: "Human evidence", Columns: []render.Column{{Title: "What", Width: 44, Key: true}, {Title: "State", Width: 20}, {Title: "Detail", Width: 80}, {Title: "Evidence", Width: 22}}}
		for _, h := range c.Human {
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(h.What), render.T(sentence(h.State)), render.T(h.Detail), b.cited(2, h.Cites)}})
		}
		out = append(out, t)
	}
	if len(c.Tests) > 0 {
		out = append(out, &render.Heading{Level: 3, Title: "Query as run"}, queries(c.Tests))
	}
	if len(c.WaitsFor) > 0 {
		out = append(out, &render.Heading{Level: 3, Title: "What it waits for"}, listOf(c.WaitsFor))
	}
	return out
}

// ended closes a sentence.
func ended(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
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
		out[i] = frameworks.RoleName(r)
	}
	return sentence(strings.Join(out, ", "))
}

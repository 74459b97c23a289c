package reports

import (
	"fmt"
	"strings"

	"plumbline/frameworks"
	"plumbline/reports/render"
)

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
	room := min(95+22*float64(len(c.Tests))+14*float64(len(c.Human))+6*float64(len(c.WaitsFor)), 190)
	var rows []render.Row
	if len(c.Roles) > 0 || !c.AppliesFrom.IsZero() {
		rows = append(rows, render.Row{Label: "Role and date", Value: render.T(roleText(c.Roles), ". Applies from ", b.appliesFrom(c))})
	}
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
			t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(sentence(h.What)), render.T(sentence(h.State)), render.T(h.Detail), b.cited(2, h.Cites)}})
		}
		out = append(out, t)
	}
	if len(c.Tests) > 0 {
		out = append(out, &render.Heading{Level: 3, Title: "Query as run"}, queries(c.Tests))
	}
	if p := c.Plan; p != nil {
		out = append(out, &render.Heading{Level: 3, Title: "Corrective action"}, &render.Paragraph{Text: render.T(ended(p.Action), " ", p.Owner, ", due ", day(p.Due), planState(p), " ", b.cited(2, p.Cites))})
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

package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/reports/render"
)

// matrix is one row for each control of the catalogue.
func (b *builder) matrix() render.Blocks {
	if len(b.in.Controls) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("No control was assessed.")}}
	}
	t := &render.Table{Caption: "All controls of the catalogue, in our own words", Columns: []render.Column{{Title: "Ref.", Width: 18, Key: true}, {Title: "Control, in our words", Width: 50},
		{Title: "Role", Width: 11}, {Title: "Applies from", Width: 20}, {Title: "Result", Width: 31}, {Title: "Tests", Width: 11, Right: true}, {Title: "Evidence", Width: 25}},
		Note: render.T("Roles: P provider, D deployer, I importer, S distributor, A authorised representative, M product manufacturer, G provider of a GPAI model, T third party. A grey date lies ahead; the result beside it is for readiness. ")}
	dated := slices.ContainsFunc(b.in.Controls, func(c Control) bool { return len(c.Roles) > 0 || !c.AppliesFrom.IsZero() })
	if !dated {
		t.Columns = []render.Column{{Title: "Ref.", Width: 26, Key: true}, {Title: "Control, in our words", Width: 68}, {Title: "Result", Width: 33}, {Title: "Tests", Width: 12, Right: true}, {Title: "Evidence", Width: 27}}
		t.Note = nil
	}
	t.Note = append(t.Note, render.T("Tests: satisfied of those with a result; last run ", b.lastRun(), ". Reasons stand in ", render.Ref("open", ""), ".")...)
	section := ""
	for _, c := range b.in.Controls {
		if c.Section != section {
			section = c.Section
			t.Rows = append(t.Rows, render.TableRow{Group: section})
		}
		title := c.Gist
		if title == "" {
			title = c.Title
		}
		cells := []render.Text{render.T(c.ID), render.T(title)}
		if dated {
			cells = append(cells, render.T(initials(c.Roles)), b.appliesFrom(c))
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: append(cells, render.T(render.Chip(c.result())), render.T(passed(c.Tests)), b.cited(2, humanCites(c.Human), testCites(c.Tests), c.Cites))})
	}
	return render.Blocks{t}
}

// lastRun is when the newest test result was made.
func (b *builder) lastRun() string {
	var last time.Time
	for _, c := range b.in.Controls {
		for _, t := range c.Tests {
			if t.At.After(last) {
				last = t.At
			}
		}
	}
	return stamp(last)
}

var roleLetters = map[string]string{"provider": "P", "deployer": "D", "importer": "I", "distributor": "S", "authorised_representative": "A", "product_manufacturer": "M", "gpai_provider": "G", "third_party": "T"}

// initials shortens roles: provider, deployer become P, D.
func initials(roles []string) string {
	if len(roles) == 0 {
		return "–"
	}
	out := make([]string, len(roles))
	for i, r := range roles {
		if out[i] = roleLetters[r]; out[i] == "" {
			out[i] = r
		}
	}
	return strings.Join(out, ", ")
}

func (b *builder) appliesFrom(c Control) render.Text {
	switch {
	case c.AppliesFrom.IsZero():
		return render.T("–")
	case c.ahead() || c.AppliesFrom.After(b.in.IssuedAt):
		return render.T(render.Muted(day(c.AppliesFrom)))
	}
	return render.T(day(c.AppliesFrom))
}

func passed(tests []Test) string {
	if len(tests) == 0 {
		return "–"
	}
	n := 0
	for _, t := range tests {
		if t.Result == render.Satisfied {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(tests))
}

func testCites(tests []Test) Cites {
	var out Cites
	for _, t := range tests {
		if len(t.Cites) > 0 {
			out = append(out, t.Cites[0])
		}
	}
	return out
}

func humanCites(human []Human) Cites {
	var out Cites
	for _, h := range human {
		out = append(out, h.Cites...)
	}
	return out
}

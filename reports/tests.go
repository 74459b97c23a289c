package reports

import (
	"fmt"

	"plumbline/reports/render"
)

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

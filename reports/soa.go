package reports

import (
	"strings"

	"plumbline/reports/render"
)

// applicability is the SoA annex (ISO/IEC 42001 6.1.3).
func (b *builder) applicability() render.Blocks {
	t := &render.Table{Caption: "Controls of Annex A", Columns: []render.Column{{Title: "Ref.", Width: 15, Key: true}, {Title: "Control", Width: 38}, {Title: "Included?", Width: 15},
		{Title: "Justification", Width: 36}, {Title: "Implemented?", Width: 31}, {Title: "Owner", Width: 18}, {Title: "Evidence", Width: 20}}}
	owner := "unknown"
	if b.in.System != nil && b.in.System.Owner != "" {
		owner = b.in.System.Owner
	}
	for _, c := range b.in.Controls {
		if !strings.HasPrefix(c.ID, "A.") {
			continue
		}
		included, why := "Yes", "Included: no confirmed decision leaves it out"
		if stateOf(c) == render.NotApplicable {
			included, why = "No", c.Why
		}
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(c.ID), render.T(c.Title), render.T(included), b.need("Justification for "+c.ID, why, "compliance officer"),
			render.T(render.Chip(stateOf(c))), render.T(owner), b.cited(2, humanCites(c.Human), testCites(c.Tests), c.Cites)}})
	}
	if len(t.Rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("The inputs hold no control of Annex A.")}}
	}
	return render.Blocks{&render.Paragraph{Text: render.T("Owner of every control is the owner of the system unless a row of the register says otherwise.")}, t}
}

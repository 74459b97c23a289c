package reports

import (
	"strings"

	"plumbline/reports/render"
)

// people lists what people attached, each piece once, with the controls that it
// speaks to.
func (b *builder) people() render.Blocks {
	type piece struct {
		Human
		refs []string
	}
	var list []piece
	at := map[string]int{}
	for _, c := range b.in.Controls {
		for _, h := range c.Human {
			key := h.State + h.What + h.Detail
			i, ok := at[key]
			if !ok {
				i = len(list)
				at[key] = i
				list = append(list, piece{Human: h})
			} else {
				list[i].Cites = append(list[i].Cites, h.Cites...)
			}
			list[i].refs = append(list[i].refs, c.ID)
		}
	}
	if len(list) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T("Nothing is attached to a control of these criteria. What runtime evidence cannot show stays without evidence.")}}
	}
	t := &render.Table{Caption: "What people attached, and to which controls", Columns: []render.Column{{Title: "What the control asks for", Width: 38, Key: true}, {Title: "Evidence attached", Width: 62}, {Title: "State", Width: 20}, {Title: "Controls", Width: 26}, {Title: "Evidence", Width: 20}},
		Note: render.T("Current: accepted by a second person, in force and not too old. Only current evidence counts. Hashes of files are in the records cited; their content was not judged by the product.")}
	for _, p := range list {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(sentence(p.What)), render.T(p.Detail), render.T(sentence(p.State)), render.T(strings.Join(p.refs, ", ")), b.cited(2, p.Cites)}})
	}
	return render.Blocks{t}
}

package render

import (
	"fmt"
	"strconv"
	"strings"
)

// label numbers a table or a figure within its part.
func (l *layout) label(word string, n *int) string {
	*n++
	if l.numbered == "" {
		return word + " " + strconv.Itoa(*n)
	}
	return fmt.Sprintf("%s %s.%d", word, l.numbered, *n)
}

type cells struct {
	lines [][]line
	h     float64
}

// table never leaves one row alone, and repeats its head on each page.
func (l *layout) table(b *Table) {
	if len(b.Rows) == 0 {
		return
	}
	name := l.label("Table", &l.tables)
	widths := fitWidths(b.Columns)
	t := l.elem("Table", 0)
	l.captionOf(name, b.Caption, t)
	heads, headH := l.tableHead(b, widths)
	rep := &repeat{h: small.leading + 2.4 + headH}
	tr := l.elem("TR", t)
	ths := make([]int, len(b.Columns))
	for i := range ths {
		ths[i] = l.elem("TH", tr)
		l.elems[ths[i]].scope = "Column"
	}
	l.add(chunk{h: headH, before: 1, keep: true, table: rep, draw: func(p *page, y float64) { l.drawHead(p, y, b, widths, heads, headH, ths) }})
	rep.open = func(p *page, y float64) {
		l.put(p, artifact, left, y+small.baseline(), name+", continued", small.in(regular, ink2).style)
		l.drawHead(p, y+small.leading+2.4, b, widths, heads, headH, nil)
	}
	rep.close = func(p *page, y float64) { p.hline(left, y, textW, 0.2, rule2) }
	for i := range b.Rows {
		keep := i == 0 && len(b.Rows) > 1 || i == 1 && len(b.Rows) > 2 || i == len(b.Rows)-2
		l.tableRow(&b.Rows[i], b.Columns, widths, t, rep, keep)
	}
	if len(b.Note) > 0 {
		l.chunks[len(l.chunks)-1].keep = true
		l.paragraph(b.Note, manner{style{regular, 7.25, ink3}, 3.5, 1.6, 4}, left, textW)
	} else {
		l.chunks[len(l.chunks)-1].after = 5
	}
}

func (l *layout) captionOf(name, text string, parent int) {
	e := l.elem("Caption", parent)
	lines := l.breakLines(T(Strong(name), "\u00A0\u00A0"+text), caption, textW)
	for i, ln := range lines {
		c := chunk{h: caption.leading, keep: true, draw: func(p *page, y float64) { l.line(p, e, left, y+caption.baseline(), ln) }}
		if i == 0 {
			c.before = caption.before
		}
		l.add(c)
	}
}

func fitWidths(cols []Column) []float64 {
	total := 0.0
	for _, c := range cols {
		total += c.Width
	}
	widths := make([]float64, len(cols))
	for i, c := range cols {
		widths[i] = c.Width * textW / total
	}
	return widths
}

func (l *layout) tableHead(b *Table, widths []float64) ([][]line, float64) {
	heads := make([][]line, len(widths))
	rows := 1
	for i, c := range b.Columns {
		heads[i] = l.breakLines(T(c.Title), head, widths[i]-gutter)
		rows = max(rows, len(heads[i]))
	}
	return heads, float64(rows)*head.leading + 2*cellPad
}

func (l *layout) drawHead(p *page, y float64, b *Table, widths []float64, heads [][]line, h float64, elems []int) {
	x := left
	for i, c := range b.Columns {
		e := artifact
		if elems != nil {
			e = elems[i]
		}
		top := y + h - cellPad - float64(len(heads[i]))*head.leading
		for k, ln := range heads[i] {
			at := x
			if c.Right {
				at = ln.rightAt(x + widths[i] - gutter)
			}
			l.line(p, e, at, top+float64(k)*head.leading+head.baseline(), ln)
		}
		x += widths[i]
	}
	p.hline(left, y+h, textW, 0.3, ink)
}

func (l *layout) tableRow(r *TableRow, cols []Column, widths []float64, t int, rep *repeat, keep bool) {
	tr := l.elem("TR", t)
	if r.Group != "" {
		td := l.elem("TD", tr)
		lines := l.breakLines(T(r.Group), head, textW-4)
		h := float64(len(lines))*head.leading + 2*cellPad + 0.4
		l.add(chunk{h: h, keep: true, table: rep, draw: func(p *page, y float64) {
			p.fill(left, y, textW, h, wash)
			for k, ln := range lines {
				l.line(p, td, left+1.6, y+cellPad+0.2+float64(k)*head.leading+head.baseline(), ln)
			}
		}})
		return
	}
	row := l.cellsOf(r, cols, widths)
	tds := make([]int, len(cols))
	for i := range tds {
		tds[i] = l.elem("TD", tr)
	}
	l.add(chunk{h: row.h, keep: keep, table: rep, draw: func(p *page, y float64) {
		l.anchor(r.Anchor, p, y)
		x := left
		for i := range cols {
			if i < len(row.lines) {
				for k, ln := range row.lines[i] {
					at := x
					if cols[i].Right {
						at = ln.rightAt(x + widths[i] - gutter)
					}
					l.line(p, tds[i], at, y+cellPad+float64(k)*cell.leading+cell.baseline(), ln)
				}
			}
			x += widths[i]
		}
		p.hline(left, y+row.h, textW, 0.15, rule)
	}})
}

func (l *layout) cellsOf(r *TableRow, cols []Column, widths []float64) cells {
	var out cells
	rows := 1
	for i, t := range r.Cells {
		m := cell
		if cols[i].Key {
			m.face = medium
		}
		if cols[i].Mono {
			m.face, m.size = mono, 7
		}
		lines := l.breakLines(t, m, widths[i]-gutter)
		rows = max(rows, len(lines))
		out.lines = append(out.lines, lines)
	}
	out.h = float64(rows)*cell.leading + 2*cellPad
	return out
}

// contents lists two levels; a whole line is a link.
func (l *layout) contents() {
	toc := l.elem("TOC", 0)
	pitch, gap := 5.0, 3.2
	if len(l.before.lines) > 40 { // rather tight than a second page of few lines
		pitch, gap = 4.4, 1.8
	}
	for i, e := range l.before.lines {
		if e.number == "" {
			continue
		}
		st, indent, before := body.in(medium, ink).style, 0.0, gap
		if e.level == 2 {
			st, indent, before = body.style, 8, 0.4
		}
		item := l.elem("TOCI", toc)
		c := chunk{h: pitch, before: before, keep: e.level == 1 && i+1 < len(l.before.lines)}
		c.draw = func(p *page, y float64) {
			base := y + 3.6
			link := l.elem("Link", item)
			p.links = append(p.links, annotation{left, y, textW, pitch, "#" + e.key, link})
			numW := 8.0
			if e.level == 2 {
				numW = 10
			}
			l.put(p, link, left+indent, base, e.number, style{st.face, st.size, ink3})
			title := l.fit(e.title, st, textW-indent-numW-16)
			w := l.put(p, link, left+indent+numW, base, title, st)
			number := strconv.Itoa(l.before.anchors[e.key].page)
			l.putRight(p, link, right, base, number, st)
			const raster = 1.5
			from := left + indent + numW + w + 2
			dot := right - l.set.width(number, st) - 3
			dot = right - raster*float64(int((right-dot)/raster)+1)
			for ; dot > from; dot -= raster {
				l.put(p, artifact, dot, base, ".", style{regular, 7, rule2})
			}
		}
		l.add(c)
	}
}

// fit cuts text with an ellipsis.
func (l *layout) fit(text string, st style, max float64) string {
	if l.set.width(text, st) <= max {
		return text
	}
	room := max - l.set.width("…", st)
	for i, r := range text {
		if room -= l.set.width(string(r), st); room < 0 {
			return strings.TrimRight(text[:i], " ") + "…"
		}
	}
	return text
}

// evidenceIndex prints the index with the pages where each item is cited.
func (l *layout) evidenceIndex(b *EvidenceIndex) {
	t := &Table{Caption: "Evidence cited in this document", Columns: []Column{
		{Title: "ID", Width: 15, Key: true}, {Title: "Kind and content", Width: 57}, {Title: "Window (UTC)", Width: 24},
		{Title: "Leaf index", Width: 18, Right: true}, {Title: "SHA-256, first 16 digits", Width: 32, Mono: true}, {Title: "Cited on page", Width: 20}}}
	for _, item := range b.Items {
		l.known[item.ID] = true
		digits := item.SHA256
		if len(digits) > 16 {
			digits = digits[:16]
		}
		t.Rows = append(t.Rows, TableRow{Anchor: item.ID, Cells: []Text{
			T(item.ID), T(Code(item.Kind), "\n"+item.Content), T(item.Window), T(grouped(item.Leaf)), T(fours(digits)), l.citedOn(item.ID)}})
	}
	l.table(t)
}

func (l *layout) citedOn(id string) Text {
	pages := l.before.pages[strings.TrimPrefix(id, "E-")]
	if len(pages) == 0 {
		return T(Muted("not cited"))
	}
	var out Text
	for i, n := range pages {
		if i > 0 {
			out = append(out, Span{Text: ", "})
		}
		if i == 6 {
			return append(out, Span{Text: "…"})
		}
		out = append(out, Span{Text: strconv.Itoa(n), URL: "#page:" + strconv.Itoa(n), Style: "page"})
	}
	return out
}

// grouped writes 4182907 as 4,182,907.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// fours groups hex digits by four.
func fours(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		if i > 0 {
			b.WriteString("\u00A0")
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	return b.String()
}

package render

import "strings"

// callout is a box with a bar at its left edge. It is not split.
func (l *layout) callout(b *Callout) {
	e := l.elem("P", 0)
	title := l.breakLines(T(b.Title), body.in(medium, ink), textW-12)
	var lines []line
	var starts []int
	for _, t := range b.Body {
		starts = append(starts, len(lines))
		lines = append(lines, l.breakLines(t, body, measure+4)...)
	}
	const pad = 3.2
	gaps := float64(max(len(starts)-1, 0)) * 1.2
	h := pad*2 + float64(len(title)+len(lines))*body.leading + gaps + 0.6
	bar := accent
	if b.Tone == "warning" {
		bar = darkRed
	}
	l.add(chunk{h: h, before: 3.5, after: 4.5, draw: func(p *page, y float64) {
		p.fill(left, y, textW, h, wash)
		p.fill(left, y, 1, h, bar)
		at := y + pad
		for _, ln := range title {
			l.line(p, e, left+6, at+body.baseline(), ln)
			at += body.leading
		}
		at += 0.6
		for i, ln := range lines {
			for k, s := range starts {
				if s == i && k > 0 {
					at += 1.2
				}
			}
			l.line(p, e, left+6, at+body.baseline(), ln)
			at += body.leading
		}
	}})
}

// codeLines breaks lines of a code box that are too long; the rest is indented.
func (l *layout) codeLines(lines []string) []string {
	max := int((textW - 8) / l.set.width("0", codeBox.style))
	var out []string
	for _, s := range lines {
		runes := []rune(s)
		for first := true; ; first = false {
			if !first {
				runes = append([]rune("  "), runes...)
			}
			if len(runes) <= max {
				out = append(out, string(runes))
				break
			}
			cut := max
			for cut > max*2/3 && runes[cut-1] != ' ' {
				cut--
			}
			if runes[cut-1] != ' ' {
				cut = max
			}
			out = append(out, strings.TrimRight(string(runes[:cut]), " "))
			runes = runes[cut:]
		}
	}
	return out
}

// code is a box of verbatim lines; a long one breaks between them.
func (l *layout) code(lines []string) {
	e := l.elem("P", 0)
	const pad = 3.2
	lines = l.codeLines(lines)
	for i, s := range lines {
		first, last := i == 0, i == len(lines)-1
		c := chunk{h: codeBox.leading, keep: !last && (i < 2 || i == len(lines)-2 || len(lines) < 12)}
		if first {
			c.before, c.h = 2.5, c.h+pad
		}
		if last {
			c.after, c.h = 4, c.h+pad
		}
		h := c.h
		c.draw = func(p *page, y float64) {
			p.fill(left, y, textW, h, wash)
			p.shape(artifact, func(k *pen) {
				k.line(left, y, left, y+h, 0.12, rule)
				k.line(right, y, right, y+h, 0.12, rule)
				if first {
					k.line(left, y, right, y, 0.12, rule)
				}
				if last {
					k.line(left, y+h, right, y+h, 0.12, rule)
				}
			})
			at := y + codeBox.baseline()
			if first {
				at += pad
			}
			l.put(p, e, left+4, at, s, codeBox.style)
		}
		l.add(c)
	}
}

func (l *layout) verdict(b *Verdict) {
	e := l.elem("P", 0)
	l.add(chunk{h: 6, before: 0, after: 2.6, keep: true, draw: func(p *page, y float64) {
		base := y + 4.1
		p.shape(artifact, func(k *pen) { k.icon(b.Status, left+1.5, base-1.3) })
		w := l.put(p, e, left+5, base, b.Status.Word(), style{medium, 9.75, ink})
		l.put(p, e, left+5+w+3, base, b.Note, style{regular, 8.25, ink3})
	}})
}

const keyW = 38.0

// keyValue never leaves one row alone.
func (l *layout) keyValue(rows []Row) {
	t := l.elem("Table", 0)
	const pad = 1.25
	for i, r := range rows {
		tr := l.elem("TR", t)
		th, td := l.elem("TH", tr), l.elem("TD", tr)
		l.elems[th].scope = "Row"
		labels := l.breakLines(T(r.Label), keyed.in(regular, ink3), keyW)
		values := l.breakLines(r.Value, keyed, textW-keyW-4)
		h := float64(max(len(labels), len(values)))*keyed.leading + 2*pad
		c := chunk{h: h, keep: i == 0 && len(rows) > 1 || i == len(rows)-2}
		if i == 0 {
			c.before = 1.5
		}
		if i == len(rows)-1 {
			c.after = 4
		}
		c.draw = func(p *page, y float64) {
			if i == 0 {
				p.hline(left, y, textW, 0.3, ink)
			}
			for k, ln := range labels {
				l.line(p, th, left, y+pad+float64(k)*keyed.leading+keyed.baseline(), ln)
			}
			for k, ln := range values {
				l.line(p, td, left+keyW+4, y+pad+float64(k)*keyed.leading+keyed.baseline(), ln)
			}
			p.hline(left, y+h, textW, 0.15, rule)
		}
		l.add(c)
	}
}

// stats is a row of big figures between two rules.
func (l *layout) stats(b *Stats) {
	n := len(b.Items)
	if n == 0 {
		return
	}
	w := textW / float64(max(n, 4))
	if n < 4 {
		w = textW / float64(n)
	}
	notes := make([][]line, n)
	deepest := 0
	for i, s := range b.Items {
		notes[i] = l.breakLines(T(s.Note), small.in(regular, ink2), w-4)
		deepest = max(deepest, len(notes[i]))
	}
	h := 2.5 + 3.4 + 9 + float64(deepest)*small.leading + 2.2
	cells := make([]int, n)
	for i := range cells {
		cells[i] = l.elem("P", 0)
	}
	l.add(chunk{h: h, before: 3, after: 5, draw: func(p *page, y float64) {
		p.hline(left, y, textW, 0.3, ink)
		p.hline(left, y+h, textW, 0.15, rule)
		for i, s := range b.Items {
			x := left + float64(i)*w
			l.put(p, cells[i], x, y+5.1, s.Label, style{regular, 7.25, ink3})
			size := figure.style
			for size.size > 8 && l.set.width(s.Value, size) > w-3 {
				size.size--
			}
			l.put(p, cells[i], x, y+13.2, s.Value, size)
			for k, ln := range notes[i] {
				l.line(p, cells[i], x, y+14.9+float64(k)*small.leading+small.baseline(), ln)
			}
		}
	}})
}

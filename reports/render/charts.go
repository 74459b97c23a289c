package render

import (
	"math"
	"strconv"
)

// figure draws a chart under its claim. It is not split, and is one figure with
// an alternative text to readers.
func (l *layout) figure(b *Figure) {
	name := l.label("Figure", &l.figures)
	e := l.elem("Figure", 0)
	l.elems[e].alt = b.Alt
	cap := l.elem("Caption", 0)
	lines := l.breakLines(T(Muted(name), "\u00A0\u00A0", Strong(b.Claim)), caption.in(regular, ink), textW)
	var h float64
	var draw func(p *page, y float64)
	switch c := b.Chart; {
	case c.Bars != nil:
		h, draw = l.bars(c.Bars, e)
	case c.Columns != nil:
		h, draw = l.columns(c.Columns, e)
	case c.Cumulative != nil:
		h, draw = l.cumulative(c.Cumulative, e)
	case c.Strip != nil:
		h, draw = l.strip(c.Strip, e)
	default:
		panic("render: figure without a chart")
	}
	capH := float64(len(lines))*caption.leading + 1.2
	c := chunk{h: capH + h, before: 4, after: 5, keep: len(b.Source) > 0, draw: func(p *page, y float64) {
		for i, ln := range lines {
			l.line(p, cap, left, y+float64(i)*caption.leading+caption.baseline(), ln)
		}
		p.hline(left, y+capH, textW, 0.3, ink)
		draw(p, y+capH)
	}}
	if len(b.Source) > 0 {
		c.after = 0
	}
	l.add(c)
	if len(b.Source) > 0 {
		l.paragraph(b.Source, manner{style{regular, 6.75, ink3}, 3.3, 1.2, 5}, left, textW)
	}
}

// legendItem draws a swatch and its word and returns where the next begins.
func (l *layout) legendItem(p *page, e int, x, y float64, text string, swatch func(k *pen, x, y, w, h float64)) float64 {
	p.shape(e, func(k *pen) { swatch(k, x, y, 3.2, 3.2) })
	return x + 4.4 + l.put(p, e, x+4.4, y+2.5, text, style{regular, 7, ink2}) + 6
}

// statusFill fills an area the way bars show a status.
func statusFill(s Status) func(k *pen, x, y, w, h float64) {
	return func(k *pen, x, y, w, h float64) {
		switch s {
		case Satisfied:
			k.rect(x, y, w, h, green)
		case Partial:
			k.rect(x, y, w, h, amber)
		case NotSatisfied:
			k.rect(x, y, w, h, darkRed)
		case NoEvidence:
			k.hatch(x, y, w, h, ink3)
			k.box(x, y, w, h, 0.18, ink2)
		case NotYet:
			k.rect(x, y, w, h, wash)
			k.f.SetDashPattern([]float64{0.7, 0.5}, 0)
			k.box(x, y, w, h, 0.18, ink3)
			k.f.SetDashPattern(nil, 0)
		default:
			k.box(x, y, w, h, 0.18, rule2)
		}
	}
}

func (l *layout) bars(b *Bars, e int) (float64, func(*page, float64)) {
	const labelW = 58.0
	pitch, bar := 7.5, 5.0
	if len(b.Rows) > 12 {
		pitch, bar = 5.9, 4.2
	}
	most := 1
	for _, r := range b.Rows {
		n := 0
		for _, c := range r.Counts {
			n += c
		}
		most = max(most, n)
	}
	h := 9 + float64(len(b.Rows))*pitch + 1
	return h, func(p *page, y float64) {
		x := left
		for _, s := range b.Statuses {
			x = l.legendItem(p, e, x, y+2.6, s.Word(), statusFill(s))
		}
		unit := (textW - labelW - 12) / float64(most)
		for i, r := range b.Rows {
			l.barRow(p, e, y+9+float64(i)*pitch, bar, labelW, unit, r, b.Statuses)
		}
	}
}

func (l *layout) barRow(p *page, e int, y, bar, labelW, unit float64, r BarRow, statuses []Status) {
	base := y + bar/2 + 0.95
	l.put(p, e, left, base, l.fit(r.Label, style{regular, 7.75, ink}, labelW-3), style{regular, 7.75, ink})
	x, total := left+labelW, 0
	for i, n := range r.Counts {
		if n == 0 || i >= len(statuses) {
			continue
		}
		total += n
		w, s, at := float64(n)*unit-0.3, statuses[i], x
		p.shape(e, func(k *pen) { statusFill(s)(k, at, y, w, bar) })
		text := strconv.Itoa(n)
		st := style{medium, 6.75, ink}
		if s == Satisfied || s == NotSatisfied {
			st.color = white
		}
		if tw := l.set.width(text, st); tw < w-0.4 {
			if s == NoEvidence {
				back := min(tw+1, w-0.5)
				p.fill(at+w/2-back/2, y+0.9, back, bar-1.8, white)
			}
			l.putCenter(p, e, at+w/2, base, text, st)
		}
		x += float64(n) * unit
	}
	l.put(p, e, x+1.5, base, strconv.Itoa(total), style{regular, 7, ink3})
}

const axisW = 14.0

// scale finds a round step and the top of an axis that holds most.
func scale(most float64, steps int) (step, upper float64) {
	if most <= 0 || math.IsNaN(most) || math.IsInf(most, 0) {
		return 1, 1
	}
	raw := most / float64(steps)
	mag := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if step = f * mag; step >= raw*0.999 {
			break
		}
	}
	return step, step * math.Ceil(most/step-1e-9)
}

func tick(v, step float64) string {
	decimals := 0
	if step < 1 {
		decimals = int(math.Ceil(-math.Log10(step) - 1e-9))
		if math.Abs(step*math.Pow(10, float64(decimals))-math.Round(step*math.Pow(10, float64(decimals)))) > 1e-6 {
			decimals++
		}
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals == 0 && v >= 1000 {
		return grouped(uint64(v))
	}
	return s
}

// axis draws the grid of a plot and returns the height of one unit.
func (l *layout) axis(p *page, e int, x, y, w, h, most float64, steps int) float64 {
	step, upper := scale(most, steps)
	unit := h / upper
	for v := 0.0; v <= upper+step/2; v += step {
		at, width, c := y+h-v*unit, 0.12, rule
		if v == 0 {
			width, c = 0.25, ink
		}
		p.shape(e, func(k *pen) { k.line(x, at, x+w, at, width, c) })
		l.putRight(p, e, x-1.5, at+0.85, tick(v, step), style{regular, 6.75, ink3})
	}
	return unit
}

func (l *layout) columns(b *Columns, e int) (float64, func(*page, float64)) {
	const plotH = 40.0
	most, notes := 0.0, 0
	for _, s := range b.Slots {
		sum := 0.0
		for _, v := range s.Values {
			sum += v
		}
		most = max(most, sum)
		notes = max(notes, len(s.Note))
	}
	h := 10 + plotH + 5 + float64(notes)*3.2
	return h, func(p *page, y float64) {
		l.put(p, e, left, y+4.8, b.Unit, style{regular, 6.75, ink3})
		x := left + axisW
		if len(b.Series) > 1 {
			lx := left + axisW + 45
			for i, name := range b.Series {
				c := series[i%len(series)]
				lx = l.legendItem(p, e, lx, y+2.4, name, func(k *pen, x, y, w, h float64) { k.rect(x, y, w, h, c) })
			}
		}
		w := textW - axisW
		unit := l.axis(p, e, x, y+9, w, plotH, most, 4)
		n := len(b.Slots)
		pitch := w / float64(max(n, 1))
		every := labelEvery(n, pitch, l, b.Slots)
		for i, s := range b.Slots {
			l.column(p, e, x+float64(i)*pitch, y+9, pitch, plotH, unit, s, i%every == 0)
		}
	}
}

// labelEvery thins labels so that they do not run into each other.
func labelEvery(n int, pitch float64, l *layout, slots []ColumnsSlot) int {
	widest := 4.0
	for _, s := range slots {
		widest = max(widest, l.set.width(s.Label, small.style))
		for _, t := range s.Note {
			widest = max(widest, l.set.width(t, small.style))
		}
	}
	return max(1, int(math.Ceil((widest+1.5)/pitch)))
}

func (l *layout) column(p *page, e int, x, y, pitch, h, unit float64, s ColumnsSlot, labelled bool) {
	w := min(pitch*0.72, 14)
	cx := x + pitch/2
	if labelled {
		l.putCenter(p, e, cx, y+h+3.6, s.Label, style{regular, 6.75, ink})
		for i, t := range s.Note {
			l.putCenter(p, e, cx, y+h+6.9+float64(i)*3.2, t, small.style)
		}
	}
	if s.Gap != "" {
		p.shape(e, func(k *pen) {
			k.hatch(cx-w/2, y, w, h, rule2)
			k.box(cx-w/2, y, w, h, 0.18, ink3)
		})
		if labelled {
			tw := l.set.width(s.Gap, style{medium, 6.75, ink2})
			p.fill(cx-tw/2-0.8, y+h/2-2.6, tw+1.6, 4, white)
			l.putCenter(p, e, cx, y+h/2+0.3, s.Gap, style{medium, 6.75, ink2})
		}
		return
	}
	at := y + h
	for i, v := range s.Values {
		if v <= 0 {
			continue
		}
		c, bh, gap := series[i%len(series)], v*unit, 0.3
		if bh < 0.8 {
			gap = 0
		}
		at -= bh
		from := at
		p.shape(e, func(k *pen) { k.rect(cx-w/2, from, w, bh-gap, c) })
	}
}

func (l *layout) cumulative(b *Cumulative, e int) (float64, func(*page, float64)) {
	const lineH, colH = 34.0, 17.0
	total, peak, most := 0.0, 0.0, 0.0
	for _, v := range b.Values {
		total += v
		peak, most = max(peak, total), max(most, math.Abs(v))
	}
	return 9 + lineH + 9 + colH + 5, func(p *page, y float64) {
		x, w := left+axisW, textW-axisW-20
		l.put(p, e, left, y+5, b.Unit, style{regular, 6.75, ink3})
		ty := y + 9
		unit := l.axis(p, e, x, ty, w, lineH, max(peak, b.Limit*1.08), 4)
		l.totalLine(p, e, b, x, ty, w, lineH, unit)
		if b.Limit > 0 {
			at := ty + lineH - b.Limit*unit
			p.shape(e, func(k *pen) { k.dashed(x, at, x+w, at, 0.4, ink, 2, 1) })
			tw := l.set.width(b.LimitLabel, style{medium, 6.75, ink})
			p.fill(x+1, at-3.4, tw+1, 2.9, white)
			l.put(p, e, x+1.5, at-1.1, b.LimitLabel, style{medium, 6.75, ink})
		}
		cy := ty + lineH + 9
		l.put(p, e, left, cy-3, b.ColumnUnit, style{regular, 6.75, ink3})
		cu := l.axis(p, e, x, cy, w, colH, most, 2)
		l.totalColumns(p, e, b, x, cy, w, colH, cu)
	}
}

func (l *layout) totalLine(p *page, e int, b *Cumulative, x, y, w, h, unit float64) {
	n := len(b.Values)
	if n == 0 {
		return
	}
	pitch := w / float64(n)
	area := []float64{x + pitch/2, y + h}
	var points []float64
	sum := 0.0
	for i, v := range b.Values {
		sum += v
		points = append(points, x+(float64(i)+0.5)*pitch, y+h-sum*unit)
	}
	area = append(append(area, points...), x+(float64(n)-0.5)*pitch, y+h)
	lx, ly := points[len(points)-2], points[len(points)-1]
	p.shape(e, func(k *pen) {
		if n > 1 {
			k.polygon(rgb{0xE9, 0xEE, 0xF5}, area...)
			k.polyline(accent, 0.5, points...)
		}
		k.tint(accent)
		k.f.Circle(lx, ly, 0.9, "F")
	})
	l.put(p, e, lx+2.4, ly, b.FinalLabel, style{medium, 7.25, accent})
	l.put(p, e, lx+2.4, ly+3.2, b.FinalDetail, small.style)
}

func (l *layout) totalColumns(p *page, e int, b *Cumulative, x, y, w, h, unit float64) {
	pitch := w / float64(max(len(b.Values), 1))
	every := 1
	for _, s := range b.Labels {
		every = max(every, int(math.Ceil((l.set.width(s, small.style)+2)/pitch)))
	}
	for i, v := range b.Values {
		cx, cw, bh := x+(float64(i)+0.5)*pitch, min(pitch*0.72, 14), v*unit
		if i < len(b.Unknown) && b.Unknown[i] {
			p.shape(e, func(k *pen) {
				k.hatch(cx-cw/2, y, cw, h, rule2)
				k.box(cx-cw/2, y, cw, h, 0.18, ink3)
			})
		}
		if bh > 0 {
			p.shape(e, func(k *pen) { k.rect(cx-cw/2, y+h-bh, cw, bh, rgb{0x83, 0xA9, 0xC4}) })
		}
		if bh < 0 { // more was taken off than charged
			p.shape(e, func(k *pen) { k.box(cx-cw/2, y+h+bh, cw, -bh, 0.25, accent) })
		}
		if i%every == 0 && i < len(b.Labels) {
			l.putCenter(p, e, cx, y+h+3.6, b.Labels[i], small.style)
		}
	}
}

func (l *layout) strip(b *Strip, e int) (float64, func(*page, float64)) {
	return 11, func(p *page, y float64) {
		pitch := min(9.5, textW/float64(max(len(b.Statuses), 1)))
		for i, s := range b.Statuses {
			x := left + 1.5 + float64(i)*pitch
			p.shape(e, func(k *pen) { k.icon(s, x, y+4) })
			if i < len(b.Labels) {
				l.putCenter(p, e, x, y+8.6, b.Labels[i], style{regular, 6, ink3})
			}
		}
	}
}

package render

import (
	"fmt"
	"strconv"
)

// minute is how instants are printed.
const minute = "2006-01-02 15:04 UTC"

// cover is a page of its own, outside the flow.
func (l *layout) cover() {
	d := l.doc
	p := l.addPage()
	p.cover = true
	e := func() int { return l.elem("P", 0) }
	bob(p, left, 88, 1)
	l.put(p, e(), coverX, 29.5, d.Organisation, style{medium, 11, ink})
	l.tracked(p, e(), coverX, 71.7, d.KindTitle, style{medium, 7.5, ink3}, 0.9)
	y := 85.5
	title := l.elem("H1", 0)
	for _, ln := range l.breakLines(T(d.Title), manner{style: style{medium, 30, ink}}, right-coverX) {
		l.line(p, title, coverX, y, ln)
		y += 12.5
	}
	sub := manner{style: style{regular, 17, ink2}}
	y += 0.2
	for _, ln := range l.breakLines(T(d.Subtitle), sub, right-coverX) {
		l.line(p, e(), coverX, y, ln)
		y += 7.5
	}
	l.completeness(p)
	l.coverFacts(p)
	l.tracked(p, e(), coverX, 272.4, d.Confidentiality, style{medium, 7.5, ink}, 0.7)
	imprint := fmt.Sprintf("data as of %s · Page 1 of %d", d.AsOf.UTC().Format(minute), l.before.total)
	if d.Notice != "" {
		imprint = d.Notice + " · " + imprint
	}
	st := style{regular, 7, ink3}
	y = 277.2
	for _, ln := range l.breakLines(T(imprint+"\nSupports, and does not replace, a legal assessment. Produced with Plumbline."), manner{style: st}, right-coverX) {
		l.line(p, e(), coverX, y, ln)
		y += 3.7
	}
}

// bob is the plumb line: from the page's top edge to the point.
func bob(p *page, x, y, scale float64) {
	p.shape(artifact, func(k *pen) {
		k.line(x, 0, x, y, 0.25, ink)
		w := 1.9 * scale
		k.polygon(ink, x-w*0.6, y, x+w*0.6, y, x+w, y+2*scale, x-w, y+2*scale)
		k.polygon(brass, x-w, y+2.1*scale, x+w, y+2.1*scale, x, y+11*scale)
	})
}

func (l *layout) completeness(p *page) {
	c := l.doc.Completeness
	e := l.elem("P", 0)
	l.put(p, e, coverX, 145.6, "Completeness of required content", style{regular, 8.5, ink3})
	l.put(p, e, coverX, 159.6, strconv.Itoa(c.Percent())+"%", style{medium, 30, ink})
	p.fill(coverX, 165, 100, 1.8, rgb{0xE2, 0xE6, 0xEC})
	if c.Required > 0 {
		p.fill(coverX, 165, 100*float64(c.Provided)/float64(c.Required), 1.8, ink)
	}
	text := T(fmt.Sprintf("All %d required fields are provided.", c.Required))
	if n := c.Required - c.Provided; n > 0 {
		are := fmt.Sprintf("%d are not", n)
		if n == 1 {
			are = "One is not"
		}
		text = T(fmt.Sprintf("%d of %d required fields are provided. %s; ", c.Provided, c.Required, are))
		if c.Ref != "" {
			text = append(text, Ref(c.Ref, ""))
			text = append(text, Span{Text: " names them and their owners."})
		} else {
			text = append(text, Span{Text: "each is marked NOT PROVIDED with its owner."})
		}
	}
	m := manner{style: style{regular, 8.5, ink2}}
	for i, ln := range l.breakLines(text, m, 102) {
		l.line(p, e, coverX, 172.2+float64(i)*4.2, ln)
	}
}

func (l *layout) coverFacts(p *page) {
	p.hline(coverX, 226, right-coverX, 0.25, ink)
	w := (right - coverX) / 4
	for i, f := range l.doc.Cover {
		if i == 4 {
			break
		}
		e := l.elem("P", 0)
		x := coverX + float64(i)*w
		l.put(p, e, x, 231.6, f.Label, style{regular, 7.5, ink3})
		y := 236.6
		m := manner{style: style{regular, 8, ink}}
		for _, s := range f.Lines {
			for _, ln := range l.breakLines(T(s), m, w-3) {
				l.line(p, e, x, y, ln)
				y += 4
			}
		}
	}
}

// titleBlock opens a short document.
func (l *layout) titleBlock() {
	d := l.doc
	e, t, s := l.elem("P", 0), l.elem("H1", 0), l.elem("P", 0)
	title := l.breakLines(T(d.Title), manner{style: style{medium, 21, ink}}, textW)
	subs := l.breakLines(T(d.Subtitle), manner{style: style{regular, 11, ink2}}, textW)
	h := 6 + float64(len(title))*9 + float64(len(subs))*5 + 1
	l.add(chunk{h: h, after: 4, keep: true, draw: func(p *page, y float64) {
		bob(p, 18, 32, 0.62)
		y -= 5
		l.tracked(p, e, left, y, d.Organisation+"  ·  "+d.KindTitle, style{regular, 7.25, ink3}, 0.8)
		for _, ln := range title {
			y += 9.6
			l.line(p, t, left, y, ln)
		}
		y += 1.4
		for _, ln := range subs {
			y += 5
			l.line(p, s, left, y+1, ln)
		}
	}})
}

// frames draws heads and feet when the number of pages is known.
func (l *layout) frames() {
	for _, p := range l.pages {
		if p.cover {
			continue
		}
		l.foot(p)
		if l.doc.Compact && p.number == 1 {
			continue
		}
		l.runningHead(p)
	}
}

func (l *layout) runningHead(p *page) {
	d := l.doc
	st := style{regular, 6.75, ink2}
	strong := style{medium, 6.75, ink}
	tail := fmt.Sprintf("%s  ·  rev %d  ·  %s", d.ID, d.Revision, d.Status)
	room := textW - l.set.width(tail, st) - 6
	title := l.fit(d.Title, strong, room*0.6)
	w := l.put(p, artifact, left, 14.2, title, strong)
	l.put(p, artifact, left+w, 14.2, l.fit("  ·  "+d.Subject, st, room-w), st)
	l.putRight(p, artifact, right, 14.2, tail, st)
	p.hline(left, 16.8, textW, 0.15, rule)
}

func (l *layout) foot(p *page) {
	d := l.doc
	p.hline(left, 279.5, textW, 0.15, rule)
	at := left + max(30, l.tracked(p, artifact, left, 284.5, l.fit(d.Confidentiality, style{medium, 6.75, ink2}, 50), style{medium, 6.75, ink2}, 0.5)+5)
	number := fmt.Sprintf("Page %d of %d", p.number, l.before.total)
	l.putRight(p, artifact, right, 284.5, number, style{medium, 6.75, ink})
	middle := "data as of " + d.AsOf.UTC().Format(minute)
	if d.Notice != "" {
		middle = d.Notice + " · " + middle
	}
	st := style{regular, 6.75, ink3}
	l.put(p, artifact, at, 284.5, l.fit(middle, st, right-24-at), st)
}

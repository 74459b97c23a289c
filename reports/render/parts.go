package render

import (
	"fmt"
	"strconv"
)

// build makes the chunks of the whole document.
func (l *layout) build() {
	if l.doc.Compact {
		l.titleBlock()
	} else {
		l.cover()
	}
	for _, b := range l.doc.Lead {
		l.block(b)
	}
	noted := false
	for i := range l.doc.Parts {
		l.buildPart(&l.doc.Parts[i], i)
		if l.doc.Parts[i].Key == l.doc.Completeness.Ref {
			l.replacementNote()
			noted = true
		}
	}
	if !noted {
		l.replacementNote()
	}
	l.now.replaced = l.set.replaced > 0
}

func (l *layout) buildPart(part *Part, index int) {
	number := ""
	if !part.Unnumbered {
		l.part++
		number = strconv.Itoa(l.part)
	}
	l.section, l.tables, l.figures, l.numbered = 0, 0, 0, number
	m := h1
	if l.doc.Compact {
		m = h1Short
	}
	l.heading(part.Key, number, part.Title, m, 1, part.NewPage || (index == 0 && !l.doc.Compact))
	for i, b := range part.Blocks {
		l.block(b)
		if introduces(part.Blocks, i) && len(l.chunks) > 0 {
			l.chunks[len(l.chunks)-1].keep = true
		}
	}
}

// introduces says whether a block is the paragraph between a heading and a table
// or figure; the three stay together.
func introduces(blocks Blocks, i int) bool {
	if _, ok := blocks[i].(*Paragraph); !ok || i+1 == len(blocks) {
		return false
	}
	if i > 0 {
		if _, ok := blocks[i-1].(*Heading); !ok {
			return false
		}
	}
	switch next := blocks[i+1].(type) {
	case *EvidenceIndex:
		return len(next.Items) > 0
	case *Table:
		return len(next.Rows) > 0
	case *Figure:
		return true
	}
	return false
}

// heading of any level. It stays with what follows it.
func (l *layout) heading(key, number, title string, m manner, level int, newPage bool) {
	if key == "" {
		key = fmt.Sprintf("h%d.%s.%d", l.part, title, len(l.chunks))
	}
	l.now.numbers[key] = number
	if level <= 2 {
		l.now.lines = append(l.now.lines, contentsLine{level, number, title, key})
	}
	l.marks = append(l.marks, bookmark{spaced(number, title), level - 1, key})
	e := l.elem("H"+strconv.Itoa(level), 0)
	lines := l.breakLines(T(title), m, textW)
	c := chunk{h: float64(len(lines)) * m.leading, before: m.before, after: m.after, keep: true, newPage: newPage}
	if level == 1 && !l.doc.Compact {
		c.need = partRest
	}
	c.draw = func(p *page, y float64) {
		l.anchor(key, p, y)
		if number != "" && level < 3 {
			st := m.in(regular, ink3).style
			if level == 2 {
				st.size = 10.5
			}
			l.put(p, e, hang, y+m.baseline(), number, st)
		}
		for i, ln := range lines {
			l.line(p, e, left, y+float64(i)*m.leading+m.baseline(), ln)
		}
	}
	l.add(c)
}

func spaced(number, title string) string {
	if number == "" {
		return title
	}
	return number + "  " + title
}

// block makes the chunks of one block.
func (l *layout) block(b Block) {
	switch b := b.(type) {
	case *Heading:
		l.section1(b)
	case *Lede:
		l.paragraph(b.Text, lede, left, ledeW)
	case *Paragraph:
		l.paragraph(b.Text, body, left, measure)
	case *List:
		l.list(b)
	case *Callout:
		l.callout(b)
	case *CodeBox:
		l.code(b.Lines)
	case *Verdict:
		l.verdict(b)
	case *KeyValue:
		l.keyValue(b.Rows)
	case *Table:
		l.table(b)
	case *Stats:
		l.stats(b)
	case *Finding:
		l.finding(b)
	case *Contents:
		l.contents()
	case *EvidenceIndex:
		l.evidenceIndex(b)
	case *Verification:
		l.verification(b)
	case *Figure:
		l.figure(b)
	default:
		panic("render: no layout for " + b.blockType())
	}
}

func (l *layout) section1(h *Heading) {
	if h.Level == 2 {
		l.section++
		number := ""
		if l.numbered != "" {
			number = l.numbered + "." + strconv.Itoa(l.section)
		}
		l.heading(h.Key, number, h.Title, h2, 2, h.NewPage)
	} else {
		l.heading(h.Key, "", h.Title, h3, 3, h.NewPage)
	}
	l.chunks[len(l.chunks)-1].need = h.Room
}

// paragraph breaks with two lines on each side.
func (l *layout) paragraph(t Text, m manner, x, w float64) {
	e := l.elem("P", 0)
	l.linesOf(l.breakLines(t, m, w), m, x, e, m.before, m.after)
}

func (l *layout) linesOf(lines []line, m manner, x float64, e int, before, after float64) {
	for i, ln := range lines {
		c := chunk{h: m.leading, keep: i == 0 && len(lines) > 1 || i == len(lines)-2}
		if i == 0 {
			c.before = before
		}
		if i == len(lines)-1 {
			c.after = after
		}
		c.draw = func(p *page, y float64) { l.line(p, e, x, y+m.baseline(), ln) }
		l.add(c)
	}
}

func (l *layout) list(b *List) {
	list := l.elem("L", 0)
	for i, item := range b.Items {
		li := l.elem("LI", list)
		label, text := l.elem("Lbl", li), l.elem("LBody", li)
		mark := "–"
		if b.Numbered {
			mark = strconv.Itoa(i+1) + "."
		}
		lines := l.breakLines(item, body, measure-6)
		first := len(l.chunks)
		l.linesOf(lines, body, left+6, text, 0, 1.2)
		draw := l.chunks[first].draw
		l.chunks[first].draw = func(p *page, y float64) {
			l.put(p, label, left, y+body.baseline(), mark, body.in(regular, ink3).style)
			draw(p, y)
		}
	}
	if n := len(l.chunks); n > 0 {
		l.chunks[n-1].after = body.after
	}
}

// replacementNote says among the limitations where it can be read what the fonts
// could not print. The pass before knows whether there is such text anywhere.
func (l *layout) replacementNote() {
	if !l.before.replaced {
		return
	}
	l.paragraph(T("Some characters of names or texts are not in the fonts of this document and print as \uFFFD. The embedded JSON has them as they were written."), caption, left, measure)
}

package render

import "strings"

// op is one thing drawn on a page: text, or a shape.
type op struct {
	elem    int // structure element that it belongs to, or artifact
	text    string
	x, y    float64 // baseline of text
	style   style
	spacing float64 // extra space between letters, points
	shape   func(*pen)
}

const artifact = -1

// page collects what is drawn before any of it is written.
type page struct {
	number int
	ops    []op
	links  []annotation
	cover  bool
}

// annotation is a link: to a place of the document or to a web address.
type annotation struct {
	x, y, w, h float64
	target     string // "#key", "#page:n" or an address
	elem       int
}

// elem is a node of the structure tree. It hangs itself into the tree when
// something of it is drawn first, so that the order of the tree is the order
// of reading.
type elem struct {
	typ      string
	parent   int
	alt      string
	scope    string
	kids     []kid
	attached bool
}

// kid is a child element, a marked sequence of a page, or a link annotation.
type kid struct {
	kind byte // 'e', 'm', 'a'
	at   int  // element; marked-content id; annotation number of the page
	page int
}

func (l *layout) elem(typ string, parent int) int {
	l.elems = append(l.elems, elem{typ: typ, parent: parent})
	return len(l.elems) - 1
}

func (p *page) shape(e int, draw func(*pen)) { p.ops = append(p.ops, op{elem: e, shape: draw}) }

func (p *page) hline(x, y, w, width float64, c rgb) {
	p.shape(artifact, func(k *pen) { k.line(x, y, x+w, y, width, c) })
}

func (p *page) fill(x, y, w, h float64, c rgb) {
	p.shape(artifact, func(k *pen) { k.rect(x, y, w, h, c) })
}

// put writes plain text whose baseline is at y and returns its width.
func (l *layout) put(p *page, e int, x, y float64, text string, st style) float64 {
	start := x
	for _, r := range l.set.shape(text, st) {
		p.ops = append(p.ops, op{elem: e, text: r.text, x: x, y: y, style: style{r.face, st.size, st.color}})
		x += r.width
	}
	return x - start
}

func (l *layout) putRight(p *page, e int, x, y float64, text string, st style) {
	l.put(p, e, x-l.set.width(text, st), y, text, st)
}

func (l *layout) putCenter(p *page, e int, x, y float64, text string, st style) {
	l.put(p, e, x-l.set.width(text, st)/2, y, text, st)
}

// tracked writes capitals with space between them and returns their width.
func (l *layout) tracked(p *page, e int, x, y float64, text string, st style, spacing float64) float64 {
	text, start := strings.ToUpper(text), x
	for _, r := range l.set.shape(text, st) {
		p.ops = append(p.ops, op{elem: e, text: r.text, x: x, y: y, style: style{r.face, st.size, st.color}, spacing: spacing})
		x += r.width + float64(len([]rune(r.text)))*spacing*mmPerPoint
	}
	return x - start
}

// line writes a line of broken text with its baseline at y.
func (l *layout) line(p *page, e int, x, y float64, ln line) {
	for _, c := range ln.pieces {
		if c.icon != "" {
			cx, cy := x+c.x+1.35, y-c.size*mmPerPoint*0.34
			status := c.icon
			p.shape(artifact, func(k *pen) { k.icon(status, cx, cy) })
			continue
		}
		at := e
		if c.link != "" && e != artifact {
			at = l.elem("Link", e)
			size := c.size * mmPerPoint
			p.links = append(p.links, annotation{x + c.x, y - size*0.95, c.width, size * 1.25, c.link, at})
			if id, ok := strings.CutPrefix(c.link, "#E-"); ok {
				l.now.cited(id, p.number)
			}
		}
		p.ops = append(p.ops, op{elem: at, text: c.text, x: x + c.x, y: y, style: style{c.face, c.size, c.color}})
		if c.strut {
			px, pw := x+c.x, c.width
			p.hline(px, y+0.7, pw, 0.12, c.color)
		}
	}
}

// right shifts a line so that it ends at x.
func (ln line) rightAt(x float64) float64 { return x - ln.width }

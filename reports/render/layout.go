package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// chunk is a piece of the flow that is never split between pages.
type chunk struct {
	h             float64
	before, after float64 // the larger of one's after and the next one's before counts
	keep          bool    // on the same page as the next chunk
	newPage       bool
	need          float64 // begins a page when less is left
	draw          func(p *page, y float64)
	table         *repeat
}

// repeat is what a table does at a page break.
type repeat struct {
	h     float64
	open  func(p *page, y float64) // "continued" and the head again
	close func(p *page, y float64)
}

// place is where an anchor came to stand.
type place struct {
	page int
	y    float64
}

// pass is what one pass over the document found out and the next one prints.
type pass struct {
	anchors map[string]place
	numbers map[string]string
	pages   map[string][]int // evidence number -> pages that cite it
	lines   []contentsLine
	total   int

	replaced bool // some text is not in the fonts
}

type contentsLine struct {
	level              int
	number, title, key string
}

func newPass() *pass {
	return &pass{anchors: map[string]place{}, numbers: map[string]string{}, pages: map[string][]int{}}
}

func (a *pass) equal(b *pass) bool {
	return a.total == b.total && a.replaced == b.replaced && maps.Equal(a.anchors, b.anchors) && maps.Equal(a.numbers, b.numbers) &&
		maps.EqualFunc(a.pages, b.pages, slices.Equal[[]int]) && slices.Equal(a.lines, b.lines)
}

func (a *pass) cited(number string, page int) {
	if ps := a.pages[number]; len(ps) == 0 || ps[len(ps)-1] != page {
		a.pages[number] = append(ps, page)
	}
}

// layout is the state of one pass.
type layout struct {
	doc    *Doc
	set    *setter
	before *pass // the pass before; empty in the first
	now    *pass
	json   [32]byte // hash of the document's JSON

	elems  []elem
	pages  []*page
	chunks []chunk
	cites  map[string]bool // evidence ids cited
	known  map[string]bool // evidence ids in the index
	refs   map[string]bool
	marks  []bookmark

	part, section, tables, figures int
	numbered                       string // of the current part
}

// bookmark is an entry of the outline.
type bookmark struct {
	title string
	level int
	key   string
}

// maxPasses bounds the search for page numbers that agree with themselves.
const maxPasses = 6

// arrange lays the document out until the page numbers repeat.
func arrange(doc *Doc, hash [32]byte) (*layout, error) {
	loaded, err := loadFaces()
	if err != nil {
		return nil, err
	}
	before := newPass()
	for range maxPasses {
		l := &layout{doc: doc, set: &setter{faces: loaded}, before: before, now: newPass(), json: hash,
			cites: map[string]bool{}, known: map[string]bool{}, refs: map[string]bool{}}
		l.elem("Document", artifact)
		l.build()
		l.flow()
		l.frames()
		if err := l.check(); err != nil {
			return nil, err
		}
		if l.now.equal(before) {
			return l, nil
		}
		before = l.now
	}
	return nil, errors.New("lay out document: page numbers do not settle")
}

// check refuses a citation or a reference that leads nowhere.
func (l *layout) check() error {
	for _, id := range slices.Sorted(maps.Keys(l.cites)) {
		if !l.known[id] {
			return fmt.Errorf("lay out document: %s is cited and not in the evidence index", id)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.refs)) {
		if _, ok := l.now.anchors[key]; !ok {
			return fmt.Errorf("lay out document: no place is called %q", key)
		}
	}
	return nil
}

func (l *layout) cite(id string) { l.cites[id] = true }

func (l *layout) refer(key string) string {
	l.refs[key] = true
	return key
}

func (l *layout) numberOf(key string) string {
	if n := l.before.numbers[key]; n != "" {
		return n
	}
	return "0"
}

func (l *layout) anchor(key string, p *page, y float64) {
	if key != "" {
		l.now.anchors[key] = place{p.number, y}
	}
}

func (l *layout) add(c chunk) { l.chunks = append(l.chunks, c) }

// addPage begins a page.
func (l *layout) addPage() *page {
	p := &page{number: len(l.pages) + 1}
	l.pages = append(l.pages, p)
	return p
}

// flow places the chunks on pages. Chunks that keep together are moved to the
// next page together, unless they are higher than a page.
func (l *layout) flow() {
	var p *page
	y, after := top, 0.0
	var last *repeat
	var lastY float64
	turn := func() {
		if p != nil && last != nil && last.close != nil {
			last.close(p, lastY)
		}
		p = l.addPage()
		y, after = top, 0
	}
	for i := 0; i < len(l.chunks); {
		end := i
		for end < len(l.chunks)-1 && l.chunks[end].keep && !l.chunks[end+1].newPage {
			end++
		}
		group := l.chunks[i : end+1]
		continues := group[0].table != nil && group[0].table == last
		if !continues {
			last = nil
		}
		need := max(height(group, after), group[0].need)
		if p == nil || (y > top && (group[0].newPage || y+need > bottom+0.01)) {
			turn()
		}
		for k := range group {
			c := &group[k]
			gap := max(after, c.before)
			if y == top {
				gap = 0
			}
			if y > top && y+gap+c.h > bottom+0.01 {
				continues = c.table != nil && c.table == last
				turn()
				gap = 0
			}
			if y == top && c.table != nil && continues && c.table == last {
				c.table.open(p, y)
				y += c.table.h
				gap = 0
			}
			y += gap
			c.draw(p, y)
			y += c.h
			after, last, lastY = c.after, c.table, y
			continues = last != nil
		}
		i = end + 1
	}
	l.now.total = len(l.pages)
}

// height of chunks in a row, the space before the first included.
func height(group []chunk, after float64) float64 {
	h := 0.0
	for _, c := range group {
		h += max(after, c.before) + c.h
		after = c.after
	}
	return h
}

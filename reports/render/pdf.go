package render

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/go-pdf/fpdf"
)

// PDF lays the document out and draws it. The same document gives the same
// bytes. The JSON of the document is embedded as plumbline.json. An error names
// a citation or a reference that leads nowhere.
func PDF(doc *Doc) ([]byte, error) {
	data, err := JSON(doc)
	if err != nil {
		return nil, err
	}
	return Render(doc, data)
}

// Render is PDF for a caller that has the document's JSON already.
func Render(doc *Doc, data []byte) ([]byte, error) {
	l, err := arrange(doc, sha256.Sum256(data))
	if err != nil {
		return nil, err
	}
	raw, err := l.draw()
	if err != nil {
		return nil, fmt.Errorf("draw document: %w", err)
	}
	return l.finish(raw, data)
}

// draw writes the pages through fpdf. fpdf's clock is fixed to the time of issue
// and its catalogue is sorted.
func (l *layout) draw() ([]byte, error) {
	d := l.doc
	f := fpdf.New("P", "mm", "A4", "")
	f.SetCreationDate(d.IssuedAt.UTC())
	f.SetModificationDate(d.IssuedAt.UTC())
	f.SetCatalogSort(true)
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(0, 0, 0)
	f.SetCellMargin(0)
	f.SetProducer("Plumbline", true)
	f.SetCreator(l.printable(d.Template), true)
	f.SetTitle(l.printable(d.Title+": "+d.Subtitle), true)
	f.SetAuthor(l.printable(d.Organisation), true)
	f.SetSubject(l.printable(d.ID), true)
	f.SetLang(d.Language)
	for _, file := range faceFiles {
		f.AddUTF8FontFromBytes(file.family, "", file.ttf)
	}
	w := &writer{f: f, pen: &pen{f}, l: l}
	for _, p := range l.pages {
		w.page(p)
	}
	var out bytes.Buffer
	if err := f.Output(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writer draws pages and numbers their marked content.
type writer struct {
	f   *fpdf.Fpdf
	pen *pen
	l   *layout
}

func (w *writer) page(p *page) {
	w.f.AddPage()
	w.f.SetLineCapStyle("butt")
	w.f.SetFont(faceFiles[regular].family, "", 9)
	w.bookmarks(p)
	const none = -2
	open, mcid := none, 0
	for i := range p.ops {
		o := &p.ops[i]
		if o.elem != open {
			if open != none {
				w.f.RawWriteStr("EMC")
			}
			open = o.elem
			if open == artifact {
				w.f.RawWriteStr("/Artifact BMC")
			} else {
				w.f.RawWriteStr(fmt.Sprintf("/%s <</MCID %d>> BDC", w.l.elems[open].typ, mcid))
				w.l.attach(open)
				w.l.elems[open].kids = append(w.l.elems[open].kids, kid{'m', mcid, p.number})
				mcid++
			}
		}
		w.op(o)
	}
	if open != none {
		w.f.RawWriteStr("EMC")
	}
	for i, a := range p.links {
		w.l.attach(a.elem)
		w.l.elems[a.elem].kids = append(w.l.elems[a.elem].kids, kid{'a', i, p.number})
	}
}

func (w *writer) op(o *op) {
	if o.shape != nil {
		o.shape(w.pen)
		return
	}
	w.f.SetFont(faceFiles[o.style.face].family, "", o.style.size)
	w.f.SetTextColor(int(o.style.color.r), int(o.style.color.g), int(o.style.color.b))
	if o.spacing != 0 {
		w.f.RawWriteStr(fmt.Sprintf("%.2f Tc", o.spacing))
		defer w.f.RawWriteStr("0 Tc")
	}
	w.f.Text(o.x, o.y, o.text)
}

func (w *writer) bookmarks(p *page) {
	for _, m := range w.l.marks {
		if at := w.l.now.anchors[m.key]; at.page == p.number {
			w.f.Bookmark(w.l.printable(m.title), m.level, at.y)
		}
	}
}

// printable keeps what UTF-16 of one unit can say; fpdf writes no more.
func (l *layout) printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xFFFF || r < ' ' {
			return replacement
		}
		return r
	}, s)
}

// attach hangs an element, and those above it, into the structure tree.
func (l *layout) attach(e int) {
	if e < 0 || l.elems[e].attached {
		return
	}
	l.elems[e].attached = true
	if parent := l.elems[e].parent; parent >= 0 {
		l.attach(parent)
		l.elems[parent].kids = append(l.elems[parent].kids, kid{'e', e, 0})
	}
}

// Pages counts the pages of a PDF that this package wrote.
func Pages(pdf []byte) int { return bytes.Count(pdf, []byte("\n<</Type /Page\n")) }

package render

import (
	"strings"
	"unicode/utf8"
)

// piece is a run of a line with what it links to.
type piece struct {
	run
	x     float64 // from the start of the line
	size  float64
	color rgb
	link  string // "#key" within the document, or a web address
	icon  Status
	strut bool // underline
}

// line is one line of broken text.
type line struct {
	pieces []piece
	width  float64
}

// word is a sequence of pieces between two places where a line may end.
type word struct {
	pieces []piece
	width  float64
	space  float64 // before it, unless it begins a line
	breaks bool    // a line ends before it
}

const iconW = 4.2

// breakLines sets a text in lines of at most max millimetres, ragged right. Long
// ids break after punctuation, and only then inside. It calls cite for each
// evidence id that it meets.
func (l *layout) breakLines(t Text, m manner, max float64) []line {
	words := l.words(t, m)
	var out []line
	var cur line
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w.breaks {
			out = append(out, cur)
			cur = line{}
		}
		space := w.space
		if len(cur.pieces) == 0 {
			space = 0
		}
		if cur.width+space+w.width > max+0.01 {
			if w.width > max {
				if fit, rest, ok := l.split(w, max-cur.width-space); ok && (len(cur.pieces) == 0 || fit.width > 8) {
					cur.add(fit, space)
					rest.space, rest.breaks = 0, false
					words[i] = rest
					out = append(out, cur)
					cur = line{}
					i--
					continue
				}
			}
			if len(cur.pieces) > 0 {
				out = append(out, cur)
				cur = line{}
				words[i].breaks = false
				i--
				continue
			}
		}
		cur.add(w, space)
	}
	return append(out, cur)
}

func (ln *line) add(w word, space float64) {
	x := ln.width + space
	for _, p := range w.pieces {
		p.x = x
		x += p.width
		if n := len(ln.pieces); n > 0 && w.space >= 0 && joinable(ln.pieces[n-1], p) {
			last := &ln.pieces[n-1]
			gap := p.x - last.x - last.width
			if gap < 0.01 {
				last.text += p.text
				last.width += p.width
				continue
			}
			if space > 0 && gap < space+0.01 {
				last.text += " " + p.text
				last.width += gap + p.width
				continue
			}
		}
		ln.pieces = append(ln.pieces, p)
	}
	ln.width = x
}

// joinable says whether two pieces can be drawn as one.
func joinable(a, b piece) bool {
	return a.face == b.face && a.size == b.size && a.color == b.color && a.link == b.link && a.icon == "" && b.icon == ""
}

// words cuts a text at its spaces. A no-break space stays inside its word.
func (l *layout) words(t Text, m manner) []word {
	var out []word
	var cur word
	open := false
	flush := func() {
		if open {
			out = append(out, cur)
		}
		cur, open = word{}, false
	}
	for _, sp := range t {
		for _, atom := range l.atoms(sp, m) {
			rest := atom.text
			for {
				at := strings.IndexAny(rest, " \n")
				chunk := rest
				if at >= 0 {
					chunk = rest[:at]
				}
				if chunk != "" || atom.icon != "" {
					l.appendWord(&cur, chunk, atom)
					open = true
					atom.icon = ""
				}
				if at < 0 {
					break
				}
				breaks := cur.breaks && !open
				flush()
				cur.space = l.set.width(" ", style{atom.face, atom.size, atom.color})
				cur.breaks = breaks || rest[at] == '\n'
				rest = rest[at+1:]
			}
		}
	}
	flush()
	return out
}

type atom struct {
	text string
	style
	link  string
	icon  Status
	under bool
}

func (l *layout) appendWord(w *word, text string, a atom) {
	if a.icon != "" {
		w.pieces = append(w.pieces, piece{run: run{"", a.face, iconW}, icon: a.icon, size: a.size})
		w.width += iconW
	}
	if text == "" {
		return
	}
	for _, r := range l.set.shape(text, a.style) {
		w.pieces = append(w.pieces, piece{run: r, size: a.size, color: a.color, link: a.link, strut: a.under})
		w.width += r.width
	}
}

// atoms gives the drawn parts of a span.
func (l *layout) atoms(s Span, m manner) []atom {
	base := m.style
	switch s.Style {
	case "strong":
		base.face = medium
	case "emphasis":
		base.face = italic
	case "code":
		base.face, base.size = mono, codeSize(m)
	case "muted":
		base.color = ink3
	case "missing":
		base.face, base.color = medium, darkRed
	}
	switch {
	case s.Status != "":
		return []atom{{text: strings.ReplaceAll(s.Status.Word(), " ", "\u00A0"), style: base, icon: s.Status}}
	case len(s.Cite) > 0:
		link := base
		link.color = accent
		out := []atom{{text: "[", style: link}}
		for i, id := range s.Cite {
			l.cite(id)
			if i > 0 {
				out = append(out, atom{text: ", ", style: link})
			}
			out = append(out, atom{text: id, style: link, link: "#" + id})
		}
		return append(out, atom{text: "]", style: link})
	case s.Ref != "":
		text := s.Text
		if text == "" {
			text = "section\u00A0" + l.numberOf(s.Ref)
		}
		base.color = accent
		return []atom{{text: text, style: base, link: "#" + l.refer(s.Ref)}}
	case s.URL != "":
		base.color = accent
		return []atom{{text: s.Text, style: base, link: s.URL, under: s.Style != "page"}}
	}
	return []atom{{text: s.Text, style: base}}
}

func codeSize(m manner) float64 {
	if m.size == cell.size {
		return 7
	}
	return m.size * 0.92
}

// split cuts a word so that its first part is at most max wide.
func (l *layout) split(w word, max float64) (fit, rest word, ok bool) {
	fit.breaks = w.breaks
	width := 0.0
	bestPiece, bestByte := -1, 0 // cut before this byte of this piece
	hardPiece, hardByte := -1, 0
	for i, p := range w.pieces {
		st := style{p.face, p.size, p.color}
		for b, r := range p.text {
			rw := l.set.width(string(r), st)
			if width+rw > max {
				if bestPiece < 0 {
					bestPiece, bestByte = hardPiece, hardByte
				}
				if bestPiece < 0 {
					return word{}, word{}, false
				}
				return cutWord(l, w, bestPiece, bestByte)
			}
			width += rw
			next := b + utf8.RuneLen(r)
			hardPiece, hardByte = i, next
			if strings.ContainsRune("-_./:@=&?+,\u00A0", r) {
				bestPiece, bestByte = i, next
			}
		}
		if p.icon != "" {
			width += p.width
		}
	}
	return word{}, word{}, false
}

func cutWord(l *layout, w word, at, b int) (fit, rest word, ok bool) {
	fit.breaks, fit.space = w.breaks, w.space
	for i, p := range w.pieces {
		switch {
		case i < at:
			fit.push(p)
		case i > at:
			rest.push(p)
		default:
			st := style{p.face, p.size, p.color}
			first, second := p, p
			first.text, second.text = p.text[:b], p.text[b:]
			first.width, second.width = l.set.width(first.text, st), l.set.width(second.text, st)
			if first.text != "" {
				fit.push(first)
			}
			if second.text != "" {
				rest.push(second)
			}
		}
	}
	return fit, rest, len(rest.pieces) > 0
}

func (w *word) push(p piece) {
	w.pieces = append(w.pieces, p)
	w.width += p.width
}

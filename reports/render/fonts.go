package render

import (
	"fmt"
	"sync"

	"eliasnaur.com/font/roboto/robotoitalic"
	"eliasnaur.com/font/roboto/robotomedium"
	"eliasnaur.com/font/roboto/robotoregular"
	"github.com/go-fonts/liberation/liberationmonoregular"
	"github.com/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

type face uint8

const (
	regular face = iota
	medium
	italic
	mono
	fallback
	faces
)

var faceFiles = [faces]struct {
	family string
	ttf    []byte
}{{"roboto", robotoregular.TTF}, {"robotomedium", robotomedium.TTF}, {"robotoitalic", robotoitalic.TTF},
	{"liberationmono", liberationmonoregular.TTF}, {"liberationsans", liberationsansregular.TTF}}

// replacement is printed for what no face has a glyph for.
const replacement = '\uFFFD'

// advances are the widths of a face's runes in thousandths of the size, or
// missing. Tables are filled as runes are met and shared by all documents.
type advances struct {
	mu     sync.RWMutex // guards byRune
	byRune map[rune]int16
	ascii  [128]int16 // read only after loading
	parsed *sfnt.Font
	buffer sfnt.Buffer // guarded by mu
}

const missing = int16(-1)

var loadFaces = sync.OnceValues(func() (*[faces]*advances, error) {
	var all [faces]*advances
	for i, file := range faceFiles {
		parsed, err := sfnt.Parse(file.ttf)
		if err != nil {
			return nil, fmt.Errorf("read font %s: %w", file.family, err)
		}
		a := &advances{byRune: map[rune]int16{}, parsed: parsed}
		for r := range a.ascii {
			a.ascii[r] = a.measure(rune(r))
		}
		all[i] = a
	}
	return &all, nil
})

func (a *advances) of(r rune) int16 {
	if r < 128 {
		return a.ascii[r]
	}
	a.mu.RLock()
	w, ok := a.byRune[r]
	a.mu.RUnlock()
	if ok {
		return w
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w = a.measure(r)
	a.byRune[r] = w
	return w
}

// measure asks the font. Runes above U+FFFF count as missing: fpdf cannot write
// them and panics.
func (a *advances) measure(r rune) int16 {
	if r > 0xFFFF || r < ' ' {
		return missing
	}
	glyph, err := a.parsed.GlyphIndex(&a.buffer, r)
	if err != nil || glyph == 0 {
		return missing
	}
	w, err := a.parsed.GlyphAdvance(&a.buffer, glyph, fixed.I(1000), font.HintingNone)
	if err != nil {
		return missing
	}
	return int16(w.Round())
}

// style is a face, a size in points and a colour.
type style struct {
	face  face
	size  float64
	color rgb
}

const mmPerPoint = 25.4 / 72

// run is text in one face, ready to be drawn.
type run struct {
	text  string
	face  face
	width float64
}

// setter shapes text: it picks faces by coverage and counts what it replaced.
type setter struct {
	faces    *[faces]*advances
	replaced int
}

// shape cuts text into runs of one face each and measures them in millimetres.
func (s *setter) shape(text string, st style) []run {
	if plainASCII(text) {
		return []run{{text, st.face, s.sum(text, st)}}
	}
	var out []run
	var cur []rune
	var curFace face
	var units int
	flush := func() {
		if len(cur) > 0 {
			out = append(out, run{string(cur), curFace, float64(units) * st.size * mmPerPoint / 1000})
			cur, units = cur[:0], 0
		}
	}
	for _, r := range text {
		f, w := st.face, s.faces[st.face].of(r)
		if w == missing {
			f, w = fallback, s.faces[fallback].of(r)
		}
		if w == missing {
			s.replaced++
			r, f = replacement, regular
			if w = s.faces[f].of(r); w == missing {
				r, w = '?', s.faces[f].of('?')
			}
		}
		if f != curFace {
			flush()
			curFace = f
		}
		cur, units = append(cur, r), units+int(w)
	}
	flush()
	return out
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func (s *setter) sum(text string, st style) float64 {
	a, units := s.faces[st.face], 0
	for i := range len(text) {
		units += int(a.ascii[text[i]])
	}
	return float64(units) * st.size * mmPerPoint / 1000
}

// width measures text in millimetres.
func (s *setter) width(text string, st style) float64 {
	if plainASCII(text) {
		return s.sum(text, st)
	}
	w := 0.0
	for _, r := range s.shape(text, st) {
		w += r.width
	}
	return w
}

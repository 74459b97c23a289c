package render

// The look of the documents: measures in millimetres, sizes in points.

type rgb struct{ r, g, b uint8 }

var (
	ink      = rgb{0x15, 0x1B, 0x26}
	ink2     = rgb{0x47, 0x50, 0x60}
	ink3     = rgb{0x66, 0x70, 0x80}
	rule     = rgb{0xD3, 0xD8, 0xE0}
	rule2    = rgb{0x9A, 0xA3, 0xB0}
	wash     = rgb{0xF4, 0xF6, 0xF8}
	accent   = rgb{0x0F, 0x4C, 0x75}
	brass    = rgb{0xA8, 0x7B, 0x2D}
	green    = rgb{0x25, 0x7A, 0x55}
	amber    = rgb{0xEF, 0xC0, 0x4E}
	amberInk = rgb{0x9A, 0x6B, 0x08}
	darkRed  = rgb{0x8E, 0x14, 0x20}
	white    = rgb{0xFF, 0xFF, 0xFF}
	series   = []rgb{{0x0F, 0x4C, 0x75}, {0xC0, 0x8A, 0x2E}, {0xBF, 0xD3, 0xE0}, {0x2A, 0x2F, 0x38}}
)

const (
	pageW, pageH = 210.0, 297.0
	left         = 26.0
	textW        = 166.0
	right        = left + textW
	top          = 27.0
	bottom       = 273.0
	measure      = 132.0 // longest line of running text
	ledeW        = 146.0
	hang         = 10.5 // section numbers
	cellPad      = 1.2
	gutter       = 3.0
	coverX       = 38.0
	partRest     = 0.45 * (bottom - top) // a part needs this much of a page
)

// manner is a style with its leading and the space around a block of it.
type manner struct {
	style
	leading, before, after float64
}

var (
	h1      = manner{style{medium, 20, ink}, 9, 13.5, 4.5}
	h1Short = manner{style{medium, 14, ink}, 7, 11, 3.5}
	h2      = manner{style{medium, 12.5, ink}, 6, 9, 2.25}
	h3      = manner{style{medium, 9.75, ink}, 4.5, 6, 1}
	lede    = manner{style{regular, 11.5, ink}, 6, 0, 4.5}
	body    = manner{style{regular, 9.25, ink}, 4.5, 0, 3}
	caption = manner{style{regular, 8.5, ink2}, 4, 3, 0}
	keyed   = manner{style{regular, 8.25, ink}, 3.9, 0, 0}
	cell    = manner{style{regular, 7.75, ink}, 3.6, 0, 0}
	head    = manner{style{medium, 6.75, ink2}, 3.3, 0, 0}
	codeBox = manner{style{mono, 7.25, ink}, 3.75, 0, 0}
	small   = manner{style{regular, 6.75, ink3}, 3.3, 0, 0}
	figure  = manner{style{medium, 19, ink}, 8, 0, 0}
)

func (m manner) in(f face, c rgb) manner {
	m.face, m.color = f, c
	return m
}

// baseline is how far below the top of a line of the manner its text stands.
func (m manner) baseline() float64 { return m.leading/2 + m.size*mmPerPoint*0.36 }

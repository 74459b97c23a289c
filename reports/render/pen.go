package render

import (
	"math"

	"github.com/go-pdf/fpdf"
)

// pen draws shapes. It sets every state that a shape needs.
type pen struct{ f *fpdf.Fpdf }

func (k *pen) stroke(c rgb, width float64) {
	k.f.SetDrawColor(int(c.r), int(c.g), int(c.b))
	k.f.SetLineWidth(width)
}

func (k *pen) tint(c rgb) { k.f.SetFillColor(int(c.r), int(c.g), int(c.b)) }

func (k *pen) line(x1, y1, x2, y2, width float64, c rgb) {
	k.stroke(c, width)
	k.f.Line(x1, y1, x2, y2)
}

func (k *pen) dashed(x1, y1, x2, y2, width float64, c rgb, on, off float64) {
	k.f.SetDashPattern([]float64{on, off}, 0)
	k.line(x1, y1, x2, y2, width, c)
	k.f.SetDashPattern(nil, 0)
}

func (k *pen) rect(x, y, w, h float64, c rgb) {
	k.tint(c)
	k.f.Rect(x, y, w, h, "F")
}

func (k *pen) box(x, y, w, h, width float64, c rgb) {
	k.stroke(c, width)
	k.f.Rect(x, y, w, h, "D")
}

func (k *pen) polygon(c rgb, xy ...float64) {
	k.tint(c)
	points := make([]fpdf.PointType, len(xy)/2)
	for i := range points {
		points[i] = fpdf.PointType{X: xy[2*i], Y: xy[2*i+1]}
	}
	k.f.Polygon(points, "F")
}

func (k *pen) polyline(c rgb, width float64, xy ...float64) {
	k.stroke(c, width)
	k.f.MoveTo(xy[0], xy[1])
	for i := 2; i < len(xy); i += 2 {
		k.f.LineTo(xy[i], xy[i+1])
	}
	k.f.DrawPath("D")
}

// hatch fills a rectangle with lines at 45 degrees.
func (k *pen) hatch(x, y, w, h float64, c rgb) {
	k.stroke(c, 0.12)
	const step = 1.1
	for o := step; o < w+h; o += step {
		x1, y1 := x+o-h, y+h
		if o < h {
			x1, y1 = x, y+o
		}
		x2, y2 := x+o, y
		if o > w {
			x2, y2 = x+w, y+o-w
		}
		k.f.Line(x1, y1, x2, y2)
	}
}

// icon draws a status, 2.7 mm across, around a point.
func (k *pen) icon(s Status, x, y float64) {
	const r = 1.35
	switch s {
	case Satisfied:
		k.tint(green)
		k.f.Circle(x, y, r, "F")
		k.polyline(white, 0.38, x-0.62, y+0.03, x-0.17, y+0.5, x+0.66, y-0.48)
	case Partial:
		k.half(x, y, r-0.15)
	case NotSatisfied:
		k.rect(x-r+0.1, y-r+0.1, 2*r-0.2, 2*r-0.2, darkRed)
		k.polyline(white, 0.4, x-0.55, y-0.55, x+0.55, y+0.55)
		k.polyline(white, 0.4, x-0.55, y+0.55, x+0.55, y-0.55)
	case NoEvidence, Unobserved:
		k.f.SetDashPattern([]float64{0.62, 0.5}, 0)
		k.stroke(ink2, 0.28)
		k.f.Circle(x, y, r-0.15, "D")
		k.f.SetDashPattern(nil, 0)
	case NotYet:
		k.stroke(ink3, 0.28)
		k.f.Circle(x, y, r-0.15, "D")
		k.polyline(ink3, 0.28, x, y-0.75, x, y, x+0.55, y+0.3)
	case Differs:
		k.polygon(ink, x, y-1.3, x+1.3, y, x, y+1.3, x-1.3, y)
	case Agrees:
		k.line(x-0.9, y-0.35, x+0.9, y-0.35, 0.3, ink2)
		k.line(x-0.9, y+0.4, x+0.9, y+0.4, 0.3, ink2)
	default: // not applicable, not declared, unknown
		k.line(x-1.1, y, x+1.1, y, 0.35, ink2)
	}
}

// half is a ring whose left half is filled.
func (k *pen) half(x, y, r float64) {
	k.tint(amberInk)
	k.stroke(amberInk, 0.3)
	points := make([]fpdf.PointType, 0, 18)
	for a := 0; a <= 16; a++ {
		angle := math.Pi/2 + math.Pi*float64(a)/16
		points = append(points, fpdf.PointType{X: x + r*math.Cos(angle), Y: y - r*math.Sin(angle)})
	}
	k.f.Polygon(points, "F")
	k.f.Circle(x, y, r, "D")
}

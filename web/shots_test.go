package web_test

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestShots writes a picture of every page in light, dark and narrow into the
// folder that PLUMBLINE_SHOTS names; `make shots` does.
func TestShots(t *testing.T) {
	dir := os.Getenv("PLUMBLINE_SHOTS")
	if dir == "" {
		t.Skip("PLUMBLINE_SHOTS names no folder: pictures are taken by make shots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	only := regexp.MustCompile(os.Getenv("PLUMBLINE_SHOTS_ONLY"))
	c, browser := sampleConsole(t), chromium(t)
	admin, stranger := openTab(t, browser, c.admin), openTab(t, browser, newReader(c.base))
	pages := append(visits(t), visit{shot: "control", path: "/frameworks/nist-ai-rmf-1.0?control=GOVERN+1.6&system=SYS-001"}, visit{shot: "exchange", path: "/exchanges?guard=%3Aredacted&system=SYS-001"}, visit{shot: "provider", path: "/gateway/providers/new?provider=unreachable"})
	for _, v := range pages {
		if !only.MatchString(v.name()) {
			continue
		}
		tb := admin
		if v.route.Public {
			tb = stranger
		}
		for _, look := range []struct {
			name, theme   string
			width, height int64
		}{{"light", "light", 1440, 900}, {"dark", "dark", 1440, 900}, {"narrow", "light", 390, 844}} {
			tb.must(t, theme(look.theme), chromedp.EmulateViewport(look.width, look.height))
			tb.visit(t, v.path)
			picture := tb.picture(t)
			if err := os.WriteFile(filepath.Join(dir, v.name()+"-"+look.name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tallest is as much of a page as a picture shows.
const tallest = 2400

// picture is the page from its top, as a small PNG.
func (tb *tab) picture(t *testing.T) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, tabTimeout)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewColours(full)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fewColours is a picture in at most 256 colours: those that it uses most, of
// those only such as differ, so that a rare status keeps its hue. All others
// become the nearest of them.
func fewColours(full image.Image) *image.Paletted {
	b := full.Bounds()
	b.Max.Y = min(b.Max.Y, b.Min.Y+tallest)
	flat := image.NewRGBA(b)
	draw.Draw(flat, b, full, b.Min, draw.Src)
	count := map[color.RGBA]int{}
	runs(flat, func(c color.RGBA, from, to int) { count[c] += to - from })
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette []color.RGBA
	for _, apart := range []int{48, 24, 12, 0} {
		for _, c := range colours {
			if len(palette) < 256 && !slices.ContainsFunc(palette, func(p color.RGBA) bool { return distance(c, p) <= apart }) {
				palette = append(palette, c)
			}
		}
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		nearest := 0
		for i, p := range palette {
			if distance(c, p) < distance(c, palette[nearest]) {
				nearest = i
			}
		}
		index[c] = uint8(nearest)
	}
	out := image.NewPaletted(b, nil)
	for _, c := range palette {
		out.Palette = append(out.Palette, c)
	}
	runs(flat, func(c color.RGBA, from, to int) {
		for i, n := from, index[c]; i < to; i++ {
			out.Pix[i] = n
		}
	})
	return out
}

// runs calls f for each run of pixels of one colour.
func runs(m *image.RGBA, f func(c color.RGBA, from, to int)) {
	at := func(i int) color.RGBA { return color.RGBA{m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2], 255} }
	n := len(m.Pix) / 4
	for from := 0; from < n; {
		c, to := at(from), from+1
		for to < n && at(to) == c {
			to++
		}
		f(c, from, to)
		from = to
	}
}

// distance is the sum of the differences of the channels.
func distance(a, b color.RGBA) int {
	apart := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return apart(a.R, b.R) + apart(a.G, b.G) + apart(a.B, b.B)
}

// name is the file name of a page's picture.
func (v visit) name() string {
	if v.shot != "" {
		return v.shot
	}
	name := strings.Trim(strings.NewReplacer("/", "-", ":", "").Replace(v.route.Path), "-")
	if name == "" {
		return "overview"
	}
	return name
}

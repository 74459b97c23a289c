package render

import (
	"bytes"
	"compress/zlib"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func render(t testing.TB, d *Doc) []byte {
	t.Helper()
	b, err := PDF(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSameDocumentSameBytes(t *testing.T) {
	first := render(t, sample(2))
	if !bytes.Equal(first, render(t, sample(2))) {
		t.Fatal("two renderings of one document differ")
	}
	other := sample(2)
	other.Revision = 2
	if bytes.Equal(first, render(t, other)) {
		t.Fatal("another revision gives the same bytes")
	}
}

func TestDatesAreTheTimeOfIssue(t *testing.T) {
	dates := regexp.MustCompile(`/(?:CreationDate|ModDate) \((D:[^)]*)\)`).FindAllSubmatch(render(t, sample(1)), -1)
	if len(dates) != 3 {
		t.Fatalf("found %d dates, not 3", len(dates))
	}
	for _, d := range dates {
		if got := string(d[1]); got != "D:20261120060000Z" {
			t.Errorf("date %s", got)
		}
	}
}

func TestEmbeddedJSONIsTheDocument(t *testing.T) {
	d := sample(1)
	pdf := render(t, d)
	want, err := JSON(d)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`<< /Type /EmbeddedFile [^\n]* /Length (\d+) >>\nstream\n`).FindSubmatchIndex(pdf)
	if m == nil {
		t.Fatal("no embedded file")
	}
	n, err := strconv.Atoi(string(pdf[m[2]:m[3]]))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(pdf[m[1] : m[1]+n]))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the embedded file is not the document's JSON")
	}
}

// TestOutlineLeadsToItsPages reads what a reader would follow: the destination
// of each bookmark must be the page whose text begins that section.
func TestOutlineLeadsToItsPages(t *testing.T) {
	l, err := arrange(sample(3), [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	pdf := render(t, sample(3))
	dests := regexp.MustCompile(`<</Title [^\n]*\n(?:/[^\n]*\n)*?/Dest \[(\d+) 0 R`).FindAllSubmatch(pdf, -1)
	if len(dests) != len(l.marks) {
		t.Fatalf("%d bookmarks for %d headings", len(dests), len(l.marks))
	}
	for i, m := range l.marks {
		if want := pageObject(l.now.anchors[m.key].page); string(dests[i][1]) != strconv.Itoa(want) {
			t.Errorf("%s leads to object %s, not %d", m.title, dests[i][1], want)
		}
	}
}

func TestRefusesWhatLeadsNowhere(t *testing.T) {
	tests := []struct {
		name  string
		block Block
		want  string
	}{
		{"citation", &Paragraph{T(Cite("E-9999"))}, "E-9999"},
		{"reference", &Paragraph{T(Ref("nowhere", ""))}, "nowhere"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := sample(1)
			d.Parts[1].Blocks = append(d.Parts[1].Blocks, test.block)
			if _, err := PDF(d); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not name %s", err, test.want)
			}
		})
	}
}

func TestHostileText(t *testing.T) {
	long := strings.Repeat("verylongword", 200)
	for _, text := range []string{"\U0001F600\U0001F600", long, "a\x00b\x1b[31m", "(\\) <<>> endobj", "مرحبا 你好", "\xff\xfe", strings.Repeat("line\n", 300), ""} {
		d := sample(1)
		d.Organisation, d.Title, d.Subtitle, d.Subject, d.Notice = text, text+"x", text, text, text
		d.Parts[1].Title = text
		d.Parts[1].Blocks = append(d.Parts[1].Blocks, &Paragraph{T(text)}, &KeyValue{[]Row{{text, T(text)}}},
			&Stats{[]Stat{{text, text, text}}}, &Table{Caption: text, Columns: []Column{{Title: text, Width: 10}, {Title: "b", Width: 20}}, Rows: []TableRow{{Cells: []Text{T(text), T(text)}}}},
			&CodeBox{[]string{text}})
		if _, err := PDF(d); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(name + " is not installed")
		}
		t.Skip(name + " is not installed")
	}
	out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

func writePDF(t *testing.T, d *Doc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.pdf")
	if err := os.WriteFile(path, render(t, d), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQPDFFindsNothing(t *testing.T) {
	compact := sample(1)
	compact.Compact = true
	for _, d := range []*Doc{sample(3), compact} {
		out := tool(t, "qpdf", "--check", writePDF(t, d))
		if !bytes.Contains(out, []byte("No syntax or stream encoding errors")) {
			t.Errorf("qpdf: %s", out)
		}
	}
}

func TestAttachmentIsListed(t *testing.T) {
	out := tool(t, "pdfdetach", "-list", writePDF(t, sample(1)))
	if !bytes.Contains(out, []byte("1 embedded files")) || !bytes.Contains(out, []byte(EmbeddedName)) {
		t.Errorf("pdfdetach: %s", out)
	}
}

func TestTextInOrderOfReading(t *testing.T) {
	text := string(tool(t, "pdftotext", "-layout", writePDF(t, sample(2)), "-"))
	at := 0
	for _, want := range []string{"EU AI Act audit report", "Contents", "Runtime annex", "Control matrix", "Table 1.1, continued", "Limitations and missing data", "Ελληνικά, кириллица", "not in the fonts of this document", "Evidence index", "Verification"} {
		next := strings.Index(text[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing after %q", want, text[:min(at, 60)])
		}
		at += next
	}
	if !strings.Contains(text, "Page 12 of 12") {
		t.Error("the last page is not numbered 12 of 12")
	}
}

func TestTagged(t *testing.T) {
	out := string(tool(t, "pdfinfo", "-struct-text", writePDF(t, sample(1))))
	for _, want := range []string{"H1", "TH", "Figure", "Link"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in the structure tree", want)
		}
	}
}

func BenchmarkPDF100Pages(b *testing.B) {
	d := sample(25)
	l, err := arrange(d, [32]byte{})
	if err != nil {
		b.Fatal(err)
	}
	pages := len(l.pages)
	b.ReportAllocs()
	for b.Loop() {
		render(b, d)
	}
	b.ReportMetric(float64(pages)*float64(b.N)/b.Elapsed().Seconds(), "pages/s")
	b.ReportMetric(float64(pages), "pages")
}

// A correction may take more off than a day was charged: the line of spend stays
// inside the axis that its highest point asks for.
func TestSpendBelowZeroStaysOnThePage(t *testing.T) {
	doc := func(values ...float64) []byte {
		d := sample(1)
		drawn := 0
		for _, part := range d.Parts {
			for _, b := range part.Blocks {
				if f, ok := b.(*Figure); ok && f.Chart.Cumulative != nil {
					f.Chart.Cumulative.Values, f.Chart.Cumulative.Limit, f.Chart.Cumulative.LimitLabel = values, 0, ""
					drawn++
				}
			}
		}
		if drawn == 0 {
			t.Fatal("the sample has no figure of spend")
		}
		return render(t, d)
	}
	off := string(pageText(t, doc(900, -840, 0, 0)))
	lines := 0
	for _, m := range regexp.MustCompile(`(?m)^(-?[\d.]+) (-?[\d.]+) [lm] *$`).FindAllStringSubmatch(off, -1) {
		if y, err := strconv.ParseFloat(m[2], 64); err != nil || y < 0 || y > 842 {
			t.Errorf("a line leaves the page: %s", m[0])
		}
		lines++
	}
	if lines == 0 {
		t.Error("no line is drawn")
	}
}

// pageText inflates the content of every page.
func pageText(t *testing.T, pdf []byte) (out []byte) {
	t.Helper()
	for _, at := range regexp.MustCompile(`stream\r?\n`).FindAllIndex(pdf, -1) {
		r, err := zlib.NewReader(bytes.NewReader(pdf[at[1]:]))
		if err != nil {
			continue // not deflated
		}
		b, _ := io.ReadAll(r)
		out = append(out, b...)
	}
	return out
}

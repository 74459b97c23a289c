package reports

import (
	"bytes"
	"testing"

	"plumbline/app/server/load"
	"plumbline/reports/render"
)

// BenchmarkAuditReport makes the audit reports as they are issued, from gathered
// inputs to the bytes of the JSON and of the PDF with its tags and attachment.
// The three frameworks' reports together have more than 100 pages.
func BenchmarkAuditReport(b *testing.B) {
	w := newWorld(b)
	type issue struct {
		in  Inputs
		doc *render.Doc
	}
	var issues []issue
	for _, name := range []string{"audit-eu", "audit-nist", "audit-iso"} {
		doc, in := w.build(requests()[name])
		issues = append(issues, issue{in, doc})
	}
	kind, ok := KindOf(KindAudit)
	if !ok {
		b.Fatal("no audit report")
	}
	pages := 0
	before := load.CPU()
	for b.Loop() {
		pages = 0
		for _, i := range issues {
			doc := kind.build(i.in)
			doc.Evidence = i.doc.Evidence
			data, err := render.JSON(doc)
			if err != nil {
				b.Fatal(err)
			}
			pdf, err := render.Render(doc, data)
			if err != nil {
				b.Fatal(err)
			}
			pages += bytes.Count(pdf, []byte("/Type /Page\n"))
		}
	}
	b.ReportMetric(float64(pages), "pages")
	b.ReportMetric(float64(pages*b.N)/b.Elapsed().Seconds(), "pages/s")
	b.ReportMetric(float64((load.CPU()-before).Microseconds())/1000/float64(pages*b.N), "cpu-ms/page")
}

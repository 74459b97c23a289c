package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumbline/reports/render"
)

// builder collects a document: its parts, the required fields that are missing
// and the records that it cites, in the order in which it cites them.
type builder struct {
	in       Inputs
	doc      *render.Doc
	byLeaf   map[uint64]*Record
	ids      map[uint64]string
	index    []render.EvidenceItem
	lost     int // cited leaves whose record is not in the inputs
	required int
	missing  []render.Missing
}

func begin(in Inputs, kind Kind) *builder {
	info, _ := KindOf(kind) // called with constants
	b := &builder{in: in, byLeaf: map[uint64]*Record{}, ids: map[uint64]string{}}
	for i := range in.Records {
		b.byLeaf[in.Records[i].Leaf] = &in.Records[i]
	}
	mark := in.Mark
	if mark == "" {
		mark = "Confidential"
	}
	b.doc = &render.Doc{Format: render.Format, Kind: string(kind), Template: info.Template, ID: in.ID, Revision: in.Number, Status: "Issued",
		Organisation: in.OrgName, KindTitle: info.Title, Confidentiality: mark, Notice: notice(in), Language: "en",
		IssuedAt: in.IssuedAt.UTC(), AsOf: time.UnixMicro(in.Checkpoint.At).UTC(), From: in.Request.From.UTC(), To: in.Request.To.UTC()}
	return b
}

// notice labels what is not real, on every page.
func notice(in Inputs) string {
	switch {
	case in.Sample && in.Simulated:
		return "Sample: invented organisation, simulated provider"
	case in.Sample:
		return "Sample: invented organisation"
	case in.Simulated:
		return "Contains answers of a simulated provider"
	}
	return ""
}

// cite gives the ids of leaves, at most limit of them, and puts them into the
// index. A leaf without a record cannot be proved and is not cited.
func (b *builder) cite(limit int, all ...Cites) []string {
	var out []string
	for _, c := range all {
		for _, leaf := range c {
			r, ok := b.byLeaf[leaf]
			if !ok {
				b.lost++
				continue
			}
			if len(out) == limit {
				return out
			}
			id, seen := b.ids[leaf]
			if !seen {
				id = fmt.Sprintf("E-%04d", len(b.index)+1)
				b.ids[leaf] = id
				b.index = append(b.index, render.EvidenceItem{ID: id, Kind: r.Kind, Content: r.Content, Window: r.Window, Leaf: leaf, SHA256: r.SHA256, Record: r.ID})
			}
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// cited is a citation as text, or the words that there is none.
func (b *builder) cited(limit int, all ...Cites) render.Text {
	ids := b.cite(limit, all...)
	if len(ids) == 0 {
		return render.T(render.Muted("none"))
	}
	return render.T(render.Cite(ids...))
}

// need is a required field: its value, or NOT PROVIDED and who owes it.
func (b *builder) need(field, value, owner string) render.Text {
	return b.needText(field, render.T(value), owner)
}

func (b *builder) needText(field string, value render.Text, owner string) render.Text {
	b.required++
	if strings.TrimSpace(value.String()) == "" {
		b.missing = append(b.missing, render.Missing{Field: field, Owner: owner})
		return render.NotProvided(owner)
	}
	return value
}

// row is a required row of a key-value list.
func (b *builder) row(label, value, owner string) render.Row {
	return render.Row{Label: label, Value: b.need(label, value, owner)}
}

func (b *builder) part(key, title string, blocks ...render.Block) {
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: key, Title: title, Blocks: blocks})
}

// control is the document-control page: who, when, as of what, what changed.
func (b *builder) control(title string) render.Blocks {
	in := b.in
	rows := []render.Row{
		{Label: "Document", Value: render.T(render.Strong(in.ID), fmt.Sprintf(", revision %d, issued", in.Number))},
		{Label: "Generated", Value: render.T(stamp(in.IssuedAt), b.by())},
		{Label: "Data as of", Value: render.T(stamp(b.doc.AsOf), ", checkpoint of ", count(in.Checkpoint.Size), " leaves")},
		{Label: "Period", Value: render.T(stamp(b.doc.From), " to ", stamp(b.doc.To))},
		b.row("Author", dated(in.IssuedBy, in.IssuedAt), "compliance officer"),
		b.row("Reviewer", in.Reviewer, "compliance officer"),
		b.row("Approver", in.Approver, "approver"),
		{Label: "Template", Value: render.T(render.Code(b.doc.Template))},
	}
	if in.Framework.ID != "" {
		rows = append(rows, render.Row{Label: "Criteria", Value: render.T(in.Framework.Title, ", ", in.Framework.Version, ", SHA-256 ", render.Code(short(in.Framework.Hash)))})
	}
	rows = append(rows,
		render.Row{Label: "Catalogue", Value: b.need("Catalogue hash", hashText("framework data ", in.Catalogue), "product")},
		render.Row{Label: "Price table", Value: b.need("Price table hash", hashText("SHA-256 ", in.PriceTable), "product")},
		render.Row{Label: "Confidentiality", Value: render.T(b.doc.Confidentiality)})
	return append(render.Blocks{&render.KeyValue{Rows: rows}, &render.Heading{Level: 2, Title: title}}, b.changes()...)
}

// by says who or which job made the document.
func (b *builder) by() string {
	switch job, ok := strings.CutPrefix(b.in.IssuedBy, "job:"); {
	case ok:
		return ", by the job " + job
	case b.in.IssuedBy != "":
		return ", by " + b.in.IssuedBy
	}
	return ", by: unknown"
}

// dated is a name with the day of its part.
func dated(name string, at time.Time) string {
	if name == "" {
		return ""
	}
	return name + ", " + day(at)
}

func hashText(prefix, hash string) string {
	if hash == "" {
		return ""
	}
	return prefix + short(hash)
}

// changes compares with the revision before.
func (b *builder) changes() render.Blocks {
	p := b.in.Previous
	if p == nil {
		return render.Blocks{&render.Paragraph{Text: render.T("First issue: there is no earlier revision to compare with.")}}
	}
	t := &render.Table{Caption: fmt.Sprintf("What moved since revision %d of %s", p.Revision, day(p.IssuedAt)), Columns: []render.Column{
		{Title: "Figure", Width: 80, Key: true}, {Title: "Before", Width: 28, Right: true}, {Title: "Now", Width: 28, Right: true}, {Title: "Change", Width: 30, Right: true}}}
	for _, m := range Moves(p.Summary, summary(b.in)) {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(m.Figure), render.T(count(uint64(max(m.Before, 0)))),
			render.T(count(uint64(max(m.Now, 0)))), render.T(fmt.Sprintf("%+d", m.Now-m.Before))}})
	}
	if len(t.Rows) == 0 {
		return render.Blocks{&render.Paragraph{Text: render.T(fmt.Sprintf("No figure moved since revision %d of %s.", p.Revision, day(p.IssuedAt)))}}
	}
	return render.Blocks{t}
}

// close adds what every document ends with, and the completeness figure.
func (b *builder) close(notProven ...string) *render.Doc {
	b.part("limitations", "Limitations and missing data", b.limitations(notProven)...)
	index := &render.EvidenceIndex{Items: b.index}
	intro := render.T("Leaf index and SHA-256 refer to the ledger of the checkpoint in ", render.Ref("verification", ""),
		". SHA-256 is the leaf hash of the record (RFC 6962). The index shows the first 16 hexadecimal digits; the embedded JSON has the bytes and the inclusion proof of each record.")
	if len(b.index) == 0 {
		intro = render.T("No record is cited: the ledger holds none of this subject in the period. Nothing in this document is proved by it.")
	}
	b.doc.Parts = append(b.doc.Parts, render.Part{Key: "evidence", Title: "Evidence index", NewPage: !b.doc.Compact, Blocks: render.Blocks{&render.Paragraph{Text: intro}, index}},
		render.Part{Key: "verification", Title: "Verification", NewPage: true, Blocks: render.Blocks{
			&render.Lede{Text: render.T("You need this file, its proof file and the public key. You need neither our servers nor our word.")},
			&render.Verification{Note: string(b.in.Checkpoint.Note), Origin: b.in.Checkpoint.Origin, Size: b.in.Checkpoint.Size, SignedAt: stamp(b.doc.AsOf),
				Keys: b.in.Checkpoint.Keys, File: fmt.Sprintf("%s-r%d", b.in.ID, b.in.Number), Records: len(b.index)}}})
	b.doc.Completeness = render.Completeness{Provided: b.required - len(b.missing), Required: b.required, Missing: b.missing, Ref: "limitations"}
	return b.doc
}

// sharedLimits hold for every document of the product.
var sharedLimits = []string{
	"The gateway sees only traffic that is routed through it.",
	"What a call is for is asserted by its caller; the gateway knows the key and the system that the key is bound to.",
	"A region is what the endpoint claims.",
	"Screening without hits does not prove that a prohibited practice is absent.",
	"A notice that is shown in another interface is invisible to the gateway.",
	"An inclusion proof shows that a record was not altered. It does not show that the record was true when it was written.",
	"Thresholds are defaults of the product, except the statutory six months, the 15, 10 and 2 days and the ten years.",
	"The NIST AI RMF has no certification; this document says aligned at most. ISO/IEC 42001 gives no presumption of conformity with the AI Act.",
	"No witness outside the operator's control has signed this checkpoint. Two live copies of a ledger would be noticed by nobody but such a witness.",
	"This document supports a legal assessment and does not replace it.",
}

func (b *builder) limitations(notProven []string) render.Blocks {
	var special []render.Text
	if b.in.Simulated {
		special = append(special, render.T(render.Strong("Simulated provider. "), "Some or all answers in the period came from the simulated provider that is built into the product. Figures on latency, quality, cost and errors of such calls say nothing about a real model."))
	}
	if b.in.Sample {
		special = append(special, render.T(render.Strong("Sample. "), "The organisation, its systems and its people are invented."))
	}
	if b.lost > 0 {
		special = append(special, render.T(fmt.Sprintf("%d citations were left out because their records lie after the checkpoint and cannot be proved in it.", b.lost)))
	}
	for _, s := range b.in.Limits {
		special = append(special, render.T(s))
	}
	for _, s := range notProven {
		special = append(special, render.T(s))
	}
	for _, s := range sharedLimits {
		special = append(special, render.T(s))
	}
	out := render.Blocks{&render.Heading{Level: 2, Title: "What this document does not prove"}, &render.List{Items: special}, &render.Heading{Level: 2, Title: "Missing data"}}
	if len(b.missing) == 0 {
		return append(out, &render.Paragraph{Text: render.T("Every required field is provided.")})
	}
	t := &render.Table{Caption: "Required fields that nobody has filled", Columns: []render.Column{{Title: "Field", Width: 100, Key: true}, {Title: "Owner", Width: 66}}}
	for _, m := range b.missing {
		t.Rows = append(t.Rows, render.TableRow{Cells: []render.Text{render.T(m.Field), render.T(m.Owner)}})
	}
	return append(out, t)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02\u00A015:04\u00A0UTC")
}

func day(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2\u00A0Jan\u00A02006")
}

func short(hash string) string {
	if len(hash) > 16 {
		return hash[:16]
	}
	return hash
}

// count groups thousands.
func count[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	digits := strings.TrimPrefix(s, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if len(s) > 0 && s[0] == '-' {
		return "-" + digits
	}
	return digits
}

// plural is a number of things.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// share prints part of whole in percent, or that it is unknown.
func share(part, whole int64) string {
	if whole == 0 {
		return "unknown"
	}
	p := float64(part) * 100 / float64(whole)
	if p > 0 && p < 0.1 {
		return "<\u00A00.1%"
	}
	if part < whole && p > 99.9 {
		return ">\u00A099.9%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

package render

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

var grades = map[string]struct {
	word  string
	color rgb
}{"major": {"Major nonconformity", darkRed}, "minor": {"Minor nonconformity", brass}, "observation": {"Observation", ink3}}

// finding is a headed list of its fields, with the grade at the right edge.
func (l *layout) finding(b *Finding) {
	e := l.elem("H3", 0)
	g, ok := grades[b.Grade]
	if !ok {
		g.word, g.color = b.Grade, ink
	}
	mark := style{medium, 8.25, ink}
	gradeW := l.set.width(g.word, mark) + 6
	lines := l.breakLines(T(b.ID, "\u00A0\u00A0", b.Title), h3, textW-gradeW-4)
	l.now.numbers[b.ID] = b.ID
	l.add(chunk{h: float64(len(lines)) * h3.leading, before: 7, after: 1.5, keep: true, draw: func(p *page, y float64) {
		l.anchor(b.ID, p, y)
		for i, ln := range lines {
			l.line(p, e, left, y+float64(i)*h3.leading+h3.baseline(), ln)
		}
		base := y + h3.baseline()
		p.fill(right-gradeW+2, base-2.1, 2.2, 2.2, g.color)
		l.putRight(p, e, right, base, g.word, mark)
	}})
	rows := []Row{{"Requirement", b.Requirement}, {"Observation", b.Observation}, {"Evidence", T(Cite(b.Evidence...))},
		{"Cause", b.Cause}, {"Correction", b.Correction}, {"Corrective action", b.Action}}
	if len(b.Cause) == 0 && len(b.Correction) == 0 {
		rows = append(rows[:3], Row{"Cause, correction and corrective action", b.Action})
	}
	if len(b.Evidence) == 0 {
		rows[2].Value = T("No record: nothing was recorded that could be cited")
	}
	l.keyValue(rows)
}

// verification tells what is needed to check the document, and how.
func (l *layout) verification(b *Verification) {
	l.section1(&Heading{Level: 2, Title: "Checkpoint"})
	l.paragraph(T("Tree head to which every leaf index in this document refers, as it was signed (C2SP checkpoint form)."), body, left, measure)
	l.code(strings.Split(strings.TrimRight(b.Note, "\n"), "\n"))
	keys := make(Text, 0, 2*len(b.Keys))
	for i, k := range b.Keys {
		if i > 0 {
			keys = append(keys, Span{Text: "\n"})
		}
		keys = append(keys, Code(k))
	}
	if len(keys) == 0 {
		keys = T("unknown: not given by the ledger")
	}
	digest := hex.EncodeToString(l.json[:])
	l.keyValue([]Row{
		{"Signed at", T(b.SignedAt+", origin ", Code(b.Origin))},
		{"Leaves", T(grouped(b.Size), "; records cited here: ", strconv.Itoa(b.Records))},
		{"Public key", keys},
		{"Embedded JSON", T(Code("plumbline.json"), ", SHA-256 ", Code(digest[:32]+" "+digest[32:]))},
		{"This PDF", T("A file cannot contain its own hash. The SHA-256 of this PDF is in the ", Code("document.issued"), " record, and ", Code(b.File+".proof.json"), " beside this file proves that record")},
	})
	l.section1(&Heading{Level: 2, Title: "How to verify offline"})
	l.list(&List{Numbered: true, Items: []Text{
		T("Take ", Code(b.File+".pdf"), " and ", Code(b.File+".proof.json"), " to a machine without a network."),
		T("Run the command below with the key that you pinned earlier, not with a key from this delivery."),
		T("Compare what it prints with the lines below, and its document id and revision with the first page. Anything else than VERIFIED, and an exit code other than 0, is no proof."),
	}})
	l.code([]string{"$ plumbline verify --key <pinned verifier key> " + b.File + ".pdf", "  ok    the PDF is the one that was issued, byte for byte",
		fmt.Sprintf("  ok    %d cited records are in the log %s, in its signed tree of %d leaves", b.Records, b.Origin, b.Size), "  VERIFIED"})
	l.callout(&Callout{Title: "What this proves", Body: []Text{
		T("The records existed when the checkpoint was signed and have not been altered since; nothing was removed from the tree. It does not prove that a record was true when it was written, nor that traffic outside the gateway did not exist."),
		T("Figures that count records can be computed again from an export of their range of leaves. From this file alone only the records that it cites are proved."),
	}})
}

package verify

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"

	"plumbline/assessments/evidence/record"
)

// verifyDocument checks what lies under a base name: <base>.pdf, <base>.json and
// <base>.proof.json. asked is the file that was named; what lies beside it must
// agree with it.
func verifyDocument(r *Result, base, asked string, o Options) {
	pdf, pdfErr := os.ReadFile(base + ".pdf")
	data, dataErr := os.ReadFile(base + ".json")
	proofText, proofErr := os.ReadFile(base + ".proof.json")
	for name, err := range map[string]error{base + ".pdf": pdfErr, base + ".json": dataErr, base + ".proof.json": proofErr} {
		if err != nil && (asked == name || !errors.Is(err, os.ErrNotExist)) {
			r.fail(Unreadable, "the file could not be read")
			return
		}
	}
	verifyParts(r, pdf, data, proofText, o)
}

// verifyParts checks the parts of a document that are there; nil is missing.
func verifyParts(r *Result, pdf, data, proofText []byte, o Options) {
	hasPDF := pdf != nil
	if hasPDF {
		embedded, err := EmbeddedJSON(pdf)
		switch {
		case err != nil:
			r.fail(Unreadable, "%v", err)
			return
		case data == nil:
			data = embedded
		case !bytes.Equal(data, embedded):
			r.fail(Failed, "the JSON beside the PDF is not the one that the PDF embeds")
			return
		}
	}
	var ev *Evidence
	if data != nil {
		var err error
		if ev, err = readEvidence(data); err != nil {
			r.fail(Failed, "%v", err)
			return
		}
	}
	if proofText == nil {
		r.withoutProof(ev, o)
		return
	}
	proof, err := readProof(proofText)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	r.withProof(proof, ev, pdf, hasPDF, data, data != nil, o)
}

func readProof(b []byte) (*Proof, error) {
	var p Proof
	if err := strict(b, &p, &p.Sum); err != nil || p.Format != ProofFormat || p.Record.ID != "" {
		return nil, errors.New("the proof file is not in its form")
	}
	return &p, nil
}

// readEvidence takes out of a document's JSON what its citations rest on.
func readEvidence(b []byte) (*Evidence, error) {
	var doc struct {
		Evidence *Evidence `json:"evidence"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || doc.Evidence == nil {
		return nil, errors.New("the document's JSON is not one of a Plumbline document")
	}
	return doc.Evidence, nil
}

// withoutProof checks what a document carries itself: its citations.
func (r *Result) withoutProof(ev *Evidence, o Options) {
	r.Origin = ev.Origin
	key, err := r.pin(ev.Origin, []string{ev.Verifier}, nil, o)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	cp, err := openCheckpoint(ev.Checkpoint, key, nil)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	if r.citations(ev, cp) {
		if given := o.givenOrigin(); earlierGeneration(given, cp.origin) {
			r.fail(Failed, "the log was forked: the checkpoint given is of %s, and the document of %s. Its proof file says why and what was kept", given, cp.origin)
		} else if _, generation, ok := generationOf(cp.origin); ok && generation > 1 {
			r.note("the log was forked: this is %s. Its proof file says why and what was kept", cp.origin)
		}
		r.previous(o, []string{ev.Verifier}, []checkpoint{cp}, nil)
		r.fail(NotChecked, "document hash not checked: there is no proof file beside it")
	}
}

// citations checks every cited record, and names the first that does not hold.
func (r *Result) citations(ev *Evidence, cp checkpoint) bool {
	seen := map[uint64]bool{}
	for i := range ev.Records {
		c := &ev.Records[i]
		if seen[c.Leaf] {
			r.fail(Failed, "%s: leaf %d is cited twice", c.ID, c.Leaf)
			return false
		}
		seen[c.Leaf] = true
		if _, err := c.in(cp); err != nil {
			r.fail(Failed, "record %s: %v", c.ID, err)
			return false
		}
		r.Records++
	}
	r.ok("%d cited records are in the log %s, in its signed tree of %d leaves", r.Records, cp.origin, cp.size)
	return true
}

func (r *Result) withProof(p *Proof, ev *Evidence, pdf []byte, hasPDF bool, data []byte, hasJSON bool, o Options) {
	r.Origin = p.Origin
	key, err := r.pin(p.Origin, p.Keys, p.Rotations, o)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	head, err := openCheckpoint(p.Checkpoint, key, p.Keys)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	if !r.lineage(p.Fork, head, o) {
		return
	}
	rec, err := p.Record.in(head)
	if err != nil {
		r.fail(Failed, "the record of the document's issue: %v", err)
		return
	}
	issued, ok := rec.Body.(*record.Document)
	if !ok {
		r.fail(Failed, "leaf %d records no issue of a document", p.Record.Leaf)
		return
	}
	if want := fmt.Sprintf("%s-r%d", issued.Identifier, issued.Revision); p.Document != want && p.Document != issued.Identifier {
		r.fail(Failed, "the proof file is of %s, its record of %s", p.Document, want)
		return
	}
	r.ok("%s was issued on %s: leaf %d", p.Document, time.UnixMicro(issued.IssuedAt).UTC().Format("2006-01-02 15:04 MST"), p.Record.Leaf)
	if !hasPDF && !hasJSON {
		r.fail(NotChecked, "document hash not checked: the document is not beside its proof file")
		return
	}
	if hasPDF {
		if sha256.Sum256(pdf) != issued.PDF {
			r.fail(Failed, "the PDF is not the one that was issued: its hash differs from the record's")
			return
		}
		r.ok("the PDF is the one that was issued, byte for byte")
	}
	if sha256.Sum256(data) != issued.JSON {
		r.fail(Failed, "the JSON is not the one that was issued: its hash differs from the record's")
		return
	}
	r.ok("the JSON is the one that was issued, byte for byte")
	r.cited(p, ev, issued, head, key, o)
}

// cited checks a document's citations in the tree that it was built at, and that
// this tree grew into the one that records its issue.
func (r *Result) cited(p *Proof, ev *Evidence, issued *record.Document, head checkpoint, key string, o Options) {
	cp, err := anyKey(ev.Checkpoint, p.Keys) // an older key may have signed it
	if err != nil {
		r.fail(Failed, "the document's checkpoint: %v", err)
		return
	}
	if cp.origin != head.origin || cp.size != issued.AsOf || cp.root != issued.Root {
		r.fail(Failed, "the document rests on another checkpoint than its record says")
		return
	}
	if err := consistent(cp, head, p.Consistency); err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	r.ok("the log only grew from the %d leaves that the document was built at to the %d that record it", cp.size, head.size)
	if !r.citations(ev, cp) {
		return
	}
	r.previous(o, p.Keys, []checkpoint{head, cp}, p.Earlier)
	r.remember(o.Store, key, p.Keys, head, cp)
}

var embeddedFile = regexp.MustCompile(`/Type /EmbeddedFile [^\n]{0,200}?/Filter /FlateDecode [^\n]{0,200}? /Length (\d{1,10}) >>\nstream\n`)

// maxJSON is the largest JSON that is taken out of a PDF, in bytes.
const maxJSON = 64 << 20

// EmbeddedJSON takes the document's JSON out of its PDF.
func EmbeddedJSON(pdf []byte) ([]byte, error) {
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		return nil, errors.New("the file is not a PDF")
	}
	all := embeddedFile.FindAllSubmatchIndex(pdf, -1)
	if len(all) != 1 {
		return nil, errors.New("the PDF is not a Plumbline document: it does not embed one JSON")
	}
	m := all[0]
	n, err := strconv.Atoi(string(pdf[m[2]:m[3]]))
	if err != nil || n > len(pdf)-m[1] {
		return nil, errors.New("the PDF's embedded JSON is cut")
	}
	z, err := zlib.NewReader(bytes.NewReader(pdf[m[1] : m[1]+n]))
	if err != nil {
		return nil, errors.New("the PDF's embedded JSON cannot be unpacked")
	}
	out, err := io.ReadAll(io.LimitReader(z, maxJSON+1))
	if err != nil || len(out) > maxJSON {
		return nil, errors.New("the PDF's embedded JSON cannot be unpacked")
	}
	return out, nil
}

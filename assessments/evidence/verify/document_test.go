package verify

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"plumbline/assessments/evidence/record"
)

// paper is a document as it lies in a folder.
type paper struct {
	dir              string
	pdf, json, proof []byte
}

func (p *paper) path(suffix string) string { return filepath.Join(p.dir, "AR-2026-0001-r1"+suffix) }

// lay writes the files that are not nil.
func (p *paper) lay(t testing.TB) {
	t.Helper()
	for suffix, b := range map[string][]byte{".pdf": p.pdf, ".json": p.json, ".proof.json": p.proof} {
		os.Remove(p.path(suffix))
		if b != nil {
			if err := os.WriteFile(p.path(suffix), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (p *paper) check(t testing.TB, suffix string, o Options) Result {
	t.Helper()
	p.lay(t)
	results, code := Files([]string{p.path(suffix)}, o)
	if len(results) != 1 || results[0].Code != code {
		t.Fatalf("results %+v, code %d", results, code)
	}
	return results[0]
}

// pdfOf embeds a JSON as the post-pass of documents does.
func pdfOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, "%%PDF-1.7\n1 0 obj\n<< /Type /EmbeddedFile /Subtype /application#2Fjson /Filter /FlateDecode /Params << /Size %d >> /Length %d >>\nstream\n%s\nendstream\nendobj\n%%%%EOF\n", len(data), z.Len(), z.Bytes())
}

// issue makes a document that cites leaves of a log at its size, records its issue,
// and proves that; shown are sizes of earlier heads.
func issue(t testing.TB, f *forger, keys []string, rotations []uint64, cited []uint64, shown []uint64) *paper {
	t.Helper()
	asOf := uint64(len(f.leaves))
	cp := f.sign(t, asOf)
	ev := Evidence{Checkpoint: string(cp.Note), Origin: f.origin, Verifier: keys[len(keys)-1]}
	for i, leaf := range cited {
		p, err := prove(t.Context(), f, "acme", record.Leaf{Index: leaf, Bytes: f.leaves[leaf]}, asOf)
		if err != nil {
			t.Fatal(err)
		}
		p.ID = fmt.Sprintf("E-%03d", i+1)
		ev.Records = append(ev.Records, p)
	}
	data, err := json.Marshal(map[string]any{"title": "Audit report", "evidence": ev})
	if err != nil {
		t.Fatal(err)
	}
	p := &paper{dir: t.TempDir(), json: data, pdf: pdfOf(t, data)}
	leaf := f.add(t, record.DocumentIssued, &record.Document{Kind: "audit", PDF: sha256.Sum256(p.pdf), JSON: sha256.Sum256(p.json), AsOf: asOf, Root: cp.Root,
		Template: "audit/1", Revision: 1, IssuedAt: 1_790_000_000_000_000, Identifier: "AR-2026-0001"})
	head := f.sign(t, leaf+1)
	if p.proof, err = MakeProof(t.Context(), f, "acme", "AR-2026-0001-r1", record.Leaf{Index: leaf, Bytes: f.leaves[leaf]}, asOf, head, keys, rotations, shown); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestADocumentVerifies(t *testing.T) {
	f, _, public := honest(t)
	whole := issue(t, f, []string{public}, nil, []uint64{3, 50, 99}, nil)
	pdf, data, proof := whole.pdf, whole.json, whole.proof
	for _, c := range []struct {
		name             string
		asked            string
		pdf, json, proof []byte
		key              string
		want             int
		says             string
	}{
		{"all, the PDF asked", ".pdf", pdf, data, proof, public, OK, "the PDF is the one that was issued, byte for byte"},
		{"all, the JSON asked", ".json", pdf, data, proof, public, OK, "the JSON is the one that was issued, byte for byte"},
		{"all, the proof asked", ".proof.json", pdf, data, proof, public, OK, "3 cited records are in the log"},
		{"the PDF and its proof", ".pdf", pdf, nil, proof, public, OK, "the log's key is the one given"},
		{"the JSON and its proof", ".json", nil, data, proof, "", OK, "trusted on first use"},
		{"no proof", ".pdf", pdf, nil, nil, public, NotChecked, "document hash not checked"},
		{"no proof, JSON", ".json", nil, data, nil, "", NotChecked, "document hash not checked"},
		{"the proof alone", ".proof.json", nil, nil, proof, public, NotChecked, "document hash not checked"},
		{"no PDF", ".pdf", nil, data, proof, public, Unreadable, "could not be read"},
		{"another JSON beside", ".pdf", pdf, append([]byte(" "), data...), proof, public, Failed, "not the one that the PDF embeds"},
		{"not a PDF", ".pdf", data, nil, proof, public, Unreadable, "not a PDF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &paper{dir: t.TempDir(), pdf: c.pdf, json: c.json, proof: c.proof}
			r := p.check(t, c.asked, Options{Key: c.key})
			if r.Code != c.want || !strings.Contains(r.Text(), c.says) {
				t.Errorf("code %d, want %d with %q:\n%s", r.Code, c.want, c.says, r.Text())
			}
			if firstUse := strings.Contains(r.Text(), "trusted on first use"); c.want != Unreadable && c.says[0] != 'n' && firstUse != (c.key == "") {
				t.Errorf("trust on first use is said: %v\n%s", firstUse, r.Text())
			}
		})
	}
}

// Every byte of the PDF, the JSON and the proof is flipped in turn, with no key known.
func TestEveryFlippedByteOfADocumentIsDetected(t *testing.T) {
	f, _, public := honest(t)
	s2, public2 := key(t, origin, "second")
	rotation := f.rotated(t, public, public2, s2)
	f.exchanges(t, 10)
	p := issue(t, f, []string{public, public2}, []uint64{rotation}, []uint64{3, 105}, []uint64{50, 100})
	if r := p.check(t, ".pdf", Options{}); r.Code != OK {
		t.Fatal(r.Text())
	}
	n := 0
	for name, b := range map[string][]byte{"PDF": p.pdf, "JSON": p.json, "proof": p.proof} {
		for at := range b {
			flip := byte(1) << (at % 8)
			b[at] ^= flip
			var r Result
			verifyParts(&r, p.pdf, p.json, p.proof, Options{})
			if r.Code == OK || r.Code == NotChecked {
				t.Errorf("byte %d of the %s: bit %#x flipped and not detected:\n%s", at, name, flip, r.Text())
			}
			b[at] ^= flip
			n++
		}
	}
	t.Logf("%d bytes flipped, every one detected", n)
}

// Without its proof a document's citations are still checked, and a bad one is named.
func TestABadCitationIsNamed(t *testing.T) {
	f, _, public := honest(t)
	p := issue(t, f, []string{public}, nil, []uint64{3, 50, 99}, nil)
	var doc struct {
		Title    string    `json:"title"`
		Evidence *Evidence `json:"evidence"`
	}
	for name, change := range map[string]func(ev *Evidence){
		"bytes":     func(ev *Evidence) { ev.Records[1].Bytes[40] ^= 1 },
		"leaf":      func(ev *Evidence) { ev.Records[1].Leaf = 51 },
		"proof":     func(ev *Evidence) { ev.Records[1].Proof[0] = ev.Records[1].Proof[1] },
		"exchanged": func(ev *Evidence) { ev.Records[1].Bytes = ev.Records[2].Bytes },
		"beyond":    func(ev *Evidence) { ev.Records[1].Leaf = 1000 },
		"short":     func(ev *Evidence) { ev.Records[1].Proof = ev.Records[1].Proof[1:] },
	} {
		if err := json.Unmarshal(p.json, &doc); err != nil {
			t.Fatal(err)
		}
		change(doc.Evidence)
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		bad := &paper{dir: t.TempDir(), json: data}
		if r := bad.check(t, ".json", Options{Key: public}); r.Code != Failed || !strings.Contains(r.Text(), "E-002") {
			t.Errorf("%s:\n%s", name, r.Text())
		}
		doc.Evidence = nil
	}
}

// A prover who holds the files, or even the key, and lies.
func TestAHostileProverIsRefused(t *testing.T) {
	base, s1, k1 := honest(t)
	s2, k2 := key(t, origin, "second")
	s3, k3 := key(t, origin, "third")
	s4, k4 := key(t, origin, "hostile")
	f := base.clone()
	first := f.rotated(t, k1, k2, s2)
	f.signers = []note.Signer{s2} // the overlap ended
	f.exchanges(t, 5)
	second := f.rotated(t, k2, k3, s3)
	f.signers = []note.Signer{s3}
	f.exchanges(t, 5)
	keys, rotations := []string{k1, k2, k3}, []uint64{first, second}
	good := issue(t, f, keys, rotations, []uint64{3, 104}, nil)
	for _, pinned := range append(slices.Clone(keys), "") {
		if r := good.check(t, ".pdf", Options{Key: pinned}); r.Code != OK {
			t.Fatalf("pinned %q:\n%s", pinned, r.Text())
		}
	}

	edit := func(change func(p *Proof)) *paper {
		t.Helper()
		p, err := readProof(good.proof)
		if err != nil {
			t.Fatal(err)
		}
		change(p)
		text, err := sealed(p, &p.Sum)
		if err != nil {
			t.Fatal(err)
		}
		return &paper{dir: t.TempDir(), pdf: good.pdf, proof: text}
	}
	// Another log, honest by itself.
	sOther, kOther := key(t, "test/other/1", "other")
	other := newForger("test/other/1", sOther)
	other.exchanges(t, 20)
	foreign := issue(t, other, []string{kOther}, nil, []uint64{3}, nil)
	// The same history until leaf 60, and then another, all signed with the true keys.
	rewritten := base.clone()
	rewritten.leaves = rewritten.leaves[:60]
	rewritten.exchanges(t, 80)
	rewritten.leaves[70] = rewritten.leaves[71]
	fork := issue(t, rewritten, []string{k1}, nil, []uint64{3, 65}, []uint64{60, 100})
	// A chain that the hostile key begins: he rotates "from" our key to his own.
	usurped := base.clone()
	usurped.signers = []note.Signer{s4}
	usurpation := usurped.rotated(t, k1, k4, s4)
	usurper := issue(t, usurped, []string{k1, k4}, []uint64{usurpation}, []uint64{3}, nil)
	// A rotation that is on record, but in a checkpoint that only the new key signed.
	early := base.clone()
	earlyLeaf := early.add(t, record.LedgerRotated, &record.Rotated{Verifier: k4, Old: k1, Until: 1})
	early.signers = []note.Signer{s4}
	early.sign(t, uint64(len(early.leaves)))
	unsigned := issue(t, early, []string{k1, k4}, []uint64{earlyLeaf}, []uint64{3}, nil)
	_ = s1

	for name, c := range map[string]struct {
		p *paper
		o Options
	}{
		"the middle link is skipped":               {edit(func(p *Proof) { p.Rotations = p.Rotations[:1] }), Options{Key: k1}},
		"the middle key and its link are skipped":  {edit(func(p *Proof) { p.Keys = []string{k1, k3}; p.Rotations = p.Rotations[1:] }), Options{Key: k1}},
		"the middle key is skipped, links kept":    {edit(func(p *Proof) { p.Keys = []string{k1, k3} }), Options{Key: k1}},
		"links exchanged":                          {edit(func(p *Proof) { p.Rotations[0], p.Rotations[1] = p.Rotations[1], p.Rotations[0] }), Options{Key: k1}},
		"keys exchanged":                           {edit(func(p *Proof) { p.Keys[0], p.Keys[1] = p.Keys[1], p.Keys[0] }), Options{Key: k1}},
		"a key twice":                              {edit(func(p *Proof) { p.Keys[1] = p.Keys[0] }), Options{Key: k1}},
		"no key":                                   {edit(func(p *Proof) { p.Keys = nil }), Options{Key: k1}},
		"the checkpoint of a link is another":      {edit(func(p *Proof) { p.Rotations[0].Checkpoint = p.Rotations[1].Checkpoint }), Options{Key: k1}},
		"another log's key":                        {edit(func(p *Proof) { p.Keys[2] = kOther }), Options{Key: k1}},
		"another log's proof":                      {&paper{dir: t.TempDir(), pdf: good.pdf, proof: foreign.proof}, Options{}},
		"another log's document, our key pinned":   {foreign, Options{Key: k1}},
		"a checkpoint older than the record":       {edit(func(p *Proof) { p.Checkpoint = string(base.seen[100].Note) }), Options{Key: k1}},
		"a checkpoint older than the document":     {edit(func(p *Proof) { p.Checkpoint = p.Rotations[1].Checkpoint }), Options{Key: k1}},
		"an older head than the one given":         {good, Options{Key: k1, Checkpoint: newerHead(t, f)}},
		"a rewritten log, a head given":            {fork, Options{Key: k1, Checkpoint: string(base.seen[100].Note)}},
		"a head given that nothing leads from":     {edit(func(p *Proof) { p.Earlier = nil }), Options{Key: k1, Checkpoint: string(base.sign(t, 33).Note)}},
		"another log's head given":                 {good, Options{Key: k1, Checkpoint: string(other.seen[20].Note)}},
		"a chain that another key forged":          {usurper, Options{Key: k1}},
		"a rotation that the old key did not sign": {unsigned, Options{Key: k1}},
		"a consistency proof of nothing":           {edit(func(p *Proof) { p.Consistency = nil }), Options{Key: k1}},
		"the issue of another document":            {edit(func(p *Proof) { p.Document = "AR-2026-0002-r1" }), Options{Key: k1}},
		"a record that is no issue":                {edit(func(p *Proof) { p.Record = p.Rotations[1].Record }), Options{Key: k1}},
		"a name for the record":                    {edit(func(p *Proof) { p.Record.ID = "x" }), Options{Key: k1}},
	} {
		if r := c.p.check(t, ".pdf", c.o); r.Code != Failed {
			t.Errorf("%s: not refused:\n%s", name, r.Text())
		}
	}
	// Whoever saw one head of the log sees a rewritten one, without being told.
	known := filepath.Join(t.TempDir(), "known.json")
	before := issue(t, base.clone(), []string{k1}, nil, []uint64{3}, nil)
	if r := before.check(t, ".pdf", Options{Store: known}); r.Code != OK {
		t.Fatal(r.Text())
	}
	if r := fork.check(t, ".pdf", Options{Store: known}); r.Code != Failed || !strings.Contains(r.Text(), "rewritten") {
		t.Errorf("a rewritten log is taken by who saw another before:\n%s", r.Text())
	}
}

// newerHead is a true head that is newer than anything the log's documents show.
func newerHead(t testing.TB, f *forger) string {
	c := f.clone()
	c.exchanges(t, 9)
	return string(c.sign(t, uint64(len(c.leaves))).Note)
}

// A later document is set against what was seen before, where it carries the proof.
func TestHeadsSeenBeforeAreComparedWith(t *testing.T) {
	f, _, public := honest(t)
	known := filepath.Join(t.TempDir(), "known.json")
	keys := []string{public}
	first := issue(t, f, keys, nil, []uint64{3}, nil)
	if r := first.check(t, ".pdf", Options{Store: known}); r.Code != OK {
		t.Fatal(r.Text())
	}
	f.exchanges(t, 30)
	later := issue(t, f, keys, nil, []uint64{110}, []uint64{100})
	if r := later.check(t, ".pdf", Options{Store: known}); r.Code != OK || !strings.Contains(r.Text(), "the log only grew since the head of 100 leaves seen before") {
		t.Error(r.Text())
	}
	if r := later.check(t, ".pdf", Options{Key: public, Checkpoint: string(f.seen[100].Note)}); r.Code != OK || !strings.Contains(r.Text(), "since the checkpoint given") {
		t.Error(r.Text())
	}
	// The older document still verifies, and an export from the beginning knows all heads.
	if r := first.check(t, ".pdf", Options{Store: known}); r.Code != OK {
		t.Error(r.Text())
	}
	f.sign(t, uint64(len(f.leaves)))
	whole := export(t, f, Range{Log: "acme", Keys: keys})
	if r := whole.check(Options{Store: known, Checkpoint: string(f.sign(t, 42).Note)}); r.Code != OK || strings.Count(r.Text(), "the log only grew since") != 2 {
		t.Error(r.Text())
	}
	part := export(t, f, Range{Log: "acme", Keys: keys, From: 120, Shown: []uint64{42}})
	if r := part.check(Options{Key: public, Checkpoint: string(f.seen[42].Note)}); r.Code != OK {
		t.Error(r.Text())
	}
}

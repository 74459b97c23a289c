package verify

import (
	"bytes"
	"encoding/json"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// Whatever the bytes: a proof that is read is exactly the file, and only the true one
// verifies.
func FuzzProof(f *testing.F) {
	log, _, public := honest(f)
	s2, public2 := key(f, origin, "second")
	rotation := log.rotated(f, public, public2, s2)
	p := issue(f, log, []string{public, public2}, []uint64{rotation}, []uint64{3, 50}, []uint64{40})
	f.Add(p.proof)
	f.Add(bytes.Replace(p.proof, []byte(`"leaf": 10`), []byte(`"leaf": 9`), 1))
	f.Add(bytes.Replace(p.proof, []byte("{"), []byte("{ "), 1))
	f.Add([]byte("null\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var any Proof
		if json.Unmarshal(b, &any) == nil { // the sum is no obstacle to whoever means it
			var err error
			if b, err = sealed(&any, &any.Sum); err != nil {
				return
			}
		}
		proof, err := readProof(b)
		if err != nil {
			return
		}
		if again, err := sealed(proof, &proof.Sum); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read from %q, which it is not", b)
		}
		var r Result
		if verifyParts(&r, p.pdf, nil, b, Options{Key: public}); r.Code == OK && !bytes.Equal(b, p.proof) && !sameBut(b, p.proof) {
			t.Fatalf("another proof verifies:\n%s", b)
		}
	})
}

// sameBut says whether two proofs differ in nothing that is proved: witnesses may sign
// under names of their own, and fewer earlier heads may be carried.
func sameBut(a, b []byte) bool {
	var x, y Proof
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	x.Earlier, y.Earlier, x.Sum, y.Sum = nil, nil, "", ""
	cut := func(s *string) { *s, _, _ = bytesCut(*s) }
	cut(&x.Checkpoint)
	cut(&y.Checkpoint)
	for i := range x.Rotations {
		cut(&x.Rotations[i].Checkpoint)
	}
	for i := range y.Rotations {
		cut(&y.Rotations[i].Checkpoint)
	}
	ja, _ := json.Marshal(x)
	jb, _ := json.Marshal(y)
	return bytes.Equal(ja, jb)
}

func bytesCut(s string) (string, string, bool) {
	before, after, found := bytes.Cut([]byte(s), []byte("\n\n"))
	return string(before), string(after), found
}

// A manifest that is read names files that tile its range, and is exactly the file.
func FuzzManifest(f *testing.F) {
	log, _, public := honest(f)
	for _, x := range []Range{{}, {From: 40, To: 90}, {Shown: []uint64{50}}} {
		x.Log, x.Keys = "acme", []string{public}
		text := export(f, log, x)["manifest.json"]
		f.Add(text)
		f.Add(bytes.Replace(text, []byte(`"to": 100`), []byte(`"to": 18446744073709551615`), 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var any Manifest
		if json.Unmarshal(b, &any) == nil {
			var err error
			if b, err = sealed(&any, &any.Sum); err != nil {
				return
			}
		}
		m, err := readManifest(b)
		if err != nil {
			return
		}
		if again, err := sealed(m, &m.Sum); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read from %q, which it is not", b)
		}
		at := m.From
		for i := 1; i < len(m.Files); i += 2 {
			if m.Files[i].Name != recordsName(at) {
				t.Fatalf("%s where leaf %d is due", m.Files[i].Name, at)
			}
			at += m.Files[i].Leaves
		}
		if at != m.To {
			t.Fatalf("files end at %d of %d", at, m.To)
		}
	})
}

// Files of records, whatever they hold: no more is taken than was named, and what is
// taken has the hashes that were named.
func FuzzRecords(f *testing.F) {
	log, _, public := honest(f)
	files := export(f, log, Range{Log: "acme", Keys: []string{public}, From: 90})
	m, err := readManifest(files["manifest.json"])
	if err != nil {
		f.Fatal(err)
	}
	good, sums := files[recordsName(90)], files[leavesName(90)]
	f.Add(good, sums)
	f.Add(good[:len(good)-1], sums)
	f.Add(append([]byte{0, 0}, sums...), sums)
	f.Fuzz(func(t *testing.T, b, sums []byte) {
		hashes, erased, err := m.records(1, b, sums)
		if err != nil {
			return
		}
		if len(hashes) != 10 || erased > 10 {
			t.Fatalf("%d records, %d erased", len(hashes), erased)
		}
		for i, h := range hashes {
			if !bytes.Equal(h[:], sums[32*i:32*i+32]) {
				t.Fatalf("record %d has another hash than was named", i)
			}
		}
	})
}

// What is not a PDF of ours, or no JSON of a document, is an error and nothing else.
func FuzzDocument(f *testing.F) {
	log, _, public := honest(f)
	p := issue(f, log, []string{public}, nil, []uint64{3, 50}, nil)
	f.Add(p.pdf, p.json)
	f.Add(p.pdf[:len(p.pdf)-20], p.json[:len(p.json)-3])
	f.Add(bytes.Replace(p.pdf, []byte("/Length "), []byte("/Length 9"), 1), []byte(`{"evidence":{"records":[{}]}}`))
	f.Add(append(bytes.Clone(p.pdf), p.pdf...), []byte(`{"evidence":null}`))
	f.Fuzz(func(t *testing.T, pdf, data []byte) {
		if out, err := EmbeddedJSON(pdf); err == nil && !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Fatalf("JSON %q from no PDF", out)
		}
		var r Result
		if verifyParts(&r, pdf, nil, nil, Options{Key: public}); r.Code == OK {
			t.Fatal("a PDF without its proof is wholly verified")
		}
		r = Result{}
		if verifyParts(&r, nil, data, p.proof, Options{Key: public}); r.Code == OK && !bytes.Equal(data, p.json) {
			t.Fatal("another JSON verifies")
		}
		r = Result{}
		if verifyParts(&r, nil, data, nil, Options{Key: public}); r.Code == NotChecked {
			ev, err := readEvidence(data)
			if err != nil || len(ev.Records) != r.Records {
				t.Fatalf("%d citations checked of %v (%v)", r.Records, ev, err)
			}
		}
	})
}

// A checkpoint that opens says exactly what its key signed.
func FuzzCheckpoint(f *testing.F) {
	log, s1, k1 := honest(f)
	_, k2 := key(f, origin, "second")
	good := string(log.seen[100].Note)
	f.Add(good)
	f.Add(good + "— witness.example/w AAAAAAECAwQ=\n")
	other, err := note.Sign(&note.Note{Text: origin + "\n0100\nAAAA\n"}, s1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(other))
	f.Fuzz(func(t *testing.T, text string) {
		cp, err := openCheckpoint(text, k1, []string{k1, k2})
		if err == nil && (cp.origin != origin || cp.size != 100 || cp.root != log.subtree(0, 100)) {
			t.Fatalf("opened as %+v", cp)
		}
	})
}

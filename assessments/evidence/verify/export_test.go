package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"plumbline/app/seal"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

const origin = "test/acme/1"

// folder is an export in memory.
type folder map[string][]byte

func (f folder) fs() fs.FS {
	m := fstest.MapFS{}
	for name, b := range f {
		m[name] = &fstest.MapFile{Data: b, Mode: 0o644}
	}
	return m
}

func (f folder) clone() folder {
	c := folder{}
	for name, b := range f {
		c[name] = bytes.Clone(b)
	}
	return c
}

func (f folder) check(o Options) Result {
	var r Result
	verifyExport(&r, f.fs(), o)
	return r
}

func readFolder(t testing.TB, dir string) folder {
	t.Helper()
	f := folder{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if f[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func export(t testing.TB, src Source, x Range) folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := WriteExport(t.Context(), dir, src, x); err != nil {
		t.Fatal(err)
	}
	return readFolder(t, dir)
}

// ledgerExport is an export of 1,000 records of a real ledger whose key was rotated,
// and its keys.
func ledgerExport(t testing.TB) (folder, []string) {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := evidence.Open(t.Context(), evidence.Config{Dir: t.TempDir(), Instance: "test", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	if err := l.CreateLog(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	var last *event.Commit
	for i := range 498 {
		e := &event.Event{Kind: event.Intent, Log: "acme", Exchange: idOf("x", uint64(i)), At: time.Now().UnixMicro(), System: "SYS-001", Key: "k1",
			ModelAsked: "gpt-4o-mini", Provider: "up", Holds: []event.Hold{{Budget: "b", Amount: 700}}}
		if _, err := l.Submit(e); err != nil {
			t.Fatal(err)
		}
		e.Kind, e.Status, e.Charge = event.Outcome, 200, 500
		if last, err = l.Submit(e); err != nil {
			t.Fatal(err)
		}
		if i == 250 {
			if _, err := l.Rotate(t.Context(), "acme", "p1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-last.Done()
	for l.Size("acme") < 1000 { // with the mark of the hour
		id := idOf("job", l.Size("acme"))
		if _, err := l.Append(t.Context(), "acme", &record.Record{Envelope: record.Envelope{Kind: record.JobRan, ID: id, Actor: "job:x"}, Body: &record.Job{Name: "x", OK: true}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.SignNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	x := Range{Log: "acme", From: 0, To: 1000}
	if x.Rotations, err = l.Rotations(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	infos, err := l.VerifierKeys("acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range infos {
		x.Keys = append(x.Keys, k.Verifier)
	}
	return export(t, l, x), x.Keys
}

func TestAnExportOfTheLedgerVerifies(t *testing.T) {
	f, keys := ledgerExport(t)
	for name, key := range map[string]string{"old key": keys[0], "new key": keys[1], "none": ""} {
		r := f.check(Options{Key: key})
		if r.Code != OK || r.Records != 1000 {
			t.Fatalf("%s: %s", name, r.Text())
		}
		if said := strings.Contains(r.Text(), "trusted on first use"); said != (key == "") {
			t.Errorf("%s: trust on first use is said: %v\n%s", name, said, r.Text())
		}
	}
	_, other := key(t, "test/acme/1", "other")
	if r := f.check(Options{Key: other}); r.Code != Failed {
		t.Errorf("verified with a key that is not the log's:\n%s", r.Text())
	}
}

// Every byte of every file of an export of 1,000 records is flipped, one after the
// other, with no key known beforehand. The manifest's bytes and every 61st of the
// others go through the whole check; of the rest the check of their file has to
// notice, which the whole one runs for each file before anything else.
func TestEveryFlippedByteOfAnExportIsDetected(t *testing.T) {
	f, _ := ledgerExport(t)
	if r := f.check(Options{}); r.Code != OK {
		t.Fatal(r.Text())
	}
	type place struct {
		name string
		file int // of the manifest
		at   int
	}
	var places []place
	m, err := readManifest(f["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range f {
		file := slices.IndexFunc(m.Files, func(f File) bool { return f.Name == name })
		for at := range b {
			places = append(places, place{name, file, at})
		}
	}
	began := time.Now()
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := f.clone()
			dir := mine.fs() // of the same bytes
			for i := w; i < len(places); i += workers {
				p := places[i]
				flip := byte(1) << (i % 8)
				mine[p.name][p.at] ^= flip
				var r Result
				if p.file < 0 || i%61 == w {
					verifyExport(&r, dir, Options{})
				} else if _, err := m.readFile(dir, p.file); err != nil {
					r.Code = Failed
				}
				if r.Code == OK {
					t.Errorf("byte %d of %s: bit %#x flipped and not detected", p.at, p.name, flip)
					return
				}
				mine[p.name][p.at] ^= flip
			}
		})
	}
	wg.Wait()
	t.Logf("%d bytes of %d files flipped in %s, every one detected", len(places), len(f), time.Since(began).Round(time.Millisecond))
}

// A flipped record is named.
func TestTheFirstBadRecordIsNamed(t *testing.T) {
	f, keys := ledgerExport(t)
	at := 0
	for leaf := range uint64(1000) {
		name := recordsName(leaf - leaf%filePer)
		if leaf%filePer == 0 {
			at = 0
		}
		entries := f[name]
		n := 2 + int(entries[at])<<8 + int(entries[at+1])
		if leaf == 0 || leaf == 417 || leaf == 999 {
			bad := f.clone()
			bad[name][at+n-1] ^= 1
			if leaf == 417 { // a later one is bad too
				bad[name][len(entries)-1] ^= 1
			}
			if r := bad.check(Options{Key: keys[0]}); r.Code != Failed || !strings.Contains(r.Text(), fmt.Sprintf("leaf %d is the first bad record", leaf)) {
				t.Errorf("leaf %d:\n%s", leaf, r.Text())
			}
		}
		at += n
	}
}

// honest is a log of a hundred records and its key.
func honest(t testing.TB) (*forger, note.Signer, string) {
	t.Helper()
	s, public := key(t, origin, "honest")
	f := newForger(origin, s)
	f.exchanges(t, 100)
	f.sign(t, 100)
	return f, s, public
}

// tampered rewrites the records of an export and whatever can be made to agree with
// them without the key: hashes of files, and with deep also the leaf hashes.
func tampered(t testing.TB, f folder, deep bool, change func(leaves [][]byte) [][]byte) folder {
	t.Helper()
	c := f.clone()
	m, err := readManifest(c["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	name := recordsName(m.From)
	var leaves [][]byte
	for b := c[name]; len(b) > 0; {
		leaf, rest, err := record.CutEntry(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		leaves, b = append(leaves, leaf.Bytes), rest
	}
	leaves = change(leaves)
	var entries, sums []byte
	for _, b := range leaves {
		hash := record.LeafHash(b)
		entries, sums = record.AppendEntry(entries, record.Leaf{Bytes: b}), append(sums, hash[:]...)
	}
	c[name] = entries
	m.Files[1].Leaves, m.Files[2].Leaves = uint64(len(leaves)), uint64(len(leaves))
	m.To = m.From + uint64(len(leaves))
	if deep {
		c[leavesName(m.From)] = sums
	}
	return c.rehash(t, m)
}

// rehash makes the manifest agree with the files.
func (f folder) rehash(t testing.TB, m *Manifest) folder {
	t.Helper()
	for i := range m.Files {
		sum := sha256.Sum256(f[m.Files[i].Name])
		m.Files[i].SHA256 = hex.EncodeToString(sum[:])
	}
	text, err := sealed(m, &m.Sum)
	if err != nil {
		t.Fatal(err)
	}
	f["manifest.json"] = text
	return f
}

func TestRecordsDroppedSwappedRepeatedOrCutAreDetected(t *testing.T) {
	src, _, public := honest(t)
	src.exchanges(t, 31) // the tree is larger than the range
	src.sign(t, 131)
	for _, x := range []Range{{From: 0, To: 131}, {From: 40, To: 90}, {From: 0, To: 64}, {From: 128, To: 131}} {
		x.Log, x.Keys = "acme", []string{public}
		f := export(t, src, x)
		if r := f.check(Options{Key: public}); r.Code != OK {
			t.Fatal(r.Text())
		}
		n := int(x.To - x.From)
		for _, at := range []int{0, 1, n / 2, n - 2, n - 1} {
			changes := map[string]func([][]byte) [][]byte{
				"dropped":  func(l [][]byte) [][]byte { return append(append([][]byte{}, l[:at]...), l[at+1:]...) },
				"repeated": func(l [][]byte) [][]byte { return append(append(append([][]byte{}, l[:at]...), l[at]), l[at:]...) },
				"swapped": func(l [][]byte) [][]byte {
					l[at], l[(at+1)%n] = l[(at+1)%n], l[at]
					return l
				},
				"cut":      func(l [][]byte) [][]byte { l[at] = l[at][:len(l[at])-1]; return l },
				"emptied":  func(l [][]byte) [][]byte { l[at] = l[(at+1)%n]; return l },
				"replaced": func(l [][]byte) [][]byte { l[at] = src.leaves[(int(x.From)+at+7)%131]; return l },
				"ended":    func(l [][]byte) [][]byte { return l[:max(at, 1)] },
			}
			for name, change := range changes {
				for _, deep := range []bool{false, true} {
					r := tampered(t, f, deep, change).check(Options{Key: public})
					if r.Code != Failed {
						t.Errorf("[%d, %d): record %d %s, leaf hashes made to agree: %v: not detected\n%s", x.From, x.To, at, name, deep, r.Text())
					}
				}
			}
		}
	}
}

// Whoever has all records and no key can compute any tree, and sign it with a key of
// his own.
func TestATreeComputedWithoutTheKeyIsDetected(t *testing.T) {
	src, _, public := honest(t)
	x := Range{Log: "acme", Keys: []string{public}}
	true1 := export(t, src, x)
	forged := src.clone()
	forged.leaves[17] = forged.leaves[19]
	own, ownKey := key(t, origin, "forger's own")
	forged.signers = []note.Signer{own}
	forged.sign(t, 100)

	known := filepath.Join(t.TempDir(), "known.json")
	if r := true1.check(Options{Store: known}); r.Code != OK || !strings.Contains(r.Text(), "trusted on first use") {
		t.Fatal(r.Text())
	}
	if r := true1.check(Options{Store: known}); r.Code != OK || !strings.Contains(r.Text(), "the one seen before") {
		t.Fatal(r.Text())
	}
	for name, f := range map[string]folder{
		"his key":                   export(t, forged, Range{Log: "acme", Keys: []string{ownKey}}),
		"his key named as ours":     export(t, forged, Range{Log: "acme", Keys: []string{public}}),
		"both keys named":           export(t, forged, Range{Log: "acme", Keys: []string{public, ownKey}}),
		"both keys, his first":      export(t, forged, Range{Log: "acme", Keys: []string{ownKey, public}}),
		"our signature on his root": oldSignature(t, true1, export(t, forged, x)),
	} {
		for how, o := range map[string]Options{"pinned": {Key: public}, "seen before": {Store: known}} {
			if r := f.check(o); r.Code != Failed {
				t.Errorf("%s, %s: not detected\n%s", name, how, r.Text())
			}
		}
	}
	if err := os.WriteFile(known, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := true1.check(Options{Store: known}); r.Code != Failed {
		t.Errorf("a spoilt file of known logs is taken for an empty one:\n%s", r.Text())
	}
}

// oldSignature puts the true checkpoint's signature under the forged text.
func oldSignature(t testing.TB, true1, forged folder) folder {
	t.Helper()
	text, _, _ := strings.Cut(string(forged["checkpoint.txt"]), "\n\n")
	_, sigs, _ := strings.Cut(string(true1["checkpoint.txt"]), "\n\n")
	forged["checkpoint.txt"] = []byte(text + "\n\n" + sigs)
	m, err := readManifest(forged["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	return forged.rehash(t, m)
}

func TestFilesMissingAddedOrRenamed(t *testing.T) {
	src, _, public := honest(t)
	f := export(t, src, Range{Log: "acme", Keys: []string{public}})
	for name := range f {
		c := f.clone()
		delete(c, name)
		if r := c.check(Options{Key: public}); r.Code == OK {
			t.Errorf("%s is gone and nobody says so", name)
		}
		c["renamed"] = f[name]
		if r := c.check(Options{Key: public}); r.Code == OK {
			t.Errorf("%s was renamed and nobody says so", name)
		}
	}
	c := f.clone()
	c["records-000000000100.bin"] = f[recordsName(0)]
	if r := c.check(Options{Key: public}); r.Code == OK {
		t.Error("a file more and nobody says so")
	}
	if _, code := Files([]string{t.TempDir()}, Options{}); code != Unreadable {
		t.Errorf("an empty folder: code %d", code)
	}
}

// An erased record keeps its place: length 0 and its leaf hash.
func TestAnErasedRecordIsProvedByItsHash(t *testing.T) {
	src, _, public := honest(t)
	f := export(t, src, Range{Log: "acme", Keys: []string{public}})
	m, err := readManifest(f["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	var entries []byte
	for i, b := range src.leaves {
		leaf := record.Leaf{Bytes: b}
		if i == 30 {
			leaf = record.Leaf{Erased: record.LeafHash(b)}
		}
		entries = record.AppendEntry(entries, leaf)
	}
	f[recordsName(0)] = entries
	if r := f.rehash(t, m).check(Options{Key: public}); r.Code != OK || !strings.Contains(r.Text(), "1 of them were erased") {
		t.Error(r.Text())
	}
	i := bytes.Index(f[recordsName(0)], append([]byte{0, 0}, make([]byte, 0)...))
	f[recordsName(0)][i+2] ^= 1
	if r := f.rehash(t, m).check(Options{Key: public}); r.Code != Failed {
		t.Errorf("another hash in the place of an erased record:\n%s", r.Text())
	}
}

// A witness's signature under a name of its own is no obstacle; one under the log's
// name that no key of the log made is.
func TestAWitnessMaySign(t *testing.T) {
	src, _, public := honest(t)
	f := export(t, src, Range{Log: "acme", Keys: []string{public}})
	m, err := readManifest(f["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"witness.example/w": OK, origin: Failed} {
		s, _ := key(t, name, "witness")
		text, _, _ := strings.Cut(string(f["checkpoint.txt"]), "\n\n")
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, s)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(string(signed), "\n\n")
		c := f.clone()
		c["checkpoint.txt"] = append(c["checkpoint.txt"], line...)
		if r := c.rehash(t, m).check(Options{Key: public}); r.Code != want {
			t.Errorf("signed by %s too: code %d, want %d\n%s", name, r.Code, want, r.Text())
		}
	}
}

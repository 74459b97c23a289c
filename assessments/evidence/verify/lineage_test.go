package verify

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// forkOfHonest is the second generation of a log of 100 leaves, and its key. What the
// record of the fork says of 60 kept leaves may be changed.
func forkOfHonest(t testing.TB, first *forger, change func(f *record.Forked)) (*forger, string) {
	t.Helper()
	reason := "the disk broke"
	f := &record.Forked{OldOrigin: origin, Size: 100, Root: first.subtree(0, 100), Found: 60, Reason: sha256.Sum256([]byte(reason)), Kept: first.subtree(0, 60), Why: reason}
	if change != nil {
		change(f)
	}
	s, public := key(t, "test/acme/2", "second")
	second := newForger("test/acme/2", s)
	second.add(t, record.LedgerForked, f)
	second.exchanges(t, 20)
	second.sign(t, 21)
	return second, public
}

// knownLogs is a file of known logs with heads of a log.
func knownLogs(t testing.TB, public string, heads ...record.Checkpoint) string {
	t.Helper()
	k := known{Key: public}
	for _, cp := range heads {
		k.Heads = append(k.Heads, head{cp.Size, tlog.Hash(cp.Root).String(), string(cp.Note)})
	}
	b, err := json.Marshal(map[string]known{heads[0].Origin: k})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "known.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a verifier is told of a fork who has seen nothing before, who holds a checkpoint
// of the generation before, and who remembers heads of it: in exports and documents
// alike. No loss is passed over in silence.
func TestAForkIsSetAgainstWhatWasSeenBefore(t *testing.T) {
	first, _, public := honest(t)
	grown := first.clone()
	grown.exchanges(t, 20)
	other := newForger(origin, first.signers...)
	other.exchanges(t, 1)
	other.exchanges(t, 99) // other records than those of honest
	said := `the log was forked: test/acme/2 began on 2026-09-21 14:13 UTC, because 60 leaves of test/acme/1 were there; leaves [60, 100) of it are missing. Reason: "the disk broke"`
	unknown := func(f *record.Forked) { f.Size, f.Root = f.Found, f.Kept }
	overwritten := func(f *record.Forked) { f.Found, f.Kept = 110, other.subtree(0, 100) }
	for _, c := range []struct {
		name   string
		change func(f *record.Forked)
		head   record.Checkpoint // given, or remembered
		given  int
		seen   int
		says   string
	}{
		{"all that was kept", nil, first.sign(t, 60), OK, OK, "were kept"},
		{"some of what is missing", nil, first.sign(t, 80), Failed, OK, "the last 20 are lost, which the record of the fork says"},
		{"all that is missing", nil, first.sign(t, 100), Failed, OK, "the last 40 are lost, which the record of the fork says"},
		{"less than was kept", nil, first.sign(t, 30), Failed, OK, "30"},
		{"more than the fork knows", nil, grown.sign(t, 120), Failed, Failed, "leaves [60, 120) are lost, and the record of the fork does not say so"},
		{"more than the fork owns up to", unknown, first.sign(t, 61), Failed, Failed, "leaves [60, 61) are lost, and the record of the fork does not say so"},
		{"all that the fork owns up to", unknown, first.sign(t, 60), OK, OK, "were kept"},
		{"another tree of what was kept", nil, other.sign(t, 60), Failed, Failed, "two different trees of 60 leaves"},
		{"another tree of what is missing", nil, other.sign(t, 100), Failed, Failed, "two different trees of 100 leaves"},
		{"what was written over", overwritten, first.sign(t, 100), Failed, OK, "does not go on from"},
		{"more than was written over", overwritten, grown.sign(t, 120), Failed, Failed, "does not say so"},
	} {
		second, public2 := forkOfHonest(t, first, c.change)
		paper := issue(t, second.clone(), []string{public2}, nil, []uint64{3}, nil)
		f := export(t, second, Range{Log: "acme", From: 5, To: 15, Keys: []string{public2}})
		for _, how := range []struct {
			name string
			o    func() Options // a file of known logs is written to
			want int
		}{
			{"given", func() Options { return Options{Key: public2, Checkpoint: string(c.head.Note)} }, c.given},
			{"given, its key known", func() Options {
				return Options{Checkpoint: string(c.head.Note), Store: knownLogs(t, public, first.sign(t, 60))}
			}, c.given},
			{"remembered", func() Options { return Options{Store: knownLogs(t, public, c.head)} }, c.seen},
		} {
			for kind, r := range map[string]Result{"export": f.check(how.o()), "document": paper.check(t, ".pdf", how.o())} {
				if r.Code != how.want || !strings.Contains(r.Text(), c.says) {
					t.Errorf("%s, %s, %s: code %d, want %d with %q:\n%s", c.name, how.name, kind, r.Code, how.want, c.says, r.Text())
				}
				if c.change == nil && !strings.Contains(r.Text(), said) {
					t.Errorf("%s, %s, %s: when and why is not said:\n%s", c.name, how.name, kind, r.Text())
				}
			}
		}
	}
	second, public2 := forkOfHonest(t, first, nil)
	if r := export(t, second, Range{Log: "acme", Keys: []string{public2}}).check(Options{}); r.Code != OK || !strings.Contains(r.Text(), said) {
		t.Errorf("to somebody who saw nothing before:\n%s", r.Text())
	}
	// A checkpoint whose signature is another's is no checkpoint of the log.
	_, stranger := key(t, origin, "stranger")
	if r := export(t, second, Range{Log: "acme", Keys: []string{public2}}).check(Options{Checkpoint: string(first.sign(t, 60).Note), Store: knownLogs(t, stranger, first.sign(t, 60))}); r.Code != Failed || !strings.Contains(r.Text(), "not signed by the log's key") {
		t.Errorf("a checkpoint that another key signed:\n%s", r.Text())
	}
}

// A prover who would rather not speak of the fork.
func TestAForkCannotBeHiddenOrInvented(t *testing.T) {
	first, _, public := honest(t)
	store := func() string { return knownLogs(t, public, first.sign(t, 80)) }
	second, public2 := forkOfHonest(t, first, nil)
	whole := export(t, second, Range{Log: "acme", Keys: []string{public2}})
	with := func(change func(m *Manifest)) folder {
		c := whole.clone()
		m, err := readManifest(c["manifest.json"])
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		return c.rehash(t, m)
	}
	omitted := with(func(m *Manifest) { m.Fork = nil })
	for name, o := range map[string]Options{"remembered": {Store: store()}, "given": {Checkpoint: string(first.sign(t, 80).Note)}} {
		if r := omitted.check(o); r.Code != Failed || !strings.Contains(r.Text(), "without the record that says why") {
			t.Errorf("the record of the fork is left out, %s:\n%s", name, r.Text())
		}
	}
	if r := omitted.check(Options{}); r.Code != OK || !strings.Contains(r.Text(), "the log was forked: this is test/acme/2") {
		t.Errorf("the record of the fork is left out, nothing known:\n%s", r.Text())
	}
	another := func(change func(f *record.Forked)) *Proven {
		liar, _ := forkOfHonest(t, first, change)
		p, err := forkOf(t.Context(), liar, "acme", liar.sign(t, 21))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	later, err := prove(t.Context(), second, "acme", record.Leaf{Index: 1, Bytes: second.leaves[1]}, 21)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Proven{
		"of another tree":            another(func(f *record.Forked) { f.Found, f.Kept = 80, first.subtree(0, 80) }),
		"not the first record":       &later,
		"with an id":                 {ID: "E-1", Leaf: 0, Bytes: second.leaves[0], Proof: mustProve(t, second).Proof},
		"whose proof is another's":   {Leaf: 0, Bytes: second.leaves[0], Proof: later.Proof},
		"whose leaf is said wrongly": {Leaf: 1, Bytes: second.leaves[0], Proof: mustProve(t, second).Proof},
	} {
		if r := with(func(m *Manifest) { m.Fork = p }).check(Options{}); r.Code != Failed || !strings.Contains(r.Text(), "record of the fork") {
			t.Errorf("a record %s:\n%s", name, r.Text())
		}
	}
	for name, change := range map[string]func(f *record.Forked){
		"of another log":           func(f *record.Forked) { f.OldOrigin = "test/other/1" },
		"of no earlier generation": func(f *record.Forked) { f.OldOrigin = "test/acme/2" },
		"of another reason":        func(f *record.Forked) { f.Why = "none" },
	} {
		liar, k := forkOfHonest(t, first, change)
		if r := export(t, liar, Range{Log: "acme", Keys: []string{k}}).check(Options{}); r.Code != Failed || !strings.Contains(r.Text(), "the record of the fork names") {
			t.Errorf("the record %s:\n%s", name, r.Text())
		}
	}
	// A second record of a fork, which owns up to more, further on.
	twice := second.clone()
	at := twice.add(t, record.LedgerForked, &record.Forked{OldOrigin: origin, Size: 120, Found: 119})
	twice.sign(t, at+1)
	c := export(t, twice, Range{Log: "acme", Keys: []string{public2}})
	mt, err := readManifest(c["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	better, err := prove(t.Context(), twice, "acme", record.Leaf{Index: at, Bytes: twice.leaves[at]}, at+1)
	if err != nil {
		t.Fatal(err)
	}
	mt.Fork = &better
	if r := c.rehash(t, mt).check(Options{}); r.Code != Failed || !strings.Contains(r.Text(), "not the first of its generation") {
		t.Errorf("a second record of a fork:\n%s", r.Text())
	}
	// A first generation was not forked from anything.
	m := export(t, first, Range{Log: "acme", Keys: []string{public}})
	man, err := readManifest(m["manifest.json"])
	if err != nil {
		t.Fatal(err)
	}
	man.Fork = mustProve(t, second)
	if r := m.rehash(t, man).check(Options{}); r.Code != Failed {
		t.Errorf("a first generation with the record of a fork:\n%s", r.Text())
	}
	// The old generation, which its owner went on with.
	if r := m.check(Options{Store: knownLogs(t, public2, second.sign(t, 21))}); !strings.Contains(r.Text(), "the log was forked since: test/acme/2 was seen before") {
		t.Errorf("the old generation, to somebody who knows the new one:\n%s", r.Text())
	}
	// A document without its proof file carries no record of the fork.
	p := issue(t, second, []string{public2}, nil, []uint64{3}, nil)
	p.proof = nil
	if r := p.check(t, ".pdf", Options{}); r.Code != NotChecked || !strings.Contains(r.Text(), "the log was forked") {
		t.Errorf("without the proof file:\n%s", r.Text())
	}
	if r := p.check(t, ".pdf", Options{Checkpoint: string(first.sign(t, 60).Note)}); r.Code != Failed {
		t.Errorf("without the proof file, a checkpoint given:\n%s", r.Text())
	}
	// A generation whose fork says nothing of what was kept, as those of before did.
	old, k := forkOfHonest(t, first, func(f *record.Forked) { f.Kept, f.Why = [32]byte{}, "" })
	if r := export(t, old, Range{Log: "acme", Keys: []string{k}}).check(Options{Store: store()}); r.Code != OK || !strings.Contains(r.Text(), "Its reason is on record as a hash alone") {
		t.Errorf("a fork of before:\n%s", r.Text())
	}
	// Two forks later.
	third := newForger("test/acme/3", second.signers...)
	s3, k3 := key(t, "test/acme/3", "third")
	third.signers = third.signers[:0]
	third.signers = append(third.signers, s3)
	third.add(t, record.LedgerForked, &record.Forked{OldOrigin: "test/acme/2", Size: 21, Root: second.subtree(0, 21), Found: 21, Kept: second.subtree(0, 21)})
	third.sign(t, 1)
	if r := export(t, third, Range{Log: "acme", Keys: []string{k3}}).check(Options{Checkpoint: string(first.sign(t, 60).Note)}); r.Code != Failed || !strings.Contains(r.Text(), "generations between") {
		t.Errorf("a checkpoint of two generations before:\n%s", r.Text())
	}
}

func mustProve(t testing.TB, f *forger) *Proven {
	t.Helper()
	p, err := forkOf(t.Context(), f, "acme", f.seen[21])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

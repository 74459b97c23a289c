package evidence

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// restored is what somebody has who put a whole older copy in the place of a ledger:
// acme's log ends at the leaves returned, which nothing beside it contradicts, and a
// checkpoint of more leaves is elsewhere. The last leaves of the copy are not signed.
func restored(t *testing.T, c Config) (old Config, leaves uint64, elsewhere []byte) {
	t.Helper()
	l := open(t, c)
	submit(t, l, intent(t))
	if _, err := l.SignNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	copies, err := os.ReadFile(l.copyPath("acme"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close(t.Context())
	c.Checkpoint = 1 << 40
	l = open(t, c)
	submit(t, l, intent(t))
	leaves = l.Size("acme")
	abandon(l) // durable, and not signed
	old = c
	old.Dir = t.TempDir()
	if c.Postgres != "" {
		old.Postgres = copyDatabase(t, c.Postgres)
	} else {
		b, err := os.ReadFile(filepath.Join(c.Dir, "ledger.db"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old.Dir, "ledger.db"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(old.Dir, "checkpoints"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old.Dir, "checkpoints", "acme.txt"), copies, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Read(t.Context(), old); err != nil {
		t.Fatal(err)
	} else if cp, err := r.Checkpoint(t.Context(), "acme"); err != nil || cp.Size >= leaves || cp.Size == 0 {
		t.Fatalf("%d of %d leaves of the copy are signed, %v", cp.Size, leaves, err)
	} else {
		r.Close(t.Context())
	}
	l = open(t, c)
	for range 5 {
		submit(t, l, intent(t))
	}
	cp, err := l.SignNow(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	l.Close(t.Context())
	return old, leaves, cp.Note
}

func forkRecord(t *testing.T, l *Ledger, log string) *record.Forked {
	t.Helper()
	f, ok := records(t, l, log)[0].Body.(*record.Forked)
	if !ok {
		t.Fatalf("the log of %q does not begin with the record of a fork", log)
	}
	return f
}

// keptHead is the newest checkpoint of an old generation, as a reader finds it.
func keptHead(t *testing.T, c Config, log string, generation uint64) record.Checkpoint {
	t.Helper()
	l, err := ReadGeneration(t.Context(), c, log, generation)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	cp, err := l.Checkpoint(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Verify(t.Context(), log); err != nil || n != cp.Size {
		t.Errorf("generation %d: %d leaves hold, %v", generation, n, err)
	}
	return cp
}

// A copy that Backup made is read, and written to by nobody until it is declared, whether
// the declaration is broken off or not; then it is as any other ledger. One of which
// nothing was signed since needs its mark taken away alone.
func TestACopyIsDeclared(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	submit(t, l, intent(t))
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := l.Backup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	l.Close(t.Context())
	c.Dir = first
	mark := filepath.Join(first, copyMark)
	refused := func(err error) {
		t.Helper()
		var copied *Copied
		if !errors.As(err, &copied) || copied.Mark != mark || !strings.Contains(err.Error(), "plumbline ledger fork --restored --reason") {
			t.Errorf("a copy: %v", err)
		}
	}
	for range 2 {
		_, err := Open(t.Context(), c)
		refused(err)
	}
	_, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "drill"})
	refused(err)
	if text, err := os.ReadFile(mark); err != nil || !strings.Contains(string(text), "plumbline ledger fork --restored") {
		t.Errorf("the copy says %s, %v", text, err)
	}
	forked, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "the disk broke", Restored: true})
	if err != nil || len(forked) != 2 {
		t.Fatalf("%+v, %v", forked, err)
	}
	if err := os.WriteFile(mark, []byte("broken off before it was taken away"), 0o600); err != nil {
		t.Fatal(err)
	}
	if forked, err = Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "the disk broke", Restored: true}); err != nil || len(forked) != 0 {
		t.Fatalf("forked twice: %+v, %v", forked, err)
	}
	again := open(t, c)
	submit(t, again, intent(t))
	if _, err := again.Verify(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
	c.Dir = second
	if err := os.Remove(filepath.Join(second, copyMark)); err != nil {
		t.Fatal(err)
	}
	submit(t, open(t, c), intent(t))
}

// A restored copy is declared with what others have seen, or without it. The new
// generation names what was kept, to the last durable leaf, under a checkpoint of the
// old key, and the old generation can be read.
func TestARestoredCopyIsDeclared(t *testing.T) {
	for _, name := range []string{"seen", "not known"} {
		t.Run(name, func(t *testing.T) {
			backends(t, func(t *testing.T, c Config) {
				old, leaves, elsewhere := restored(t, c)
				if forked, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "drill"}); err != nil || len(forked) != 0 {
					t.Fatalf("forked %+v, %v", forked, err)
				}
				_, size, root, err := parseCheckpoint(elsewhere)
				if err != nil {
					t.Fatal(err)
				}
				o := ForkOptions{Actor: "p1", Reason: "the disk broke", Seen: [][]byte{elsewhere}}
				if name == "not known" {
					o.Seen, o.Restored = nil, true
				}
				forked, err := Fork(t.Context(), old, o)
				if err != nil || len(forked) != 2 || forked[0].NewOrigin != "test/_instance/2" || forked[1].NewOrigin != "test/acme/2" {
					t.Fatalf("forked %+v, %v", forked, err)
				}
				if again, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "again", Restored: true}); err != nil || len(again) != 0 {
					t.Errorf("forked twice: %+v, %v", again, err)
				}
				l := open(t, old)
				f := forkRecord(t, l, "acme")
				kept := keptHead(t, old, "acme", 1)
				if kept.Size != leaves || f.Found != leaves || f.Kept != kept.Root || f.Why != o.Reason || f.OldOrigin != "test/acme/1" || f.Rewritten() {
					t.Errorf("the fork names %+v; %d leaves were there", f, leaves)
				}
				if o.Restored && (f.Size != f.Found || f.Root != f.Kept) || !o.Restored && (f.Size != size || f.Root != root) {
					t.Errorf("the newest checkpoint known: %+v", f)
				}
				submit(t, l, intent(t))
				if _, err := l.Verify(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
				all, err := l.Generations(t.Context(), "acme")
				if err != nil || len(all) != 2 || all[0].To != leaves || all[0].Signed != leaves || all[1].After.Reason != o.Reason || len(all[0].Keys) != 1 || all[0].Keys[0].Verifier == all[1].Keys[0].Verifier {
					t.Errorf("generations %+v, %v", all, err)
				}
				if keptHead(t, old, "acme", 1).Size != leaves {
					t.Error("the old generation grew")
				}
				if _, err := ReadGeneration(t.Context(), old, "acme", 3); !errors.Is(err, ErrNoGeneration) {
					t.Errorf("generation 3: %v", err)
				}
				if _, err := ReadGeneration(t.Context(), old, "nobody", 1); !errors.Is(err, ErrNoLog) {
					t.Errorf("a log of nobody: %v", err)
				}
			})
		})
	}
}

// What was open in the copy is closed in the new generation, once, charged at its hold,
// also a batch; the next start finds nothing open. A second fork of a log in which a
// writer has started goes on from there.
func TestAForkClosesWhatWasOpen(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		done := intent(t)
		submit(t, l, done)
		submit(t, l, outcome(done))
		lost, batch := intent(t), intent(t)
		batch.Endpoint, batch.Deadline = "batches.create", batch.At+(26*time.Hour).Microseconds()
		if !event.Lasts(batch) {
			t.Fatal("a batch is closed by a start")
		}
		submit(t, l, lost)
		submit(t, l, batch)
		abandon(l)
		o := ForkOptions{Actor: "p1", Reason: "the disk broke", Restored: true}
		if forked, err := Fork(t.Context(), c, o); err != nil || len(forked) != 2 {
			t.Fatalf("forked %+v, %v", forked, err)
		}
		if forked, err := Fork(t.Context(), c, o); err != nil || len(forked) != 0 {
			t.Fatalf("forked again %+v, %v", forked, err)
		}
		l = open(t, c)
		if len(l.Lasting()) != 0 {
			t.Errorf("%d are open for long", len(l.Lasting()))
		}
		charged := map[ident.ID]int64{}
		for _, r := range records(t, l, "acme") {
			if e, ok := r.Body.(*event.Event); ok {
				if _, twice := charged[e.Exchange]; twice || e.Kind != event.Incomplete || e.Charge != e.Held {
					t.Errorf("record %+v", e)
				}
				charged[e.Exchange] = int64(e.Charge)
			}
		}
		if want := int64(lost.Holds[0].Amount); len(charged) != 2 || charged[lost.Exchange] != want || charged[batch.Exchange] != want {
			t.Errorf("charged %v", charged)
		}
		l.Close(t.Context())
		if forked, err := Fork(t.Context(), c, o); err != nil || len(forked) != 2 || forked[1].NewOrigin != "test/acme/3" {
			t.Errorf("forked later %+v, %v", forked, err)
		}
	})
}

// The copy was started before anybody noticed: its leaves are not those that others
// saw. That too is declared, and said.
func TestARestoredCopyThatWasWrittenToIsDeclared(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		old, _, elsewhere := restored(t, c)
		l := open(t, old)
		for range 20 {
			submit(t, l, intent(t))
		}
		l.Close(t.Context())
		forked, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "nobody noticed", Seen: [][]byte{elsewhere}})
		if err != nil || len(forked) != 2 || !forked[1].Rewritten || forked[0].Rewritten {
			t.Fatalf("forked %+v, %v", forked, err)
		}
		_, size, root, _ := parseCheckpoint(elsewhere)
		if f := forkRecord(t, open(t, old), "acme"); f.Size != size || f.Root != root || f.Found <= size || !f.Rewritten() {
			t.Errorf("the fork names %+v", f)
		}
	})
}

// The newer head came into the place of the copy that is kept outside: the copy that
// was written to does not start, and forks when it is declared.
func TestARewrittenLedgerDoesNotStartButIsDeclared(t *testing.T) {
	c := testConfig(t)
	old, _, elsewhere := restored(t, c)
	l := open(t, old)
	for range 20 {
		submit(t, l, intent(t))
	}
	l.Close(t.Context())
	if err := os.WriteFile(l.copyPath("acme"), elsewhere, 0o600); err != nil {
		t.Fatal(err)
	}
	var rewritten *Rewritten
	if _, err := Open(t.Context(), old); !errors.As(err, &rewritten) || !strings.Contains(err.Error(), "--restored") {
		t.Fatalf("it started, or says %v", err)
	}
	if _, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "drill"}); !errors.As(err, &rewritten) {
		t.Errorf("forked without a word of a restored copy: %v", err)
	}
	if forked, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "nobody noticed", Restored: true}); err != nil || len(forked) != 2 || !forked[1].Rewritten {
		t.Errorf("forked %+v, %v", forked, err)
	}
}

// What may not be given as seen: each is refused, says why, and changes nothing.
func TestWhatIsNotSeen(t *testing.T) {
	c := testConfig(t)
	old, _, elsewhere := restored(t, c)
	resigned := bytes.Replace(elsewhere, []byte("\n\n"), []byte("\nmore\n\n"), 1)
	own, err := os.ReadFile(filepath.Join(old.Dir, "checkpoints", "acme.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct {
		seen []byte
		says string
	}{
		"no checkpoint":      {[]byte("hello"), "not a checkpoint"},
		"another instance":   {bytes.ReplaceAll(elsewhere, []byte("test/acme/1"), []byte("west/acme/1")), "of the instance test"},
		"a signature is not": {resigned, "no key that this ledger has of test/acme/1"},
		"nothing is missing": {own, "--restored"},
		"no log's name":      {bytes.ReplaceAll(elsewhere, []byte("test/acme/1"), []byte("test/acme")), "origin"},
	} {
		if _, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "x", Seen: [][]byte{o.seen}}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), o.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, reason := range []string{"", " ", "two\nlines", strings.Repeat("x", 1001), "\xff"} {
		if _, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: reason, Restored: true}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("reason %q: %v", reason, err)
		}
	}
	l := open(t, old)
	if g, _ := l.Generation("acme"); g != 1 {
		t.Errorf("generation %d", g)
	}
	l.Close(t.Context())
	if _, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "x", Seen: [][]byte{elsewhere}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Fork(t.Context(), old, ForkOptions{Actor: "p1", Reason: "x", Seen: [][]byte{elsewhere}}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "has forked since") {
		t.Errorf("seen again, of the generation before: %v", err)
	}
}

// Broken off at any write, a fork is called again and ends as one: no log has two new
// generations, and none is left out.
func TestAForkThatIsBrokenOffIsCalledAgain(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		for _, point := range []string{PointLog, PointLogDone, PointCheckpoint, PointCheckpointDone, PointCopy, PointCopyDone} {
			for nth := int32(1); nth <= 3; nth++ {
				c := c
				c.Dir = t.TempDir()
				if c.Postgres != "" {
					c.Postgres = postgresSchema(t)
				}
				l := open(t, c)
				submit(t, l, intent(t))
				abandon(l)
				breaking := c
				var calls atomic.Int32
				breaking.Hook = func(p string) error {
					if p == point && calls.Add(1) == nth {
						return errors.New("disk I/O error (planted)")
					}
					return nil
				}
				o := ForkOptions{Actor: "p1", Reason: "the disk broke", Restored: true}
				_, err := Fork(t.Context(), breaking, o)
				if (err == nil) != (calls.Load() < nth) {
					t.Errorf("%s, %d: %v", point, nth, err)
				}
				if _, err := Fork(t.Context(), c, o); err != nil {
					t.Errorf("%s, %d, again: %v", point, nth, err)
				}
				l = open(t, c)
				for _, log := range []string{Instance, "acme"} {
					if g, _ := l.Generation(log); g != 2 {
						t.Errorf("%s, %d: log %q is at generation %d", point, nth, log, g)
					}
					if f := forkRecord(t, l, log); f.Found != keptHead(t, c, log, 1).Size {
						t.Errorf("%s, %d: %+v", point, nth, f)
					}
				}
				l.Close(t.Context())
			}
		}
	})
}

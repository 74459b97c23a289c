package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"plumbline/assessments/evidence/record"
)

// removeLedger is what a disk that was changed leaves: the copies of checkpoints,
// and no database.
func removeLedger(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "ledger.db*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no ledger in %s: %v", dir, err)
	}
	for _, f := range found {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

// A log whose database is gone does not begin again under its old name; a fork names
// all of it as missing.
func TestLostDatabaseDoesNotStartButForks(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	for range 3 {
		submit(t, l, intent(t))
	}
	l.Close(t.Context())
	kept, err := os.ReadFile(l.copyPath("acme"))
	if err != nil {
		t.Fatal(err)
	}
	removeLedger(t, c.Dir)
	var behind *Behind
	if _, err := Open(t.Context(), c); !errors.As(err, &behind) || behind.Found != 0 || behind.Known == 0 {
		t.Fatalf("a ledger without its database started: %v", err)
	}
	if now, err := os.ReadFile(l.copyPath("acme")); err != nil || string(now) != string(kept) {
		t.Fatalf("the checkpoint outside was changed by a start that was refused: %v", err)
	}
	c.Instance = "renamed" // the name is that of what was lost
	forked, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "the disk was changed"})
	if err != nil || len(forked) != 2 {
		t.Fatalf("forked %+v, %v", forked, err)
	}
	l = open(t, c)
	if origin, _ := l.Origin("acme"); origin != "test/acme/2" {
		t.Errorf("origin %s", origin)
	}
	if b, ok := records(t, l, "acme")[0].Body.(*record.Forked); !ok || b.OldOrigin != "test/acme/1" || b.Found != 0 || b.Size == 0 {
		t.Errorf("first record of the new generation: %+v", b)
	}
	submit(t, l, intent(t))
	if _, err := l.Verify(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

// A database of before a fork does not start beside the checkpoint of after it.
func TestDatabaseOfBeforeAForkDoesNotStart(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	submit(t, l, intent(t))
	l.Close(t.Context())
	first, err := os.ReadFile(filepath.Join(c.Dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	removeLedger(t, c.Dir)
	if _, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "lost"}); err != nil {
		t.Fatal(err)
	}
	removeLedger(t, c.Dir)
	if err := os.WriteFile(filepath.Join(c.Dir, "ledger.db"), first, 0o600); err != nil {
		t.Fatal(err)
	}
	var behind *Behind
	if _, err := Open(t.Context(), c); !errors.As(err, &behind) {
		t.Fatalf("the first generation started beside a checkpoint of the second: %v", err)
	}
	if forked, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "the old one came back"}); err != nil || len(forked) != 2 || forked[0].NewOrigin != "test/_instance/3" {
		t.Fatalf("forked %+v, %v", forked, err)
	}
}

// The name of an instance never changes, whatever is configured later.
func TestInstanceKeepsItsName(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	l.Close(t.Context())
	c.Instance = "renamed"
	l = open(t, c)
	if err := l.CreateLog(t.Context(), "west"); err != nil {
		t.Fatal(err)
	}
	if origin, _ := l.Origin("west"); origin != "test/west/1" {
		t.Errorf("a log of the same instance is called %s", origin)
	}
}

package evidence

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
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

// A newer version wrote a record with a field that this one does not know, and an older
// one is started on it. It says so, writes nothing, and what was open in the records that
// it cannot read is still closed by a version that can.
func TestATailOfANewerVersionIsLeftAsItIs(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		c.Checkpoint = 1 << 40
		l := open(t, c)
		submit(t, l, intent(t))
		abandon(l)
		st := &store{c: c, pg: c.Postgres != ""}
		if err := st.openReader(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer st.close()
		rows := func(table string) (n int) {
			t.Helper()
			if err := st.db.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		var first, leaves uint64
		var data []byte
		if err := st.db.QueryRow(`SELECT first_leaf, leaves, data FROM ledger_groups WHERE log = 'acme' ORDER BY first_leaf DESC LIMIT 1`).Scan(&first, &leaves, &data); err != nil {
			t.Fatal(err)
		}
		leaf, _, err := record.CutEntry(data, first)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Decode(leaf.Bytes)
		if err != nil || r.Kind != record.ExchangeIntent {
			t.Fatalf("%+v, %v", r, err)
		}
		// The body is the last entry of the record, so that a field at its end is one at
		// the end of the record's bytes: 1000: 1.
		at := bytes.LastIndexByte(leaf.Bytes, 0x0a) + 1
		for ; leaf.Bytes[at] < 0xa0 || leaf.Bytes[at] >= 0xb7; at = bytes.LastIndexByte(leaf.Bytes[:at-1], 0x0a) + 1 {
		}
		newer := bytes.Clone(leaf.Bytes)
		newer[at]++
		newer = append(newer, 0x19, 0x03, 0xe8, 0x01)
		if r, err := record.Decode(newer); err != nil {
			t.Fatal(err)
		} else if _, ok := r.Body.(record.Opaque); !ok {
			t.Fatalf("%+v", r)
		}
		if _, err := st.db.Exec(st.q(`INSERT INTO ledger_groups (log, generation, first_leaf, leaves, data) VALUES ('acme', 1, ?, 1, ?)`), first+leaves, record.AppendEntry(nil, record.Leaf{Bytes: newer})); err != nil {
			t.Fatal(err)
		}
		groups, checkpoints := rows("ledger_groups"), rows("ledger_checkpoints")
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "that a newer version wrote: run that version") {
			t.Fatalf("it started, or says %v", err)
		}
		if g, n := rows("ledger_groups"), rows("ledger_checkpoints"); g != groups || n != checkpoints {
			t.Errorf("a start that was refused wrote %d groups and %d checkpoints", g-groups, n-checkpoints)
		}
		// To a reader it is a record like any other.
		reader, err := Read(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if n := reader.Size("acme"); n != first+leaves+1 {
			t.Errorf("%d leaves", n)
		}
		reader.Close(t.Context())
		// The newer version comes back; here its record is taken away instead.
		if _, err := st.db.Exec(st.q(`DELETE FROM ledger_groups WHERE log = 'acme' AND first_leaf = ?`), first+leaves); err != nil {
			t.Fatal(err)
		}
		l = open(t, c)
		if n := count(records(t, l, "acme"), record.ExchangeIncomplete); n != 1 {
			t.Errorf("%d open exchanges were closed", n)
		}
	})
}

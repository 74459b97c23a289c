package evidence

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// Each organisation has a log of its own, and the instance one: own origin, own key,
// dense leaves, nobody else's records.
func TestOneLogForEachOrganisationAndOneForTheInstance(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		orgs := []string{"acme", "harbour", "west"}
		for _, org := range orgs {
			if err := l.CreateLog(t.Context(), org); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for _, org := range orgs {
			wg.Go(func() {
				for range 40 {
					e := intent(t)
					e.Log, e.System = org, "SYS-of-"+org
					submit(t, l, e)
				}
			})
		}
		wg.Wait()
		if logs := l.Logs(); len(logs) != 4 || logs[0] != Instance {
			t.Errorf("logs %q", logs)
		}
		keys := map[string]bool{}
		for _, org := range orgs {
			n := 0
			for _, r := range records(t, l, org) { // which are dense, or records fails
				if e, ok := r.Body.(*event.Event); ok {
					n++
					if e.System != "SYS-of-"+org {
						t.Errorf("the log of %s has a record of %s", org, e.System)
					}
				}
			}
			k, err := l.VerifierKeys(org)
			if err != nil || n != 40 {
				t.Errorf("%s has %d exchanges (%v)", org, n, err)
			}
			keys[k[0].Verifier] = true
			if o, _ := l.Origin(org); o != "test/"+org+"/1" {
				t.Errorf("origin %s", o)
			}
		}
		if len(keys) != 3 {
			t.Error("organisations share a key")
		}
		if _, err := l.Submit(&event.Event{Kind: event.Intent, Log: "nobody"}); !errors.Is(err, ErrNoLog) {
			t.Errorf("a record for an organisation without a log: %v", err)
		}
	})
}

// The embedded ledger is a file of its own in WAL mode with synchronous=FULL, on
// every connection.
func TestSQLiteIsDurable(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	if _, err := os.Stat(filepath.Join(c.Dir, "ledger.db")); err != nil {
		t.Fatal(err)
	}
	for name, pool := range map[string]*sql.DB{"writer": l.store.db, "readers": l.store.read} {
		for range 3 {
			pool.SetConnMaxLifetime(time.Nanosecond) // a connection of its own each time
			var mode string
			var synchronous int
			if err := pool.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
				t.Fatal(err)
			}
			if err := pool.QueryRow("PRAGMA synchronous").Scan(&synchronous); err != nil {
				t.Fatal(err)
			}
			if mode != "wal" || synchronous != 2 {
				t.Errorf("%s: journal_mode=%s, synchronous=%d; want wal and 2 (FULL)", name, mode, synchronous)
			}
		}
	}
	if n := l.store.db.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections may write", n)
	}
}

// Logs and keys are made in one write each: when it fails nothing is there, when it
// is reported failed all of it is, and trying again ends in one of them.
func TestLogsAndKeysMayFailToBeWritten(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		for _, point := range []string{PointLog, PointLogDone, PointKey, PointKeyDone} {
			t.Run(point, func(t *testing.T) {
				c := c
				c.Dir = t.TempDir()
				if c.Postgres != "" {
					c.Postgres = postgresSchema(t)
				}
				var failures atomic.Int32
				c.Hook = func(p string) error {
					if p == point && failures.Load() > 0 && failures.Add(-1) >= 0 {
						return errors.New("disk I/O error (planted)")
					}
					return nil
				}
				l := open(t, c)
				failures.Store(1)
				err := l.CreateLog(t.Context(), "west")
				if strings.HasPrefix(point, "log") && err == nil {
					t.Fatal("the failure went unseen")
				}
				if err != nil {
					if strings.HasSuffix(point, "after commit") { // and the process dies there
						abandon(l)
						l = open(t, c)
					}
					if err := l.CreateLog(t.Context(), "west"); err != nil {
						t.Fatal(err)
					}
				}
				_, err = l.Rotate(t.Context(), "west", "p1")
				if strings.HasPrefix(point, "key") && err == nil {
					t.Fatal("the failure went unseen")
				}
				if err != nil {
					abandon(l)
					l = open(t, c)
					if point == PointKey { // nothing was written: rotate again
						if _, err := l.Rotate(t.Context(), "west", "p1"); err != nil {
							t.Fatal(err)
						}
					}
				}
				checkOneRotation(t, l, "west")
			})
		}
	})
}

// checkOneRotation: one record names the new key, both keys sign, and the old one
// signed a checkpoint that has the record.
func checkOneRotation(t *testing.T, l *Ledger, log string) {
	t.Helper()
	rotations, err := l.Rotations(t.Context(), log)
	keys, err2 := l.VerifierKeys(log)
	if err = errors.Join(err, err2); err != nil || len(rotations) != 1 || len(keys) != 2 {
		t.Fatalf("%d rotations, %d keys (%v)", len(rotations), len(keys), err)
	}
	rs := records(t, l, log)
	body, ok := rs[rotations[0]].Body.(*record.Rotated)
	if n := count(rs, record.LedgerRotated); n != 1 || !ok || body.Old != keys[0].Verifier || body.Verifier != keys[1].Verifier {
		t.Errorf("%d rotations on record: %+v", n, body)
	}
	cp, err := l.CheckpointAfter(t.Context(), log, rotations[0])
	if err != nil || bytes.Count(cp.Note, []byte("\n— ")) != 2 {
		t.Errorf("the checkpoint over it (%v):\n%s", err, cp.Note)
	}
	if _, err := l.Verify(t.Context(), log); err != nil {
		t.Error(err)
	}
}

// A crash between the key and its record: the next start records it, and until then
// the new key signs nothing.
func TestARotationThatACrashCutInTwoIsFinished(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		var stored atomic.Bool // the key, without its record
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		breaking := c
		breaking.Hook = func(p string) error {
			switch {
			case p == PointKeyDone:
				stored.Store(true)
			case p == PointGroup && stored.Load():
				cancel() // nobody waits for the record
				return errors.New("disk I/O error (planted)")
			}
			return nil
		}
		l := open(t, breaking)
		submit(t, l, intent(t))
		if _, err := l.Rotate(ctx, "acme", "p1"); err == nil {
			t.Fatal("rotated without a record")
		}
		cp, err := l.SignNow(t.Context(), "acme")
		if err != nil || bytes.Count(cp.Note, []byte("\n— ")) != 1 {
			t.Errorf("the new key signs before it is on record (%v):\n%s", err, cp.Note)
		}
		if keys, _ := l.VerifierKeys("acme"); len(keys) != 1 {
			t.Errorf("%d keys are given out", len(keys))
		}
		abandon(l)
		checkOneRotation(t, open(t, c), "acme")
	})
}

// Appends of one record from everywhere at once end in one leaf.
func TestAppendIsIdempotentUnderARace(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		var mu sync.Mutex
		leaves := map[ident.ID]map[uint64]bool{}
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := range 20 {
					id := ident.ID{1, byte(i), 15: byte(i)}
					leaf, err := l.Append(t.Context(), "acme", &record.Record{Envelope: record.Envelope{Kind: record.JobRan, ID: id, Actor: fmt.Sprint(w)}, Body: &record.Job{Name: "x"}})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if leaves[id] == nil {
						leaves[id] = map[uint64]bool{}
					}
					leaves[id][leaf] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, at := range leaves {
			if len(at) != 1 {
				t.Errorf("%s stands at %v", id, at)
			}
		}
		if n := count(records(t, l, "acme"), record.JobRan); n != 20 {
			t.Errorf("%d records of 20", n)
		}
	})
}

// A checkpoint that is smaller than, or contradicts, a stored one is not stored.
func TestNoCheckpointContradictsAStoredOne(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		submit(t, l, intent(t))
		submit(t, l, intent(t))
		cp, err := l.SignNow(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := l.log("acme")
		smaller, other := cp, cp
		smaller.Size--
		other.Root[0] ^= 1
		for name, bad := range map[string]record.Checkpoint{"smaller": smaller, "other root": other} {
			if err := l.store.saveCheckpoint(t.Context(), s, bad, nil, openAt{}); err == nil {
				t.Errorf("a checkpoint with %s was stored", name)
			}
		}
	})
}

// Full tiles are stored as C2SP has them: 256 hashes, each level over the one below,
// and what is stored proves every leaf after a restart.
func TestTilesAreThoseOfTheTree(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		for i := range 600 {
			if _, err := l.Submit(intent(t)); err != nil {
				t.Fatal(err)
			}
			if i == 300 { // a partial tile is stored, and completed later
				submit(t, l, intent(t))
				if _, err := l.SignNow(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
			}
		}
		submit(t, l, intent(t))
		cp, err := l.SignNow(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		abandon(l)
		l = open(t, c)
		s, _ := l.log("acme")
		leaves, err := l.Feed(t.Context(), "acme", 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(2) {
			hashes, err := l.store.tile(s, 0, n)
			if err != nil || len(hashes) != 256 {
				t.Fatalf("tile %d: %d hashes (%v)", n, len(hashes), err)
			}
			for i, h := range hashes {
				if h != tlog.Hash(leaves[n*256+uint64(i)].Hash()) {
					t.Fatalf("tile %d, hash %d is another leaf's", n, i)
				}
			}
			above, err := l.store.tile(s, 1, 0)
			if err != nil || above[n] != fold(hashes) {
				t.Errorf("level 1 does not stand over tile %d (%v)", n, err)
			}
		}
		for leaf := range cp.Size {
			path, err := l.InclusionProof(t.Context(), "acme", leaf, cp.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof(path), int64(cp.Size), cp.Root, int64(leaf), leaves[leaf].Hash()); err != nil {
				t.Fatalf("leaf %d: %v", leaf, err)
			}
		}
	})
}

// On PostgreSQL a restored older database is noticed as on SQLite, and forks.
func TestRestoredOlderDatabaseDoesNotStartButForks(t *testing.T) {
	c := testConfig(t)
	c.Postgres = postgresSchema(t)
	l := open(t, c)
	submit(t, l, intent(t))
	l.Close(t.Context())
	older := c
	older.Postgres = copyDatabase(t, c.Postgres)
	l = open(t, c)
	for range 5 {
		submit(t, l, intent(t))
	}
	l.Close(t.Context())
	var behind *Behind
	if _, err := Open(t.Context(), older); !errors.As(err, &behind) {
		t.Fatalf("an older database started: %v", err)
	}
	forked, err := Fork(t.Context(), older, ForkOptions{Actor: "p1", Reason: "the copy of Monday was restored"})
	if err != nil || len(forked) != 2 {
		t.Fatalf("forked %+v, %v", forked, err)
	}
	l = open(t, older)
	first := records(t, l, "acme")[0]
	if b, ok := first.Body.(*record.Forked); !ok || b.OldOrigin != "test/acme/1" || b.Size <= b.Found {
		t.Errorf("first record of the new generation: %+v", first)
	}
	if _, err := os.Stat(l.copyPath("acme") + ".generation-1"); err != nil {
		t.Errorf("the old head was not kept: %v", err)
	}
}

// copyDatabase makes a database like another.
func copyDatabase(t *testing.T, dsn string) string {
	t.Helper()
	admin, err := sql.Open("pgx", os.Getenv("PLUMBLINE_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	at := strings.LastIndex(dsn, "/") + 1
	end := at + strings.Index(dsn[at:], "?")
	name := dsn[at:end]
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) { // sessions end a little after they are closed
		if _, err = admin.Exec("CREATE DATABASE " + name + "_copy TEMPLATE " + name); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", os.Getenv("PLUMBLINE_TEST_POSTGRES"))
		if err == nil {
			admin.Exec("DROP DATABASE " + name + "_copy WITH (FORCE)")
			admin.Close()
		}
	})
	return dsn[:at] + name + "_copy" + dsn[end:]
}

// A group that holds an erased record is read, proved and verified; what needs the
// record's content says that it is gone.
func TestAnErasedRecordIsCarried(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		for range 3 {
			e := intent(t)
			submit(t, l, e)
			submit(t, l, outcome(e))
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What a later version's erasure will leave.
		st := &store{c: c, pg: c.Postgres != ""}
		if err := st.openReader(t.Context()); err != nil {
			t.Fatal(err)
		}
		var first uint64
		var data []byte
		if err := st.db.QueryRow(st.q(`SELECT first_leaf, data FROM ledger_groups WHERE log = 'acme' AND first_leaf > 1 ORDER BY first_leaf LIMIT 1`)).Scan(&first, &data); err != nil {
			t.Fatal(err)
		}
		leaf, rest, err := record.CutEntry(data, first)
		if err != nil {
			t.Fatal(err)
		}
		erased := append(record.AppendEntry(nil, record.Leaf{Erased: leaf.Hash()}), rest...)
		if _, err := st.db.Exec(st.q(`UPDATE ledger_groups SET data = ? WHERE log = 'acme' AND first_leaf = ?`), erased, first); err != nil {
			t.Fatal(err)
		}
		st.close()
		l = open(t, c)
		leaves, err := l.Feed(t.Context(), "acme", first, 1)
		if err != nil || leaves[0].Bytes != nil || leaves[0].Hash() != leaf.Hash() {
			t.Fatalf("leaf %+v (%v)", leaves, err)
		}
		if _, err := record.Decode(leaves[0].Bytes); !errors.Is(err, record.ErrErased) {
			t.Errorf("decoding it says %v", err)
		}
		if _, err := l.Verify(t.Context(), "acme"); err != nil {
			t.Error(err)
		}
	})
}

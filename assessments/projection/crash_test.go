package projection

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// TestCommitsTogether stops batches half-way, at a table that refuses its rows
// and by a context that ends, and finds no figure counted twice afterwards.
func TestCommitsTogether(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		r := rand.New(rand.NewPCG(3, 3))
		f := newFeed("acme")
		f.batch = func() int { return 25 }
		s := newStream(t, r, f, "acme")
		p := New(pool, dialect, f, nil)
		for round := range 8 {
			for range 50 {
				s.step()
			}
			before := dump(t, pool)
			// The cursor is the last thing written: hiding it fails the batch after
			// every other row of it is in the transaction.
			if _, err := pool.Exec(`ALTER TABLE proj_cursors RENAME COLUMN hour TO hidden`); err != nil {
				t.Fatal(err)
			}
			if err := p.CatchUp(t.Context()); err == nil {
				t.Fatal("a batch without its cursor was applied")
			}
			if _, err := pool.Exec(`ALTER TABLE proj_cursors RENAME COLUMN hidden TO hour`); err != nil {
				t.Fatal(err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := p.CatchUp(ended); err == nil {
				t.Fatal("a context that ended applied a batch")
			}
			if d := cmp.Diff(before, dump(t, pool)); d != "" {
				t.Fatalf("round %d: a batch that failed left rows:\n%s", round, d)
			}
			if err := p.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 { // another process goes on
				p = New(pool, dialect, f, nil)
			}
		}
		s.check(p)
	})
}

// TestSaveFailsLate fails each table's write in turn; the batch leaves nothing.
func TestSaveFailsLate(t *testing.T) {
	for _, table := range []string{"proj_counters", "proj_observed", "proj_balances", "proj_writers", "proj_cursors"} {
		t.Run(table, func(t *testing.T) {
			pool := sqlite(t)
			f := newFeed("acme")
			s := newStream(t, rand.New(rand.NewPCG(9, 9)), f, "acme")
			for range 200 {
				s.step()
			}
			if _, err := pool.Exec(`CREATE TRIGGER stop BEFORE INSERT ON ` + table + ` BEGIN SELECT RAISE(ABORT, 'disk is full'); END`); err != nil {
				t.Fatal(err)
			}
			p := New(pool, "sqlite", f, nil)
			if err := p.CatchUp(t.Context()); err == nil {
				t.Fatal("no error")
			}
			for name, rows := range dump(t, pool) {
				t.Errorf("%s has %d rows after a failed batch", name, len(rows))
			}
			if _, err := pool.Exec(`DROP TRIGGER stop`); err != nil {
				t.Fatal(err)
			}
			if err := p.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.check(p)
		})
	}
}

// TestKeptStatements: what stayed compiled is compiled again on a connection that took
// the place of a lost one and after the schema changed, and a batch of any size has
// the same rows.
func TestKeptStatements(t *testing.T) {
	pool := sqlite(t)
	f := newFeed("acme")
	size := 1
	f.batch = func() int { size = size%130 + 1; return size }
	s := newStream(t, rand.New(rand.NewPCG(4, 4)), f, "acme")
	p := New(pool, "sqlite", f, nil)
	for round := range 6 {
		for range 300 {
			s.step()
		}
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(p.kept) == 0 {
			t.Fatal("no statement is kept")
		}
		if round%2 == 0 {
			pool.SetMaxIdleConns(0) // closes the connection
			pool.SetMaxIdleConns(1)
		} else if _, err := pool.Exec(`CREATE INDEX later` + strconv.Itoa(round) + ` ON proj_exchanges (code)`); err != nil {
			t.Fatal(err)
		}
	}
	s.check(p)
	grown := dump(t, pool)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.batch = func() int { return batchLeaves }
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(grown, dump(t, pool)); d != "" {
		t.Errorf("in one batch the rows are others:\n%s", d)
	}
}

// TestLateOutcome: an exchange counts in the rollup hour in which it was closed,
// whatever the writer's clock said, and hours are UTC.
func TestLateOutcome(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		zone := time.FixedZone("half past", 5*3600+1800)
		nine := time.Date(2026, 6, 1, 14, 30, 0, 0, zone) // 09:00 UTC
		hour := nine.Unix() / 3600
		f := newFeed("acme")
		p := New(pool, dialect, f, nil)
		intent, outcome := sent(0)
		intent.System, outcome.System = "chat", "chat"
		f.put(t, "acme", nine, record.LedgerHour, &record.Hour{Hour: hour})
		f.event(t, "acme", nine.Add(59*time.Minute), intent)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.put(t, "acme", nine.Add(time.Hour), record.LedgerHour, &record.Hour{Hour: hour + 1})
		f.event(t, "acme", nine.Add(30*time.Minute), outcome) // a clock that runs behind
		f.event(t, "acme", nine.Add(2*time.Hour), outcome)    // and the same again
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		hours, err := p.Hours(t.Context(), "acme", "chat", nine, nine.Add(3*time.Hour))
		if err != nil || len(hours) != 2 {
			t.Fatal(hours, err)
		}
		type row struct{ hour, intents, closed, charge, repeated int64 }
		var got []row
		for _, h := range hours {
			got = append(got, row{h.Hour - hour, h.Counters["intents"], h.Counters["closed"], h.Counters["charge"], h.Counters["repeated"]})
		}
		if d := cmp.Diff([]row{{0, 1, 0, 0, 0}, {1, 0, 1, 2_000_000, 1}}, got, cmp.AllowUnexported(row{})); d != "" {
			t.Error(d)
		}
		if leaf, err := p.FirstLeaf(t.Context(), "acme", hour+1); err != nil || leaf != 2 {
			t.Errorf("the second hour begins at leaf %d, %v", leaf, err)
		}
		if at, err := p.LastMark(t.Context(), "acme"); err != nil || at != nine.Add(time.Hour).UnixMicro() {
			t.Errorf("last mark %d, %v", at, err)
		}
	})
}

// TestUnknownRecord: a kind that this build does not know stops the projection
// where it stands; nothing after it is read.
func TestUnknownRecord(t *testing.T) {
	pool := sqlite(t)
	f := newFeed("acme")
	f.event(t, "acme", time.Unix(1_800_000_000, 0), event.Event{Kind: event.Refused, Exchange: testID(), Code: "policy_denied"})
	env := record.Envelope{Kind: record.ExchangeRefused, Version: 99, ID: testID(), At: 1, Writer: "w1", Number: 2}
	f.batch = func() int { return 1 }
	f.logs["acme"] = append(f.logs["acme"], record.Leaf{Index: 1, Bytes: record.AppendEvent(nil, &env, &event.Event{Kind: event.Refused, Exchange: testID()})})
	p := New(pool, "sqlite", f, nil)
	if err := p.CatchUp(t.Context()); err == nil {
		t.Fatal("a record of an unknown version was applied")
	}
	if at, err := p.Position(t.Context(), "acme"); err != nil || at != 1 {
		t.Errorf("position %d, %v", at, err)
	}
}

// TestNewVersion: what an earlier version computed is dropped, not added to.
func TestNewVersion(t *testing.T) {
	pool := sqlite(t)
	f := newFeed("acme", "globex")
	r := rand.New(rand.NewPCG(5, 5))
	a, g := newStream(t, r, f, "acme"), newStream(t, r, f, "globex")
	for range 100 {
		a.step()
		g.step()
	}
	p := New(pool, "sqlite", f, nil)
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(`UPDATE proj_cursors SET version = 1 WHERE log = 'acme'`); err != nil {
		t.Fatal(err)
	}
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.check(p)
	g.check(p)
}

// TestFork: a log that began anew is read from its first leaf; what was charged
// stays charged, and no row cites a leaf of the old log.
func TestFork(t *testing.T) {
	pool := sqlite(t)
	f := newFeed("acme")
	s := newStream(t, rand.New(rand.NewPCG(6, 6)), f, "acme")
	for range 200 {
		s.step()
	}
	p := New(pool, "sqlite", f, nil)
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.logs["acme"], f.generation["acme"] = nil, 2
	f.put(t, "acme", s.now, record.LedgerForked, &record.Forked{OldOrigin: "test/acme/1", Size: 9, Found: 3})
	f.put(t, "acme", s.now, record.RegisterChange, &record.Change{Kind: "policy.changed", Object: "p", Version: 3})
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := p.Balances(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].Charged != s.m.balances["team 3600"] {
		t.Errorf("balances %+v, %v; want %d charged", list, err, s.m.balances["team 3600"])
	}
	changes, err := p.Changes(t.Context(), "acme", 0, 100)
	if err != nil || len(changes) != 1 || changes[0].Leaf != 1 {
		t.Errorf("changes %+v, %v", changes, err)
	}
	observed, err := p.Observed(t.Context(), "acme", "")
	if err != nil || len(observed) == 0 || observed[0].FirstLeaf != 0 {
		t.Errorf("observed %+v, %v", observed, err)
	}
}

package evidence

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// clock is a clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock(c *Config) *clock {
	k := &clock{}
	k.at.Store(time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC).UnixMicro())
	c.Now = func() time.Time { return time.UnixMicro(k.at.Load()) }
	return k
}

func (k *clock) pass(d time.Duration) { k.at.Add(d.Microseconds()) }

// The ways in which a database stops taking writes. Each gives what breaks it and
// what mends it, and the class that is recorded.
var outages = []struct {
	name, class string
	postgres    bool
	plan        func(t *testing.T, c *Config) (breakIt func(l *Ledger), mend func(l *Ledger))
}{
	{"planted", "full", false, planted},
	{"planted on PostgreSQL", "full", true, planted},
	{"disk full", "full", false, diskFull},
	{"locked", "locked", false, lockedFile},
	{"file moved away", "gone", false, fileMoved},
	{"another file in its place", "gone", false, fileReplaced},
	{"write-ahead log moved away", "gone", false, logMoved},
	{"database gone", "gone", true, databaseGone},
	{"database restarted", "gone", true, databaseRestarted},
}

func planted(_ *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	var broken atomic.Bool
	c.Hook = func(p string) error {
		if p == PointGroup && broken.Load() {
			return errors.New("database or disk is full (planted)")
		}
		return nil
	}
	return func(*Ledger) { broken.Store(true) }, func(*Ledger) { broken.Store(false) }
}

// diskFull takes the database's room to grow.
func diskFull(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	limit := func(l *Ledger, pages string) {
		if _, err := l.store.db.Exec("PRAGMA max_page_count = " + pages); err != nil {
			t.Fatal(err)
		}
	}
	return func(l *Ledger) {
		limit(l, "1")
		// What is left of the pages in use is filled.
		for i := 0; ; i++ {
			_, err := l.store.db.Exec(`INSERT INTO ledger_secrets (log, name, sealed) VALUES ('filler', ?, zeroblob(2000))`, i)
			if err != nil {
				if !strings.Contains(err.Error(), "full") {
					t.Fatal(err)
				}
				return
			}
		}
	}, func(l *Ledger) { limit(l, "1000000") }
}

// lockedFile has another connection hold the file's write lock.
func lockedFile(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	var other *sql.Conn
	return func(*Ledger) {
			db, err := sql.Open("sqlite", ledgerDSN(filepath.Join(c.Dir, "ledger.db")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			if other, err = db.Conn(t.Context()); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(5 * time.Second); ; {
				if _, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err == nil || time.Now().After(deadline) {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}, func(*Ledger) {
			if _, err := other.ExecContext(context.Background(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		}
}

// away has a file moved out of sight under the open connections, which go on writing to
// it, and put back.
func away(t *testing.T, path string, instead []byte) (func(*Ledger), func(*Ledger)) {
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	return func(*Ledger) {
		move(path, path+".away")
		if instead != nil {
			if err := os.WriteFile(path, instead, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}, func(*Ledger) { move(path+".away", path) }
}

func fileMoved(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	return away(t, filepath.Join(c.Dir, ledgerFile), nil)
}

func fileReplaced(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	return away(t, filepath.Join(c.Dir, ledgerFile), []byte{})
}

func logMoved(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	return away(t, filepath.Join(c.Dir, ledgerFile+"-wal"), nil)
}

// databaseGone cuts the wire to PostgreSQL.
func databaseGone(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	w := newWire(t, c)
	return func(*Ledger) { w.cut() }, func(*Ledger) { w.mend() }
}

// databaseRestarted ends every session, the one with the writer's lock too, and
// takes new ones only after a while.
func databaseRestarted(t *testing.T, c *Config) (func(*Ledger), func(*Ledger)) {
	w := newWire(t, c)
	return func(*Ledger) {
			w.cut()
			admin, err := sql.Open("pgx", w.direct)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			if _, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
				t.Fatal(err)
			}
		}, func(l *Ledger) {
			w.mend()
		}
}

// wire is a TCP way to PostgreSQL that can be cut.
type wire struct {
	t              *testing.T
	direct, target string
	listen         net.Listener

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func newWire(t *testing.T, c *Config) *wire {
	w := &wire{t: t, direct: c.Postgres}
	at := strings.Index(c.Postgres, "@") + 1
	end := at + strings.Index(c.Postgres[at:], "/")
	w.target = c.Postgres[at:end]
	var err error
	if w.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.listen.Close(); w.cut() })
	go w.serve()
	c.Postgres = c.Postgres[:at] + w.listen.Addr().String() + c.Postgres[end:]
	return w
}

func (w *wire) serve() {
	for {
		in, err := w.listen.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		out, err := net.Dial("tcp", w.target)
		if w.down || err != nil {
			in.Close()
			w.mu.Unlock()
			continue
		}
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		go func() { io.Copy(out, in); out.Close() }()
		go func() { io.Copy(in, out); in.Close() }()
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

// While the ledger cannot write, who waits is turned away when Patience has
// passed and not before, who comes later at once and without a write; it is not
// ready; it recovers by itself; nothing accepted is lost; the outage is a record.
func TestOutage(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			c := testConfig(t)
			if o.postgres {
				c.Postgres = postgresSchema(t)
			}
			k := newClock(&c)
			breakIt, mend := o.plan(t, &c)
			l := open(t, c)
			kept := intent(t)
			submit(t, l, kept)
			breakIt(l)

			waiting := intent(t)
			waiting.NotCarried = []string{strings.Repeat("x", 20_000)} // more than a page has left
			p, err := l.Submit(waiting)
			if err != nil {
				t.Fatal(err)
			}
			k.pass(l.c.Patience - time.Millisecond)
			select {
			case <-p.Done():
				t.Fatalf("turned away before its time, or written: %v", p.Err())
			case <-time.After(4 * watchEvery):
			}
			k.pass(time.Millisecond)
			<-p.Done()
			if !errors.Is(p.Err(), event.ErrUnavailable) || !errors.Is(l.Ready(), event.ErrUnavailable) {
				t.Fatalf("a call that waited got %v, ready says %v", p.Err(), l.Ready())
			}
			for _, system := range []string{"SYS-001", "SYS-001", "SYS-002"} {
				e := intent(t)
				e.System = system
				for _, e.Kind = range []event.Kind{event.Intent, event.Refused} { // as the gateway does
					if p, err := l.Submit(e); p != nil || !errors.Is(err, event.ErrUnavailable) {
						t.Fatalf("a later call was given %v, %v", p, err)
					}
				}
			}
			if _, err := l.ContentKey("acme", "SYS-new", l.c.Now()); !errors.Is(err, event.ErrUnavailable) {
				t.Errorf("a new content key: %v", err)
			}
			if _, err := l.Submit(outcome(kept)); err != nil {
				t.Fatalf("an end was not taken: %v", err)
			}
			if st := l.Stats(); !st.Down || st.Turned != 3 {
				t.Errorf("stats of the outage: %+v", st)
			}
			for cause := ""; cause == ""; time.Sleep(5 * time.Millisecond) { // a locked file is waited for before that is an error
				l.mu.Lock()
				cause = l.outage.cause
				l.mu.Unlock()
			}
			mend(l)
			for deadline := time.Now().Add(20 * time.Second); l.Ready() != nil; {
				if time.Now().After(deadline) {
					t.Fatal("it does not recover")
				}
				time.Sleep(5 * time.Millisecond)
			}
			submit(t, l, intent(t))
			k.pass(time.Second) // one look a second for a key
			if _, err := l.ContentKey("acme", "SYS-new", l.c.Now()); err != nil {
				t.Errorf("a new content key afterwards: %v", err)
			}
			checkOutage(t, l, o.class)
		})
	}
}

func checkOutage(t *testing.T, l *Ledger, class string) {
	t.Helper()
	rs := records(t, l, "acme")
	if in, out := count(rs, record.ExchangeIntent), count(rs, record.ExchangeOutcome); in != 3 || out != 1 {
		t.Errorf("%d intents and %d outcomes, want 3 and 1", in, out)
	}
	for log, want := range map[string]map[string]int64{"acme": {"SYS-001": 2, "SYS-002": 1}, Instance: nil} {
		var found *record.Outage
		for _, r := range records(t, l, log) {
			if b, ok := r.Body.(*record.Outage); ok {
				found = b
			}
		}
		if found == nil || found.Turned != 3 || found.Cause != class || found.To < found.From {
			t.Errorf("outage record in %q: %+v, want class %s", log, found, class)
			continue
		}
		for system, n := range want {
			if found.System[system] != n {
				t.Errorf("%s: %d calls turned away, want %d", system, found.System[system], n)
			}
		}
	}
	checkNumbers(t, rs)
	if _, err := l.Verify(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

// A call waits for a key at most, then for its record: together under 2 s.
func TestPatienceIsUnderTwoSeconds(t *testing.T) {
	l := open(t, testConfig(t))
	if most := l.c.Patience/3 + l.c.Patience + 2*watchEvery; most > 2*time.Second {
		t.Errorf("a call may wait %s", most)
	}
}

// After PostgreSQL was restarted the writer has its lock again, so that a second
// process is still refused; and one that lost its lease writes nothing more.
func TestTheLockSurvivesARestartOfPostgres(t *testing.T) {
	c := testConfig(t)
	c.Postgres = postgresSchema(t)
	direct := c.Postgres
	breakIt, mend := databaseRestarted(t, &c)
	l := open(t, c)
	submit(t, l, intent(t))
	breakIt(l)
	mend(l)
	if p, err := l.Submit(intent(t)); err != nil {
		t.Fatal(err)
	} else {
		<-p.Done()
	}
	admin, err := sql.Open("pgx", direct)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for held, deadline := false, time.Now().Add(20*time.Second); !held; {
		if err := admin.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND locktype = 'advisory' AND granted)`).Scan(&held); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the lock was not taken again")
		}
		time.Sleep(20 * time.Millisecond)
	}
	submit(t, l, intent(t))
	second := c
	second.Dir, second.Postgres = t.TempDir(), direct
	if other, err := Open(t.Context(), second); err == nil {
		other.Close(t.Context())
		t.Fatal("two writers after a restart of the database")
	}
}

// A holder whose lease was taken can neither put records into the inbox nor
// number any, and says so.
func TestAReplacedHolderIsShutOut(t *testing.T) {
	c := testConfig(t)
	c.Postgres = postgresSchema(t)
	k := newClock(&c)
	l := open(t, c)
	submit(t, l, intent(t))
	for count(records(t, l, "acme"), record.LedgerHour)+count(records(t, l, Instance), record.LedgerHour) < 2 {
		time.Sleep(5 * time.Millisecond) // nothing else is due after these
	}
	before := len(records(t, l, "acme"))
	if _, err := l.store.db.Exec(`UPDATE ledger_lease SET epoch = epoch + 1`); err != nil {
		t.Fatal(err)
	}
	p, err := l.Submit(intent(t))
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		k.pass(time.Second)
		select {
		case <-p.Done():
			done = true
		case <-time.After(2 * watchEvery):
		}
	}
	if !errors.Is(p.Err(), event.ErrUnavailable) {
		t.Fatalf("the replaced holder's call: %v", p.Err())
	}
	if err := l.store.sequence(t.Context()); !errors.Is(err, errLease) {
		t.Errorf("the replaced holder numbers on: %v", err)
	}
	var inbox int
	if err := l.store.db.QueryRow(`SELECT count(*) FROM ledger_inbox`).Scan(&inbox); err != nil {
		t.Fatal(err)
	}
	if after := len(records(t, l, "acme")); inbox != 0 || after != before {
		t.Errorf("%d groups in the inbox, %d records of %d", inbox, after, before)
	}
}

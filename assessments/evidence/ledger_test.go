package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/app/seal"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// backends runs a test on SQLite, and on PostgreSQL when there is one.
func backends(t *testing.T, f func(t *testing.T, c Config)) {
	t.Run("sqlite", func(t *testing.T) { f(t, testConfig(t)) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t)
		c.Postgres = postgresSchema(t)
		f(t, c)
	})
}

func testConfig(t testing.TB) Config {
	s, err := seal.New(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Dir: t.TempDir(), Instance: "test", Sealer: s, Checkpoint: 20 * time.Millisecond, Pause: -1}
}

// postgresSchema makes an empty schema of the test server.
func postgresSchema(t testing.TB) string {
	dsn := os.Getenv("PLUMBLINE_TEST_POSTGRES")
	if dsn == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_POSTGRES is not set: no PostgreSQL")
		}
		t.Skip("PLUMBLINE_TEST_POSTGRES is not set: no PostgreSQL")
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	if _, err := db.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	// The advisory lock is the database's, so every test has one to itself.
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); db.Close() })
	return strings.Replace(dsn, "/postgres?", "/"+name+"?", 1)
}

func open(t testing.TB, c Config) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		l.Close(ctx)
	})
	if err := l.CreateLog(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	return l
}

// abandon ends a ledger as a crash would: nothing more is written or signed.
func abandon(l *Ledger) {
	l.mu.Lock()
	l.closed, l.pending = true, nil
	l.mu.Unlock()
	l.giveUp()
	close(l.stop)
	l.done.Wait()
	l.release()
}

var testIDs atomic.Uint64

func newID(t testing.TB) ident.ID {
	seed := sha256.Sum256(fmt.Append(nil, t.Name(), testIDs.Add(1)))
	id, err := ident.New(time.Now(), bytes.NewReader(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func submit(t testing.TB, l *Ledger, e *event.Event) {
	t.Helper()
	p, err := l.Submit(e)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
}

func intent(t testing.TB) *event.Event {
	return &event.Event{Kind: event.Intent, Log: "acme", Exchange: newID(t), At: time.Now().UnixMicro(), System: "SYS-001", Key: "k1",
		Holds: []event.Hold{{Budget: "b", Amount: 700}}}
}

func outcome(e *event.Event) *event.Event {
	o := *e
	o.Kind, o.Status, o.Charge, o.Held = event.Outcome, 200, 500, 700
	return &o
}

func records(t testing.TB, l *Ledger, log string) []*record.Record {
	t.Helper()
	var out []*record.Record
	for from := uint64(0); ; {
		leaves, err := l.Feed(t.Context(), log, from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(leaves) == 0 {
			return out
		}
		for _, leaf := range leaves {
			if leaf.Index != from {
				t.Fatalf("leaf %d where %d is due", leaf.Index, from)
			}
			from++
			r, err := record.Decode(leaf.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
	}
}

func count(rs []*record.Record, k record.Kind) (n int) {
	for _, r := range rs {
		if r.Kind == k {
			n++
		}
	}
	return n
}

func TestRecordsAreDurableProvableAndSurviveRestart(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 90 {
					e := intent(t)
					submit(t, l, e)
					submit(t, l, outcome(e))
				}
			})
		}
		wg.Wait()
		cp, err := l.SignNow(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if cp.Size < 1440 {
			t.Fatalf("checkpoint of %d leaves", cp.Size)
		}
		leaves, _ := l.Feed(t.Context(), "acme", 0, 10000)
		for _, i := range []uint64{0, 1, 255, 256, 257, 700, cp.Size - 1} {
			path, err := l.InclusionProof(t.Context(), "acme", i, cp.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof(path), int64(cp.Size), cp.Root, int64(i), record.LeafHash(leaves[i].Bytes)); err != nil {
				t.Errorf("leaf %d: %v", i, err)
			}
		}
		if n, err := l.Verify(t.Context(), "acme"); err != nil || n < cp.Size {
			t.Fatalf("verify: %d, %v", n, err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := open(t, c)
		cp2, err := again.SignNow(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		path, err := again.ConsistencyProof(t.Context(), "acme", cp.Size, cp2.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(proof(path), int64(cp2.Size), cp2.Root, int64(cp.Size), cp.Root); err != nil {
			t.Errorf("the tree did not only grow: %v", err)
		}
		rs := records(t, again, "acme")
		if n := count(rs, record.ExchangeOutcome); n != 720 {
			t.Errorf("%d outcomes of 720", n)
		}
		if count(rs, record.ExchangeIncomplete) != 0 {
			t.Error("a closed exchange was closed again")
		}
		checkNumbers(t, rs)
	})
}

// checkNumbers: each writer's numbers are dense and in order.
func checkNumbers(t *testing.T, rs []*record.Record) {
	t.Helper()
	last := map[string]uint64{}
	for i, r := range rs {
		if r.Number != last[r.Writer]+1 {
			t.Fatalf("leaf %d: writer %s jumps from %d to %d", i, r.Writer, last[r.Writer], r.Number)
		}
		last[r.Writer] = r.Number
	}
}

func proof(path [][32]byte) []tlog.Hash {
	var out []tlog.Hash
	for _, h := range path {
		out = append(out, h)
	}
	return out
}

func TestOpenIntentsAreClosedAtTheirHoldAfterACrash(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		done, lost := intent(t), intent(t)
		submit(t, l, done)
		submit(t, l, lost)
		submit(t, l, outcome(done))
		abandon(l)
		again := open(t, c)
		rs := records(t, again, "acme")
		var closed []*event.Event
		for _, r := range rs {
			if e, ok := r.Body.(*event.Event); ok && e.Kind == event.Incomplete {
				closed = append(closed, e)
			}
		}
		if len(closed) != 1 || closed[0].Exchange != lost.Exchange || closed[0].Charge != 700 || closed[0].Source != event.UsageEstimated {
			t.Fatalf("closed: %+v", closed)
		}
		checkNumbers(t, rs)
		abandon(again)
		if n := count(records(t, open(t, c), "acme"), record.ExchangeIncomplete); n != 1 {
			t.Errorf("closed %d times", n)
		}
	})
}

// A batch's intent, or that of a response made in the background, outlives the process: it is given to whoever opens the ledger next,
// with its hold, and stays open until its end is on record, however many runs that takes.
func TestBatchesStayOpenAfterACrash(t *testing.T) {
	for _, endpoint := range []string{"batches.create", "responses"} {
		t.Run(endpoint, func(t *testing.T) { staysOpen(t, endpoint) })
	}
}

func staysOpen(t *testing.T, endpoint string) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		lost, batch := intent(t), intent(t)
		batch.Endpoint = endpoint
		lost.Endpoint, lost.Deadline = "responses", lost.At+(10*time.Minute).Microseconds()
		batch.Deadline = batch.At + (26 * time.Hour).Microseconds()
		submit(t, l, lost)
		submit(t, l, batch)
		abandon(l)
		for range 2 {
			again := open(t, c)
			open := again.Lasting()
			if len(open) != 1 || open[0].Exchange != batch.Exchange || open[0].Log != "acme" || len(open[0].Holds) != len(batch.Holds) || open[0].Holds[0] != batch.Holds[0] {
				t.Fatalf("open: %+v", open)
			}
			if n := count(records(t, again, "acme"), record.ExchangeIncomplete); n != 1 {
				t.Fatalf("%d closed, of which the batch is none", n)
			}
			if _, err := again.SignNow(t.Context(), "acme"); err != nil { // no checkpoint forgets it
				t.Fatal(err)
			}
			abandon(again)
		}
		last := open(t, c)
		submit(t, last, outcome(batch))
		abandon(last)
		if open := open(t, c).Lasting(); len(open) != 0 {
			t.Errorf("open after its end: %+v", open)
		}
	})
}

// What happened since a batch began is not read at a start: its leaves are named by the
// checkpoint, those of further attempts too, and those of what ended are not.
func TestABatchFarBehindIsFoundByItsLeaves(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		c.far = 20
		c.Checkpoint = time.Hour
		l := open(t, c)
		var batches []*event.Event
		for range 3 {
			b := intent(t)
			b.Endpoint, b.Deadline = "batches.create", b.At+(26*time.Hour).Microseconds()
			submit(t, l, b)
			dearer := *b
			dearer.Kind, dearer.Try, dearer.Holds = event.Attempt, 1, slices.Clone(b.Holds)
			dearer.Holds[0].Amount *= 3
			submit(t, l, &dearer)
			batches = append(batches, b)
		}
		busy := func(l *Ledger) {
			for range 40 {
				x := intent(t)
				submit(t, l, x)
				submit(t, l, outcome(x))
			}
		}
		busy(l)
		submit(t, l, outcome(batches[1]))
		for run := range 3 {
			if _, err := l.SignNow(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			lost := intent(t)
			submit(t, l, lost)
			if run == 1 { // after the checkpoint
				submit(t, l, outcome(batches[2]))
			}
			abandon(l)
			l = open(t, c)
			s := l.logs["acme"]
			if from := s.size.Load() - s.openedAt.from; from > 20 {
				t.Errorf("run %d: %d leaves were read", run, from)
			}
			var got []string
			for _, e := range l.Lasting() {
				if got = append(got, e.Exchange.String()); e.Holds[0].Amount != 3*batches[0].Holds[0].Amount || e.Try != 1 {
					t.Errorf("run %d: hold %d, try %d", run, e.Holds[0].Amount, e.Try)
				}
			}
			want := []string{batches[0].Exchange.String(), batches[2].Exchange.String()}
			if run > 0 {
				want = want[:1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("run %d: open: %s", run, diff)
			}
			if n := count(records(t, l, "acme"), record.ExchangeIncomplete); n != run+1 {
				t.Errorf("run %d: %d closed", run, n)
			}
			busy(l)
		}
	})
}

func FuzzUnpackLeaves(f *testing.F) {
	f.Add([]byte{})
	f.Add(packLeaves(nil, []uint64{0, 1, 300, 1 << 40}))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := unpackLeaves(b)
		if err == nil && !slices.IsSorted(leaves) {
			t.Errorf("%v", leaves)
		}
		if again, err := unpackLeaves(packLeaves(nil, leaves)); err != nil || !slices.Equal(again, leaves) {
			t.Errorf("%v: %v, %v", leaves, again, err)
		}
	})
}

// A checkpoint says before which leaf nothing is open, and the next start looks no
// further back. An end that is not durable yet must not count there, nor must the
// closings of an earlier run's intents.
func TestACheckpointSignedBeforeAnEndIsDurableLeavesItsIntentOpen(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		c.Checkpoint = time.Hour // SignNow alone signs
		var broken atomic.Bool
		c.Hook = func(p string) error {
			if p == PointGroup && broken.Load() {
				return errors.New("disk I/O error (planted)")
			}
			return nil
		}
		l := open(t, c)
		lost := intent(t)
		submit(t, l, lost)
		broken.Store(true)
		if _, err := l.Submit(outcome(lost)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.SignNow(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		abandon(l)

		// The next run signs before its closings are durable, and dies too.
		broken.Store(false)
		again, err := prepare(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		startAndDie(t, again)
		closed := count(records(t, open(t, c), "acme"), record.ExchangeIncomplete)
		if closed != 1 {
			t.Errorf("the intent was closed %d times", closed)
		}
	})
}

// An exchange is open from its intent to its end, also when both are in one batch.
func TestOpenUntilItsEndIsDurable(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		opened := func() int {
			for _, s := range l.Stats().Logs {
				if s.Log == "acme" {
					return s.Open
				}
			}
			t.Fatal("no such log")
			return 0
		}
		first, second := intent(t), intent(t)
		submit(t, l, first)
		if n := opened(); n != 1 {
			t.Errorf("%d open after an intent", n)
		}
		if _, err := l.Submit(second); err != nil {
			t.Fatal(err)
		}
		submit(t, l, outcome(second))
		if n := opened(); n != 1 {
			t.Errorf("%d open after another exchange came and went", n)
		}
		submit(t, l, outcome(first))
		if n := opened(); n != 0 {
			t.Errorf("%d open in the end", n)
		}
	})
}

// startAndDie lets a run say that it started and sign that, and ends it before
// it could close anything.
func startAndDie(t *testing.T, l *Ledger) {
	t.Helper()
	if err := errors.Join(l.load(t.Context()), l.findOpen(t.Context())); err != nil {
		t.Fatal(err)
	}
	began := make(chan error, 1)
	go func() { began <- l.begin(context.Background()) }()
	deadline := time.Now().Add(5 * time.Second)
	for queued := 0; queued < 3; { // two starts and one closing
		if time.Now().After(deadline) {
			t.Fatal("the open intent was not seen, so nothing closes it")
		}
		time.Sleep(time.Millisecond)
		l.mu.Lock()
		queued = int(l.appended.Load())
		l.mu.Unlock()
	}
	// Cut the batch after the first record of each log, as a writer that took it
	// at that moment would have.
	b := l.take()
	for _, lb := range b.logs {
		lb.data, lb.ends, lb.ended = lb.data[:lb.ends[0]], lb.ends[:1], nil
	}
	if !l.commit(b) {
		t.Fatal("not written")
	}
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	l.signGrown(t.Context())
	l.release()
}

// Each named write fails twice: not persisted, and persisted but reported failed.
func TestEachWriteMayFailAndNothingIsLostOrDoubled(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		for _, point := range Points() {
			if strings.HasPrefix(point, "sequence") && c.Postgres == "" {
				continue
			}
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
				for range 5 {
					failures.Store(2)
					e := intent(t)
					submit(t, l, e)
					submit(t, l, outcome(e))
					l.SignNow(t.Context(), "acme")
				}
				failures.Store(0)
				if _, err := l.Append(t.Context(), "acme", &record.Record{Envelope: record.Envelope{Kind: record.JobRan, ID: newID(t)}, Body: &record.Job{Name: "x"}}); err != nil {
					t.Fatal(err)
				}
				rs := records(t, l, "acme")
				if in, out := count(rs, record.ExchangeIntent), count(rs, record.ExchangeOutcome); in != 5 || out != 5 {
					t.Errorf("%d intents, %d outcomes, want 5 and 5", in, out)
				}
				checkNumbers(t, rs)
				if _, err := l.Verify(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestAppendIsIdempotentByID(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		l := open(t, c)
		r := &record.Record{Envelope: record.Envelope{Kind: record.RegisterChange, ID: newID(t), Actor: "p1"}, Body: &record.Change{Kind: "system.created", Object: "SYS-001", Version: 1}}
		leaves := map[uint64]bool{}
		for range 3 {
			leaf, err := l.Append(t.Context(), "acme", r)
			if err != nil {
				t.Fatal(err)
			}
			leaves[leaf] = true
		}
		if len(leaves) != 1 || count(records(t, l, "acme"), record.RegisterChange) != 1 {
			t.Errorf("leaves %v", leaves)
		}
		for leaf := range leaves {
			if got := records(t, l, "acme")[leaf]; got.ID != r.ID {
				t.Errorf("leaf %d is %s", leaf, got.Kind)
			}
		}
	})
}

func TestFloodWithoutAKeyStaysBounded(t *testing.T) {
	c := testConfig(t)
	var clock atomic.Int64
	clock.Store(time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC).UnixMicro())
	c.Now = func() time.Time { return time.UnixMicro(clock.Load()) }
	l := open(t, c)
	before := l.Size(Instance)
	for i := range 100_000 { // 10 s at 10,000 calls a second
		clock.Add(99)
		p, err := l.Submit(&event.Event{Kind: event.Refused, Exchange: ident.ID{byte(i), byte(i >> 8), byte(i >> 16), 1}, At: clock.Load(), Code: "key_unknown", Address: fmt.Sprintf("10.%d.%d.0/24", i>>8&255, i&255)})
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
	}
	clock.Add(11_000_000)
	deadline := time.Now().Add(5 * time.Second)
	for l.Size(Instance) == before && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	l.Close(t.Context())
	c.Now = nil
	var rows int
	var calls uint64
	for _, r := range records(t, open(t, c), Instance) {
		if b, ok := r.Body.(*record.Refusals); ok {
			rows++
			calls += b.Count
		}
	}
	if rows > 1024 || calls != 100_000 {
		t.Errorf("%d rows for %d calls", rows, calls)
	}
}

func TestRefusalsOfAKeyAreSingleThenCounted(t *testing.T) {
	l := open(t, testConfig(t))
	for range 50 {
		e := intent(t)
		e.Kind, e.Code = event.Refused, "budget_exceeded"
		submit(t, l, e)
	}
	l.mu.Lock()
	l.flushRefusals(true)
	l.mu.Unlock()
	l.Append(t.Context(), "acme", &record.Record{Envelope: record.Envelope{Kind: record.JobRan, ID: newID(t)}, Body: &record.Job{Name: "x"}})
	rs := records(t, l, "acme")
	singles, rest := count(rs, record.ExchangeRefused), uint64(0)
	for _, r := range rs {
		if b, ok := r.Body.(*record.Refusals); ok {
			rest += b.Count
		}
	}
	if singles != 20 || rest != 30 {
		t.Errorf("%d single, %d counted", singles, rest)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	backends(t, func(t *testing.T, c Config) {
		open(t, c)
		if c.Postgres != "" {
			c.Dir = t.TempDir() // the database's lock, not the directory's
		}
		if l, err := Open(t.Context(), c); err == nil {
			l.Close(t.Context())
			t.Fatal("two writers")
		}
	})
}

func TestRestoredOlderFileDoesNotStartButForks(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	submit(t, l, intent(t))
	l.Close(t.Context())
	older, err := os.ReadFile(filepath.Join(c.Dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	for range 5 {
		submit(t, l, intent(t))
	}
	l.Close(t.Context())
	os.Remove(filepath.Join(c.Dir, "ledger.db-wal"))
	if err := os.WriteFile(filepath.Join(c.Dir, "ledger.db"), older, 0o600); err != nil {
		t.Fatal(err)
	}
	var behind *Behind
	if _, err := Open(t.Context(), c); !errors.As(err, &behind) {
		t.Fatalf("an older ledger started: %v", err)
	}
	forked, err := Fork(t.Context(), c, ForkOptions{Actor: "p1", Reason: "disk of 3 May was restored"})
	if err != nil || len(forked) != 2 {
		t.Fatalf("forked %+v, %v", forked, err)
	}
	l = open(t, c)
	if g, _ := l.Generation("acme"); g != 2 {
		t.Errorf("generation %d", g)
	}
	first := records(t, l, "acme")[0]
	if b, ok := first.Body.(*record.Forked); !ok || b.OldOrigin != "test/acme/1" || b.Size <= b.Found {
		t.Errorf("first record of the new generation: %+v", first)
	}
	submit(t, l, intent(t))
	if _, err := l.Verify(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

func TestRotationIsARecordAndBothKeysSign(t *testing.T) {
	c := testConfig(t)
	now := time.Now()
	c.Now = func() time.Time { return now }
	l := open(t, c)
	submit(t, l, intent(t))
	if _, err := l.Rotate(t.Context(), "acme", "p1"); err != nil {
		t.Fatal(err)
	}
	cp, _ := l.SignNow(t.Context(), "acme")
	if n := bytes.Count(cp.Note, []byte("\n— ")); n != 2 {
		t.Errorf("%d signatures after a rotation", n)
	}
	l.Close(t.Context())
	now = now.Add(31 * 24 * time.Hour)
	l = open(t, c)
	submit(t, l, intent(t))
	cp, _ = l.SignNow(t.Context(), "acme")
	if n := bytes.Count(cp.Note, []byte("\n— ")); n != 1 {
		t.Errorf("%d signatures after the overlap", n)
	}
	if count(records(t, l, "acme"), record.LedgerRotated) != 1 {
		t.Error("no rotation on record")
	}
}

func TestHoursAreMarkedAlsoWhenIdle(t *testing.T) {
	c := testConfig(t)
	var clock atomic.Int64
	start := time.Date(2026, 5, 1, 10, 59, 0, 0, time.UTC)
	clock.Store(start.UnixMicro())
	c.Now = func() time.Time { return time.UnixMicro(clock.Load()) }
	l := open(t, c)
	for l.Size("acme") < 1 {
		time.Sleep(10 * time.Millisecond)
	}
	for h := range 2 {
		size := l.Size("acme")
		clock.Store(start.Add(time.Duration(h+1) * time.Hour).UnixMicro())
		if err := l.Wait(t.Context(), "acme", size); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(records(t, l, "acme"), record.LedgerHour); n != 3 {
		t.Errorf("%d hour marks", n)
	}
}

func TestBackupOpensAndVerifies(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	submit(t, l, intent(t))
	dir := t.TempDir()
	if err := l.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	c.Dir = dir
	r, err := Read(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	if _, err := r.Verify(t.Context(), "acme"); err != nil {
		t.Error(err)
	}
}

// TestReadBesideTheWriter: keys, proofs and backups need no stop of the server,
// and a reader can write nothing.
func TestReadBesideTheWriter(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	for range 300 {
		submit(t, l, intent(t))
	}
	if _, err := l.SignNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	r, err := Read(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	cp, err := r.Checkpoint(t.Context(), "acme")
	if err != nil || cp.Size < 300 {
		t.Fatalf("checkpoint of %d leaves: %v", cp.Size, err)
	}
	if _, err := r.InclusionProof(t.Context(), "acme", 7, cp.Size); err != nil {
		t.Error(err)
	}
	ours, _ := l.VerifierKeys("acme")
	theirs, _ := r.VerifierKeys("acme")
	if ours[0].Verifier != theirs[0].Verifier {
		t.Error("the reader names another key")
	}
	if n, err := r.Verify(t.Context(), "acme"); err != nil || n != cp.Size {
		t.Errorf("the reader verifies %d leaves of %d: %v", n, cp.Size, err)
	}
	submit(t, l, intent(t)) // the writer goes on
	if _, err := r.SignNow(t.Context(), "acme"); err == nil {
		t.Error("a reader signed")
	}
	if err := r.CreateLog(t.Context(), "west"); err == nil {
		t.Error("a reader made a log")
	}
	if _, err := r.Submit(intent(t)); err == nil {
		t.Error("a reader took an exchange")
	}
	if err := r.Backup(t.Context(), t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreStableAndSealed(t *testing.T) {
	c := testConfig(t)
	l := open(t, c)
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	a, err := l.ContentKey("acme", "SYS-001", at)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := l.ContentKey("acme", "SYS-001", at.AddDate(0, 1, 0))
	l.Close(t.Context())
	again, _ := open(t, c).ContentKey("acme", "SYS-001", at)
	if a != again || a == other {
		t.Error("content keys do not follow system and month")
	}
	file, _ := os.ReadFile(filepath.Join(c.Dir, "ledger.db"))
	if bytes.Contains(file, a[:]) {
		t.Error("a content key is in clear")
	}
}

// BenchmarkDurable is exchanges (two records each) that are durable in SQLite
// with synchronous=FULL.
func BenchmarkDurable(b *testing.B) {
	c := testConfig(b)
	c.Pause, c.Checkpoint = 0, 0
	l := open(b, c)
	template := *intent(b)
	var n atomic.Uint32
	b.ReportAllocs()
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e := template
			i := n.Add(1)
			e.Exchange = ident.ID{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}
			p, err := l.Submit(&e)
			if err != nil {
				b.Error(err)
				return
			}
			<-p.Done()
			e.Kind = event.Outcome
			if _, err = l.Submit(&e); err != nil {
				b.Error(err)
				return
			}
		}
	})
	l.SignNow(b.Context(), "acme")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
}

// BenchmarkWaiting is how long a record waits that is alone: from Submit until it
// is durable.
func BenchmarkWaiting(b *testing.B) {
	l := open(b, testConfig(b))
	e := *intent(b)
	for i := 0; b.Loop(); i++ {
		e.Exchange = ident.ID{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}
		p, err := l.Submit(&e)
		if err != nil {
			b.Fatal(err)
		}
		<-p.Done()
	}
}

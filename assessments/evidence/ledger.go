// Package evidence is the ledger: one append-only log for each organisation and
// one for the instance, in SQLite or PostgreSQL.
//
// The order of writes is the design. (1) Durable: records are encoded once, put
// into a batch and committed in groups; a caller waits for this alone. (2) In
// the tree: leaf hashes go into tiles. (3) Signed: about every second a
// checkpoint is stored with its tiles, then kept outside the database too.
// (4) Seen: readers follow Feed. A crash between any two loses nothing that a
// caller was told is durable: what is in groups is hashed again at start.
package evidence

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/app/ident"
	"plumbline/app/seal"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/migrations"
)

// Instance is the name of the instance's own log.
const Instance = ""

// Config opens a ledger.
type Config struct {
	Dir      string // data directory: the lock, the checkpoints' copies and, without Postgres, ledger.db
	Postgres string // DSN
	Instance string // first part of every origin
	Version  string // of the product, for ledger.started
	Sealer   *seal.Sealer
	Now      func() time.Time
	Rand     io.Reader
	Log      *slog.Logger

	Pause      time.Duration // between commits; 1 ms when zero, none when negative
	Checkpoint time.Duration // between signatures while a log grows; 1 s when zero
	Patience   time.Duration // until waiting calls are turned away; 1.4 s when zero, so that with reading a key it is under 2 s

	far uint64 // farBehind when zero; tests only

	// Hook is called at each of Points with its name; an error it returns is
	// taken as the write's. Tests only.
	Hook func(point string) error
}

// The named writes. Each has a point before it is persisted and one after.
const (
	PointGroup          = "group: before commit"
	PointGroupDone      = "group: after commit"
	PointSequence       = "sequence: before commit"
	PointSequenceDone   = "sequence: after commit"
	PointCheckpoint     = "checkpoint: before commit"
	PointCheckpointDone = "checkpoint: after commit"
	PointCopy           = "checkpoint copy: before rename"
	PointCopyDone       = "checkpoint copy: after rename"
	PointLog            = "log: before commit" // also of a new generation
	PointLogDone        = "log: after commit"
	PointKey            = "key: before commit"
	PointKeyDone        = "key: after commit"
)

// Points lists the named writes. Sequencing is PostgreSQL's alone; logs and keys
// are written when an organisation is made and when a key is rotated.
func Points() []string {
	return []string{PointGroup, PointGroupDone, PointSequence, PointSequenceDone, PointCheckpoint, PointCheckpointDone, PointCopy, PointCopyDone,
		PointLog, PointLogDone, PointKey, PointKeyDone}
}

// watchEvery is how often the ledger looks whether somebody waits too long.
const watchEvery = 50 * time.Millisecond

// Ledger is open for one process at a time.
type Ledger struct {
	c      Config
	store  *store
	reader bool // opened by Read
	unlock func() error
	writer string // id of this run

	lasting []*event.Event // see Lasting; not written to once the ledger is open

	mu       sync.Mutex // guards what follows and the counters of every logState
	logs     map[string]*logState
	pending  *batch
	spare    []*logBatch // of batches that are written
	inflight *batch
	random   *bufio.Reader
	lastID   ident.ID // made by newID
	windows  map[refusalKey]*refusalWindow
	keyless  map[refusalKey]*refusalWindow
	inflyID  map[appendKey]*pendingID
	idsDone  uint64 // batches with ids that became durable
	outage   outage
	closed   bool

	down     atomic.Bool
	appended atomic.Uint64

	openMu sync.Mutex // guards every logState's open; may be taken under mu

	createMu sync.Mutex   // one log is made at a time
	signMu   sync.Mutex   // one checkpoint is signed and stored at a time; taken before treeMu
	treeMu   sync.RWMutex // guards trees and signers; never held while the database is asked for more than a tile, nor together with mu

	keyMu    sync.RWMutex // guards what follows
	keys     map[secretID][32]byte
	keysDown time.Time // when a key could last not be read

	kick   chan struct{}
	stop   chan struct{}
	done   sync.WaitGroup
	work   context.Context // ends when Close has waited long enough
	giveUp context.CancelFunc
}

// logState is one log's current generation.
type logState struct {
	name       string
	generation uint64
	origin     string
	begun      time.Time

	// Guarded by Ledger.mu.
	base   uint64 // leaf of this writer's number 1
	number uint64 // last number given
	hour   int64

	open map[ident.ID]openExchange // guarded by Ledger.openMu

	openedAt openAt // as of the newest checkpoint at start

	// What findOpen found at start; begin's own afterwards.
	left     []*event.Event // intents to close
	previous string         // writer before this one

	size atomic.Uint64 // durable leaves

	head atomic.Pointer[record.Checkpoint] // newest one stored; never nil

	// Guarded by Ledger.treeMu.
	tree    *tree
	signers []signer
	grown   chan struct{} // closed and replaced when size grows
}

// Open opens or creates the ledger of a data directory, closes what an earlier
// run left open, and starts the writer. A second process on the same directory
// or database is refused. It fails when the ledger ends before its newest known
// checkpoint, and as Copied when it is a copy that Backup made; Fork is the way on from
// there.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l, err := prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	if err = l.checkCopied(); err == nil {
		err = l.load(ctx)
	}
	if err == nil {
		err = l.check()
	}
	if err == nil {
		err = l.findOpen(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.done.Add(2)
	go l.write()
	go l.watch()
	if err := l.begin(ctx); err != nil {
		l.Close(ctx)
		return nil, err
	}
	return l, nil
}

// Read opens the ledger for readers alone, also beside the process that writes
// it: keys, checkpoints, leaves, proofs and backups as of the moment of opening.
// Nothing is written, signed or closed; Submit and Append are refused.
func Read(ctx context.Context, c Config) (*Ledger, error) {
	l, err := connect(ctx, c, true)
	if err != nil {
		return nil, err
	}
	l.closed = true
	if err := l.load(ctx); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func prepare(ctx context.Context, c Config) (*Ledger, error) { return connect(ctx, c, false) }

// connect locks the data directory, unless it is for reading, and opens the store.
func connect(ctx context.Context, c Config, reader bool) (*Ledger, error) {
	switch {
	case c.Dir == "" || c.Instance == "" || c.Sealer == nil:
		return nil, errors.New("evidence: Dir, Instance and Sealer are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Pause == 0 {
		c.Pause = time.Millisecond
	}
	if c.Checkpoint == 0 {
		c.Checkpoint = time.Second
	}
	if c.Patience == 0 {
		c.Patience = 1400 * time.Millisecond
	}
	if c.Hook == nil {
		c.Hook = func(string) error { return nil }
	}
	unlock := func() error { return nil }
	if !reader {
		if err := os.MkdirAll(filepath.Join(c.Dir, "checkpoints"), 0o700); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
		var err error
		if unlock, err = lockDir(c.Dir); err != nil {
			return nil, err
		}
	}
	st, err := openStore(ctx, c, reader)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	l := &Ledger{c: c, store: st, reader: reader, unlock: unlock, logs: map[string]*logState{},
		random: bufio.NewReaderSize(c.Rand, 4096), windows: map[refusalKey]*refusalWindow{}, keyless: map[refusalKey]*refusalWindow{},
		inflyID: map[appendKey]*pendingID{}, keys: map[secretID][32]byte{}, kick: make(chan struct{}, 1), stop: make(chan struct{})}
	l.work, l.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	id, err := ident.New(c.Now(), l.random)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.writer = "w-" + id.String()
	return l, nil
}

func (l *Ledger) release() error {
	l.giveUp()
	return errors.Join(l.store.close(), l.unlock())
}

// Close ends in order: nothing more is taken, what waits is written, each log
// gets its ledger.stopped record and a last signature. When ctx ends before
// that, it gives up, as a crash would: the next start closes what is open.
func (l *Ledger) Close(ctx context.Context) error {
	if l.reader {
		return l.release()
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.flushRefusals(true)
	for _, s := range l.logs {
		l.putBody(s, record.LedgerStopped, "ledger", &record.Stopped{Last: s.number})
	}
	l.mu.Unlock()
	close(l.stop)
	finished := make(chan struct{})
	go func() { l.done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		l.giveUp()
		<-finished
		return errors.Join(fmt.Errorf("close ledger: what waits could not be written: %w", ctx.Err()), l.release())
	}
	return l.release()
}

// Logs lists the logs by name; the instance's own is the first.
func (l *Ledger) Logs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.logs))
	for name := range l.logs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Origin is the name that a log's checkpoints carry: instance, organisation
// and generation.
func (l *Ledger) Origin(log string) (string, error) {
	s, err := l.log(log)
	if err != nil {
		return "", err
	}
	return s.origin, nil
}

// Generation of a log: 1, and one more after each fork.
func (l *Ledger) Generation(log string) (uint64, error) {
	s, err := l.log(log)
	if err != nil {
		return 0, err
	}
	return s.generation, nil
}

// Schema is what opening the ledger found of its database's schema, and did to it.
func (l *Ledger) Schema() migrations.Schema { return l.store.schema }

// ErrNoLog is returned for an organisation without a log.
var ErrNoLog = errors.New("no such log")

func (l *Ledger) log(name string) (*logState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logLocked(name)
}

func (l *Ledger) logLocked(name string) (*logState, error) {
	if s, ok := l.logs[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoLog, name)
}

// Ready returns event.ErrUnavailable while the ledger cannot write.
func (l *Ledger) Ready() error {
	if l.down.Load() {
		return event.ErrUnavailable
	}
	return nil
}

// Stats are for metrics and the ledger's page.
type Stats struct {
	Writer   string
	Down     bool
	Since    time.Time // of the outage
	Turned   uint64    // calls turned away in it
	Appended uint64    // records since start
	Logs     []LogStats
}

// LogStats is one log's part.
type LogStats struct {
	Log      string
	Origin   string
	Size     uint64 // durable leaves
	Signed   uint64 // size of the newest checkpoint
	SignedAt time.Time
	Open     int // exchanges without an end
}

// Stats are a consistent picture of the counters.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.openMu.Lock()
	defer l.openMu.Unlock()
	st := Stats{Writer: l.writer, Down: l.down.Load(), Since: l.outage.from, Turned: l.outage.turned, Appended: l.appended.Load()}
	for _, s := range l.logs {
		head := s.head.Load()
		st.Logs = append(st.Logs, LogStats{s.name, s.origin, s.size.Load(), head.Size, time.UnixMicro(head.At), len(s.open)})
	}
	sort.Slice(st.Logs, func(i, j int) bool { return st.Logs[i].Log < st.Logs[j].Log })
	return st
}

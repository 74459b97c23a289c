package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// lockDir refuses a second process on a data directory.
func lockDir(dir string) (func() error, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid := make([]byte, 20)
		n, _ := f.Read(pid)
		return nil, errors.Join(fmt.Errorf("the data directory %s is in use by process %s; stop it first", dir, bytes.TrimSpace(pid[:n])), f.Close())
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil // closing gives the lock back
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// load is loadTree of every log's newest generation.
func (l *Ledger) load(ctx context.Context) error {
	if l.store.pg && !l.reader {
		if err := l.store.sequence(ctx); err != nil {
			return err
		}
	}
	states, err := l.states(ctx)
	if err != nil {
		return err
	}
	for _, s := range states {
		l.logs[s.name] = s // the last generation of a name stays
	}
	if s := l.logs[Instance]; s != nil {
		// It never changes: what a configuration says later counts for new ledgers alone.
		if name, _, err := partsOf(s.origin); err == nil && name != l.c.Instance {
			l.c.Log.Warn("the ledger keeps the name of its instance", "name", name, "configured", l.c.Instance)
			l.c.Instance = name
		}
	}
	for _, name := range l.Logs() {
		if err := l.loadTree(ctx, l.logs[name]); err != nil {
			return err
		}
	}
	return nil
}

// check sets every log against the checkpoint that is kept outside the database.
func (l *Ledger) check() error {
	for _, name := range l.Logs() {
		if err := l.checkCopy(l.logs[name]); err != nil {
			return err
		}
	}
	lost, err := l.lost()
	if err != nil || len(lost) == 0 {
		return err
	}
	return lost[0]
}

// partsOf takes an origin apart: instance/organisation/generation.
func partsOf(origin string) (instance string, generation uint64, err error) {
	parts := strings.Split(origin, "/")
	if len(parts) != 3 {
		return "", 0, fmt.Errorf("%q is not the origin of a log", origin)
	}
	if generation, err = strconv.ParseUint(parts[2], 10, 63); err != nil {
		return "", 0, fmt.Errorf("%q is not the origin of a log", origin)
	}
	return parts[0], generation, nil
}

// lost are the logs that the ledger has nothing of and whose checkpoint is kept outside
// it: with a new database in its place a log would begin again under its old name.
func (l *Ledger) lost() (out []*Behind, err error) {
	dir := filepath.Join(l.c.Dir, "checkpoints")
	copies, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint copies: %w", err)
	}
	for _, f := range copies {
		name, ok := strings.CutSuffix(f.Name(), ".txt")
		if !ok {
			continue
		}
		if name == "_instance" {
			name = Instance
		}
		if l.logs[name] != nil {
			continue // checkCopy compares it
		}
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read checkpoint copy: %w", err)
		}
		origin, size, _, err := parseCheckpoint(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, f.Name()), err)
		}
		out = append(out, &Behind{name, origin, 0, size})
	}
	return out, nil
}

// loadLog loads a log's newest generation, and sets it against the checkpoint that is
// kept outside.
func (l *Ledger) loadLog(ctx context.Context, s *logState) error {
	if err := l.loadTree(ctx, s); err != nil || l.reader {
		return err // beside a writer the copy may be newer than what was read
	}
	return l.checkCopy(s)
}

// restore reads the right edge of a stored tree of size leaves.
func (t *tree) restore(size uint64) error {
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		width := size >> (tileHeight * level) % tileWidth
		t.edge = append(t.edge, make([]tlog.Hash, 0, tileWidth))
		if width == 0 {
			continue
		}
		hashes, err := t.load(level, size>>(tileHeight*(level+1)))
		if err != nil {
			return err
		}
		if uint64(len(hashes)) < width {
			return fmt.Errorf("tile of level %d is too short", level)
		}
		t.edge[level] = append(t.edge[level], hashes[:width]...)
	}
	t.size = size
	return nil
}

// loadKeys reads a log's keys. One whose rotation is not on record, because a
// crash came between, signs nothing until begin has recorded it.
func (l *Ledger) loadKeys(ctx context.Context, s *logState) error {
	rows, err := l.store.db.QueryContext(ctx, l.store.q(`SELECT seq, verifier, sealed, created_at, ends_at FROM ledger_keys WHERE log = ? AND generation = ? ORDER BY seq`), s.name, s.generation)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	defer rows.Close()
	s.signers = nil
	for rows.Next() {
		var seq uint64
		var public string
		var sealed []byte
		var created, ends int64
		if err := rows.Scan(&seq, &public, &sealed, &created, &ends); err != nil {
			return fmt.Errorf("read key: %w", err)
		}
		private, err := l.c.Sealer.Open(sealed, sealContext(s.name, s.generation, seq))
		if err != nil {
			return fmt.Errorf("%s: signing key: %w", s.origin, err)
		}
		k, err := makeSigner(string(private), public)
		if err != nil {
			return err
		}
		k.seq, k.created = seq, time.UnixMicro(created).UTC()
		if ends != 0 {
			k.ends = time.UnixMicro(ends).UTC()
		}
		s.signers = append(s.signers, k)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	if len(s.signers) == 0 {
		return fmt.Errorf("%s has no signing key", s.origin)
	}
	for i := range s.signers {
		_, found, err := l.store.leafOf(ctx, s.name, rotationID(s.signers[i].text))
		if err != nil {
			return fmt.Errorf("read rotations: %w", err)
		}
		s.signers[i].recorded = i == 0 || found
	}
	return nil
}

// Behind is the error of a ledger that ends before its newest known checkpoint.
type Behind struct {
	Log, Origin  string
	Found, Known uint64
}

func (b *Behind) Error() string {
	if b.Found == 0 {
		return fmt.Sprintf("the ledger has nothing of %s, but a checkpoint of %d leaves of it was signed: its database is missing, or an older copy was restored. Bring the newer one back, or open a new generation that names what is missing: plumbline ledger fork --reason '…'", b.Origin, b.Known)
	}
	return fmt.Sprintf("%s ends at leaf %d, but a checkpoint of %d leaves was signed: an older copy was restored. Bring the newer one back, or open a new generation that names what is missing: plumbline ledger fork --reason '…'", b.Origin, b.Found, b.Known)
}

// Rewritten is the error of a ledger whose leaves are not those of a checkpoint that was
// signed.
type Rewritten struct {
	Log, Origin string
	Known       uint64
}

func (r *Rewritten) Error() string {
	return fmt.Sprintf("%s: the ledger's first %d leaves are not those of its checkpoint copy: it was rewritten, or two copies of it were written to. Bring the right one back; when it is lost, and this is a restored copy that was written to, open a new generation that says so: plumbline ledger fork --restored --reason '…'", r.Origin, r.Known)
}

// checkCopy sets the ledger against the checkpoint that is kept outside it.
func (l *Ledger) checkCopy(s *logState) error {
	raw, err := os.ReadFile(l.copyPath(s.name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read checkpoint copy: %w", err)
	}
	origin, size, root, err := parseCheckpoint(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", l.copyPath(s.name), err)
	}
	if origin != s.origin {
		switch _, generation, err := partsOf(origin); {
		case err != nil:
			return fmt.Errorf("%s: %w", l.copyPath(s.name), err)
		case generation > s.generation:
			return &Behind{s.name, origin, 0, size}
		case generation == s.generation:
			return fmt.Errorf("%s is a checkpoint of %s, and the ledger's log is %s: one of the two belongs elsewhere", l.copyPath(s.name), origin, s.origin)
		}
		return nil // of an earlier generation
	}
	if err := s.signed(raw); err != nil {
		return fmt.Errorf("%s: %w", l.copyPath(s.name), err)
	}
	if size > s.tree.size {
		return &Behind{s.name, s.origin, s.tree.size, size}
	}
	if size == 0 {
		return nil
	}
	ours, err := tlog.TreeHash(int64(size), s.tree)
	if err != nil {
		return err
	}
	if ours != root {
		return &Rewritten{s.name, s.origin, size}
	}
	return nil
}

// signed checks that one of the log's keys signed a checkpoint.
func (s *logState) signed(raw []byte) error {
	var verifiers []note.Verifier
	for _, k := range s.signers {
		verifiers = append(verifiers, k.verifier)
	}
	_, err := note.Open(raw, note.VerifierList(verifiers...))
	return err
}

// parseCheckpoint reads the three lines of a checkpoint's text.
func parseCheckpoint(raw []byte) (origin string, size uint64, root tlog.Hash, err error) {
	lines := strings.SplitN(string(raw), "\n", 4)
	if len(lines) < 4 {
		return "", 0, root, errors.New("not a checkpoint")
	}
	if size, err = strconv.ParseUint(lines[1], 10, 63); err != nil {
		return "", 0, root, errors.New("not a checkpoint: size")
	}
	root, err = tlog.ParseHash(lines[2])
	return lines[0], size, root, err
}

// begin makes the instance's log on first start, says in every log that a writer
// started, and closes what an earlier run left open. Batches and responses made
// in the background stay open: they are settled when their results arrive, or at their own deadline.
func (l *Ledger) begin(ctx context.Context) error {
	if _, ok := l.logs[Instance]; !ok {
		if err := l.CreateLog(ctx, Instance); err != nil {
			return err
		}
	}
	var last *event.Commit // promises are kept in the order in which they are given
	for _, s := range l.logs {
		if err := l.recordRotations(ctx, s); err != nil {
			return err
		}
		l.mu.Lock()
		l.putBody(s, record.LedgerStarted, "ledger", &record.Started{Version: l.c.Version, Previous: s.previous, Open: uint64(len(s.left))})
		last = l.pending.promise
		l.mu.Unlock()
		for _, intent := range s.left {
			var err error
			if last, err = l.Submit(closing(intent, s.name, l.c.Now())); err != nil {
				return fmt.Errorf("close exchange %s: %w", intent.Exchange, err)
			}
		}
		s.left = nil
	}
	select {
	case <-last.Done():
		return last.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// findOpen finds what an earlier run left open, in every log. It comes before anything is
// written or signed: a tail that this version cannot read ends the start here, and what is
// open in it is still found by the version that can.
func (l *Ledger) findOpen(ctx context.Context) error {
	for _, name := range l.Logs() {
		s := l.logs[name]
		open, previous, err := l.openIntents(ctx, s)
		if err != nil {
			return err
		}
		s.previous = previous
		for _, o := range open {
			lasts := event.Lasts(o.intent)
			s.open[o.intent.Exchange] = openExchange{o.leaf, lasts, o.tries}
			if o.intent.Log = s.name; lasts {
				l.lasting = append(l.lasting, o.intent)
			} else {
				s.left = append(s.left, o.intent)
			}
		}
	}
	return nil
}

// Lasting are the intents of batches, and of responses made in the background, that earlier runs left open, with their holds. Whoever
// opened the ledger settles them.
func (l *Ledger) Lasting() []*event.Event { return l.lasting }

// openIntent is an intent without an end.
type openIntent struct {
	leaf   uint64
	tries  []uint64 // leaves of further attempts
	intent *event.Event
}

// openIntents finds the intents without an end, where the newest checkpoint says that
// they are. For an exchange with further attempts the dearest hold counts.
func (l *Ledger) openIntents(ctx context.Context, s *logState) ([]openIntent, string, error) {
	open := map[ident.ID]*openIntent{}
	var order []ident.ID
	previous := ""
	take := func(leaf record.Leaf) error {
		r, err := record.Decode(leaf.Bytes)
		if errors.Is(err, record.ErrErased) {
			return nil // long closed: nothing that is open is erased
		}
		if err != nil {
			return fmt.Errorf("%s: leaf %d: %w", s.origin, leaf.Index, err)
		}
		previous = r.Writer
		if _, newer := r.Body.(record.Opaque); newer {
			return fmt.Errorf("%s: leaf %d is a record of %s that a newer version wrote: run that version", s.origin, leaf.Index, r.Kind)
		}
		e, ok := r.Body.(*event.Event)
		if !ok {
			return nil
		}
		switch e.Kind {
		case event.Intent:
			open[e.Exchange] = &openIntent{leaf: leaf.Index, intent: e}
			order = append(order, e.Exchange)
		case event.Attempt:
			if first := open[e.Exchange]; first != nil {
				first.tries = append(first.tries, leaf.Index)
				first.intent.Try = max(first.intent.Try, e.Try)
				if total(e.Holds) > total(first.intent.Holds) {
					first.intent.Holds = e.Holds
				}
			}
		case event.Outcome, event.Incomplete:
			delete(open, e.Exchange)
		}
		return nil
	}
	for _, far := range s.openedAt.lasting {
		leaves, err := l.store.leaves(ctx, s, far, 1)
		if err != nil {
			return nil, "", err
		}
		if len(leaves) == 0 || leaves[0].Index != far {
			return nil, "", fmt.Errorf("%s: leaf %d of an open batch is not there", s.origin, far)
		}
		if err := take(leaves[0]); err != nil {
			return nil, "", err
		}
	}
	previous = ""
	for from := s.openedAt.from; from < s.base; {
		leaves, err := l.store.leaves(ctx, s, from, 8192)
		if err != nil {
			return nil, "", err
		}
		if len(leaves) == 0 {
			break
		}
		for _, leaf := range leaves {
			from = leaf.Index + 1
			if err := take(leaf); err != nil {
				return nil, "", err
			}
		}
	}
	var out []openIntent
	for _, id := range order {
		if o := open[id]; o != nil {
			out = append(out, *o)
			delete(open, id)
		}
	}
	return out, previous, nil
}

func total(holds []event.Hold) (most int64) {
	for _, h := range holds {
		most = max(most, int64(h.Amount))
	}
	return most
}

// closing is the end of an intent whose outcome a crash took: the provider may
// have billed it, so it is charged at its hold and its usage is an estimate.
func closing(e *event.Event, log string, now time.Time) *event.Event {
	c := &event.Event{Kind: event.Incomplete, Log: log, Exchange: e.Exchange, At: now.UnixMicro(), System: e.System, SystemVersion: e.SystemVersion,
		Key: e.Key, Provider: e.Provider, ModelTarget: e.ModelTarget, ModelAsked: e.ModelAsked, Route: e.Route, Simulated: e.Simulated, Endpoint: e.Endpoint,
		Holds: e.Holds, PriceTable: e.PriceTable, Source: event.UsageEstimated, Code: "incomplete"}
	for _, h := range e.Holds {
		c.Charge = max(c.Charge, h.Amount)
	}
	c.Held = c.Charge
	return c
}

// CreateLog opens the log of a new organisation. It is idempotent: one that was
// made, but reported failed, is taken as it is.
func (l *Ledger) CreateLog(ctx context.Context, name string) error {
	if _, err := l.log(name); err == nil {
		return nil
	}
	if l.reader {
		return errors.New("this ledger is open for reading: no log is made")
	}
	l.createMu.Lock()
	defer l.createMu.Unlock()
	if _, err := l.log(name); err == nil {
		return nil
	}
	s, sealed, err := l.newLog(name, 1)
	if err != nil {
		return err
	}
	made, err := l.store.createLog(ctx, s, sealed, nil)
	if err != nil {
		return fmt.Errorf("create log %s: %w", s.origin, err)
	}
	if !made {
		if err := l.loadLog(ctx, s); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[name] = s
	return nil
}

// newLog is a log that is not stored yet.
func (l *Ledger) newLog(name string, generation uint64) (s *logState, sealed []byte, err error) {
	part := name
	if name == Instance {
		part = "_instance"
	}
	s = &logState{name: name, generation: generation, origin: fmt.Sprintf("%s/%s/%d", l.c.Instance, part, generation), open: map[ident.ID]openExchange{}, grown: make(chan struct{})}
	s.tree = newTree(func(level int, n uint64) ([]tlog.Hash, error) { return l.store.tile(s, level, n) })
	s.head.Store(&record.Checkpoint{Origin: s.origin})
	k, sealed, err := l.newSigner(name, s.origin, generation, 1)
	k.recorded = true // the first key of a log is named by whoever pins it
	s.signers = []signer{k}
	return s, sealed, err
}

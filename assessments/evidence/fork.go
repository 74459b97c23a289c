package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"plumbline/assessments/evidence/record"
)

// Forked is one log that got a new generation.
type Forked struct {
	Log         string `json:"log"`
	OldOrigin   string `json:"old_origin"`
	NewOrigin   string `json:"new_origin"`
	MissingFrom uint64 `json:"missing_from"` // first leaf that is gone
	MissingTo   uint64 `json:"missing_to"`   // one past the last that was signed
}

// Fork opens a new generation of every log that ends before its newest known
// checkpoint. The first record of the new one names the old head and the range
// that is missing. The ledger must not be open elsewhere; a log that lacks
// nothing is left alone.
func Fork(ctx context.Context, c Config, actor, reason string) ([]Forked, error) {
	if reason == "" {
		return nil, errors.New("a fork needs a reason: it is on record for ever")
	}
	var out []Forked
	for {
		l, err := prepare(ctx, c)
		if err != nil {
			return out, err
		}
		err = l.load(ctx)
		var behind *Behind
		if !errors.As(err, &behind) {
			return out, errors.Join(err, l.release())
		}
		f, err := l.fork(ctx, behind, actor, reason)
		if err = errors.Join(err, l.release()); err != nil {
			return out, err
		}
		out = append(out, f)
	}
}

func (l *Ledger) fork(ctx context.Context, b *Behind, actor, reason string) (Forked, error) {
	raw, err := os.ReadFile(l.copyPath(b.Log))
	if err != nil {
		return Forked{}, err
	}
	_, size, root, err := parseCheckpoint(raw)
	if err != nil {
		return Forked{}, err
	}
	instance, generation, err := partsOf(b.Origin)
	if err != nil {
		return Forked{}, err
	}
	l.c.Instance = instance
	s, sealed, err := l.newLog(b.Log, generation+1)
	if err != nil {
		return Forked{}, err
	}
	// The copy of the old head is kept beside the new one. It goes first: a crash
	// after it leaves a fork still to be made.
	if err := writeFile(fmt.Sprintf("%s.generation-%d", l.copyPath(b.Log), s.generation-1), raw); err != nil {
		return Forked{}, fmt.Errorf("keep old checkpoint: %w", err)
	}
	l.mu.Lock()
	l.logs = map[string]*logState{b.Log: s}
	l.putBody(s, record.LedgerForked, actor, &record.Forked{OldOrigin: b.Origin, Size: size, Root: root, Found: b.Found, Reason: sha256.Sum256([]byte(reason))})
	batch := l.pending
	l.pending = nil
	l.mu.Unlock()
	if batch == nil {
		return Forked{}, errors.New("the record of the fork could not be made")
	}
	// The generation and the record that explains it become durable together.
	first := batch.groups()[0]
	if made, err := l.store.createLog(ctx, s, sealed, &first); err != nil || !made {
		return Forked{}, errors.Join(fmt.Errorf("create log %s", s.origin), err)
	}
	l.grow(batch)
	if _, err := l.sign(ctx, s, false); err != nil {
		return Forked{}, err
	}
	return Forked{b.Log, b.Origin, s.origin, b.Found, size}, nil
}

// Backup writes a consistent copy of the ledger and its checkpoints while it is
// in use. PostgreSQL has pg_dump for this.
func (l *Ledger) Backup(ctx context.Context, dir string) error {
	if l.store.pg {
		return errors.New("the ledger is in PostgreSQL: use pg_dump, and copy the data directory's checkpoints and key")
	}
	if !l.reader {
		l.signGrown(ctx)
	}
	heads := map[string]record.Checkpoint{} // before the copy, so that none is ahead of it
	for _, name := range l.Logs() {
		cp, err := l.Checkpoint(ctx, name)
		if err != nil {
			return err
		}
		heads[name] = cp
	}
	if _, err := l.store.read.ExecContext(ctx, `VACUUM INTO ?`, filepath.Join(dir, "ledger.db")); err != nil {
		return fmt.Errorf("copy ledger: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o700); err != nil {
		return err
	}
	for name, cp := range heads {
		if cp.Size == 0 {
			continue
		}
		if err := writeFile(filepath.Join(dir, "checkpoints", filepath.Base(l.copyPath(name))), cp.Note); err != nil {
			return fmt.Errorf("copy checkpoint: %w", err)
		}
	}
	return nil
}

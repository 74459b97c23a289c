package evidence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
)

// Generation is one generation of a log. The newest alone grows; what is there of the
// others can be read, proved and exported with ReadGeneration.
type Generation struct {
	Number   uint64       `json:"generation"`
	Origin   string       `json:"origin"`
	From     uint64       `json:"from"` // first leaf: each generation counts from 0
	To       uint64       `json:"to"`   // one past the last leaf that is there
	Signed   uint64       `json:"signed"`
	Begun    time.Time    `json:"begun"`
	SignedAt time.Time    `json:"signed_at,omitzero"` // of the newest checkpoint
	Keys     []KeyInfo    `json:"keys"`               // the one in force last
	After    *Predecessor `json:"after,omitempty"`    // what it was forked from; nil for a log's first
}

// Generations are those of a log that the ledger has, the newest last. One whose
// database was lost is not among them; the record of the fork names it.
func (l *Ledger) Generations(ctx context.Context, log string) ([]Generation, error) {
	states, err := l.states(ctx, log)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoLog, log)
	}
	var out []Generation
	for _, s := range states {
		if err := l.loadTree(ctx, s); err != nil {
			return nil, err
		}
		head := s.head.Load()
		g := Generation{Number: s.generation, Origin: s.origin, To: s.tree.size, Signed: head.Size, Begun: s.begun, Keys: s.keys()}
		if head.Size > 0 {
			g.SignedAt = time.UnixMicro(head.At).UTC()
		}
		if g.After, err = l.predecessorOf(ctx, s); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// predecessorOf reads the first record of a generation; nil when it is none of a fork.
func (l *Ledger) predecessorOf(ctx context.Context, s *logState) (*Predecessor, error) {
	leaves, err := l.store.leaves(ctx, s, 0, 1)
	if err != nil || len(leaves) == 0 {
		return nil, err
	}
	r, err := record.Decode(leaves[0].Bytes)
	if errors.Is(err, record.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: leaf 0: %w", s.origin, err)
	}
	body, ok := r.Body.(*record.Forked)
	if !ok {
		return nil, nil
	}
	return predecessor(r, body), nil
}

// ErrNoGeneration is returned for a generation of a log that the ledger does not have.
var ErrNoGeneration = errors.New("no such generation")

// ReadGeneration is Read of one log alone, in one of its generations. Feed, proofs, keys
// and rotations are that generation's.
func ReadGeneration(ctx context.Context, c Config, log string, generation uint64) (*Ledger, error) {
	l, err := connect(ctx, c, true)
	if err != nil {
		return nil, err
	}
	l.closed = true
	states, err := l.states(ctx, log)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	for _, s := range states {
		if s.generation == generation {
			if err := l.loadTree(ctx, s); err != nil {
				return nil, errors.Join(err, l.release())
			}
			l.logs[log] = s
			return l, nil
		}
	}
	if len(states) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: %q", ErrNoLog, log), l.release())
	}
	return nil, errors.Join(fmt.Errorf("%w: %d of %q", ErrNoGeneration, generation, log), l.release())
}

// states are the generations of a log, or of every log when none is named, in order of
// log and number. Their trees are not loaded.
func (l *Ledger) states(ctx context.Context, logs ...string) ([]*logState, error) {
	query, args := `SELECT log, generation, origin, created_at FROM ledger_logs ORDER BY log, generation`, []any{}
	if len(logs) > 0 {
		query, args = `SELECT log, generation, origin, created_at FROM ledger_logs WHERE log = ? ORDER BY generation`, []any{logs[0]}
	}
	rows, err := l.store.db.QueryContext(ctx, l.store.q(query), args...)
	if err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	defer rows.Close()
	var out []*logState
	for rows.Next() {
		var created int64
		s := &logState{open: map[ident.ID]openExchange{}, grown: make(chan struct{})}
		if err := rows.Scan(&s.name, &s.generation, &s.origin, &created); err != nil {
			return nil, fmt.Errorf("read logs: %w", err)
		}
		s.begun = time.UnixMicro(created).UTC()
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	return out, nil
}

// loadTree reads a generation's keys, its newest checkpoint and right edge, and hashes
// the groups that are newer.
func (l *Ledger) loadTree(ctx context.Context, s *logState) error {
	s.tree = newTree(func(level int, n uint64) ([]tlog.Hash, error) { return l.store.tile(s, level, n) })
	if err := l.loadKeys(ctx, s); err != nil {
		return err
	}
	head, open, err := l.store.checkpoint(ctx, s, 1<<62)
	if err != nil {
		return err
	}
	if head.Size > 0 {
		if err := s.checkSignature(head); err != nil {
			return err
		}
	}
	s.head.Store(&head)
	s.openedAt = open
	if err := s.tree.restore(head.Size); err != nil {
		return fmt.Errorf("%s: %w", s.origin, err)
	}
	if head.Size > 0 {
		if root, err := s.tree.root(); err != nil || [32]byte(root) != head.Root {
			return fmt.Errorf("%s: stored tiles do not hash to the signed root of %d leaves (%v)", s.origin, head.Size, err)
		}
	}
	for {
		leaves, err := l.store.leaves(ctx, s, s.tree.size, 8192)
		if err != nil {
			return err
		}
		for _, leaf := range leaves {
			if leaf.Index != s.tree.size {
				return fmt.Errorf("%s: leaf %d is missing", s.origin, s.tree.size)
			}
			s.tree.append(leaf.Hash())
		}
		if len(leaves) == 0 {
			break
		}
	}
	s.size.Store(s.tree.size)
	s.base = s.tree.size
	if err := l.store.db.QueryRowContext(ctx, l.store.q(`SELECT COALESCE(MAX(hour), 0) FROM ledger_hours WHERE log = ? AND generation = ?`), s.name, s.generation).Scan(&s.hour); err != nil {
		return fmt.Errorf("read hours: %w", err)
	}
	return nil
}

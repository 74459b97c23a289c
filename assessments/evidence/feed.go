package evidence

import (
	"context"

	"plumbline/assessments/evidence/record"
)

// Feed gives the leaves of a log from an index on, dense and in order, at most
// about max; none when the log ends before it.
func (l *Ledger) Feed(ctx context.Context, log string, from uint64, limit int) ([]record.Leaf, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	return l.store.leaves(ctx, s, from, limit)
}

// Size is how many leaves of a log are durable.
func (l *Ledger) Size(log string) uint64 {
	s, err := l.log(log)
	if err != nil {
		return 0
	}
	return s.size.Load()
}

// Wait returns once the log has more than size leaves, or with ctx's error.
func (l *Ledger) Wait(ctx context.Context, log string, size uint64) error {
	s, err := l.log(log)
	if err != nil {
		return err
	}
	for {
		l.treeMu.RLock()
		grown := s.grown
		l.treeMu.RUnlock()
		if s.size.Load() > size {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

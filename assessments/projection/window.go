package projection

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Window is a range of leaves: of rollup hours, of a test or of a report. End is
// one past the last; 0 is open.
type Window struct {
	First, End    uint64
	FromAt, EndAt int64 // what closed in it, or opened in it and is open, began between these; 0: not known
}

// WindowOf is the range of leaves of the rollup hours from one hour since 1970 to
// another that is not in it; 0 is open. An exchange is in the hour in which it was
// closed, so a list of a window has what the counters of its hours count.
func (s *Store) WindowOf(ctx context.Context, org string, from, to int64) (w Window, err error) {
	if from > 0 {
		m, err := s.markFrom(ctx, org, from)
		switch {
		case err != nil:
			return w, err
		case m.hour > 0 && m.earlier:
			w.First, w.FromAt = m.leaf, m.began()
		case m.earlier: // the hour has not begun in the log
			if w.First, err = s.Position(ctx, org); err != nil {
				return w, err
			}
			w.FromAt = hourMicros(from - 1)
		}
	}
	if to > 0 {
		m, err := s.markFrom(ctx, org, to)
		if err != nil {
			return w, err
		}
		if m.hour > 0 {
			w.End, w.EndAt = m.leaf, hourMicros(to+1)
		}
	}
	return w, nil
}

// WindowOfLeaves is a range of leaves with the times that bound it, and the rollup hours
// that it lies in: from one since 1970 to another that is not of them; 0 is open.
func (s *Store) WindowOfLeaves(ctx context.Context, org string, first, end uint64) (w Window, from, to int64, err error) {
	w = Window{First: first, End: end}
	before, err := s.mark(ctx, `first_leaf <= ? ORDER BY first_leaf DESC LIMIT 1`, org, first)
	if err != nil {
		return w, 0, 0, err
	}
	after, err := s.mark(ctx, `first_leaf >= ? ORDER BY first_leaf LIMIT 1`, org, end)
	if err != nil {
		return w, 0, 0, err
	}
	if before.hour > 0 {
		w.FromAt = before.began()
	}
	if after.hour > 0 {
		w.EndAt = hourMicros(after.hour + 1)
	}
	return w, before.hour, after.hour, nil
}

// mark is a row of hour marks; hour is 0 when there is none.
type mark struct {
	hour, openAt int64
	leaf         uint64
	earlier      bool // the log has a mark before it
}

// began is before everything that was open at the mark or came after it began. The
// clock of who began it may be an hour behind.
func (m *mark) began() int64 {
	at := hourMicros(m.hour - 1)
	if m.openAt > 0 {
		at = min(at, m.openAt)
	}
	return at
}

func hourMicros(hour int64) int64 { return hour * 3600 * 1_000_000 }

// markFrom is the first mark of an hour or a later one.
func (s *Store) markFrom(ctx context.Context, org string, hour int64) (mark, error) {
	m, err := s.mark(ctx, `hour >= ? ORDER BY hour LIMIT 1`, org, hour)
	if err != nil {
		return m, err
	}
	before, err := s.mark(ctx, `hour < ? ORDER BY hour DESC LIMIT 1`, org, hour)
	m.earlier = before.hour > 0
	return m, err
}

func (s *Store) mark(ctx context.Context, which string, org string, arg any) (m mark, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT hour, first_leaf, open_at FROM proj_hours WHERE org = ? AND `+which), org, arg).Scan(&m.hour, &m.leaf, &m.openAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, fmt.Errorf("read hour marks: %w", err)
	}
	return m, nil
}

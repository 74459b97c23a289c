package projection

import (
	"context"
	"database/sql"
	"fmt"
)

// Window is a range of leaves: of rollup hours, of a test or of a report. End is
// one past the last; 0 is open.
type Window struct {
	First, End uint64
	EndAt      int64 // what closed in it began before this; 0: not known
}

// WindowOf is the range of leaves of the rollup hours from one hour since 1970 to
// another that is not in it; 0 is open. An exchange is in the hour in which it was
// closed, so a list of a window has what the counters of its hours count.
func (s *Store) WindowOf(ctx context.Context, org string, from, to int64) (w Window, err error) {
	mark := func(hour int64) (leaf sql.NullInt64, earlier int, err error) {
		err = s.db.QueryRowContext(ctx, s.q(`SELECT MIN(CASE WHEN hour >= ? THEN first_leaf END), COUNT(CASE WHEN hour < ? THEN 1 END) FROM proj_hours WHERE org = ?`), hour, hour, org).Scan(&leaf, &earlier)
		return leaf, earlier, err
	}
	if from > 0 {
		leaf, earlier, err := mark(from)
		switch {
		case err != nil:
			return w, fmt.Errorf("read hours: %w", err)
		case leaf.Valid && earlier > 0:
			w.First = uint64(leaf.Int64)
		case earlier > 0: // the hour has not begun in the log
			if w.First, err = s.Position(ctx, org); err != nil {
				return w, err
			}
		}
	}
	if to > 0 {
		leaf, _, err := mark(to)
		if err != nil {
			return w, fmt.Errorf("read hours: %w", err)
		}
		if leaf.Valid {
			w.End, w.EndAt = uint64(leaf.Int64), (to*3600+3600)*1_000_000
		}
	}
	return w, nil
}

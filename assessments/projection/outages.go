package projection

import (
	"context"
	"fmt"

	"plumbline/assessments/evidence/record"
)

// Outage is a time in which a log could not be written.
type Outage struct {
	Leaf uint64
	record.Outage
}

// Outages lists those that ended at or after a time and were recorded before a
// leaf, the oldest first.
func (s *Store) Outages(ctx context.Context, org string, since int64, leaves uint64) ([]Outage, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT leaf FROM proj_events WHERE org = ? AND kind = ? AND at >= ? AND leaf < ? ORDER BY leaf`), org, record.LedgerOutage, since, leaves)
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	var at []uint64
	for rows.Next() {
		var leaf uint64
		if err := rows.Scan(&leaf); err != nil {
			rows.Close()
			return nil, err
		}
		at = append(at, leaf)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	var out []Outage
	for _, leaf := range at {
		r, err := s.record(ctx, org, leaf)
		if err != nil {
			return nil, err
		}
		o, ok := r.Body.(*record.Outage)
		if !ok {
			return nil, fmt.Errorf("leaf %d is a %s and no outage", leaf, r.Kind)
		}
		out = append(out, Outage{leaf, *o})
	}
	return out, nil
}

// record reads one leaf of the log.
func (s *Store) record(ctx context.Context, org string, leaf uint64) (*record.Record, error) {
	list, err := s.feed.Feed(ctx, org, leaf, 1)
	if err != nil {
		return nil, fmt.Errorf("read leaf %d: %w", leaf, err)
	}
	if len(list) == 0 || list[0].Index != leaf {
		return nil, fmt.Errorf("read leaf %d: the log does not have it", leaf)
	}
	r, err := record.Decode(list[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("leaf %d: %w", leaf, err)
	}
	return r, nil
}

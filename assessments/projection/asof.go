package projection

import (
	"context"
	"fmt"
	"time"

	"plumbline/app/ident"
)

// tail is what the leaves from one on changed.
type tail struct {
	counters map[counterKey]int64
	balances map[balanceKey]*balance
}

// HoursAsOf are Hours as they stood when the log had so many leaves: what came
// after is counted again and taken off. Its cost grows with what came after.
func (s *Store) HoursAsOf(ctx context.Context, org, system string, from, to time.Time, leaves uint64) ([]Hour, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tail(ctx, org, leaves)
	if err != nil {
		return nil, err
	}
	hours, err := s.Hours(ctx, org, system, from, to)
	if err != nil {
		return nil, err
	}
	at := map[int64]Counters{}
	for _, h := range hours {
		at[h.Hour] = h.Counters
	}
	for k, n := range t.counters {
		if c := at[k.hour]; c != nil && (system == "" || k.system == system) {
			name := k.counter()
			if c[name] -= n; c[name] == 0 {
				delete(c, name)
			}
		}
	}
	out := hours[:0]
	for _, h := range hours {
		if len(h.Counters) > 0 {
			out = append(out, h)
		}
	}
	return out, nil
}

// BalancesAsOf are an organisation's Balances as they stood when its log had so
// many leaves.
func (s *Store) BalancesAsOf(ctx context.Context, org string, leaves uint64) ([]Balance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tail(ctx, org, leaves)
	if err != nil {
		return nil, err
	}
	balances, err := s.Balances(ctx, org)
	if err != nil {
		return nil, err
	}
	out := balances[:0]
	for _, b := range balances {
		if later := t.balances[balanceKey{b.Budget, b.Window}]; later != nil {
			b.Charged, b.Overspent = b.Charged.Add(-later.charged), b.Overspent.Add(-later.overspent)
		}
		if b.Charged != 0 || b.Overspent != 0 {
			out = append(out, b)
		}
	}
	return out, nil
}

// Mark is where a rollup hour begins in a log.
type Mark struct {
	Hour int64 // hours since 1970
	Leaf uint64
}

// Marks lists the hour marks before a leaf from an hour on, the oldest first.
func (s *Store) Marks(ctx context.Context, org string, fromHour int64, leaves uint64) ([]Mark, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT hour, first_leaf FROM proj_hours WHERE org = ? AND hour >= ? AND first_leaf < ? ORDER BY hour`), org, fromHour, leaves)
	if err != nil {
		return nil, fmt.Errorf("read hour marks: %w", err)
	}
	defer rows.Close()
	var out []Mark
	for rows.Next() {
		var m Mark
		if err := rows.Scan(&m.Hour, &m.Leaf); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// tail applies the leaves from one on to an empty batch. mu is held, so that it
// ends where the tables end.
func (s *Store) tail(ctx context.Context, org string, leaves uint64) (tail, error) {
	end, err := s.Position(ctx, org)
	if err != nil || end <= leaves {
		return tail{}, err
	}
	b := newBatch(cursor{log: org, next: leaves})
	if b.cur.hour, err = s.hourAt(ctx, org, leaves); err != nil {
		return tail{}, err
	}
	for b.cur.next < end {
		if err := s.replay(ctx, b, leaves, int(min(end-b.cur.next, batchLeaves))); err != nil {
			return tail{}, fmt.Errorf("count what follows leaf %d: %w", leaves, err)
		}
	}
	return tail{b.counters, b.balances}, nil
}

// replay applies the next leaves. What the tables hold of their exchanges from
// before the first of them stands; the rest happens again.
func (s *Store) replay(ctx context.Context, b *batch, first uint64, n int) error {
	leaves, err := s.feed.Feed(ctx, b.cur.log, b.cur.next, n)
	if err != nil {
		return err
	}
	if len(leaves) == 0 {
		return fmt.Errorf("the log ends at leaf %d", b.cur.next)
	}
	records, err := decode(b.cur.next, leaves)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	known := b.exchanges
	b.exchanges, b.order = map[ident.ID]*Exchange{}, nil
	if err := s.loadExchanges(ctx, tx, b, records); err != nil {
		_ = tx.Rollback()
		return err
	}
	if err := tx.Rollback(); err != nil {
		return err
	}
	for id, x := range b.exchanges {
		if before, ok := known[id]; ok {
			b.exchanges[id] = before
			continue
		}
		if x.OpenedLeaf >= int64(first) {
			x.OpenedLeaf = -1
		}
		if x.ClosedLeaf >= int64(first) {
			x.ClosedLeaf = -1
		}
	}
	for _, r := range records {
		if err := b.apply(b.cur.next, r); err != nil {
			return fmt.Errorf("leaf %d: %w", b.cur.next, err)
		}
		b.cur.next++
	}
	for id, x := range known {
		if _, ok := b.exchanges[id]; !ok {
			b.exchanges[id] = x
		}
	}
	return nil
}

// hourAt is the rollup hour that a leaf's predecessor belongs to.
func (s *Store) hourAt(ctx context.Context, org string, leaf uint64) (hour int64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT COALESCE(MAX(hour), 0) FROM proj_hours WHERE org = ? AND first_leaf < ?`), org, leaf).Scan(&hour)
	if err != nil || hour > 0 || leaf == 0 {
		return hour, err
	}
	leaves, err := s.feed.Feed(ctx, org, 0, 1)
	if err != nil || len(leaves) == 0 {
		return 0, err
	}
	records, err := decode(0, leaves)
	if err != nil {
		return 0, err
	}
	return records[0].At / time.Hour.Microseconds(), nil
}

package projection

import (
	"context"
	"fmt"
	"slices"
)

// Counted is a number of refusals that have one record together.
type Counted struct {
	Leaf        uint64
	ID          string // of the record
	System, Key string
	Code        string
	Count       int64
	First, Last int64 // microseconds since 1970
}

// countedWhere is the part of a filter that counted refusals can be held
// against; of model, guards and usage they say nothing.
func (f *Filter) countedWhere(org string) (c *condition, can bool) {
	all := append(slices.Clone(f.States), f.State)
	if f.Model != "" || f.Target != "" || len(f.Findings) > 0 || len(f.Sources) > 0 || slices.Max(all) != "" && !slices.Contains(all, Refused) {
		return nil, false
	}
	c = &condition{}
	c.add("org = ?", org)
	c.equal("system", f.System)
	c.equal("key_id", f.Key)
	c.within("key_id", f.Keys)
	c.equal("code", f.Code)
	c.in("system", f.Systems)
	c.in("code", f.Codes)
	if f.From != 0 {
		c.add("last_at >= ?", f.From)
	}
	if f.To != 0 {
		c.add("last_at < ?", f.To)
	}
	if f.Leaves != 0 {
		c.add("leaf < ?", f.Leaves)
	}
	if f.Window.First > 0 {
		c.add("leaf >= ?", f.Window.First)
	}
	if f.Window.End > 0 {
		c.add("leaf < ?", f.Window.End)
	}
	return c, true
}

// Counted lists refusals that were counted together, the newest first; the cursor
// is that of Exchanges.
func (s *Store) Counted(ctx context.Context, org string, f Filter) ([]Counted, error) {
	c, can := f.countedWhere(org)
	if !can {
		return nil, nil
	}
	if err := c.after(f.Before, "last_at", "id"); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, s.q("SELECT leaf, id, system, key_id, code, count, first_at, last_at FROM proj_refusals WHERE "+c.String()+" ORDER BY last_at DESC, id DESC LIMIT ?"), append(c.args, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read counted refusals: %w", err)
	}
	defer rows.Close()
	var out []Counted
	for rows.Next() {
		var x Counted
		if err := rows.Scan(&x.Leaf, &x.ID, &x.System, &x.Key, &x.Code, &x.Count, &x.First, &x.Last); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

// CountedSum adds up the counted refusals that a filter takes.
func (s *Store) CountedSum(ctx context.Context, org string, f Filter) (n int64, err error) {
	c, can := f.countedWhere(org)
	if !can {
		return 0, nil
	}
	err = s.db.QueryRowContext(ctx, s.q("SELECT COALESCE(SUM(count), 0) FROM proj_refusals WHERE "+c.String()), c.args...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("sum counted refusals: %w", err)
	}
	return n, nil
}

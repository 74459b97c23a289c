package projection

import (
	"context"
	"fmt"
)

// KeyUse is what was called with a key.
type KeyUse struct {
	Calls   int64 `json:"calls"`   // sent to a provider or answered, whatever came of them
	Refused int64 `json:"refused"` // before anything was sent; counted ones too
}

// UseOfKeys adds up what a filter takes, by key.
func (s *Store) UseOfKeys(ctx context.Context, org string, f Filter) (map[string]KeyUse, error) {
	out := map[string]KeyUse{}
	c := f.where(org)
	err := s.keyCounts(ctx, "SELECT key_id, CASE WHEN state = '"+Refused+"' THEN 1 ELSE 0 END AS refused, COUNT(*) FROM proj_exchanges WHERE "+c.String()+" GROUP BY key_id, CASE WHEN state = '"+Refused+"' THEN 1 ELSE 0 END", c.args, out)
	if err != nil {
		return nil, err
	}
	if c, can := f.countedWhere(org); can {
		err = s.keyCounts(ctx, "SELECT key_id, 1, SUM(count) FROM proj_refusals WHERE "+c.String()+" GROUP BY key_id", c.args, out)
	}
	return out, err
}

func (s *Store) keyCounts(ctx context.Context, query string, args []any, into map[string]KeyUse) error {
	rows, err := s.db.QueryContext(ctx, s.q(query), args...)
	if err != nil {
		return fmt.Errorf("count by key: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var refused int
		var n int64
		if err := rows.Scan(&key, &refused, &n); err != nil {
			return err
		}
		u := into[key]
		if refused == 1 {
			u.Refused += n
		} else {
			u.Calls += n
		}
		into[key] = u
	}
	return rows.Err()
}

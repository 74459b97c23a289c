package projection

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"
)

// Counters are sums over rollup hours, by name.
type Counters map[string]int64

// Ratio is a/b; ok is false when b is 0, which is no ratio and not 0 or 1.
func (c Counters) Ratio(a, b string) (ratio float64, ok bool) {
	if c[b] == 0 {
		return 0, false
	}
	return float64(c[a]) / float64(c[b]), true
}

// Add adds to a counter, which stays at the largest number instead of wrapping.
func (c Counters) Add(name string, n int64) { c[name] = added(c[name], n) }

// AddAll adds every counter of another.
func (c Counters) AddAll(other Counters) {
	for name, n := range other {
		c.Add(name, n)
	}
}

// added is a+b, held at ±MaxInt64. A charge has no other end than the largest amount: the
// tokens of an answer are believed up to a limit, prices are what somebody set.
func added(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < -math.MaxInt64-b:
		return -math.MaxInt64
	}
	return a + b
}

// plus is added in SQL: of a table's column and what was to be inserted. Without it
// SQLite makes a number with a fraction of what does not fit, and PostgreSQL an error.
func plus(table, column string) string {
	was, more := table+"."+column, "excluded."+column
	return "CASE WHEN " + more + " > 0 AND " + was + " > 9223372036854775807 - " + more + " THEN 9223372036854775807" +
		" WHEN " + more + " < 0 AND " + was + " < -9223372036854775807 - " + more + " THEN -9223372036854775807" +
		" ELSE " + was + " + " + more + " END"
}

// sums are the columns of a sum in two halves, neither of which can be too large for
// the database to add up; joined makes one number of them.
const sums = "SUM(value / 4294967296), SUM(value % 4294967296)"

func joined(high, low int64) int64 {
	high, low = high+low>>32, low&(1<<32-1)
	switch {
	case high >= 1<<31:
		return math.MaxInt64
	case high < -1<<31:
		return -math.MaxInt64
	}
	return max(high<<32+low, -math.MaxInt64)
}

const hoursPerDay = 24

// span is the rows of some hours: whole days where there are any, and the hours
// before and after them. A year of one system's hours is 8,760 rows for each counter,
// its days 365.
type span struct {
	query string // columns system, name, value
	args  []any
}

// spanOf takes the hours from one since 1970 to another that is not in it; 0 is open.
// An empty system takes all.
func spanOf(org, system string, from, to int64) span {
	var s span
	part := func(table, unit string, from, to int64) {
		if s.query != "" {
			s.query += " UNION ALL "
		}
		s.query += "SELECT system, name, value FROM " + table + " WHERE org = ? AND " + unit + " >= ?"
		s.args = append(s.args, org, from)
		if to != 0 {
			s.query += " AND " + unit + " < ?"
			s.args = append(s.args, to)
		}
		if system != "" {
			s.query += " AND system = ?"
			s.args = append(s.args, system)
		}
	}
	first, last := (from+hoursPerDay-1)/hoursPerDay, to/hoursPerDay
	if to != 0 && first >= last {
		part("proj_counters", "hour", from, to)
		return s
	}
	part("proj_days", "day", first, last)
	if from < first*hoursPerDay {
		part("proj_counters", "hour", from, first*hoursPerDay)
	}
	if last*hoursPerDay < to {
		part("proj_counters", "hour", last*hoursPerDay, to)
	}
	return s
}

// Sum adds up a system's counters over the hours from one hour since 1970 on; an
// empty system takes all systems and unregistered use together.
func (s *Store) Sum(ctx context.Context, org, system string, fromHour int64) (Counters, error) {
	out := Counters{}
	in := spanOf(org, system, fromHour, 0)
	err := s.eachSum(ctx, `SELECT '', 0, name, `+sums+` FROM (`+in.query+`) AS span GROUP BY name`, in.args, func(_ string, _ int64, name string, v int64) { out[name] = v })
	return out, err
}

// SumBySystem adds up counters of each system over the hours from one hour since
// 1970 to another that is not in it; 0 is open. Use by no registered system is
// under the empty name.
func (s *Store) SumBySystem(ctx context.Context, org string, from, to int64) (map[string]Counters, error) {
	out := map[string]Counters{}
	in := spanOf(org, "", from, to)
	err := s.eachSum(ctx, `SELECT system, 0, name, `+sums+` FROM (`+in.query+`) AS span GROUP BY system, name`, in.args, func(system string, _ int64, name string, v int64) {
		if out[system] == nil {
			out[system] = Counters{}
		}
		out[system][name] = v
	})
	return out, err
}

// Hour is one rollup hour of a system.
type Hour struct {
	Hour     int64 // hours since 1970
	Counters Counters
}

// Hours lists a system's rollup hours, the oldest first; an empty system takes
// all together.
func (s *Store) Hours(ctx context.Context, org, system string, from, to time.Time) ([]Hour, error) {
	return s.rollups(ctx, "proj_counters", "hour", org, system, from.Unix()/3600, to.Unix()/3600)
}

// Day is the rollup hours of one day, UTC.
type Day struct {
	Day      int64 // days since 1970
	Counters Counters
}

// Days lists a system's days from the one of a time on, the oldest first; an empty
// system takes all together.
func (s *Store) Days(ctx context.Context, org, system string, from time.Time) ([]Day, error) {
	list, err := s.rollups(ctx, "proj_days", "day", org, system, from.Unix()/(3600*hoursPerDay), math.MaxInt64)
	out := make([]Day, len(list))
	for i, h := range list {
		out[i] = Day{h.Hour, h.Counters}
	}
	return out, err
}

func (s *Store) rollups(ctx context.Context, table, unit, org, system string, from, to int64) (out []Hour, err error) {
	query, args := `SELECT '', `+unit+`, name, `+sums+` FROM `+table+` WHERE org = ? AND `+unit+` >= ? AND `+unit+` <= ?`, []any{org, from, to}
	if system != "" {
		query += ` AND system = ?`
		args = append(args, system)
	}
	err = s.eachSum(ctx, query+` GROUP BY `+unit+`, name ORDER BY `+unit, args, func(_ string, at int64, name string, v int64) {
		if len(out) == 0 || out[len(out)-1].Hour != at {
			out = append(out, Hour{at, Counters{}})
		}
		out[len(out)-1].Counters[name] = v
	})
	return out, err
}

// LastFallback is the newest rollup hour from one on in which a call of a system was put
// to a route's other deployments; 0 when there is none. It is the one counter of which
// that is asked, and has an index of its own.
func (s *Store) LastFallback(ctx context.Context, org, system string, fromHour int64) (hour int64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT COALESCE(MAX(hour), 0) FROM proj_counters WHERE org = ? AND system = ? AND hour >= ? AND name = 'fallbacks' AND value > 0`), org, system, fromHour).Scan(&hour)
	if err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	return hour, nil
}

// eachSum reads rows of system, unit of time, name and the two halves of a sum.
func (s *Store) eachSum(ctx context.Context, query string, args []any, f func(system string, at int64, name string, v int64)) error {
	rows, err := s.db.QueryContext(ctx, s.q(query), args...)
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var system, name string
		var at, high, low int64
		if err := rows.Scan(&system, &at, &name, &high, &low); err != nil {
			return fmt.Errorf("read counters: %w", err)
		}
		f(system, at, name, joined(high, low))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	return nil
}

// rollup is a counter of an hour, or of a day.
type rollup struct {
	system string
	at     int64
	name   string
	value  int64
}

// saveCounters adds a batch's counters to their hours and to the days of those.
func (s *Store) saveCounters(ctx context.Context, tx *sql.Tx, org string, b *batch) error {
	hours, days := make([]rollup, 0, len(b.counters)), map[rollup]int64{}
	for k, v := range b.counters {
		name := k.counter()
		hours = append(hours, rollup{k.system, k.hour, name, v})
		day := rollup{system: k.system, at: k.hour / hoursPerDay, name: name}
		days[day] = added(days[day], v)
	}
	if err := s.saveRollups(ctx, tx, "proj_counters", "hour", org, hours); err != nil {
		return err
	}
	list := make([]rollup, 0, len(days))
	for day, v := range days {
		day.value = v
		list = append(list, day)
	}
	if err := s.saveRollups(ctx, tx, "proj_days", "day", org, list); err != nil {
		return err
	}
	var rows [][]any
	for _, h := range b.hours {
		rows = append(rows, []any{org, h.hour, h.leaf, h.at, h.openAt})
	}
	return s.insert(ctx, tx, "proj_hours", []string{"org", "hour", "first_leaf", "at", "open_at"}, rows, `ON CONFLICT DO NOTHING`)
}

func (s *Store) saveRollups(ctx context.Context, tx *sql.Tx, table, unit, org string, list []rollup) error {
	// In the order of the key, so that neighbours are on one page and every writer of
	// PostgreSQL takes rows in the same order.
	slices.SortFunc(list, func(a, b rollup) int {
		return cmp.Or(cmp.Compare(a.system, b.system), cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name))
	})
	row := func(i int, to []any) []any {
		c := &list[i]
		return append(to, org, c.system, c.at, c.name, c.value)
	}
	return s.insertEach(ctx, tx, table, []string{"org", "system", unit, "name", "value"}, len(list), row,
		`ON CONFLICT (org, system, `+unit+`, name) DO UPDATE SET value = `+plus(table, "value"))
}

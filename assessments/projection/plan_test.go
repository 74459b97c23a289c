package projection

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/app/db"
	"plumbline/assessments/evidence/record"
	"plumbline/migrations"
)

// asked is what was asked of a database.
type asked struct {
	query string
	args  []any
}

// listening opens connections that note their queries.
type listening struct {
	driver driver.Driver
	dsn    string
	heard  *[]asked
}

func (l listening) Driver() driver.Driver { return l.driver }

func (l listening) Connect(context.Context) (driver.Conn, error) {
	c, err := l.driver.Open(l.dsn)
	if err != nil {
		return nil, err
	}
	return listener{sqliteConn: c.(sqliteConn), heard: l.heard}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type listener struct {
	sqliteConn
	heard *[]asked
}

func (l listener) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	a := asked{query: query}
	for _, v := range args {
		a.args = append(a.args, v.Value)
	}
	*l.heard = append(*l.heard, a)
	return l.sqliteConn.QueryContext(ctx, query, args)
}

// TestReadsItsWindow: what is asked of a window is read through an index whose range is
// the window, and what is asked of the newest through one that has it at its end. A year
// of use does not make either dearer.
func TestReadsItsWindow(t *testing.T) {
	plain := sqlite(t)
	var heard []asked
	pool := sql.OpenDB(listening{plain.Driver(), db.SQLiteDSN(filepath.Join(t.TempDir(), "state.db"), "OFF"), &heard})
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { pool.Close() })
	if _, err := migrations.Up(t.Context(), pool, "sqlite", "state"); err != nil {
		t.Fatal(err)
	}
	f := newFeed("acme")
	p := New(pool, "sqlite", f, nil)
	now := time.Date(2026, 11, 27, 10, 30, 0, 0, time.UTC)
	hour := now.Unix() / 3600
	for h := hour - 40*24; h <= hour; h += 6 {
		f.put(t, "acme", time.Unix(h*3600, 0), record.LedgerHour, &record.Hour{Hour: h})
	}
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	month, err := p.WindowOf(ctx, "acme", hour-30*24, 0)
	if err != nil {
		t.Fatal(err)
	}
	march, err := p.WindowOf(ctx, "acme", hour-30*24, hour-20*24)
	if err != nil {
		t.Fatal(err)
	}
	list := func(f Filter) error { _, _, err := p.Exchanges(ctx, "acme", f); return err }
	for _, c := range []struct {
		name string
		ask  func() error
		want []string // how each table is read
	}{
		{"sum of a system", func() error { _, err := p.Sum(ctx, "acme", "SYS-001", hour-365*24); return err },
			[]string{"proj_days USING INDEX sqlite_autoindex_proj_days_1 (org=? AND system=? AND day>?)", "proj_counters USING INDEX sqlite_autoindex_proj_counters_1 (org=? AND system=? AND hour>? AND hour<?)"}},
		{"sum of all", func() error { _, err := p.Sum(ctx, "acme", "", hour-30*24); return err },
			[]string{"proj_days USING INDEX proj_days_day (org=? AND day>?)", "proj_counters USING INDEX proj_counters_hour (org=? AND hour>? AND hour<?)"}},
		{"sums by system", func() error { _, err := p.SumBySystem(ctx, "acme", hour-30*24, hour-2); return err },
			[]string{"proj_days USING INDEX proj_days_day (org=? AND day>? AND day<?)", "proj_counters USING INDEX proj_counters_hour (org=? AND hour>? AND hour<?)", "proj_counters USING INDEX proj_counters_hour (org=? AND hour>? AND hour<?)"}},
		{"days", func() error { _, err := p.Days(ctx, "acme", "", now); return err },
			[]string{"proj_days USING INDEX proj_days_day (org=? AND day>? AND day<?)"}},
		{"hours of a system", func() error { _, err := p.Hours(ctx, "acme", "SYS-001", now, now); return err },
			[]string{"proj_counters USING INDEX sqlite_autoindex_proj_counters_1 (org=? AND system=? AND hour>? AND hour<?)"}},
		{"last fallback", func() error { _, err := p.LastFallback(ctx, "acme", "SYS-001", hour-365*24); return err },
			[]string{"proj_counters USING INDEX proj_counters_fallbacks (org=? AND system=? AND hour>?)"}},
		{"last mark", func() error { _, err := p.LastMark(ctx, "acme"); return err },
			[]string{"proj_hours USING INDEX sqlite_autoindex_proj_hours_1 (org=?)"}},
		{"window of hours", func() error { _, err := p.WindowOf(ctx, "acme", hour-30*24, 0); return err },
			[]string{"proj_hours USING INDEX sqlite_autoindex_proj_hours_1 (org=? AND hour>?)", "proj_hours USING INDEX sqlite_autoindex_proj_hours_1 (org=? AND hour<?)"}},
		{"window of leaves", func() error { _, _, _, err := p.WindowOfLeaves(ctx, "acme", 10, 20); return err },
			[]string{"proj_hours USING INDEX proj_hours_leaf (org=? AND first_leaf<?)", "proj_hours USING INDEX proj_hours_leaf (org=? AND first_leaf>?)"}},
		{"exchanges of a month", func() error { return list(Filter{Window: month, Codes: []string{"rate_limited"}}) },
			[]string{"proj_exchanges USING INDEX proj_exchanges_at (org=? AND at>?)"}},
		{"exchanges between two hours", func() error { return list(Filter{Window: march, Key: "k"}) },
			[]string{"proj_exchanges USING INDEX proj_exchanges_at (org=? AND at>? AND at<?)"}},
		{"exchanges of a system", func() error { return list(Filter{Window: month, Systems: []string{"SYS-001"}, States: []string{Cut}}) },
			[]string{"proj_exchanges USING INDEX proj_exchanges_system (org=? AND system=? AND at>?)"}},
		{"exchanges with a finding", func() error { return list(Filter{Window: month, Findings: []string{"pii"}}) },
			[]string{"proj_exchanges USING INDEX proj_exchanges_findings (org=? AND at>?)"}},
		{"open exchanges of a system", func() error { return list(Filter{System: "SYS-001", State: Open}) },
			[]string{"proj_exchanges USING INDEX proj_exchanges_open (org=?)"}},
		{"count", func() error { _, _, err := p.Count(ctx, "acme", Filter{Window: month, Model: "m"}, 10); return err },
			[]string{"proj_exchanges USING INDEX proj_exchanges_at (org=? AND at>?)"}},
		{"counted refusals", func() error { _, err := p.Counted(ctx, "acme", Filter{Window: month}); return err },
			[]string{"proj_refusals USING INDEX sqlite_autoindex_proj_refusals_1 (org=? AND leaf>?)"}},
		{"changes", func() error { _, err := p.Changes(ctx, "acme", now.UnixMicro(), 10); return err },
			[]string{"proj_changes USING INDEX proj_changes_at (org=? AND at>?)"}},
		{"newest results", func() error { _, err := p.Newest(ctx, "acme", "SYS-001", []string{"t.a"}, 0); return err },
			[]string{"proj_results USING INDEX sqlite_autoindex_proj_results_1 (org=? AND leaf=?)", "proj_results USING COVERING INDEX proj_results_test (org=? AND system=? AND test=?)"}},
	} {
		heard = nil
		if err := c.ask(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, a := range heard {
			if strings.Contains(a.query, "proj_cursors") {
				continue
			}
			for _, step := range plan(t, pool, a) {
				if strings.HasPrefix(step, "SCAN") && strings.Contains(step, "proj_") || strings.HasPrefix(step, "SEARCH") {
					got = append(got, strings.TrimPrefix(step, "SEARCH "))
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s reads\n\t%s\nwant\n\t%s", c.name, strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
		}
	}
}

func plan(t *testing.T, pool *sql.DB, a asked) (steps []string) {
	t.Helper()
	rows, err := pool.Query("EXPLAIN QUERY PLAN "+a.query, a.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

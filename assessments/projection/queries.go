package projection

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
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

// Sum adds up a system's counters over the hours from one hour since 1970 on; an
// empty system takes all systems and unregistered use together.
func (s *Store) Sum(ctx context.Context, org, system string, fromHour int64) (Counters, error) {
	query, args := `SELECT name, SUM(value) FROM proj_counters WHERE org = ? AND hour >= ?`, []any{org, fromHour}
	if system != "" {
		query += ` AND system = ?`
		args = append(args, system)
	}
	rows, err := s.db.QueryContext(ctx, s.q(query+` GROUP BY name`), args...)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	defer rows.Close()
	out := Counters{}
	for rows.Next() {
		var name string
		var v int64
		if err := rows.Scan(&name, &v); err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, rows.Err()
}

// SumBySystem adds up counters of each system over the hours from one hour since
// 1970 to another that is not in it; 0 is open. Use by no registered system is
// under the empty name.
func (s *Store) SumBySystem(ctx context.Context, org string, from, to int64) (map[string]Counters, error) {
	query, args := `SELECT system, name, SUM(value) FROM proj_counters WHERE org = ? AND hour >= ?`, []any{org, from}
	if to != 0 {
		query += ` AND hour < ?`
		args = append(args, to)
	}
	rows, err := s.db.QueryContext(ctx, s.q(query+` GROUP BY system, name`), args...)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	defer rows.Close()
	out := map[string]Counters{}
	for rows.Next() {
		var system, name string
		var v int64
		if err := rows.Scan(&system, &name, &v); err != nil {
			return nil, err
		}
		if out[system] == nil {
			out[system] = Counters{}
		}
		out[system][name] = v
	}
	return out, rows.Err()
}

// Hour is one rollup hour of a system.
type Hour struct {
	Hour     int64 // hours since 1970
	Counters Counters
}

// Hours lists a system's rollup hours, the oldest first; an empty system takes
// all together.
func (s *Store) Hours(ctx context.Context, org, system string, from, to time.Time) ([]Hour, error) {
	query, args := `SELECT hour, name, SUM(value) FROM proj_counters WHERE org = ? AND hour >= ? AND hour <= ?`, []any{org, from.Unix() / 3600, to.Unix() / 3600}
	if system != "" {
		query += ` AND system = ?`
		args = append(args, system)
	}
	rows, err := s.db.QueryContext(ctx, s.q(query+` GROUP BY hour, name ORDER BY hour`), args...)
	if err != nil {
		return nil, fmt.Errorf("read hours: %w", err)
	}
	defer rows.Close()
	var out []Hour
	for rows.Next() {
		var hour, v int64
		var name string
		if err := rows.Scan(&hour, &name, &v); err != nil {
			return nil, err
		}
		if len(out) == 0 || out[len(out)-1].Hour != hour {
			out = append(out, Hour{hour, Counters{}})
		}
		out[len(out)-1].Counters[name] = v
	}
	return out, rows.Err()
}

// FirstLeaf is where the rollup hours from an hour on begin in the log; 0 when the
// log is younger.
func (s *Store) FirstLeaf(ctx context.Context, org string, fromHour int64) (leaf uint64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT COALESCE(MIN(first_leaf), 0) FROM proj_hours WHERE org = ? AND hour >= ?`), org, fromHour).Scan(&leaf)
	var earlier int
	if err == nil {
		err = s.db.QueryRowContext(ctx, s.q(`SELECT COUNT(*) FROM proj_hours WHERE org = ? AND hour < ?`), org, fromHour).Scan(&earlier)
	}
	if earlier == 0 {
		return 0, err
	}
	return leaf, err
}

// LastMark is when the newest hour mark was made: the collector's heartbeat.
func (s *Store) LastMark(ctx context.Context, org string) (at int64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT COALESCE(MAX(at), 0) FROM proj_hours WHERE org = ?`), org).Scan(&at)
	return at, err
}

// Gaps is how many of the writers' numbers are missing.
func (s *Store) Gaps(ctx context.Context, org string) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT COALESCE(SUM(gaps), 0) FROM proj_writers WHERE org = ?`), org).Scan(&n)
	return n, err
}

// Observed is a model that a system was seen to use.
type Observed struct {
	System, Provider, Model string
	FirstAt, LastAt         int64
	FirstLeaf, LastLeaf     uint64
	Calls                   int64
	Simulated               bool
}

// Observed lists what a system used; an empty system lists all.
func (s *Store) Observed(ctx context.Context, org, system string) ([]Observed, error) {
	query, args := `SELECT system, provider, model, first_at, last_at, first_leaf, last_leaf, calls, simulated FROM proj_observed WHERE org = ?`, []any{org}
	if system != "" {
		query += ` AND system = ?`
		args = append(args, system)
	}
	rows, err := s.db.QueryContext(ctx, s.q(query+` ORDER BY system, provider, model`), args...)
	if err != nil {
		return nil, fmt.Errorf("read observed models: %w", err)
	}
	defer rows.Close()
	var out []Observed
	for rows.Next() {
		var o Observed
		var simulated int
		if err := rows.Scan(&o.System, &o.Provider, &o.Model, &o.FirstAt, &o.LastAt, &o.FirstLeaf, &o.LastLeaf, &o.Calls, &simulated); err != nil {
			return nil, err
		}
		o.Simulated = simulated != 0
		out = append(out, o)
	}
	return out, rows.Err()
}

// Balance is what a budget's window was charged.
type Balance struct {
	Org, Budget string
	Window      int64
	Charged     money.Nano
	Overspent   money.Nano
}

// Balances lists the windows of an organisation's budgets.
func (s *Store) Balances(ctx context.Context, org string) ([]Balance, error) {
	return s.balances(ctx, ` WHERE org = ?`, org)
}

// AllBalances lists those of every organisation, to restore counters from.
func (s *Store) AllBalances(ctx context.Context) ([]Balance, error) { return s.balances(ctx, "") }

func (s *Store) balances(ctx context.Context, where string, args ...any) ([]Balance, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT org, budget, win, charged, overspent FROM proj_balances`+where+` ORDER BY org, budget, win`), args...)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	defer rows.Close()
	var out []Balance
	for rows.Next() {
		var b Balance
		if err := rows.Scan(&b.Org, &b.Budget, &b.Window, &b.Charged, &b.Overspent); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// Change is a change of the register, as its record has it.
type Change struct {
	Leaf     uint64
	At       int64
	ID       string
	Kind     string
	Object   string
	Version  uint64
	Actor    string
	Approver string
	Imported bool
	Reasoned bool
}

// Changes lists changes since a time, the newest first.
func (s *Store) Changes(ctx context.Context, org string, since int64, limit int) ([]Change, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT leaf, at, id, kind, object, version, actor, approver, imported, reasoned FROM proj_changes WHERE org = ? AND at >= ? ORDER BY leaf DESC LIMIT ?`), org, since, limit)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	defer rows.Close()
	var out []Change
	for rows.Next() {
		var c Change
		var imported, reasoned int
		if err := rows.Scan(&c.Leaf, &c.At, &c.ID, &c.Kind, &c.Object, &c.Version, &c.Actor, &c.Approver, &imported, &reasoned); err != nil {
			return nil, err
		}
		c.Imported, c.Reasoned = imported != 0, reasoned != 0
		out = append(out, c)
	}
	return out, rows.Err()
}

// Finding is something that a person should look at.
type Finding struct {
	ID, Kind, Subject   string
	FirstAt, LastAt     int64
	FirstLeaf, LastLeaf uint64
	Count               int64
}

// Findings lists unregistered use, the oldest first.
func (s *Store) Findings(ctx context.Context, org string) ([]Finding, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT id, kind, subject, first_at, last_at, first_leaf, last_leaf, count FROM proj_findings WHERE org = ? ORDER BY first_at`), org)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	defer rows.Close()
	var out []Finding
	for rows.Next() {
		var f Finding
		if err := rows.Scan(&f.ID, &f.Kind, &f.Subject, &f.FirstAt, &f.LastAt, &f.FirstLeaf, &f.LastLeaf, &f.Count); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// Result is a recorded test result.
type Result struct {
	Leaf uint64
	ID   string
	At   int64
	record.TestResult
}

// Results lists results of a system's test, the newest first; an empty test lists
// all. leaves limits it to what stands before that leaf; 0: all.
func (s *Store) Results(ctx context.Context, org, system, test string, leaves uint64, limit int) ([]Result, error) {
	query, args := `SELECT leaf, id, at, body FROM proj_results WHERE org = ? AND system = ?`, []any{org, system}
	if test != "" {
		query += ` AND test = ?`
		args = append(args, test)
	}
	if leaves > 0 {
		query += ` AND leaf < ?`
		args = append(args, leaves)
	}
	return s.results(ctx, query+` ORDER BY leaf DESC LIMIT ?`, append(args, limit)...)
}

// Newest lists the newest result of each of the named tests of a system, the newest
// first. leaves limits it to what stands before that leaf; 0: all. Its cost does not
// grow with how often the tests ran.
func (s *Store) Newest(ctx context.Context, org, system string, tests []string, leaves uint64) ([]Result, error) {
	if len(tests) == 0 {
		return nil, nil
	}
	before := ""
	if leaves > 0 {
		before = ` AND leaf < ?`
	}
	query, args := `SELECT leaf, id, at, body FROM proj_results WHERE org = ? AND leaf IN (`, []any{org}
	for i, test := range tests {
		if i > 0 {
			query += `, `
		}
		query += `(SELECT MAX(leaf) FROM proj_results WHERE org = ? AND system = ? AND test = ?` + before + `)`
		if args = append(args, org, system, test); leaves > 0 {
			args = append(args, leaves)
		}
	}
	return s.results(ctx, query+`) ORDER BY leaf DESC`, args...)
}

func (s *Store) results(ctx context.Context, query string, args ...any) ([]Result, error) {
	rows, err := s.db.QueryContext(ctx, s.q(query), args...)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer rows.Close()
	var out []Result
	for rows.Next() {
		var r Result
		var body string
		if err := rows.Scan(&r.Leaf, &r.ID, &r.At, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &r.TestResult); err != nil {
			return nil, fmt.Errorf("result at leaf %d: %w", r.Leaf, err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// State is a control's state as last recorded.
type State struct {
	State string
	Leaf  uint64
	At    int64
}

// States lists recorded control states of a system, by control.
func (s *Store) States(ctx context.Context, org, framework, system string) (map[string]State, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT control, state, leaf, at FROM proj_states WHERE org = ? AND framework = ? AND system = ?`), org, framework, system)
	if err != nil {
		return nil, fmt.Errorf("read states: %w", err)
	}
	defer rows.Close()
	out := map[string]State{}
	for rows.Next() {
		var control string
		var st State
		if err := rows.Scan(&control, &st.State, &st.Leaf, &st.At); err != nil {
			return nil, err
		}
		out[control] = st
	}
	return out, rows.Err()
}

// LedgerEvent is a record about the ledger itself.
type LedgerEvent struct {
	Leaf uint64
	At   int64
	Kind record.Kind
}

// LedgerEvents lists starts, stops, outages, rotations and forks, the newest
// first.
func (s *Store) LedgerEvents(ctx context.Context, org string, limit int) ([]LedgerEvent, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT leaf, at, kind FROM proj_events WHERE org = ? ORDER BY leaf DESC LIMIT ?`), org, limit)
	if err != nil {
		return nil, fmt.Errorf("read events of the ledger: %w", err)
	}
	defer rows.Close()
	var out []LedgerEvent
	for rows.Next() {
		var e LedgerEvent
		if err := rows.Scan(&e.Leaf, &e.At, &e.Kind); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

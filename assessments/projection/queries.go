package projection

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
)

// FirstLeaf is where the rollup hours from an hour on begin in the log; 0 when the
// log is younger.
func (s *Store) FirstLeaf(ctx context.Context, org string, fromHour int64) (uint64, error) {
	m, err := s.markFrom(ctx, org, fromHour)
	if err != nil || !m.earlier {
		return 0, err
	}
	return m.leaf, nil
}

// LastMark is when the newest hour mark was made: the collector's heartbeat; 0 when
// there is none.
func (s *Store) LastMark(ctx context.Context, org string) (at int64, err error) {
	err = s.db.QueryRowContext(ctx, s.q(`SELECT at FROM proj_hours WHERE org = ? ORDER BY hour DESC LIMIT 1`), org).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
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

package projection

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// loadExchanges brings in the rows of exchanges that began in an earlier batch,
// so that where a batch ends makes no difference.
func (s *Store) loadExchanges(ctx context.Context, tx *sql.Tx, b *batch, records []*record.Record) error {
	// Ids sort by time: what is newer than every row has none.
	var newest string
	if err := tx.QueryRowContext(ctx, s.q(`SELECT COALESCE(MAX(id), '') FROM proj_exchanges WHERE org = ?`), b.cur.log).Scan(&newest); err != nil {
		return fmt.Errorf("read exchanges: %w", err)
	}
	seen := make(map[ident.ID]bool, len(records)/2)
	var ids []any
	for _, r := range records {
		if e, ok := r.Body.(*event.Event); ok && !seen[e.Exchange] {
			seen[e.Exchange] = true
			if id := e.Exchange.String(); id <= newest {
				ids = append(ids, id)
			}
		}
	}
	for len(ids) > 0 {
		n := min(500, len(ids))
		if err := s.loadSome(ctx, tx, b, ids[:n]); err != nil {
			return fmt.Errorf("read exchanges: %w", err)
		}
		ids = ids[n:]
	}
	b.stored = len(b.order)
	if slices.ContainsFunc(records, func(r *record.Record) bool { return r.Kind == record.LedgerHour }) {
		return s.loadOpen(ctx, tx, b)
	}
	return nil
}

// loadOpen notes when the oldest of the open exchanges began that this batch has
// nothing of: they stay open through it.
func (s *Store) loadOpen(ctx context.Context, tx *sql.Tx, b *batch) error {
	rows, err := tx.QueryContext(ctx, s.q(`SELECT id, at FROM proj_exchanges WHERE org = ? AND closed_leaf < 0 AND opened_leaf >= 0`), b.cur.log)
	if err != nil {
		return fmt.Errorf("read open exchanges: %w", err)
	}
	defer rows.Close()
	touched := map[string]bool{}
	for _, x := range b.order {
		touched[x.ID] = true
	}
	for rows.Next() {
		var id string
		var at int64
		if err := rows.Scan(&id, &at); err != nil {
			return err
		}
		if !touched[id] && (b.others == 0 || at < b.others) {
			b.others = at
		}
	}
	return rows.Err()
}

func (s *Store) loadSome(ctx context.Context, tx *sql.Tx, b *batch, ids []any) error {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(ids)), ", ")
	rows, err := tx.QueryContext(ctx, s.q("SELECT "+strings.Join(exchangeColumns[1:], ", ")+" FROM proj_exchanges WHERE org = ? AND id IN ("+marks+")"), append([]any{b.cur.log}, ids...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		x, err := scanExchange(rows)
		if err != nil {
			return err
		}
		id, err := ident.Parse(x.ID)
		if err != nil {
			return fmt.Errorf("exchange %q: %w", x.ID, err)
		}
		b.exchanges[id] = &x
		b.order = append(b.order, &x)
	}
	return rows.Err()
}

// save writes a batch and its cursor in one transaction.
func (s *Store) save(ctx context.Context, tx *sql.Tx, b *batch) error {
	org := b.cur.log
	steps := []func() error{
		func() error { return s.saveExchanges(ctx, tx, org, b) },
		func() error { return s.saveCounters(ctx, tx, org, b) },
		func() error { return s.saveRest(ctx, tx, org, b) },
		func() error {
			return s.insert(ctx, tx, "proj_cursors", []string{"log", "version", "generation", "next_leaf", "hour"},
				[][]any{{b.cur.log, Version, b.cur.generation, b.cur.next, b.cur.hour}},
				`ON CONFLICT (log, version) DO UPDATE SET generation = excluded.generation, next_leaf = excluded.next_leaf, hour = excluded.hour`)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

var exchangeColumns = []string{"org", "id", "opened_leaf", "closed_leaf", "state", "at", "system", "key_id", "model_asked", "model_target", "model_served", "provider", "code", "source", "findings", "details"}

// An exchange that closes in a later batch than it opened in was read before, so
// its whole row is written again.
var exchangeConflict = conflict([]string{"org", "id"}, exchangeColumns[2:])

func conflict(key, columns []string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + " = excluded." + c
	}
	return "ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

func (s *Store) saveExchanges(ctx context.Context, tx *sql.Tx, org string, b *batch) error {
	var details []byte
	row := func(x *Exchange, to []any) []any {
		details = x.appendDetails(details[:0])
		return append(to, org, x.ID, x.OpenedLeaf, x.ClosedLeaf, x.State, x.At, x.System, x.Key, x.ModelAsked, x.ModelTarget, x.ModelServed, x.Provider, x.Code, int64(x.Source), x.Findings, string(details))
	}
	old, fresh := b.order[:b.stored], b.order[b.stored:]
	if err := s.insertEach(ctx, tx, "proj_exchanges", exchangeColumns, len(old), func(i int, to []any) []any { return row(old[i], to) }, exchangeConflict); err != nil {
		return err
	}
	return s.insertEach(ctx, tx, "proj_exchanges", exchangeColumns, len(fresh), func(i int, to []any) []any { return row(fresh[i], to) }, "")
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Store) saveRest(ctx context.Context, tx *sql.Tx, org string, b *batch) error {
	var rows [][]any
	for _, o := range b.observed {
		rows = append(rows, []any{org, o.System, o.Provider, o.Model, o.FirstAt, o.LastAt, o.FirstLeaf, o.LastLeaf, o.Calls, bit(o.Simulated)})
	}
	if err := s.insert(ctx, tx, "proj_observed", []string{"org", "system", "provider", "model", "first_at", "last_at", "first_leaf", "last_leaf", "calls", "simulated"}, rows,
		`ON CONFLICT (org, system, provider, model) DO UPDATE SET last_at = excluded.last_at, last_leaf = excluded.last_leaf, calls = proj_observed.calls + excluded.calls`); err != nil {
		return err
	}
	rows = rows[:0]
	for k, v := range b.balances {
		rows = append(rows, []any{org, k.budget, k.window, int64(v.charged), int64(v.overspent)})
	}
	if err := s.insert(ctx, tx, "proj_balances", []string{"org", "budget", "win", "charged", "overspent"}, rows,
		`ON CONFLICT (org, budget, win) DO UPDATE SET charged = `+plus("proj_balances", "charged")+`, overspent = `+plus("proj_balances", "overspent")); err != nil {
		return err
	}
	rows = rows[:0]
	for _, c := range b.changes {
		rows = append(rows, []any{org, c.Leaf, c.At, c.ID, c.Kind, c.Object, c.Version, c.Actor, c.Approver, bit(c.Imported), bit(c.Reasoned)})
	}
	if err := s.insert(ctx, tx, "proj_changes", []string{"org", "leaf", "at", "id", "kind", "object", "version", "actor", "approver", "imported", "reasoned"}, rows, ``); err != nil {
		return err
	}
	rows = rows[:0]
	for _, f := range b.findings {
		rows = append(rows, []any{org, f.ID, f.Kind, f.Subject, f.FirstAt, f.LastAt, f.FirstLeaf, f.LastLeaf, f.Count})
	}
	if err := s.insert(ctx, tx, "proj_findings", []string{"org", "id", "kind", "subject", "first_at", "last_at", "first_leaf", "last_leaf", "count"}, rows,
		`ON CONFLICT (org, id) DO UPDATE SET last_at = excluded.last_at, last_leaf = excluded.last_leaf, count = proj_findings.count + excluded.count`); err != nil {
		return err
	}
	rows = rows[:0]
	for _, r := range b.results {
		rows = append(rows, []any{org, r.leaf, r.id, r.at, r.test, r.system, string(r.body)})
	}
	if err := s.insert(ctx, tx, "proj_results", []string{"org", "leaf", "id", "at", "test", "system", "body"}, rows, ``); err != nil {
		return err
	}
	rows = rows[:0]
	for k, v := range b.states {
		rows = append(rows, []any{org, k.framework, k.control, k.system, v.State, v.Leaf, v.At})
	}
	if err := s.insert(ctx, tx, "proj_states", []string{"org", "framework", "control", "system", "state", "leaf", "at"}, rows,
		`ON CONFLICT (org, framework, control, system) DO UPDATE SET state = excluded.state, leaf = excluded.leaf, at = excluded.at`); err != nil {
		return err
	}
	if err := s.saveBeside(ctx, tx, org, b); err != nil {
		return err
	}
	return s.saveWriters(ctx, tx, org, b)
}

// saveBeside writes what stands beside exchanges and their counters.
func (s *Store) saveBeside(ctx context.Context, tx *sql.Tx, org string, b *batch) error {
	var rows [][]any
	for _, c := range b.refusals {
		rows = append(rows, []any{org, c.Leaf, c.ID, c.System, c.Key, c.Code, c.Count, c.First, c.Last})
	}
	if err := s.insert(ctx, tx, "proj_refusals", []string{"org", "leaf", "id", "system", "key_id", "code", "count", "first_at", "last_at"}, rows, ``); err != nil {
		return err
	}
	rows = rows[:0]
	for _, f := range b.further {
		rows = append(rows, []any{org, f.exchange, f.leaf})
	}
	if err := s.insert(ctx, tx, "proj_further", []string{"org", "exchange", "leaf"}, rows, ``); err != nil {
		return err
	}
	rows = rows[:0]
	for _, e := range b.events {
		rows = append(rows, []any{org, e.Leaf, e.At, uint64(e.Kind)})
	}
	return s.insert(ctx, tx, "proj_events", []string{"org", "leaf", "at", "kind"}, rows, ``)
}

// saveWriters joins a batch's numbers to those before it.
func (s *Store) saveWriters(ctx context.Context, tx *sql.Tx, org string, b *batch) error {
	for name, w := range b.writers {
		var last, gaps uint64
		err := tx.QueryRowContext(ctx, s.q(`SELECT last, gaps FROM proj_writers WHERE org = ? AND writer = ?`), org, name).Scan(&last, &gaps)
		if err != nil && err != sql.ErrNoRows {
			return fmt.Errorf("read writers: %w", err)
		}
		if w.first > last+1 {
			gaps += w.first - last - 1
		}
		if err := s.insert(ctx, tx, "proj_writers", []string{"org", "writer", "last", "gaps"}, [][]any{{org, name, w.last, gaps + w.gaps}},
			`ON CONFLICT (org, writer) DO UPDATE SET last = excluded.last, gaps = excluded.gaps`); err != nil {
			return err
		}
	}
	return nil
}

// Package projection computes tables from the ledger: the index of exchanges,
// counters by rollup hour, what was observed, balances, changes and results. Its
// state and its cursor commit together, so it can be stopped anywhere and built
// again from the first leaf with the same figures.
package projection

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plumbline/app/db"
	"plumbline/assessments/evidence/record"
)

// Version of the projection. A change of what it computes raises it, and an
// organisation's tables are then emptied and built again from its first leaf.
const Version = 6

// Feed is the ledger as a projection reads it.
type Feed interface {
	Logs() []string
	Generation(log string) (uint64, error)
	Feed(ctx context.Context, log string, from uint64, max int) ([]record.Leaf, error)
	Size(log string) uint64
	Wait(ctx context.Context, log string, size uint64) error
}

// Store is the projection.
type Store struct {
	db      *sql.DB
	dialect string
	feed    Feed
	log     *slog.Logger
	mu      sync.Mutex           // one batch at a time
	kept    map[string]*sql.Stmt // SQLite's statements by text, nil before they are compiled; guarded by mu
	behind  atomic.Int64
	applied atomic.Int64
}

// New opens the projection over the state database.
func New(pool *sql.DB, dialect string, feed Feed, log *slog.Logger) *Store {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{db: pool, dialect: dialect, feed: feed, log: log, kept: map[string]*sql.Stmt{}}
}

func (s *Store) q(query string) string { return db.Rebind(s.dialect, query) }

// batchLeaves is how many leaves one transaction applies at most.
const batchLeaves = 5000

// cursor is how far a log has been applied.
type cursor struct {
	log        string
	generation uint64
	next       uint64
	hour       int64
	fresh      bool // nothing is applied by this version: the tables are emptied first
	forked     bool // the log began anew since
}

// CatchUp applies everything that is durable now.
func (s *Store) CatchUp(ctx context.Context) error {
	for _, log := range s.feed.Logs() {
		if _, err := s.catchUp(ctx, log); err != nil {
			return fmt.Errorf("project %s: %w", log, err)
		}
	}
	return nil
}

func (s *Store) catchUp(ctx context.Context, log string) (applied int, err error) {
	for {
		n, err := s.step(ctx, log)
		applied += n
		if err != nil || n == 0 {
			return applied, err
		}
	}
}

// step applies one batch. A batch that was committed but reported failed is not
// applied again: the cursor is read from the database each time.
func (s *Store) step(ctx context.Context, log string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur, err := s.cursor(ctx, log)
	if err != nil {
		return 0, err
	}
	generation, err := s.feed.Generation(log)
	if err != nil {
		return 0, err
	}
	if generation != cur.generation {
		cur.forked = !cur.fresh
		cur.generation, cur.next, cur.hour = generation, 0, 0
	}
	leaves, err := s.feed.Feed(ctx, log, cur.next, batchLeaves)
	if err != nil || len(leaves) == 0 {
		return 0, err
	}
	records, err := decode(cur.next, leaves)
	if err != nil {
		return 0, err
	}
	if err := s.compile(ctx); err != nil {
		return 0, err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if err := s.begin(ctx, tx, cur); err != nil {
		return 0, err
	}
	b := newBatch(cur)
	if err := s.loadExchanges(ctx, tx, b, records); err != nil {
		return 0, err
	}
	for _, r := range records {
		if err := b.apply(b.cur.next, r); err != nil {
			return 0, fmt.Errorf("leaf %d: %w", b.cur.next, err)
		}
		b.cur.next++
	}
	if err := s.save(ctx, tx, b); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("commit projection: %w", err)
	}
	s.applied.Add(int64(len(leaves)))
	return len(leaves), nil
}

// decode reads leaves on every core; decoding costs more than applying.
func decode(next uint64, leaves []record.Leaf) ([]*record.Record, error) {
	out := make([]*record.Record, len(leaves))
	var group errgroup.Group
	part := max(256, (len(leaves)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	for from := 0; from < len(leaves); from += part {
		group.Go(func() error {
			var d record.Decoder
			for i := from; i < min(from+part, len(leaves)); i++ {
				if leaves[i].Index != next+uint64(i) {
					return fmt.Errorf("leaf %d where %d is due", leaves[i].Index, next+uint64(i))
				}
				r, err := d.Decode(leaves[i].Bytes)
				if err != nil {
					return fmt.Errorf("leaf %d: %w", leaves[i].Index, err)
				}
				out[i] = r
			}
			return nil
		})
	}
	return out, group.Wait()
}

// begin prepares the tables for a log's first batch. Another version's rows are
// dropped. After a fork what was money or use stays, pointing at the new log's
// first leaf, which names the old one; what cites leaves of the old log goes.
func (s *Store) begin(ctx context.Context, tx *sql.Tx, cur cursor) error {
	var statements []string
	switch {
	case cur.fresh:
		for _, t := range tables {
			statements = append(statements, "DELETE FROM "+t+" WHERE "+owner(t)+" = ?")
		}
	case cur.forked:
		for _, t := range []string{"proj_exchanges", "proj_counters", "proj_days", "proj_hours", "proj_changes", "proj_results", "proj_states", "proj_refusals", "proj_further", "proj_events"} {
			statements = append(statements, "DELETE FROM "+t+" WHERE org = ?")
		}
		for _, t := range []string{"proj_observed", "proj_findings"} {
			statements = append(statements, "UPDATE "+t+" SET first_leaf = 0, last_leaf = 0 WHERE org = ?")
		}
	}
	for _, q := range statements {
		if _, err := tx.ExecContext(ctx, s.q(q), cur.log); err != nil {
			return fmt.Errorf("begin projection: %w", err)
		}
	}
	return nil
}

func owner(table string) string {
	if table == "proj_cursors" {
		return "log"
	}
	return "org"
}

func (s *Store) cursor(ctx context.Context, log string) (cursor, error) {
	c := cursor{log: log}
	err := s.db.QueryRowContext(ctx, s.q(`SELECT generation, next_leaf, hour FROM proj_cursors WHERE log = ? AND version = ?`), log, Version).Scan(&c.generation, &c.next, &c.hour)
	if errors.Is(err, sql.ErrNoRows) {
		c.generation, c.fresh, err = 1, true, nil
	}
	return c, err
}

// Still calls f while no batch is applied. f must not apply one itself.
func (s *Store) Still(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// Position is how many leaves of a log have been applied.
func (s *Store) Position(ctx context.Context, log string) (uint64, error) {
	c, err := s.cursor(ctx, log)
	return c.next, err
}

// Run follows the ledger until ctx ends. A record of a kind or version that this
// build does not know stops it; the error is logged each time it tries again.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		behind := int64(0)
		for _, log := range s.feed.Logs() {
			left, err := s.follow(ctx, log)
			if err != nil && ctx.Err() == nil {
				s.log.Error("projection stands still", "log", log, "error", err)
			}
			behind += left
		}
		s.behind.Store(behind)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// fewLeaves wait for the next look: a batch costs something whatever is in it, and an
// exchange whose two records are in one batch is one row that is written once.
const fewLeaves = 1000

// follow applies batches until few leaves are left, and says how many.
func (s *Store) follow(ctx context.Context, log string) (left int64, err error) {
	for {
		applied, err := s.step(ctx, log)
		if at, err := s.Position(ctx, log); err == nil {
			left = int64(s.feed.Size(log)) - int64(at)
		}
		if err != nil || applied == 0 || left < fewLeaves {
			return left, err
		}
	}
}

// Lag is how many durable leaves were not applied when Run last looked.
func (s *Store) Lag() int64 { return s.behind.Load() }

// Rebuild empties every table at once, so that the next CatchUp computes it anew.
func (s *Store) Rebuild(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, t := range tables {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+t); err != nil {
			return fmt.Errorf("empty %s: %w", t, err)
		}
	}
	return tx.Commit()
}

var tables = []string{"proj_cursors", "proj_exchanges", "proj_counters", "proj_days", "proj_hours", "proj_observed", "proj_balances", "proj_changes", "proj_findings", "proj_results", "proj_states", "proj_writers", "proj_refusals", "proj_further", "proj_events"}

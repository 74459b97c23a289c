package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"plumbline/migrations"
)

// lockNumber is PostgreSQL's advisory lock of the ledger's writer.
const lockNumber = 0x706c756d62

// openPostgres takes the writer's lock for as long as the process lives, then
// the sequencer's lease under a new epoch.
func (st *store) openPostgres(ctx context.Context) (err error) {
	if st.db, err = sql.Open("pgx", st.c.Postgres); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.db.SetMaxOpenConns(6)
	st.read = st.db
	// A process that was killed a moment ago may still seem to be there.
	for try := 0; ; try++ {
		if err = st.lock(ctx); !errors.Is(err, errLocked) || try == 20 {
			break
		}
		if err := st.guard.Close(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		return err
	}
	if st.schema, err = migrations.Up(ctx, st.db, migrations.Postgres, migrations.Ledger); err != nil {
		return err
	}
	return st.db.QueryRowContext(ctx, `INSERT INTO ledger_lease (name, epoch, holder, at) VALUES ('sequencer', 1, $1, $2)
		ON CONFLICT (name) DO UPDATE SET epoch = ledger_lease.epoch + 1, holder = excluded.holder, at = excluded.at RETURNING epoch`,
		st.c.Instance, st.c.Now().UnixMicro()).Scan(&st.epoch)
}

// lock takes the writer's lock, which lives as long as its connection.
func (st *store) lock(ctx context.Context) (err error) {
	if st.guard, err = st.db.Conn(ctx); err != nil {
		return fmt.Errorf("reach ledger: %w", err)
	}
	var got bool
	if err := st.guard.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, lockNumber).Scan(&got); err != nil {
		return fmt.Errorf("lock ledger: %w", err)
	}
	if !got {
		return errLocked
	}
	return nil
}

var errLocked = errors.New("another process writes to this ledger; stop it first (several writers are not supported yet)")

// keepLock looks every second whether the lock is still held.
func (st *store) keepLock(ctx context.Context, stopping bool) error {
	if !st.pg || stopping || time.Since(st.lockSeen) < time.Second {
		return nil
	}
	st.lockSeen = time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return st.relock(ctx)
}

// relock takes the lock again when a restart of the database took it. It is also
// called before a commit that follows a failed one.
func (st *store) relock(ctx context.Context) error {
	if st.guard != nil && st.guard.PingContext(ctx) == nil {
		return nil
	}
	if st.guard != nil {
		st.guard.Close() // it is broken, so its error says nothing
		st.guard = nil
	}
	return st.lock(ctx)
}

// holdLease keeps the epoch from moving on while tx runs, and fails when it has:
// a process that was replaced writes neither to the inbox nor to the logs.
func (st *store) holdLease(ctx context.Context, tx *sql.Tx, mode string) error {
	var epoch int64
	if err := tx.QueryRowContext(ctx, `SELECT epoch FROM ledger_lease WHERE name = 'sequencer' `+mode).Scan(&epoch); err != nil {
		return fmt.Errorf("read lease: %w", err)
	}
	if epoch != st.epoch {
		return errLease
	}
	return nil
}

// commitInbox is the order of writes on PostgreSQL: groups go into the inbox,
// where they are durable, and are then moved out and numbered by the holder of
// the lease. The caller is answered after both, as there is one process.
func (st *store) commitInbox(ctx context.Context, groups []group, b *batch) (err error) {
	if st.failed {
		if err := st.relock(ctx); err != nil {
			return err
		}
	}
	defer func() { st.failed = err != nil }()
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if err := st.holdLease(ctx, tx, "FOR SHARE"); err != nil {
		return err
	}
	for _, g := range groups {
		// The number of the first record makes a group idempotent; the writer's
		// name is that of the lease, which is new with each run.
		if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_inbox (log, writer, number, leaves, data)
			SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM ledger_groups WHERE log = $1 AND generation = $6 AND first_leaf = $7) ON CONFLICT DO NOTHING`,
			g.log.name, fmt.Sprintf("%d", st.epoch), int64(g.first), g.leaves, g.data, int64(g.log.generation), int64(g.first)); err != nil {
			return fmt.Errorf("insert group: %w", err)
		}
	}
	if err := st.insertIDs(ctx, tx, b); err != nil {
		return err
	}
	if err := st.c.Hook(PointGroup); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit group: %w", err)
	}
	if err := st.c.Hook(PointGroupDone); err != nil {
		return err
	}
	return st.sequence(ctx)
}

// errLease is returned when another process took the sequencer's lease.
var errLease = errors.New("the sequencer's lease is another's: its epoch moved on; this process writes no more and must be restarted")

// sequence moves the inbox into the logs. The epoch is checked in the same
// transaction, so that a holder that was replaced changes nothing.
func (st *store) sequence(ctx context.Context) error {
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin sequencing: %w", err)
	}
	defer tx.Rollback()
	if err := st.holdLease(ctx, tx, "FOR UPDATE"); err != nil {
		return err
	}
	moved, err := takeInbox(ctx, tx)
	if err != nil {
		return err
	}
	for _, m := range moved {
		var generation, next uint64
		err := tx.QueryRowContext(ctx, `SELECT l.generation, COALESCE((SELECT g.first_leaf + g.leaves FROM ledger_groups g WHERE g.log = l.log AND g.generation = l.generation ORDER BY g.first_leaf DESC LIMIT 1), 0)
			FROM ledger_logs l WHERE l.log = $1 ORDER BY l.generation DESC LIMIT 1`, m.log).Scan(&generation, &next)
		if err != nil {
			return fmt.Errorf("next leaf: %w", err)
		}
		if err := st.insertGroup(ctx, tx, m.log, generation, next, m.leaves, m.data); err != nil {
			return err
		}
	}
	if err := st.c.Hook(PointSequence); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit sequencing: %w", err)
	}
	return st.c.Hook(PointSequenceDone)
}

type inboxRow struct {
	log    string
	leaves int
	data   []byte
}

func takeInbox(ctx context.Context, tx *sql.Tx) ([]inboxRow, error) {
	rows, err := tx.QueryContext(ctx, `WITH moved AS (DELETE FROM ledger_inbox WHERE seq IN
		(SELECT seq FROM ledger_inbox ORDER BY seq FOR UPDATE SKIP LOCKED) RETURNING seq, log, leaves, data)
		SELECT log, leaves, data FROM moved ORDER BY seq`)
	if err != nil {
		return nil, fmt.Errorf("take inbox: %w", err)
	}
	defer rows.Close()
	var out []inboxRow
	for rows.Next() {
		var m inboxRow
		if err := rows.Scan(&m.log, &m.leaves, &m.data); err != nil {
			return nil, fmt.Errorf("take inbox: %w", err)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

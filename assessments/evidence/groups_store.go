package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
)

// commit makes groups durable. Called again after an error it writes nothing
// twice: a group that is there with the same bytes is done.
func (st *store) commit(ctx context.Context, b *batch) error {
	groups := b.groups()
	if st.pg {
		return st.commitInbox(ctx, groups, b)
	}
	if err := st.commitFile(ctx, groups, b); err != nil {
		return err
	}
	return st.place.Check() // what was written is where the next start looks for it
}

// commitFile is commit for SQLite.
func (st *store) commitFile(ctx context.Context, groups []group, b *batch) error {
	if len(groups) == 1 && !b.looksUp() {
		return st.commitOne(ctx, groups[0])
	}
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	for _, g := range groups {
		if err := st.insertGroup(ctx, tx, g.log.name, g.log.generation, g.first, g.leaves, g.data); err != nil {
			return err
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
	return st.c.Hook(PointGroupDone)
}

// commitOne is the commit of nearly every batch: one group and nothing beside it is
// one statement, which SQLite makes durable as it ends, or leaves no trace of. So the
// hook before the commit is before the statement. Nobody watches for the end of ctx
// meanwhile, which costs a goroutine: the wait for a lock is short, and a disk that
// hangs does not hear of it.
func (st *store) commitOne(ctx context.Context, g group) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := st.c.Hook(PointGroup); err != nil {
		return err
	}
	res, err := st.insert.ExecContext(context.WithoutCancel(ctx), g.log.name, g.log.generation, g.first, g.leaves, g.data)
	if err != nil {
		return fmt.Errorf("commit group: %w", err)
	}
	if err := st.inserted(ctx, st.db, res, g.log.name, g.log.generation, g.first, g.data); err != nil {
		return err
	}
	return st.c.Hook(PointGroupDone)
}

// looksUp says whether the batch has rows beside its groups.
func (b *batch) looksUp() bool {
	return len(b.hours) > 0 || slices.ContainsFunc(b.logs, func(lb *logBatch) bool { return len(lb.ids) > 0 })
}

var errTwoWriters = errors.New("another process wrote to this ledger: leaves differ from ours")

const insertGroup = `INSERT INTO ledger_groups (log, generation, first_leaf, leaves, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

func (st *store) insertGroup(ctx context.Context, tx *sql.Tx, log string, generation, first uint64, leaves int, data []byte) error {
	res, err := tx.ExecContext(ctx, st.q(insertGroup), log, generation, first, leaves, data)
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	return st.inserted(ctx, tx, res, log, generation, first, data)
}

// querier is a transaction, or the writer's connection outside of one.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// inserted says whether a group is there: one that was before must have the same bytes.
func (st *store) inserted(ctx context.Context, in querier, res sql.Result, log string, generation, first uint64, data []byte) error {
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var there []byte
	err := in.QueryRowContext(ctx, st.q(`SELECT data FROM ledger_groups WHERE log = ? AND generation = ? AND first_leaf = ?`), log, generation, first).Scan(&there)
	if err != nil {
		return fmt.Errorf("read group: %w", err)
	}
	if string(there) != string(data) {
		return errTwoWriters
	}
	return nil
}

// insertIDs notes where records stand that are looked up: by id, and by hour.
func (st *store) insertIDs(ctx context.Context, tx *sql.Tx, b *batch) error {
	for _, h := range b.hours {
		_, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_hours (log, generation, hour, leaf) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`),
			h.log.name, h.log.generation, h.hour, h.log.base+h.number-1)
		if err != nil {
			return fmt.Errorf("insert hour: %w", err)
		}
	}
	for _, lb := range b.logs {
		for _, p := range lb.ids {
			_, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_ids (log, id, generation, leaf) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`),
				lb.log.name, p.id.String(), lb.log.generation, lb.log.base+p.number-1)
			if err != nil {
				return fmt.Errorf("insert record id: %w", err)
			}
		}
	}
	return nil
}

func (st *store) leafOf(ctx context.Context, log string, id ident.ID) (leaf uint64, found bool, err error) {
	err = st.read.QueryRowContext(ctx, st.q(`SELECT leaf FROM ledger_ids WHERE log = ? AND id = ?`), log, id.String()).Scan(&leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return leaf, err == nil, err
}

func (st *store) leaves(ctx context.Context, s *logState, from uint64, limit int) ([]record.Leaf, error) {
	rows, err := st.read.QueryContext(ctx, st.q(`SELECT first_leaf, leaves, data FROM ledger_groups WHERE log = ? AND generation = ? AND first_leaf >=
		COALESCE((SELECT MAX(first_leaf) FROM ledger_groups WHERE log = ? AND generation = ? AND first_leaf <= ?), 0) ORDER BY first_leaf`),
		s.name, s.generation, s.name, s.generation, from)
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	defer rows.Close()
	var out []record.Leaf
	for len(out) < limit && rows.Next() {
		var first, n uint64
		var data []byte
		if err := rows.Scan(&first, &n, &data); err != nil {
			return nil, fmt.Errorf("read group: %w", err)
		}
		if out, err = appendLeaves(out, first, n, data, from); err != nil {
			return nil, err
		}
	}
	return out, rows.Err()
}

// appendLeaves splits a group, leaving out what is before from.
func appendLeaves(out []record.Leaf, first, n uint64, data []byte, from uint64) ([]record.Leaf, error) {
	for i := range n {
		leaf, rest, err := record.CutEntry(data, first+i)
		if err != nil {
			return nil, fmt.Errorf("group at leaf %d, record %d: %w", first, i, err)
		}
		if leaf.Index >= from {
			out = append(out, leaf)
		}
		data = rest
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("group at leaf %d has %d bytes too many", first, len(data))
	}
	return out, nil
}

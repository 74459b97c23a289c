package evidence

import (
	"context"
	"fmt"
	"time"
)

// keepSecret stores a sealed key unless there is one, and returns what is there.
func (st *store) keepSecret(ctx context.Context, log, name string, sealed []byte) ([]byte, error) {
	if _, err := st.db.ExecContext(ctx, st.q(`INSERT INTO ledger_secrets (log, name, sealed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`), log, name, sealed); err != nil {
		return nil, fmt.Errorf("keep secret: %w", err)
	}
	var there []byte
	err := st.db.QueryRowContext(ctx, st.q(`SELECT sealed FROM ledger_secrets WHERE log = ? AND name = ?`), log, name).Scan(&there)
	return there, err
}

func (st *store) saveKey(ctx context.Context, s *logState, k signer, sealed []byte, oldEnds time.Time) error {
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	defer tx.Rollback()
	if !oldEnds.IsZero() {
		if _, err := tx.ExecContext(ctx, st.q(`UPDATE ledger_keys SET ends_at = ? WHERE log = ? AND generation = ? AND ends_at = 0`), oldEnds.UnixMicro(), s.name, s.generation); err != nil {
			return fmt.Errorf("save key: %w", err)
		}
	}
	_, err = tx.ExecContext(ctx, st.q(`INSERT INTO ledger_keys (log, generation, seq, verifier, sealed, created_at) VALUES (?, ?, ?, ?, ?, ?)`),
		s.name, s.generation, k.seq, k.text, sealed, k.created.UnixMicro())
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := st.c.Hook(PointKey); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit key: %w", err)
	}
	return st.c.Hook(PointKeyDone)
}

// createLog stores a generation with its key, and its first group if it has one,
// or nothing of it. It reports false when that generation is there already.
func (st *store) createLog(ctx context.Context, s *logState, sealed []byte, first *group) (bool, error) {
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	res, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_logs (log, generation, origin, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		s.name, s.generation, s.origin, st.c.Now().UnixMicro())
	if err != nil {
		return false, fmt.Errorf("insert log: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	k := s.signers[0]
	if _, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_keys (log, generation, seq, verifier, sealed, created_at) VALUES (?, ?, ?, ?, ?, ?)`),
		s.name, s.generation, k.seq, k.text, sealed, k.created.UnixMicro()); err != nil {
		return false, fmt.Errorf("insert key: %w", err)
	}
	if first != nil {
		if err := st.insertGroup(ctx, tx, s.name, s.generation, first.first, first.leaves, first.data); err != nil {
			return false, err
		}
	}
	if err := st.c.Hook(PointLog); err != nil {
		return false, err
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("commit log: %w", err)
	}
	return true, st.c.Hook(PointLogDone)
}

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
	return tx.Commit()
}

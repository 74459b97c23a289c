package evidence

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// saveCheckpoint stores tiles and the checkpoint over them in one transaction. It
// refuses one that is smaller than, or in conflict with, one that is stored: a
// size has one root, and only signatures may be added to it.
func (st *store) saveCheckpoint(ctx context.Context, s *logState, cp record.Checkpoint, tiles []tile, open openAt) error {
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin checkpoint: %w", err)
	}
	defer tx.Rollback()
	var size uint64
	var root []byte
	err = tx.QueryRowContext(ctx, st.q(`SELECT size, root FROM ledger_checkpoints WHERE log = ? AND generation = ? ORDER BY size DESC LIMIT 1`), s.name, s.generation).Scan(&size, &root)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read newest checkpoint: %w", err)
	}
	if size > cp.Size || size == cp.Size && err == nil && !bytes.Equal(root, cp.Root[:]) {
		return fmt.Errorf("%s: a checkpoint of %d leaves is stored, which this one of %d leaves would contradict: nothing is signed", s.origin, size, cp.Size)
	}
	for _, t := range tiles {
		_, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_tiles (log, generation, level, tile, width, hashes) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (log, generation, level, tile) DO UPDATE SET width = excluded.width, hashes = excluded.hashes WHERE excluded.width >= ledger_tiles.width`),
			s.name, s.generation, t.level, t.n, len(t.hashes), joinHashes(t.hashes))
		if err != nil {
			return fmt.Errorf("save tile: %w", err)
		}
	}
	_, err = tx.ExecContext(ctx, st.q(`INSERT INTO ledger_checkpoints (log, generation, size, root, note, signed_at, open_from, lasting) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (log, generation, size) DO UPDATE SET note = excluded.note, signed_at = excluded.signed_at`),
		s.name, s.generation, cp.Size, cp.Root[:], cp.Note, cp.At, open.from, packLeaves(nil, open.lasting))
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := st.c.Hook(PointCheckpoint); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit checkpoint: %w", err)
	}
	return st.c.Hook(PointCheckpointDone)
}

func joinHashes(in []tlog.Hash) []byte {
	b := make([]byte, 0, len(in)*tlog.HashSize)
	for _, h := range in {
		b = append(b, h[:]...)
	}
	return b
}

func splitHashes(b []byte) []tlog.Hash {
	out := make([]tlog.Hash, len(b)/tlog.HashSize)
	for i := range out {
		copy(out[i][:], b[i*tlog.HashSize:])
	}
	return out
}

func (st *store) tile(s *logState, level int, n uint64) ([]tlog.Hash, error) {
	var b []byte
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := st.read.QueryRowContext(ctx, st.q(`SELECT hashes FROM ledger_tiles WHERE log = ? AND generation = ? AND level = ? AND tile = ?`), s.name, s.generation, level, n).Scan(&b)
	if err != nil {
		return nil, fmt.Errorf("read tile %d of level %d: %w", n, level, err)
	}
	return splitHashes(b), nil
}

func (st *store) checkpointAt(ctx context.Context, s *logState, size uint64) (record.Checkpoint, error) {
	cp, _, err := st.checkpoint(ctx, s, size)
	return cp, err
}

// checkpoint is the newest of at most size leaves; a zero Checkpoint when there
// is none.
func (st *store) checkpoint(ctx context.Context, s *logState, size uint64) (cp record.Checkpoint, open openAt, err error) {
	var root, lasting []byte
	err = st.read.QueryRowContext(ctx, st.q(`SELECT size, root, note, signed_at, open_from, lasting FROM ledger_checkpoints
		WHERE log = ? AND generation = ? AND size <= ? ORDER BY size DESC LIMIT 1`), s.name, s.generation, int64(min(size, 1<<62))).Scan(&cp.Size, &root, &cp.Note, &cp.At, &open.from, &lasting)
	if errors.Is(err, sql.ErrNoRows) {
		return record.Checkpoint{Origin: s.origin}, open, nil
	}
	if err != nil {
		return cp, open, fmt.Errorf("read checkpoint: %w", err)
	}
	if open.lasting, err = unpackLeaves(lasting); err != nil {
		return cp, open, fmt.Errorf("%s: %w", s.origin, err)
	}
	cp.Origin = s.origin
	copy(cp.Root[:], root)
	return cp, open, nil
}

func (st *store) checkpointAfter(ctx context.Context, s *logState, leaf uint64) (cp record.Checkpoint, err error) {
	var root []byte
	err = st.read.QueryRowContext(ctx, st.q(`SELECT size, root, note, signed_at FROM ledger_checkpoints
		WHERE log = ? AND generation = ? AND size > ? ORDER BY size LIMIT 1`), s.name, s.generation, leaf).Scan(&cp.Size, &root, &cp.Note, &cp.At)
	if err != nil {
		return cp, fmt.Errorf("read checkpoint after leaf %d: %w", leaf, err)
	}
	cp.Origin = s.origin
	copy(cp.Root[:], root)
	return cp, nil
}

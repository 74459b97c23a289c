package evidence

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/glebarez/go-sqlite"  // driver "sqlite"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/migrations"
)

// store is the ledger's tables. db is the writer's connection, read a pool for
// everybody else.
type store struct {
	c     Config
	db    *sql.DB
	read  *sql.DB
	pg    bool
	guard *sql.Conn // holds PostgreSQL's advisory lock
	epoch int64     // of the sequencer's lease
}

func openStore(ctx context.Context, c Config, reader bool) (*store, error) {
	st := &store{c: c, pg: c.Postgres != ""}
	var err error
	switch {
	case reader:
		err = st.openReader(ctx)
	case st.pg:
		err = st.openPostgres(ctx)
	default:
		err = st.openSQLite(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// ledgerDSN: WAL with synchronous=FULL, so that a commit is on disk when it
// returns. A short busy wait, because the writer tries again by itself.
func ledgerDSN(path string) string {
	q := url.Values{}
	for _, pragma := range []string{"journal_mode(WAL)", "busy_timeout(400)", "synchronous(FULL)", "wal_autocheckpoint(4000)"} {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", "immediate")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (st *store) openSQLite(ctx context.Context) (err error) {
	dsn := ledgerDSN(filepath.Join(st.c.Dir, "ledger.db"))
	if st.db, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.db.SetMaxOpenConns(1)
	if _, err := migrations.Up(ctx, st.db, migrations.SQLite, migrations.Ledger); err != nil {
		return err
	}
	if st.read, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.read.SetMaxOpenConns(4)
	return nil
}

// openReader opens what is there and brings no schema up to date.
func (st *store) openReader(ctx context.Context) (err error) {
	driver, dsn := "pgx", st.c.Postgres
	if !st.pg {
		path := filepath.Join(st.c.Dir, "ledger.db")
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no ledger in %s: %w", st.c.Dir, err)
		}
		driver, dsn = "sqlite", ledgerDSN(path)
	}
	if st.db, err = sql.Open(driver, dsn); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.db.SetMaxOpenConns(4)
	st.read = st.db
	return st.db.PingContext(ctx)
}

func (st *store) close() error {
	var errs []error
	if st.guard != nil {
		errs = append(errs, st.guard.Close())
	}
	if st.read != nil && st.read != st.db {
		errs = append(errs, st.read.Close())
	}
	if st.db != nil {
		errs = append(errs, st.db.Close())
	}
	return errors.Join(errs...)
}

// q turns ? into the placeholders of the database.
func (st *store) q(query string) string {
	if !st.pg {
		return query
	}
	var b strings.Builder
	n := 0
	for _, part := range strings.SplitAfter(query, "?") {
		if strings.HasSuffix(part, "?") {
			n++
			b.WriteString(part[:len(part)-1])
			b.WriteString("$" + strconv.Itoa(n))
		} else {
			b.WriteString(part)
		}
	}
	return b.String()
}

// commit makes groups durable. Called again after an error it writes nothing
// twice: a group that is there with the same bytes is done.
func (st *store) commit(ctx context.Context, b *batch) error {
	groups := b.groups()
	if st.pg {
		return st.commitInbox(ctx, groups, b)
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

var errTwoWriters = errors.New("another process wrote to this ledger: leaves differ from ours")

func (st *store) insertGroup(ctx context.Context, tx *sql.Tx, log string, generation, first uint64, leaves int, data []byte) error {
	res, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_groups (log, generation, first_leaf, leaves, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`),
		log, generation, first, leaves, data)
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var there []byte
	err = tx.QueryRowContext(ctx, st.q(`SELECT data FROM ledger_groups WHERE log = ? AND generation = ? AND first_leaf = ?`), log, generation, first).Scan(&there)
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

// saveCheckpoint stores tiles and the checkpoint over them in one transaction.
// One that is there already for this size stays: a size is signed once.
func (st *store) saveCheckpoint(ctx context.Context, s *logState, cp record.Checkpoint, tiles []tile, openFrom uint64) error {
	tx, err := st.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin checkpoint: %w", err)
	}
	defer tx.Rollback()
	for _, t := range tiles {
		_, err := tx.ExecContext(ctx, st.q(`INSERT INTO ledger_tiles (log, generation, level, tile, width, hashes) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (log, generation, level, tile) DO UPDATE SET width = excluded.width, hashes = excluded.hashes WHERE excluded.width >= ledger_tiles.width`),
			s.name, s.generation, t.level, t.n, len(t.hashes), joinHashes(t.hashes))
		if err != nil {
			return fmt.Errorf("save tile: %w", err)
		}
	}
	_, err = tx.ExecContext(ctx, st.q(`INSERT INTO ledger_checkpoints (log, generation, size, root, note, signed_at, open_from) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (log, generation, size) DO UPDATE SET note = excluded.note, signed_at = excluded.signed_at WHERE ledger_checkpoints.root = excluded.root`),
		s.name, s.generation, cp.Size, cp.Root[:], cp.Note, cp.At, openFrom)
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
	err := st.read.QueryRow(st.q(`SELECT hashes FROM ledger_tiles WHERE log = ? AND generation = ? AND level = ? AND tile = ?`), s.name, s.generation, level, n).Scan(&b)
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
func (st *store) checkpoint(ctx context.Context, s *logState, size uint64) (cp record.Checkpoint, openFrom uint64, err error) {
	var root []byte
	err = st.read.QueryRowContext(ctx, st.q(`SELECT size, root, note, signed_at, open_from FROM ledger_checkpoints
		WHERE log = ? AND generation = ? AND size <= ? ORDER BY size DESC LIMIT 1`), s.name, s.generation, int64(min(size, 1<<62))).Scan(&cp.Size, &root, &cp.Note, &cp.At, &openFrom)
	if errors.Is(err, sql.ErrNoRows) {
		return record.Checkpoint{Origin: s.origin}, 0, nil
	}
	if err != nil {
		return cp, 0, fmt.Errorf("read checkpoint: %w", err)
	}
	cp.Origin = s.origin
	copy(cp.Root[:], root)
	return cp, openFrom, nil
}

// Feed gives the leaves of a log from an index on, dense and in order, at most
// about max; none when the log ends before it.
func (l *Ledger) Feed(ctx context.Context, log string, from uint64, limit int) ([]record.Leaf, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	return l.store.leaves(ctx, s, from, limit)
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
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("group at leaf %d is cut at its record %d", first, i)
		}
		size := 2 + int(binary.BigEndian.Uint16(data))
		if first+i >= from {
			out = append(out, record.Leaf{Index: first + i, Bytes: data[2:size:size]})
		}
		data = data[size:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("group at leaf %d has %d bytes too many", first, len(data))
	}
	return out, nil
}

// Size is how many leaves of a log are durable.
func (l *Ledger) Size(log string) uint64 {
	s, err := l.log(log)
	if err != nil {
		return 0
	}
	return s.size.Load()
}

// Wait returns once the log has more than size leaves, or with ctx's error.
func (l *Ledger) Wait(ctx context.Context, log string, size uint64) error {
	s, err := l.log(log)
	if err != nil {
		return err
	}
	for {
		l.treeMu.RLock()
		grown := s.grown
		l.treeMu.RUnlock()
		if s.size.Load() > size {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

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

// classOf puts an error of the database into a class that may be recorded.
func classOf(err error) string {
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "full") || strings.Contains(text, "no space"):
		return "full"
	case strings.Contains(text, "locked") || strings.Contains(text, "busy"):
		return "locked"
	case strings.Contains(text, "refused") || strings.Contains(text, "eof") || strings.Contains(text, "reset") || strings.Contains(text, "closed") || strings.Contains(text, "terminat"):
		return "gone"
	}
	return "other"
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

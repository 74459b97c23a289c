package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"modernc.org/sqlite"               // driver "sqlite"

	"plumbline/app/db"
	"plumbline/migrations"
)

// store is the ledger's tables. db is the writer's connection, read a pool for
// everybody else.
type store struct {
	c      Config
	db     *sql.DB
	read   *sql.DB
	pg     bool
	insert *sql.Stmt // insertGroup, compiled once for SQLite
	guard  *sql.Conn // holds PostgreSQL's advisory lock
	epoch  int64     // of the sequencer's lease
	schema migrations.Schema
	place  *db.Place // of SQLite's file

	failed   bool      // the last commit to PostgreSQL; the writer's own
	lockSeen time.Time // when the lock was last seen to be held; the writer's own
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
	if st.schema.Newer() {
		c.Log.Warn(st.schema.String())
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
	// A commit then leaves out only the file's times, and waits half as long. An error
	// says that the system has no fdatasync: commits stay with fsync.
	_, _ = sqlite.Fdatasync(true)
	path := filepath.Join(st.c.Dir, ledgerFile)
	dsn := ledgerDSN(path)
	if st.db, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.db.SetMaxOpenConns(1)
	if st.schema, err = migrations.Up(ctx, st.db, migrations.SQLite, migrations.Ledger); err != nil {
		return err
	}
	if st.insert, err = st.db.PrepareContext(ctx, insertGroup); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if st.read, err = sql.Open("sqlite", dsn+"&mode=rw"); err != nil { // a reader makes no file where there is none
		return fmt.Errorf("open ledger: %w", err)
	}
	st.read.SetMaxOpenConns(4)
	if st.place, err = db.PlaceOf(path); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	return nil
}

const ledgerFile = "ledger.db"

// openReader opens what is there and brings no schema up to date.
func (st *store) openReader(ctx context.Context) (err error) {
	driver, dsn, dialect := "pgx", st.c.Postgres, migrations.Postgres
	if !st.pg {
		path := filepath.Join(st.c.Dir, ledgerFile)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no ledger in %s: %w", st.c.Dir, err)
		}
		driver, dsn, dialect = "sqlite", ledgerDSN(path), migrations.SQLite
	}
	if st.db, err = sql.Open(driver, dsn); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	st.db.SetMaxOpenConns(4)
	st.read = st.db
	st.schema, err = migrations.Check(ctx, st.db, dialect, migrations.Ledger)
	return err
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

// classOf puts an error of the database into a class that may be recorded.
func classOf(err error) string {
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "full") || strings.Contains(text, "no space"):
		return "full"
	case strings.Contains(text, "locked") || strings.Contains(text, "busy"):
		return "locked"
	case strings.Contains(text, "refused") || strings.Contains(text, "eof") || strings.Contains(text, "reset") || strings.Contains(text, "closed") || strings.Contains(text, "terminat") || strings.Contains(text, "is gone"):
		return "gone"
	}
	return "other"
}

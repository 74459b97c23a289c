// Package migrations is the schema: numbered SQL files, forward-only, one set
// for the state database and one for the ledger's. The files are written once
// for SQLite and PostgreSQL; the few words that differ are replaced on reading.
//
// A version of the program may be started on the schema of the next one, so that an
// update can be taken back without a restore. Each file therefore says, in one line of
// its own, the oldest schema whose programs may still run on what it makes:
//
//	INSERT INTO schema_state_oldest (version, oldest) VALUES (13, 12);
//
// stands in state/0013_….sql when programs that know schema 12 work on as before: it
// adds tables, indexes, columns with a default, and nothing that those programs write
// or read means something else. A file that renames, drops, narrows or fills anew what
// they use says itself, VALUES (13, 13), and they are refused. What the file before it
// no longer uses may be dropped by one that names that file. In the ledger's set the
// table is schema_ledger_oldest. The line is part of the migration and becomes durable
// with it; a program that is older than several migrations must be allowed by each.
//
// What is written into the tables counts as the tables do: a record kind or field of the
// ledger, or a word in a row, that programs before cannot read needs a file as well, which
// may hold nothing but the line, and says itself. Without it they would stop at the first
// such record; they say so, write nothing after it, and lose nothing of it.
package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// The sets.
const (
	State  = "state"
	Ledger = "ledger"
)

// The dialects.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

//go:embed state/*.sql ledger/*.sql
var files embed.FS

// Newer is the error of a database that a newer version has brought up to date, and
// that programs of this one may not run on.
type Newer struct {
	Set          string
	There, Known int64
}

func (n *Newer) Error() string {
	return fmt.Sprintf("the %s database has schema %d, and this version knows %d: a newer version has opened it. Run that version, or restore a backup from before it", n.Set, n.There, n.Known)
}

// Schema is what was found of a set's database, and done to it.
type Schema struct {
	Set     string `json:"set"`
	Found   int64  `json:"found"`   // 0: an empty database
	Known   int64  `json:"known"`   // the newest that this version knows
	Applied int    `json:"applied"` // migrations
	Oldest  int64  `json:"oldest"`  // of a newer schema: programs that know this one may run; 0 when it is not newer
}

// Newer says whether a newer version has been here, which lets this one run.
func (s Schema) Newer() bool { return s.Found > s.Known }

// String is a sentence for people.
func (s Schema) String() string {
	switch {
	case s.Newer():
		return fmt.Sprintf("the %s database has schema %d, of a newer version; programs from schema %d on may run on it, and this one knows %d: nothing was changed", s.Set, s.Found, s.Oldest, s.Known)
	case s.Applied == 0:
		return fmt.Sprintf("the %s database has schema %d, which is this version's: nothing was changed", s.Set, s.Found)
	}
	return fmt.Sprintf("the %s database had schema %d and has %d now: %d migrations applied", s.Set, s.Found, s.Known, s.Applied)
}

// Up brings db to the newest schema of a set. It is safe to call at each start, and
// never migrates down. A database of a newer version is left alone: when that version's
// migrations let programs of this schema run, Schema.Newer says so, else the error is a
// *Newer.
func Up(ctx context.Context, db *sql.DB, dialect, set string) (Schema, error) {
	return up(ctx, db, dialect, set, files)
}

func up(ctx context.Context, db *sql.DB, dialect, set string, files fs.FS) (Schema, error) {
	provider, err := open(db, dialect, set, files)
	if err != nil {
		return Schema{}, err
	}
	// Makes goose's own table where there is none.
	found, err := provider.GetDBVersion(ctx)
	if err != nil {
		return Schema{}, fmt.Errorf("read version of the %s database: %w", set, err)
	}
	s := Schema{Set: set, Found: found, Known: known(provider)}
	if s.Newer() {
		return s, s.allowed(ctx, db, dialect)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return s, fmt.Errorf("migrate %s: %w", set, err)
	}
	s.Applied = len(results)
	return s, nil
}

// Check looks whether this version may read a database, and changes nothing. One of an
// older version passes; the error of a newer one that does not let it is a *Newer.
func Check(ctx context.Context, db *sql.DB, dialect, set string) (Schema, error) {
	return check(ctx, db, dialect, set, files)
}

func check(ctx context.Context, db *sql.DB, dialect, set string, files fs.FS) (Schema, error) {
	provider, err := open(db, dialect, set, files)
	if err != nil {
		return Schema{}, err
	}
	s := Schema{Set: set, Known: known(provider)}
	if there, err := hasTable(ctx, db, dialect, "schema_"+set); err != nil || !there {
		return s, err
	}
	if err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM schema_`+set).Scan(&s.Found); err != nil {
		return s, fmt.Errorf("read version of the %s database: %w", set, err)
	}
	if s.Newer() {
		return s, s.allowed(ctx, db, dialect)
	}
	return s, nil
}

func open(db *sql.DB, dialect, set string, files fs.FS) (*goose.Provider, error) {
	dir, err := fs.Sub(files, set)
	if err != nil {
		return nil, fmt.Errorf("migrations set %q: %w", set, err)
	}
	gooseDialect := goose.DialectSQLite3
	if dialect == Postgres {
		gooseDialect = goose.DialectPostgres
	}
	store, err := database.NewStore(gooseDialect, "schema_"+set)
	if err != nil {
		return nil, fmt.Errorf("migrations store: %w", err)
	}
	provider, err := goose.NewProvider("", db, rewriter{dir, dialect}, goose.WithStore(store))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

func known(p *goose.Provider) int64 {
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// allowed reads what the migrations that this version does not know say of it. Each of
// them must let it run; one that says nothing does not.
func (s *Schema) allowed(ctx context.Context, db *sql.DB, dialect string) error {
	refused := &Newer{s.Set, s.Found, s.Known}
	if marked, err := hasTable(ctx, db, dialect, "schema_"+s.Set+"_oldest"); err != nil || !marked {
		return errors.Join(err, refused)
	}
	var unknown, marks int
	err := db.QueryRowContext(ctx, fmt.Sprintf(`SELECT COUNT(*), COUNT(o.oldest), COALESCE(MAX(o.oldest), 0)
		FROM (SELECT DISTINCT version_id FROM schema_%[1]s WHERE version_id > %[2]d) v LEFT JOIN schema_%[1]s_oldest o ON o.version = v.version_id`, s.Set, s.Known)).Scan(&unknown, &marks, &s.Oldest)
	if err != nil {
		return fmt.Errorf("read which programs the %s database allows: %w", s.Set, err)
	}
	if marks < unknown || s.Oldest > s.Known {
		return refused
	}
	return nil
}

func hasTable(ctx context.Context, db *sql.DB, dialect, name string) (there bool, err error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)`
	if dialect == Postgres {
		query = `SELECT to_regclass($1) IS NOT NULL`
	}
	if err := db.QueryRowContext(ctx, query, name).Scan(&there); err != nil {
		return false, fmt.Errorf("look for table %s: %w", name, err)
	}
	return there, nil
}

// rewriter gives the files of a set in the words of one dialect.
type rewriter struct {
	fs.FS
	dialect string
}

func (r rewriter) Open(name string) (fs.File, error) {
	f, err := r.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := fs.ReadFile(r.FS, name)
	if err != nil {
		return nil, err
	}
	if r.dialect == Postgres {
		text = bytes.ReplaceAll(text, []byte(" BLOB"), []byte(" BYTEA"))
		text = bytes.ReplaceAll(text, []byte(" SERIAL_KEY"), []byte(" BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
	} else {
		text = bytes.ReplaceAll(text, []byte(" SERIAL_KEY"), []byte(" INTEGER PRIMARY KEY AUTOINCREMENT"))
	}
	return &rewritten{f, bytes.NewReader(text)}, nil
}

type rewritten struct {
	fs.File
	text *bytes.Reader
}

func (f *rewritten) Read(p []byte) (int, error) { return f.text.Read(p) }

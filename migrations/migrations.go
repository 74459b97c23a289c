// Package migrations is the schema: numbered SQL files, forward-only, one set
// for the state database and one for the ledger's. The files are written once
// for SQLite and PostgreSQL; the few words that differ are replaced on reading.
package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
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

// Newer is the error of a database that a newer version has brought up to date.
type Newer struct {
	Set          string
	There, Known int64
}

func (n *Newer) Error() string {
	return fmt.Sprintf("the %s database has schema %d, and this version knows %d: a newer version has opened it. Run that version, or restore a backup from before it", n.Set, n.There, n.Known)
}

// Up brings db to the newest schema of a set and returns how many files it
// applied. It is safe to call at each start. A database of a newer version is left
// alone; the error is a *Newer.
func Up(ctx context.Context, db *sql.DB, dialect, set string) (int, error) {
	dir, err := fs.Sub(files, set)
	if err != nil {
		return 0, fmt.Errorf("migrations set %q: %w", set, err)
	}
	gooseDialect := goose.DialectSQLite3
	if dialect == Postgres {
		gooseDialect = goose.DialectPostgres
	}
	store, err := database.NewStore(gooseDialect, "schema_"+set)
	if err != nil {
		return 0, fmt.Errorf("migrations store: %w", err)
	}
	provider, err := goose.NewProvider("", db, rewriter{dir, dialect}, goose.WithStore(store))
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	there, err := provider.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read version of the %s database: %w", set, err)
	}
	sources := provider.ListSources()
	if known := sources[len(sources)-1].Version; there > known {
		return 0, &Newer{set, there, known}
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate %s: %w", set, err)
	}
	return len(results), nil
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

package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/libtnb/sqlite"
)

// backends runs a test on an empty SQLite database, and on an empty PostgreSQL one
// when there is a server.
func backends(t *testing.T, f func(t *testing.T, db *sql.DB, dialect string)) {
	t.Run("sqlite", func(t *testing.T) {
		// Escaped: a test's name, which may hold a #, is part of the path.
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.Join(t.TempDir(), "x.db")}).EscapedPath())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1) // as the product has it: nothing may wait for a second one
		f(t, db, SQLite)
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := os.Getenv("PLUMBLINE_TEST_POSTGRES")
		if dsn == "" {
			if os.Getenv("CI") != "" {
				t.Fatal("PLUMBLINE_TEST_POSTGRES is not set: no PostgreSQL")
			}
			t.Skip("PLUMBLINE_TEST_POSTGRES is not set: no PostgreSQL")
		}
		admin, err := sql.Open("pgx", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		name := fmt.Sprintf("migrations%d", time.Now().UnixNano())
		if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("pgx", strings.Replace(dsn, "/postgres?", "/"+name+"?", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			db.Close()
			admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		}()
		f(t, db, Postgres)
	})
}

// newestOf is the newest schema of a set.
func newestOf(t *testing.T, set string) int64 {
	t.Helper()
	versions := versionsOf(t, set)
	return versions[len(versions)-1]
}

func versionsOf(t *testing.T, set string) (out []int64) {
	t.Helper()
	names, err := fs.Glob(files, set+"/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		n, err := strconv.ParseInt(filepath.Base(name)[:4], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// with are this version's files and those of the versions after it: each adds a table,
// and its mark is the one given, below zero for none.
func with(t *testing.T, set string, marks ...int64) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(files, set+"/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	at := newestOf(t, set)
	for _, oldest := range marks {
		at++
		text := fmt.Sprintf("-- +goose Up\nCREATE TABLE next_%s_%d (a BIGINT NOT NULL, b BLOB);\n", set, at)
		if oldest >= 0 {
			text += fmt.Sprintf("INSERT INTO schema_%s_oldest (version, oldest) VALUES (%d, %d);\n", set, at, oldest)
		}
		all[fmt.Sprintf("%s/%04d_next.sql", set, at)] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// A program is started on the schema of later ones when each of their migrations lets
// it, and is refused else; nothing is ever migrated down.
func TestStartsOnANewerSchemaThatAllowsIt(t *testing.T) {
	for _, set := range []string{State, Ledger} {
		known := newestOf(t, set)
		for _, c := range []struct {
			name  string
			marks []int64
			runs  bool
		}{
			{"one that adds", []int64{known}, true},
			{"two that add", []int64{known, known}, true},
			{"one that breaks", []int64{known + 1}, false},
			{"one that breaks, and one that adds to it", []int64{known + 1, known + 1}, false},
			{"one that adds, and one that breaks", []int64{known, known + 2}, false},
			{"one that breaks, before one that claims too much", []int64{known + 1, known}, false},
			{"one without a mark", []int64{-1}, false},
			{"one without a mark, before one that adds", []int64{-1, known}, false},
		} {
			if set == Ledger && len(c.marks) > 1 {
				continue // a set is a name: the first has tried these
			}
			t.Run(set+": "+c.name, func(t *testing.T) {
				backends(t, func(t *testing.T, db *sql.DB, dialect string) {
					newer(t, db, dialect, set, with(t, set, c.marks...), len(c.marks), c.runs)
				})
			})
		}
	}
}

func newer(t *testing.T, db *sql.DB, dialect, set string, next fs.FS, added int, runs bool) {
	known := newestOf(t, set)
	if s, err := Up(t.Context(), db, dialect, set); err != nil || s.Applied != len(versionsOf(t, set)) || s.Newer() || s.Found != 0 || s.Known != known {
		t.Fatalf("%+v, %v", s, err)
	}
	if s, err := up(t.Context(), db, dialect, set, next); err != nil || s.Applied != added || s.Found != known {
		t.Fatalf("the next version's: %+v, %v", s, err)
	}
	there := known + int64(added)
	for name, try := range map[string]func(context.Context, *sql.DB, string, string) (Schema, error){"up": Up, "check": Check} {
		s, err := try(t.Context(), db, dialect, set)
		var refused *Newer
		switch {
		case runs && (err != nil || !s.Newer() || s.Found != there || s.Applied != 0 || s.Oldest != known):
			t.Errorf("%s: %+v, %v", name, s, err)
		case !runs && (!errors.As(err, &refused) || refused.There != there || refused.Known != known):
			t.Errorf("%s: %+v, %v; want a *Newer", name, s, err)
		}
	}
	// It is as the newer version left it.
	if s, err := up(t.Context(), db, dialect, set, next); err != nil || s.Found != there || s.Applied != 0 || s.Newer() {
		t.Errorf("the next version, again: %+v, %v", s, err)
	}
	if _, err := db.Exec(fmt.Sprintf(`INSERT INTO next_%s_%d (a) VALUES (1)`, set, there)); err != nil {
		t.Error(err)
	}
}

// A database of a newer version that carries no mark at all, as those of before it, is
// left alone, and the error says so.
func TestNewerDatabaseWithoutMarksIsRefused(t *testing.T) {
	for _, set := range []string{State, Ledger} {
		backends(t, func(t *testing.T, db *sql.DB, dialect string) {
			if _, err := Up(t.Context(), db, dialect, set); err != nil {
				t.Fatal(err)
			}
			if s, err := Up(t.Context(), db, dialect, set); err != nil || s.Applied != 0 {
				t.Fatalf("%s, again: %+v, %v", set, s, err)
			}
			for _, change := range []string{`INSERT INTO schema_` + set + ` (version_id, is_applied) VALUES (9999, true)`, `DROP TABLE schema_` + set + `_oldest`} {
				if _, err := db.ExecContext(t.Context(), change); err != nil {
					t.Fatal(err)
				}
				var newer *Newer
				if _, err := Up(t.Context(), db, dialect, set); !errors.As(err, &newer) || newer.There != 9999 || newer.Known == 0 {
					t.Errorf("%s: %v", set, err)
				}
			}
		})
	}
}

// Check reads a database that no migration was applied to, and makes nothing in it.
func TestCheckChangesNothing(t *testing.T) {
	backends(t, func(t *testing.T, db *sql.DB, dialect string) {
		if s, err := Check(t.Context(), db, dialect, State); err != nil || s.Found != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		if there, err := hasTable(t.Context(), db, dialect, "schema_state"); err != nil || there {
			t.Errorf("a table was made: %v", err)
		}
	})
}

// firstMarked are the first migrations that had to say which programs may run on what
// they make.
var firstMarked = map[string]int64{State: 12, Ledger: 3}

// Every migration says which programs may still run on what it makes: one line, of its
// own number, that names no later schema. The package's comment says which to write.
func TestEveryMigrationSaysWhoMayRunOnIt(t *testing.T) {
	for _, set := range []string{State, Ledger} {
		line := regexp.MustCompile(`(?m)^INSERT INTO schema_` + set + `_oldest \(version, oldest\) VALUES \((\d+), (\d+)\);$`)
		names, err := fs.Glob(files, set+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for i, version := range versionsOf(t, set) {
			if version < firstMarked[set] {
				continue
			}
			text, err := fs.ReadFile(files, names[i])
			if err != nil {
				t.Fatal(err)
			}
			found := line.FindAllStringSubmatch(string(text), -1)
			if len(found) != 1 || found[0][1] != strconv.FormatInt(version, 10) {
				t.Errorf("%s: write one line INSERT INTO schema_%s_oldest (version, oldest) VALUES (%d, N); where N is the oldest schema whose programs may still run on it: %d for a file that only adds, %d for one that breaks them",
					names[i], set, version, version-1, version)
				continue
			}
			if oldest, err := strconv.ParseInt(found[0][2], 10, 64); err != nil || oldest > version || oldest < firstMarked[set] {
				t.Errorf("%s: schema %s is not one whose programs could run on it: %d to %d are", names[i], found[0][2], firstMarked[set], version)
			}
		}
		// And the database has what the files say.
		backends(t, func(t *testing.T, db *sql.DB, dialect string) {
			if _, err := Up(t.Context(), db, dialect, set); err != nil {
				t.Fatal(err)
			}
			var marks int64
			if err := db.QueryRow(`SELECT COUNT(*) FROM schema_` + set + `_oldest`).Scan(&marks); err != nil || marks != newestOf(t, set)-firstMarked[set]+1 {
				t.Errorf("%d marks, %v", marks, err)
			}
		})
	}
}

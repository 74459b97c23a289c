package server

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/migrations"
)

// nextSchema leaves what the next version's migration of a set would: every table of
// the set has one more column, there is one table more, and the mark.
func nextSchema(t *testing.T, pool *sql.DB, dialect, set string, breaks bool) {
	t.Helper()
	names := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'schema_%'`
	if dialect == migrations.Postgres {
		names = `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE 'schema_%'`
	}
	rows, err := pool.Query(names)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "ledger_") == (set == migrations.Ledger) {
			tables = append(tables, name)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(tables) < 5 {
		t.Fatalf("%s has the tables %v: %v", set, tables, err)
	}
	var known int64
	if err := pool.QueryRow(`SELECT MAX(version_id) FROM schema_` + set).Scan(&known); err != nil {
		t.Fatal(err)
	}
	oldest := known
	if breaks {
		oldest++
	}
	changes := []string{
		`CREATE TABLE next_` + set + ` (id TEXT NOT NULL PRIMARY KEY)`,
		fmt.Sprintf(`INSERT INTO schema_%s_oldest (version, oldest) VALUES (%d, %d)`, set, known+1, oldest),
		fmt.Sprintf(`INSERT INTO schema_%s (version_id, is_applied) VALUES (%d, true)`, set, known+1),
	}
	for _, table := range tables {
		changes = append(changes, `ALTER TABLE `+table+` ADD COLUMN aaa_next TEXT NOT NULL DEFAULT 'x'`)
	}
	for _, change := range changes {
		if _, err := pool.Exec(change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
}

// pools opens both databases of a server that is stopped.
func pools(t *testing.T, c *config.Config, f func(pool *sql.DB, dialect, set string)) {
	t.Helper()
	state, err := db.Open(t.Context(), db.Config{Dir: c.DataDir, Postgres: c.Postgres})
	if err != nil {
		t.Fatal(err)
	}
	f(db.SQL(state), db.Dialect(state), migrations.State)
	if c.Postgres != "" {
		f(db.SQL(state), db.Dialect(state), migrations.Ledger)
	} else {
		ledger, err := sql.Open("sqlite", "file:"+c.DataDir+"/ledger.db")
		if err != nil {
			t.Fatal(err)
		}
		f(ledger, migrations.SQLite, migrations.Ledger)
		if err := ledger.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(state); err != nil {
		t.Fatal(err)
	}
}

// TestRunsOnTheSchemaOfTheNextVersion: an update is taken back. What the next version
// added stays, and everything that this one stores and reads works on it.
func TestRunsOnTheSchemaOfTheNextVersion(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { runsOnTheNext(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		runsOnTheNext(t, c)
	})
}

func runsOnTheNext(t *testing.T, c *config.Config) {
	for _, next := range []bool{true, false} {
		s, err := New(t.Context(), Options{Config: c})
		if err != nil {
			t.Fatal(err)
		}
		if s.Ledger.Schema().Newer() == next {
			t.Fatalf("the ledger's schema is %+v", s.Ledger.Schema())
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if next {
			pools(t, c, func(pool *sql.DB, dialect, set string) { nextSchema(t, pool, dialect, set, false) })
		}
	}
	t.Run("all that is stored", func(t *testing.T) { declaresAll(t, c) })
	s := open(t, Options{Config: c})
	for _, log := range s.Ledger.Logs() {
		if n, err := s.Ledger.Verify(t.Context(), log); err != nil || n == 0 {
			t.Errorf("log %q has %d leaves: %v", log, n, err)
		}
	}
}

// TestRefusesASchemaThatBreaksIt, of either database.
func TestRefusesASchemaThatBreaksIt(t *testing.T) {
	for _, broken := range []string{migrations.State, migrations.Ledger} {
		for _, dialect := range []string{migrations.SQLite, migrations.Postgres} {
			t.Run(broken+" "+dialect, func(t *testing.T) {
				c := testConfig(t.TempDir())
				if dialect == migrations.Postgres {
					c.Postgres = database(t)
				}
				s, err := New(t.Context(), Options{Config: c})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				pools(t, c, func(pool *sql.DB, dialect, set string) { nextSchema(t, pool, dialect, set, set == broken) })
				var newer *migrations.Newer
				if s, err := New(t.Context(), Options{Config: c}); !errors.As(err, &newer) || newer.Set != broken {
					t.Errorf("it started, or said %v", err)
					if err == nil {
						s.Close(t.Context())
					}
				}
			})
		}
	}
}

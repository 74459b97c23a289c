package migrations

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/libtnb/sqlite"
)

// A database of a newer version is left alone, and the error says so.
func TestNewerDatabaseIsRefused(t *testing.T) {
	for _, set := range []string{State, Ledger} {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "x.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if n, err := Up(t.Context(), db, SQLite, set); err != nil || n == 0 {
			t.Fatalf("%s: %d migrations, %v", set, n, err)
		}
		if n, err := Up(t.Context(), db, SQLite, set); err != nil || n != 0 {
			t.Fatalf("%s, again: %d migrations, %v", set, n, err)
		}
		if _, err := db.ExecContext(t.Context(), `INSERT INTO schema_`+set+` (version_id, is_applied) VALUES (9999, 1)`); err != nil {
			t.Fatal(err)
		}
		var newer *Newer
		if _, err := Up(t.Context(), db, SQLite, set); !errors.As(err, &newer) || newer.There != 9999 || newer.Known == 0 {
			t.Errorf("%s: %v", set, err)
		}
	}
}

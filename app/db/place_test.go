package db

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumbline/app/fault"
)

// TestPlace: a database answers for as long as its file and its write-ahead log are in
// their place. A connection that was lost is replaced, and by none to a new file.
func TestPlace(t *testing.T) {
	dir := t.TempDir()
	g, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	pool, path := SQL(g), filepath.Join(dir, "state.db")
	t.Cleanup(func() { pool.Close() })
	answers := func(when string, there bool) {
		t.Helper()
		tx, begun := pool.BeginTx(t.Context(), nil)
		if begun == nil {
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		_, written := pool.ExecContext(t.Context(), `CREATE TABLE IF NOT EXISTS x (n BIGINT)`)
		for what, err := range map[string]error{"a transaction": begun, "a statement": written, "a query": pool.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM x`).Scan(&n)} {
			if there && err != nil || !there && (!fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), path+" is gone")) {
				t.Errorf("%s, %s: %v", when, what, err)
			}
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	lose := func() {
		pool.SetMaxIdleConns(0)
		pool.SetMaxIdleConns(1)
	}
	answers("at first", true)
	lose()
	answers("after a lost connection", true)
	for _, file := range []string{path + "-wal", path} {
		move(file, file+".away")
		answers(file+" away", false)
		move(file+".away", file)
		answers(file+" back", true)
	}
	move(path, path+".away")
	lose()
	answers("connection lost while it was away", false)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a new file was made: %v", err)
	}
	move(path+".away", path)
	answers("back at last", true)
}

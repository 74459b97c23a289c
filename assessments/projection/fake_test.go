package projection

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"plumbline/app/db"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/migrations"
)

// feed is a ledger in memory that gives out at most cap leaves at once.
type feed struct {
	order      []string
	logs       map[string][]record.Leaf
	generation map[string]uint64
	numbers    map[string]uint64
	batch      func() int
}

func newFeed(logs ...string) *feed {
	f := &feed{order: logs, logs: map[string][]record.Leaf{}, generation: map[string]uint64{}, numbers: map[string]uint64{}, batch: func() int { return batchLeaves }}
	for _, l := range logs {
		f.generation[l] = 1
	}
	return f
}

func (f *feed) Logs() []string                             { return f.order }
func (f *feed) Generation(log string) (uint64, error)      { return f.generation[log], nil }
func (f *feed) Size(log string) uint64                     { return uint64(len(f.logs[log])) }
func (f *feed) Wait(context.Context, string, uint64) error { return nil }
func (f *feed) Feed(_ context.Context, log string, from uint64, n int) ([]record.Leaf, error) {
	all := f.logs[log]
	n = min(n, f.batch(), len(all)-int(from))
	return all[from : int(from)+max(n, 0)], nil
}

// put appends a record, an event or a body of another kind.
func (f *feed) put(t testing.TB, log string, at time.Time, kind record.Kind, body any) uint64 {
	t.Helper()
	f.numbers[log]++
	env := record.Envelope{Kind: kind, Version: record.VersionOf(kind), ID: testID(), At: at.UnixMicro(), Writer: "w1", Number: f.numbers[log], Actor: "anna"}
	var b []byte
	if e, ok := body.(*event.Event); ok {
		e.Log, e.At = log, env.At
		b = record.AppendEvent(nil, &env, e)
	} else {
		var err error
		if b, err = record.Append(nil, &record.Record{Envelope: env, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	f.logs[log] = append(f.logs[log], record.Leaf{Index: uint64(len(f.logs[log])), Bytes: b})
	return uint64(len(f.logs[log]) - 1)
}

func (f *feed) event(t testing.TB, log string, at time.Time, e event.Event) uint64 {
	t.Helper()
	return f.put(t, log, at, record.KindOf(e.Kind), &e)
}

var source = rand.NewChaCha8([32]byte{7})

func testID() ident.ID {
	id, err := ident.New(time.UnixMilli(1_800_000_000_000), source)
	if err != nil {
		panic(err)
	}
	return id
}

// backends runs a test on SQLite, and on PostgreSQL when there is one.
func backends(t *testing.T, f func(t *testing.T, pool *sql.DB, dialect string)) {
	t.Run("sqlite", func(t *testing.T) {
		pool := sqlite(t)
		f(t, pool, "sqlite")
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
		name := fmt.Sprintf("proj%d", time.Now().UnixNano())
		if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
		pool, err := sql.Open("pgx", strings.Replace(dsn, "/postgres?", "/"+name+"?", 1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			pool.Close()
			admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
			admin.Close()
		})
		if _, err := migrations.Up(t.Context(), pool, "postgres", "state"); err != nil {
			t.Fatal(err)
		}
		f(t, pool, "postgres")
	})
}

func sqlite(t testing.TB) *sql.DB {
	t.Helper()
	pool, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(t.TempDir(), "state.db"), "FULL"))
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { pool.Close() })
	if _, err := migrations.Up(t.Context(), pool, "sqlite", "state"); err != nil {
		t.Fatal(err)
	}
	return pool
}

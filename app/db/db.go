// Package db opens the state database, SQLite or PostgreSQL, and runs
// transactions.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/libtnb/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	moderncsqlite "modernc.org/sqlite"
)

// Config says which database. Postgres wins when both are set.
type Config struct {
	Dir      string // data directory; the file is state.db in it
	Postgres string // DSN
}

// Open connects and checks the connection. Once the file of a SQLite database is not
// where it was opened, reading and writing fail as fault.Unavailable.
func Open(ctx context.Context, c Config) (*gorm.DB, error) {
	var dialector gorm.Dialector
	if c.Postgres != "" {
		dialector = postgres.Open(c.Postgres)
	} else {
		path := filepath.Join(c.Dir, "state.db")
		dialector = sqlite.New(sqlite.Config{Conn: sql.OpenDB(&placed{driver: new(moderncsqlite.Driver), path: path, dsn: SQLiteDSN(path, "NORMAL")})})
	}
	g, err := gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard,
		SkipDefaultTransaction: true,
		NowFunc:                func() time.Time { return time.Now().UTC() },
	})
	if err != nil {
		return nil, fmt.Errorf("open state database: %w", err)
	}
	pool, err := g.DB()
	if err != nil {
		return nil, fmt.Errorf("open state database: %w", err)
	}
	if c.Postgres == "" {
		// One connection: SQLite has one writer, and waiting for it in the pool
		// is fairer than its busy handler.
		pool.SetMaxOpenConns(1)
	} else {
		pool.SetMaxOpenConns(16)
	}
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach state database: %w", err), pool.Close())
	}
	return g, nil
}

// SQLiteDSN names a SQLite file in WAL mode with the given synchronous setting.
func SQLiteDSN(path, synchronous string) string {
	q := url.Values{}
	for _, pragma := range []string{"journal_mode(WAL)", "busy_timeout(5000)", "foreign_keys(1)", "synchronous(" + synchronous + ")", "temp_store(MEMORY)", "cache_size(-8000)"} {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", "immediate")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Dialect is the dialect's name as package migrations knows it.
func Dialect(g *gorm.DB) string {
	if g.Dialector.Name() == "postgres" {
		return "postgres"
	}
	return "sqlite"
}

// Rebind turns ? into the placeholders of the database.
func Rebind(dialect, query string) string {
	if dialect != "postgres" {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range query {
		if c == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// SQL is the pool beneath g.
func SQL(g *gorm.DB) *sql.DB {
	pool, err := g.DB()
	if err != nil {
		panic("db: " + err.Error()) // g was opened by Open
	}
	return pool
}

// InTx runs f in one transaction; f's error rolls it back.
func InTx(ctx context.Context, g *gorm.DB, f func(tx *gorm.DB) error) error {
	return g.WithContext(ctx).Transaction(f)
}

// Close closes the pool.
func Close(g *gorm.DB) error {
	pool, err := g.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

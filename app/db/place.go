package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"sync/atomic"

	"plumbline/app/fault"
)

// Place is where an open SQLite file lies. A file that was moved or deleted under an open
// connection still takes all that is written, and nobody finds it again.
type Place struct {
	path  string
	file  os.FileInfo
	ahead bool // the write-ahead log was there too; it is for as long as a connection is open
}

// PlaceOf notes the place of a file that is open and was read.
func PlaceOf(path string) (*Place, error) {
	file, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(path + "-wal")
	return &Place{path, file, err == nil}, nil
}

// Check reports whether what is written is where the next start looks for it.
func (p *Place) Check() error {
	now, err := os.Stat(p.path)
	if err == nil && !os.SameFile(now, p.file) {
		return fmt.Errorf("%s is gone: another file is in its place", p.path)
	}
	if err == nil && p.ahead {
		_, err = os.Stat(p.path + "-wal")
	}
	if err != nil {
		return fmt.Errorf("%s is gone: %w", p.path, err)
	}
	return nil
}

// placed opens connections to a file that answer for as long as it is in its place. A
// lost connection is not replaced by one to a file that would be made anew.
type placed struct {
	driver driver.Driver
	dsn    string
	place  atomic.Pointer[Place] // nil until the file was opened
}

func (p *placed) Driver() driver.Driver { return p.driver }

func (p *placed) Connect(context.Context) (driver.Conn, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	c, err := p.driver.Open(p.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := c.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's connection %T lacks a method that is needed", c)
	}
	return &placedConn{full, p}, nil
}

// note keeps the place of a file once it has been read, which makes its write-ahead log.
func (p *placed) note(ctx context.Context, pool *sql.DB, path string) error {
	var tables int
	if err := pool.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master`).Scan(&tables); err != nil {
		return err
	}
	place, err := PlaceOf(path)
	p.place.Store(place)
	return err
}

func (p *placed) check() error {
	place := p.place.Load()
	if place == nil {
		return nil
	}
	if err := place.Check(); err != nil {
		return fault.Wrap(fault.Unavailable, "register_unavailable", err, "The server's database is not where it was, so nothing is read from it or written. Put its file back, or stop the server and restore a backup.")
	}
	return nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// placedConn looks before each transaction and each statement but those that were
// prepared, which are within transactions.
type placedConn struct {
	sqliteConn
	placed *placed
}

func (c *placedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.placed.check(); err != nil {
		return nil, err
	}
	return c.sqliteConn.BeginTx(ctx, o)
}

func (c *placedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.placed.check(); err != nil {
		return nil, err
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c *placedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.placed.check(); err != nil {
		return nil, err
	}
	return c.sqliteConn.QueryContext(ctx, query, args)
}

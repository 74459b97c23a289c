package db

import (
	"context"
	"database/sql/driver"
	"errors"
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
	err := p.checkFile()
	if err == nil && p.ahead {
		if _, err = os.Stat(p.path + "-wal"); err != nil {
			err = fmt.Errorf("%s is gone: %w", p.path, err)
		}
	}
	return err
}

func (p *Place) checkFile() error {
	now, err := os.Stat(p.path)
	if err != nil {
		return fmt.Errorf("%s is gone: %w", p.path, err)
	}
	if !os.SameFile(now, p.file) {
		return fmt.Errorf("%s is gone: another file is in its place", p.path)
	}
	return nil
}

// placed opens connections to a file that answer for as long as it is in its place. A
// lost connection is not replaced by one to a file that would be made anew. Only one is
// open at a time.
type placed struct {
	driver driver.Driver
	path   string
	dsn    string
	place  atomic.Pointer[Place] // nil until the file was opened
}

func (p *placed) Driver() driver.Driver { return p.driver }

func (p *placed) Connect(ctx context.Context) (driver.Conn, error) {
	// The write-ahead log went with the connection before, as SQLite has it.
	if place := p.place.Load(); place != nil {
		if err := place.checkFile(); err != nil {
			return nil, unavailable(err)
		}
	}
	c, err := p.driver.Open(p.dsn)
	if err != nil {
		return nil, err
	}
	place, err := p.read(ctx, c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	p.place.Store(place)
	return &placedConn{c.(sqliteConn), p}, nil
}

// read reads the file, which makes its write-ahead log, and gives its place.
func (p *placed) read(ctx context.Context, c driver.Conn) (*Place, error) {
	full, ok := c.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's connection %T lacks a method that is needed", c)
	}
	rows, err := full.QueryContext(ctx, `SELECT COUNT(*) FROM sqlite_master`, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(rows.Next(make([]driver.Value, 1)), rows.Close()); err != nil {
		return nil, err
	}
	return PlaceOf(p.path)
}

func (p *placed) check() error {
	if err := p.place.Load().Check(); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, "register_unavailable", err, "The server's database is not where it was, so nothing is read from it or written. Put its file back, or stop the server and restore a backup.")
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

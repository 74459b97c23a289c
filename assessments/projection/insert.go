package projection

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// insert writes rows; suffix is the conflict clause.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, table string, columns []string, rows [][]any, suffix string) error {
	return s.insertEach(ctx, tx, table, columns, len(rows), func(i int, to []any) []any { return append(to, rows[i]...) }, suffix)
}

// keptRows are how many rows SQLite takes in one statement; what is left over goes
// one by one. A statement of 60 is 6 to 9 % cheaper and three times as large, for
// as long as the server runs.
const keptRows = 20

// insertEach writes the rows that row appends, 0 to n-1.
//
// SQLite gets them through two statements, of many rows and of one, which stay
// compiled from one batch to the next. Neither is watched for the end of ctx, which
// would cost a goroutine each: it rolls the transaction back, and the statement after
// that says so.
//
// PostgreSQL gets some 300 values at a time, because each statement is a journey; its
// driver keeps what was compiled by itself.
func (s *Store) insertEach(ctx context.Context, tx *sql.Tx, table string, columns []string, n int, row func(i int, to []any) []any, suffix string) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
	per := keptRows
	if s.dialect == "postgres" {
		per = max(1, 300/len(columns))
	}
	var args []any
	for from := 0; from < n; {
		count := min(per, n-from)
		if s.dialect != "postgres" && count < per {
			count = 1
		}
		text := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + strings.Repeat(one+", ", count-1) + one + " " + suffix
		exec := func(args []any) (err error) {
			_, err = tx.ExecContext(ctx, s.q(text), args...)
			return err
		}
		if s.dialect != "postgres" {
			quiet := context.WithoutCancel(ctx)
			st, err := s.statement(quiet, tx, text)
			if err != nil {
				return fmt.Errorf("write %s: %w", table, err)
			}
			exec = func(args []any) (err error) {
				_, err = st.ExecContext(quiet, args...)
				return err
			}
		}
		for ; n-from >= count; from += count {
			args = args[:0]
			for i := range count {
				args = row(from+i, args)
			}
			if err := exec(args); err != nil {
				return fmt.Errorf("write %s: %w", table, err)
			}
		}
	}
	return nil
}

// statement is a statement of tx. It stays compiled from the next batch on: SQLite has
// one connection, which is tx's now. s.mu is held.
func (s *Store) statement(ctx context.Context, tx *sql.Tx, text string) (*sql.Stmt, error) {
	st, known := s.kept[text]
	if st != nil {
		return tx.StmtContext(ctx, st), nil
	}
	if !known {
		s.kept[text] = nil
	}
	return tx.PrepareContext(ctx, text)
}

// compile keeps the statements that were asked for in earlier batches. Closing the
// pool closes them. s.mu is held.
func (s *Store) compile(ctx context.Context) error {
	for text, st := range s.kept {
		if st != nil {
			continue
		}
		st, err := s.db.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("compile: %w", err)
		}
		s.kept[text] = st
	}
	return nil
}

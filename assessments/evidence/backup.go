package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"plumbline/assessments/evidence/record"
)

// copyMark is the file that says of a data directory that it is a copy. It says to people
// what the error Copied does.
const copyMark = "RESTORE.txt"

func copyText(at time.Time) string {
	return fmt.Sprintf(`This data directory is a copy that plumbline backup began at %s.

No server starts on it before somebody says what became of the ledger since. When anything
was signed after that, also if nobody knows, declare that an older copy is restored:

    plumbline ledger fork --restored --reason '...'

with --seen FILE for each log of which somebody holds a newer checkpoint. Every log then has
a new generation that names what is missing, and this file is gone. When the server had been
stopped before the copy was made and was not started since, the copy is the ledger: delete
this file.
`, at.UTC().Format("2006-01-02 15:04:05 MST"))
}

// Copied is the error of a ledger that Backup wrote and of which nobody has declared yet
// what was signed since. Written to without a word it would be a second log of one name.
type Copied struct {
	Mark string // the file that says so
}

func (c *Copied) Error() string {
	return fmt.Sprintf("this data directory is a copy made by plumbline backup, and a ledger that was written to since would be forked without a word. Declare that it is restored: plumbline ledger fork --restored --reason '…', with --seen FILE for each newer checkpoint that somebody holds. When the server had been stopped before the copy was made and was not started since, nothing is missing: delete %s", c.Mark)
}

// checkCopied is nil of a data directory that is no copy.
func (l *Ledger) checkCopied() error {
	mark := filepath.Join(l.c.Dir, copyMark)
	_, err := os.Stat(mark)
	switch {
	case err == nil:
		return &Copied{mark}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("look for %s: %w", mark, err)
}

// declared takes the mark of a copy away.
func (l *Ledger) declared() error {
	if err := os.Remove(filepath.Join(l.c.Dir, copyMark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the fork is on record; take the mark of the copy away: %w", err)
	}
	return nil
}

// Backup writes a consistent copy of the ledger and its checkpoints while it is
// in use, and marks it as one before anything else of it is there: Open refuses it as
// Copied. PostgreSQL has pg_dump for this.
func (l *Ledger) Backup(ctx context.Context, dir string) error {
	if l.store.pg {
		return errors.New("the ledger is in PostgreSQL: use pg_dump, and copy the data directory's checkpoints and key")
	}
	if !l.reader {
		l.signGrown(ctx)
	}
	if err := writeFile(filepath.Join(dir, copyMark), []byte(copyText(l.c.Now()))); err != nil {
		return fmt.Errorf("mark copy: %w", err)
	}
	heads := map[string]record.Checkpoint{} // before the copy, so that none is ahead of it
	for _, name := range l.Logs() {
		cp, err := l.Checkpoint(ctx, name)
		if err != nil {
			return err
		}
		heads[name] = cp
	}
	if _, err := l.store.read.ExecContext(ctx, `VACUUM INTO ?`, filepath.Join(dir, "ledger.db")); err != nil {
		return fmt.Errorf("copy ledger: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o700); err != nil {
		return err
	}
	for name, cp := range heads {
		if cp.Size == 0 {
			continue
		}
		if err := writeFile(filepath.Join(dir, "checkpoints", filepath.Base(l.copyPath(name))), cp.Note); err != nil {
			return fmt.Errorf("copy checkpoint: %w", err)
		}
	}
	return nil
}

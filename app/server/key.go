package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"plumbline/app/seal"
)

// OpenKey reads the instance key, or makes it for a data directory that is new.
// Where there is data already a new key could open nothing of it, and would hide
// that the right one is missing.
func OpenKey(path, dataDir string, random io.Reader) (*seal.Sealer, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && holdsData(dataDir) {
		return nil, fmt.Errorf("the instance key %s is missing, and without it what is in %s cannot be opened: bring the key back from a copy", path, dataDir)
	}
	return seal.OpenFile(path, random)
}

// holdsData reports whether something was kept in a data directory before. With
// PostgreSQL that is the checkpoints alone.
func holdsData(dir string) bool {
	for _, name := range []string{"ledger.db", "state.db"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	copies, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	return err == nil && len(copies) > 0
}

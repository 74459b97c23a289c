package server

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumbline/inventory"
)

// A data directory of which a part is missing does not start as if it were new.
func TestPartOfADataDirectoryDoesNotStart(t *testing.T) {
	for _, c := range []struct{ name, lost, says string }{
		{"the instance key", "instance.key", "the instance key"},
		{"the register", "state.db", "the register is empty, but the ledger has a log of acme"},
		{"the ledger", "ledger.db", "the ledger has nothing of test/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, dir := context.Background(), t.TempDir()
			s, err := New(ctx, Options{Config: testConfig(dir)})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Register.CreateOrg(ctx, officer, inventory.Org{ID: testOrg, Name: "Acme"}); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(ctx); err != nil {
				t.Fatal(err)
			}
			gone, err := filepath.Glob(filepath.Join(dir, c.lost+"*"))
			if err != nil || len(gone) == 0 {
				t.Fatalf("no %s: %v", c.lost, err)
			}
			for _, f := range gone {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			again, err := New(ctx, Options{Config: testConfig(dir)})
			if err == nil {
				again.Close(ctx)
				t.Fatalf("it started without %s", c.lost)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "instance.key")); c.lost == "instance.key" && err == nil {
				t.Error("a new key was put in the place of the one that is missing")
			}
		})
	}
}

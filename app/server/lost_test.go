package server

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/ident"
	"plumbline/app/server/load"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
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

// TestGoesOnAfterADeclaredRestore: a whole older copy is declared as such. The server
// starts on it, serves, and the new generation says what it follows.
func TestGoesOnAfterADeclaredRestore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { goesOnAfterARestore(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		goesOnAfterARestore(t, c)
	})
}

func goesOnAfterARestore(t *testing.T, c *config.Config) {
	ctx := context.Background()
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	env := func(string) string { return "upstream-secret" }
	call := func(base, key string) {
		t.Helper()
		if resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`); resp.StatusCode != 200 {
			t.Fatalf("status %d: %s", resp.StatusCode, text)
		}
	}
	left, err := ident.New(time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var key string
	t.Run("before", func(t *testing.T) {
		s := open(t, Options{Config: c, Env: env})
		key = furnish(t, s, up.URL)
		call(serve(t, s), key)
		promise, err := s.Ledger.Submit(&event.Event{Kind: event.Intent, Log: string(testOrg), Exchange: left, At: time.Now().UnixMicro(), System: "SYS-001", Key: strings.Split(key, "-")[1],
			Provider: "up", ModelAsked: "gpt-4o-mini", Holds: []event.Hold{{Budget: "org", Amount: 700, Window: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		<-promise.Done()
	})
	sealer, err := OpenKey(c.KeyFile, c.DataDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	forked, err := evidence.Fork(ctx, evidence.Config{Dir: c.DataDir, Postgres: c.Postgres, Instance: c.Instance, Sealer: sealer}, evidence.ForkOptions{Actor: "cli", Reason: "the disk broke", Restored: true})
	if err != nil || len(forked) != 2 {
		t.Fatalf("forked %+v, %v", forked, err)
	}
	s := open(t, Options{Config: c, Env: env})
	if g, err := s.Ledger.Generation(string(testOrg)); err != nil || g != 2 {
		t.Fatalf("generation %d, %v", g, err)
	}
	base := serve(t, s)
	call(base, key)
	if err := s.Register.PutRoute(ctx, officer, inventory.Route{Model: "added", Provider: "up"}, "test"); err != nil {
		t.Error(err)
	}
	caughtUp(ctx, s)
	if x, err := s.Projection.Exchange(ctx, string(testOrg), left.String()); err != nil || x.State != projection.Incomplete || x.Charge != 700 {
		t.Errorf("what was open: %+v, %v", x, err)
	}
	events, err := s.Projection.LedgerEvents(ctx, string(testOrg), 10)
	if err != nil || len(events) == 0 || events[len(events)-1].Kind != record.LedgerForked || events[len(events)-1].Leaf != 0 {
		t.Errorf("events %+v, %v", events, err)
	}
	ada := signIn(t, s, base, authz.Auditor)
	ada.is(ada.get("/ledger"), 200, "/ledger", "test/acme/2", "Began a new generation", "Reason: the disk broke", "plumbline export --org acme --generation 2 export")
	for _, log := range s.Ledger.Logs() {
		if _, err := s.Ledger.Verify(ctx, log); err != nil {
			t.Errorf("log %q: %v", log, err)
		}
		if all, err := s.Ledger.Generations(ctx, log); err != nil || len(all) != 2 || all[1].After == nil || all[1].After.Kept != all[0].To {
			t.Errorf("log %q: %+v, %v", log, all, err)
		}
	}
}

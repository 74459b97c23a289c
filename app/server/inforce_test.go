package server

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/app/fault"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

// TestInForceForNewAttempts: what people take away while a call is at the provider
// holds for its next attempt: the provider is not asked again.
func TestInForceForNewAttempts(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(s *Server, key inventory.KeyID) error
		status int
		code   string
		calls  int64
	}{
		{"nothing", func(*Server, inventory.KeyID) error { return nil }, http.StatusOK, `"choices"`, 2},
		{"suspended", func(s *Server, _ inventory.KeyID) error {
			return s.Register.Suspend(t.Context(), approver, "SYS-001", "stop")
		}, http.StatusForbidden, "system_suspended", 1},
		{"retired", func(s *Server, _ inventory.KeyID) error {
			return s.Register.Retire(t.Context(), officer, "SYS-001", "replaced")
		}, http.StatusForbidden, "system_retired", 1},
		{"revoked", func(s *Server, key inventory.KeyID) error {
			return s.Register.RevokeKey(t.Context(), officer, key, "leaked")
		}, http.StatusUnauthorized, "key_revoked", 1},
		{"approval ended", func(s *Server, _ inventory.KeyID) error {
			system, err := s.Register.System(testOrg, "SYS-001")
			if err != nil {
				return err
			}
			changed := *system
			changed.Purpose = "Decides on credit."
			return s.Register.UpdateSystem(t.Context(), officer, changed, system.Version, "another use")
		}, http.StatusForbidden, "system_unapproved", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int64
			var s *Server
			var id inventory.KeyID
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if calls.Add(1) == 1 {
					if err := c.do(s, id); err != nil {
						t.Error(err)
					}
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				_, err := w.Write([]byte(`{"id":"x","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`))
				if err != nil {
					t.Error(err)
				}
			}))
			defer up.Close()
			s = open(t, Options{Config: testConfig(t.TempDir())})
			key := furnish(t, s, up.URL)
			id = inventory.KeyID(strings.Split(key, "-")[1])
			base := serve(t, s)
			resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}`)
			if resp.StatusCode != c.status || !strings.Contains(text, c.code) || calls.Load() != c.calls {
				t.Errorf("status %d after %d calls, want %d %s after %d: %s", resp.StatusCode, calls.Load(), c.status, c.code, c.calls, text)
			}
		})
	}
}

// TestStopsWhileTheLedgerIsDown: over the API, with a real ledger that cannot
// write, a suspension is in force when its call returns; what permits is told to
// wait; all of it is on record afterwards.
func TestStopsWhileTheLedgerIsDown(t *testing.T) {
	var down atomic.Bool
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	s := open(t, Options{Config: testConfig(t.TempDir()), Hook: func(string) error {
		if down.Load() {
			return fmt.Errorf("no space left on device")
		}
		return nil
	}})
	key := furnish(t, s, up.URL)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	base := serve(t, s)
	ada := newScript(t, base).signIn("ada@example.com")
	down.Store(true)

	began := time.Now()
	ada.must(200, "POST", "/api/v1/systems/SYS-001/suspend", `{"reason":"it answers nonsense"}`)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the suspension took %v", took)
	}
	if sys, err := s.Register.System(testOrg, "SYS-001"); err != nil || sys.Suspended == nil {
		t.Fatalf("not in force: %+v %v", sys, err)
	}
	if snap := s.Register.Snapshot(); snap.Orgs[testOrg].Systems["SYS-001"].Suspended == nil {
		t.Error("the gateway does not know of it")
	}
	ada.refused(503, "ledger_unavailable", "once the ledger", "PUT", "/api/v1/routes/new", `{"provider":"up"}`)
	if a := ada.must(200, "GET", "/api/v1/routes", ""); strings.Contains(a.text, `"new"`) {
		t.Errorf("in force without its record: %s", a.text)
	}
	down.Store(false)
	for range 200 {
		if a := ada.do("GET", "/api/v1/routes", ""); strings.Contains(a.text, `"new"`) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a := ada.must(200, "GET", "/api/v1/routes", ""); !strings.Contains(a.text, `"new"`) {
		t.Errorf("not in force after the outage: %s", a.text)
	}
	if resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`); resp.StatusCode != 403 || !strings.Contains(text, "system_suspended") {
		t.Errorf("status %d: %s", resp.StatusCode, text)
	}
	versions, err := s.Register.History(t.Context(), testOrg, "system", "SYS-001")
	if err != nil || versions[0].Change != "system.suspended" || versions[0].Leaf < 0 {
		t.Errorf("the suspension is not on record: %+v %v", versions, err)
	}
}

// TestChangesAreRecordedOnce: the state was committed and the process ended before
// the record, or after it and before it was noted. The next start appends what is
// missing, once.
func TestChangesAreRecordedOnce(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { recordedOnce(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		recordedOnce(t, c)
	})
}

func recordedOnce(t *testing.T, c *config.Config) {
	ctx := t.Context()
	var down atomic.Bool
	s, err := New(ctx, Options{Config: c, Env: func(string) string { return "upstream-secret" }, Hook: func(string) error {
		if down.Load() {
			return fmt.Errorf("no space left on device")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	furnish(t, s, "http://127.0.0.1:9")
	if err := s.Register.PutRoute(ctx, officer, inventory.Route{Model: "noted", Provider: "up"}, ""); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	if err := s.Register.PutRoute(ctx, officer, inventory.Route{Model: "waiting", Provider: "up"}, ""); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	if err := s.Register.Suspend(ctx, officer, "SYS-001", "stop"); err != nil {
		t.Fatal(err)
	}
	// The first of the two may still be written, and is not noted; the second was
	// turned away.
	down.Store(false)
	_ = s.Close(ctx)
	state, err := db.Open(ctx, db.Config{Dir: c.DataDir, Postgres: c.Postgres})
	if err != nil {
		t.Fatal(err)
	}
	// What a crash between the record and its note leaves.
	if err := state.Exec(`UPDATE register_rows SET leaf = -1 WHERE kind = 'route' AND id = 'noted'`).Error; err != nil {
		t.Fatal(err)
	}
	if err := db.Close(state); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := New(ctx, Options{Config: c, Env: func(string) string { return "upstream-secret" }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Projection.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		changes, err := s.Projection.Changes(ctx, string(testOrg), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for _, x := range changes {
			n[x.Kind+" "+x.Object]++
		}
		if n["route.changed noted"] != 1 || n["route.changed waiting"] != 1 || n["system.suspended SYS-001"] != 1 {
			t.Errorf("recorded %v", n)
		}
		v := s.Register.Snapshot().Orgs[testOrg]
		if v.Routes["noted"] == nil || v.Routes["waiting"] == nil || v.Systems["SYS-001"].Suspended == nil {
			t.Error("what is on record is not in force")
		}
		if err := s.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnconfirmedIsNotObeyed: a node that could not ask the database for two
// seconds refuses calls, says so when asked whether it is ready, and recovers.
func TestUnconfirmedIsNotObeyed(t *testing.T) {
	s, base, key, _ := desk(t)
	call := func() (int, string) {
		resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}`)
		return resp.StatusCode, text
	}
	if status, text := call(); status != 200 {
		t.Fatal(text)
	}
	pool, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(s.Config.DataDir, "state.db"), "NORMAL"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(`ALTER TABLE register_rows RENAME TO away`); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	for time.Since(lost) < 5*time.Second {
		if status, text := call(); status == 503 && strings.Contains(text, "register_stale") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(lost); took > 2500*time.Millisecond {
		t.Errorf("obeyed an unconfirmed register for %v", took)
	}
	if status, text := fetch(t, base+"/readyz"); status != 503 || !strings.Contains(text, "register") {
		t.Errorf("ready: %d %s", status, text)
	}
	if _, err := pool.Exec(`ALTER TABLE away RENAME TO register_rows`); err != nil {
		t.Fatal(err)
	}
	for back := time.Now(); time.Since(back) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		if status, _ := call(); status == 200 {
			return
		}
	}
	t.Error("did not recover")
}

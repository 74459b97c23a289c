package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

// TestRegisterMovedAway: a server whose register's file is not where it was, or has
// another one in its place, is not ready; it says why, changes nothing and lets no call
// through, for the next start would not find it. It goes on once the file is back.
func TestRegisterMovedAway(t *testing.T) {
	for name, instead := range map[string][]byte{"moved": nil, "another in its place": {}} {
		t.Run(name, func(t *testing.T) {
			up := &load.Upstream{}
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			defer up.Close()
			c := testConfig(t.TempDir())
			s := open(t, Options{Config: c})
			key := furnish(t, s, up.URL)
			base := serve(t, s)
			v := member(t, s, base, testOrg, authz.ComplianceOfficer)
			const body = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`
			call := func() (int, string) {
				resp, text := post(t, base+"/v1/chat/completions", key, body)
				return resp.StatusCode, text
			}
			ready := func(want int, of string) {
				t.Helper()
				for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					status, text := fetch(t, base+"/readyz")
					if status == want && strings.Contains(text, of) {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("readiness stays at %d %s", status, text)
					}
				}
			}
			change := func() error {
				return s.Register.PutBudget(t.Context(), officer, inventory.Budget{ID: "org", Scope: inventory.ScopeOrg, Limit: 5_000_000_000, Window: "month"}, "test")
			}
			if status, text := call(); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			path := filepath.Join(c.DataDir, "state.db")
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			if instead != nil {
				if err := os.WriteFile(path, instead, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := change(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), path+" is gone") {
				t.Errorf("a change: %v", err)
			}
			v.is(v.get("/systems"), http.StatusServiceUnavailable, "", "Put its file back")
			v.is(v.get("/api/v1/systems"), http.StatusServiceUnavailable, "", "register_unavailable")
			ready(503, "register")
			if status, text := call(); status != 503 || !strings.Contains(text, "register_stale") {
				t.Errorf("a call: %d %s", status, text)
			}
			if n := up.Calls(); n != 1 {
				t.Errorf("%d calls reached the provider", n)
			}
			if now, err := os.Stat(path); instead == nil && !os.IsNotExist(err) || instead != nil && (err != nil || now.Size() != 0) {
				t.Errorf("a new register was made: %v %v", now, err)
			}
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
			ready(200, "ready")
			if err := change(); err != nil {
				t.Errorf("a change once it is back: %v", err)
			}
			if status, text := call(); status != 200 {
				t.Errorf("a call once it is back: %d %s", status, text)
			}
			v.is(v.get("/systems"), 200, "", "Desk")
		})
	}
}

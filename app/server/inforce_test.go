package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

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

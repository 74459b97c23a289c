package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// transcript is what a running command printed; it may be read meanwhile.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// entry waits for a log line with a message and gives it.
func (w *transcript) entry(t *testing.T, message string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		text := w.text.String()
		w.mu.Unlock()
		for line := range strings.Lines(text) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
				w.mu.Lock()
				w.text.Reset()
				w.mu.Unlock()
				return entry
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Fatalf("the log never said %q:\n%s", message, w.text.String())
	return nil
}

const reloadable = `organisations:
  - id: acme
    name: Acme
    providers: [{id: sim, kind: simulated, vendor: simulated}]
    routes: [{model: chat, provider: sim, target: sim-large}]
    systems:
      - {id: SYS-001, name: Desk, purpose: Answers., owner: Service, risk_class: minimal, risk_reason: none, approval: {state: approved}}
    keys: [{id: desk, system: SYS-001, secret: "env:DESK_KEY"}]
`

// TestReloadOnHangup runs `plumbline serve` and edits its declarations under it: a
// bad file is refused whole with its line in the log while calls go on under the
// old state, a good one is in force, and the process lives through all of it.
func TestReloadOnHangup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "declarations.yaml")
	declare := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := "a-secret-of-this-one-test"
	env := map[string]string{"PLUMBLINE_DATA_DIR": filepath.Join(dir, "data"), "PLUMBLINE_LISTEN": "127.0.0.1:0", "PLUMBLINE_DECLARATIONS": path, "DESK_KEY": secret}
	declare(strings.Replace(reloadable, "owner: Service", "ownr: Service", 1))
	if code, _, errs := plumbline(t, env, "serve"); code != exitUsage || !strings.Contains(errs, path+`: line 7: unknown key "ownr" in systems`) {
		t.Errorf("a bad file at start: exit code %d, %s", code, errs)
	}
	declare(reloadable)
	ctx, stop := context.WithCancel(t.Context())
	var log, out transcript
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, &console{out: &out, err: &log, env: func(name string) string { return env[name] }}, []string{"serve"})
	}()
	defer func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("serve ended with %d", code)
		}
	}()
	address := log.entry(t, "serving")["address"].(string)
	call := func() (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/v1/chat/completions", strings.NewReader(`{"model":"chat","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer pk-desk-"+secret)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body.String()
	}
	if status, text := call(); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	hangup := func(text string) {
		t.Helper()
		declare(text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}

	for _, c := range []struct{ text, names string }{
		// The first half of each would stop the calls, were it taken.
		{strings.Replace(reloadable, "state: approved", "state: rejected", 1) + "    bugdets: []\n", `line 9: unknown key "bugdets"`},
		{strings.Replace(reloadable, "name: Desk", "name: Desk, lifecycle: retired", 1) + "    budgets: [{id: b, scope: organisation, limit: much, window: day}]\n", "line 9"},
		{strings.Replace(strings.Replace(reloadable, "state: approved", "state: rejected", 1), "env:DESK_KEY", "env:UNSET", 1), "line 8"},
		{"organisations: [\n", "line "},
		{"", "line 1: there is no list of organisations"}, // as a file is for a moment while it is written
	} {
		hangup(c.text)
		entry := log.entry(t, "declarations refused; the old state is kept")
		said, _ := entry["error"].(string)
		if !strings.Contains(said, path) || !strings.Contains(said, c.names) || entry["level"] != "ERROR" || strings.Contains(said, secret) {
			t.Errorf("logged %v, want %s and %q", entry, path, c.names)
		}
		if status, text := call(); status != http.StatusOK {
			t.Errorf("after a refused file: status %d: %s", status, text)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	log.entry(t, "declarations refused; the old state is kept")
	if status, _ := call(); status != http.StatusOK {
		t.Error("a file that is gone stopped the calls")
	}

	hangup(strings.Replace(reloadable, "state: approved", "state: rejected", 1))
	if entry := log.entry(t, "declarations read again"); entry["changes"] != 1.0 {
		t.Errorf("logged %v", entry)
	}
	if status, text := call(); status != http.StatusForbidden || !strings.Contains(text, "system_unapproved") {
		t.Errorf("after the approval went: status %d: %s", status, text)
	}
	hangup(reloadable)
	log.entry(t, "declarations read again")
	if status, text := call(); status != http.StatusOK {
		t.Errorf("approved again: status %d: %s", status, text)
	}
	hangup("organisations: []\n")
	log.entry(t, "declarations read again")
	if status, text := call(); status != http.StatusUnauthorized || !strings.Contains(text, "key_revoked") {
		t.Errorf("nothing declared: status %d: %s", status, text)
	}
}

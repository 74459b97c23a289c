package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/server/load"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestNothingSecretLeaks sends secrets everywhere that text can come from and then
// looks at everything that is kept or shown: the whole log at its finest, metrics,
// every byte on disk, and error answers.
func TestNothingSecretLeaks(t *testing.T) {
	const inPrompt, inAnswer, inError, inKey = "canary-prompt-81f2", "canary-answer-93c4", "canary-error-55d7", "canary-credential-17e0"
	const entered, entered2, pasted = "canary-entered-2c9a", "canary-entered-b6e3", "canary-pasted-40d8" // by people; the last where a reference belongs
	const theKey = "THE-KEY"                                                                             // stands in an upstream's answer for the key that it was called with
	fail := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, strings.ReplaceAll(body, theKey, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		}
	}
	answers := map[string]http.HandlerFunc{
		"whole": fail(200, `{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"content":"`+inAnswer+`"}}],"usage":{"prompt_tokens":5,"completion_tokens":5}}`),
		"500":   fail(500, `{"error":{"message":"`+inError+`"}}`),
		"503":   fail(503, inError),
		"401":   fail(401, `{"error":{"message":"Incorrect key `+theKey+` `+inError+`"}}`),
		"402":   fail(402, `{"error":{"message":"`+theKey+` is not paid for"}}`),
		"403":   fail(403, `{"error":{"message":"`+theKey+` may not"}}`),
		"429":   fail(429, `{"error":{"message":"too much of `+theKey+`"}}`),
		"400":   fail(400, `{"error":{"message":"no such thing for `+theKey+`","param":"`+theKey+`"}}`),
		"302":   fail(302, inError),
		"html":  fail(200, "<html>"+inError),
		"twice": fail(200, `{"`+inError+`":1,"`+inError+`":2}`),
		"200":   fail(200, `{"error":{"message":"`+inError+`"}}`),
		"stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\ndata: {\"error\":{\"message\":\"%s\"}}\n\n", inAnswer, inError)
		},
		"malformed": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, inError+" "+inError+"\r\n\r\n")
				conn.Close()
			}
		},
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+inError+"\r\n")
				conn.Close()
			}
		},
	}
	var mu sync.Mutex
	var now http.HandlerFunc
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		f := now
		mu.Unlock()
		f(w, r)
	}))
	defer up.Close()
	var log logged
	dir := t.TempDir()
	s := open(t, Options{Config: testConfig(dir), Env: func(string) string { return inKey }, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	key := furnish(t, s, up.URL)
	secret := strings.SplitN(key, "-", 3)[2]
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	base := serve(t, s)
	look := func(where, text string) {
		t.Helper()
		for _, c := range []string{inPrompt, inAnswer, inError, inKey, secret, entered, entered2, pasted} {
			if i := strings.Index(text, c); i >= 0 {
				t.Errorf("%s shows %q: %q", where, c, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	ada := newScript(t, base).signIn("ada@example.com")
	keys := fmt.Sprintf(`{"kind":"openai","vendor":"openai","base_url":%q,"credential_secret":%q,"credentials":[{"secret":%q,"weight":2},{"ref":"env:UP_API_KEY"}]`, up.URL, entered, entered2)
	look("the answer to who enters secrets", ada.must(200, "PUT", "/api/v1/providers/up", keys+`}`).text)
	for _, bad := range []string{keys + `,"version":99}`, keys + `,"reason":7}`, keys + `,"` + `x":1}`, strings.Replace(keys, entered2, entered2+`\nX-Y: z`, 1) + "}", strings.Replace(keys, "env:UP_API_KEY", pasted, 1) + "}",
		strings.Replace(keys, "env:UP_API_KEY", "env:"+`PLUMBLINE_POSTGRES`, 1) + "}", strings.Replace(keys, `"kind":"openai"`, `"kind":"none"`, 1) + "}", strings.Replace(keys, `"weight":2`, `"weight":"2"`, 1) + "}",
		`{"kind":"openai","credential":"` + pasted + `"}`, `{"kind":"openai","credential_secret":["` + pasted + `"]}`, `{"kind":"openai","credential_secret":"` + pasted} {
		if a := ada.do("PUT", "/api/v1/providers/up", bad); a.status < 400 {
			t.Errorf("accepted: %s", bad)
		} else {
			look("an error of the API", a.text)
		}
	}
	body := `{"model":"gpt-4o-mini","stream":%v,"user":"%s","metadata":{"note":"%s"},"messages":[{"role":"user","content":"%s %s"}]}`
	for name, f := range answers {
		mu.Lock()
		now = f
		mu.Unlock()
		for _, stream := range []bool{false, true} {
			resp, answer := post(t, base+"/v1/chat/completions", key, fmt.Sprintf(body, stream, inPrompt, inPrompt, inPrompt, ""))
			if name != "whole" {
				_, failure, _ := strings.Cut(answer, `"error"`)
				look(fmt.Sprintf("the error of %s (%d)", name, resp.StatusCode), failure)
				if failure == "" {
					t.Errorf("%s: %d %s", name, resp.StatusCode, answer)
				}
			}
		}
	}
	mu.Lock()
	now = answers["whole"]
	mu.Unlock()
	for _, bad := range []string{
		fmt.Sprintf(body, false, inPrompt, inPrompt, inPrompt, "AKIAIOSFODNN7EXAMPLE"), // blocked
		fmt.Sprintf(body, false, inPrompt, inPrompt, inPrompt, "anna@example.com"),     // redacted
		`{"model":"gpt-4o-mini","messages":[{"` + inPrompt + `":1,"` + inPrompt + `":2}]}`,
		`{"model":"gpt-4o-mini","messages":"` + inPrompt,
		`{"model":"gpt-4o-mini","x":` + inPrompt + `}`,
	} {
		if resp, answer := post(t, base+"/v1/chat/completions", key, bad); resp.StatusCode != 200 {
			look("a refusal", answer)
		}
	}
	for _, carrier := range []string{"?key=" + key, "?key=" + key + "x", "?api_key=" + secret} {
		_, answer := post(t, base+"/v1/chat/completions"+carrier, key+"x", fmt.Sprintf(body, false, "", "", inPrompt, ""))
		look("a refusal", answer)
	}
	_, metrics := fetch(t, base+"/metrics")
	look("/metrics", metrics)
	for _, path := range []string{"/api/v1/health/credentials", "/api/v1/providers", "/api/v1/health/providers", "/gateway", "/gateway/providers/new?provider=up", "/exchanges"} {
		a := ada.must(200, "GET", path, "")
		if look(path, a.text); path == "/api/v1/health/credentials" && (strings.Count(a.text, `"ref":"sealed:`) != 2 || !strings.Contains(a.text, `"state":"set_aside"`)) {
			t.Errorf("the health of keys: %s", a.text)
		}
	}
	if err := s.Projection.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("the log", log.String())
	if !strings.Contains(log.String(), "provider failed") {
		t.Error("the log says nothing at all")
	}
	var kept int
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			kept += len(b)
			look(path, string(b))
		}
		return nil
	})
	if kept < 50_000 {
		t.Errorf("%d bytes on disk", kept)
	}
}

// sample reads one figure of /metrics.
func sample(t *testing.T, metrics, name string) float64 {
	t.Helper()
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Errorf("no figure %s", name)
	return 0
}

var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

// TestMetrics: what a monitor asks is there and moves; labels are few and none of
// them is what a caller can choose.
func TestMetrics(t *testing.T) {
	s, base, key, _ := desk(t)
	budget := `plumbline_budget_left_dollars{budget="key",organisation="acme"}`
	_, before := fetch(t, base+"/metrics")
	for range 3 {
		if resp, answer := post(t, base+"/v1/chat/completions", key, string(load.Request("x"))); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
	}
	for i := range 20 {
		post(t, base+fmt.Sprintf("/v1/canary-path-%d", i), key, "{}")
		post(t, base+"/v1/chat/completions", fmt.Sprintf("pk-canary%d-key", i), "{}")
		post(t, base+"/v1/chat/completions", key, fmt.Sprintf(`{"model":"canary-model-%d","user":"canary-user-%d","messages":[]}`, i, i))
	}
	var after string
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the last ends may not be durable yet
		if err := s.Projection.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, after = fetch(t, base+"/metrics"); sample(t, after, "plumbline_projection_lag_leaves") == 0 || time.Now().After(deadline) {
			break
		}
	}
	for name, want := range map[string]float64{
		`plumbline_exchanges_total{class="2xx",endpoint="chat.completions"}`: 3,
		`plumbline_exchanges_total{class="4xx",endpoint="chat.completions"}`: 40,
		`plumbline_exchanges_total{class="4xx",endpoint="unknown"}`:          20,
		`plumbline_refusals_total{code="unknown_endpoint"}`:                  20,
		`plumbline_refusals_total{code="key_unknown"}`:                       20,
		`plumbline_refusals_total{code="model_not_found"}`:                   20,
		`plumbline_in_flight`:             0,
		`plumbline_ledger_up`:             1,
		`plumbline_ledger_turned_away`:    0,
		`plumbline_projection_lag_leaves`: 0,
	} {
		if got := sample(t, after, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if sample(t, after, budget) >= sample(t, before, budget) {
		t.Error("what was spent is still left")
	}
	if sample(t, after, "plumbline_ledger_records") < 6 {
		t.Error("no records are counted")
	}
	sample(t, after, "plumbline_ledger_unsigned_leaves")
	if strings.Contains(after, "canary") || strings.Contains(after, strings.Split(key, "-")[1]) {
		t.Error("a label is what a caller chose")
	}
	values := map[string]map[string]bool{}
	for line := range strings.Lines(after) {
		if strings.HasPrefix(line, "plumbline_") {
			for _, m := range label.FindAllStringSubmatch(line, -1) {
				if values[m[1]] == nil {
					values[m[1]] = map[string]bool{}
				}
				values[m[1]][m[2]] = true
			}
		}
	}
	for name, seen := range values {
		if !slices.Contains([]string{"endpoint", "class", "code", "stream", "organisation", "budget", "provider", "model", "key", "state", "result", "le"}, name) || name != "le" && len(seen) > 20 {
			t.Errorf("label %s has %d values", name, len(seen))
		}
	}
}

// TestLedgerDown: a call that waits for a ledger that hangs is answered within two
// seconds, later ones at once; readiness and metrics say so; it recovers by itself.
func TestLedgerDown(t *testing.T) {
	var mu sync.Mutex
	hang := make(chan struct{})
	close(hang)
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	s := open(t, Options{Config: testConfig(t.TempDir()), Hook: func(string) error {
		mu.Lock()
		h := hang
		mu.Unlock()
		<-h
		return nil
	}})
	key := furnish(t, s, up.URL)
	base := serve(t, s)
	body := string(load.Request("x"))
	if resp, answer := post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	mu.Lock()
	hang = make(chan struct{})
	release := hang
	mu.Unlock()
	calls := up.Calls()
	began := time.Now()
	resp, answer := post(t, base+"/v1/chat/completions", key, body)
	if took := time.Since(began); resp.StatusCode != 503 || !strings.Contains(answer, "ledger_unavailable") || resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-Request-Id") == "" || took > 3*time.Second {
		t.Errorf("%d after %v: %s", resp.StatusCode, took, answer)
	}
	fastest := time.Hour
	for range 10 {
		began = time.Now()
		if resp, answer = post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 503 {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 50*time.Millisecond {
		t.Errorf("the fastest refusal took %v", fastest)
	}
	if up.Calls() != calls {
		t.Error("a call without a record reached the provider")
	}
	if status, text := fetch(t, base+"/readyz"); status != 503 || !strings.Contains(text, "ledger") {
		t.Errorf("readiness: %d %s", status, text)
	}
	if status, _ := fetch(t, base+"/healthz"); status != 200 {
		t.Errorf("liveness: %d", status)
	}
	_, metrics := fetch(t, base+"/metrics")
	if sample(t, metrics, "plumbline_ledger_up") != 0 || sample(t, metrics, "plumbline_ledger_turned_away") < 10 {
		t.Errorf("metrics: %s", metrics)
	}
	if err := s.Register.Suspend(t.Context(), officer, "SYS-001", "stop"); err != nil {
		t.Error(err)
	}
	if resp, answer = post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 403 || !strings.Contains(answer, "system_suspended") {
		t.Errorf("suspended while the ledger is down: %d %s", resp.StatusCode, answer)
	}
	close(release)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if status, _ := fetch(t, base+"/readyz"); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not recover")
		}
	}
	if resp, answer = post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 403 {
		t.Errorf("after the outage: %d %s", resp.StatusCode, answer)
	}
}

// TestSuspensionIsInForceAtOnce: new exchanges of a suspended system are refused
// from the moment its suspension was answered, and again let in when it is lifted.
func TestSuspensionIsInForceAtOnce(t *testing.T) {
	s, base, key, _ := desk(t)
	body := string(load.Request("x"))
	for range 3 {
		if err := s.Register.Suspend(t.Context(), officer, "SYS-001", "stop"); err != nil {
			t.Fatal(err)
		}
		if resp, answer := post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 403 || !strings.Contains(answer, "system_suspended") {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
		if err := s.Register.Resume(t.Context(), officer, "SYS-001", "go on"); err != nil {
			t.Fatal(err)
		}
		if resp, answer := post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
	}
}

// TestDrainTimesOut: a stream that does not end in time is cut. Its caller is told with an
// error event and sees no end that looks whole, and its outcome is on record: by what was
// seen of it, not at its hold.
func TestDrainTimesOut(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"first \"}}]}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer up.Close()
	defer up.CloseClientConnections()
	c := testConfig(t.TempDir())
	c.DrainTimeout = 300 * time.Millisecond
	s := open(t, Options{Config: c})
	key := furnish(t, s, up.URL)
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	req, _ := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","stream":true,"messages":[]}`))
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "first") {
		t.Fatalf("%q %v", line, err)
	}
	stop()
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.HasSuffix(rest, []byte("\"code\":\"draining\"}}\n\n")) || bytes.Contains(rest, []byte("[DONE]")) {
		t.Errorf("the caller of a cut stream reads %q %v", rest, err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("an exchange that was cut is no error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	leaves, err := s.Ledger.Feed(t.Context(), string(testOrg), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[record.Kind]int{}
	for _, l := range leaves {
		rec, err := record.Decode(l.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		kinds[rec.Kind]++
	}
	if kinds[record.KindOf(event.Intent)] != 1 || kinds[record.KindOf(event.Outcome)] != 1 {
		t.Errorf("on record: %v", kinds)
	}
}

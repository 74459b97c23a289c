package demo

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/server"
	"plumbline/assessments"
	"plumbline/assessments/evidence/verify"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// playOnce runs the demo to its end and gives what it printed.
func playOnce(t *testing.T, change func(*Options)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	o := Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Once: true, Version: "test", Env: func(string) string { return "" }, Out: &out}
	if change != nil {
		change(&o)
	}
	err := Run(t.Context(), o)
	return out.String(), err
}

// TestDemo is the first command of the README, twice on one directory.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	out, err := playOnce(t, func(o *Options) { o.Dir = dir })
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"4 AI systems", "each as planned and each in the ledger", "3 documents verified offline", "built-in simulated provider", "system_unregistered", "system_unapproved", "system_retired",
		"budget_exceeded", "guard_blocked", "No control is satisfied by runtime evidence alone"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for _, system := range []string{"SYS-001", "SYS-002", "SYS-003"} {
		if n := answeredOf(t, out, system); n < callsPerSystem {
			t.Errorf("%s got %d answers, want %d at least", system, n, callsPerSystem)
		}
	}
	for _, name := range []string{"AR-2026-0001-r1", "MC-2026-0001-r1", "VR-2026-0001-r1"} {
		name = strings.Replace(name, "2026", fmt.Sprint(time.Now().UTC().Year()), 1)
		for _, suffix := range []string{".pdf", ".json", ".proof.json"} {
			path := filepath.Join(dir, "documents", string(orgID), name+suffix)
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", path, err)
			}
			if suffix == ".proof.json" {
				continue
			}
			if results, code := verify.Files([]string{path}, verify.Options{}); code != verify.OK {
				t.Errorf("%s does not verify: %+v", path, results)
			}
		}
	}
	story(t, filepath.Join(dir, "documents", string(orgID)))

	visitors := keyOfAVisitor(t, dir, "")
	again, err := playOnce(t, func(o *Options) { o.Dir = dir })
	if err != nil {
		t.Fatalf("a second run on the same directory: %v\n%s", err, again)
	}
	if !strings.Contains(again, "-r2") || answeredOf(t, again, "SYS-001") != 2*answeredOf(t, out, "SYS-001") {
		t.Errorf("the second run does not go on from the first:\n%s", again)
	}
	if k := keyOfAVisitor(t, dir, visitors.ID); !k.RevokedAt.IsZero() {
		t.Error("the second run revoked a key that it did not make")
	}
}

// TestAnInterruptedSample: a first run that somebody stops leaves a sample that the next
// run completes, wherever it was stopped, and nothing twice.
func TestAnInterruptedSample(t *testing.T) {
	for _, at := range []string{"listening on", "4 AI systems", "control tests recorded"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, stop := context.WithCancel(t.Context())
			cut := &cutter{text: at, stop: stop}
			err := Run(ctx, Options{Dir: dir, Listen: "127.0.0.1:0", Once: true, Version: "test", Env: func(string) string { return "" }, Out: cut})
			if err == nil || ctx.Err() == nil {
				t.Fatalf("it was not stopped: %v\n%s", err, cut.said.String())
			}
			out, err := playOnce(t, func(o *Options) { o.Dir = dir })
			if err != nil {
				t.Fatalf("the next run: %v\n%s", err, out)
			}
			story(t, filepath.Join(dir, "documents", string(orgID)))
			eachOnce(t, dir)
		})
	}
}

// cutter stops a run once it has said a text.
type cutter struct {
	said bytes.Buffer
	text string
	stop func()
}

func (c *cutter) Write(b []byte) (int, error) {
	c.said.Write(b)
	if strings.Contains(c.said.String(), c.text) {
		c.stop()
	}
	return len(b), nil
}

// between opens a sample that no run is using.
func between(t *testing.T, dir string) *server.Server {
	t.Helper()
	c, err := configuration(Options{Dir: dir}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachOnce holds that a sample has each piece of its evidence once.
func eachOnce(t *testing.T, dir string) {
	t.Helper()
	s := between(t, dir)
	defer s.Close(t.Context())
	list, err := s.Engine.Attached(t.Context(), orgID, assessments.Sought{})
	if err != nil {
		t.Fatal(err)
	}
	want := len(plans)
	for _, c := range claims {
		want += len(c.controls)
	}
	open := 0
	for _, ev := range list {
		if ev.Decision == "" {
			open++
		}
	}
	if len(list) != want || open != 3 {
		t.Errorf("%d pieces of evidence, %d of them undecided; want %d and 3", len(list), open, want)
	}
	left, err := s.Engine.Applicabilities(t.Context(), orgID, assessments.Sought{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range left {
		if seen[a.Control] || a.Approver == "" {
			t.Errorf("%s is left out twice, or not decided", a.Control)
		}
		seen[a.Control] = true
	}
}

// keyOfAVisitor makes a key in the sample organisation as somebody does who looks
// around in it, or reads whether that one is revoked.
func keyOfAVisitor(t *testing.T, dir string, made inventory.KeyID) inventory.Key {
	t.Helper()
	s := between(t, dir)
	defer s.Close(t.Context())
	if made == "" {
		k, _, err := s.Register.CreateKey(t.Context(), authz.Actor{Org: orgID, ID: "p-visitor", Roles: []authz.Role{authz.Admin}}, inventory.Key{System: chatbot, Name: "My own try"}, "looking around")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	state, err := s.Register.State(orgID)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range state.Keys {
		if k.ID == made {
			return k
		}
	}
	t.Fatalf("there is no key %s any more", made)
	return inventory.Key{}
}

// answeredOf reads a system's answers from the table.
func answeredOf(t *testing.T, out, system string) int {
	t.Helper()
	m := regexp.MustCompile(system + `.* (?:III|50|risk) +\d+ +(\d+) `).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no row of %s:\n%s", system, out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// story holds what the audit report of the sample must tell: people's evidence of
// every state, a claim that the record contradicts, an exception, a plan with
// owner and day, and that the provider is simulated.
func story(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "AR-*-r1.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The record contradicts what people claim for 17.1", `"grade":"minor"`, "Current", "Expired", "Rejected", "Pending", "The log has no witness outside the company",
		"not yet accepted", "accepted by Tomas Okafor", "simulated provider", "NOT PROVIDED", "no remote biometric identification"} {
		if !bytes.Contains(bytes.ReplaceAll(b, []byte(`": "`), []byte(`":"`)), []byte(want)) {
			t.Errorf("the audit report does not tell: %s", want)
		}
	}
	if bytes.Contains(b, []byte("maria.keller@")) || bytes.Contains(b, []byte("AKIAIOSFODNN7EXAMPLE")) {
		t.Error("the text of a prompt is in the report")
	}
}

// TestClaimsFitTheControls: each piece of sample evidence is of a type that its
// control asks for, or is an exception.
func TestClaimsFitTheControls(t *testing.T) {
	catalog, err := frameworks.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		f, err := catalog.Framework(c.framework)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range c.controls {
			k, err := f.Control(id)
			if err != nil {
				t.Error(err)
				continue
			}
			asked := c.kind == "human.approval" && c.until > 0
			for _, h := range k.Human {
				asked = asked || h.Type == c.kind
			}
			if !asked {
				t.Errorf("%s %s does not ask for a %s: %q", c.framework, id, c.kind, c.title)
			}
		}
	}
}

func TestAnotherPortWhenTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	got, err := listen(Options{Listen: l.Addr().String(), Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if got.Addr().String() == l.Addr().String() || !strings.Contains(out.String(), "is taken; using 127.0.0.1:") {
		t.Errorf("%s, said %q", got.Addr(), out.String())
	}
	if _, err := listen(Options{Listen: "nowhere", Out: io.Discard}); err == nil {
		t.Error("an address without a port is taken")
	}
}

// compatible is a small OpenAI-compatible API that keeps what it is sent.
type compatible struct {
	mu   sync.Mutex
	sent []string
	auth map[string]bool
	busy int // calls that are turned away first
}

func (c *compatible) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.sent = append(c.sent, string(body))
	c.auth[r.Header.Get("Authorization")] = true
	turned := c.busy > 0
	c.busy--
	c.mu.Unlock()
	if turned {
		http.Error(w, `{"error":{"message":"too many requests","type":"rate_limit"}}`, http.StatusTooManyRequests)
		return
	}
	var q struct {
		Model  string `json:"model"`
		Stream bool   `json:"stream"`
	}
	if json.Unmarshal(body, &q) != nil || r.URL.Path != "/base/v1/chat/completions" {
		http.NotFound(w, r)
		return
	}
	if !q.Stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"%s-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, q.Model)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, delta := range []string{`{"content":"Hello"}`, `{"content":" there."}`} {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"%s-2026\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}\n\n", q.Model, delta)
	}
	fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"%s-2026\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\ndata: [DONE]\n\n", q.Model)
}

// TestUpstream sends the sample's calls to an API that somebody else runs.
func TestUpstream(t *testing.T) {
	up := &compatible{auth: map[string]bool{}, busy: 2}
	api := httptest.NewServer(up)
	defer api.Close()
	out, err := playOnce(t, func(o *Options) {
		o.Upstream, o.Model = api.URL+"/base/v1", "local-model"
		o.Env = func(name string) string { return map[string]string{"PLUMBLINE_UPSTREAM_KEY": "sk-upstream"}[name] }
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(up.sent) < 3*callsPerSystem || !up.auth["Bearer sk-upstream"] || len(up.auth) != 1 {
		t.Errorf("%d calls came with %d credentials", len(up.sent), len(up.auth))
	}
	all := strings.Join(up.sent, "\n")
	for _, private := range []string{"maria.keller@example.com", "DE89 3704", "219-09-9999", "AKIAIOSFODNN7EXAMPLE", "4111 1111"} {
		if strings.Contains(all, private) {
			t.Errorf("%s left the gateway", private)
		}
	}
	if !strings.Contains(out, "upstream "+api.URL) || strings.Contains(out, "Answers came from the built-in simulated provider") {
		t.Errorf("it does not say where answers came from:\n%s", out)
	}
}

// TestUpstreamThatIsDown: the demo fails, and does not wait for ever.
func TestUpstreamThatIsDown(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer api.Close()
	begun := time.Now()
	out, err := playOnce(t, func(o *Options) {
		o.Upstream, o.Model, o.patience = api.URL, "m", time.Second
	})
	if err == nil || !strings.Contains(err.Error(), "came to something else than planned") || time.Since(begun) > time.Minute {
		t.Errorf("after %s: %v\n%s", time.Since(begun), err, out)
	}
}

// TestASlowDisk: calls that the ledger cannot take in time are sent again, and all of
// them are accounted for.
func TestASlowDisk(t *testing.T) {
	dir, transport := t.TempDir(), http.DefaultTransport
	var sent, refused atomic.Int64
	http.DefaultTransport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasPrefix(r.URL.Path, "/v1/") && sent.Add(1) == 20 {
			occupy(t, filepath.Join(dir, "ledger.db"), 4*time.Second)
		}
		resp, err := transport.RoundTrip(r)
		if err == nil && resp.StatusCode == http.StatusServiceUnavailable {
			refused.Add(1)
		}
		return resp, err
	})
	defer func() { http.DefaultTransport = transport }()
	if out, err := playOnce(t, func(o *Options) { o.Dir = dir }); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if refused.Load() == 0 {
		t.Error("no call found the ledger busy, so nothing was tried")
	}
}

// occupy has a database written by somebody else for a while.
func occupy(t *testing.T, path string, span time.Duration) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Error(err)
		return
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Error(err)
	}
	time.AfterFunc(span, func() {
		if _, err := db.Exec("ROLLBACK"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestChoiceOfUpstream(t *testing.T) {
	for _, w := range []struct {
		name       string
		o          Options
		env        map[string]string
		base, chat string
	}{
		{"nothing", Options{}, nil, "", "sim-large"},
		{"OpenAI", Options{}, map[string]string{"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "https://api.openai.com/v1", "gpt-4o-mini"},
		{"Anthropic by its OpenAI-compatible endpoint", Options{}, map[string]string{"ANTHROPIC_API_KEY": "k"}, "https://api.anthropic.com/v1", "claude-haiku-4-5"},
		{"a model of choice", Options{Model: "gpt-4o"}, map[string]string{"OPENAI_API_KEY": "k"}, "https://api.openai.com/v1", "gpt-4o"},
		{"a flag before a key", Options{Upstream: "http://127.0.0.1:1/v1", Model: "m"}, map[string]string{"OPENAI_API_KEY": "k"}, "http://127.0.0.1:1/v1", "m"},
	} {
		w.o.Env = func(name string) string { return w.env[name] }
		u, err := chooseUpstream(w.o)
		if err != nil || u.provider.BaseURL != w.base || u.chat != w.chat || u.real != (w.base != "") {
			t.Errorf("%s: %+v, %v", w.name, u, err)
		}
	}
	if _, err := chooseUpstream(Options{Upstream: "http://127.0.0.1:1/v1", Env: func(string) string { return "" }}); err == nil {
		t.Error("an upstream without a model is taken")
	}
}

// TestEachSampleIsItsOwnInstance: the logs of two samples have two names, and a
// sample keeps its own.
func TestEachSampleIsItsOwnInstance(t *testing.T) {
	name := func(dir string) string {
		c, err := configuration(Options{Dir: dir}, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return c.Instance
	}
	one, other := t.TempDir(), t.TempDir()
	if first := name(one); first != name(one) || first == name(other) {
		t.Errorf("%s, then %s; another sample is %s", first, name(one), name(other))
	}
}

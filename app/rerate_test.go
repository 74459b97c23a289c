package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/config"
	"plumbline/app/money"
	"plumbline/app/server"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

const ratedOrg = `organisations:
  - id: acme
    name: Acme
    providers:
      - {id: sim, kind: simulated}
    routes:
      - {model: sim-large, provider: sim}
      - {model: sim-small, provider: sim}
    systems:
      - {id: SYS-001, name: Desk, purpose: Answers., owner: Service, roles: [deployer], risk_class: minimal, risk_reason: no use of Annex III, lifecycle: in_use, approval: {state: approved, decided_by: the board, reason: minutes}}
    keys:
      - {id: desk, system: SYS-001, secret: "env:DESK_KEY"}
    budgets:
      - {id: month, scope: organisation, limit: "100", window: month}
`

// rated is what rerate --json prints.
type rated struct {
	Table       string `json:"price_table"`
	Corrections int    `json:"corrections"`
	Applied     bool   `json:"applied"`
	Lines       []struct {
		System, Model string
		Calls         int
		Changed       int
		Before        money.Nano `json:"before_nano"`
		After         money.Nano `json:"after_nano"`
	}
	Kept []struct {
		Why    string
		Model  string
		Calls  int
		Charge money.Nano `json:"charge_nano"`
	}
}

// TestRerate re-rates real calls in a real ledger: dry beside a running
// server, then for good, then again; the old figures stay on record, and the
// index, the budgets and a second table see the new ones.
func TestRerate(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { rerates(t, "") })
	t.Run("postgres", func(t *testing.T) { rerates(t, database(t)) })
}

// database makes an empty PostgreSQL database.
func database(t *testing.T) (dsn string) {
	t.Helper()
	at := os.Getenv("PLUMBLINE_TEST_POSTGRES")
	if at == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_POSTGRES is not set")
		}
		t.Skip("PLUMBLINE_TEST_POSTGRES is not set")
	}
	pool, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	name := fmt.Sprintf("rerate_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := pool.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(at, "/postgres?", "/"+name+"?", 1)
}

func rerates(t *testing.T, postgres string) {
	dir := t.TempDir()
	env := map[string]string{"PLUMBLINE_POSTGRES": postgres, "PLUMBLINE_DATA_DIR": filepath.Join(dir, "data"), "PLUMBLINE_DECLARATIONS": filepath.Join(dir, "house.yaml"), "DESK_KEY": "a-secret-of-the-rating-test"}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("house.yaml", ratedOrg)
	// sim-large is not in this table at all.
	other := write("other.yaml", `vendors:
  simulated:
    - {model: sim-small, from: 2026-01-01, input: "30", output: "120", request: "0.25", max_output: 16384}
`)
	getenv := func(name string) string { return env[name] }
	open := func() *server.Server {
		t.Helper()
		c, err := config.Load("", getenv)
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(t.Context(), server.Options{Config: c, Env: getenv})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	front := httptest.NewServer(s.Handler())
	var ids []string
	for _, model := range []string{"sim-small", "sim-small", "sim-large"} {
		req, err := http.NewRequest("POST", front.URL+"/v1/chat/completions", strings.NewReader(fmt.Sprintf(`{"model":%q,"max_tokens":32,"messages":[{"role":"user","content":"Hello"}]}`, model)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer pk-desk-"+env["DESK_KEY"])
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		ids = append(ids, resp.Header.Get("X-Request-Id"))
	}
	front.Close()
	outcomes := map[string]*event.Event{}
	for _, e := range eventsOf(t, s) {
		if e.Kind == event.Outcome {
			outcomes[e.Exchange.String()] = e
		}
	}
	small, large := outcomes[ids[0]], outcomes[ids[2]]
	if len(outcomes) != 3 || small.Charge != money.Nano(small.Usage.Input*150+small.Usage.Output*600) {
		t.Fatalf("outcomes %+v", outcomes)
	}
	// By hand: 200 times the list price, and a fee of a quarter for each call.
	after := 200*small.Charge + 250_000_000

	today := time.Now().UTC().Format(time.DateOnly)
	rerate := func(args ...string) (got rated) {
		t.Helper()
		code, out, errs := plumbline(t, env, append([]string{"rerate", "--json", "--org", "acme"}, args...)...)
		if code != exitOK {
			t.Fatalf("rerate %v: %d %s", args, code, errs)
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	size := len(eventsOf(t, s))
	if got := rerate("--from", today); got.Corrections != 0 || len(got.Lines) != 2 || got.Table != s.Prices.Hash() || got.Lines[1].Before != got.Lines[1].After {
		t.Errorf("with the table that rated it: %+v", got)
	}
	dry := rerate("--prices", other, "--from", today, "--to", today)
	if l := dry.Lines; dry.Applied || dry.Corrections != 2 || len(l) != 1 || l[0].System != "SYS-001" || l[0].Model != "sim-small" || l[0].Calls != 2 || l[0].Changed != 2 || l[0].Before != 2*small.Charge || l[0].After != 2*after {
		t.Errorf("dry run: %+v", dry)
	}
	if k := dry.Kept; len(k) != 1 || k[0].Model != "sim-large" || k[0].Charge != large.Charge || !strings.Contains(k[0].Why, "no price") {
		t.Errorf("kept: %+v", dry.Kept)
	}
	if got := rerate("--prices", other, "--to", "2020-01-01"); got.Corrections != 0 || len(got.Lines)+len(got.Kept) != 0 {
		t.Errorf("another period: %+v", got)
	}
	if code, _, errs := plumbline(t, env, "rerate", "--org", "acme", "--prices", other, "--apply"); code != exitFailed {
		t.Errorf("beside a running server: %d %s", code, errs)
	}
	if len(eventsOf(t, s)) != size {
		t.Error("a dry run wrote to the ledger")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got := rerate("--prices", other, "--apply"); !got.Applied || got.Corrections != 2 {
		t.Errorf("applied: %+v", got)
	}
	if got := rerate("--prices", other, "--apply"); got.Corrections != 0 || got.Lines[0].Before != 2*after {
		t.Errorf("applied twice: %+v", got)
	}
	code, out, _ := plumbline(t, env, "rerate", "--org", "acme")
	if code != exitOK || !strings.Contains(out, "SYS-001") || !strings.Contains(out, "With --apply 2 corrections go on record") {
		t.Errorf("back to the old table: %d\n%s", code, out)
	}

	s = open()
	defer s.Close(t.Context())
	var corrections []event.Event
	for _, e := range eventsOf(t, s) {
		if e.Kind == event.Adjusted {
			e.Holds = nil
			e.At = 0
			corrections = append(corrections, *e)
		}
		if e.Kind == event.Outcome && e.Charge != outcomes[e.Exchange.String()].Charge {
			t.Errorf("the old figure of %s is now %s", e.Exchange, e.Charge)
		}
	}
	want := event.Event{Kind: event.Adjusted, Exchange: small.Exchange, System: "SYS-001", Key: "desk", PriceTable: dry.Table, Usage: small.Usage, Source: small.Source,
		Charge: after - small.Charge, Figure: after, Reason: "rerated"}
	if len(corrections) != 2 {
		t.Fatalf("%d corrections", len(corrections))
	}
	if diff := cmp.Diff(want, corrections[0]); diff != "" {
		t.Errorf("correction (-want +got):\n%s", diff)
	}
	x, err := s.Projection.Exchange(t.Context(), "acme", ids[0])
	if err != nil || x.Charge != after || x.Adjusted != after-small.Charge {
		t.Errorf("index: charge %s, of it adjusted %s (%v)", x.Charge, x.Adjusted, err)
	}
	state, err := s.Register.State("acme")
	if err != nil {
		t.Fatal(err)
	}
	if b := s.Budgets.Now(&state.Budgets[0]); b.Charged != 2*after+large.Charge || b.Overspent != 0 {
		t.Errorf("budget: %+v, want %s charged", b, 2*after+large.Charge)
	}
}

// TestRerateRefuses: what cannot be rated says what to do.
func TestRerateRefuses(t *testing.T) {
	env := map[string]string{"PLUMBLINE_DATA_DIR": t.TempDir()}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no organisation", []string{"rerate"}, exitUsage, "--org ORGANISATION"},
		{"a period that ends before it begins", []string{"rerate", "--org", "acme", "--from", "2026-02-01", "--to", "2026-01-01"}, exitUsage, "comes before"},
		{"no table", []string{"rerate", "--org", "acme", "--prices", "/nowhere.yaml"}, exitUsage, "read price table"},
	} {
		if code, _, errs := plumbline(t, env, c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d %s", c.name, code, errs)
		}
	}
}

// eventsOf reads every event of the organisation's log, once its three calls ended.
func eventsOf(t *testing.T, s *server.Server) (out []*event.Event) {
	t.Helper()
	ended := 0
	for range 500 { // an outcome follows its answer
		out, ended = nil, 0
		leaves, err := s.Ledger.Feed(t.Context(), "acme", 0, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for _, leaf := range leaves {
			r, err := record.Decode(leaf.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			e, ok := r.Body.(*event.Event)
			if !ok {
				continue
			}
			if e.Kind == event.Adjusted && r.Actor != "cli" {
				t.Errorf("a correction by %q", r.Actor)
			}
			if e.Kind == event.Outcome {
				ended++
			}
			out = append(out, e)
		}
		if ended == 3 {
			return out
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d of 3 calls ended", ended)
	return nil
}

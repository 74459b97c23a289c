package server

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/money"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

const testOrg inventory.OrgID = "acme"

var (
	officer  = authz.Actor{Org: testOrg, ID: "p-officer", Roles: []authz.Role{authz.ComplianceOfficer}}
	approver = authz.Actor{Org: testOrg, ID: "p-approver", Roles: []authz.Role{authz.Approver}}
)

func testConfig(dir string) *config.Config {
	c, err := config.Load("", func(name string) string {
		return map[string]string{"PLUMBLINE_DATA_DIR": dir, "PLUMBLINE_LISTEN": "127.0.0.1:0", "PLUMBLINE_INSTANCE": "test"}[name]
	})
	if err != nil {
		panic(err)
	}
	c.DrainTimeout = 5 * time.Second
	return c
}

func open(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Env == nil {
		o.Env = func(string) string { return "upstream-secret" }
	}
	s, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// serve runs a server on a free port until the test ends and gives its base URL.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// furnish makes an organisation with one approved system, guards, budgets and a
// key, whose upstream is at url.
func furnish(t testing.TB, s *Server, url string) (key string) {
	t.Helper()
	ctx, r := context.Background(), s.Register
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.CreateOrg(ctx, officer, inventory.Org{ID: testOrg, Name: "Acme"}))
	must(r.PutProvider(ctx, officer, inventory.Provider{ID: "up", Kind: "openai", Vendor: "openai", BaseURL: url, CredentialRef: "env:UP"}, "test"))
	must(r.PutRoute(ctx, officer, inventory.Route{Model: "gpt-4o-mini", Provider: "up"}, "test"))
	must(r.PutRoute(ctx, officer, inventory.Route{Model: "text-embedding-3-small", Provider: "up"}, "test"))
	must(r.PutProfile(ctx, officer, inventory.GuardProfile{ID: "all", Guards: []inventory.GuardSetting{{Guard: "pii", Mode: inventory.Redact}, {Guard: "secrets", Mode: inventory.Block}, {Guard: "injection", Mode: inventory.Monitor}}}, "test"))
	system, err := r.AddSystem(ctx, officer, inventory.System{Name: "Desk", Purpose: "Answers questions.", Owner: "Service", Roles: []inventory.ActRole{inventory.RoleDeployer},
		RiskClass: inventory.Minimal, RiskReason: "no use of Annex III", Lifecycle: inventory.InUse, Profile: "all", Models: []inventory.ModelRef{{Provider: "up", Model: "gpt-4o-mini"}}, Vendors: []string{"openai"}}, "test")
	must(err)
	must(r.RequestApproval(ctx, officer, system.ID, "test"))
	must(r.DecideApproval(ctx, approver, system.ID, true, time.Time{}, "test"))
	_, key, err = r.CreateKey(ctx, officer, inventory.Key{System: system.ID, Name: "desk"}, "test")
	must(err)
	for _, b := range []inventory.Budget{{ID: "org", Scope: inventory.ScopeOrg}, {ID: "system", Scope: inventory.ScopeSystem, Target: string(system.ID)},
		{ID: "key", Scope: inventory.ScopeKey, Target: strings.Split(key, "-")[1]}} {
		b.Limit, b.Window = 100_000*money.Dollar, "month"
		must(r.PutBudget(ctx, officer, b, "test"))
	}
	return key
}

// desk is a whole server with a furnished organisation and a counting upstream.
func desk(t testing.TB) (s *Server, base, key string, up *load.Upstream) {
	t.Helper()
	up = &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	s = open(t, Options{Config: testConfig(t.TempDir())})
	key = furnish(t, s, up.URL)
	return s, serve(t, s), key, up
}

func post(t testing.TB, url, key, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func fetch(t testing.TB, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above")
		}
	}
}

// database makes an empty database on the test server, or skips.
func database(t testing.TB) (dsn string) {
	t.Helper()
	server := os.Getenv("PLUMBLINE_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_POSTGRES is not set")
		}
		t.Skip("PLUMBLINE_TEST_POSTGRES is not set")
	}
	pool, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	name := fmt.Sprintf("server_%d_%d", os.Getpid(), time.Now().UnixNano())
	if _, err := pool.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(server, "/postgres?", "/"+name+"?", 1)
}

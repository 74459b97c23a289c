package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/app/server/load"
	"plumbline/assessments/projection"
	"plumbline/inventory"
)

// node runs a script of testdata/sdk with the official clients, or skips.
func node(t *testing.T, script string, env ...string) []byte {
	t.Helper()
	modules := os.Getenv("PLUMBLINE_TEST_NODE_MODULES")
	if modules == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PLUMBLINE_TEST_NODE_MODULES is not set: the official openai SDK for node is not tried")
		}
		t.Skip("PLUMBLINE_TEST_NODE_MODULES is not set: the official openai SDK for node is not tried")
	}
	bin, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed: the official openai SDK is not tried")
		}
		t.Skip("node is not installed: the official openai SDK is not tried")
	}
	cmd := exec.CommandContext(t.Context(), bin, filepath.Join("testdata", "sdk", script))
	cmd.Env = append(append(os.Environ(), "NODE_PATH="+modules, "OPENAI_API_KEY=", "OPENAI_BASE_URL="), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out
}

type sdkCheck struct {
	Name, Request, Detail string
	OK                    bool
}

func sdkChecks(t *testing.T, out []byte) []sdkCheck {
	t.Helper()
	var checks []sdkCheck
	for line := range bytes.Lines(out) {
		var c sdkCheck
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
		checks = append(checks, c)
	}
	return checks
}

// TestOpenAISDK: the official client works by its base URL and key alone: chat
// streamed and not, tools, structured output, embeddings, models, and each class
// of error; every request id that it saw is in the record.
func TestOpenAISDK(t *testing.T) {
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	var down atomic.Bool
	s := open(t, Options{Config: testConfig(t.TempDir()), Hook: func(string) error {
		if down.Load() {
			return errors.New("no space left on device")
		}
		return nil
	}})
	keys := map[string]string{"good": furnish(t, s, up.URL)}
	ctx, r := t.Context(), s.Register
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.PutProvider(ctx, officer, inventory.Provider{ID: "sim", Kind: "simulated"}, "test"))
	for _, route := range []inventory.Route{{Model: "sim-small"}, {Model: "sim-embed"}, {Model: "sim-cut", Unpriced: true}, {Model: "sim-fail", Unpriced: true}, {Model: "acme/sim", Target: "sim-small"}} {
		route.Provider = "sim"
		must(r.PutRoute(ctx, officer, route, "test"))
	}
	must(r.PutRoute(ctx, officer, inventory.Route{Model: "unpriced", Provider: "up", Target: "nobody-prices-this"}, "test"))
	for name, k := range map[string]inventory.Key{"poor": {System: "SYS-001"}, "limited": {System: "SYS-001", PerMinute: 60}, "unbound": {}} {
		k.Name = name
		made, secret, err := r.CreateKey(ctx, officer, k, "test")
		must(err)
		keys[name] = secret
		if name == "poor" {
			must(r.PutBudget(ctx, officer, inventory.Budget{ID: "poor", Scope: inventory.ScopeKey, Target: string(made.ID), Limit: money.Dollar / 100_000, Window: "day"}, "test"))
		}
	}
	second, err := r.AddSystem(ctx, officer, inventory.System{Name: "Second", Purpose: "Is suspended.", Owner: "Service", Roles: []inventory.ActRole{inventory.RoleDeployer},
		RiskClass: inventory.Minimal, RiskReason: "test", Lifecycle: inventory.InUse}, "test")
	must(err)
	must(r.Suspend(ctx, officer, second.ID, "test"))
	_, keys["suspended"], err = r.CreateKey(ctx, officer, inventory.Key{System: second.ID, Name: "suspended"}, "test")
	must(err)

	base := serve(t, s)
	text, _ := json.Marshal(keys)
	checks := sdkChecks(t, node(t, "openai.cjs", "SDK_BASE="+base, "SDK_KEYS="+string(text)))
	if len(checks) != 28 {
		t.Errorf("%d checks ran", len(checks))
	}
	must(s.Projection.CatchUp(ctx))
	seen := 0
	for _, c := range checks {
		if c.Request == "" {
			continue
		}
		seen++
		x, err := s.Projection.Exchange(ctx, string(testOrg), c.Request)
		if fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %s is not on record", c.Name, c.Request)
			continue
		}
		must(err)
		if x.State == projection.Open || x.State == projection.Incomplete {
			t.Errorf("%s: %s is %s", c.Name, c.Request, x.State)
		}
	}
	if seen < 18 {
		t.Errorf("%d request ids came back", seen)
	}
	down.Store(true)
	if checks := sdkChecks(t, node(t, "openai.cjs", "SDK_DOWN=1", "SDK_BASE="+base, "SDK_KEYS="+string(text))); len(checks) != 2 {
		t.Errorf("%d checks ran", len(checks))
	}
	down.Store(false)
}

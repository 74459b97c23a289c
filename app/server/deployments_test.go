package server

import (
	"strings"
	"testing"

	"plumbline/app/authz"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

// A dead provider and one that takes over: the API, the page and the metrics say the
// same of both, and the form keeps a route of several targets.
func TestHealthOfDeployments(t *testing.T) {
	s, base, key, _ := desk(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Register.PutProvider(t.Context(), officer, inventory.Provider{ID: "gone", Kind: "openai", Vendor: "openai", BaseURL: "http://127.0.0.1:9/v1", Region: "eu"}, "test"))
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	api := newScript(t, base).signIn("ada@example.com")
	api.must(200, "PUT", "/api/v1/routes/chat", `{"aliases":["fast"],"targets":[{"provider":"gone","model":"gpt-4o-mini"},{"provider":"up","model":"gpt-4o-mini","tier":1}],"idle_timeout":"30s","reason":"test"}`)
	api.refused(400, "invalid_field", "there is no provider", "PUT", "/api/v1/routes/other", `{"targets":[{"provider":"nobody"}]}`)
	api.refused(400, "invalid_field", "a length of time", "PUT", "/api/v1/routes/other", `{"provider":"up","deadline":30}`)
	api.refused(400, "invalid_field", "30s", "PUT", "/api/v1/routes/other", `{"provider":"up","deadline":"soon"}`)
	body := strings.Replace(string(load.Request("x")), "gpt-4o-mini", "fast", 1)
	for range 21 {
		if resp, answer := post(t, base+"/v1/chat/completions", key, body); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, answer)
		}
	}
	health := api.must(200, "GET", "/api/v1/health/providers", "")
	found := map[string]map[string]any{}
	for _, d := range health.body["deployments"].([]any) {
		d := d.(map[string]any)
		found[d["provider"].(string)+"/"+d["model"].(string)] = d
	}
	if d := found["gone/gpt-4o-mini"]; d["state"] != "open" || d["failed"] != 20.0 || d["failed_ppm"] != 1e6 || d["last_failure"] != "refused" || d["region"] != "eu" || d["latency_ms"] != nil || d["open_until"] == nil {
		t.Errorf("%v", d)
	}
	if d := found["up/gpt-4o-mini"]; d["state"] != "closed" || d["requests"] != 21.0 || d["failed"] != 0.0 || d["failed_ppm"] != 0.0 || d["latency_ms"] == nil {
		t.Errorf("%v", d)
	}
	_, metrics := fetch(t, base+"/metrics")
	for name, want := range map[string]float64{
		`plumbline_deployment_state{model="gpt-4o-mini",organisation="acme",provider="gone"}`:                           2,
		`plumbline_deployment_opened_total{model="gpt-4o-mini",organisation="acme",provider="gone"}`:                    1,
		`plumbline_provider_retries_total{organisation="acme",provider="gone",result="made"}`:                           0,
		`plumbline_deployment_state{model="gpt-4o-mini",organisation="acme",provider="up"}`:                             0,
		`plumbline_deployment_minute_requests{model="gpt-4o-mini",organisation="acme",provider="up",result="answered"}`: 21,
	} {
		if got := sample(t, metrics, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	ines := signIn(t, s, base, authz.ComplianceOfficer, authz.Admin)
	ines.is(ines.get("/gateway"), 200, "/gateway", "also fast", "refused", "until ", ", tier 1", "closed")
	ines.is(ines.get("/gateway/routes/new?model=chat"), 200, "/gateway/routes/new?model=chat", "provider: up, model: gpt-4o-mini, tier: 1", "As listed below")
	ines.is(ines.submit("/gateway/routes", "model", "chat", "aliases", "fast, faster", "targets", "provider: up, model: gpt-4o-mini, weight: 2\nprovider: gone, weight: 0", "strategy", "weighted", "deadline", "2m", "reason", "test"), 200, "/gateway", "in force")
	ines.is(ines.submit("/gateway/routes", "model", "chat", "targets", "provider: up\nprovider: nobody", "reason", "test"), 400, "/gateway/routes", "number 2", "there is no provider")
	state, err := s.Register.State(testOrg)
	must(err)
	for _, v := range state.Routes {
		if v.Model == "chat" && (len(v.Targets) != 2 || v.Strategy != inventory.ByWeight || *v.Targets[1].Weight != 0 || v.Deadline.String() != "2m0s" || len(v.Aliases) != 2) {
			t.Errorf("%+v", v)
		}
	}
}

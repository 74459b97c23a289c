package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

const password = "a password of the tests"

// script is a caller of the API with a session of its own.
type script struct {
	t      testing.TB
	base   string
	client http.Client
	header http.Header
}

// reply is what the API said.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func newScript(t testing.TB, base string) *script {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &script{t: t, base: base, client: http.Client{Jar: jar}, header: http.Header{"Content-Type": {"application/json"}}}
}

func (c *script) do(method, path, body string) reply {
	c.t.Helper()
	req, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return a
}

// must calls and expects a status.
func (c *script) must(status int, method, path, body string) reply {
	c.t.Helper()
	a := c.do(method, path, body)
	if a.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.text)
	}
	return a
}

// refused calls and expects an error of the API's one shape.
func (c *script) refused(status int, code, names, method, path, body string) {
	c.t.Helper()
	a := c.do(method, path, body)
	problem, _ := a.body["error"].(map[string]any)
	message, _ := problem["message"].(string)
	if a.status != status || problem["code"] != code || !strings.Contains(message, names) {
		c.t.Errorf("%s %s %s: status %d %s, want %d %s that names %q", method, path, body, a.status, a.text, status, code, names)
	}
}

func (c *script) signIn(email string) *script {
	c.t.Helper()
	c.must(http.StatusOK, "POST", "/api/v1/session", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	return c
}

// person adds an account with a password to an organisation.
func person(t testing.TB, s *Server, org inventory.OrgID, email string, roles ...authz.Role) inventory.Person {
	t.Helper()
	p, err := s.Register.AddAccount(t.Context(), authz.Actor{Org: org, ID: "test"}, inventory.Person{Name: "Test " + email, Email: email, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register.SetPassword(t.Context(), p.ID, password); err != nil {
		t.Fatal(err)
	}
	return p
}

// bare is a server with an organisation of an administrator and an approver, and
// nothing else.
func bare(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	s := open(t, o)
	if err := s.Register.CreateOrg(t.Context(), officer, inventory.Org{ID: testOrg, Name: "Acme"}); err != nil {
		t.Fatal(err)
	}
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	person(t, s, testOrg, "ben@example.com", authz.Approver)
	return s, serve(t, s)
}

func TestAPISession(t *testing.T) {
	_, base := bare(t, Options{Config: testConfig(t.TempDir())})
	c := newScript(t, base)
	c.refused(401, "sign_in", "", "GET", "/api/v1/systems", "")
	c.refused(401, "sign_in", "", "PUT", "/api/v1/settings", `{}`)
	c.refused(401, "wrong_sign_in", "", "POST", "/api/v1/session", `{"email":"ada@example.com","password":"wrong"}`)
	c.refused(401, "wrong_sign_in", "", "POST", "/api/v1/session", `{"email":"nobody@example.com","password":"wrong"}`)
	c.refused(400, "invalid_field", `"pasword"`, "POST", "/api/v1/session", `{"email":"ada@example.com","pasword":"x"}`)
	c.refused(403, "not_a_member", "", "POST", "/api/v1/session", fmt.Sprintf(`{"email":"ada@example.com","password":%q,"organisation":"other"}`, password))
	if a := c.signIn("ada@example.com").must(200, "GET", "/api/v1/session", ""); a.body["organisation"] != "acme" || !strings.Contains(a.text, `"admin"`) || a.header.Get("X-Request-Id") == "" {
		t.Errorf("session %s %v", a.text, a.header)
	}

	// What a page of another site could make a browser send.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		c.header = http.Header{"Content-Type": {kind}}
		c.refused(400, "content_type", "application/json", "POST", "/api/v1/systems", `{"name":"x"}`)
		c.refused(400, "content_type", "application/json", "POST", "/api/v1/session", `{}`)
		c.refused(400, "content_type", "application/json", "DELETE", "/api/v1/session", "")
	}
	for _, from := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}} {
		from.Set("Content-Type", "application/json")
		c.header = from
		c.refused(403, "cross_origin", "", "POST", "/api/v1/systems", `{"name":"x"}`)
		c.refused(403, "cross_origin", "", "POST", "/api/v1/session", `{}`)
	}
	c.header = http.Header{"Content-Type": {"application/json"}}

	guesser := newScript(t, base)
	for range 10 {
		guesser.refused(401, "wrong_sign_in", "", "POST", "/api/v1/session", `{"email":"cy@example.com","password":"guess"}`)
	}
	guesser.refused(429, "too_many_attempts", "", "POST", "/api/v1/session", `{"email":"cy@example.com","password":"guess"}`)

	c.refused(404, "not_found", "", "GET", "/api/v1/nothing", "")
	c.refused(404, "not_found", "", "PATCH", "/api/v1/systems", `{}`)
	c.must(204, "DELETE", "/api/v1/session", "")
	c.refused(401, "sign_in", "", "GET", "/api/v1/systems", "")
}

// TestAPIDeclaresAll sets up everything that the gateway needs over the API alone,
// calls a model through it, and takes each permission away again.
func TestAPIDeclaresAll(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { declaresAll(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		declaresAll(t, c)
	})
}

func declaresAll(t *testing.T, c *config.Config) {
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	_, base := bare(t, Options{Config: c, Env: func(name string) string { return map[string]string{"UP_API_KEY": "upstream-secret"}[name] }})
	ada, ben := newScript(t, base).signIn("ada@example.com"), newScript(t, base).signIn("ben@example.com")

	ada.must(200, "PUT", "/api/v1/settings", `{"unregistered":"block","confidentiality":"internal"}`)
	ada.must(200, "PUT", "/api/v1/providers/up", fmt.Sprintf(`{"kind":"openai","vendor":"openai","base_url":%q,"credential":"env:UP_API_KEY"}`, up.URL))
	ada.must(200, "PUT", "/api/v1/routes/gpt-4o-mini", `{"provider":"up"}`)
	ada.must(200, "PUT", "/api/v1/routes/team%2Fsmall", `{"provider":"up","target":"gpt-4o-mini"}`)
	ada.must(200, "PUT", "/api/v1/guard_profiles/strict", `{"guards":[{"guard":"pii","mode":"redact"},{"guard":"secrets","mode":"block"}]}`)
	ada.must(200, "PUT", "/api/v1/policies/house", `{"mode":"shadow","source":"package plumbline\nimport rego.v1\ndeny contains \"never\" if false\n"}`)
	made := ada.must(201, "POST", "/api/v1/systems", `{"name":"Desk","purpose":"Answers.","owner":"Service","roles":["deployer"],"risk_class":"minimal","risk_reason":"no use of Annex III","lifecycle":"in_use","guard_profile":"strict","models":[{"provider":"up","model":"gpt-4o-mini"}]}`)
	if made.body["id"] != "SYS-001" || made.body["version"] != 1.0 || made.body["author"] == "" {
		t.Fatalf("system %s", made.text)
	}
	ada.must(200, "POST", "/api/v1/systems/SYS-001/approval-request", `{"reason":"needed"}`)
	ada.refused(403, "four_eyes", "second person", "POST", "/api/v1/systems/SYS-001/approval", `{"decision":"approve","reason":"mine"}`)
	ben.refused(400, "invalid_field", `"maybe"`, "POST", "/api/v1/systems/SYS-001/approval", `{"decision":"maybe","reason":"x"}`)
	if a := ben.must(200, "POST", "/api/v1/systems/SYS-001/approval", `{"decision":"approve","until":"2100-01-01T00:00:00Z","reason":"looked at"}`); !strings.Contains(a.text, `"state":"approved"`) {
		t.Errorf("approved: %s", a.text)
	}
	made = ada.must(201, "POST", "/api/v1/keys", `{"system":"SYS-001","name":"desk","requests_per_minute":600}`)
	key, id := made.body["secret"].(string), made.body["id"].(string)
	if list := ada.must(200, "GET", "/api/v1/keys", ""); strings.Contains(list.text, key) || strings.Contains(list.text, strings.SplitN(key, "-", 3)[2]) || !strings.Contains(list.text, id) {
		t.Errorf("keys %s", list.text)
	}
	budget := ada.must(200, "PUT", "/api/v1/budgets/org", `{"scope":"organisation","limit":"1200.5","window":"month"}`)
	if budget.body["limit"] != "1200.50" || budget.body["left"] != "1200.50" || budget.body["limit_nano"] != nil {
		t.Errorf("budget %s", budget.text)
	}

	call := func(want int, code string) {
		t.Helper()
		resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"team/small","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}`)
		if resp.StatusCode != want || !strings.Contains(text, code) {
			t.Errorf("status %d, want %d %s: %s", resp.StatusCode, want, code, text)
		}
	}
	call(200, "chatcmpl")
	ada.must(200, "PUT", "/api/v1/prices/openai%2Fgpt-4o-mini@2026-01-01", `{"vendor":"openai","model":"gpt-4o-mini","from":"2026-01-01","input":"1","output":"2","max_output":16384,"request":"2000"}`)
	call(429, "budget_exceeded")
	ada.refused(400, "invalid_field", "openai/gpt-4o-mini@2026-02-01", "PUT", "/api/v1/prices/openai%2Fgpt-4o-mini@2026-01-01", `{"vendor":"openai","model":"gpt-4o-mini","from":"2026-02-01","input":"1"}`)
	ada.refused(400, "invalid_field", "max_output is missing", "PUT", "/api/v1/prices/openai%2Fother@2026-02-01", `{"vendor":"openai","model":"other","from":"2026-02-01","output":"1","input":"1"}`)
	if list := ada.must(200, "GET", "/api/v1/prices", ""); !strings.Contains(list.text, `"request":"2000"`) || !strings.Contains(list.text, `"author"`) {
		t.Errorf("prices %s", list.text)
	}
	ada.must(204, "DELETE", "/api/v1/prices/openai%2Fgpt-4o-mini@2026-01-01", `{"reason":"the contract ended"}`)
	call(200, "chatcmpl")
	ada.must(200, "POST", "/api/v1/systems/SYS-001/suspend", `{"reason":"it answers nonsense"}`)
	call(403, "system_suspended")
	ada.must(200, "POST", "/api/v1/systems/SYS-001/resume", `{}`)
	call(200, "chatcmpl")
	ada.must(200, "PUT", "/api/v1/budgets/org", `{"scope":"organisation","limit":"0.000001","window":"month"}`)
	call(429, "budget_exceeded")
	ada.must(204, "DELETE", "/api/v1/budgets/org", `{"reason":"replaced"}`)
	ada.must(200, "PUT", "/api/v1/keys/"+id, `{"name":"desk","models":["gpt-4o-mini"]}`)
	call(403, "model_not_allowed")
	ada.must(200, "PUT", "/api/v1/keys/"+id, `{"name":"desk"}`)
	ada.refused(409, "in_use", "gpt-4o-mini", "DELETE", "/api/v1/providers/up", "")
	ada.must(204, "DELETE", "/api/v1/routes/team%2Fsmall", "")
	call(404, "model_not_found")
	ada.must(200, "POST", "/api/v1/keys/"+id+"/revoke", `{"reason":"leaked"}`)
	call(401, "key_revoked")
	ada.must(200, "POST", "/api/v1/systems/SYS-001/review", `{}`)
	ada.must(200, "POST", "/api/v1/systems/SYS-001/retire", `{"reason":"replaced"}`)

	history := ada.must(200, "GET", "/api/v1/systems/SYS-001/history", "")
	if n := len(history.body["versions"].([]any)); n != 7 {
		t.Errorf("%d versions: %s", n, history.text)
	}
	then := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if a := ada.must(200, "GET", "/api/v1/systems?at="+then, ""); !strings.Contains(a.text, `"lifecycle":"retired"`) {
		t.Errorf("as of later: %s", a.text)
	}
	leaf := history.body["versions"].([]any)[5].(map[string]any)["leaf"].(float64) // of version 2
	for size, want := range map[int]string{int(leaf): `"state":"not_requested"`, int(leaf) + 1: `"state":"requested"`} {
		if a := ada.must(200, "GET", fmt.Sprintf("/api/v1/systems/SYS-001?leaf=%d", size), ""); !strings.Contains(a.text, want) || !strings.Contains(a.text, `"lifecycle":"in_use"`) {
			t.Errorf("as of %d leaves: %s", size, a.text)
		}
	}
	ada.refused(404, "not_found", "begins after 2001-01-01", "GET", "/api/v1/systems?at=2001-01-01", "")
}

// TestAPIReads what the ledger and the engine know.
func TestAPIReads(t *testing.T) {
	s, base, key, _ := desk(t)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	ada := newScript(t, base).signIn("ada@example.com")
	var ids []string
	for range 3 {
		resp, text := post(t, base+"/v1/chat/completions", key, `{"model":"gpt-4o-mini","max_tokens":16,"messages":[{"role":"user","content":"Write to jo@example.com"}]}`)
		if resp.StatusCode != 200 {
			t.Fatal(text)
		}
		ids = append(ids, resp.Header.Get("X-Request-Id"))
	}
	id := ids[2]
	for range 100 { // the index follows within a second
		if a := ada.do("GET", "/api/v1/exchanges/"+id, ""); a.status == 200 && a.body["state"] == "complete" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	x := ada.must(200, "GET", "/api/v1/exchanges/"+id, "").body
	if x["system"] != "SYS-001" || x["usage_source"] != "provider" || x["end"] != "complete" || x["charge"] == "0.00" || x["charge_nano"] != nil || x["status"] != 200.0 {
		t.Errorf("exchange %v", x)
	}
	if at, err := time.Parse(time.RFC3339, x["at"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("at %v", x["at"])
	}
	first := ada.must(200, "GET", "/api/v1/exchanges?limit=2&system=SYS-001", "").body
	rest := ada.must(200, "GET", "/api/v1/exchanges?limit=2&before="+first["next"].(string), "").body
	if len(first["exchanges"].([]any)) != 2 || len(rest["exchanges"].([]any)) != 1 || rest["next"] != "" {
		t.Errorf("pages %v, %v", first, rest)
	}
	ada.refused(400, "invalid_field", "limit", "GET", "/api/v1/exchanges?limit=none", "")
	ada.refused(400, "invalid_field", "soon", "GET", "/api/v1/exchanges?from=soon", "")
	if a := ada.must(200, "GET", "/api/v1/exchanges?to=2001-01-01", ""); !strings.Contains(a.text, `"exchanges":[]`) {
		t.Errorf("long ago: %s", a.text)
	}
	if a := ada.must(200, "GET", "/api/v1/systems/SYS-001/observed", ""); !strings.Contains(a.text, `"declared":true`) {
		t.Errorf("observed %s", a.text)
	}

	ada.must(204, "POST", "/api/v1/assessments/run", "")
	a := ada.must(200, "GET", "/api/v1/assessments/"+s.Catalog.Frameworks[0].ID+"/SYS-001", "")
	controls := a.body["controls"].([]any)
	if len(controls) != len(s.Catalog.Frameworks[0].Controls) || !strings.Contains(a.text, `"end_leaf"`) {
		t.Errorf("%d controls: %.500s", len(controls), a.text)
	}
	ada.refused(404, "not_found", "none", "GET", "/api/v1/assessments/none/SYS-001", "")
	ada.refused(404, "not_found", "SYS-009", "GET", "/api/v1/assessments/"+s.Catalog.Frameworks[0].ID+"/SYS-009", "")

	d := ada.must(201, "POST", "/api/v1/documents", `{"kind":"model_card","system":"SYS-001"}`)
	name := d.body["id"].(string)
	if a := ada.must(200, "GET", "/api/v1/documents", ""); !strings.Contains(a.text, name) {
		t.Errorf("documents %s", a.text)
	}
	ada.must(200, "GET", "/api/v1/documents/"+name, "")
	pdf := ada.must(200, "GET", "/api/v1/documents/"+name+"/pdf", "")
	if !strings.HasPrefix(pdf.text, "%PDF") || pdf.header.Get("Content-Disposition") != `attachment; filename="`+name+`.pdf"` {
		t.Errorf("%.20q %v", pdf.text, pdf.header)
	}
	ada.must(200, "GET", "/api/v1/documents/"+name+"/proof", "")
	ada.refused(404, "document_unknown", "", "GET", "/api/v1/documents/"+name+"/secret", "")
	ada.refused(400, "invalid_field", "diary", "POST", "/api/v1/documents", `{"kind":"diary"}`)

	cp := ada.must(200, "GET", "/api/v1/ledger/checkpoint", "").body
	if cp["origin"] != "test/acme/1" || cp["size"].(float64) < 10 || len(cp["keys"].([]any)) != 1 || !strings.Contains(cp["note"].(string), "test/acme/1") {
		t.Errorf("checkpoint %v", cp)
	}
}

// TestAPIRefuses names the field, the line or the version that is in the way.
func TestAPIRefuses(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.Declarations = filepath.Join(dir, "house.yaml")
	declared := "organisations:\n- id: acme\n  name: Acme\n  providers:\n  - {id: sim, kind: simulated}\n  systems:\n  - {id: SYS-007, name: Desk, purpose: p, owner: o, risk_class: minimal, risk_reason: r, approval: {state: approved}}\n"
	if err := os.WriteFile(c.Declarations, []byte(declared), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Config: c, Env: func(name string) string { return map[string]string{"A_API_KEY": "x"}[name] }})
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	ada := newScript(t, serve(t, s)).signIn("ada@example.com")

	for _, x := range []struct{ method, path, body, names string }{
		{"POST", "/api/v1/systems", `{"nam":"x"}`, `unknown field "nam"; there are: `},
		{"POST", "/api/v1/systems", `{"name":"x","models":[{"provider":"sim","model":"a"},{"providr":"sim"}]}`, `"models[1].providr"`},
		{"POST", "/api/v1/systems", `{"Name":"x"}`, `unknown field "Name"`},
		{"POST", "/api/v1/systems", `{"name":"x","name":"y"}`, "name is there twice"},
		{"POST", "/api/v1/systems", `{"name":"x","approval":{"state":"approved"}}`, "approval is not set here"},
		{"POST", "/api/v1/systems", `{"name":"x","suspended":null}`, `"suspended"`},
		{"POST", "/api/v1/systems", `{"name":7}`, "name must be a text"},
		{"POST", "/api/v1/systems", `{"roles":"deployer"}`, "roles must be a list"},
		{"POST", "/api/v1/systems", `{"models":[{"provider":5}]}`, "models.provider must be a text"},
		{"POST", "/api/v1/systems", `{"name":"x","purpose":"p","owner":"o","lifecycle":"someday"}`, "someday"},
		{"PUT", "/api/v1/systems/SYS-001", `{"id":"SYS-002"}`, `"SYS-001" in the path and "SYS-002"`},
		{"POST", "/api/v1/keys", `{"name":"k","expires_at":"tomorrow"}`, "expires_at must be a time"},
		{"POST", "/api/v1/keys", `{"name":"k","secret":"mine"}`, "secret is not set here"},
		{"POST", "/api/v1/keys", `{"name":"k","concurrency":1.5}`, "concurrency must be a whole number"},
		{"PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit":25,"window":"day"}`, "limit must be a text"},
		{"PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit":"much","window":"day"}`, "malformed amount"},
		{"PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit_nano":25,"window":"day"}`, `"limit_nano"`},
		{"PUT", "/api/v1/guard_profiles/p", `{"guards":[{"guard":"crystal_ball","mode":"block"}]}`, "crystal_ball"},
		{"PUT", "/api/v1/policies/p", `{"mode":"enforce","source":"not rego"}`, ""},
		{"PUT", "/api/v1/policies/p", `{"mode":"enforce","file":"/etc/passwd"}`, "file is not set here"},
		{"PUT", "/api/v1/providers/p", `{"kind":"openai","base_url":"https://evil.example","credential":"env:PLUMBLINE_POSTGRES"}`, "may not be named"},
		{"PUT", "/api/v1/providers/p", `{"kind":"openai","base_url":"https://evil.example","credential":"file:/etc/passwd"}`, "may not be named"},
		{"PUT", "/api/v1/routes/m", `{"provider":"none"}`, `"none"`},
		{"POST", "/api/v1/systems/SYS-007/suspend", `{}`, "say why"},
	} {
		ada.refused(400, "invalid_field", x.names, x.method, x.path, x.body)
	}
	for field, body := range map[string]string{"base_url": `{"kind":"openai","base_url":"https://one.example/v1/chat/completions"}`, "kind": `{"kind":"oracle"}`} {
		if a := ada.do("PUT", "/api/v1/providers/p", body); a.status != 400 || !strings.Contains(a.text, `"fields":{"`+field+`":`) {
			t.Errorf("%s: %d %s", body, a.status, a.text)
		}
	}
	for _, body := range []string{"[]", `"x"`, "{", `{"name":"x"} {}`, `{"name":"x",}`, "name: x"} {
		ada.refused(400, "invalid_json", "", "POST", "/api/v1/systems", body)
	}
	ada.refused(413, "too_large", "", "POST", "/api/v1/systems", `{"name":"`+strings.Repeat("x", 12<<20)+`"}`)

	at := func(line int) string { return fmt.Sprintf("%s, line %d", c.Declarations, line) }
	ada.refused(409, "declared", at(7), "PUT", "/api/v1/systems/SYS-007", `{"name":"x","purpose":"p","owner":"o","lifecycle":"in_use"}`)
	ada.refused(409, "declared", at(7), "POST", "/api/v1/systems/SYS-007/retire", `{}`)
	ada.refused(409, "declared", at(7), "POST", "/api/v1/systems/SYS-007/approval-request", `{}`)
	ada.refused(409, "declared", at(5), "PUT", "/api/v1/providers/sim", `{"kind":"simulated"}`)
	ada.refused(409, "declared", at(5), "DELETE", "/api/v1/providers/sim", "")
	ada.refused(409, "declared", at(2), "PUT", "/api/v1/organisations/acme", `{"name":"Other"}`)
	a := ada.must(200, "GET", "/api/v1/systems/SYS-007", "")
	if !strings.Contains(a.text, `"imported":true`) || !strings.Contains(a.text, `"line":7`) {
		t.Errorf("declared %s", a.text)
	}
	ada.must(200, "POST", "/api/v1/systems/SYS-007/suspend", `{"reason":"stop"}`)

	ada.must(200, "PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit":"5","window":"day"}`)
	ada.must(200, "PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit":"6","window":"day","version":1}`)
	ada.refused(409, "version", "version 2", "PUT", "/api/v1/budgets/b", `{"scope":"organisation","limit":"7","window":"day","version":1}`)
	ada.must(201, "POST", "/api/v1/systems", `{"id":"SYS-001","name":"x","purpose":"p","owner":"o"}`)
	ada.refused(409, "exists", "SYS-001", "POST", "/api/v1/systems", `{"id":"SYS-001","name":"x","purpose":"p","owner":"o"}`)
	ada.refused(409, "version", "version 1", "PUT", "/api/v1/systems/SYS-001", `{"name":"y","purpose":"p","owner":"o","lifecycle":"planned","version":9}`)
	ada.must(200, "PUT", "/api/v1/providers/p", `{"kind":"openai","base_url":"https://one.example","credential":"env:A_API_KEY"}`)
	ada.refused(400, "credential_reentry_required", "another host", "PUT", "/api/v1/providers/q", `{"kind":"openai","base_url":"https://two.example","credential":"env:A_API_KEY"}`)
	ada.refused(400, "credential_reentry_required", "another host", "PUT", "/api/v1/providers/q", `{"kind":"openai","base_url":"https://two.example","credentials":[{"ref":"env:A_API_KEY"}]}`)
	ada.refused(400, "credential_reentry_required", "another host", "PUT", "/api/v1/providers/p", `{"kind":"openai","base_url":"https://two.example","credential":"env:A_API_KEY"}`)
	ada.refused(400, "invalid_field", "may not be named", "PUT", "/api/v1/providers/q", `{"kind":"openai","base_url":"https://two.example","credential":"env:B_API_KEY","credentials":[{"ref":"env:PLUMBLINE_POSTGRES"}]}`)
	ada.refused(400, "invalid_field", "may not be named", "PUT", "/api/v1/providers/q", `{"kind":"openai","base_url":"https://two.example","credential":"google:"}`)
	ada.refused(400, "credential_reentry_required", "no secret of that id", "PUT", "/api/v1/providers/q", `{"kind":"openai","base_url":"https://two.example","credential":"sealed:x"}`)
	ada.must(200, "GET", "/api/v1/health/credentials", "")
}

// documented are the routes of docs/api.md, which a test in web holds to the table.
func documented(t testing.TB) (out []struct{ method, path, object, action string }) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(GET|POST|PUT|DELETE) (/api/v1/[^`]+)` \\| (\\S+)(?: (\\S+))? \\|").FindAllStringSubmatch(string(text), -1) {
		out = append(out, struct{ method, path, object, action string }{m[1], m[2], m[3], m[4]})
	}
	if len(out) < 40 {
		t.Fatalf("%d routes in docs/api.md", len(out))
	}
	return out
}

// TestAPIRoles calls every documented route in each role: who may not is refused
// before anything is read or done, and who is not signed in sees nothing.
func TestAPIRoles(t *testing.T) {
	s, base := bare(t, Options{Config: testConfig(t.TempDir())})
	enforcer, err := authz.New()
	if err != nil {
		t.Fatal(err)
	}
	nobody := newScript(t, base)
	for _, role := range []authz.Role{authz.Auditor, authz.Developer, authz.SystemOwner, authz.Approver, authz.Respondent, authz.ComplianceOfficer} {
		email := string(role) + "@example.com"
		person(t, s, testOrg, email, role)
		c := newScript(t, base).signIn(email)
		refused := 0
		for _, rt := range documented(t) {
			if rt.object == "anybody" || rt.object == "account" {
				continue
			}
			path := strings.NewReplacer(":id", "none", ":model", "none", ":framework", "none", ":system", "none", ":part", "pdf").Replace(rt.path)
			nobody.refused(401, "sign_in", "", rt.method, path, "")
			a := c.do(rt.method, path, `{"unknown":1}`)
			if allowed := enforcer.Can(authz.Actor{Roles: []authz.Role{role}}, rt.object, rt.action); allowed == (a.status == http.StatusForbidden) {
				t.Errorf("%s %s as %s: status %d %s", rt.method, rt.path, role, a.status, a.text)
			} else if !allowed {
				refused++
				if !strings.Contains(a.text, `"not_permitted"`) {
					t.Errorf("%s %s as %s: %s", rt.method, rt.path, role, a.text)
				}
			}
		}
		if refused == 0 {
			t.Errorf("%s may everything", role)
		}
	}
}

// TestAPIOrganisations: an administrator of one sees and changes nothing of
// another, whatever ids are named.
func TestAPIOrganisations(t *testing.T) {
	s, base, _, _ := desk(t)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	ada := newScript(t, base).signIn("ada@example.com")
	made := ada.must(201, "POST", "/api/v1/organisations", `{"id":"second","name":"Second"}`)
	if !strings.Contains(made.text, `"admin"`) {
		t.Errorf("made %s", made.text)
	}
	ada.refused(409, "exists", "second", "POST", "/api/v1/organisations", `{"id":"second","name":"Again"}`)
	ada.refused(404, "not_found", "second", "PUT", "/api/v1/organisations/second", `{"name":"From outside"}`)
	if a := ada.must(200, "GET", "/api/v1/organisations", ""); len(a.body["organisations"].([]any)) != 2 {
		t.Errorf("organisations %s", a.text)
	}
	person(t, s, "second", "eve@example.com", authz.Admin)
	eve := newScript(t, base).signIn("eve@example.com")
	before, err := s.Register.State(testOrg)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := json.Marshal(before)
	key := string(before.Keys[0].ID)
	d := ada.must(201, "POST", "/api/v1/documents", `{"kind":"model_card","system":"SYS-001"}`).body["id"].(string)
	for _, list := range []string{"systems", "keys", "budgets", "providers", "routes", "guard_profiles", "policies", "exchanges", "documents"} {
		if a := eve.must(200, "GET", "/api/v1/"+list, ""); !strings.Contains(a.text, `"`+list+`":[]`) {
			t.Errorf("%s: %s", list, a.text)
		}
	}
	// What may go through for eve is a row of the second organisation's own.
	bodies := map[string]string{"systems": `{"name":"x","purpose":"p","owner":"o","lifecycle":"planned"}`, "keys": `{"name":"x"}`, "organisations": `{"name":"x"}`,
		"budgets": `{"scope":"organisation","limit":"1","window":"day"}`, "providers": `{"kind":"simulated"}`, "routes": `{"provider":"up"}`,
		"guard_profiles": `{"guards":[]}`, "policies": `{"mode":"shadow","source":"package plumbline\nimport rego.v1\ndeny contains \"never\" if false\n"}`}
	for _, rt := range documented(t) {
		if rt.object == "anybody" || rt.object == "account" || !strings.Contains(rt.path, ":") {
			continue
		}
		var paths []string
		for _, id := range []string{"SYS-001", key, "org", "up", "all", "acme", d} {
			paths = append(paths, strings.NewReplacer(":id", id, ":model", "gpt-4o-mini", ":framework", s.Catalog.Frameworks[0].ID, ":system", "SYS-001", ":part", "pdf").Replace(rt.path))
		}
		for _, path := range paths {
			body, noun := `{"reason":"x"}`, strings.Split(rt.path, "/")[3]
			if rt.method == "PUT" {
				body = bodies[noun]
			}
			own := rt.method == "DELETE" || rt.method == "PUT" && noun != "systems" && noun != "keys" && noun != "organisations"
			if a := eve.do(rt.method, path, body); a.status < 400 && !own {
				t.Errorf("%s %s: status %d %.200s", rt.method, path, a.status, a.text)
			}
		}
	}
	after, err := s.Register.State(testOrg)
	if err != nil {
		t.Fatal(err)
	}
	if is, _ := json.Marshal(after); !bytes.Equal(was, is) {
		t.Errorf("the first organisation changed:\n%s\n%s", was, is)
	}
}

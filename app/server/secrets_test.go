package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/server/load"
	"plumbline/inventory"
)

// bearers is an upstream that remembers with which keys it was asked.
type bearers struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
	ask  []*http.Request
}

func newBearers(t testing.TB) *bearers {
	b := &bearers{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		b.mu.Lock()
		b.seen = append(b.seen, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		b.ask = append(b.ask, r)
		b.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":5}}`)
	}))
	t.Cleanup(b.Close)
	return b
}

// take gives the keys seen since the last time.
func (b *bearers) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.seen
	b.seen = nil
	return out
}

// TestEnteredSecretsServe enters a provider's keys through the API: the gateway signs
// in with them by weight, after a restart too, and nothing gives them out. With
// another host they are asked for again, and reach neither that host nor a provider
// that is made anew or in another organisation.
func TestEnteredSecretsServe(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { enteredSecretsServe(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		enteredSecretsServe(t, c)
	})
}

func enteredSecretsServe(t *testing.T, c *config.Config) {
	const one, two = "canary-entered-31d0", "canary-entered-84be"
	up, thief := newBearers(t), newBearers(t)
	s := open(t, Options{Config: c})
	key := furnish(t, s, up.URL)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	base := serve(t, s)
	ada := newScript(t, base).signIn("ada@example.com")
	call := func(want int) string {
		t.Helper()
		resp, text := post(t, base+"/v1/chat/completions", key, string(load.Request("x")))
		if resp.StatusCode != want {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
		return text
	}
	put := fmt.Sprintf(`{"kind":"openai","vendor":"openai","base_url":%q,"credential_secret":%q,"credentials":[{"secret":%q,"weight":2}],"reason":"new keys"}`, up.URL, one, two)
	a := ada.must(200, "PUT", "/api/v1/providers/up", put)
	ref, _ := a.body["credential"].(string)
	if by, _ := a.body["entered"].(map[string]any); !strings.HasPrefix(ref, "sealed:") || by["by"] == "" || by["at"] == nil {
		t.Errorf("the answer: %s", a.text)
	}
	for range 200 { // until both are read; with one of them alone the first calls take that
		if strings.Count(ada.must(200, "GET", "/api/v1/health/credentials", "").text, `"state":"ready"`) == 2 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	for range 6 {
		call(200)
	}
	count := map[string]int{}
	for _, k := range up.take() {
		count[k]++
	}
	if count[one] != 2 || count[two] != 4 {
		t.Errorf("the keys served %v", count)
	}
	for _, path := range []string{"/api/v1/providers", "/api/v1/health/credentials", "/gateway", "/gateway/providers/new?provider=up", "/metrics", "/ledger"} {
		if a := ada.do("GET", path, ""); a.status != 200 || strings.Contains(a.text, "canary") {
			t.Errorf("%s: %d, or shows a secret", path, a.status)
		}
	}
	if a := ada.must(200, "GET", "/api/v1/health/credentials", ""); !strings.Contains(a.text, ref) || strings.Count(a.text, `"state":"ready"`) != 2 {
		t.Errorf("health: %s", a.text)
	}

	// Another host, a provider made anew, another organisation.
	moved := func(url, credential string) string {
		return fmt.Sprintf(`{"kind":"openai","vendor":"openai","base_url":%q,"credential":%q}`, url, credential)
	}
	ada.refused(400, "credential_reentry_required", "enter the secret again", "PUT", "/api/v1/providers/up", moved(thief.URL, ref))
	ada.refused(400, "credential_reentry_required", "no secret of that id", "PUT", "/api/v1/providers/copy", moved(up.URL, ref))
	eve := authz.Actor{Org: "evil", ID: "p-eve"}
	if err := s.Register.CreateOrg(t.Context(), eve, inventory.Org{ID: "evil", Name: "Evil"}); err != nil {
		t.Fatal(err)
	}
	person(t, s, "evil", "eve@example.com", authz.Admin)
	mal := newScript(t, base).signIn("eve@example.com")
	mal.refused(400, "credential_reentry_required", "no secret of that id", "PUT", "/api/v1/providers/up", moved(up.URL, ref))
	ada.must(200, "PUT", "/api/v1/providers/env", moved(up.URL, "env:OTHER_API_KEY"))
	ada.must(204, "DELETE", "/api/v1/providers/env", "")
	for _, who := range []*script{ada, mal} {
		who.refused(400, "credential_reentry_required", "named for another host", "PUT", "/api/v1/providers/env", moved(thief.URL, "env:OTHER_API_KEY"))
	}
	call(200)
	if got := up.take(); len(got) != 1 || got[0] != one && got[0] != two || len(thief.take()) != 0 {
		t.Errorf("after refusals: %v", got)
	}
	ada.must(200, "PUT", "/api/v1/providers/up", fmt.Sprintf(`{"kind":"openai","vendor":"openai","base_url":%q,"credential":%q,"credential_secret":"canary-for-the-new-host"}`, thief.URL, ref))
	call(200)
	if got := thief.take(); !slices.Equal(got, []string{"canary-for-the-new-host"}) {
		t.Errorf("the new host got %v", got)
	}

	// Moved in the database by who can write there, it does not open.
	ada.must(200, "PUT", "/api/v1/providers/up", put)
	call(200)
	up.take()
	if err := s.Register.PutRoute(t.Context(), officer, inventory.Route{Model: "gpt-4o-mini", Provider: "up"}, "again"); err != nil {
		t.Fatal(err)
	}
	call(200)
	if got := up.take(); len(got) != 1 || !strings.HasPrefix(got[0], "canary-entered") {
		t.Errorf("after another change: %v", got)
	}
}

// TestSecretsInTheForm enters, keeps, replaces and removes keys with forms alone; no
// page has a secret in it.
func TestSecretsInTheForm(t *testing.T) {
	up, other := newBearers(t), newBearers(t)
	c := testConfig(t.TempDir())
	s := open(t, Options{Config: c})
	key := furnish(t, s, up.URL)
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	base := serve(t, s)
	ada := newVisitor(t, base)
	ada.get("/signin")
	ada.submit("/signin", "email", "ada@example.com", "password", password)
	blind := func(p answer) answer {
		t.Helper()
		if strings.Contains(p.body, "canary") {
			t.Errorf("%s shows a secret: %s", p.path, p.text())
		}
		return p
	}
	page := ada.is(ada.get("/gateway/providers/new?provider=up"), 200, "", "Key 1", "Key 3, none yet", "Remove this key")
	if !strings.Contains(page.body, `value="env:UP"`) || !strings.Contains(page.body, `type="password" autocomplete="off"`) {
		t.Error("the form lacks the reference, or fills secrets in")
	}
	ids := []string{"id", "up", "kind", "openai", "vendor", "openai", "base_url", up.URL, "reason", "x", "decision", "accept"}
	with := func(pairs ...string) []string { return append(slices.Clone(ids), pairs...) }
	more := blind(ada.is(ada.submit("/gateway/providers", append(with("keys", "3", "key1_ref", "env:TYPED", "key2_secret", "canary-lost")[:10], "decision", "more", "keys", "3", "key1_ref", "env:TYPED", "key2_secret", "canary-lost")...), 200, "", "Key 5, none yet", "enter them last"))
	if !strings.Contains(more.body, `value="env:TYPED"`) {
		t.Error("asking for more keys lost what was entered")
	}
	blind(ada.is(ada.submit("/gateway/providers", with("keys", "3", "key1_ref", "", "key1_secret", "canary-form-1", "key3_secret", "canary-form-2", "key3_weight", "5")...), 200, "/gateway", "in force", "sealed here", "entered by", "Ready"))
	if _, text := post(t, base+"/v1/chat/completions", key, string(load.Request("x"))); len(up.take()) != 1 {
		t.Errorf("no call went out: %s", text)
	}
	page = blind(ada.is(ada.get("/gateway/providers/new?provider=up"), 200, "", "Left empty, it stays", "Entered by"))
	first, second := ada.find(page, `name="key1_sealed" value="(sealed:[a-z0-9]+)"`), ada.find(page, `name="key2_sealed" value="(sealed:[a-z0-9]+)"`)
	version := ada.find(page, `name="version" value="([0-9]+)"`)
	kept := with("keys", "4", "key1_sealed", first, "key2_sealed", second, "key2_weight", "5", "version", version)

	blind(ada.is(ada.submit("/gateway/providers", append(slices.Clone(kept), "key3_ref", "sk-canary-pasted-here", "key3_weight", "many")...), 400, "", "write a whole number"))
	moved := slices.Clone(kept)
	moved[7] = other.URL
	again := blind(ada.is(ada.submit("/gateway/providers", append(moved, "key3_secret", "canary-form-3")...), 400, "", "enter the secret again"))
	if !strings.Contains(again.body, `href="#f-key1_secret"`) {
		t.Error("the error is not at the box of the secret")
	}
	ada.is(ada.submit("/gateway/providers", append(slices.Clone(kept), "key1_remove", "true")...), 200, "/gateway", "in force")
	keys := s.Register.Snapshot().Orgs[testOrg].Providers["up"].Keys()
	if len(keys) != 1 || keys[0].Ref != second || keys[0].Weight != 5 {
		t.Errorf("%+v", keys)
	}
	ada.is(ada.submit("/gateway/providers", kept...), 409, "", "meanwhile")
}

// TestCallersDoNotChooseWhereAKeyGoes says it in every way that a caller has: headers
// that other gateways obey, the query, fields of the body, names of models, metadata,
// absolute targets and another Host. The key goes to the provider's host alone.
func TestCallersDoNotChooseWhereAKeyGoes(t *testing.T) {
	up, thief := newBearers(t), newBearers(t)
	s := open(t, Options{Config: testConfig(t.TempDir())})
	key := furnish(t, s, up.URL)
	base := serve(t, s)
	away := strings.TrimPrefix(thief.URL, "http://")
	send := func(name string, change func(*http.Request), body string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		if change != nil {
			change(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := thief.take(); len(got) != 0 {
			t.Errorf("%s: another host was asked with %v", name, got)
		}
		if strings.Contains(string(text), "upstream-secret") {
			t.Errorf("%s: the answer shows the key", name)
		}
		got := up.take()
		if resp.StatusCode == 200 != (len(got) == 1 && got[0] == "upstream-secret") {
			t.Errorf("%s: status %d, the provider was asked with %v", name, resp.StatusCode, got)
		}
	}
	plain := string(load.Request("x"))
	send("plain", nil, plain)
	for _, name := range []string{"Host", "Forwarded", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Server", "X-Host", "X-Original-Url", "X-Rewrite-Url", "Proxy-Authorization", "Destination", "Location", "Referer", "Origin",
		"X-Portkey-Custom-Host", "X-Portkey-Provider", "X-Portkey-Config", "X-Portkey-Base-Url", "Helicone-Target-Url", "Helicone-OpenAI-Api-Base", "Helicone-Target-Provider", "Cf-Aig-Custom-Provider", "Cf-Aig-Authorization",
		"X-Litellm-Api-Base", "Api-Base", "Base-Url", "X-Base-Url", "X-Upstream", "X-Target-Url", "Openai-Organization", "X-Plumbline-Provider", "X-Plumbline-Upstream"} {
		for _, value := range []string{thief.URL, away, `{"provider":"openai","custom_host":"` + thief.URL + `","api_key":"x"}`} {
			send(name+": "+value, func(r *http.Request) {
				if r.Header.Set(name, value); name == "Host" {
					r.Host = away
				}
			}, plain)
		}
	}
	for _, name := range []string{"api_base", "base_url", "baseUrl", "host", "url", "endpoint", "provider", "target", "proxy", "redirect"} {
		send("?"+name, func(r *http.Request) { r.URL.RawQuery = name + "=" + thief.URL }, plain)
		send(name+" in the body", nil, fmt.Sprintf(`{"model":"gpt-4o-mini",%q:%q,"messages":[{"role":"user","content":"x"}]}`, name, thief.URL))
		send(name+" in metadata", nil, fmt.Sprintf(`{"model":"gpt-4o-mini","metadata":{%q:%q},"extra_body":{%q:%q},"messages":[{"role":"user","content":"x"}]}`, name, thief.URL, name, thief.URL))
	}
	for _, model := range []string{thief.URL + "/gpt-4o-mini", "openai/" + thief.URL, "gpt-4o-mini@" + away, "//" + away + "/gpt-4o-mini", "@" + away, "../../" + away, "up/gpt-4o-mini", "gpt-4o-mini?base_url=" + thief.URL, "gpt-4o-mini#" + thief.URL} {
		send("model "+model, nil, fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"x"}]}`, model))
	}
	for _, path := range []string{"//" + away + "/v1/chat/completions", "/v1/chat/completions/../../" + away, "/" + thief.URL + "/v1/chat/completions", "/v1/@" + away + "/chat/completions"} {
		send("path "+path, func(r *http.Request) { r.URL.Opaque = path }, plain)
	}
	send("an absolute target", func(r *http.Request) { r.URL.Opaque = thief.URL + "/v1/chat/completions" }, plain)
	for _, r := range up.ask {
		if r.Host != strings.TrimPrefix(up.URL, "http://") || r.URL.Path != "/chat/completions" || strings.Contains(fmt.Sprint(r.Header, r.URL), away) {
			t.Errorf("the provider got %s %s %v", r.Host, r.URL, r.Header)
		}
	}
}

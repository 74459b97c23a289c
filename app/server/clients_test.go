package server

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plumbline/app/money"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// wired is a whole server whose providers are one upstream of gateway/wiretest.
type wired struct {
	*Server
	base string
	dir  string
	up   *wiretest.Server
}

// apis are the bases that apps set, by the API that they speak.
var apis = map[string]string{"openai": "/v1", "azure": "/azure", "anthropic": "/anthropic", "gemini": "/gemini", "bedrock": "/bedrock"}

// upstreams are the providers that the upstream stands for, with the models of each.
var upstreams = []struct {
	kind, path string
	models     []string
}{
	{"openai", "/v1", []string{"gpt-5-mini", "text-embedding-3-small", "omni-moderation-latest", "acme/claims-large", "gpt-image-1", "gpt-4o-transcribe", "gpt-4o-mini-tts"}},
	{"anthropic", "/v1", []string{"claude-sonnet-4-5", "claude-haiku-4-5"}},
	{"gemini", "/v1beta", []string{"gemini-2.5-flash", "gemini-embedding-001"}},
	{"bedrock", "", []string{"amazon.nova-lite-v1:0"}},
}

func wire(t *testing.T) *wired {
	t.Helper()
	w := &wired{dir: t.TempDir(), up: wiretest.Start()}
	w.up.Strict = true
	t.Cleanup(w.up.Close)
	w.Server = open(t, Options{Config: testConfig(w.dir), Env: func(string) string { return wiretest.Key }})
	furnish(t, w.Server, w.up.URL+"/v1")
	for _, u := range upstreams {
		p := inventory.Provider{ID: inventory.ProviderID(u.kind), Kind: u.kind, BaseURL: w.up.URL + u.path, CredentialRef: "env:UP"}
		if err := w.Register.PutProvider(t.Context(), officer, p, "test"); err != nil {
			t.Fatal(err)
		}
		for _, m := range u.models {
			unpriced := strings.HasPrefix(m, "acme/") || strings.HasPrefix(m, "omni-")
			if err := w.Register.PutRoute(t.Context(), officer, inventory.Route{Model: m, Provider: p.ID, Unpriced: unpriced}, "test"); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.base = serve(t, w.Server)
	return w
}

// key makes a key of the system; with a limit it has a budget of its own.
func (w *wired) key(t *testing.T, name string, limit money.Nano) (id, secret string) {
	t.Helper()
	made, secret, err := w.Register.CreateKey(t.Context(), officer, inventory.Key{System: "SYS-001", Name: name}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if limit > 0 {
		b := inventory.Budget{ID: inventory.BudgetID(name), Scope: inventory.ScopeKey, Target: string(made.ID), Limit: limit, Window: "day"}
		if err := w.Register.PutBudget(t.Context(), officer, b, "test"); err != nil {
			t.Fatal(err)
		}
	}
	return string(made.ID), secret
}

// run lets a client work with a key of its own and looks at what is on record.
func (w *wired) run(t *testing.T, c wiretest.Client, change func(*wiretest.Settings)) {
	name := strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:])
	id, secret := w.key(t, name, 0)
	settings := c.Settings(w.base+apis[c.API], secret)
	_, settings.Poor = w.key(t, name+"-poor", 1)
	if change != nil {
		change(&settings)
	}
	checks := wiretest.RunClient(t, c.Script, settings)
	exchanges := w.onRecord(t, id, 8)
	for _, check := range checks {
		for _, request := range check.Requests {
			if _, ok := exchanges[request]; !ok && check.Name != "not to be asked again" {
				t.Errorf("%s: %q is not on record", check.Name, request)
			}
		}
	}
}

// onRecord holds each exchange of a key to its record: usage as the provider said
// it, or why there was no answer; and the key to at least so many answers. An
// outcome is written after its answer.
func (w *wired) onRecord(t *testing.T, key string, atLeast int) map[string]projection.Exchange {
	t.Helper()
	all := map[string]projection.Exchange{}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err := w.Projection.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		page, _, err := w.Projection.Exchanges(t.Context(), string(testOrg), projection.Filter{Key: key, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		open := ""
		for _, x := range page {
			all[x.ID] = x
			if x.State == projection.Open {
				open = x.ID
			}
		}
		if open == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s stays open", open)
		}
	}
	answered, cancelled := 0, 0
	for _, x := range all {
		switch {
		case x.Status != 200 || x.End != event.EndComplete:
			if x.State == projection.Incomplete || x.Code == "" && x.Status != 200 {
				t.Errorf("%s %s: %s, %d without a code", x.Endpoint, x.ID, x.State, x.Status)
			}
		case slices.Contains([]string{"moderations", "messages.count_tokens", "count_tokens", "models"}, x.Endpoint):
		case strings.HasPrefix(x.Endpoint, "responses."), strings.HasPrefix(x.Endpoint, "files."), strings.Contains(x.Endpoint, "batches.") && !event.MakesBatch(x.Endpoint):
			// about what was billed when it was made, or is when its results arrive
			if x.Input != 0 || x.Output != 0 {
				t.Errorf("%s %s: %d in, %d out are billed twice", x.Endpoint, x.ID, x.Input, x.Output)
			}
		case event.MakesBatch(x.Endpoint) && x.Source == event.UsageProvider && x.Input == 0: // was cancelled
			cancelled++
		default:
			answered++
			if x.Source != event.UsageProvider && x.Endpoint != "batch_embed_contents" || x.Input <= 0 {
				t.Errorf("%s %s: usage %d, %d in, %d out", x.Endpoint, x.ID, x.Source, x.Input, x.Output)
			}
		}
	}
	if cancelled > 1 {
		t.Errorf("%d batches are on record without usage", cancelled)
	}
	if answered < atLeast {
		t.Errorf("%d answers are on record", answered)
	}
	return all
}

// keepsQuiet holds the data folder and what went upstream to having no secret and
// no words of a prompt.
func (w *wired) keepsQuiet(t *testing.T) {
	t.Helper()
	for _, r := range w.up.Received() {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), "pk-") {
				t.Errorf("%s %s: a caller's key went upstream in %s", r.Method, r.Path, name)
			}
		}
		if strings.Contains(r.Query, "pk-") || bytes.Contains(r.Body, []byte("pk-")) {
			t.Errorf("%s %s: a caller's key went upstream", r.Method, r.Path)
		}
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range []string{wiretest.Key, "wire:", "You said", "The tool says"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s has %q in it", filepath.Base(path), secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestClients: the official clients, with nothing changed but base URL and key, find
// through the gateway what they find without it, and all of it is on record.
func TestClients(t *testing.T) {
	w := wire(t)
	t.Run("own", func(t *testing.T) {
		for _, c := range wiretest.Clients {
			t.Run(c.Script, func(t *testing.T) {
				t.Parallel()
				w.run(t, c, func(*wiretest.Settings) {})
			})
		}
	})
	w.keepsQuiet(t)
}

// TestClientsWhoseBaseEndsInASlash: most clients take the slash away, and some join it with
// the path's own. Neither may notice, and none is redirected.
func TestClientsWhoseBaseEndsInASlash(t *testing.T) {
	w := wire(t)
	t.Run("slash", func(t *testing.T) {
		ends := map[string]string{"py_openai.py": "/", "openai.cjs": "//", "anthropic.cjs": "//", "genai.cjs": "//"}
		for _, c := range wiretest.Clients {
			if end := ends[c.Script]; end != "" {
				t.Run(c.Script, func(t *testing.T) {
					t.Parallel()
					w.run(t, c, func(s *wiretest.Settings) { s.Base += end })
				})
			}
		}
	})
	w.keepsQuiet(t)
}

// TestSlashesInARow: a call is answered where it is sent to, whatever stands between its
// base URL and its path.
func TestSlashesInARow(t *testing.T) {
	w := wire(t)
	_, key := w.key(t, "slashes", 0)
	said := `"messages":[{"role":"user","content":"Hello"}]`
	for _, c := range []struct{ path, body string }{
		{"/v1//chat/completions?trace=a//b", `{"model":"gpt-5-mini",` + said + `}`},
		{"//v1/chat/completions", `{"model":"gpt-5-mini",` + said + `}`},
		{"/azure//openai/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21", `{` + said + `}`},
		{"/anthropic//v1/messages?beta=true", `{"model":"claude-sonnet-4-5","max_tokens":20,` + said + `}`},
		{"/gemini//v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[{"parts":[{"text":"Hello"}]}]}`},
		{"/gemini//v1beta/models/acme%2Fclaims-large:generateContent", `{"contents":[{"parts":[{"text":"Hello"}]}]}`},
		{"/bedrock//model/amazon.nova-lite-v1%3A0/converse", `{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}`},
	} {
		q, err := http.NewRequestWithContext(t.Context(), "POST", w.base+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+key)
		q.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultTransport.RoundTrip(q) // which follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(got), "You said: Hello") {
			t.Errorf("%s: %d %s, error %v", c.path, resp.StatusCode, got, err)
		}
	}
}

// TestClientsOfOneVendorWithModelsOfAnother: what every dialect has arrives in the
// client's own, by way of translation; not one of them notices.
func TestClientsOfOneVendorWithModelsOfAnother(t *testing.T) {
	w := wire(t)
	models := map[string]string{"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "bedrock": "amazon.nova-lite-v1:0"}
	t.Run("translated", func(t *testing.T) {
		for _, c := range wiretest.Clients {
			for api, model := range models {
				if api == c.API || c.API == "azure" && api == "openai" {
					continue
				}
				t.Run(c.Script+" "+api, func(t *testing.T) {
					t.Parallel()
					w.run(t, c, func(s *wiretest.Settings) { s.Model, s.Translated = model, true })
				})
			}
		}
	})
	w.keepsQuiet(t)
}

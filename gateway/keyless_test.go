package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/event"
	"plumbline/inventory"
)

// keyed is an upstream that answers to each key as the test says, and notes which
// keys came.
type keyed struct {
	mu     sync.Mutex
	status map[string]int // 200 for what is not here
	came   []string
}

func (k *keyed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	k.mu.Lock()
	k.came = append(k.came, key)
	status := k.status[key]
	k.mu.Unlock()
	if status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"no"}}`)
		return
	}
	answerPlain(w, r)
}

func (k *keyed) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.came
	k.came = nil
	return out
}

// A key that is refused or limited is set aside, and another serves the same
// exchange; each attempt is on record before it is sent.
func TestKeysRotate(t *testing.T) {
	for _, c := range []struct {
		name   string
		status map[string]int
		answer int
		came   []string
		tries  uint32
		then   []string // keys of the next call
	}{
		{"all well", nil, 200, []string{"a"}, 1, []string{"b"}},
		{"refused", map[string]int{"a": 401}, 200, []string{"a", "b"}, 2, []string{"c"}},
		{"forbidden", map[string]int{"a": 403}, 200, []string{"a", "b"}, 2, []string{"c"}},
		{"unpaid", map[string]int{"a": 402}, 200, []string{"a", "b"}, 2, []string{"c"}},
		{"limited", map[string]int{"a": 429, "b": 429}, 200, []string{"a", "b", "c"}, 3, []string{"c"}},
		{"all limited", map[string]int{"a": 429, "b": 429, "c": 429}, 429, []string{"a", "b", "c"}, 3, []string{"a"}},
		{"all refused", map[string]int{"a": 401, "b": 401, "c": 401}, 502, []string{"a", "b", "c"}, 3, []string{"a"}},
		{"about the request", map[string]int{"a": 400}, 400, []string{"a"}, 1, []string{"b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := &keyed{status: c.status}
			r := newRig(t, up.ServeHTTP)
			r.env["env:A"], r.env["env:B"], r.env["env:C"] = "a", "b", "c"
			r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: r.up.URL + "/v1", CredentialRef: "env:A", Credentials: []inventory.ProviderKey{{Ref: "env:B", Weight: 1}, {Ref: "env:C"}}}
			r.use()
			resp, answer := r.post(ask("gpt-4o-mini", "hello"))
			if resp.StatusCode != c.answer {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
			if diff := cmp.Diff(c.came, up.taken()); diff != "" {
				t.Error(diff)
			}
			r.rec.wait(t, int(c.tries)+1)
			last := r.rec.last()
			if last.Kind != event.Outcome || uint32(last.Tries) != c.tries {
				t.Errorf("%s, %d tries", r.rec.kinds(), last.Tries)
			}
			r.post(ask("gpt-4o-mini", "hello"))
			if came := up.taken(); len(came) == 0 || came[0] != c.then[0] {
				t.Errorf("then %v", came)
			}
		})
	}
}

// A provider whose key is not there is not called; the caller is told which, and
// that it may come back.
func TestKeyThatIsNotThere(t *testing.T) {
	r := newRig(t, answerPlain)
	delete(r.env, "env:UP")
	r.org().Providers["up"] = &inventory.Provider{ID: "up", Kind: "openai", BaseURL: r.up.URL + "/v1", CredentialRef: "env:AWAY"}
	r.use()
	resp, answer := r.post(ask("gpt-4o-mini", "hello"))
	if resp.StatusCode != 503 || code(answer) != "provider_credential_unavailable" || resp.Header.Get("Retry-After") == "" || strings.Contains(answer, "AWAY") {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	if r.body != nil {
		t.Error("it was called")
	}
	r.rec.wait(t, 2)
	if e := r.rec.last(); e.UpstreamErr != "no_credential" || e.Tries != 1 || e.Charge != 0 {
		t.Errorf("%+v", e)
	}
}

// A caller never chooses where a key goes: nothing of a request leads elsewhere, and
// an upstream that points elsewhere is not followed.
func TestCallerNeverChoosesWhereAKeyGoes(t *testing.T) {
	var elsewhere atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer trap.Close()
	host := strings.TrimPrefix(trap.URL, "http://")
	var mu sync.Mutex
	var came []*http.Request
	moved := false
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		came = append(came, q)
		away := moved
		mu.Unlock()
		if away {
			http.Redirect(w, q, trap.URL+"/v1/chat/completions", http.StatusTemporaryRedirect)
			return
		}
		answerPlain(w, q)
	})
	send := func(name, path string, header http.Header, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, r.srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+testKey)
		req.Header.Set("Content-Type", "application/json")
		for k, v := range header {
			if req.Header[k] = v; k == "Host" {
				req.Host = v[0]
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(name, err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	plain := ask("gpt-4o-mini", "hello")
	for _, name := range []string{"Host", "X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Url", "X-Rewrite-Url", "X-Base-Url", "X-Upstream", "Openai-Base-Url", "Helicone-Target-Url", "Helicone-Openai-Api-Base",
		"X-Portkey-Custom-Host", "X-Portkey-Config", "X-Portkey-Provider", "Cf-Aig-Base-Url", "X-Litellm-Api-Base", "Api-Base", "Location", "Proxy", "Via"} {
		for _, value := range []string{trap.URL, host, trap.URL + "/v1", `{"custom_host":"` + trap.URL + `"}`} {
			if name == "Host" && value != host {
				continue
			}
			if status, text := send(name, "/v1/chat/completions", http.Header{name: {value}}, plain); status != 200 && status >= 500 {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
	}
	for _, query := range []string{"?api_base=", "?base_url=", "?host=", "?url=", "?target="} {
		send(query, "/v1/chat/completions"+query+trap.URL, nil, plain)
	}
	for _, field := range []string{"api_base", "base_url", "api_key", "host", "endpoint", "custom_host", "provider", "azure_endpoint", "extra_headers", "metadata"} {
		for _, value := range []string{`"` + trap.URL + `"`, `{"base_url":"` + trap.URL + `","host":"` + host + `"}`} {
			send(field, "/v1/chat/completions", nil, strings.Replace(plain, `{`, `{"`+field+`":`+value+`,`, 1))
		}
	}
	for _, model := range []string{"@" + host, "../../" + host, trap.URL, "gpt-4o-mini@" + host, "//" + host + "/x"} {
		send(model, "/v1/chat/completions", nil, strings.Replace(plain, "gpt-4o-mini", model, 1))
		r.org().Routes[model] = &inventory.Route{Model: model, Provider: "up", Unpriced: true}
	}
	r.use() // the names lead somewhere now, and still nowhere else
	for model := range r.org().Routes {
		send(model, "/v1/chat/completions", nil, strings.Replace(plain, "gpt-4o-mini", model, 1))
	}
	mu.Lock()
	moved = true
	mu.Unlock()
	if status, text := send("redirect", "/v1/chat/completions", nil, plain); status != 502 || strings.Contains(text, host) {
		t.Errorf("a redirect: %d %s", status, text)
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d calls went elsewhere", n)
	}
	want := strings.TrimPrefix(r.up.URL, "http://")
	if len(came) < 80 {
		t.Errorf("only %d calls came at all", len(came))
	}
	for _, q := range came {
		if q.Host != want || q.Header.Get("Authorization") != "Bearer sk-upstream" {
			t.Errorf("host %s", q.Host)
		}
		for name, list := range q.Header {
			if strings.Contains(strings.Join(list, " "), host) {
				t.Errorf("%s names the other host", name)
			}
		}
	}
}

package gateway

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttributes(t *testing.T) {
	many := http.Header{}
	for i := range 40 {
		many.Set(fmt.Sprintf("Helicone-Property-P%02d", i), "x")
	}
	for _, c := range []struct {
		name string
		in   http.Header
		want map[string]string
	}{
		{"ours", http.Header{"X-Plumbline-Metadata": {`{"Team":"red","n":5,"on":true,"deep":{"a":1}}`}}, map[string]string{"team": "red", "n": "5", "on": "true"}},
		{"LiteLLM", http.Header{"X-Litellm-Tags": {"a,b"}, "X-Litellm-Spend-Logs-Metadata": {`{"team":"red"}`}}, map[string]string{"tags": "a,b", "team": "red"}},
		{"Portkey", http.Header{"X-Portkey-Metadata": {`{"_user":"u1","env":"prod"}`}, "X-Portkey-Trace-Id": {"t1"}}, map[string]string{"user": "u1", "env": "prod", "trace": "t1"}},
		{"Helicone", http.Header{"Helicone-Property-Feature": {"search"}, "Helicone-Session-Id": {"s"}}, map[string]string{"feature": "search", "session": "s"}},
		{"Cloudflare", http.Header{"Cf-Aig-Metadata": {`{"team":"red"}`}}, map[string]string{"team": "red"}},
		{"the first one said counts", http.Header{"X-Plumbline-Metadata": {`{"team":"red"}`}, "Cf-Aig-Metadata": {`{"team":"blue"}`}}, map[string]string{"team": "red"}},
		{"not JSON", http.Header{"X-Plumbline-Metadata": {`{"team`}}, map[string]string{}},
		{"too long, unprintable, no name", http.Header{"X-Plumbline-Metadata": {`{"a":"` + strings.Repeat("x", 129) + `","b":"\u0000","c c":"x","":"x"}`}}, map[string]string{}},
	} {
		if diff := cmp.Diff(c.want, attributesOf(c.in)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if n := len(attributesOf(many)); n != mostAttributes {
		t.Errorf("%d of 40 were taken", n)
	}
}

// What the caller says of a call reaches the record where it is declared, and the
// provider never.
func TestAttributesAreRecordedWhereDeclared(t *testing.T) {
	var seen http.Header
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		seen = q.Header.Clone()
		answerPlain(w, q)
	})
	r.org().Settings.Attributes = []string{"team"}
	r.use()
	req, _ := http.NewRequest(http.MethodPost, r.srv.URL+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}]}`))
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("X-Litellm-Spend-Logs-Metadata", `{"team":"red","secret_project":"x"}`)
	req.Header.Set("X-Litellm-End-User-Id", "jane@example.com")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.rec.wait(t, 2)
	if e := r.rec.events[0]; !cmp.Equal(e.Attributes, []string{"team=red"}) || e.Pseudonym == [16]byte{} {
		t.Errorf("%v %x", e.Attributes, e.Pseudonym)
	}
	if e := r.rec.last(); e.Attributes != nil {
		t.Errorf("said again with the outcome: %v", e.Attributes)
	}
	for name := range seen {
		if strings.HasPrefix(name, "X-Litellm") {
			t.Errorf("%s went upstream", name)
		}
	}
	if resp.Header.Get("X-Plumbline-Provider") != "up" || resp.Header.Get("X-Plumbline-Model") != "gpt-4o-mini-2024-07-18" || !regexp.MustCompile(`^0\.0\d+$`).MatchString(resp.Header.Get("X-Plumbline-Cost")) || resp.Header.Get("X-Plumbline-Policy") != "allow" || resp.Header.Get("X-Plumbline-Cache") != "none" || resp.Header.Get("X-Plumbline-Exchange") != resp.Header.Get("X-Request-Id") {
		t.Errorf("%v", resp.Header)
	}
}

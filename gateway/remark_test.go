package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// TestRemarks: what may be declared and refuses every call that needs it is said, with
// its place; what works is passed over.
func TestRemarks(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	o := r.org()
	delete(o.Routes, "unpriced")
	o.Providers["typo"] = &inventory.Provider{ID: "typo", Kind: "gemini", Vendor: "gemini"}
	at := func(line int) inventory.Origin { return inventory.Origin{File: "/d.yaml", Line: line} }
	r.use()
	if got := r.g.Remarks(); len(got) != 0 {
		t.Errorf("of what works: %v", got)
	}
	o.Routes["flash"] = &inventory.Route{Model: "flash", Provider: "typo", Target: "gemini-2.5-flash", Origin: at(7)}
	o.Routes["let"] = &inventory.Route{Model: "let", Provider: "typo", Unpriced: true}
	o.Routes["own"] = &inventory.Route{Model: "own", Targets: []inventory.Target{{Provider: "up", Model: "no-such-model"}, {Route: "let"}}, Origin: at(3)}
	o.Routes["when"] = &inventory.Route{Model: "when", Targets: []inventory.Target{{Provider: "up", Model: "gpt-4o-mini", When: map[string]inventory.OneOf{"endpoint": {"chat", "responses"}}}}, Origin: at(12)}
	r.snap.Keys["k1"].Models = []string{"alias", "gone"}
	r.snap.Keys["k1"].Origin = at(5)
	o.Systems["SYS-001"].Lifecycle = inventory.Retired
	r.use()
	var got []string
	for _, remark := range r.g.Remarks() {
		got = append(got, remark.String())
	}
	if len(got) != 5 {
		t.Fatalf("%d remarks: %s", len(got), strings.Join(got, "\n"))
	}
	for i, want := range []string{
		`/d.yaml, line 3: route "own" leads to the model "no-such-model" of the vendor "openai", which has no price`,
		`/d.yaml, line 5: the key k1 is of the AI system SYS-001, which is retired`,
		`/d.yaml, line 5: the key k1 may ask for "gone", which no route is called`,
		`/d.yaml, line 7: route "flash" leads to the model "gemini-2.5-flash" of the vendor "gemini", which has no price`,
		`/d.yaml, line 12: route "when" has a condition on the endpoint "chat", which there is none of; there are: audio.speech, `,
	} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("%s\nwant %s", got[i], want)
		}
	}
	if lists := "; vendors with prices are anthropic, "; strings.Contains(got[0], lists) || !strings.Contains(got[3], lists) {
		t.Errorf("vendors are listed where the name is none of them, and only there:\n%s", strings.Join(got, "\n"))
	}
}

// TestEndpointNames: those that a condition may name are those of calls that have a route.
func TestEndpointNames(t *testing.T) {
	for _, name := range []string{"chat.completions", "responses", "messages", "generate_content", "converse", "files.create"} {
		if !slices.Contains(endpoints, name) {
			t.Errorf("%s is missing", name)
		}
	}
	if diff := cmp.Diff(slices.Compact(slices.Clone(endpoints)), endpoints); diff != "" || slices.Contains(endpoints, "models") || slices.Contains(endpoints, "files.list") {
		t.Errorf("%v %s", endpoints, diff)
	}
}

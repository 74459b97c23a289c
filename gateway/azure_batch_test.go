package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

// Azure's files and batches, by either of its ways: the paths that its clients ask, the
// deployment in every request, and its words in the answers.
func TestAzureBatch(t *testing.T) {
	const app = "?api-version=2025-04-01-preview" // the client's; a provider is asked in its own
	for _, c := range []struct{ kind, base, query string }{
		{"azure-deployments", "/openai", "api-version=2024-10-21"},
		{"azure", "/openai/v1", ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			b := newBatchRig(t)
			b.org().Providers["wire"] = &inventory.Provider{ID: "wire", Kind: c.kind, Vendor: "openai", BaseURL: b.wire.URL + c.base, CredentialRef: "env:WIRE"}
			b.use()
			b.pending = true
			line := func(id, model, prompt string) string {
				return strings.Replace(chatLine(id, model, prompt), "/v1/chat", "/chat", 1)
			}
			resp, answer := b.sendForm("/azure/openai/files"+app, testKey, "batch", line("a", "small", "Write to jane@example.com")+"\n"+line("b", "small", "Good morning"))
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			file := member(answer, "id")
			if diff := cmp.Diff(line("a", "gpt-4o-mini", "Write to [EMAIL]")+"\n"+line("b", "gpt-4o-mini", "Good morning"), string(b.wire.Files()[file])); diff != "" {
				t.Errorf("what left: %s", diff)
			}
			if s := member(b.do(200, "GET", "/azure/openai/files/"+file+app, testKey, ""), "status"); s != "processed" {
				t.Errorf("the file is %q", s)
			}
			batch := member(b.do(200, "POST", "/azure/openai/batches"+app, testKey, strings.Replace(ofFile(file), "/v1/chat", "/chat", 1)), "id")
			if b.held() == 0 {
				t.Error("nothing is held")
			}
			at := "/azure/openai/batches/" + batch
			if s := member(b.do(200, "GET", at+app, testKey, ""), "status"); s != "in_progress" {
				t.Errorf("the batch is %q", s)
			}
			b.do(404, "GET", at+app, siblingKey, "")
			b.pending = false
			answer = b.do(200, "GET", at+app, testKey, "")
			e := b.settled("batches.create")[0]
			output := member(answer, "output_file_id")
			used := usageOf(t, b.wire.Files()[output])
			if want := money.Nano(used[0])*75 + money.Nano(used[1])*300; want == 0 || e.Charge != want || b.charged() != want || b.held() != 0 || e.Usage.Requests != 2 || e.Source != event.UsageProvider || e.End != event.EndComplete {
				t.Errorf("want a charge of %d, held %d: %+v", want, b.held(), e)
			}
			if results := b.do(200, "GET", "/azure/openai/files/"+output+"/content"+app, testKey, ""); strings.Count(results, "\n") != 2 || !strings.Contains(results, `"custom_id":"b"`) {
				t.Errorf("results %s", results)
			}
			if list := b.do(200, "GET", "/azure/openai/batches"+app, testKey, ""); !strings.Contains(list, batch) || strings.Contains(b.do(200, "GET", "/azure/openai/batches"+app, siblingKey, ""), batch) {
				t.Error(list)
			}
			b.pending = true
			second := member(b.do(200, "POST", "/azure/openai/batches"+app, testKey, strings.Replace(ofFile(file), "/v1/chat", "/chat", 1)), "id")
			if s := member(b.do(200, "POST", "/azure/openai/batches/"+second+"/cancel"+app, testKey, ""), "status"); s != "cancelled" {
				t.Errorf("the cancelled batch is %q", s)
			}
			b.do(200, "DELETE", "/azure/openai/files/"+file+app, testKey, "")
			b.do(404, "GET", "/azure/openai/files/"+file+app, testKey, "")
			for _, r := range b.wire.Received() {
				if r.Query != c.query || !strings.HasPrefix(r.Path, c.base+"/") || r.Header.Get("Api-Key") == "" || r.Header.Get("Authorization") != "" {
					t.Errorf("the provider was asked %s %s?%s", r.Method, r.Path, r.Query)
				}
			}
		})
	}
}

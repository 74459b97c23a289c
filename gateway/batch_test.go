package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// batchRig is a gateway before an upstream that keeps files and batches.
type batchRig struct {
	*rig
	wire    *wiretest.Server
	pending bool
}

func newBatchRig(t *testing.T) *batchRig {
	b := &batchRig{rig: newRig(t, func(http.ResponseWriter, *http.Request) {}), wire: wiretest.Start()}
	t.Cleanup(b.wire.Close)
	b.wire.Pending = func() bool { return b.pending }
	b.env["env:WIRE"] = wiretest.Key
	org := b.org()
	org.Providers["wire"] = &inventory.Provider{ID: "wire", Kind: "openai", BaseURL: b.wire.URL + "/v1", CredentialRef: "env:WIRE"}
	org.Providers["claude"] = &inventory.Provider{ID: "claude", Kind: "anthropic", BaseURL: b.wire.URL + "/v1", CredentialRef: "env:WIRE"}
	org.Providers["gem"] = &inventory.Provider{ID: "gem", Kind: "gemini", BaseURL: b.wire.URL + "/v1beta", CredentialRef: "env:WIRE"}
	org.Routes["gpt-4o-mini"] = &inventory.Route{Model: "gpt-4o-mini", Provider: "wire"}
	org.Routes["small"] = &inventory.Route{Model: "small", Provider: "wire", Target: "gpt-4o-mini"}
	org.Routes["claude-haiku-4-5"] = &inventory.Route{Model: "claude-haiku-4-5", Provider: "claude"}
	org.Routes["gemini-2.5-flash"] = &inventory.Route{Model: "gemini-2.5-flash", Provider: "gem"}
	for _, model := range []string{"alias", "dead", "sim-cut", "sim-embed", "sim-small", "unpriced"} {
		delete(org.Routes, model)
	}
	other := *org.Systems["SYS-001"]
	other.ID = "SYS-002"
	org.Systems["SYS-002"] = &other
	stranger := *org
	stranger.Org.ID, stranger.OrgBudgets = "evil", nil
	b.snap.Orgs["evil"] = &stranger
	b.snap.Keys["k3"] = &inventory.Key{ID: "k3", Org: "acme", System: "SYS-002", Hash: hashKey("secret")}
	b.snap.Keys["k4"] = &inventory.Key{ID: "k4", Org: "evil", System: "SYS-001", Hash: hashKey("secret")}
	b.use()
	return b
}

// sendForm uploads a file.
func (b *batchRig) sendForm(path, key, purpose, text string) (*http.Response, string) {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	w.WriteField("purpose", purpose)
	f, _ := w.CreateFormFile("file", "lines.jsonl")
	f.Write([]byte(text))
	w.Close()
	req, _ := http.NewRequest(http.MethodPost, b.srv.URL+path, &body)
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp, string(answer)
}

// do is send, and fails the test unless the answer is as it should be.
func (b *batchRig) do(want int, method, path, key, body string) string {
	b.t.Helper()
	resp, answer := b.send(method, path, key, body)
	if resp.StatusCode != want {
		b.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	return answer
}

func member(answer, name string) string {
	var o map[string]any
	json.Unmarshal([]byte(answer), &o)
	s, _ := o[name].(string)
	return s
}

func chatLine(id, model, prompt string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":%q,"max_tokens":100,"messages":[{"role":"user","content":%q}],"seed":9007199254740993}}`, id, model, prompt)
}

func (b *batchRig) upload(text string) string {
	b.t.Helper()
	resp, answer := b.sendForm("/v1/files", testKey, "batch", text)
	if resp.StatusCode != 200 {
		b.t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	return member(answer, "id")
}

func ofFile(id string) string {
	return fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"night":"run"}}`, id)
}

func (b *batchRig) held() money.Nano { return b.g.c.Budgets.Now(b.org().OrgBudgets[0]).Held }
func (b *batchRig) charged() money.Nano {
	return b.g.c.Budgets.Now(b.org().OrgBudgets[0]).Charged
}

// outcomes are the ends of exchanges of an endpoint.
func (b *batchRig) outcomes(endpoint string) (out []event.Event) {
	b.rec.mu.Lock()
	defer b.rec.mu.Unlock()
	for _, e := range b.rec.events {
		if e.Endpoint == endpoint && (e.Kind == event.Outcome || e.Kind == event.Incomplete) {
			out = append(out, e)
		}
	}
	return out
}

// A batch from its file to its results: what is held, what leaves, what comes back, and
// what it costs.
func TestBatch(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	file := b.upload(chatLine("a", "small", "Write to jane@example.com") + "\r\n\n" + chatLine("b", "small", "Good morning"))
	sent := string(b.wire.Files()[file])
	want := chatLine("a", "gpt-4o-mini", "Write to [EMAIL]") + "\r\n\n" + chatLine("b", "gpt-4o-mini", "Good morning")
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("what left: %s", diff)
	}
	if e := b.outcomes("files.create"); len(e) != 1 || e[0].Charge != 0 || e[0].Usage.Input != 0 {
		t.Errorf("a file costs nothing: %+v", e)
	}
	answer := b.do(200, "POST", "/v1/batches", testKey, ofFile(file))
	id := member(answer, "id")
	var intent event.Event
	for _, e := range b.rec.events {
		if e.Kind == event.Intent && e.Endpoint == "batches.create" {
			intent = e
		}
	}
	if left := time.UnixMicro(intent.Deadline).Sub(time.UnixMicro(intent.At)); left != 26*time.Hour || intent.ModelAsked != "small" || intent.ModelTarget != "gpt-4o-mini" || intent.Provider != "wire" {
		t.Errorf("the intent: %s %+v", left, intent)
	}
	// Two bodies and 2 × 100 tokens of output at half of 0.15 and 0.60 dollars a million.
	bytesIn := money.Nano(0)
	for _, line := range strings.Split(chatLine("a", "small", "Write to jane@example.com")+"\n"+chatLine("b", "small", "Good morning"), "\n") {
		bytesIn += money.Nano(len(line[strings.Index(line, `"body":`)+7:]) - 1)
	}
	if want := bytesIn*75 + 200*300; b.held() != want || len(intent.Holds) != 1 || intent.Holds[0].Amount != want {
		t.Errorf("held %d, want %d", b.held(), want)
	}
	if s := member(b.do(200, "GET", "/v1/batches/"+id, testKey, ""), "status"); s != "in_progress" || b.held() == 0 || len(b.outcomes("batches.create")) != 0 {
		t.Errorf("%s, held %s, %d outcomes", s, b.held(), len(b.outcomes("batches.create")))
	}
	b.wire.Forge = func(line []byte) []byte {
		return bytes.ReplaceAll(line, []byte("Good morning"), []byte("Ask joe@example.com"))
	}
	b.pending = false
	answer = b.do(200, "GET", "/v1/batches/"+id, testKey, "")
	b.rec.wait(t, 8)
	ends := b.outcomes("batches.create")
	if len(ends) != 1 {
		t.Fatalf("%d outcomes", len(ends))
	}
	e := ends[0]
	used := usageOf(t, b.wire.Files()[member(answer, "output_file_id")])
	if e.Usage.Input != used[0] || e.Usage.Output != used[1] || !e.Usage.Batch || e.Usage.Requests != 2 || e.Source != event.UsageProvider || e.Exchange != intent.Exchange || e.System != "SYS-001" || e.Key != "k1" {
		t.Errorf("usage %v: %+v", used, e)
	}
	if want := money.Nano(used[0])*75 + money.Nano(used[1])*300; e.Charge != want || b.charged() != want || b.held() != 0 || e.Held <= e.Charge {
		t.Errorf("charged %d and %d, want %d; held %d", e.Charge, b.charged(), want, b.held())
	}
	results := b.do(200, "GET", "/v1/files/"+member(answer, "output_file_id")+"/content", testKey, "")
	if strings.Contains(results, "joe@") || strings.Count(results, "\n") != 2 || !strings.Contains(results, `"custom_id":"b"`) {
		t.Errorf("results %s", results)
	}
	b.rec.wait(t, 10)
	if e := b.rec.last(); e.Endpoint != "files.content" || e.AnswerGuard[0].State != event.Hit || e.AnswerGuard[0].Action != event.ActionRedacted || e.Charge != 0 {
		t.Errorf("%+v", e)
	}
	// Asked again, by the app and by the gateway itself, nothing is charged again.
	b.do(200, "GET", "/v1/batches/"+id, testKey, "")
	if n, err := b.settleNow(); n != 0 || err != nil || len(b.outcomes("batches.create")) != 1 || b.charged() != e.Charge {
		t.Errorf("settled again: %d %v", n, err)
	}
	list := b.do(200, "GET", "/v1/batches", testKey, "")
	if !strings.Contains(list, id) || !strings.Contains(list, `"status":"completed"`) || !strings.Contains(list, `"has_more":false`) {
		t.Error(list)
	}
}

// usageOf sums what the results of chat completions say.
func usageOf(t *testing.T, results []byte) (out [2]int64) {
	t.Helper()
	for line := range bytes.Lines(results) {
		var l struct {
			Response struct {
				Body struct {
					Usage struct {
						In  int64 `json:"prompt_tokens"`
						Out int64 `json:"completion_tokens"`
					}
				}
			}
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		out[0] += l.Response.Body.Usage.In
		out[1] += l.Response.Body.Usage.Out
	}
	return out
}

// Files and batches are their owner's alone.
func TestKeptObjectsHaveAnOwner(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	file := b.upload(chatLine("a", "gpt-4o-mini", "x"))
	batch := member(b.do(200, "POST", "/v1/batches", testKey, ofFile(file)), "id")
	message := member(b.do(200, "POST", "/anthropic/v1/messages/batches", testKey, messageBatch("x")), "id")
	b.wire.Forget()
	for _, key := range []string{siblingKey, strangerKey} {
		for _, c := range []struct{ method, path, body, code string }{
			{"GET", "/v1/files/" + file, "", "file_not_found"},
			{"GET", "/v1/files/" + file + "/content", "", "file_not_found"},
			{"DELETE", "/v1/files/" + file, "", "file_not_found"},
			{"POST", "/v1/batches", ofFile(file), "file_not_found"},
			{"GET", "/v1/batches/" + batch, "", "batch_not_found"},
			{"POST", "/v1/batches/" + batch + "/cancel", "", "batch_not_found"},
			{"GET", "/anthropic/v1/messages/batches/" + message, "", "batch_not_found"},
			{"GET", "/anthropic/v1/messages/batches/" + message + "/results", "", "batch_not_found"},
			{"DELETE", "/anthropic/v1/messages/batches/" + message, "", "batch_not_found"},
		} {
			if resp, answer := b.send(c.method, c.path, key, c.body); resp.StatusCode != 404 || !strings.Contains(answer, c.code) {
				t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, answer)
			}
		}
		for _, path := range []string{"/v1/files", "/v1/batches", "/anthropic/v1/messages/batches"} {
			if answer := b.do(200, "GET", path, key, ""); !strings.Contains(answer, `"data":[]`) {
				t.Errorf("%s: %s", path, answer)
			}
		}
	}
	if n := len(b.wire.Received()); n != 0 {
		t.Errorf("%d calls reached the provider", n)
	}
	for _, odd := range []string{"..%2fbatches", "a%2fb", strings.Repeat("a", 300), "x?y"} {
		if resp, answer := b.send("GET", "/v1/files/"+odd, testKey, ""); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", odd, resp.StatusCode, answer)
		}
	}
	if answer := b.do(200, "GET", "/v1/files", testKey, ""); member(answer, "first_id") != file {
		t.Error(answer)
	}
	b.do(200, "DELETE", "/v1/files/"+file, testKey, "")
	if answer := b.do(404, "GET", "/v1/files/"+file, testKey, ""); code(answer) != "file_not_found" {
		t.Error(answer)
	}
}

func messageBatch(prompts ...string) string {
	var list []string
	for i, p := range prompts {
		list = append(list, fmt.Sprintf(`{"custom_id":"m%d","params":{"model":"claude-haiku-4-5","max_tokens":50,"messages":[{"role":"user","content":%q}]}}`, i, p))
	}
	return `{"requests":[` + strings.Join(list, ", ") + `]}`
}

// A message batch of Anthropic's, whose results are blocked line by line.
func TestMessageBatch(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	answer := b.do(200, "POST", "/anthropic/v1/messages/batches?beta=true", testKey, messageBatch("Write to jane@example.com", "Good morning", "Good night"))
	id := member(answer, "id")
	if got := b.wire.Received(); len(got) != 1 || bytes.Contains(got[0].Body, []byte("jane@")) || got[0].Header.Get("Anthropic-Version") == "" {
		t.Errorf("what left: %s", got[0].Body)
	}
	if b.held() == 0 {
		t.Error("nothing is held")
	}
	if resp, answer := b.send("GET", "/anthropic/v1/messages/batches/"+id+"/results", testKey, ""); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	b.wire.Forge = func(line []byte) []byte {
		return bytes.ReplaceAll(line, []byte("Good morning"), []byte("AKIAIOSFODNN7EXAMPLE is the key"))
	}
	b.pending = false
	answer = b.do(200, "GET", "/anthropic/v1/messages/batches/"+id, testKey, "")
	if url := member(answer, "results_url"); url != "/v1/messages/batches/"+id+"/results" {
		t.Errorf("results at %s", url)
	}
	if list := b.do(200, "GET", "/v1/messages/batches", testKey, ""); strings.Contains(list, "api.anthropic.com") || !strings.Contains(list, id) {
		t.Error(list)
	}
	results := b.do(200, "GET", "/anthropic/v1/messages/batches/"+id+"/results", testKey, "")
	lines := strings.Split(strings.TrimSpace(results), "\n")
	if len(lines) != 3 || strings.Contains(results, "AKIA") || !strings.Contains(lines[1], `"custom_id":"m1","result":{"type":"errored","error":{"type":"error"`) || !strings.Contains(lines[1], "guard_blocked") ||
		!strings.Contains(lines[2], "Good night") || !json.Valid([]byte(lines[1])) {
		t.Errorf("%s", results)
	}
	ends := b.outcomes("messages.batches.create")
	if len(ends) != 1 || ends[0].Charge == 0 || ends[0].Usage.Requests != 3 || b.charged() != ends[0].Charge || b.held() != 0 {
		t.Errorf("%+v", ends)
	}
	b.do(200, "DELETE", "/anthropic/v1/messages/batches/"+id, testKey, "")
	b.do(404, "GET", "/anthropic/v1/messages/batches/"+id, testKey, "")
}

// Deleting a batch cannot hide what it cost.
func TestDeletedBatchesAreSettledFirst(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	id := member(b.do(200, "POST", "/anthropic/v1/messages/batches", testKey, messageBatch("Hello")), "id")
	if answer := b.do(409, "DELETE", "/anthropic/v1/messages/batches/"+id, testKey, ""); !strings.Contains(answer, "batch_open") {
		t.Error(answer)
	}
	b.pending = false
	b.do(200, "DELETE", "/anthropic/v1/messages/batches/"+id, testKey, "")
	if ends := b.outcomes("messages.batches.create"); len(ends) != 1 || ends[0].Charge == 0 {
		t.Errorf("%+v", ends)
	}
}

// The next run of the process takes up what the one before left open: its hold, and the
// batch. Both live to the batch's deadline.
func TestBatchOutlivesTheProcess(t *testing.T) {
	b := newBatchRig(t)
	b.pending = true
	id := member(b.do(200, "POST", "/v1/batches", testKey, ofFile(b.upload(chatLine("a", "gpt-4o-mini", "x")))), "id")
	held, kept := b.held(), b.g.c.Kept
	var intents []*event.Event
	for _, e := range b.rec.events {
		if e.Kind == event.Intent && event.Lasts(&e) {
			intents = append(intents, &e)
		}
	}
	restart := func(at time.Time) *batchRig {
		r := newBatchRig(t)
		r.wire = b.wire
		for _, p := range []inventory.ProviderID{"wire", "claude"} {
			r.org().Providers[p] = b.org().Providers[p]
		}
		now := func() time.Time { return at }
		r.g.c.Now, r.g.c.Since, r.g.c.Kept, r.g.c.Budgets = now, func(t time.Time) time.Duration { return at.Sub(t) }, kept, budget.New(now)
		r.use()
		r.g.Reopen(intents)
		return r
	}
	began := intents[0].Exchange.Time()
	r := restart(began.Add(23 * time.Hour))
	if r.held() != held || r.g.OpenBatches() != 1 {
		t.Fatalf("held %d after the restart, %d before", r.held(), held)
	}
	if n, err := r.settleNow(); n != 0 || err != nil || r.held() != held {
		t.Errorf("%d %v", n, err)
	}
	// With no word of it at its deadline it is charged at its hold.
	late := restart(began.Add(26*time.Hour + time.Second))
	if n, err := late.settleNow(); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if e := late.rec.last(); e.Kind != event.Incomplete || e.Code != "batch_overdue" || e.Source != event.UsageEstimated || e.Charge != held || late.charged() != held || late.held() != 0 {
		t.Errorf("%+v", e)
	}
	// The results are counted though the app never asks.
	b.pending = false
	if n, err := r.settleNow(); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if e := r.rec.last(); e.Kind != event.Outcome || e.Exchange != intents[0].Exchange || e.Source != event.UsageProvider || e.Charge == 0 || e.Charge >= held || r.held() != 0 || r.charged() != e.Charge {
		t.Errorf("%+v", e)
	}
	if answer := r.do(200, "GET", "/v1/batches/"+id, testKey, ""); member(answer, "status") != "completed" {
		t.Error(answer)
	}
}

func TestBatchRefusals(t *testing.T) {
	b := newBatchRig(t)
	b.org().Routes["costless"] = &inventory.Route{Model: "costless", Provider: "wire"}
	b.use()
	line := chatLine("a", "gpt-4o-mini", "x")
	for _, c := range []struct {
		name, text string
		status     int
		code       string
	}{
		{"empty", "\n\n", 400, "batch_empty"},
		{"no JSON", "{\n", 400, "batch_line_invalid"},
		{"two bodies", strings.Replace(line, `"method"`, `"body":{"model":"other"},"method"`, 1), 400, "batch_line_invalid"},
		{"two models in a body", strings.Replace(line, `"seed"`, `"model":"other","seed"`, 1), 400, "batch_line_invalid"},
		{"another call", strings.Replace(line, "chat/completions", "images/generations", 1), 400, "batch_line_invalid"},
		{"streamed", strings.Replace(line, `"seed"`, `"stream":true,"seed"`, 1), 400, "batch_line_invalid"},
		{"mixed and unprintable", line + "\n" + strings.Replace(chatLine("b", "x\x00", "x"), `\x00`, `\u0000`, 1), 400, "model_malformed"},
		{"mixed", line + "\n" + chatLine("b", "small", "x"), 400, "batch_mixed"},
		{"unknown model", chatLine("a", "nobody", "x"), 404, "model_not_found"},
		{"of a provider without batches", chatLine("a", "gemini-2.5-flash", "x"), 404, "operation_unsupported"},
		{"of a provider with others", chatLine("a", "claude-haiku-4-5", "x"), 404, "operation_unsupported"},
		{"a secret", chatLine("a", "gpt-4o-mini", "AKIAIOSFODNN7EXAMPLE"), 400, "guard_blocked"},
	} {
		if resp, answer := b.sendForm("/v1/files", testKey, "batch", c.text); resp.StatusCode != c.status || code(answer) != c.code {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
	if n := len(b.wire.Received()); n != 0 {
		t.Errorf("%d calls reached the provider", n)
	}
	file := b.upload(line)
	costless := b.upload(chatLine("a", "costless", "x"))
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		before     func()
	}{
		{"no file", `{"endpoint":"/v1/chat/completions","completion_window":"24h"}`, 400, "batch_invalid", nil},
		{"another endpoint", strings.Replace(ofFile(file), "chat/completions", "embeddings", 1), 400, "batch_invalid", nil},
		{"for ever", strings.Replace(ofFile(file), "24h", "9999h", 1), 400, "batch_invalid", nil},
		{"not this one's", ofFile("file-1"), 404, "file_not_found", nil},
		{"unpriced", ofFile(costless), 403, "model_unpriced", nil},
		{"no money", ofFile(file), 429, "budget_exceeded", func() { b.org().OrgBudgets[0].Limit = 100 }},
		{"not allowed any more", ofFile(file), 403, "model_not_allowed", func() { b.snap.Keys["k1"].Models = []string{"small"} }},
	} {
		if c.before != nil {
			c.before()
			b.use()
		}
		if resp, answer := b.send("POST", "/v1/batches", testKey, c.body); resp.StatusCode != c.status || code(answer) != c.code {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
	if b.held() != 0 || b.g.OpenBatches() != 0 {
		t.Errorf("%s is held for batches that were not made", b.held())
	}
}

// Of other files no guard reads anything, and the record says so.
func TestOtherFiles(t *testing.T) {
	b := newBatchRig(t)
	b.snap.Keys["k1"].Models = []string{"gpt-4o-mini", "claude-haiku-4-5"} // the second has no files
	b.use()
	resp, answer := b.sendForm("/openai/v1/files", testKey, "user_data", "jane@example.com\x00\xff")
	if resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	b.rec.wait(t, 2)
	if v := b.rec.events[0].Prompt; len(v) == 0 || v[0].State != event.NotRun || v[0].Reason != "media_unread" {
		t.Errorf("%+v", v)
	}
	id := member(answer, "id")
	if content := b.do(200, "GET", "/v1/files/"+id+"/content", testKey, ""); content != "jane@example.com\x00\xff" {
		t.Errorf("%q", content)
	}
	b.rec.wait(t, 4)
	if v := b.rec.last().AnswerGuard; len(v) == 0 || v[0].State != event.NotRun || v[0].Reason != "media" {
		t.Errorf("%+v", v)
	}
	if resp, answer := b.send("POST", "/v1/batches", testKey, ofFile(id)); resp.StatusCode != 400 || code(answer) != "batch_invalid" {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}

	// A route that is not meant for such a call, or leads out of the system's regions, is
	// not chosen for a file that names no model.
	system := b.org().Systems["SYS-001"]
	b.org().Providers["wire"].Region, b.org().Providers["far"] = "eu", &inventory.Provider{ID: "far", Kind: "openai", BaseURL: b.wire.URL + "/v1", CredentialRef: "env:WIRE", Region: "us"}
	b.org().Routes["a"] = &inventory.Route{Model: "a", Targets: []inventory.Target{{Provider: "wire", Model: "gpt-4o-mini", When: map[string]inventory.OneOf{"attribute.team": {"red"}}}}}
	b.org().Routes["b"] = &inventory.Route{Model: "b", Provider: "far", Target: "gpt-4o-mini"}
	system.Regions, b.snap.Keys["k1"].Models = []string{"eu"}, nil
	b.use()
	if resp, answer := b.sendForm("/v1/files", testKey, "user_data", "x"); resp.StatusCode != 200 || b.rec.last().ModelAsked != "gpt-4o-mini" {
		t.Errorf("with routes that cannot take it: %d %s", resp.StatusCode, answer)
	}
	b.snap.Keys["k1"].Models = []string{"b"}
	b.use()
	if resp, answer := b.sendForm("/v1/files", testKey, "user_data", "x"); resp.StatusCode != 403 || code(answer) != "region_not_allowed" {
		t.Errorf("with one route, out of the regions: %d %s", resp.StatusCode, answer)
	}
	delete(b.org().Routes, "a")
	delete(b.org().Routes, "b")
	system.Regions, b.snap.Keys["k1"].Models = nil, nil
	for _, c := range []struct {
		name   string
		status int
		code   string
		do     func()
	}{
		{"suspended", 403, "system_suspended", func() { b.org().Systems["SYS-001"].Suspended = &inventory.Suspension{} }},
		{"no model that may be asked for", 404, "operation_unsupported", func() {
			b.org().Systems["SYS-001"].Suspended = nil
			b.snap.Keys["k1"].Models = []string{"claude-haiku-4-5"}
		}},
		{"no ledger", 503, "ledger_unavailable", func() {
			b.snap.Keys["k1"].Models = nil
			b.rec.down = true
		}},
	} {
		c.do()
		b.use()
		if resp, answer := b.sendForm("/v1/files", testKey, "user_data", "x"); resp.StatusCode != c.status || code(answer) != c.code {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
	}
}

// Pages are as the vendors' are.
func TestListsHavePages(t *testing.T) {
	b := newBatchRig(t)
	var ids []string
	for range 5 {
		ids = append(ids, b.upload(chatLine("a", "gpt-4o-mini", "x")))
	}
	slices.Reverse(ids)
	var got []string
	for after := ""; ; {
		var page struct {
			Data []struct{ ID string }
			More bool   `json:"has_more"`
			Last string `json:"last_id"`
		}
		if err := json.Unmarshal([]byte(b.do(200, "GET", "/v1/files?limit=2&after="+after, testKey, "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Data {
			got = append(got, f.ID)
		}
		if after = page.Last; !page.More {
			break
		}
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
}

// A refusal of a batch for several models says which they are, and how many requests ask
// for each.
func TestMixedBatchesAreRefusedByName(t *testing.T) {
	b := newBatchRig(t)
	mixed := func(models ...string) string {
		var list []string
		for i, m := range models {
			list = append(list, fmt.Sprintf(`{"custom_id":"m%d","params":{"model":%q,"max_tokens":50,"messages":[{"role":"user","content":"x"}]}}`, i, m))
		}
		return `{"requests":[` + strings.Join(list, ",") + `]}`
	}
	many := []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"}
	for _, c := range []struct {
		models []string
		want   string
	}{
		{[]string{"claude-haiku-4-5", "claude-opus-4-5", "claude-haiku-4-5", "claude-sonnet-4-5"}, `several models: "claude-haiku-4-5" (2), "claude-opus-4-5" (1), "claude-sonnet-4-5" (1); send a batch for each`},
		{append(many, "m0", "m8"), `"m0" (2), "m1" (1), "m2" (1), "m3" (1), "m4" (1), "m5" (1), "m6" (1), "m7" (1), and others; send`},
		{many[:8], `"m7" (1); send`},
	} {
		answer := b.do(400, "POST", "/anthropic/v1/messages/batches", testKey, mixed(c.models...))
		var said struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil || said.Error.Code != "batch_mixed" || !strings.Contains(said.Error.Message, c.want) {
			t.Errorf("%v: %s", err, answer)
		}
	}
	if n := len(b.wire.Received()); n != 0 || b.held() != 0 {
		t.Errorf("%d calls reached the provider, %s is held", n, b.held())
	}
}

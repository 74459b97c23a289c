package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/gateway"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// The batches of the kill test: what every one asks for, so that each costs the same.
const (
	killLine    = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4.1-mini","max_tokens":100,"messages":[{"role":"user","content":"How long does a claim take?"}]}}` + "\n"
	killMessage = `{"requests":[{"custom_id":"a","params":{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"How long does a claim take?"}]}}]}`
)

// knownBatch is a batch whose id a client was given.
type knownBatch struct{ exchange, path string }

// openSum is what the open batches of the records have held, together.
type openSum struct {
	count int64
	held  money.Nano
}

// settleOften asks for the results of batches far more often than the server's jobs do,
// so that kills meet it.
func settleOften(s *Server) {
	for {
		time.Sleep(20 * time.Millisecond)
		s.Gateway.SettleBatches(context.Background())
	}
}

// batchProvider is a provider whose batches end when they are asked for, or later, at
// chance. It keeps count of what it made for whom.
func (k *killing) batchProvider(t *testing.T, s *Server) *wiretest.Server {
	up := wiretest.Start()
	t.Cleanup(up.Close)
	up.Pending = func() bool { return rand.IntN(3) > 0 }
	up.Write = func(w http.ResponseWriter, r *http.Request, a *wiretest.Answer) {
		id := r.Header.Get("X-Request-Id")
		k.mu.Lock()
		k.reached[id] = true
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/batches") && a.Status == 200 {
			if k.made[id] != "" {
				t.Errorf("the request %s made two batches", id)
			}
			var made struct{ ID string }
			json.Unmarshal(a.Body, &made)
			k.made[id] = made.ID
		}
		k.mu.Unlock()
		wiretest.Send(w, a)
	}
	for _, p := range []struct {
		kind, model string
	}{{"openai", "gpt-4.1-mini"}, {"anthropic", "claude-haiku-4-5"}} {
		id := inventory.ProviderID("batch-" + p.kind)
		if err := s.Register.PutProvider(t.Context(), officer, inventory.Provider{ID: id, Kind: p.kind, BaseURL: up.URL + "/v1", CredentialRef: "env:WIRE"}, "test"); err != nil {
			t.Fatal(err)
		}
		if err := s.Register.PutRoute(t.Context(), officer, inventory.Route{Model: p.model, Provider: id}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	k.costs = map[string]money.Nano{"batches.create": costOfBatch(t, "batches.create"), "messages.batches.create": costOfBatch(t, "messages.batches.create")}
	return up
}

// ask sends one call. The error says that the server is dead; a call that it cannot
// answer while it lives fails the test.
func (k *killing) ask(t *testing.T, c *http.Client, method, url, kind string, body []byte) (id, answer string, err error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Authorization", "Bearer "+k.key)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	k.mu.Lock()
	k.sent++
	k.mu.Unlock()
	resp, err := c.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", err
	}
	id = resp.Header.Get("X-Request-Id")
	if resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(b), "register_stale") { // the machine is too busy
		time.Sleep(50 * time.Millisecond)
		return k.ask(t, c, method, url, kind, body)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %d %s", method, url, resp.StatusCode, b)
		return id, "", errors.New("refused")
	}
	k.mu.Lock()
	k.answered = append(k.answered, id)
	k.mu.Unlock()
	return id, string(b), nil
}

// loadBatches makes batches, asks how they stand and reads results until the server is
// dead. Those of earlier lives are asked for too.
func (k *killing) loadBatches(t *testing.T, addr string) {
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for {
		b, err := k.submit(t, c, "http://"+addr)
		if err != nil {
			return
		}
		k.mu.Lock()
		k.batches = append(k.batches, b)
		old := k.batches[rand.IntN(len(k.batches))]
		k.mu.Unlock()
		for _, b := range []knownBatch{b, old} {
			_, answer, err := k.ask(t, c, http.MethodGet, "http://"+addr+b.path, "", nil)
			if err != nil {
				return
			}
			var said struct {
				Processing string `json:"processing_status"`
				Output     string `json:"output_file_id"`
			}
			json.Unmarshal([]byte(answer), &said)
			results := ""
			if said.Processing == "ended" {
				results = b.path + "/results"
			} else if said.Output != "" {
				results = "/v1/files/" + said.Output + "/content"
			}
			if results != "" {
				if _, _, err := k.ask(t, c, http.MethodGet, "http://"+addr+results, "", nil); err != nil {
					return
				}
			}
		}
	}
}

// submit makes a batch of either vendor.
func (k *killing) submit(t *testing.T, c *http.Client, base string) (b knownBatch, err error) {
	path, body := "/anthropic/v1/messages/batches", []byte(killMessage)
	if rand.IntN(2) == 0 {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		w.WriteField("purpose", "batch")
		f, _ := w.CreateFormFile("file", "lines.jsonl")
		io.WriteString(f, killLine)
		w.Close()
		_, answer, err := k.ask(t, c, http.MethodPost, base+"/v1/files", w.FormDataContentType(), form.Bytes())
		if err != nil {
			return b, err
		}
		path, body = "/v1/batches", fmt.Appendf(nil, `{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, idIn(answer))
	}
	id, answer, err := k.ask(t, c, http.MethodPost, base+path, "application/json", body)
	return knownBatch{id, path + "/" + idIn(answer)}, err
}

func idIn(answer string) string {
	var o struct{ ID string }
	json.Unmarshal([]byte(answer), &o)
	return o.ID
}

// checkBatches looks at every batch that was submitted: one that a client has the id of
// is known, is held while it is open, and costs what its provider says once it has ended.
// One that nobody noted, for the process died before, is held too: none is given up on
// before its deadline. It gives the sum of those that are open. k.mu is held.
func (k *killing) checkBatches(t *testing.T, s *Server, when string) (open openSum) {
	t.Helper()
	all := k.submitted(t, s)
	for id, x := range all {
		noted := k.noted(t, s, id)
		switch x.State {
		case projection.Open:
			open.count++
			held := heldBy(t, s, x.OpenedLeaf)
			if open.held += held; held <= 0 {
				t.Errorf("%s: the open batch of %s holds nothing", when, id)
			}
		case projection.Complete:
			if !noted || k.made[id] == "" || x.Charge != k.costs[x.Endpoint] {
				t.Errorf("%s: the batch of %s is complete and charged %s (noted %t, made as %q)", when, id, x.Charge, noted, k.made[id])
			}
		default:
			t.Errorf("%s: the batch of %s is %s with %q, though its deadline is far", when, id, x.State, x.Code)
		}
	}
	for id := range k.made {
		if _, ok := all[id]; !ok {
			t.Errorf("%s: the provider made a batch for %s, which has no record", when, id)
		}
	}
	for _, b := range k.batches {
		if _, ok := all[b.exchange]; !ok || !k.noted(t, s, b.exchange) {
			t.Errorf("%s: a client was given %s by %s, and it is not known", when, b.path, b.exchange)
		}
	}
	return open
}

// submitted are the exchanges that made batches, or should have.
func (k *killing) submitted(t *testing.T, s *Server) map[string]projection.Exchange {
	t.Helper()
	all := map[string]projection.Exchange{}
	for _, model := range []string{"gpt-4.1-mini", "claude-haiku-4-5"} {
		f := projection.Filter{Model: model, Limit: 500}
		for {
			page, next, err := s.Projection.Exchanges(t.Context(), string(testOrg), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				if event.MakesBatch(x.Endpoint) {
					all[x.ID] = x
				}
			}
			if f.Before = next; next == "" {
				break
			}
		}
	}
	return all
}

// heldBy is what the intent at a leaf of the log holds in each budget.
func heldBy(t *testing.T, s *Server, leaf int64) money.Nano {
	t.Helper()
	leaves, err := s.Ledger.Feed(t.Context(), string(testOrg), uint64(leaf), 1)
	if err != nil || len(leaves) == 0 || leaves[0].Index != uint64(leaf) {
		t.Fatal(len(leaves), err)
	}
	r, err := record.Decode(leaves[0].Bytes)
	if err != nil {
		t.Fatal(err)
	}
	e := r.Body.(*event.Event)
	if len(e.Holds) != 3 {
		t.Errorf("%s holds in %d budgets", e.Exchange, len(e.Holds))
	}
	return e.Holds[0].Amount
}

func (k *killing) noted(t *testing.T, s *Server, exchange string) bool {
	t.Helper()
	id, err := ident.Parse(exchange)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.kept.OfExchange(t.Context(), testOrg, id)
	if err != nil && !errors.Is(err, gateway.ErrNotKept) {
		t.Fatal(err)
	}
	return err == nil
}

// costOfBatch is what one of the test's batches costs, from the figures that the
// provider gives for its only request and half the vendors' prices.
func costOfBatch(t *testing.T, endpoint string) money.Nano {
	t.Helper()
	in, out, path, body := money.Nano(200), money.Nano(800), "/v1/chat/completions", killLine
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + wiretest.Key}}
	if endpoint == "messages.batches.create" {
		in, out, path, body = 500, 2500, "/v1/messages", killMessage
		header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {wiretest.Key}, "Anthropic-Version": {"2023-06-01"}}
	}
	var request struct {
		Body     json.RawMessage
		Requests []struct{ Params json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	if len(request.Requests) > 0 {
		request.Body = request.Requests[0].Params
	}
	alone := wiretest.Start()
	defer alone.Close()
	a := alone.Answer(http.MethodPost, path, "", header, request.Body)
	var said struct {
		Usage struct {
			In    money.Nano `json:"input_tokens"`
			Out   money.Nano `json:"output_tokens"`
			InAs  money.Nano `json:"prompt_tokens"`
			OutAs money.Nano `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal(a.Body, &said); err != nil || a.Status != 200 {
		t.Fatalf("%d %s %v", a.Status, a.Body, err)
	}
	return (said.Usage.In+said.Usage.InAs)*in + (said.Usage.Out+said.Usage.OutAs)*out
}

// deadlines lets the deadlines of what is left open come. An hour before, every hold of
// a batch that nobody noted still stands; after it each is charged at its hold, once, and
// the noted ones by their results.
func (k *killing) deadlines(t *testing.T) (noted, unknown int64) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wire.Pending = nil
	for _, c := range []struct {
		after time.Duration
		over  bool
	}{{25 * time.Hour, false}, {27 * time.Hour, true}} {
		s, err := New(t.Context(), Options{Config: k.config(), Env: func(string) string { return wiretest.Key }, Now: func() time.Time { return time.Now().Add(c.after) }})
		if err != nil {
			t.Fatal(err)
		}
		k.mu.Unlock() // the provider counts what it is asked
		_, err = s.Gateway.SettleBatches(t.Context())
		k.mu.Lock()
		if err != nil {
			t.Error(err)
		}
		if err := s.Projection.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		noted, unknown = 0, 0
		for id, x := range k.submitted(t, s) {
			switch has := k.noted(t, s, id); {
			case has && x.State == projection.Complete && x.Charge == k.costs[x.Endpoint]:
				noted++
			case !has && !c.over && x.State == projection.Open:
			case !has && c.over && x.State == projection.Incomplete && x.Code == "batch_overdue" && x.Charge == x.Held && x.Held > 0:
				unknown++
			default:
				t.Errorf("after %s the batch of %s is %s with %q, charged %s of %s held (noted %t)", c.after, id, x.State, x.Code, x.Charge, x.Held, has)
			}
		}
		k.checkBooked(t, s, c.over)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return noted, unknown
}

// checkBooked: every intent has its one end, and each budget was charged the sum of all
// records, whatever windows they fell into.
func (k *killing) checkBooked(t *testing.T, s *Server, over bool) {
	t.Helper()
	sum, err := s.Projection.Sum(t.Context(), string(testOrg), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if open := int64(s.Gateway.OpenBatches()); sum["intents"] != sum["closed"]+open || over && open != 0 {
		t.Errorf("%d intents, %d closed, %d open", sum["intents"], sum["closed"], open)
	}
	list, err := s.Projection.AllBalances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	charged := map[string]money.Nano{}
	for _, b := range list {
		charged[b.Budget] += b.Charged
	}
	for budget, of := range charged {
		if int64(of) != sum["charge"] {
			t.Errorf("budget %s was charged %s, the records say %d nano-dollars", budget, of, sum["charge"])
		}
	}
	if len(charged) != 3 {
		t.Errorf("%d budgets were charged", len(charged))
	}
	if _, err := s.Ledger.Verify(t.Context(), string(testOrg)); err != nil {
		t.Error(err)
	}
}

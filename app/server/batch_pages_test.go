package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/authz"
	"plumbline/gateway/wiretest"
)

const (
	threeMessages = `{"requests":[{"custom_id":"a","params":{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"How long does a claim take?"}]}},
{"custom_id":"b","params":{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"And an appeal?"}]}},
{"custom_id":"c","params":{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"wire:status-400"}]}}]}`
	inDollars = `[0-9]+\.[0-9]{2,9}`
)

// shownBatch is the batch of an exchange as programs read it.
type shownBatch struct {
	ID       string
	Requests *int64
	Status   string
	SaidAt   time.Time `json:"said_at"`
	Counts   map[string]*int64
	Held     string
	Settled  *string
}

// The page of an exchange that made a batch, and the same for programs: what was asked
// for, what came of it so far as its provider says, and the money.
func TestBatchesAreShown(t *testing.T) {
	for _, c := range []struct {
		name     string
		postgres func(t *testing.T) string
	}{{"SQLite", func(*testing.T) string { return "" }}, {"Postgres", func(t *testing.T) string { return database(t) }}} {
		t.Run(c.name, func(t *testing.T) { showsBatches(t, c.postgres(t)) })
	}
}

func showsBatches(t *testing.T, postgres string) {
	up := wiretest.Start()
	defer up.Close()
	pending := true
	up.Pending = func() bool { return pending }
	config := testConfig(t.TempDir())
	config.Postgres = postgres
	s, key := batchDesk(t, up, config)
	base := serve(t, s)
	ada := signIn(t, s, base, authz.Auditor)
	one := func(n int64) *int64 { return &n }
	open := func(id string) (batch *shownBatch) {
		t.Helper()
		if err := s.Projection.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got struct{ Batch *shownBatch }
		if err := json.Unmarshal([]byte(ada.is(ada.get("/api/v1/exchanges/"+id), 200, "").body), &got); err != nil {
			t.Fatal(err)
		}
		return got.Batch
	}
	resp, answer := post(t, base+"/anthropic/v1/messages/batches", key, threeMessages)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	id, name := resp.Header.Get("X-Request-Id"), regexp.MustCompile(`msgbatch_\d+`).FindString(answer)

	got := open(id)
	if got == nil || got.SaidAt.IsZero() || !regexp.MustCompile(`^`+inDollars+`$`).MatchString(got.Held) || strings.Trim(got.Held, "0.") == "" {
		t.Fatalf("%+v", got)
	}
	want := &shownBatch{ID: name, Requests: one(3), Status: "in_progress", SaidAt: got.SaidAt, Held: got.Held,
		Counts: map[string]*int64{"waiting": one(3), "succeeded": one(0), "errored": one(0), "expired": one(0), "cancelled": one(0)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	page := ada.is(ada.get("/exchanges/"+id), 200, "", "Batch "+name+" Requests 3 Not ended 3 Succeeded 0 Errored 0 Expired 0 Cancelled 0 State In progress, said", "Settled not yet; no later than", "no request an end until all have one")
	if shown := regexp.MustCompile(`Held at submit \$([0-9. ]+[0-9])`).FindStringSubmatch(page.text()); shown == nil || strings.TrimRight(strings.ReplaceAll(shown[1], " ", ""), "0") != strings.TrimRight(got.Held, "0") {
		t.Errorf("the page says %v is held, the API %s", shown, got.Held)
	}

	pending = false
	if n, err := s.Gateway.SettleBatches(t.Context()); n != 1 || err != nil { // the app never asks
		t.Fatalf("%d settled: %v", n, err)
	}
	before := got
	got = open(id)
	if got.Settled == nil || strings.Trim(*got.Settled, "0.") == "" || !got.SaidAt.After(before.SaidAt) {
		t.Fatalf("%+v", got)
	}
	want = &shownBatch{ID: name, Requests: one(3), Status: "ended", SaidAt: got.SaidAt, Held: before.Held, Settled: got.Settled,
		Counts: map[string]*int64{"waiting": one(0), "succeeded": one(2), "errored": one(1), "expired": one(0), "cancelled": one(0)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ada.is(ada.get("/exchanges/"+id), 200, "", "Requests 3 Not ended 0 Succeeded 2 Errored 1 Expired 0 Cancelled 0 State Ended, said", "Settled $0.", "Billed calls 2", "Answer none: a batch's results go out as the answers of other exchanges")
	if page = ada.get("/exchanges/" + id); strings.Contains(page.text(), "0 in, 0 out") || strings.Contains(page.text(), "0.00 ms") {
		t.Error("the page shows times and sizes that nobody measured")
	}

	// When the app has deleted it, only what is on record is left.
	req, _ := http.NewRequest(http.MethodDelete, base+"/anthropic/v1/messages/batches/"+name, nil)
	req.Header.Set("X-Api-Key", key)
	if gone, err := http.DefaultClient.Do(req); err != nil || gone.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", gone, err)
	}
	last := open(id)
	want = &shownBatch{Counts: map[string]*int64{"waiting": nil, "succeeded": nil, "errored": nil, "expired": nil, "cancelled": nil}, Held: got.Held, Settled: got.Settled}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	page = ada.is(ada.get("/exchanges/"+id), 200, "", "is not known any more", "Billed calls 2")
	if strings.Contains(page.text(), "Requests 3") || strings.Contains(page.body, name) {
		t.Error("the page shows what is not known any more")
	}

	// What made no batch has none.
	resp, answer = post(t, base+"/anthropic/v1/messages", key, `{"model":"claude-haiku-4-5","max_tokens":10,"messages":[{"role":"user","content":"Hello"}]}`)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	up.Write = func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) { w.WriteHeader(http.StatusBadRequest) }
	refused, _ := post(t, base+"/anthropic/v1/messages/batches", key, threeMessages)
	if refused.StatusCode != http.StatusBadRequest {
		t.Errorf("refused with %d", refused.StatusCode)
	}
	for _, none := range []string{resp.Header.Get("X-Request-Id"), refused.Header.Get("X-Request-Id")} {
		for range 200 { // an outcome is written after its answer
			if err := s.Projection.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if x, err := s.Projection.Exchange(t.Context(), string(testOrg), none); err == nil && x.ClosedLeaf >= 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if batch := open(none); batch != nil {
			t.Errorf("%s: %+v", none, batch)
		}
		if page := ada.is(ada.get("/exchanges/"+none), 200, ""); strings.Contains(page.body, `id="x-ba"`) {
			t.Errorf("%s shows a batch", none)
		}
	}
}

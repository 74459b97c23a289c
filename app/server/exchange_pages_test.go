package server

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/ident"
	"plumbline/assessments/evidence"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/evidence/verify"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

const plainAnswer = `{"id":"c","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Within ten days."},"finish_reason":"stop"}],"usage":{"prompt_tokens":42,"completion_tokens":11,"total_tokens":53}}`

// traffic is a furnished server with one exchange of each kind on record.
type traffic struct {
	s                             *Server
	base, system                  string
	plain, redacted, blocked, cut string // request ids
	shadow, failed, open          string
	release                       func() // lets the open one end
}

// said asks the upstream what to do, by a word in the prompt.
func upstreamOf(t *testing.T) (url string, hold chan struct{}) {
	hold = make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch body := string(b); {
		case strings.Contains(body, "please wait"):
			<-hold
		case strings.Contains(body, "please fail"):
			w.WriteHeader(http.StatusInternalServerError)
			return
		case strings.Contains(body, "please cut"):
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"Within "}}]}`+"\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, plainAnswer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, hold
}

func chat(text string, more ...string) string {
	return `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + text + `"}]` + strings.Join(more, "") + `}`
}

func newTraffic(t *testing.T) *traffic {
	t.Helper()
	url, hold := upstreamOf(t)
	s := open(t, Options{Config: testConfig(t.TempDir())})
	key := furnish(t, s, url)
	f := &traffic{s: s, system: "SYS-001", base: serve(t, s), release: func() { close(hold) }}
	ask := func(key, body string, want int) string {
		t.Helper()
		resp, text := post(t, f.base+"/v1/chat/completions", key, body)
		if resp.StatusCode != want {
			t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, text)
		}
		return resp.Header.Get("X-Request-Id")
	}
	f.plain = ask(key, chat("How long does a claim take?"), 200)
	f.redacted = ask(key, chat("Write to ada@example.org"), 200)
	f.blocked = ask(key, chat("The key is AKIA"+"Q3EGRIVGQX7MZ2LP"), 400)
	f.failed = ask(key, chat("please fail"), 502)
	f.cut = ask(key, chat("please cut", `,"stream":true`), 200)
	_, stray, err := s.Register.CreateKey(context.Background(), officer, inventory.Key{Name: "stray script"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 33 { // 20 have a record each, the rest is counted
		id := ask(stray, chat("hello"), 403)
		if i == 0 {
			f.shadow = id
		}
	}
	opened := make(chan string)
	go func() {
		resp, err := http.DefaultClient.Do(request(f.base, key, chat("please wait")))
		id := ""
		if err == nil {
			id = resp.Header.Get("X-Request-Id")
			resp.Body.Close()
		}
		opened <- id
	}()
	t.Cleanup(func() {
		select {
		case <-opened:
		case <-time.After(10 * time.Second):
			t.Error("the open exchange did not end")
		}
	})
	return f
}

func request(base, key, body string) *http.Request {
	req, err := http.NewRequest(http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// caughtUp waits until the index has what is durable, and the log a count of the
// refusals that have no record each.
func (f *traffic) caughtUp(t *testing.T, counted int64) {
	t.Helper()
	for range 200 {
		sum, err := f.s.Projection.Sum(t.Context(), string(testOrg), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if sum["refused.system_unregistered"] == counted && sum["intents"] == 5 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the index did not catch up")
}

// signIn gives a person of the test's organisation a browser.
func signIn(t *testing.T, s *Server, base string, roles ...authz.Role) *visitor {
	t.Helper()
	ctx := context.Background()
	m, err := s.Register.AddAccount(ctx, officer, inventory.Person{Name: "Ada Wong", Email: fmt.Sprintf("%s@acme.example", roles[0]), Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Register.Link(ctx, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, base)
	v.enter(base + "/signin/link/" + token)
	return v
}

var (
	rowLink   = regexp.MustCompile(`class="t mono small" href="/exchanges/([0-9a-v]{26})`)
	shownHead = regexp.MustCompile(`<h1>Exchanges</h1><p class="sub"><span>((?:more than )?[\d,]+) `)
)

// TestExchangePages lists, filters and opens exchanges of every kind over a real
// server: refused, counted, failed, cut, open ones too.
func TestExchangePages(t *testing.T) {
	t.Parallel() // it mostly waits for the window in which refusals are counted
	f := newTraffic(t)
	ada := signIn(t, f.s, f.base, authz.ComplianceOfficer, authz.Admin)
	f.caughtUp(t, 33)

	all := ada.is(ada.get("/exchanges"), 200, "/exchanges", "39 in 30 days", "13 of them refusals counted together", "1 still open", "Desk", "stray script", "none registered")
	listed := rowLink.FindAllStringSubmatch(all.body, -1)
	if len(listed) != 6+20 {
		t.Errorf("%d exchanges listed, want 26", len(listed))
	}
	if n := strings.Count(all.body, "13 counted together"); n != 1 {
		t.Errorf("%d rows of counted refusals", n)
	}
	f.open = listed[0][1]
	for _, c := range []struct{ query, want string }{
		{"state=refused", "34"}, {"state=complete", "2"}, {"state=open", "1"}, {"state=failed", "1"}, {"state=cut", "1"}, {"state=cut&state=failed", "2"},
		{"system=SYS-001", "6"}, {"system=none", "33"}, {"code=system_unregistered", "33"}, {"code=guard_blocked", "1"}, {"guard=pii", "1"}, {"guard=pii:redacted", "1"},
		{"guard=secrets:blocked", "1"}, {"guard=:blocked", "1"}, {"usage=provider", "2"}, {"usage=partial", "1"}, {"model=gpt-4o-mini", "26"}, {"target=up/gpt-4o-mini", "5"}, {"days=1", "39"}, {"days=all", "39"},
		{"from=2020-01-01T00:00&to=2020-01-02T00:00", "0"}, {"leaves=0-1", "0"}, {"system=SYS-001&state=refused&guard=secrets", "1"},
	} {
		p := ada.is(ada.get("/exchanges?"+c.query), 200, "/exchanges?"+c.query)
		if m := shownHead.FindStringSubmatch(p.body); m == nil || m[1] != c.want {
			t.Errorf("%s: %v, want %s", c.query, m, c.want)
		}
	}
	ada.is(ada.get("/exchanges?key=nobody"), 200, "", "Nothing matches", "Clear filters", "Look at all on record")
	ada.is(ada.get("/exchanges?state=lost"), 400, "", "no such outcome")
	ada.is(ada.get("/exchanges?before=x"), 400, "", "cursor")
	ada.is(ada.get("/exchanges?q="+f.plain), 200, "/exchanges/"+f.plain, f.plain)
	ada.is(ada.get("/exchanges?q=nothing"), 404, "", "no request id")

	f.theirPages(t, ada)
	f.moneyPages(t, ada)
	f.release()
}

// moneyPages: a corrected charge stands beside the one of before, and what is
// counted beside tokens is shown where a call has it.
func (f *traffic) moneyPages(t *testing.T, ada *visitor) {
	now := time.Now()
	write := func(commit *event.Commit, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if <-commit.Done(); commit.Err() != nil {
			t.Fatal(commit.Err())
		}
	}
	id, err := ident.Parse(f.plain)
	if err != nil {
		t.Fatal(err)
	}
	write(f.s.Ledger.Adjust(&event.Event{Kind: event.Adjusted, Log: string(testOrg), Exchange: id, At: now.UnixMicro(), System: "SYS-001", Charge: 1_000_000, Figure: 1_012_900, Reason: "rerated", PriceTable: "feedfacefeedface"}, "cli"))
	drawn, err := ident.New(now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := event.Event{Kind: event.Intent, Log: string(testOrg), Exchange: drawn, At: now.UnixMicro(), System: "SYS-001", Provider: "up", ModelTarget: "painter"}
	write(f.s.Ledger.Submit(&e))
	e.Kind, e.End, e.Status, e.Source = event.Outcome, event.EndComplete, 200, event.UsageProvider
	e.Usage = event.Usage{Input: 900, CacheRead: -1, AudioIn: 700, ImageOut: -1, Images: 2, Characters: 1234, Seconds: 61, Searches: 3, Form: "1024x1024 hd", Batch: true}
	write(f.s.Ledger.Submit(&e))
	if err := f.s.Projection.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	ada.is(ada.get("/exchanges/"+f.plain), 200, "", "Charged $0.000 012 900 Rerated $0.001 000 000 to $0.001 012 900 with prices feedfacefeedface", "After that $0.001 012 900", "exchange.adjusted")
	p := ada.is(ada.get("/exchanges/"+drawn.String()), 200, "", "Sound in 700 tokens", "Images out not known", "Images made 2 Text spoken 1,234 characters Sound written down 61 seconds Searches 3 Priced as 1024x1024 hd, in a batch")
	if strings.Contains(p.body, "Sound out") {
		t.Error("the page shows a count that the call does not have")
	}
}

// theirPages opens one exchange of each kind.
func (f *traffic) theirPages(t *testing.T, ada *visitor) {
	one := func(id string, says ...string) answer {
		t.Helper()
		return ada.is(ada.get("/exchanges/"+id), 200, "/exchanges/"+id, says...)
	}
	one(f.plain, "Complete", "SYS-001", "identify", "settle and record", "durable before the first byte went out", "allow", "42 tokens", "11 tokens", "Usage from: Provider",
		"org, org", "key, key", "Included, root recomputed", "exchange.intent", "exchange.outcome", "gpt-4o-mini-2024-07-18", "No test has run over it yet", "Clear", "version 1")
	red := one(f.redacted, "Redacted", "e-mail", "1 with a finding")
	if strings.Contains(red.body, "ada@example.org") {
		t.Error("the page shows text of the prompt")
	}
	one(f.blocked, "Refused: Guard blocked", "Status 400", "ended here: guard blocked", "not reached", "nothing was sent", "Blocked")
	one(f.failed, "Failed", "answered with status 500", "Upstream error", "there was no text to look at")
	one(f.cut, "Cut off", "broke off after the first byte", "Usage from: Partial", "streamed")
	one(f.shadow, "System unregistered", "none registered", "counts for the controls of none")
	one(f.open, "Still open", "Not settled yet", "no outcome on record yet")
	ada.is(ada.get("/exchanges/"+strings.Repeat("0", 26)), 404, "", "no exchange with this request id")

	// The pane alone, for the list beside it.
	req, _ := http.NewRequest(http.MethodGet, f.base+"/exchanges/"+f.plain, nil)
	req.Header.Set("X-Fragment", "pane")
	pane := ada.do(req, nil)
	if !strings.HasPrefix(pane.body, `<article class="pane`) || strings.Contains(pane.body, "<html") || strings.Contains(pane.body, "<h1") || !strings.Contains(pane.header.Get("Vary"), "X-Fragment") {
		t.Errorf("the pane is not alone:\n%.300s", pane.body)
	}

	// A test that ran over it, and the controls on that test.
	if _, err := f.s.Engine.RunTests(context.Background(), testOrg); err != nil {
		t.Fatal(err)
	}
	if err := f.s.Projection.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	tested := one(f.plain, "t.access_enforced", "t.guardrail_coverage", "guardrail.coverage", "usage.metering")
	control := ada.find(tested, `<li>[^<]*<a class="q" href="([^"]*/frameworks/[^"]+|/frameworks/[^"]+)"`)
	ada.is(ada.get(control), 200, "", "Tests")
	listed := ada.find(ada.get(control), `href="(/exchanges\?leaves=[^"]+)">exchanges`)
	ada.is(ada.get(listed), 200, "", "closed in leaves")
}

var numbered = regexp.MustCompile(`href="(/exchanges(?:\?[^"]*)?)">([\d,]+)(?: in 30 d)?</a>`)

// TestNumbersAreTheirLists holds each number that counts exchanges, on whatever
// page, to the list that it leads to.
func TestNumbersAreTheirLists(t *testing.T) {
	t.Parallel() // it mostly waits for the window in which refusals are counted
	f := newTraffic(t)
	f.release()
	ada := signIn(t, f.s, f.base, authz.ComplianceOfficer, authz.Admin)
	f.caughtUp(t, 33)
	if _, err := f.s.Engine.RunTests(context.Background(), testOrg); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the one that was open has ended
		if sum, err := f.s.Projection.Sum(t.Context(), string(testOrg), "", 0); err != nil || sum["closed"] == 5 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	checked, none := 0, 0
	for _, path := range []string{"/", "/?days=1", "/systems", "/systems/SYS-001", "/ledger", "/frameworks?system=SYS-001"} {
		p := ada.is(ada.get(path), 200, path)
		for _, m := range numbered.FindAllStringSubmatch(p.body, -1) {
			href, n := html.UnescapeString(m[1]), m[2]
			if n == "0" {
				if none++; none > 12 {
					continue // most days have none; some will do
				}
			}
			list := ada.is(ada.get(href), 200, "")
			if got := shownHead.FindStringSubmatch(list.body); got == nil || got[1] != n {
				t.Errorf("%s says %s; %s says %v", path, n, href, got)
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("only %d numbers found", checked)
	}
}

// TestLedgerPages shows the state of the log and of each kind of leaf in it, and
// gives out files that check without the server.
func TestLedgerPages(t *testing.T) {
	t.Parallel() // it mostly waits for the window in which refusals are counted
	f := newTraffic(t)
	f.release()
	ada := signIn(t, f.s, f.base, authz.Auditor)
	f.caughtUp(t, 33)
	if _, err := f.s.Ledger.Rotate(context.Background(), string(testOrg), "p-officer"); err != nil {
		t.Fatal(err)
	}
	if err := f.s.Projection.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	page := ada.is(ada.get("/ledger"), 200, "/ledger", "test/acme/1", "the first; the log was never forked", "Signature checks with the key in force", "Key rotated", "Earlier key",
		"no gap of any writer", "Witnesses.", "Erasure.", "Several writers.", "refusals.counted")
	older := ada.find(page, `href="(/ledger\?before=[^"#]+)`)
	ada.is(ada.get(older), 200, older, "Newest")

	file := ada.get("/ledger/checkpoint")
	if name := attachment(file); file.header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(name, "acme-checkpoint-") {
		t.Errorf("checkpoint given out as %q, %q", file.header.Get("Content-Type"), name)
	}
	key := ada.get("/ledger/key")
	if attachment(key) != "acme.vkey" {
		t.Errorf("key given out as %q", attachment(key))
	}
	lines := strings.Split(file.body, "\n")
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := f.s.Ledger.CheckpointAt(context.Background(), string(testOrg), size)
	if err != nil {
		t.Fatal(err)
	}
	cp.Note = []byte(file.body)
	if err := verify.Signed(cp, strings.TrimSpace(key.body)); err != nil {
		t.Errorf("the files do not check: %v", err)
	}
	f.everyLeaf(t, ada, size)

	ada.is(ada.get(fmt.Sprintf("/ledger/%d", size+1000)), 404, "", "The log has no leaf")
	ada.is(ada.get("/ledger/first"), 404, "", "A leaf is a number")
	ada.is(ada.get("/ledger/open?leaf=3"), 200, "/ledger/3", "Leaf 3")
}

func attachment(a answer) string {
	_, params, _ := mime.ParseMediaType(a.header.Get("Content-Disposition"))
	return params["filename"]
}

// everyLeaf opens the first leaf of each kind and compares its download with the
// log.
func (f *traffic) everyLeaf(t *testing.T, ada *visitor, size uint64) {
	leaves, err := f.s.Ledger.Feed(context.Background(), string(testOrg), 0, int(size))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[record.Kind]bool{}
	for _, leaf := range leaves {
		rec, err := record.Decode(leaf.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if seen[rec.Kind] {
			continue
		}
		seen[rec.Kind] = true
		path := fmt.Sprintf("/ledger/%d", leaf.Index)
		p := ada.is(ada.get(path), 200, path, rec.Kind.String(), rec.ID.String(), fmt.Sprintf("%x", record.LeafHash(leaf.Bytes)), "Included")
		if e, ok := rec.Body.(*event.Event); ok && !strings.Contains(p.body, `href="/exchanges/`+e.Exchange.String()) {
			t.Errorf("%s does not lead to its exchange", path)
		}
		raw := ada.get(path + "/record")
		if raw.body != string(leaf.Bytes) || raw.header.Get("Content-Type") != "application/cbor" || attachment(raw) == "" {
			t.Errorf("%s/record: %d bytes as %s", path, len(raw.body), raw.header.Get("Content-Type"))
		}
	}
	for _, k := range []record.Kind{record.ExchangeIntent, record.ExchangeOutcome, record.ExchangeRefused, record.RefusalsCounted, record.RegisterChange, record.LedgerHour, record.LedgerRotated} {
		if !seen[k] {
			t.Errorf("the log has no %s", k)
		}
	}
}

// TestExchangesWithoutAny: an organisation that has not called yet is told so, and
// what is another organisation's is not there.
func TestExchangesWithoutAny(t *testing.T) {
	s := open(t, Options{Config: testConfig(t.TempDir())})
	key := furnish(t, s, "http://127.0.0.1:9")
	base := serve(t, s)
	other := authz.Actor{Org: "globex", ID: "p-other", Roles: []authz.Role{authz.Admin}}
	if err := s.Register.CreateOrg(context.Background(), other, inventory.Org{ID: "globex", Name: "Globex"}); err != nil {
		t.Fatal(err)
	}
	ada := signIn(t, s, base, authz.Admin)
	ada.is(ada.get("/exchanges"), 200, "", "No exchanges yet", "Make a key", "0 in 30 days")
	resp, _ := post(t, base+"/v1/chat/completions", key, chat("hello"))
	id := resp.Header.Get("X-Request-Id")
	for range 100 {
		if x, err := s.Projection.Exchange(t.Context(), string(testOrg), id); err == nil && x.ClosedLeaf >= 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	ada.is(ada.get("/exchanges/"+id), 200, "", "Failed", "the connection was refused")
	m, err := s.Register.AddAccount(context.Background(), other, inventory.Person{Name: "Bo Lind", Email: "bo@globex.example", Roles: []authz.Role{authz.Admin}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Register.Link(context.Background(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	bo := newVisitor(t, base)
	bo.enter(base + "/signin/link/" + token)
	bo.is(bo.get("/exchanges"), 200, "", "No exchanges yet")
	bo.is(bo.get("/exchanges/"+id), 404, "", "no exchange with this request id")
	if p := bo.get("/ledger"); strings.Contains(p.body, "test/acme") || !strings.Contains(p.body, "test/globex/1") {
		t.Error("the ledger's page shows another organisation's log")
	}
	dev := signIn(t, s, base, authz.Developer)
	dev.is(dev.get("/exchanges"), 200, "", "No exchanges yet")
	dev.is(dev.get("/exchanges/"+id), 404, "", "no exchange with this request id")
}

// TestExchangesCouldNotLoad: an index that cannot be read is said to be just that,
// and neither empty nor a page of error; the words of the database stay inside.
func TestExchangesCouldNotLoad(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Config: testConfig(dir)})
	furnish(t, s, "http://127.0.0.1:9")
	base := serve(t, s)
	ada := signIn(t, s, base, authz.Auditor)
	pool, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("DROP TABLE proj_refusals"); err != nil {
		t.Fatal(err)
	}
	p := ada.is(ada.get("/exchanges?state=refused"), 200, "", "Could not load", "Not loaded", "The ledger itself is not touched", "Try again")
	if strings.Contains(p.text(), "Nothing matches") || strings.Contains(p.text(), "No exchanges yet") || strings.Contains(p.body, "proj_refusals") {
		t.Error("a failure is shown as an empty list, or with the words of the database")
	}
	if !strings.Contains(p.body, `href="/exchanges?state=refused">Try again`) {
		t.Error("trying again forgets the filter")
	}
}

// TestLedgerPageInAnOutage shows that the ledger cannot write while it cannot, and
// the outage as a record afterwards.
func TestLedgerPageInAnOutage(t *testing.T) {
	var broken atomic.Bool
	s := open(t, Options{Config: testConfig(t.TempDir()), Hook: func(point string) error {
		if broken.Load() && point == evidence.PointGroup {
			return errors.New("no space left on device")
		}
		return nil
	}})
	key := furnish(t, s, "http://127.0.0.1:9")
	base := serve(t, s)
	ada := signIn(t, s, base, authz.Auditor)
	ada.is(ada.get("/ledger"), 200, "", "Writing", "Nothing since it began")
	broken.Store(true)
	if resp, _ := post(t, base+"/v1/chat/completions", key, chat("hello")); resp.StatusCode != 503 {
		t.Fatalf("status %d while the ledger cannot write", resp.StatusCode)
	}
	ada.is(ada.get("/ledger"), 200, "", "Cannot write", "Not writing since", "turned away", "The ledger cannot write")
	ada.is(ada.get("/exchanges"), 200, "", "No exchanges yet")
	broken.Store(false)
	for range 100 {
		if events, err := s.Projection.LedgerEvents(t.Context(), string(testOrg), 5); err != nil {
			t.Fatal(err)
		} else if len(events) > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	page := ada.is(ada.get("/ledger"), 200, "", "Writing", "Could not write", "turned away")
	leaf := ada.find(page, `<strong>Could not write</strong>[^h]*<br><span class="faint small">leaf <a class="q mono" href="(/ledger/\d+)"`)
	ada.is(ada.get(leaf), 200, leaf, "ledger.outage", "Turned", "SYS-001")
}

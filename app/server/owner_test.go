package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/assessments/projection"
)

// owned is a server with keys of two developers and of nobody, and what was called
// with them.
type owned struct {
	s                            *Server
	base                         string
	mine, theirs, nobodys        string // ids of keys
	myCall, myRefusal, theirCall string // request ids
	theirRefusal, nobodysCall    string
	dev                          string // id of the account
	ada                          *script
}

func newOwned(t *testing.T) *owned {
	t.Helper()
	s, base, nobodys, _ := desk(t)
	o := &owned{s: s, base: base, nobodys: strings.Split(nobodys, "-")[1]}
	person(t, s, testOrg, "ada@example.com", authz.Admin)
	o.dev = person(t, s, testOrg, "dev@example.com", authz.Developer).ID
	other := person(t, s, testOrg, "other@example.com", authz.Developer)
	o.ada = newScript(t, base).signIn("ada@example.com")
	makeKey := func(body string) (id, secret string) {
		a := o.ada.must(201, "POST", "/api/v1/keys", body)
		return a.body["id"].(string), a.body["secret"].(string)
	}
	mine, myKey := makeKey(`{"name":"Key of mine","system":"SYS-001","owner":"Dev@Example.com","models":["gpt-4o-mini"]}`)
	theirs, theirKey := makeKey(fmt.Sprintf(`{"name":"Key of another","owner":%q}`, other.ID)) // bound to no system: each call is refused
	o.mine, o.theirs = mine, theirs
	o.ada.must(200, "PUT", "/api/v1/budgets/mine", `{"scope":"key","target":"`+mine+`","limit":"5","window":"day"}`)
	ask := func(key, body string, want int) string {
		t.Helper()
		resp, text := post(t, base+"/v1/chat/completions", key, body)
		if resp.StatusCode != want {
			t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, text)
		}
		return resp.Header.Get("X-Request-Id")
	}
	o.myCall = ask(myKey, chat("hello"), 200)
	resp, _ := post(t, base+"/v1/chat/completions", myKey, `{"model":"text-embedding-3-small","messages":[{"role":"user","content":"hello"}]}`)
	o.myRefusal = resp.Header.Get("X-Request-Id")
	o.nobodysCall = ask(nobodys, chat("hello"), 200)
	for i := range 30 { // 20 have a record each, the rest is counted
		id := ask(theirKey, chat("hello"), 403)
		if i == 0 {
			o.theirRefusal = id
		}
	}
	o.ada.must(200, "PUT", "/api/v1/settings", `{"unregistered":"flag"}`)
	o.theirCall = ask(theirKey, chat("hello"), 200)
	for range 200 {
		_, err := s.Projection.Exchange(t.Context(), string(testOrg), o.theirCall)
		counted, sumErr := s.Projection.CountedSum(t.Context(), string(testOrg), projection.Filter{})
		if err == nil && sumErr == nil && counted == 10 {
			return o
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the index did not catch up")
	return nil
}

// foreign are the marks of what the developer must not see.
func (o *owned) foreign() []string {
	return []string{o.theirs, o.nobodys, "Key of another", o.theirCall, o.theirRefusal, o.nobodysCall, "counted together"}
}

// TestOwnKeysInTheAPI: a developer sees own keys with their use, and exchanges and
// budgets of these alone, by list, by filter and by id.
func TestOwnKeysInTheAPI(t *testing.T) {
	o := newOwned(t)
	dev := newScript(t, o.base).signIn("dev@example.com")
	hides := func(a reply, path string) {
		t.Helper()
		for _, mark := range o.foreign() {
			if strings.Contains(a.text, mark) {
				t.Errorf("%s shows %q: %s", path, mark, a.text)
			}
		}
	}
	count := func(c *script, list, path string) int {
		t.Helper()
		a := c.must(200, "GET", path, "")
		if c == dev {
			hides(a, path)
		}
		return len(a.body[list].([]any))
	}
	keys := dev.must(200, "GET", "/api/v1/keys", "")
	if hides(keys, "keys"); len(keys.body["keys"].([]any)) != 1 || !strings.Contains(keys.text, `"id":"`+o.mine+`"`) || !strings.Contains(keys.text, `"use_30_days":{"calls":1,"refused":1}`) {
		t.Errorf("own keys %s", keys.text)
	}
	if n := count(dev, "exchanges", "/api/v1/exchanges"); n != 2 {
		t.Errorf("%d exchanges, want the own two", n)
	}
	if n := count(dev, "exchanges", "/api/v1/exchanges?key="+o.mine); n != 2 {
		t.Errorf("%d exchanges of the own key", n)
	}
	for _, filter := range []string{"key=" + o.theirs, "key=" + o.nobodys, "key=" + o.theirs + "&system=", "code=system_unregistered"} {
		if n := count(dev, "exchanges", "/api/v1/exchanges?"+filter); n != 0 {
			t.Errorf("%s finds %d exchanges of others", filter, n)
		}
	}
	for _, id := range []string{o.myCall, o.myRefusal} {
		dev.must(200, "GET", "/api/v1/exchanges/"+id, "")
	}
	for _, id := range []string{o.theirCall, o.theirRefusal, o.nobodysCall, "06h1b0f7r7i7mlmko8tfo006hs"} {
		dev.refused(404, "not_found", "there is no exchange", "GET", "/api/v1/exchanges/"+id, "")
	}
	if a := dev.must(200, "GET", "/api/v1/budgets", ""); len(a.body["budgets"].([]any)) != 1 || !strings.Contains(a.text, `"id":"mine"`) {
		t.Errorf("budgets %s", a.text)
	}
	// Whoever reads the organisation's sees all of it, also with developer beside.
	for _, roles := range [][]authz.Role{{authz.Auditor}, {authz.Developer, authz.Auditor}} {
		email := fmt.Sprintf("all%d@example.com", len(roles))
		person(t, o.s, testOrg, email, roles...)
		all := newScript(t, o.base).signIn(email)
		if k, x, b := count(all, "keys", "/api/v1/keys"), count(all, "exchanges", "/api/v1/exchanges"), count(all, "budgets", "/api/v1/budgets"); k != 3 || x != 24 || b != 4 {
			t.Errorf("%v sees %d keys, %d exchanges, %d budgets", roles, k, x, b)
		}
		all.must(200, "GET", "/api/v1/exchanges/"+o.theirCall, "")
	}
	// No key of one's own is none at all, never all.
	person(t, o.s, testOrg, "new@example.com", authz.Developer)
	bare := newScript(t, o.base).signIn("new@example.com")
	if k, x, b := count(bare, "keys", "/api/v1/keys"), count(bare, "exchanges", "/api/v1/exchanges"), count(bare, "budgets", "/api/v1/budgets"); k+x+b != 0 {
		t.Errorf("without a key: %d keys, %d exchanges, %d budgets", k, x, b)
	}
	// A new owner is one at once, and the one before is none any more.
	o.ada.refused(400, "invalid_field", "no member", "PUT", "/api/v1/keys/"+o.mine, `{"name":"Key of mine","owner":"nobody@example.com"}`)
	o.ada.refused(400, "invalid_field", "no member", "POST", "/api/v1/keys", `{"name":"x","owner":"nobody@example.com"}`)
	o.ada.must(200, "PUT", "/api/v1/keys/"+o.mine, `{"name":"Key of mine","owner":"new@example.com"}`)
	bare.must(200, "GET", "/api/v1/exchanges/"+o.myCall, "")
	dev.refused(404, "not_found", "", "GET", "/api/v1/exchanges/"+o.myCall, "")
	if k, x := count(dev, "keys", "/api/v1/keys"), count(dev, "exchanges", "/api/v1/exchanges"); k+x != 0 {
		t.Errorf("the owner before still sees %d keys, %d exchanges", k, x)
	}
}

// TestOwnKeysOnPages: no page, filter, search or pane shows a developer another's
// key or exchange.
func TestOwnKeysOnPages(t *testing.T) {
	o := newOwned(t)
	dev := newVisitor(t, o.base)
	token, err := o.s.Register.Link(t.Context(), o.dev)
	if err != nil {
		t.Fatal(err)
	}
	dev.enter(o.base + "/signin/link/" + token)
	pages := map[string][]string{
		"/":                         nil,
		"/keys":                     {"Your keys", "Key of mine"},
		"/keys?system=SYS-001":      {"Key of mine"},
		"/budgets":                  {"mine"},
		"/systems":                  nil,
		"/systems/SYS-001":          {"Key of mine"},
		"/exchanges":                {"2 in 30 days", "Key of mine", "of your own keys"},
		"/exchanges?days=all":       {"2 on record"},
		"/exchanges?state=refused":  {"1 in 30 days"},
		"/exchanges?system=none":    {"Nothing matches"},
		"/exchanges?leaves=0-1000":  {"2 closed"},
		"/exchanges/" + o.myCall:    {"Key of mine"},
		"/exchanges/" + o.myRefusal: {"Refused"},
	}
	for path, says := range pages {
		p := dev.is(dev.get(path), 200, "", says...)
		for _, mark := range o.foreign() {
			if strings.Contains(p.body, mark) {
				t.Errorf("%s shows %q", path, mark)
			}
		}
	}
	// What the reader typed stands in the filter; what it would find does not.
	for _, key := range []string{o.theirs, o.nobodys} {
		p := dev.is(dev.get("/exchanges?days=all&key="+key), 200, "", "Nothing matches", "0 on record")
		for _, mark := range []string{"Key of another", o.theirCall, o.theirRefusal, o.nobodysCall, "counted together"} {
			if strings.Contains(p.body, mark) {
				t.Errorf("the filter for %s shows %q", key, mark)
			}
		}
	}
	for _, id := range []string{o.theirCall, o.theirRefusal, o.nobodysCall} {
		for _, path := range []string{"/exchanges/" + id, "/exchanges?q=" + id} {
			dev.is(dev.get(path), 404, "", "no exchange with this request id")
		}
		if p := dev.is(dev.get("/exchanges?x="+id), 200, ""); strings.Contains(p.body, "/exchanges/"+id) {
			t.Errorf("the list opens %s", id)
		}
		req, err := http.NewRequest(http.MethodGet, o.base+"/exchanges/"+id, nil)
		if err == nil {
			req.Header.Set("X-Fragment", "pane")
		}
		if p := dev.do(req, err); p.status != 404 {
			t.Errorf("the pane of %s answers %d", id, p.status)
		}
	}
	dev.is(dev.get("/ledger"), 403, "")
	dev.is(dev.get("/keys/new"), 403, "")
	// The same pages show it to whoever reads all of the organisation.
	eve := signIn(t, o.s, o.base, authz.Auditor)
	eve.is(eve.get("/keys"), 200, "", "Key of another", "Key of mine", "Test dev@example.com", "nobody")
	eve.is(eve.get("/exchanges?days=all&key="+o.theirs), 200, "", "31 on record", "counted together")
	eve.is(eve.get("/exchanges/"+o.theirCall), 200, "", "Key of another")
	if p := eve.get("/"); !strings.Contains(p.text(), "Key of another") {
		t.Error("the overview does not name the key of unregistered use to an auditor; it cannot show that a developer is not told")
	}
}

package server

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"plumbline/assessments/evidence/verify"
	"plumbline/gateway/provider"
)

// visitor is a person with a browser that runs no script: links and form posts.
type visitor struct {
	t    testing.TB
	base string
	http *http.Client
	csrf string // of the last page that had a form
}

// answer is what a visitor sees.
type answer struct {
	status int
	path   string // after redirects
	header http.Header
	body   string
}

func newVisitor(t testing.TB, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: base, http: &http.Client{Jar: jar}}
}

var formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (v *visitor) do(req *http.Request, err error) answer {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if m := formToken.FindSubmatch(b); m != nil {
		v.csrf = string(m[1])
	}
	return answer{resp.StatusCode, resp.Request.URL.RequestURI(), resp.Header, string(b)}
}

func (v *visitor) get(path string) answer {
	v.t.Helper()
	return v.do(http.NewRequest(http.MethodGet, v.base+path, nil))
}

// submit posts a form: pairs of name and value.
func (v *visitor) submit(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{"csrf": {v.csrf}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequest(http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return v.do(req, err)
}

// upload posts a form with a file.
func (v *visitor) upload(path, field, name, content string, pairs ...string) answer {
	v.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(pairs); i += 2 {
		w.WriteField(pairs[i], pairs[i+1])
	}
	w.WriteField("csrf", v.csrf)
	f, err := w.CreateFormFile(field, name)
	if err != nil {
		v.t.Fatal(err)
	}
	io.WriteString(f, content)
	w.Close()
	req, err := http.NewRequest(http.MethodPost, v.base+path, &b)
	if err == nil {
		req.Header.Set("Content-Type", w.FormDataContentType())
	}
	return v.do(req, err)
}

var (
	tags   = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// text is what a page says, without markup.
func (p answer) text() string {
	return blanks.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(p.body, " ")), " ")
}

// is holds a page to its status, its address, and words that it must say.
func (v *visitor) is(p answer, status int, path string, says ...string) answer {
	v.t.Helper()
	if p.status != status || path != "" && p.path != path {
		v.t.Fatalf("answer %d at %s, want %d at %s:\n%s", p.status, p.path, status, path, p.text())
	}
	for _, s := range says {
		if !strings.Contains(p.text(), s) {
			v.t.Errorf("%s does not say %q:\n%s", p.path, s, p.text())
		}
	}
	return p
}

// find gives the first group of a pattern in a page.
func (v *visitor) find(p answer, pattern string) string {
	v.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(p.body)
	if m == nil {
		v.t.Fatalf("%s has nothing like %s:\n%s", p.path, pattern, p.text())
	}
	return html.UnescapeString(m[1])
}

// enter redeems a one-time link, as its page's button does.
func (v *visitor) enter(link string) answer {
	v.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		v.t.Fatal(err)
	}
	path := u.Path // the server's own idea of its host is of no use in a test
	v.is(v.get(path), 200, path)
	return v.submit(path)
}

// TestTheOfficersWay walks from an empty server to a verified audit report with
// links and forms alone: first run, register, approval by a second person, a key
// and a call, the control that the call became evidence for, evidence of people,
// a document, and its check without the server.
func TestTheOfficersWay(t *testing.T) {
	s := open(t, Options{Config: testConfig(t.TempDir())})
	base := serve(t, s)
	ines, tomas := newVisitor(t, base), newVisitor(t, base)

	// The one-time link of an empty server makes the first account.
	ines.is(ines.get("/"), 200, "/signin", "Nobody has an account here yet")
	ines.is(ines.get("/first-run"), 403, "/first-run", "one-time link")
	first, err := s.Register.Link(context.Background(), "") // as `plumbline serve` prints
	if err != nil {
		t.Fatal(err)
	}
	ines.is(ines.enter(base+"/signin/link/"+first), 200, "/first-run", "first administrator")
	me := []string{"organisation_name", "Harbour Bank", "id", "harbour", "name", "Ines Moreau", "email", "ines@harbour.example"}
	again := ines.is(ines.submit("/first-run", append(me, "password", "short")...), 400, "/first-run", "at least 12 characters")
	if !strings.Contains(again.body, `value="Harbour Bank"`) || strings.Contains(again.body, `value="short"`) {
		t.Error("the form does not keep the entry, or keeps the password")
	}
	ines.is(ines.submit("/first-run", "organisation_name", "Harbor Bank", "id", "harbor", "name", "Ines Moreau", "email", "ines", "password", "a long enough phrase"), 400, "/first-run", "is no e-mail address")
	if orgs := s.Register.Orgs(); len(orgs) != 0 {
		t.Fatalf("an organisation came of a form with an error, and its name is for ever: %v", orgs)
	}
	ines.is(ines.submit("/first-run", append(me, "password", "a long enough phrase")...), 200, "/first-run", "You are the administrator", "1 of 10 done", "Harbour Bank")
	ines.is(ines.get("/"), 200, "/", "First steps: 1 of 10 done", "No AI system in use")
	if p := newVisitor(t, base).get("/signin/link/" + first); p.status != 403 {
		t.Errorf("the link works twice: %d", p.status)
	}

	// A second person, for four eyes.
	ines.get("/people/new")
	once := ines.is(ines.submit("/people", "name", "Tomas Okafor", "email", "tomas@harbour.example", "roles", "approver"), 200, "/people", "Tomas Okafor")
	tomas.is(tomas.enter(ines.find(once, `id="secret"[^>]*>([^<]+)<`)), 200, "/account", "Set a password")
	tomas.is(tomas.submit("/account/password", "password", "another long phrase"), 200, "/account", "password is set")

	// Where calls go, and what calls.
	kinds := ines.get("/gateway/providers/new")
	for _, kind := range provider.Kinds() { // adding one touches its file alone
		if !strings.Contains(kinds.body, `value="`+kind+`"`) {
			t.Errorf("the form of providers does not offer %s", kind)
		}
	}
	ines.is(ines.submit("/gateway/providers", "id", "builtin", "kind", "simulated", "reason", "to begin with"), 200, "/gateway", "in force")
	ines.is(ines.submit("/gateway/routes", "model", "small", "provider", "builtin", "target", "sim-small", "reason", "to begin with"), 200, "/gateway", "in force")
	system := []string{"name", "Letter drafts", "purpose", "Drafts letters to customers; a clerk sends them.", "owner", "Customer service", "roles", "deployer",
		"risk_class", "minimal", "risk_reason", "No use of Annex III.", "lifecycle", "in_use", "models", "builtin/sim-small", "vendors", "simulated"}
	ines.get("/systems/new")
	ines.is(ines.submit("/systems", append(system, "reason", "first one")...), 200, "/systems/SYS-001", "ask for its approval")
	ines.get("/keys/new?system=SYS-001")
	key := ines.find(ines.is(ines.submit("/keys", "name", "letters, production", "system", "SYS-001"), 200, "/keys", "shown this once"), `id="secret"[^>]*>([^<]+)<`)

	// Without an approval no answer; not by the person who asked for it.
	const call = `{"model":"small","messages":[{"role":"user","content":"Draft a letter"}]}`
	if resp, body := post(t, base+"/v1/chat/completions", key, call); resp.StatusCode != 403 || !strings.Contains(body, "system_unapproved") {
		t.Fatalf("an unapproved system got %d: %s", resp.StatusCode, body)
	}
	ines.is(ines.submit("/systems/SYS-001/request", "reason", "ready"), 200, "/systems/SYS-001", "asked for")
	if p := ines.submit("/systems/SYS-001/decide", "decision", "accept", "reason", "mine"); p.status < 400 {
		t.Fatalf("the one who asked decided: %d at %s", p.status, p.path)
	}
	tomas.is(tomas.get("/"), 200, "/", "Approve or reject")
	tomas.is(tomas.submit("/systems/SYS-001/decide", "decision", "accept", "reason", "purpose and class looked at"), 200, "/systems/SYS-001", "on record", "Approved")

	// The call, and what became of it.
	ines.is(ines.get("/first-run"), 200, "", "7 of 10 done", "curl http", `"model":"small"`)
	resp, body := post(t, base+"/v1/chat/completions", key, call)
	for range 3 { // as every client does: a busy machine may not keep the month's first key in time
		if resp.StatusCode != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Second)
		resp, body = post(t, base+"/v1/chat/completions", key, call)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("the call got %d: %s", resp.StatusCode, body)
	}
	exchange := resp.Header.Get("X-Request-Id")
	if err := s.Projection.CatchUp(context.Background()); err != nil { // within a second by itself
		t.Fatal(err)
	}
	ines.is(ines.get("/systems/SYS-001"), 200, "", "sim-small", "simulated")
	ines.is(ines.get("/exchanges/"+exchange), 200, "", "SYS-001", "sim-small", "letters, production")

	// The control that it is evidence for.
	ines.get("/jobs")
	ines.is(ines.submit("/jobs/control-tests/run"), 200, "/jobs", "Control tests ran to its end", "results recorded")
	const control = "/frameworks/iso-42001-2023?control=A.6.2.8&system=SYS-001"
	ines.is(ines.get(control), 200, control, "A.6.2.8")

	// What only people can show; the second person makes it count.
	file := "Log review of November: nothing missing."
	ines.get("/frameworks/iso-42001-2023/evidence?control=A.6.2.8&system=SYS-001")
	evidence := ines.upload("/frameworks/iso-42001-2023/evidence", "file", "review.txt", file, "control", "A.6.2.8", "system", "SYS-001", "title", "Log review, November", "type", ines.humanType("A.6.2.8"))
	ines.is(evidence, 200, "", "Log review, November", "a second person decides")
	if p := ines.submit(evidence.path, "decision", "accept", "reason", "mine"); p.status < 400 {
		t.Fatalf("the author decided: %d", p.status)
	}
	tomas.is(tomas.get(evidence.path), 200, "", "Waits for a second person")
	tomas.is(tomas.submit(evidence.path, "decision", "accept", "reason", "read it"), 200, evidence.path, "The decision is on record", "Accepted")
	ines.is(ines.get(control), 200, control, "Log review, November")

	// What follows from it, with an owner and a day.
	const action = "/frameworks/iso-42001-2023/action"
	plan := []string{"control", "A.6.2.8", "system", "SYS-001", "cause", "no invoice to compare with", "action", "connect the supplier's invoices", "owner", "Finance", "due"}
	ines.is(ines.get(action+"?control=A.6.2.8&system=SYS-001"), 200, "", "Plan a corrective action")
	if late := ines.is(ines.submit(action, append(plan, "2020-01-01")...), 400, action, "lies ahead"); !strings.Contains(late.body, "connect the supplier") {
		t.Error("the form does not keep the entry")
	}
	ines.is(ines.submit(action, append(plan, "2099-01-01")...), 200, control, "Corrective action: connect the supplier")

	// The document, from a form that keeps what was entered.
	ines.get("/documents/new?kind=audit")
	wrong := ines.is(ines.submit("/documents", "kind", "audit", "system", "SYS-001"), 400, "/documents", "needs a framework")
	if !strings.Contains(wrong.body, `<option value="SYS-001" selected>`) || !strings.Contains(wrong.body, `href="#f-framework"`) {
		t.Error("the form does not keep the entry, or its summary does not lead to the box")
	}
	if p := tomas.submit("/documents", "kind", "audit", "system", "SYS-001", "framework", "iso-42001-2023"); p.status != 403 {
		t.Errorf("an approver issued a document: %d", p.status)
	}
	issued := ines.is(ines.submit("/documents", "kind", "audit", "system", "SYS-001", "framework", "iso-42001-2023"), 200, "", "is issued", "Letter drafts", "NOT PROVIDED", "What this proves")
	id := strings.TrimPrefix(issued.path, "/documents/")
	ines.is(ines.get("/first-run"), 200, "", "10 of 10 done", id)
	ines.is(ines.get("/documents"), 200, "/documents", "Audit report", strings.TrimSuffix(id, "-r1"))

	// Taken away and checked where no server is.
	dir := t.TempDir()
	for part, kind := range map[string]string{"pdf": "application/pdf", "json": "application/json", "proof": "application/json"} {
		got := ines.is(ines.get(issued.path+"/"+part), 200, "")
		name := id + map[string]string{"pdf": ".pdf", "json": ".json", "proof": ".proof.json"}[part]
		_, disposition, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
		if err != nil || disposition["filename"] != name || got.header.Get("Content-Type") != kind || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Content-Length") != fmt.Sprint(len(got.body)) {
			t.Errorf("%s comes with %v", part, got.header)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(got.body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vkey := ines.find(issued, `id="vkey"[^>]*>([^<]+)<`)
	results, code := verify.Files([]string{filepath.Join(dir, id+".pdf")}, verify.Options{Key: vkey})
	if code != verify.OK {
		t.Fatalf("the downloaded document does not verify: %+v", results)
	}
	results[0].File = id + ".pdf"
	if said := ines.find(issued, `(?s)id="vout"[^>]*>([^<]+)<`); said != results[0].Text() {
		t.Errorf("the page says that the command prints\n%s\nand it prints\n%s", said, results[0].Text())
	}
	pdf, err := os.ReadFile(filepath.Join(dir, id+".pdf"))
	if err != nil {
		t.Fatal(err)
	}
	pdf[len(pdf)/2] ^= 1
	if err := os.WriteFile(filepath.Join(dir, id+".pdf"), pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, code := verify.Files([]string{filepath.Join(dir, id+".pdf")}, verify.Options{Key: vkey}); code == verify.OK {
		t.Error("a changed PDF verifies")
	}
	ines.is(ines.submit("/signout"), 200, "/signin")
	ines.is(ines.get(issued.path), 200, "/signin?next="+url.QueryEscape(issued.path))
	bad := ines.is(ines.submit("/signin", "email", "ines@harbour.example", "password", "not this one", "next", issued.path), 401, "/signin", "There is a problem", "The e-mail address or the password is not right")
	if !strings.Contains(bad.body, `value="ines@harbour.example"`) || strings.Contains(bad.body, "not this one") || !strings.Contains(bad.body, `value="`+issued.path+`"`) {
		t.Error("signing in wrong forgets the address or where one was going, or shows the password")
	}
	ines.is(ines.submit("/signin", "email", "ines@harbour.example", "password", "a long enough phrase", "next", issued.path), 200, issued.path)
}

// humanType is the first type of evidence that a control's form offers.
func (v *visitor) humanType(control string) string {
	v.t.Helper()
	p := v.get("/frameworks/iso-42001-2023/evidence?control=" + control)
	return v.find(p, `(?s)name="type".*?<option value="([^"]+)"`)
}

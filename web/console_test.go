package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/demo"
	"plumbline/inventory"
)

// console is the sample organisation, served: the demo of the product, as anybody
// can start it, with its traffic, controls and documents. Tests of pages share one.
type console struct {
	base     string
	admin    *reader // an administrator who is compliance officer too
	approver *reader
}

var sample struct {
	once sync.Once
	c    *console
	err  error
	stop func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if sample.stop != nil {
		sample.stop()
	}
	os.Exit(code)
}

// sampleConsole starts the sample organisation once for all tests.
func sampleConsole(t testing.TB) *console {
	t.Helper()
	sample.once.Do(func() { sample.c, sample.stop, sample.err = startSample() })
	if sample.err != nil {
		t.Fatal(sample.err)
	}
	return sample.c
}

var linkText = regexp.MustCompile(`(http://\S+)/signin/link/(\S+)`)

func startSample() (*console, func(), error) {
	dir, err := os.MkdirTemp("", "plumbline-console-")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := demo.Run(ctx, demo.Options{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Version: "test", Env: func(string) string { return "" }, Out: out})
		out.CloseWithError(io.EOF)
		ended <- err
	}()
	stop := func() {
		cancel()
		<-ended
		os.RemoveAll(dir)
	}
	c, err := readLinks(said)
	if err != nil {
		cancel()
		err = fmt.Errorf("the sample organisation did not start: %w; it ended with: %w", err, <-ended)
		os.RemoveAll(dir)
		return nil, nil, err
	}
	if err := c.alone(); err != nil {
		stop()
		return nil, nil, err
	}
	return c, stop, nil
}

// alone ends that changes want a second person, so that a test changes what it tests;
// TestSecondPerson asks for one again.
func (c *console) alone() error {
	var asked struct {
		Request inventory.ChangeRequest `json:"change_request"`
	}
	a, err := c.admin.doJSON(http.MethodPut, "/api/v1/settings", `{"unregistered":"block","confidentiality":"Sample, invented data","contact":"ines.moreau@northwind.example","reason":"one person is enough here"}`)
	if err != nil || a.status != http.StatusAccepted || json.Unmarshal([]byte(a.body), &asked) != nil {
		return fmt.Errorf("ask to change the settings: %d %s: %w", a.status, a.body, err)
	}
	a, err = c.approver.doJSON(http.MethodPost, "/api/v1/change_requests/"+string(asked.Request.ID)+"/decision", `{"decision":"confirm","reason":"one person is enough here"}`)
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("confirm it: %d %s: %w", a.status, a.body, err)
	}
	return nil
}

// readLinks waits for the sign-in links that the demo prints, and uses them.
func readLinks(said io.Reader) (*console, error) {
	c := &console{}
	lines := bufio.NewScanner(said)
	for c.approver == nil && lines.Scan() {
		m := linkText.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		c.base = m[1]
		r, err := signIn(m[1], m[2])
		if err != nil {
			return nil, err
		}
		if c.admin == nil {
			c.admin = r
		} else {
			c.approver = r
		}
	}
	if c.approver == nil {
		return nil, fmt.Errorf("it printed no sign-in links: %v", lines.Err())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }() // what it says on the way out
	return c, nil
}

// reader is somebody signed in, without a browser.
type reader struct {
	base   string
	client *http.Client
	jar    http.CookieJar
	csrf   string
	header map[string]string // sent with every request
}

func newReader(base string) *reader {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // there are no options
	}
	return &reader{base: base, jar: jar, client: &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var csrfText = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// signIn redeems a one-time link.
func signIn(base, token string) (*reader, error) {
	r := newReader(base)
	resp, err := r.client.PostForm(base+"/signin/link/"+token, nil)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("sign in with a link: %s", resp.Status)
	}
	a, err := r.do(http.MethodGet, "/account", nil)
	if err != nil {
		return nil, err
	}
	m := csrfText.FindStringSubmatch(a.body)
	if m == nil {
		return nil, fmt.Errorf("no token on the account page: %d", a.status)
	}
	r.csrf = m[1]
	return r, nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *reader) do(method, path string, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, r.base+path, body)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// get reads a page.
func (r *reader) get(t testing.TB, path string) answer {
	t.Helper()
	a, err := r.do(http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// post sends a form with the session's token.
func (r *reader) post(t testing.TB, path string, pairs ...string) answer {
	t.Helper()
	form := url.Values{"csrf": {r.csrf}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	a, err := r.do(http.MethodPost, path, form)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// send makes a call of the API with the session's token.
func (r *reader) send(t testing.TB, method, path, body string) answer {
	t.Helper()
	a, err := r.doJSON(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *reader) doJSON(method, path, body string) (answer, error) {
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-CSRF-Token", r.csrf)
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// join adds a person to the reader's organisation and signs in as that person.
func (r *reader) join(t testing.TB, name string, roles ...string) *reader {
	t.Helper()
	pairs := []string{"name", name, "email", strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@readers.example"}
	for _, role := range roles {
		pairs = append(pairs, "roles", role)
	}
	return r.redeem(t, r.post(t, "/people", pairs...))
}

// redeem signs in with the link that a page shows once.
func (r *reader) redeem(t testing.TB, shown answer) *reader {
	t.Helper()
	m := linkText.FindStringSubmatch(strings.NewReplacer("<", " ", ">", " ").Replace(shown.body))
	if m == nil {
		t.Fatalf("no sign-in link is shown: %d %.300s", shown.status, shown.body)
	}
	made, err := signIn(r.base, m[2])
	if err != nil {
		t.Fatal(err)
	}
	return made
}

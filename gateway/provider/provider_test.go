package provider

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/credential"
	"plumbline/inventory"
)

var update = flag.Bool("update", false, "write the golden files")

// A kind is one file that registers itself, and a folder of test data: what it
// answers to each request of testdata/requests.
func TestKinds(t *testing.T) {
	var b strings.Builder
	for _, name := range Kinds() {
		k, err := KindOf(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s, vendor %s, base %s, signs in with %s", k.Name, k.Title, k.Vendor, orElse(k.BaseURL, "to be declared"), signsIn(t, k))
		if k.NoStreamUsage {
			b.WriteString(", says usage unasked")
		}
		if k.NewerLimit {
			b.WriteString(", max_completion_tokens")
		}
		b.WriteByte('\n')
		for _, op := range slices.Sorted(maps.Keys(k.Speaks)) {
			p := k.Speaks[op]
			fmt.Fprintf(&b, "\t%s at %s", op, p.Of("a/b", false))
			if plain, streamed := p.Of("a/b", false), p.Of("a/b", true); streamed != plain {
				fmt.Fprintf(&b, ", streamed %s", streamed)
			}
			b.WriteByte('\n')
		}
	}
	golden(t, filepath.Join("testdata", "kinds.txt"), b.String())
	if _, err := KindOf("other"); err == nil || !strings.Contains(err.Error(), "openai") {
		t.Errorf("an unknown kind: %v", err)
	}
}

func orElse(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

// signsIn is the header that carries the credential.
func signsIn(t *testing.T, k Kind) string {
	t.Helper()
	if k.Simulated {
		return "nothing"
	}
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer srv.Close()
	p, err := k.New(&inventory.Provider{BaseURL: srv.URL}, Transport())
	if err != nil {
		t.Fatal(err)
	}
	key, err := credential.Static("sk-canary")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Send(t.Context(), &Request{Path: "/x", Body: []byte("{}"), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for name, v := range got {
		if strings.Contains(v[0], "sk-canary") {
			return name
		}
	}
	return "nothing"
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s:\n%s", file, diff)
	}
}

// canned answers like a vendor does, with bytes of testdata/vendor.
func canned(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q struct {
			Stream bool
			Model  string
		}
		json.Unmarshal(body, &q)
		name, kind := "chat.json", "application/json"
		switch {
		case q.Model == "sim-fail":
			http.Error(w, `{"error":{"message":"down"}}`, http.StatusInternalServerError)
			return
		case r.URL.Path == "/v1/embeddings":
			name = "embeddings.json"
		case q.Stream:
			name, kind = "chat.sse", "text/event-stream"
		}
		text, err := os.ReadFile(filepath.Join("testdata", "vendor", name))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", kind)
		w.Write(text)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// The contract of every kind: a good request gets an answer of the dialect, an
// upstream failure is a status and no error, a body can be read to its end and
// closed, and a context that ended is an error.
func TestContract(t *testing.T) {
	requests, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(requests) < 5 {
		t.Fatalf("%v %v", requests, err)
	}
	for _, name := range Kinds() {
		t.Run(name, func(t *testing.T) {
			k, _ := KindOf(name)
			key, err := credential.Static("sk-test")
			if err != nil {
				t.Fatal(err)
			}
			declared := &inventory.Provider{ID: "p", Kind: name}
			if !k.Simulated {
				declared.BaseURL = canned(t).URL + "/v1"
			}
			p, err := k.New(declared, Transport())
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range requests {
				body, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				op := dialect.ChatCompletions
				if strings.Contains(file, "embeddings") {
					op = dialect.Embeddings
				}
				request := &Request{Operation: op, Path: k.Speaks[op].Of("m", false), Body: body, Stream: bytes.Contains(body, []byte(`"stream":true`)), ID: "id-1", Key: key}
				resp, err := p.Send(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(resp.Body)
				if cerr := resp.Body.Close(); cerr != nil {
					t.Error(cerr)
				}
				failing, cut := strings.Contains(file, "fail"), strings.Contains(file, "cut") && k.Simulated
				if failing != (resp.Status >= 500) || cut != (err != nil) {
					t.Errorf("%s: %d, %v", file, resp.Status, err)
				}
				if k.Simulated {
					golden(t, filepath.Join("testdata", name, filepath.Base(file)+".txt"), fmt.Sprintf("%d %s\n%s\n", resp.Status, resp.Header.Get("Content-Type"), answer))
				}
			}
			done, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := p.Send(done, &Request{Operation: dialect.ChatCompletions, Path: "/chat/completions", Body: []byte(`{"model":"m"}`)}); !errors.Is(err, context.Canceled) {
				t.Errorf("a context that ended: %v", err)
			}
		})
	}
}

// What a provider gets of us, and nothing more.
func TestOpenAISendsWhatItShould(t *testing.T) {
	var got *http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Clone(context.Background()) }))
	defer srv.Close()
	for _, c := range []struct{ base, credential, accept, path string }{
		{"/v1", "sk-1", "application/json", "/v1/chat/completions"},
		{"/openai/v1/", "", "text/event-stream", "/openai/v1/chat/completions"},
		{"", "sk-1", "application/json", "/chat/completions"},
	} {
		p, err := openAIKind(t).New(&inventory.Provider{BaseURL: srv.URL + c.base}, Transport())
		if err != nil {
			t.Fatal(err)
		}
		key, err := credential.Static(c.credential)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.Send(t.Context(), &Request{Operation: dialect.ChatCompletions, Path: "/chat/completions", Body: []byte("{}"), Stream: c.accept == "text/event-stream", ID: "id-1", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		auth := ""
		if c.credential != "" {
			auth = "Bearer " + c.credential
		}
		if got.URL.Path != c.path || got.Header.Get("Authorization") != auth || got.Header.Get("Accept") != c.accept || got.Header.Get("X-Request-Id") != "id-1" || got.Header.Get("User-Agent") != "plumbline" || got.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%+v: %s %v", c, got.URL, got.Header)
		}
	}
	for _, bad := range []string{"https://h/v1?api-version=1", "https://h/v1?", "https://h/v1#x", "api.openai.com/v1", "ftp://x/v1", "https://", "http://%zz", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/responses/"} {
		if _, err := openAIKind(t).New(&inventory.Provider{BaseURL: bad}, nil); err == nil {
			t.Errorf("base_url %q was accepted", bad)
		}
	}
}

func openAIKind(t *testing.T) Kind {
	t.Helper()
	k, err := KindOf("openai")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type timeout struct{ error }

func (timeout) Timeout() bool { return true }

// Failures have a class that is recorded; what is logged of them quotes nothing that
// an upstream sent.
func TestClassesOfFailures(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		name        string
		err         error
		class, text string
	}{
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout", "context deadline exceeded"},
		{"timeout", timeout{errors.New("canary")}, "timeout", "timeout (provider.timeout)"},
		{"refused", refused, "refused", "dial tcp: connect: connection refused"},
		{"reset", fmt.Errorf("canary: %w", syscall.ECONNRESET), "reset", "reset (*fmt.wrapError)"},
		{"cut", io.ErrUnexpectedEOF, "reset", "unexpected EOF"},
		{"canceled", context.Canceled, "aborted", "context canceled"},
		{"certificate", x509.UnknownAuthorityError{}, "failed", "x509: certificate signed by unknown authority"},
		{"malformed answer", errors.New(`malformed HTTP response "canary"`), "failed", "failed (*errors.errorString)"},
	} {
		if class, text := ClassOf(c.err), LogText(c.err); class != c.class || text != c.text {
			t.Errorf("%s: %q, %q", c.name, class, text)
		}
	}
}

// The shared transport gives up on a host that does not answer its call.
func TestTransportGivesUp(t *testing.T) {
	tr := Transport()
	if tr.TLSHandshakeTimeout <= 0 || tr.TLSHandshakeTimeout > 10*time.Second || !tr.DisableCompression {
		t.Errorf("%+v", tr)
	}
}

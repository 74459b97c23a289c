package wiretest

import (
	"bytes"
	"crypto/tls"
	"embed"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed clients
var scripts embed.FS

// Settings are what a client's script is told. Base and Key are what an app
// changes; the rest says what to expect.
type Settings struct {
	Base       string `json:"base"` // as the client wants it, with or without /v1
	Key        string `json:"key"`
	Poor       string `json:"poor,omitempty"` // a key whose budget is spent
	Model      string `json:"model"`
	Embedding  string `json:"embedding,omitempty"`
	Moderation string `json:"moderation,omitempty"`
	Image      string `json:"image,omitempty"`
	Ears       string `json:"ears,omitempty"`  // of transcripts
	Voice      string `json:"voice,omitempty"` // of speech
	Direct     bool   `json:"direct"`          // no gateway stands between
	Translated bool   `json:"translated"`      // the upstream speaks another dialect than the client
	// Without are beginnings of names of checks that are left out.
	Without []string `json:"without,omitempty"`
}

// Check is what a script says of one thing that it tried.
type Check struct {
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Detail   string   `json:"detail"`
	Requests []string `json:"requests"` // ids as the client saw them
}

// Client is an official client with a script.
type Client struct {
	Script string
	API    string // openai, azure, anthropic, gemini or bedrock: the base URL that it is given
	Path   string // that the client wants behind that base
}

// Clients are the official clients that are tried.
var Clients = []Client{
	{"openai.cjs", "openai", ""},
	{"azure.cjs", "azure", ""},
	{"anthropic.cjs", "anthropic", ""},
	{"genai.cjs", "gemini", ""},
	{"bedrock.cjs", "bedrock", ""},
	{"ai_openai.cjs", "openai", ""},
	{"ai_compatible.cjs", "openai", ""},
	{"ai_anthropic.cjs", "anthropic", "/v1"},
	{"langchain.cjs", "openai", ""},
	{"py_openai.py", "openai", ""},
	{"py_anthropic.py", "anthropic", ""},
	{"py_bedrock.py", "bedrock", ""},
}

// Settings for the client, with the models that this package's server has. base is
// that of the client's API.
func (c Client) Settings(base, key string) Settings {
	s := Settings{Base: base + c.Path, Key: key, Model: "gpt-5-mini", Embedding: "text-embedding-3-small", Moderation: "omni-moderation-latest",
		Image: "gpt-image-1", Ears: "gpt-4o-transcribe", Voice: "gpt-4o-mini-tts"}
	switch c.API {
	case "anthropic":
		s.Model = "claude-sonnet-4-5"
	case "bedrock":
		s.Model = "amazon.nova-lite-v1:0"
	case "gemini":
		s.Model, s.Embedding = "gemini-2.5-flash", "gemini-embedding-001"
	}
	return s
}

// RunClient runs one script with an official client and fails the test for each
// check that failed. Without the interpreter or the clients it skips.
func RunClient(t *testing.T, script string, s Settings) []Check {
	t.Helper()
	interpreter, env := interpreter(t, script)
	dir := t.TempDir()
	if err := os.CopyFS(dir, scripts); err != nil {
		t.Fatal(err)
	}
	if script == "py_bedrock.py" {
		address, bundle := OverTLS(t, s.Base)
		s.Base, env = address, append(env, bundle)
	}
	told, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, filepath.Join(dir, "clients", script))
	cmd.Env = append(env, "CLIENT="+string(told), "PATH="+os.Getenv("PATH"), "HOME="+dir, "NO_PROXY=127.0.0.1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, errs.String())
	}
	var checks []Check
	for line := range bytes.Lines(out) {
		var c Check
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !c.OK {
			t.Errorf("%s: %s: %s", script, c.Name, c.Detail)
		}
		checks = append(checks, c)
	}
	if len(checks) == 0 {
		t.Errorf("%s tried nothing", script)
	}
	return checks
}

// lacks ends a test that cannot be run here; in CI that is a failure.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func interpreter(t *testing.T, script string) (path string, env []string) {
	t.Helper()
	if strings.HasSuffix(script, ".py") {
		python := os.Getenv("PLUMBLINE_TEST_PYTHON")
		if python == "" {
			lacks(t, "PLUMBLINE_TEST_PYTHON is not set: the official clients for Python are not tried")
		}
		return python, []string{"PYTHONDONTWRITEBYTECODE=1"}
	}
	modules := os.Getenv("PLUMBLINE_TEST_NODE_MODULES")
	if modules == "" {
		lacks(t, "PLUMBLINE_TEST_NODE_MODULES is not set: the official clients for node are not tried")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		lacks(t, "node is not installed: the official clients for node are not tried")
	}
	return node, []string{"NODE_PATH=" + modules}
}

// OverTLS serves base by https until the test ends, for AWS's client for Python, which
// sends a token by nothing else: the address, and the variable that lets it trust that.
// Below TLS the bytes pass as they are.
func OverTLS(t *testing.T, base string) (address, variable string) {
	t.Helper()
	to, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go tunnel(caller, to.Host)
		}
	}()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return "https://" + listener.Addr().String() + to.Path, "AWS_CA_BUNDLE=" + file
}

// tunnel passes bytes both ways until either side has no more.
func tunnel(caller net.Conn, address string) {
	defer caller.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	over := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{caller, server}, {server, caller}} {
		go func() {
			io.Copy(way[0], way[1])
			over <- struct{}{}
		}()
	}
	<-over
}

// RunProgram runs a program of a document, in js or python, with the official
// clients at hand, the key in PLUMBLINE_KEY and further variables, and gives what it
// printed.
func RunProgram(t *testing.T, language, code, key string, variables ...string) string {
	t.Helper()
	name := map[string]string{"js": "program.mjs", "python": "program.py"}[language]
	if name == "" {
		t.Fatalf("no way to run %q", language)
	}
	interpreter, env := interpreter(t, name)
	dir := t.TempDir()
	if language == "js" { // an import asks no NODE_PATH
		if err := os.Symlink(os.Getenv("PLUMBLINE_TEST_NODE_MODULES"), filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter, filepath.Join(dir, name))
	cmd.Env = append(append(env, variables...), "PLUMBLINE_KEY="+key, "PATH="+os.Getenv("PATH"), "HOME="+dir, "NO_PROXY=127.0.0.1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return string(out)
}

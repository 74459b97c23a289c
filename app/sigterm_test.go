package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asMain makes this test binary the command itself.
const asMain = "PLUMBLINE_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if args := os.Getenv(asMain); args != "" {
		os.Args = append([]string{"plumbline"}, strings.Fields(args)...)
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSIGTERMDrains: the process gets the signal with a stream in flight. It goes
// red, refuses what is new, lets the stream end, and exits well.
func TestSIGTERMDrains(t *testing.T) {
	more := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		frame := func(text string) {
			io.WriteString(w, text+"\n\n")
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Content-Type", "text/event-stream")
		frame(`data: {"choices":[{"index":0,"delta":{"content":"first "}}]}`)
		<-more
		frame(`data: {"choices":[{"index":0,"delta":{"content":"second "}}]}`)
		frame(`data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
		frame("data: [DONE]")
	}))
	defer up.Close()
	dir := t.TempDir()
	declared := strings.NewReplacer("kind: simulated, vendor: simulated", "kind: openai, vendor: openai, base_url: "+up.URL, "sim-large", "gpt-4o-mini").Replace(reloadable)
	path := filepath.Join(dir, "declarations.yaml")
	if err := os.WriteFile(path, []byte(declared), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	secret := "a-secret-of-this-one-test"
	cmd := exec.Command(os.Args[0])
	var log transcript
	cmd.Stderr = &log
	cmd.Env = append(os.Environ(), asMain+"=serve", "PLUMBLINE_DATA_DIR="+data, "PLUMBLINE_LISTEN=127.0.0.1:0", "PLUMBLINE_DECLARATIONS="+path, "DESK_KEY="+secret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	base := "http://" + log.entry(t, "serving")["address"].(string)
	call := func() *http.Response {
		t.Helper()
		req, _ := http.NewRequest(http.MethodPost, base+"/v1/chat/completions", strings.NewReader(`{"model":"chat","stream":true,"max_tokens":10,"messages":[{"role":"user","content":"Hello"}]}`))
		req.Header.Set("Authorization", "Bearer pk-desk-"+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := call()
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "first") {
		t.Fatalf("%q %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log.entry(t, "draining")
	refused := call()
	text, _ := io.ReadAll(refused.Body)
	refused.Body.Close()
	if refused.StatusCode != 503 || !strings.Contains(string(text), "draining") || refused.Header.Get("Retry-After") == "" || refused.Header.Get("X-Request-Id") == "" {
		t.Errorf("a new call: %d %v %s", refused.StatusCode, refused.Header, text)
	}
	ready, err := http.Get(base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	ready.Body.Close()
	if ready.StatusCode != 503 {
		t.Errorf("readiness while draining: %d", ready.StatusCode)
	}
	close(more)
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "second") || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream in flight: %q %v", rest, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v", err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the process does not end")
	}
	// Its end is on record: nothing is left for the next start to close.
	env := map[string]string{"PLUMBLINE_DATA_DIR": data, "HOME": dir}
	export := filepath.Join(dir, "export")
	if code, out, errs := plumbline(t, env, "export", export, "--org", "acme"); code != exitOK {
		t.Fatalf("export: %d %s%s", code, out, errs)
	}
	if code, out, errs := plumbline(t, env, "verify", "--json", export); code != exitOK {
		t.Errorf("verify: %d %s%s", code, out, errs)
	}
}

package gateway

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway/peek"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// What guards took out of a request does not leave with a further attempt either: not to
// a deployment with another name, not to another provider's dialect, and not to the same
// one when the configuration was renewed meanwhile; whether the body stood in memory or
// in a file.
func TestRedactedAgain(t *testing.T) {
	const mail = "jane.roe@corp.example"
	message := `{"model":"alias","max_tokens":9,"messages":[{"role":"user","content":"FILL write to ` + mail + `"}]}`
	line := `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":` + message + "}\n"
	for _, c := range []struct {
		name, path, body string
		again            string // path of the further attempt
	}{
		{"chat", "/v1/chat/completions", message, "/v1/chat/completions"},
		{"messages to chat", "/anthropic/v1/messages", message, "/v1/chat/completions"},
		{"a message batch", "/anthropic/v1/messages/batches", `{"requests":[{"custom_id":"a","params":` + message + `}]}`, "/v1/messages/batches"},
		{"a batch's file", "/v1/files", formOfFile("batch", line), "/v1/files"},
	} {
		for _, size := range []int{0, 2 << 20} {
			t.Run(c.name+map[bool]string{true: " that is large"}[size > 0], func(t *testing.T) {
				var (
					r    *rig
					mu   sync.Mutex
					sent []string
				)
				up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					body, _ := io.ReadAll(q.Body)
					mu.Lock()
					sent = append(sent, q.URL.Path+" "+string(body))
					first := len(sent) == 1
					mu.Unlock()
					if first {
						changed := *r.org().Providers["up"] // so that it is another upstream
						changed.Region = "elsewhere"
						r.org().Providers["up"] = &changed
						r.use()
						w.WriteHeader(http.StatusUnauthorized) // of one key: with another it is tried again
						return
					}
					answerPlain(w, q)
				}))
				defer up.Close()
				r = newRig(t, answerPlain)
				r.keep(spill.Config{})
				r.env["env:A"], r.env["env:B"] = "a", "b"
				kind := "openai"
				if strings.HasSuffix(c.path, "/batches") {
					kind = "anthropic"
				}
				for _, id := range []inventory.ProviderID{"up", "other"} {
					r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + "/v1", CredentialRef: "env:A", Credentials: []inventory.ProviderKey{{Ref: "env:B"}}}
				}
				r.org().Routes["alias"] = &inventory.Route{Model: "alias", Unpriced: true, Targets: []inventory.Target{{Provider: "up", Model: "gpt-4o-mini"}, {Provider: "other", Model: "gpt-4o"}}}
				r.use()
				body := strings.ReplaceAll(c.body, "FILL", strings.Repeat("word ", size/5))
				headers := []string(nil)
				if strings.HasSuffix(c.path, "/files") {
					headers = []string{"Content-Type", "multipart/form-data; boundary=edge"}
				}
				r.raw(c.path, body, headers...)
				mu.Lock()
				defer mu.Unlock()
				if len(sent) != 2 {
					t.Fatalf("%d attempts", len(sent))
				}
				for i, s := range sent {
					if !strings.HasPrefix(s, c.again+" ") || strings.Contains(s, mail) || !strings.Contains(s, "[EMAIL]") || len(s) < size || strings.Contains(s, "alias") {
						t.Errorf("attempt %d: %s … %s", i+1, s[:min(len(s), 100)], tail(s))
					}
				}
			})
		}
	}
}

// formOfFile is one with a file for a purpose; its boundary is "edge".
func formOfFile(purpose, file string) string {
	return "--edge\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose +
		"\r\n--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"lines.jsonl\"\r\n\r\n" + file + "\r\n--edge--\r\n"
}

// Edits come back as they were written.
func TestEditsAreReadAsWritten(t *testing.T) {
	want := []peek.Edit{{Start: 0, End: 0, With: []byte("x")}, {Start: 5, End: 300, With: []byte{}}, {Start: 1 << 40, End: 1<<40 + 1, With: bytes.Repeat([]byte("y"), 70000)}}
	var b bytes.Buffer
	if err := writeEdits(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := readEdits(nil, bytes.NewReader(b.Bytes()))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, n := range []int{1, 2, 3, 5, b.Len() - 1} { // of a file that ends too early
		if _, err := readEdits(nil, bytes.NewReader(b.Bytes()[:n])); err == nil {
			t.Errorf("%d bytes were taken as whole", n)
		}
	}
}

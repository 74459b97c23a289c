package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// call is one request that the demo sends through the gateway, as an app would:
// over HTTP, with nothing but a base URL and a virtual key.
type call struct {
	key    string
	path   string // under /v1
	model  string
	prompt string
	stream bool
	user   string
	want   outcome
}

// outcome is what a call must come to. A call that ends otherwise fails the demo.
type outcome struct {
	status int
	code   string // stable error code; empty when any will do
}

var answered = outcome{status: http.StatusOK}

// seen is what came back.
type seen struct {
	status   int
	code     string
	request  string // x-request-id
	streamed bool
	done     bool // a stream ended with [DONE]
}

// busy reports that the upstream could not take the call now.
func (s seen) busy() bool {
	switch s.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529:
		return strings.HasPrefix(s.code, "upstream_") || s.status == http.StatusTooManyRequests && s.code != "budget_exceeded"
	}
	return false
}

// unkept reports that the gateway did not take the call because its ledger could not
// write in time. The disk was slow, and an app's client sends it again.
func (s seen) unkept() bool {
	return s.status == http.StatusServiceUnavailable && s.code == "ledger_unavailable"
}

// caller sends calls to one server.
type caller struct {
	base   string
	client *http.Client
}

func (c *caller) send(ctx context.Context, k call) (seen, error) {
	body, err := k.body()
	if err != nil {
		return seen{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1"+k.path, bytes.NewReader(body))
	if err != nil {
		return seen{}, err
	}
	req.Header.Set("Authorization", "Bearer "+k.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return seen{}, err
	}
	defer resp.Body.Close()
	s := seen{status: resp.StatusCode, request: resp.Header.Get("X-Request-Id")}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		s.streamed = true
		s.done, err = readStream(resp.Body)
		return s, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, err
	}
	var failure struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if s.status != http.StatusOK && json.Unmarshal(answer, &failure) == nil {
		s.code = failure.Error.Code
	}
	return s, nil
}

// readStream reads server-sent events to the end and reports whether the last
// one was [DONE].
func readStream(r io.Reader) (done bool, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
			done = strings.TrimSpace(data) == "[DONE]"
		}
	}
	return done, lines.Err()
}

func (k call) body() ([]byte, error) {
	request := map[string]any{"model": k.model}
	if k.user != "" {
		request["user"] = k.user
	}
	if k.path == "/embeddings" {
		request["input"] = []string{k.prompt}
		return json.Marshal(request)
	}
	request["messages"] = []map[string]string{{"role": "user", "content": k.prompt}}
	request["max_tokens"] = 200
	if k.stream {
		request["stream"] = true
	}
	return json.Marshal(request)
}

// check says what is wrong with an outcome, or nothing.
func (k call) check(s seen) error {
	switch {
	case s.status != k.want.status:
		return fmt.Errorf("%s asked for %s: want status %d, got %d %s (request %s)", k.path, k.model, k.want.status, s.status, s.code, s.request)
	case k.want.code != "" && s.code != k.want.code:
		return fmt.Errorf("%s asked for %s: want code %s, got %s (request %s)", k.path, k.model, k.want.code, s.code, s.request)
	case s.request == "":
		return fmt.Errorf("%s asked for %s: the answer carries no x-request-id", k.path, k.model)
	case k.stream && s.status == http.StatusOK && !s.done:
		return fmt.Errorf("%s asked for %s: the stream ended without [DONE] (request %s)", k.path, k.model, s.request)
	}
	return nil
}

package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/provider/eventstream"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// terminal is what in a stream says that it is whole.
var terminal = map[dialect.Operation]string{
	dialect.ChatCompletions: "[DONE]",
	dialect.MessagesCreate:  "message_stop",
	dialect.GenerateContent: `"finishReason":"`,
	dialect.ResponsesCreate: "response.completed",
	dialect.ConverseCreate:  "messageStop",
}

// saysError reports whether an answer says in its dialect that something went wrong.
func saysError(op dialect.Operation, resp *http.Response, answer string) bool {
	if op == dialect.ConverseCreate {
		return resp.Header.Get("X-Amzn-Errortype") != "" && strings.Contains(answer, `"message"`) || strings.Contains(answer, ":exception-type")
	}
	return strings.Contains(answer, `"error"`)
}

// begin sends the head of an upstream's stream.
func begin(w http.ResponseWriter, a *wiretest.Answer) {
	w.Header()["Content-Type"] = a.Header["Content-Type"]
	w.WriteHeader(200)
}

// sendUntil writes an answer of the upstream up to some event and some byte of the next,
// and then breaks the connection or ends it.
func sendUntil(events, bytesOfNext int, reset bool) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		begin(w, a)
		for i, e := range a.Events {
			if i == events {
				w.Write(e[:min(bytesOfNext, len(e))])
				break
			}
			w.Write(e)
		}
		w.(http.Flusher).Flush()
		if reset {
			panic(http.ErrAbortHandler)
		}
	}
}

// altered sends a stream of which each event went through f.
func altered(f func(i, n int, e []byte) []byte) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		begin(w, a)
		for i, e := range a.Events {
			w.Write(f(i, len(a.Events), bytes.Clone(e)))
			w.(http.Flusher).Flush()
		}
	}
}

// inBinary reports whether an event is one of AWS's framing, and gives its kind.
func inBinary(e []byte) (kind string, m *eventstream.Message) {
	m, err := eventstream.NewReader(bytes.NewReader(e)).Next()
	if err != nil {
		return "", nil
	}
	kind, _ = m.Kind()
	return kind, m
}

// dataIn is what an event says, out of its framing.
func dataIn(e []byte) []byte {
	kind, m := inBinary(e)
	switch {
	case m == nil:
		return e
	case kind != "chunk":
		return fmt.Appendf(nil, "%s %s", kind, m.Payload)
	}
	var chunk struct{ Bytes []byte }
	json.Unmarshal(m.Payload, &chunk)
	return chunk.Bytes
}

// resaid is an event with other data, in the framing of e.
func resaid(e []byte, data string) []byte {
	kind, m := inBinary(e)
	switch {
	case m == nil:
		return []byte("data: " + data + "\n\n")
	case kind == "chunk":
		data = fmt.Sprintf(`{"bytes":%q}`, base64.StdEncoding.EncodeToString([]byte(data)))
	}
	return told(kind, data)
}

// failing is the provider's event of an error, in the framing of e.
func failing(e []byte) []byte {
	if _, m := inBinary(e); m != nil {
		return eventstream.Append(nil, []byte(`{"message":"x"}`), ":exception-type", "serviceUnavailableException", ":content-type", "application/json", ":message-type", "exception")
	}
	return []byte("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\",\"code\":529}}\n\n")
}

// refigured is an event with its figures of usage written as f says.
func refigured(e []byte, with string) []byte {
	kind, m := inBinary(e)
	if m == nil {
		return usageFigures.ReplaceAll(e, []byte(with))
	}
	data := dataIn(e)
	if !usageFigures.Match(data) {
		return e
	}
	return resaid(e, strings.TrimPrefix(string(usageFigures.ReplaceAll(data, []byte(with))), kind+" "))
}

func failWith(status int, header ...string) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return func(w http.ResponseWriter, r *http.Request, _ *wiretest.Answer) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if strings.HasPrefix(r.URL.Path, "/model/") {
			io.WriteString(w, `{"message":"the vendor says so"}`)
			return
		}
		fmt.Fprintf(w, `{"type":"error","error":{"message":"the vendor says so","type":"x","code":%d,"status":"X"}}`, status)
	}
}

var usageFigures = regexp.MustCompile(`"(prompt_tokens|completion_tokens|total_tokens|input_tokens|output_tokens|promptTokenCount|candidatesTokenCount|totalTokenCount|inputTokens|outputTokens|totalTokens)":\d+`)

// faults of a stream. whole: the caller gets a whole answer all the same.
var faults = []struct {
	name   string
	write  func(http.ResponseWriter, *http.Request, *wiretest.Answer)
	status int               // 200, or what the caller gets in its place
	whole  bool              // with status 200
	source event.UsageSource // of a whole one
}{
	{"one byte at a time", func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		begin(w, a)
		for _, b := range bytes.Join(a.Events, nil) {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}, 200, true, event.UsageProvider},
	{"an event after the end", altered(func(i, n int, e []byte) []byte {
		if i == n-1 {
			if e = append(e, e...); e[0] != 0 {
				e = append(e, ": a comment\n\n"...)
			}
		}
		return e
	}), 200, true, event.UsageProvider},
	{"usage twice", altered(func(i, n int, e []byte) []byte {
		if usageFigures.Match(e) && !bytes.Contains(e, []byte("event: ")) {
			e = append(e, e...)
		}
		return e
	}), 200, true, event.UsageProvider},
	{"no usage", altered(func(_, _ int, e []byte) []byte {
		return refigured(e, `"no_$1":0`)
	}), 200, true, event.UsageCounted},
	{"usage of null", altered(func(_, _ int, e []byte) []byte {
		return refigured(e, `"$1":null`)
	}), 200, true, event.UsageCounted},
	{"an event that is no JSON", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return resaid(e, `{"broken": `)
		}
		return e
	}), 200, false, 0},
	{"an event larger than any may be", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return resaid(e, `{"x":"`+strings.Repeat("x", maxFrame)+`"}`)
		}
		return e
	}), 200, false, 0},
	{"a stall", func(w http.ResponseWriter, r *http.Request, a *wiretest.Answer) {
		begin(w, a)
		w.Write(bytes.Join(a.Events[:len(a.Events)/2], nil))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, 200, false, 0},
	{"an error in the stream", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return failing(e)
		}
		return e
	}), 200, false, 0},
	{"a page instead of an answer", func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>502</html>")
	}, 502, false, 0},
	{"too many requests", failWith(429, "Retry-After", "3600"), 429, false, 0},
	{"a server's error", failWith(500), 502, false, 0},
	{"overloaded", failWith(529, "Retry-After", "3600"), 529, false, 0}, // 503 but for Anthropic's clients
	{"our credential", failWith(401), 502, false, 0},
	{"a bad request", failWith(400), 400, false, 0},
}

// Whatever goes wrong upstream: the caller gets the right answer in its dialect, the
// ledger gets usage, a stream that was cut never looks whole, and nothing is left
// running.
func TestFaults(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	up := wiretest.Start()
	defer up.Close()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	for kind, s := range speaking {
		id := inventory.ProviderID(kind)
		r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + s.base, CredentialRef: "env:WIRE"}
		r.org().Routes["m-"+kind] = &inventory.Route{Model: "m-" + kind, Provider: id, Target: s.model}
		r.org().Routes["stalls-"+kind] = &inventory.Route{Model: "stalls-" + kind, Provider: id, Target: s.model, IdleTimeout: inventory.Duration(300 * time.Millisecond)}
	}
	r.env["env:WIRE"] = wiretest.Key
	r.use()
	call := func(t *testing.T, op dialect.Operation, model string, write func(http.ResponseWriter, *http.Request, *wiretest.Answer), stream bool) (*http.Response, string, event.Event) {
		t.Helper()
		up.Write = write
		before := strings.Count(r.rec.kinds(), "outcome")
		path, body := askers[op](model, "Tell me all of it, please", stream)
		resp, answer := r.send(http.MethodPost, path, testKey, body)
		for strings.Count(r.rec.kinds(), "outcome") == before {
			time.Sleep(time.Millisecond)
		}
		return resp, answer, r.rec.last()
	}
	for op := range askers {
		for kind := range speaking {
			name := fmt.Sprintf("%s to %s", op, kind)
			for _, f := range faults {
				t.Run(name+": "+f.name, func(t *testing.T) {
					model := "m-" + kind
					if f.name == "a stall" {
						model = "stalls-" + kind
					}
					resp, answer, e := call(t, op, model, f.write, true)
					want := f.status
					if want == 529 && op != dialect.MessagesCreate {
						want = 503
					}
					if resp.StatusCode != want || want == 529 && !strings.Contains(answer, `"overloaded_error"`) {
						t.Fatalf("%d %s, want %d", resp.StatusCode, answer, want)
					}
					if (f.status == 429 || f.status == 529) && resp.Header.Get("Retry-After") != "3600" {
						t.Errorf("retry-after %q", resp.Header.Get("Retry-After"))
					}
					looksWhole := strings.Contains(answer, terminal[op])
					switch {
					case f.whole != looksWhole:
						t.Errorf("looks whole: %v\n%s", looksWhole, answer)
					case !f.whole && !saysError(op, resp, answer):
						t.Errorf("says no error: %s", answer)
					}
					if f.whole && (e.End != event.EndComplete || e.Source != f.source || e.Usage.Output <= 0) || !f.whole && e.End != event.EndCut && e.End != event.EndUpstreamError {
						t.Errorf("%+v", e)
					}
				})
			}
			t.Run(name+": cut", func(t *testing.T) {
				var events [][]byte
				call(t, op, "m-"+kind, func(w http.ResponseWriter, q *http.Request, a *wiretest.Answer) {
					events = a.Events
					sendUntil(len(a.Events), 0, false)(w, q, a)
				}, true)
				last := slices.IndexFunc(events, func(e []byte) bool { return bytes.Contains(dataIn(e), []byte(terminal[upstreamOp(r, op, kind)])) })
				for k := range last + 1 {
					parts := []int{0, 1, len(events[k]) / 2, len(events[k]) - 2}
					if strings.HasPrefix(kind, "vertex") { // whose wire is that of another kind here
						parts = []int{0, len(events[k]) / 2}
					}
					for _, part := range parts {
						for _, reset := range []bool{false, true} {
							resp, answer, e := call(t, op, "m-"+kind, sendUntil(k, part, reset), true)
							if strings.Contains(answer, terminal[op]) || !saysError(op, resp, answer) || e.End != event.EndCut && e.End != event.EndUpstreamError {
								t.Fatalf("after event %d and %d bytes, reset %v: %d %s\n%+v", k, part, reset, resp.StatusCode, answer, e)
							}
						}
					}
				}
			})
			t.Run(name+": a whole answer broken at a byte", func(t *testing.T) {
				for _, k := range []int{0, 1, 40, 120} {
					resp, answer, e := call(t, op, "m-"+kind, func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
						w.Header().Set("Content-Type", "application/json")
						w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
						w.Write(a.Body[:min(k, len(a.Body)-1)])
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					}, false)
					if resp.StatusCode != 502 || !saysError(op, resp, answer) || e.End != event.EndCut || e.Charge < 0 {
						t.Errorf("at byte %d: %d %s %+v", k, resp.StatusCode, answer, e)
					}
				}
			})
		}
	}
	r.srv.Close()
	up.Close()
	r.up.Close()
	http.DefaultClient.CloseIdleConnections()
	r.g.c.Transport.(*http.Transport).CloseIdleConnections()
	goleak.VerifyNone(t, leaks)
}

// upstreamOp is the operation by which a call reaches a kind of provider.
func upstreamOp(r *rig, op dialect.Operation, kind string) dialect.Operation {
	way, _ := r.g.view.Load().orgs["acme"].providers[inventory.ProviderID(kind)].carried[op]
	return way.op
}

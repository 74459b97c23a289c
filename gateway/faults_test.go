package gateway

import (
	"bytes"
	"fmt"
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
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// terminal is what in a stream says that it is whole.
var terminal = map[dialect.Operation]string{
	dialect.ChatCompletions: "[DONE]",
	dialect.MessagesCreate:  "message_stop",
	dialect.GenerateContent: `"finishReason":"`,
	dialect.ResponsesCreate: "response.completed",
}

// send writes an answer of the upstream up to some event and some byte of the next,
// and then breaks the connection or ends it.
func sendUntil(events, bytesOfNext int, reset bool) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
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
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		for i, e := range a.Events {
			w.Write(f(i, len(a.Events), bytes.Clone(e)))
			w.(http.Flusher).Flush()
		}
	}
}

func failWith(status int, header ...string) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"error","error":{"message":"the vendor says so","type":"x","code":%d,"status":"X"}}`, status)
	}
}

var usageFigures = regexp.MustCompile(`"(prompt_tokens|completion_tokens|total_tokens|input_tokens|output_tokens|promptTokenCount|candidatesTokenCount|totalTokenCount)":\d+`)

// faults of a stream. whole: the caller gets a whole answer all the same.
var faults = []struct {
	name   string
	write  func(http.ResponseWriter, *http.Request, *wiretest.Answer)
	status int               // 200, or what the caller gets in its place
	whole  bool              // with status 200
	source event.UsageSource // of a whole one
}{
	{"one byte at a time", func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, b := range bytes.Join(a.Events, nil) {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}, 200, true, event.UsageProvider},
	{"an event after the end", altered(func(i, n int, e []byte) []byte {
		if i == n-1 {
			e = append(append(e, e...), ": a comment\n\n"...)
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
		return usageFigures.ReplaceAll(e, []byte(`"no_$1":0`))
	}), 200, true, event.UsageCounted},
	{"usage of null", altered(func(_, _ int, e []byte) []byte {
		return usageFigures.ReplaceAll(e, []byte(`"$1":null`))
	}), 200, true, event.UsageCounted},
	{"an event that is no JSON", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return []byte("data: {\"broken\": \n\n")
		}
		return e
	}), 200, false, 0},
	{"an event larger than any may be", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return []byte("data: {\"x\":\"" + strings.Repeat("x", maxFrame) + "\"}\n\n")
		}
		return e
	}), 200, false, 0},
	{"a stall", func(w http.ResponseWriter, r *http.Request, a *wiretest.Answer) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(bytes.Join(a.Events[:len(a.Events)/2], nil))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, 200, false, 0},
	{"an error in the stream", altered(func(i, n int, e []byte) []byte {
		if i == n/2 {
			return []byte("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\",\"code\":529}}\n\n")
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
		r.org().Routes["m-"+kind] = &inventory.Route{Model: "m-" + kind, Provider: id, Target: s.model, IdleTimeout: inventory.Duration(time.Second)}
	}
	r.env["env:WIRE"] = wiretest.Key
	r.use()
	call := func(t *testing.T, op dialect.Operation, kind string, write func(http.ResponseWriter, *http.Request, *wiretest.Answer), stream bool) (*http.Response, string, event.Event) {
		t.Helper()
		up.Write = write
		before := strings.Count(r.rec.kinds(), "outcome")
		path, body := askers[op]("m-"+kind, "Tell me all of it, please", stream)
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
					resp, answer, e := call(t, op, kind, f.write, true)
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
					case !f.whole && !strings.Contains(answer, `"error"`):
						t.Errorf("says no error: %s", answer)
					}
					if f.whole && (e.End != event.EndComplete || e.Source != f.source || e.Usage.Output <= 0) || !f.whole && e.End != event.EndCut && e.End != event.EndUpstreamError {
						t.Errorf("%+v", e)
					}
				})
			}
			t.Run(name+": cut", func(t *testing.T) {
				var events [][]byte
				call(t, op, kind, func(w http.ResponseWriter, q *http.Request, a *wiretest.Answer) {
					events = a.Events
					sendUntil(len(a.Events), 0, false)(w, q, a)
				}, true)
				last := slices.IndexFunc(events, func(e []byte) bool { return bytes.Contains(e, []byte(terminal[upstreamOp(r, op, kind)])) })
				for k := range last + 1 {
					for _, part := range []int{0, 1, len(events[k]) / 2, len(events[k]) - 2} {
						for _, reset := range []bool{false, true} {
							resp, answer, e := call(t, op, kind, sendUntil(k, part, reset), true)
							if strings.Contains(answer, terminal[op]) || !strings.Contains(answer, `"error"`) || e.End != event.EndCut && e.End != event.EndUpstreamError {
								t.Fatalf("after event %d and %d bytes, reset %v: %d %s\n%+v", k, part, reset, resp.StatusCode, answer, e)
							}
						}
					}
				}
			})
			t.Run(name+": a whole answer broken at a byte", func(t *testing.T) {
				for _, k := range []int{0, 1, 40, 120} {
					resp, answer, e := call(t, op, kind, func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
						w.Header().Set("Content-Type", "application/json")
						w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
						w.Write(a.Body[:min(k, len(a.Body)-1)])
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					}, false)
					if resp.StatusCode != 502 || !strings.Contains(answer, `"error"`) || e.End != event.EndCut || e.Charge < 0 {
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

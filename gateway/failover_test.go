package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plumbline/gateway/event"
	"plumbline/gateway/routing"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

func broken(event func(e []byte) []byte) func(http.ResponseWriter, *http.Request, *wiretest.Answer) {
	return altered(func(i, _ int, e []byte) []byte {
		if i == 0 {
			return event(e)
		}
		return e
	})
}

// unheardOf are faults of an answer that began well, of which the caller has no byte.
var unheardOf = []struct {
	name   string
	write  func(http.ResponseWriter, *http.Request, *wiretest.Answer)
	stream bool
	class  string
	billed bool // it may be
	same   bool // the same provider is asked again where there is no other
}{
	{"reset before the first event", sendUntil(0, 0, true), true, "", true, false},
	{"reset within the first event", sendUntil(0, 9, true), true, "", true, false},
	{"ended before the first event", sendUntil(0, 0, false), true, "", true, false},
	{"overloaded, as the first event", broken(failing), true, "in_answer", false, true},
	{"a first event that is no JSON", broken(func(e []byte) []byte { return resaid(e, `{"broken": `) }), true, "bad_answer", false, false},
	{"a stall before the first event", func(w http.ResponseWriter, r *http.Request, a *wiretest.Answer) {
		begin(w, a)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, true, "timeout", true, false},
	{"a page instead of a stream", func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>200</html>")
	}, true, "bad_answer", false, false},
	{"a whole answer broken in its middle", func(w http.ResponseWriter, _ *http.Request, a *wiretest.Answer) {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
		w.Write(a.Body[:len(a.Body)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, false, "", true, false},
	{"an error in the place of a whole answer", func(w http.ResponseWriter, _ *http.Request, _ *wiretest.Answer) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"error":{"message":"x","type":"overloaded_error","code":529}}`)
	}, false, "in_answer", false, true},
}

// Whatever goes wrong before the caller has a byte: the next provider is asked, under
// the same checks and on record, and its answer is the one that the caller gets, whole
// and once. Without another provider the caller is told as ever.
func TestFaultsBeforeTheFirstByte(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	bad, good := wiretest.Start(), wiretest.Start()
	defer bad.Close()
	defer good.Close()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.g.health = routing.NewHealth(routing.Limits{Least: 1 << 20, RetryFloor: 1 << 20}, nil) // no breaker opens, and nothing is spared
	r.env["env:WIRE"] = wiretest.Key
	for kind, s := range speaking {
		for name, up := range map[string]*wiretest.Server{"bad-": bad, "good-": good} {
			id := inventory.ProviderID(name + kind)
			r.org().Providers[id] = &inventory.Provider{ID: id, Kind: kind, BaseURL: up.URL + s.base, CredentialRef: "env:WIRE"}
		}
		from, to := inventory.Target{Provider: inventory.ProviderID("bad-" + kind), Model: s.model}, inventory.Target{Provider: inventory.ProviderID("good-" + kind), Model: s.model, Tier: 1}
		idle := inventory.Duration(500 * time.Millisecond)
		r.org().Routes["two-"+kind] = &inventory.Route{Model: "two-" + kind, Targets: []inventory.Target{from, to}, IdleTimeout: idle}
		r.org().Routes["one-"+kind] = &inventory.Route{Model: "one-" + kind, Targets: []inventory.Target{from}, IdleTimeout: idle}
	}
	r.use()
	ask := func(t *testing.T, path, body string) (*http.Response, string, []event.Event) {
		t.Helper()
		bad.Forget()
		good.Forget()
		before, outcomes := len(r.rec.events), strings.Count(r.rec.kinds(), "outcome")
		resp, answer := r.send(http.MethodPost, path, testKey, body)
		for strings.Count(r.rec.kinds(), "outcome") == outcomes {
			time.Sleep(time.Millisecond)
		}
		return resp, answer, r.rec.events[before:]
	}
	for op, asker := range askers {
		for kind := range speaking {
			for _, f := range unheardOf {
				t.Run(fmt.Sprintf("%s to %s: %s", op, kind, f.name), func(t *testing.T) {
					bad.Write = f.write
					path, body := asker("two-"+kind, "Tell me all", f.stream)
					resp, answer, events := ask(t, path, body)
					if resp.StatusCode != 200 || resp.Header.Get(hdrProvider) != "good-"+kind || f.stream && !strings.Contains(answer, terminal[op]) || !f.stream && !strings.Contains(answer, "You said: Tell me all") {
						t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, answer)
					}
					if len(events) != 3 || events[1].Kind != event.Attempt || events[1].Provider != "good-"+kind || events[1].Usage != (event.Usage{}) || events[1].UpstreamErr == "" || f.class != "" && events[1].UpstreamErr != f.class {
						t.Fatalf("%+v", events)
					}
					e := events[2]
					if e.Tries != 2 || e.End != event.EndComplete || e.UpstreamErr != "" || e.Source != event.UsageProvider || f.billed != (e.Abandoned > 0) || e.Charge <= e.Abandoned {
						t.Errorf("%+v", e)
					}
					if calls := [2]int{len(bad.Received()), len(good.Received())}; calls != [2]int{1, 1} {
						t.Errorf("calls %v", calls)
					}

					path, body = asker("one-"+kind, "Tell me all", f.stream)
					resp, answer, events = ask(t, path, body)
					calls := 1
					if f.same {
						calls = 2
					}
					if e := events[len(events)-1]; resp.StatusCode != 502 || !saysError(op, resp, answer) || e.End == event.EndComplete || e.UpstreamErr == "" || e.Abandoned != 0 || len(bad.Received()) != calls {
						t.Errorf("alone: %d %s; %d calls; %+v", resp.StatusCode, answer, len(bad.Received()), e)
					}
				})
			}
			t.Run(fmt.Sprintf("%s to %s: cut after the first byte", op, kind), func(t *testing.T) {
				bad.Write = sendUntil(4, 0, true)
				path, body := asker("two-"+kind, "Tell me all of it, please", true)
				resp, answer, events := ask(t, path, body)
				if len(good.Received()) != 0 || strings.Contains(answer, terminal[op]) || len(events) != 2 {
					t.Errorf("%d %s; %d went elsewhere", resp.StatusCode, answer, len(good.Received()))
				}
			})
		}
	}
	r.srv.Close()
	bad.Close()
	good.Close()
	r.up.Close()
	http.DefaultClient.CloseIdleConnections()
	r.g.c.Transport.(*http.Transport).CloseIdleConnections()
	goleak.VerifyNone(t, leaks)
}

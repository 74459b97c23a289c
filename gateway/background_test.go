package gateway

import (
	"fmt"
	"net/http"
	"testing"

	"plumbline/gateway/event"
)

// A response that is made in the background is charged at its hold, for what it used is
// not known when the call ends, and once: not again when the app asks for it. One whose
// usage comes with the answer costs that.
func TestBackgroundResponses(t *testing.T) {
	for _, c := range []struct {
		name, more, answer string
		source             event.UsageSource
		estimated          bool
	}{
		{"queued", `"background":true`, `{"id":"resp_1","object":"response","status":"queued","model":"gpt-4o-mini","output":[],"usage":null}`, event.UsageEstimated, true},
		{"made at once", `"background":true`, `{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o-mini","output":[],"usage":{"input_tokens":3,"output_tokens":4}}`, event.UsageProvider, false},
		{"not in the background", `"background":false`, `{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o-mini","output":[],"usage":null}`, event.UsageCounted, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if q.Method == http.MethodGet {
					fmt.Fprint(w, `{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o-mini","output":[],"usage":{"input_tokens":3,"output_tokens":4}}`)
					return
				}
				fmt.Fprint(w, c.answer)
			})
			resp, answer := r.send(http.MethodPost, "/v1/responses", testKey, `{"model":"gpt-4o-mini","max_output_tokens":100,"input":"hello",`+c.more+`}`)
			r.rec.wait(t, 2)
			e := r.rec.last()
			if resp.StatusCode != 200 || e.Source != c.source || e.Charge <= 0 || c.estimated != (e.Charge == e.Held) {
				t.Fatalf("%d %s %+v", resp.StatusCode, answer, e)
			}
			before := r.g.c.Budgets.Now(r.org().OrgBudgets[0])
			r.send(http.MethodGet, "/v1/responses/resp_1", testKey, "")
			r.rec.wait(t, 4)
			if after := r.g.c.Budgets.Now(r.org().OrgBudgets[0]); after != before || after.Held != 0 || after.Charged != e.Charge {
				t.Errorf("%+v, before %+v", after, before)
			}
		})
	}
}

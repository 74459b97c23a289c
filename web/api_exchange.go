package web

import (
	"net/http"
	"strconv"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
)

var usageNames = map[event.UsageSource]string{event.UsageUnknown: "unknown", event.UsageProvider: "provider", event.UsageCounted: "counted", event.UsageEstimated: "estimated", event.UsagePartial: "partial"}

var endNames = map[event.End]string{event.EndUnknown: "unknown", event.EndComplete: "complete", event.EndCut: "cut", event.EndClientGone: "client_gone",
	event.EndUpstreamError: "upstream_error", event.EndBlocked: "blocked", event.EndAborted: "aborted"}

// exchangeJSON is an exchange with words where the index keeps numbers.
type exchangeJSON struct {
	projection.Exchange
	At     time.Time `json:"at"`
	End    string    `json:"end"`
	Source string    `json:"usage_source"`
	Nano   *struct{} `json:"charge_nano,omitempty"`
	Hold   *struct{} `json:"held_nano,omitempty"`
	Later  *struct{} `json:"adjusted_nano,omitempty"`
	Charge string    `json:"charge"` // dollars, with what was adjusted
	Adjust string    `json:"adjusted"`
	Held   string    `json:"held"`

	Batch *batchJSON `json:"batch,omitempty"` // of one exchange alone, when it made one
}

func exchangeOf(x projection.Exchange) exchangeJSON {
	return exchangeJSON{Exchange: x, At: x.Time(), End: endNames[x.End], Source: usageNames[x.Source], Charge: amount(x.Charge), Adjust: amount(x.Adjusted), Held: amount(x.Held)}
}

// apiExchanges lists exchanges, the newest first; next is the cursor of what
// follows, to be sent as before.
func (r *request) apiExchanges() error {
	f := projection.Filter{System: r.query("system"), Key: r.query("key"), Model: r.query("model"), State: r.query("state"), Code: r.query("code"), Before: r.query("before")}
	for name, to := range map[string]*int64{"from": &f.From, "to": &f.To} {
		t, err := r.timeQuery(name)
		if err != nil {
			return err
		}
		if !t.IsZero() {
			*to = t.UnixMicro()
		}
	}
	if text := r.query("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return fault.Field("limit", "limit is between 1 and 1000")
		}
		f.Limit = n
	}
	list, next, err := r.index().list(r.ctx(), f)
	if err != nil {
		return err
	}
	out := []exchangeJSON{}
	for _, x := range list {
		out = append(out, exchangeOf(x))
	}
	return r.answer(http.StatusOK, map[string]any{"exchanges": out, "next": next})
}

func (r *request) apiExchange() error {
	x, err := r.index().one(r.ctx(), r.param("id"))
	if err != nil {
		return err
	}
	out := exchangeOf(x)
	if err := r.addBatch(&out, &x); err != nil {
		return err
	}
	return r.answer(http.StatusOK, out)
}

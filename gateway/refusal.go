package gateway

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"plumbline/gateway/event"
)

// refusal ends an exchange with an error in the caller's dialect. code is stable;
// message is one sentence that says what to do.
type refusal struct {
	status  int
	code    string
	kind    string // OpenAI's error type
	message string
	param   string
	wait    time.Duration // for retry-after; 0: none
	noRetry bool          // x-should-retry: false
	cause   error
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

var errorTypes = map[int]string{400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	405: "invalid_request_error", 413: "invalid_request_error", 415: "invalid_request_error", 429: "rate_limit_error"}

func refuse(status int, code, message string) *refusal {
	kind, ok := errorTypes[status]
	if !ok {
		kind = "api_error"
	}
	return &refusal{status: status, code: code, kind: kind, message: message}
}

func (r *refusal) retryAfter(seconds int) *refusal {
	return r.retryIn(time.Duration(seconds) * time.Second)
}
func (r *refusal) retryIn(d time.Duration) *refusal { r.wait = d; return r }
func (r *refusal) about(param string) *refusal      { r.param = param; return r }
func (r *refusal) because(err error) *refusal       { r.cause = err; return r }

func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(http.StatusInternalServerError, "internal", "something went wrong in the gateway; its log has the request id").because(err)
}

// fail ends the exchange: before the head is out with a status, in a stream with
// an error event and never with [DONE].
func (g *Gateway) fail(x *exchange, err error) {
	r := asRefusal(err)
	if x.failure == nil {
		x.failure = r
		if !x.intent && !x.wrote {
			g.refused(x)
		}
	}
	x.done = true
	if x.org != nil && x.org.Settings.Contact != "" && (r.status == http.StatusForbidden || r.code == "guard_blocked") {
		r.message += "; contact " + x.org.Settings.Contact
	}
	if x.wrote {
		if x.stream {
			x.buf = x.call.api.event(x.buf[:0], r, x.idHdr[0], x.framesOut)
			x.frame(x.buf)
			if x.array {
				x.write([]byte("]"))
			}
			x.flush()
		}
		return
	}
	api := &openAIAPI
	if x.call != nil {
		api = x.call.api
	}
	body := api.failure(x.buf[:0], r, x.idHdr[0])
	x.buf = body
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h[hdrExchange] = x.idHdr[:]
	if d := &x.ev.Decision; d.Effect > event.EffectAllow && d.Rule != "" {
		h[hdrPolicy] = []string{d.Rule}
	}
	if x.up != nil && strings.HasPrefix(r.code, "upstream_") {
		h[hdrProvider] = x.up.name
	}
	if api.kind != nil {
		h.Set(amazonError, api.kind(r))
	}
	if r.wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.wait.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(r.wait.Milliseconds()+1, 10))
	}
	if r.noRetry {
		h.Set("X-Should-Retry", "false")
	}
	status := r.status
	if api.status != nil {
		status = api.status(r)
	}
	x.head(status)
	x.write(body)
}

func (x *exchange) head(status int) {
	if !x.wrote {
		x.wrote = true
		x.watch.given()
		x.ev.Status = uint32(status)
		x.w.WriteHeader(status)
	}
}

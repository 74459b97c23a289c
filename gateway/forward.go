package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// forward sends the call and gives the answer back. An answer that fails before the
// caller got a byte of it is a failed attempt, and others may follow.
func (g *Gateway) forward(x *exchange) error {
	ctx, cancel := g.upstreamContext(x)
	defer cancel()
	for {
		resp, err := g.send(ctx, x)
		if err != nil {
			return err
		}
		err = g.answer(ctx, x, resp, cancel)
		f := x.unheard(err)
		if f == nil {
			if resp.Status >= 200 && resp.Status <= 299 {
				g.judge(x)
			}
			if (x.arrived != nil || x.ended) && err == nil {
				x.flush()
				g.arrive(x)
			}
			return err
		}
		if moved, err := g.elseAnswered(ctx, x, f); !moved {
			return err
		}
	}
}

// read gives on an answer of success.
func (g *Gateway) read(ctx context.Context, x *exchange, resp *provider.Response, cancel context.CancelFunc) error {
	if x.stream && isEvents(resp.Header["Content-Type"]) {
		return g.stream(x, resp)
	}
	if x.call.op == dialect.Speech {
		return g.sound(x, resp)
	}
	if x.call.givesLines() {
		return g.results(x, resp)
	}
	return g.whole(ctx, x, resp)
}

func isEvents(contentType []string) bool {
	const events = "text/event-stream"
	return len(contentType) > 0 && len(contentType[0]) >= len(events) && strings.EqualFold(contentType[0][:len(events)], events)
}

// waited adds the time since the provider was asked, or since it was added last.
func (g *Gateway) waited(x *exchange) {
	now := g.c.Since(x.start)
	x.upstreamT += now - x.sentAt
	x.sentAt = now
}

// statusOverloaded is Anthropic's own, which its clients know: the provider is
// overloaded. Others say 503.
const statusOverloaded = 529

// upstreamRefused passes on what the provider says about the request; what it
// says about itself or about our credential becomes an error of the gateway.
func (g *Gateway) upstreamRefused(x *exchange, resp *provider.Response) error {
	x.ev.End = event.EndUpstreamError
	x.ev.UpstreamErr = "http_" + strconv.Itoa(resp.Status)
	x.w.Header()[hdrProvider] = x.up.name // who refuses
	switch {
	case resp.Status == http.StatusUnauthorized || resp.Status == http.StatusForbidden || resp.Status == http.StatusPaymentRequired || resp.Status == http.StatusProxyAuthRequired:
		return refuse(http.StatusBadGateway, "upstream_credential", fmt.Sprintf("the provider %s does not accept the gateway's credential; an administrator must renew it", x.ev.Provider))
	case resp.Status == statusOverloaded:
		copyHeader(x.w.Header(), resp.Header)
		status := http.StatusServiceUnavailable
		if x.call.api == &anthropicAPI {
			status = statusOverloaded
		}
		return refuse(status, "upstream_overloaded", fmt.Sprintf("the provider %s is overloaded; send the request again later", x.ev.Provider))
	case resp.Status >= 500 || resp.Status < 400:
		return refuse(http.StatusBadGateway, "upstream_error", fmt.Sprintf("the provider %s answered with an error (%d); send the request again later", x.ev.Provider, resp.Status))
	}
	body, err := readAll(x.buf[:0], resp.Body, 1<<20)
	x.buf = body
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return refuse(resp.Status, "upstream_refused", fmt.Sprintf("the provider %s refused the request (%d)", x.ev.Provider, resp.Status))
	}
	body = x.sent.Key.Hide(body)
	h := x.w.Header()
	copyHeader(h, resp.Header)
	if x.carriage.from != nil || !x.call.api.says(body) {
		return refuse(resp.Status, "upstream_refused", said(body))
	}
	x.failure = refuse(resp.Status, "upstream_refused", "")
	if x.call.api.kind != nil {
		h.Set(amazonError, x.call.api.kind(x.failure))
		if v, ok := resp.Header[amazonError]; ok {
			h[amazonError] = v
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h[hdrExchange] = x.idHdr[:]
	x.head(resp.Status)
	x.write(body)
	x.done = true
	return nil
}

// said is the message of a provider's error, which the caller gets in its own
// dialect; it is in no record and no log.
func said(body []byte) string {
	var e struct {
		Error   struct{ Message string }
		Message string
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Error.Message == "" && e.Message == "" {
		return "the provider refused the request"
	}
	if e.Error.Message == "" {
		return e.Message
	}
	return e.Error.Message
}

// upstreamPath is where the call goes below the provider's base URL.
func (x *exchange) upstreamPath() string {
	path := x.carriage.path.Of(x.target, x.stream)
	if x.call.ofKept {
		return x.ofResponsePath(path)
	}
	if x.call.api == &anthropicAPI && x.carriage.from == nil && x.r.URL.Query().Get("beta") == "true" {
		path += "?beta=true"
	}
	return path
}

// passedOn are the caller's headers that a provider of the same API gets. Nothing
// else of the caller's headers leaves.
var passedOn = map[*api][]string{
	&openAIAPI:    {"Openai-Beta"},
	&responsesAPI: {"Openai-Beta"},
	&anthropicAPI: {"Anthropic-Version", "Anthropic-Beta"},
}

func (x *exchange) passed() http.Header {
	if x.carriage.from != nil {
		return nil
	}
	var h http.Header
	for _, name := range x.call.passes {
		if v, ok := x.r.Header[name]; ok && !hopByHop(x.r.Header, name) {
			if h == nil {
				h = http.Header{}
			}
			h[name] = v
		}
	}
	return h
}

// passed are the provider's headers that a caller may see.
var passed = []string{"Retry-After", "Retry-After-Ms", "X-Should-Retry", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Requests",
	"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Requests", "X-Ratelimit-Reset-Tokens", "Openai-Processing-Ms", "Openai-Version",
	"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset",
	"Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset",
	"Anthropic-Ratelimit-Input-Tokens-Limit", "Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset",
	"Anthropic-Ratelimit-Output-Tokens-Limit", "Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"}

// requestIDs are the headers in which providers say their own id of a call.
var requestIDs = []string{"X-Request-Id", "Request-Id", "Apim-Request-Id", amazonID}

func copyHeader(to, from http.Header) {
	if len(from) <= 2 {
		return
	}
	for _, name := range passed {
		if v, ok := from[name]; ok {
			to[name] = v
		}
	}
	for _, name := range requestIDs {
		if v, ok := from[name]; ok {
			to["X-Upstream-Request-Id"] = v
			return
		}
	}
}

// whole reads an answer that is not streamed, inspects it and gives it back.
func (g *Gateway) whole(ctx context.Context, x *exchange, resp *provider.Response) error {
	a, err := g.readWhole(ctx, x, resp.Body)
	if err != nil {
		return err
	}
	defer a.close(x)
	body := a.body
	if x.call.takesForm() && isText(resp.Header["Content-Type"]) {
		return g.writtenDown(x, resp, &a)
	}
	if err := x.chunk.Answer(body, x.carriage.grammar); err != nil {
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with something else than JSON", x.ev.Provider)).because(err)
	}
	if x.chunk.Failed && !x.call.ofKept { // which tells of one that failed before
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "in_answer"
		return upstreamFailed(x)
	}
	x.takeImages(body)
	g.pin(x, body)
	if err := g.keeps(x, body); err != nil {
		return err
	}
	g.opens(x, body)
	x.tells(body)
	if x.carriage.from != nil {
		if body, err = x.translateAnswer(body); err == nil {
			err = x.chunk.Answer(body, x.call.grammar)
		}
		if err != nil {
			x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
			return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with something that its API does not say", x.ev.Provider)).because(err)
		}
	}
	if err := g.readAnswer(x, body); err != nil {
		return err
	}
	x.edits = sorted(append(x.edits, resultsHere(x.call.kind, body)...))
	if len(x.edits) > 0 {
		body = peek.Splice(nil, body, x.edits)
	}
	return g.giveWhole(x, &a, body, resp, resp.Status, jsonHeader)
}

func upstreamFailed(x *exchange) error {
	return refuse(http.StatusBadGateway, "upstream_error", fmt.Sprintf("the provider %s answered with an error", x.ev.Provider))
}

// readAnswer inspects a whole answer and leaves in x.edits what of it changes.
func (g *Gateway) readAnswer(x *exchange, body []byte) (err error) {
	edits := x.edits[:0]
	x.edits = edits
	for _, s := range x.chunk.Text {
		x.textOut += int64(s.End - s.Start)
	}
	if x.answers == nil || x.answers.Idle() {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			x.edits = x.edits[:0]
			err = g.guardFailed(x, x.answers, p)
		}
	}()
	if x.tooMuch(x.chunk.Text, nil) {
		return x.answerTooLarge()
	}
	for _, s := range x.chunk.Text {
		text := body[s.Start:s.End]
		if s.Escaped {
			x.scratch = peek.Unescape(x.scratch[:0], text)
			text = x.scratch
		}
		if out, changed := x.answers.Text(text); changed {
			edits = append(edits, peek.Edit{Start: s.Start, End: s.End, With: peek.Escape(nil, out)})
			edits = withoutLogprobs(edits, x.chunk.Logprobs, s.Choice(), 0)
		}
	}
	x.edits = sorted(edits)
	if guard, class, hit := x.answers.Blocked(); hit {
		x.ev.End = event.EndBlocked
		return refuse(http.StatusBadRequest, "guard_blocked", fmt.Sprintf("the guard %q found %s in the answer, so it is not given out (request %s)", guard, class, x.idHdr[0]))
	}
	return nil
}

// withoutLogprobs takes out the tokens of a choice whose text was changed: they are
// that text once more. base is where the spans' text stands in what is edited.
func withoutLogprobs(edits []peek.Edit, logprobs []peek.Span, choice, base int) []peek.Edit {
	for _, l := range logprobs {
		e := peek.Edit{Start: base + l.Start, End: base + l.End, With: null}
		if l.Choice() == choice && !slices.ContainsFunc(edits, func(o peek.Edit) bool { return o.Start == e.Start }) {
			edits = append(edits, e)
		}
	}
	return edits
}

var null = []byte("null")

// sorted puts edits, few and nearly sorted, into the order that Splice needs.
func sorted(edits []peek.Edit) []peek.Edit {
	for i := 1; i < len(edits); i++ {
		for k := i; k > 0 && edits[k].Start < edits[k-1].Start; k-- {
			edits[k], edits[k-1] = edits[k-1], edits[k]
		}
	}
	return edits
}

var (
	jsonHeader  = []string{"application/json"}
	sseHeader   = []string{"text/event-stream"}
	noBuffering = []string{"no"}
	noCache     = []string{"no-cache"}
)

// takeUsage keeps what the provider says it will bill, in an answer or an event that
// x.chunk has read.
func (x *exchange) takeUsage(answer []byte) {
	if x.chunk.HasModel && x.ev.ModelServed == "" {
		x.ev.ModelServed = x.servedName(answer)
	}
	if x.chunk.Tier != "" {
		x.tier = x.chunk.Tier
	}
	x.searched += x.chunk.Searched
	if !x.chunk.HasUsage || x.call.free || x.call.lasts() { // a kept response says again what it used, a batch what it has so far
		return
	}
	if x.ev.Source != event.UsageProvider {
		x.ev.Usage = event.Usage{Input: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1}
	}
	merge(&x.ev.Usage, &x.chunk.Usage)
	x.ev.Source = event.UsageProvider
}

func (x *exchange) servedName(answer []byte) string {
	b := answer[x.chunk.Model.Start:x.chunk.Model.End]
	if string(b) == x.target {
		return x.target
	}
	if string(b) == x.lastServed {
		return x.lastServed
	}
	if x.chunk.Model.Escaped {
		b = peek.Unescape(nil, b[:min(len(b), 6*maxName)])
	}
	if name, ok := printable(b); ok {
		if !x.chunk.Model.Escaped {
			x.lastServed = name
		}
		return name
	}
	return "unprintable"
}

// write sends bytes to the caller and into the answer's commitment. It reports
// whether the caller is still there.
func (x *exchange) write(b []byte) bool {
	if x.blinded {
		x.digest.Write(b)
	}
	x.bytesOut += uint64(len(b))
	_, err := x.w.Write(b)
	return err == nil
}

// frame sends one server-sent event, or what stands for it in an array or in AWS's
// binary framing.
func (x *exchange) frame(raw []byte) bool {
	if x.binary {
		return x.message(raw)
	}
	if !x.array {
		x.framesOut++
		return x.write(raw)
	}
	data := bytes.TrimSpace(dataOf(raw))
	if len(data) == 0 { // a comment
		return true
	}
	before := "["
	if x.framesOut > 0 {
		before = ",\r\n"
	}
	x.framesOut++
	return x.write(append([]byte(before), data...))
}

func (x *exchange) flush() {
	if f, ok := x.w.(http.Flusher); ok {
		f.Flush()
	}
}

// linger is read after the caller hung up, for the usage at the end.
func (g *Gateway) linger(r io.Closer, after time.Duration) *time.Timer {
	return time.AfterFunc(after, func() {
		defer g.survive()
		r.Close()
	})
}

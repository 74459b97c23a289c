package gateway

import (
	"context"
	"errors"
	"net/http"

	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/gateway/routing"
)

// answer reads a provider's answer and gives it to the caller.
func (g *Gateway) answer(ctx context.Context, x *exchange, resp *provider.Response, cancel context.CancelFunc) error {
	defer resp.Body.Close()
	if x.profile != nil {
		x.answers = x.profile.Answer()
	}
	if resp.Status < 200 || resp.Status > 299 {
		g.waited(x)
		return g.upstreamRefused(x, resp)
	}
	x.unreadAnswer()
	return g.read(ctx, x, resp, cancel)
}

// unheard says how an answer that began well failed before the caller got a byte of it;
// nil when it did not, or when the caller is to be told.
func (x *exchange) unheard(err error) *failure {
	if err == nil {
		return nil
	}
	var r *refusal
	if !errors.As(err, &r) || x.wrote || x.done || x.bytesOut > 0 || x.ev.UpstreamErr == "aborted" || x.call.ofKept && x.call.method != http.MethodGet {
		return nil
	}
	f := &failure{class: x.ev.UpstreamErr, err: err, elsewhere: true}
	switch {
	case r.code == "upstream_cut":
		f.billed = true // it was at work
	case r.code == "upstream_error" && f.class == "in_answer":
		f.same = x.textOut == 0
	case r.code != "upstream_bad_answer":
		return nil
	}
	f.billed = (f.billed || x.textOut > 0) && !x.call.free
	return f
}

// heard is what is known of an answer while it is read.
type heard struct {
	usage   event.Usage
	source  event.UsageSource
	end     event.End
	served  string
	textOut int64
	images  int
	pinned  bool
}

// elseAnswered makes a further attempt after an answer that failed unheard. moved: it is
// ready to be sent. Else err is what the caller gets, and what was known of the answer
// stands.
func (g *Gateway) elseAnswered(ctx context.Context, x *exchange, f *failure) (moved bool, err error) {
	e := &x.ev
	before, spent := heard{e.Usage, e.Source, e.End, e.ModelServed, x.textOut, x.images, x.pinned}, x.spent
	x.plan.Try.End(g.c.Now(), routing.Failed, f.class, 0)
	x.hear(heard{})
	moved, err = g.again(ctx, x, f)
	switch {
	case moved:
		x.forgetAnswer()
		return true, nil
	case err == nil:
		x.hear(before)
		return false, f.err
	}
	if x.spent == spent { // else the failed answer is held for in full
		x.hear(before)
	}
	e.End = event.EndUpstreamError
	return false, err
}

func (x *exchange) hear(h heard) {
	e := &x.ev
	e.Usage, e.Source, e.End, e.ModelServed, x.textOut, x.images, x.pinned = h.usage, h.source, h.end, h.served, h.textOut, h.images, h.pinned
}

// forgetAnswer lets go of what a failed answer left for the caller.
func (x *exchange) forgetAnswer() {
	if x.answers != nil {
		x.answers.Release()
		x.answers = nil
	}
	x.edits = x.edits[:0]
	h := x.w.Header()
	for _, names := range [...][]string{passed, {"X-Upstream-Request-Id", "Content-Type", "Cache-Control", "X-Accel-Buffering"}} {
		for _, name := range names {
			delete(h, name)
		}
	}
}

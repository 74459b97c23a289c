package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"plumbline/gateway/event"
	"plumbline/gateway/provider"
	"plumbline/gateway/provider/credential"
	"plumbline/gateway/routing"
	"plumbline/inventory"
)

// Attempts of one exchange. A further one is made only before anything was given out,
// and while the caller waits for it.
const (
	fewestAttempts = 2 // of a route that does not say
	mostAttempts   = 5
	firstBackoff   = 100 * time.Millisecond // doubled with each attempt, and spread by half
	// longestWait is how long the gateway waits for a deployment that asks for it, with
	// 429 or another status. A caller waits better itself: it holds no place, and may have
	// something else to do.
	longestWait = 10 * time.Second
)

// mostAttempts is how many there may be.
func (x *exchange) mostAttempts() uint32 {
	if x.call.makes() {
		return 1
	}
	r := x.route
	if r.Declared.MaxAttempts > 0 {
		return uint32(r.Declared.MaxAttempts)
	}
	return uint32(min(max(r.Targets(), fewestAttempts), mostAttempts))
}

// ends sets the exchange's deadline.
func (x *exchange) ends(timeout time.Duration) {
	if d := time.Duration(x.route.Declared.Deadline); d > 0 {
		timeout = min(timeout, d)
	}
	x.end = x.start.Add(timeout)
}

// patience are headers in which clients say after how many seconds they give up.
var patience = []string{"X-Stainless-Timeout", "X-Stainless-Read-Timeout"}

// waits is until when the caller waits for an answer to begin, as far as it says.
func (x *exchange) waits() time.Time {
	for _, name := range patience {
		if v := x.r.Header[name]; len(v) > 0 {
			if s, err := strconv.ParseFloat(v[0], 64); err == nil && s > 0 && s < 86400 {
				if at := x.start.Add(time.Duration(s * float64(time.Second))); at.Before(x.end) {
					return at
				}
			}
		}
	}
	return x.end
}

// failure is how an attempt failed before its answer was worth reading.
type failure struct {
	class     string
	err       error // nil: the provider answered with resp
	resp      *provider.Response
	elsewhere bool          // another deployment may do better
	same      bool          // and so may this one
	rotate    bool          // this one at once, with another key
	wait      time.Duration // before this one is asked again
	billed    bool          // the provider may bill it
}

// send makes attempts until one is answered.
func (g *Gateway) send(ctx context.Context, x *exchange) (*provider.Response, error) {
	for {
		resp, f := g.try(ctx, x)
		if f == nil {
			return resp, nil
		}
		moved, err := g.again(ctx, x, f)
		if err != nil {
			x.ev.End = event.EndUpstreamError // of the attempt before
			return nil, err
		}
		if moved {
			continue
		}
		if f.err == nil {
			return f.resp, nil
		}
		x.ev.End = event.EndUpstreamError
		if f.class == noCredential {
			return nil, keylessRefusal(x)
		}
		if g.cutOff() {
			return nil, x.cutOff(!unsent(f.err))
		}
		if f.class == "timeout" && f.billed {
			return nil, refuse(http.StatusGatewayTimeout, "upstream_timeout", fmt.Sprintf("the provider %s did not answer in time; ask for less, or send the request again later", x.ev.Provider))
		}
		return nil, refuse(http.StatusBadGateway, "upstream_unreachable", fmt.Sprintf("the provider %s could not be reached; send the request again later", x.ev.Provider)).because(f.err)
	}
}

// try makes one attempt.
func (g *Gateway) try(ctx context.Context, x *exchange) (*provider.Response, *failure) {
	x.attempts++
	x.perhaps, x.tier = false, ""
	x.sentAt = g.c.Since(x.start)
	bound := x.bound()
	key, err := x.up.keys.PickMarked(ctx, x.start.Add(x.sentAt), bound)
	if err != nil {
		return nil, g.keyless(x, err)
	}
	x.plan.Try.Sent(x.start.Add(x.sentAt))
	if x.watch = watching(ctx, x.route.Declared); x.watch != nil {
		ctx = x.watch.ctx
	}
	x.sent = provider.Request{Operation: x.carriage.op, Method: x.call.method, Model: x.target, Path: x.upstreamPath(), Body: x.out, Borrowed: x.lent.Holds(), Spilled: x.sealed, Stream: x.stream, ID: x.idHdr[0], Hops: x.hops, Type: x.bodyType(), Header: x.passed(), Key: key}
	resp, err := x.up.Send(ctx, &x.sent)
	if err == nil && resp.Status >= 200 && resp.Status < 300 {
		x.ev.UpstreamErr = ""
		x.up.keys.Report(key, x.start, resp.Status, 0)
		x.plan.Try.First(x.start.Add(g.c.Since(x.start)))
		if x.watch != nil {
			x.watch.begun(resp)
		}
		return resp, nil
	}
	now := g.c.Now()
	g.waited(x)
	if err != nil {
		err = x.watch.cause(err)
		if x.watch != nil {
			x.watch.end()
		}
		f := failed(err, x.call.lasts())
		x.ev.UpstreamErr, x.perhaps = f.class, f.billed
		g.c.Log.Warn("provider failed", "request", x.idHdr[0], "provider", x.ev.Provider, "class", f.class, "error", provider.LogText(err))
		result := routing.Failed
		if f.class == "aborted" {
			result = routing.Nothing
		}
		x.plan.Try.End(now, result, f.class, 0)
		return nil, f
	}
	if x.watch != nil {
		x.watch.begun(resp)
	}
	f, result := answeredBadly(resp, now)
	x.up.keys.Report(key, now, resp.Status, provider.RetryAfter(resp.Header, now))
	if credential.Rotates(resp.Status) && bound == "" && x.up.keys.Another(now) {
		f.elsewhere, f.rotate, f.wait, result = true, true, 0, routing.Nothing // the key's trouble, not the deployment's
	}
	x.plan.Try.End(now, result, "http_"+strconv.Itoa(resp.Status), f.wait)
	if !f.elsewhere {
		x.ev.UpstreamErr = ""
		return resp, nil
	}
	x.ev.UpstreamErr = f.class
	return nil, f
}

// failed is a failure to get an answer at all. A connection that did not come about
// cannot be billed; a request that was not answered in time can. One that makes a batch
// can be, too, however its connection broke: the batch is made though nobody was told.
func failed(err error, lasts bool) *failure {
	f := &failure{class: provider.ClassOf(err), err: err}
	f.billed = !unsent(err) && (f.class == "timeout" || lasts)
	f.elsewhere = f.class != "aborted"
	f.same = f.elsewhere && !f.billed
	return f
}

// unsent reports whether a connection did not come about.
func unsent(err error) bool {
	var op *net.OpError
	var stranger *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &stranger)
}

// answeredBadly says what an answer without success means: for this call, and for the
// deployment's health.
func answeredBadly(resp *provider.Response, now time.Time) (*failure, routing.Result) {
	f := &failure{class: "http_" + strconv.Itoa(resp.Status), resp: resp}
	unwanted := len(resp.Header["X-Should-Retry"]) > 0 && resp.Header["X-Should-Retry"][0] == "false"
	switch s := resp.Status; {
	case s == http.StatusTooManyRequests:
		f.wait = provider.RetryAfter(resp.Header, now)
		f.elsewhere, f.same = true, f.wait > 0 && f.wait <= longestWait && !unwanted
		return f, routing.Limited
	case s == http.StatusRequestTimeout || s >= 500:
		f.wait = provider.RetryAfter(resp.Header, now)
		f.elsewhere, f.same = true, f.wait <= longestWait && !unwanted
		return f, routing.Failed
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusPaymentRequired || s == http.StatusProxyAuthRequired:
		f.elsewhere = true // this deployment refuses the gateway, not the caller
		return f, routing.Failed
	}
	return f, routing.Answered
}

// again makes the call ready for a further attempt, and reports whether there is one.
// What the call had before is left as it is otherwise.
func (g *Gateway) again(ctx context.Context, x *exchange, f *failure) (bool, error) {
	left := x.waits().Sub(g.c.Now())
	most := x.mostAttempts()
	if f.rotate {
		most = max(most, maxRotations)
	}
	if !f.elsewhere || x.attempts >= most || left <= 0 || ctx.Err() != nil || x.r.Context().Err() != nil {
		return false, nil
	}
	wait := f.wait
	if wait == 0 && !f.rotate {
		wait = firstBackoff << min(x.attempts-1, 6)
		wait = wait/2 + rand.N(wait)
	}
	same := f.rotate || f.same && wait < left
	if !x.plan.Left() && !same {
		return false, nil
	}
	return g.attempt(ctx, x, f, same, wait)
}

// attempt checks again, against the register as it is now, what was checked before the
// first one, and puts the further attempt on record before it is sent.
func (g *Gateway) attempt(ctx context.Context, x *exchange, f *failure, same bool, wait time.Duration) (bool, error) {
	key, err := g.still(x)
	if err != nil {
		f.close()
		return false, err
	}
	if err := x.find(key); err != nil {
		f.close()
		return false, err
	}
	before := x.plan.Target
	retry, err := x.next(g.c.Now(), before, same, f.rotate)
	switch {
	case err != nil:
		f.close()
		return false, err
	case x.plan.Target == nil:
		return false, nil
	}
	f.close()
	if retry && !pause(ctx, x.r.Context(), wait) {
		if g.cutOff() {
			return false, shutDown()
		}
		return false, refuse(http.StatusBadGateway, "upstream_unreachable", fmt.Sprintf("the provider %s could not be reached; send the request again later", x.ev.Provider)).because(f.err)
	}
	if f.billed {
		x.spent = x.spent.Add(x.ceiling)
	}
	if retry { // much may have happened during the pause
		if key, err = g.still(x); err == nil {
			err = x.find(key)
		}
		if err == nil && !x.stands(x.plan.Target) {
			err = x.nowhere(x.system)
		}
		if err != nil {
			return false, err
		}
	}
	return true, g.renewed(x)
}

// renewed renews the call at the target that is next, or at the first after it whose
// provider can take it.
func (g *Gateway) renewed(x *exchange) error {
	for {
		err := g.renew(x)
		var r *refusal
		if !errors.As(err, &r) || r.code != notCarried || !x.plan.Left() {
			return err
		}
		x.plan.Refuse(notCarried)
		if _, next := x.next(x.now, nil, false, false); next != nil || x.plan.Target == nil {
			return err
		}
	}
}

func (f *failure) close() {
	if f.resp != nil {
		f.resp.Body.Close()
	}
}

// still checks the key and the system, and takes the register as it is now.
func (g *Gateway) still(x *exchange) (key *inventory.Key, err error) {
	view, now := g.view.Load(), g.c.Now()
	x.now = now
	if !g.c.Fresh() {
		return nil, refuse(http.StatusServiceUnavailable, "register_stale", "the gateway cannot confirm keys and approvals at the moment; send the request again").retryAfter(2)
	}
	o := view.orgs[x.key.Org]
	key = view.snap.Keys[x.key.ID]
	if o == nil || key == nil {
		return nil, refuse(http.StatusUnauthorized, "key_revoked", "this virtual key was revoked")
	}
	if r := valid(key, now); r != nil {
		return nil, r
	}
	system := o.Systems[x.key.System]
	if r := g.admissible(o, system, now); r != nil {
		return nil, r
	}
	x.org, x.view, x.system = o, view, system
	return key, nil
}

// next moves the plan on: to another target that still is one, or to the same. A
// target that is nil afterwards: there is none, and the failure stands.
func (x *exchange) next(now time.Time, before *routing.Target, same, stay bool) (retry bool, err error) {
	regions := allowed(x.system)
	for !stay && x.plan.Next(now, regions) {
		if x.stands(x.plan.Target) {
			return false, nil
		}
	}
	switch {
	case stay:
		x.plan.Rekeyed(before, now)
	case !same || !x.plan.Again(before, now):
		x.plan.Target = nil
		return false, nil
	}
	if !x.stands(before) {
		return false, x.nowhere(x.system)
	}
	return true, nil
}

// stands reports whether a target of the plan is one in the register as it is now.
func (x *exchange) stands(t *routing.Target) bool {
	now := x.route.Has(t.Key)
	switch {
	case now == nil:
		x.plan.Refuse(targetGone)
	case !now.InRegion(allowed(x.system)):
		x.plan.Refuse(routing.RegionNotAllowed)
	case x.Cannot(now) != "":
		x.plan.Refuse(x.Cannot(now))
	default:
		return true
	}
	return false
}

// renew prices, holds and records the call where it goes now.
func (g *Gateway) renew(x *exchange) error {
	class, up, target := x.ev.UpstreamErr, x.up, x.target
	x.place(x.plan.Target)
	x.placed(x.system)
	if err := g.askPolicy(x); err != nil {
		return err
	}
	if x.up != up || x.target != target { // else it goes out as it did
		if err := g.rewrite(x); err != nil {
			return err
		}
	}
	if err := g.reserve(x); err != nil {
		return err
	}
	if err := x.durable(); err != nil { // of the record before, where the system lets it wait
		return err
	}
	e := x.ev
	e.Kind, e.At, e.Try, e.UpstreamErr = event.Attempt, x.now.UnixMicro(), x.attempts+1, class
	commit, err := g.c.Recorder.Submit(&e)
	if err != nil {
		return ledgerDown(err)
	}
	x.commit = commit
	return x.durable()
}

// rewrite prices the call and prepares its body for another deployment. A large body
// is read again for that, and let go of as before.
func (g *Gateway) rewrite(x *exchange) error {
	if x.body == nil && x.kept != nil {
		if err := x.loadBody(); err != nil {
			return err
		}
		if err := x.readAgain(); err != nil {
			return err
		}
	}
	if err := x.price(); err != nil {
		return err
	}
	var err error
	if x.edits, err = x.redactions(x.edits[:0]); err != nil {
		return err
	}
	x.ev.NotCarried = nil
	if err := x.prepareBody(); err != nil {
		return err
	}
	if err := g.commitment(x); err != nil {
		return ledgerDown(err)
	}
	return g.sealBody(x)
}

// pause waits; false when the exchange or the caller ended meanwhile.
func pause(ctx, caller context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-caller.Done():
	}
	return false
}

// judge tells the deployment's health how an answer that began came to its end.
func (g *Gateway) judge(x *exchange) {
	result := routing.Answered
	if e := &x.ev; (e.End == event.EndCut || e.End == event.EndUpstreamError) && e.UpstreamErr != "" && e.UpstreamErr != "aborted" {
		result = routing.Failed
	}
	x.plan.Try.End(x.start.Add(g.c.Since(x.start)), result, x.ev.UpstreamErr, 0)
}

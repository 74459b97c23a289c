package gateway

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// settle runs for every exchange, however it ended: it turns the hold into a charge and
// leaves the last record. A panic, of the exchange or of settling it, ends here. A
// caller who has nothing yet gets an error; one who has a part and cannot be told sees a
// broken connection, never a whole answer.
func (g *Gateway) settle(x *exchange) {
	p := recover()
	g.c.Budgets.Release(&x.rated)
	told := p == nil || x.done && x.failure == nil
	if p != nil && p != http.ErrAbortHandler {
		g.broke(x, p)
		if !x.done {
			told = g.contain(x, func() {
				g.fail(x, refuse(http.StatusInternalServerError, "internal", "something went wrong in the gateway; its log has the request id"))
			})
		}
	}
	settled := g.contain(x, func() {
		if x.intent {
			g.stamp(x)
			g.outcome(x)
		}
		if e := &x.ev; g.c.Observe != nil {
			g.c.Observe(Observation{e.Endpoint, int(e.Status), e.Code, e.Stream, time.Duration(e.Total) * time.Microsecond, x.upstreamT})
		}
	})
	switch {
	case told && (settled || x.wrote):
	case x.wrote:
		panic(http.ErrAbortHandler)
	default:
		x.w.WriteHeader(http.StatusInternalServerError)
	}
}

// contain runs f and reports whether it came to its end.
func (g *Gateway) contain(x *exchange, f func()) (ended bool) {
	defer func() {
		if p := recover(); p != nil {
			g.broke(x, p)
		}
	}()
	f()
	return true
}

func (g *Gateway) broke(x *exchange, p any) {
	g.c.Log.Error("exchange failed", "request", x.idHdr[0], "cause", panicText(p), "stack", string(debug.Stack()))
}

// survive is deferred in what an exchange runs beside its own goroutine: a panic there
// would end the process.
func (g *Gateway) survive() {
	if p := recover(); p != nil {
		g.c.Log.Error("exchange failed beside its way", "cause", panicText(p), "stack", string(debug.Stack()))
	}
}

// stamp sets what is known at an exchange's end.
func (g *Gateway) stamp(x *exchange) {
	e, total := &x.ev, g.c.Since(x.start)
	if x.failure != nil {
		e.Code = x.failure.code
		if e.Status == 0 {
			e.Status = uint32(x.failure.status)
		}
		if x.failure.cause != nil {
			g.c.Log.Warn("exchange refused", "request", x.idHdr[0], "code", e.Code, "error", causeText(x.failure))
		}
	}
	e.At = x.start.Add(total).UnixMicro()
	e.Total = total.Microseconds()
	e.Upstream = x.upstreamT.Microseconds()
	e.BytesOut = x.bytesOut
}

// refused puts a refusal on record, and waits until it is durable: it is recorded
// before it is given. While the ledger cannot write it is given all the same, and
// the outage counts it.
func (g *Gateway) refused(x *exchange) {
	if x.key != nil {
		g.c.Budgets.Settle(&x.reserved, 0)
	}
	g.stamp(x)
	e := &x.ev
	e.Kind, e.Holds = event.Refused, nil
	e.Address = x.address()
	if commit, err := g.c.Recorder.Submit(e); err == nil {
		<-commit.Done()
	}
}

// causeText is what of a refusal's cause may be logged. What came from a provider
// could quote a prompt or an answer; our own parts' errors quote nothing.
func causeText(r *refusal) string {
	var bad *peek.Error
	if !strings.HasPrefix(r.code, "upstream_") || errors.As(r.cause, &bad) {
		return r.cause.Error()
	}
	return provider.LogText(r.cause)
}

func (g *Gateway) outcome(x *exchange) {
	e := &x.ev
	if x.lasting { // the batch's results settle it
		return
	}
	e.Kind, e.Tries = event.Outcome, x.attempts
	reported := e.Source != event.UsageUnknown
	x.countUsage()
	x.countMedia(reported)
	e.Held, e.Abandoned = x.held, x.spent
	e.Charge = x.charge()
	g.c.Budgets.Settle(&x.reserved, e.Charge)
	if x.bytesOut > 0 {
		x.digest.Sum(e.Answer[:0])
	}
	if x.perLine {
	} else if x.answers != nil {
		e.AnswerGuard = x.answers.Verdicts(e.AnswerGuard[:0])
	} else if x.profile != nil {
		e.AnswerGuard = notAnswered(x.profile, e.AnswerGuard[:0])
	}
	if e.End == event.EndUnknown {
		e.End = event.EndAborted
	}
	// The outcome answers to the intent, which has the verdicts on the prompt.
	prompt := e.Prompt
	e.Prompt, e.Attributes = nil, nil
	defer func() { e.Prompt = prompt }()
	if _, err := g.c.Recorder.Submit(e); err != nil {
		g.c.Log.Error("outcome not recorded", "request", x.idHdr[0], "error", err)
	}
}

// notAnswered: guards that had nothing to look at did not run.
func notAnswered(p *guardrail.Profile, dst []event.Verdict) []event.Verdict {
	a := p.Answer()
	defer a.Release()
	a.NotRun("no_answer")
	return a.Verdicts(dst)
}

// bytesPerToken is the rule of thumb by which text is counted when the provider
// says nothing; such usage is labelled counted.
const bytesPerToken = 4

func (x *exchange) countUsage() {
	e := &x.ev
	if e.Source == event.UsageProvider || e.Source == event.UsagePartial || e.Source == event.UsageEstimated {
		return
	}
	switch {
	case x.call.free:
		e.Usage, e.Source = event.Usage{}, event.UsageCounted
		return
	case x.attempts > 0 && e.End == event.EndUpstreamError && (x.perhaps || e.UpstreamErr == "timeout"):
		e.Usage, e.Source = x.most, event.UsageEstimated // the provider may have answered, and bill it
		return
	case x.peeked.Background && x.attempts > 0 && e.End != event.EndUpstreamError:
		e.Usage, e.Source = x.most, event.UsageEstimated // it is made after the answer, which says no usage
		return
	case x.call.lasts() && (e.End == event.EndCut || e.UpstreamErr == "bad_answer"):
		e.Usage, e.Source = x.most, event.UsageEstimated // the batch may have been made
		return
	case x.attempts == 0 || e.End == event.EndUpstreamError:
		e.Usage, e.Source = event.Usage{}, event.UsageCounted // nothing was answered
		return
	}
	in := x.peeked.TextBytes()
	if x.form != nil {
		in += int64(len(x.form.texts["prompt"]))
	}
	e.Usage = event.Usage{Input: (in + bytesPerToken - 1) / bytesPerToken, Output: (x.textOut + bytesPerToken - 1) / bytesPerToken, CacheRead: -1, CacheWrite: -1, Reasoning: -1, Searches: x.searched}
	e.Source = event.UsageCounted
	if e.End == event.EndCut || e.End == event.EndClientGone || e.End == event.EndBlocked || e.End == event.EndAborted {
		e.Source = event.UsagePartial
	}
}

// tierServed is the service tier that the answer names. One that names none was served
// as asked for, but for flex, which costs less: what is not said is not taken off.
func (x *exchange) tierServed() string {
	switch {
	case x.tier == peek.TierStandard, x.tier == "" && x.most.Tier == event.TierFlex:
		return ""
	case x.tier == "":
		return x.most.Tier
	}
	return x.tier
}

// priceable is the usage with what else its price depends on.
func (x *exchange) priceable() event.Usage {
	u := x.ev.Usage
	if u != (event.Usage{}) {
		u.Form, u.Tier = x.most.Form, x.tierServed()
	}
	return u
}

// charge is what the usage costs. A call that never reached a provider, or that
// the provider answered with an error, costs nothing; one whose answer did not come
// in time costs its hold, until a bill says otherwise. So do attempts before it that
// were given up on without an answer.
func (x *exchange) charge() money.Nano {
	switch {
	case !x.priced || x.call.free:
		return x.spent
	case x.ev.Source == event.UsageEstimated:
		return x.spent.Add(x.ceiling)
	}
	x.ev.Usage = x.priceable()
	return x.spent.Add(x.rate.Cost(x.ev.Usage))
}

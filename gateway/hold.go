package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"

	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/price"
)

// hold reserves the most that the call can cost, in every budget above it.
func (g *Gateway) hold(x *exchange) error {
	if err := x.price(); err != nil {
		return err
	}
	return g.reserve(x)
}

// price finds what the call costs at most where it goes.
func (x *exchange) price() error {
	x.rate, x.priced = x.org.prices.Rate(x.up.vendor, x.target, x.start)
	x.ev.PriceTable = x.org.prices.Hash()
	if !x.priced && !x.call.free && !x.route.Declared.Unpriced {
		return refuse(http.StatusForbidden, "model_unpriced", fmt.Sprintf("the model %q of the vendor %q has no price, so no budget can hold it; allow_unpriced on its route lets it pass", x.target, x.up.vendor)).about("model")
	}
	x.most, x.ceiling = event.Usage{}, 0
	if x.priced && !x.call.free {
		x.most = most(x, &x.rate)
		x.most.Form = formOf(x)
		if x.lot == nil {
			x.most.Tier, x.most.Searches = tierAsked(x), x.peeked.Searches
		}
		x.ceiling = x.rate.Ceiling(x.most)
	}
	return nil
}

// reserve holds the exchange's ceiling, and what attempts that were given up on may
// cost. For a further attempt it asks again what is held already, so that a budget
// that was lowered meanwhile is obeyed.
func (g *Gateway) reserve(x *exchange) (err error) {
	sys := x.org.SystemBudgets[x.key.System]
	if x.system == nil {
		sys = nil
	}
	x.held = max(x.held, x.spent.Add(x.ceiling))
	x.holds, err = g.c.Budgets.Hold(&x.reserved, x.holds[:0], x.now, x.key.Org, x.spent.Add(x.ceiling), x.org.KeyBudgets[x.key.ID], sys, x.org.OrgBudgets)
	if err != nil {
		var over *budget.Exceeded
		errors.As(err, &over)
		r := refuse(http.StatusTooManyRequests, "budget_exceeded", fmt.Sprintf("%s; this call may cost up to %s", over, x.spent.Add(x.ceiling)))
		r.kind, r.noRetry = "insufficient_quota", true
		return r
	}
	x.ev.Holds = x.holds
	return nil
}

// mediaTokens is held for each image, sound or file: what vendors bill for one
// follows from its size or length, which is not looked at. A call that bills more
// is overspend.
const mediaTokens = 50_000

// most is the usage that is held: a token is at least a byte of the body, and an
// answer is at most what the request allows or the model can.
func most(x *exchange, rate *price.Rate) event.Usage {
	if x.lot != nil {
		return x.lot.most(rate)
	}
	p := &x.peeked
	u := event.Usage{Input: int64(x.ev.BytesIn) - int64(p.MediaBytes) + mediaTokens*int64(p.Media), Output: p.MaxTokens, CacheRead: -1, CacheWrite: -1, Reasoning: -1, CacheWrite1h: -1, AudioOut: -1, ImageOut: -1}
	if p.Media > 0 {
		u.AudioIn, u.ImageIn = -1, -1
	}
	if u.Output < 0 || rate.MaxOutput > 0 && u.Output > rate.MaxOutput {
		u.Output = rate.MaxOutput
	}
	answers := p.Answers()
	switch {
	case x.call.embeds:
		u.Output = 0
	case u.Output > 0 && answers > math.MaxInt64/u.Output:
		u.Output = math.MaxInt64
	default:
		u.Output *= answers
	}
	x.mostMedia(&u)
	return u
}

// tierAsked is the service tier that is held for. A provider that may choose (auto) does
// as its account is set: it is held for as the standard one, and billed by the answer.
func tierAsked(x *exchange) string {
	if x.peeked.Tier == peek.TierStandard {
		return ""
	}
	return x.peeked.Tier
}

// commitIntent prepares the body as it will go out, puts the intent on record and
// waits until it is durable: nothing leaves without evidence.
func (g *Gateway) commitIntent(x *exchange) error {
	x.ends(g.c.Timeout)
	x.guarded = append(x.guarded[:0], x.edits...)
	if err := x.prepareBody(); err != nil {
		return err
	}
	if err := g.commitment(x); err != nil {
		return refuse(http.StatusServiceUnavailable, "ledger_unavailable", "the gateway cannot record this call, so it does not send it").retryAfter(2).because(err)
	}
	e := &x.ev
	e.Kind, e.Commit, e.Try = event.Intent, x.mode, 1
	e.Address = x.address()
	e.Deadline = x.end.UnixMicro()
	switch {
	case x.call.lasts():
		e.Deadline = x.start.Add(x.batch.window + batchGrace).UnixMicro()
	case x.inBackground():
		e.Deadline = x.start.Add(backgroundWindow + batchGrace).UnixMicro()
	}
	if u := x.peeked.User; u.End > u.Start {
		if err := g.pseudonym(x, x.body[u.Start:u.End]); err != nil {
			return ledgerDown(err)
		}
	} else if user := cmp.Or(x.formUser(), cmp.Or(x.named.users[:]...)); user != "" {
		if err := g.pseudonym(x, []byte(user)); err != nil {
			return ledgerDown(err)
		}
	}
	if err := g.sealBody(x); err != nil {
		return err
	}
	commit, err := g.c.Recorder.Submit(e)
	if err != nil {
		return ledgerDown(err)
	}
	x.intent, x.commit = true, commit
	if x.mode == event.BeforeSend {
		return x.durable()
	}
	return nil
}

// durable waits for the newest record of this exchange.
func (x *exchange) durable() error {
	if x.commit == nil {
		return nil
	}
	<-x.commit.Done()
	err := x.commit.Err()
	x.commit = nil
	if err != nil {
		return ledgerDown(err)
	}
	return nil
}

func ledgerDown(err error) *refusal {
	return refuse(http.StatusServiceUnavailable, "ledger_unavailable", "the gateway cannot record this call, so it does not send it; send it again later").retryAfter(2).because(err)
}

// prepareBody splices what must change into the body: the model's name at the
// provider, redacted texts, and the question for usage. A body in another dialect
// than the provider's is translated.
func (x *exchange) prepareBody() (err error) {
	if err := x.loadBody(); err != nil {
		return err
	}
	if x.upload != nil {
		x.out, err = x.writeUpload()
		return err
	}
	if x.form != nil {
		x.out, err = x.writeForm()
		return err
	}
	p := &x.peeked
	edits := x.edits
	translated := x.carriage.from != nil
	switch path := &x.carriage.path; {
	case !x.call.body || x.call.op == dialect.BatchCreate:
	case x.lot != nil:
		edits = x.lot.named(x.target, edits)
	case translated || path.NamesModel() && !p.HasModel:
	case !p.HasModel:
		at := bytes.IndexByte(x.body, '{') + 1
		with := append(peek.Escape([]byte(`"model":"`), []byte(x.target)), '"')
		if len(p.Text) > 0 || p.End > at+1 {
			with = append(with, ',')
		}
		edits = append(edits, peek.Edit{Start: at, End: at, With: with})
	case x.target != x.model || p.Model.Escaped || x.call.inPath:
		edits = append(edits, peek.Edit{Start: p.Model.Start, End: p.Model.End, With: peek.Escape(nil, []byte(x.target))})
	}
	if !translated && x.stream && !p.IncludeUsage && !x.silent() && (x.call.op == dialect.ChatCompletions || x.call.op == dialect.Completions) {
		edits = append(edits, askUsage(p, x.body))
	}
	if x.lot != nil {
		inOrder(edits)
	}
	x.edits = sorted(edits)
	if x.out = x.body; len(edits) > 0 {
		x.out = peek.Splice(nil, x.body, edits)
	}
	switch {
	case translated:
		x.out, err = x.translate(x.out)
	case x.call.body:
		err = x.leaveOut()
	}
	if err != nil {
		return err
	}
	if x.carriage.path.Body != nil {
		x.out, err = x.carriage.path.Body(x.out, x.target, x.stream)
	}
	return err
}

// silent reports whether the provider refuses to be asked for usage in a stream.
func (x *exchange) silent() bool { return x.up.declared.NoStreamUsage || x.up.kind.NoStreamUsage }

func askUsage(p *peek.Body, body []byte) peek.Edit {
	switch {
	case p.UsageFlag.End > 0:
		return peek.Edit{Start: p.UsageFlag.Start, End: p.UsageFlag.End, With: []byte("true")}
	case p.StreamOptions.End > 0 && body[p.StreamOptions.Start] == '{':
		at := p.StreamOptions.Start + 1
		with := []byte(`"include_usage":true,`)
		for i := at; i < p.StreamOptions.End; i++ {
			if body[i] == '}' {
				with = with[:len(with)-1]
				break
			}
			if body[i] == '"' {
				break
			}
		}
		return peek.Edit{Start: at, End: at, With: with}
	case p.StreamOptions.End > 0:
		return peek.Edit{Start: p.StreamOptions.Start, End: p.StreamOptions.End, With: []byte(`{"include_usage":true}`)}
	}
	return peek.Edit{Start: p.End, End: p.End, With: []byte(`,"stream_options":{"include_usage":true}`)}
}

// commitment: SHA-256(blind ‖ body), blind = HMAC-SHA256(content key, exchange
// id). One exchange can be opened to an auditor; without the key a short text
// cannot be guessed back. Requests are committed as they went out.
func (g *Gateway) commitment(x *exchange) error {
	key, err := g.c.ContentKey(string(x.key.Org), string(x.key.System), x.start)
	if err != nil {
		return err
	}
	x.blind = hmac16(&key, x.id)
	x.blinded = true
	x.digest.Reset()
	x.digest.Write(x.blind[:])
	x.digest.Write(x.out)
	x.digest.Sum(x.ev.Request[:0])
	x.digest.Reset()
	x.digest.Write(x.blind[:])
	return nil
}

// hmac16 is HMAC-SHA256 (RFC 2104) of a 16-byte message, without allocating.
func hmac16(key *[32]byte, message [16]byte) [32]byte {
	const ipad, opad = 0x3636363636363636, 0x5c5c5c5c5c5c5c5c
	var inner [64 + 16]byte
	var outer [64 + 32]byte
	for i := 0; i < 64; i += 8 { // the key is filled up with zeros to a block
		var k uint64
		if i < len(key) {
			k = binary.LittleEndian.Uint64(key[i:])
		}
		binary.LittleEndian.PutUint64(inner[i:], k^ipad)
		binary.LittleEndian.PutUint64(outer[i:], k^opad)
	}
	copy(inner[64:], message[:])
	sum := sha256.Sum256(inner[:])
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}

// pseudonym names a caller's user so that the organisation alone can link it.
func (g *Gateway) pseudonym(x *exchange, user []byte) error {
	key, err := g.c.Pseudonym(string(x.key.Org))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(user)
	mac := hmac16(&key, [16]byte(sum[:16]))
	copy(x.ev.Pseudonym[:], mac[:16])
	return nil
}

// upstreamContext lives on when the caller hangs up, so that usage is still seen,
// and ends with the exchange's own deadline, or when the gateway is cut. It carries nothing of the caller's.
func (g *Gateway) upstreamContext(x *exchange) (context.Context, context.CancelFunc) {
	d := &deadline{end: x.end, life: g.life}
	return d, d.cancel
}

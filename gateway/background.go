package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

// Responses that are made in the background: like batches they are open until it is known
// what they used.

// backgroundWindow is how long a response may take to be made. It is longer than any call
// takes: see event.Lasts.
const backgroundWindow = 24 * time.Hour

// inBackground reports that a response may be under way when the call's answer is out. Of
// one that is streamed the call sees the end.
func (x *exchange) inBackground() bool {
	return x.call.op == dialect.ResponsesCreate && x.peeked.Background && !x.stream
}

// responseState is what an answer says of a response.
type responseState struct{ ID, Status string }

func (s *responseState) ended() bool {
	switch s.Status {
	case "completed", "incomplete", "failed", "cancelled":
		return true
	}
	return false
}

// opens leaves the exchange open when its answer says that the response is still to be
// made, before that is given. Where it cannot be noted, the call is charged at its hold.
func (g *Gateway) opens(x *exchange, answer []byte) {
	if !x.inBackground() || x.carriage.from != nil {
		return
	}
	var said responseState
	if json.Unmarshal(answer, &said) != nil || !plainID(said.ID) || said.Status != "queued" && said.Status != "in_progress" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), keptWait)
	defer cancel()
	err := g.c.Kept.Put(ctx, &Object{Org: x.key.Org, System: x.key.System, Kind: KeptResponse, ID: said.ID, Provider: inventory.ProviderID(x.ev.Provider), Target: x.target, Model: x.model, At: x.start,
		Credential: x.sent.Key.Mark(), Op: x.call.op, Lot: Lot{Requests: 1, Input: int64(x.ev.BytesIn)}, Exchange: x.id, Abandoned: x.spent})
	if err != nil {
		g.c.Log.Warn("a response made in the background is charged at its hold, for it could not be noted", "request", x.idHdr[0], "error", err)
		return
	}
	e := openBatch(&x.ev, x.held)
	e.Tries = x.attempts
	g.open.add(e, x.reserved)
	x.reserved, x.lasting = budget.Holds{}, true
}

// tells notes that an answer, or the end of a stream, says that a response has ended.
func (x *exchange) tells(answer []byte) {
	if x.call.op != dialect.ResponseGet && x.call.op != dialect.ResponseCancel {
		return
	}
	var said responseState
	x.ended = answer == nil || json.Unmarshal(answer, &said) == nil && said.ended()
}

// openResponse is the response that a call is about, when it is open; nil when it is not.
func (g *Gateway) openResponse(ctx context.Context, x *exchange) (*Object, error) {
	if g.OpenBatches() == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, keptWait)
	defer cancel()
	o, err := g.c.Kept.Find(ctx, x.key.Org, x.key.System, KeptResponse, x.asked)
	if errors.Is(err, ErrNotKept) || err == nil && !g.open.has(o.Exchange) {
		return nil, nil
	}
	return o, err
}

// settleDeleted settles a response before it is deleted.
func (g *Gateway) settleDeleted(x *exchange) error {
	if x.call.op != dialect.ResponseDelete {
		return nil
	}
	o, err := g.openResponse(x.r.Context(), x)
	if err != nil {
		return keptDown(err)
	}
	if o == nil {
		return nil
	}
	if _, err := g.settleBatch(x.r.Context(), o.Exchange); err != nil || g.open.has(o.Exchange) {
		return refuse(http.StatusConflict, "response_open", "this response is being made in the background, and what it used is not known yet; delete it when it has ended, or cancel it first").about("response_id").because(err)
	}
	return nil
}

// countResponse asks how a response stands, and makes e its outcome when it has ended.
func (g *Gateway) countResponse(ctx context.Context, e *event.Event, o *Object) (ended bool, err error) {
	t, err := g.tallyFor(o)
	if err != nil {
		return false, err
	}
	resp, err := g.fetch(ctx, o, dialect.ResponseGet, o.ID)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := readAll(nil, resp.Body, maxAnswer)
	if err != nil {
		return false, fmt.Errorf("read the response: %s", provider.LogText(err))
	}
	var said responseState
	if json.Unmarshal(body, &said) != nil || said.ID != o.ID || t.chunk.Answer(body, peek.Responses) != nil {
		return false, errors.New("the provider answered with something that its API does not say")
	}
	if !said.ended() {
		return false, nil
	}
	t.line(o, body)
	t.ends(e, g.c.Now())
	e.Usage.Requests = 0 // that counts those of a batch
	if said.Status == "failed" || said.Status == "cancelled" {
		e.Code, e.End = "response_"+said.Status, event.EndUpstreamError
	}
	e.Provider, e.ModelTarget = string(o.Provider), o.Target
	e.Abandoned, e.Charge = o.Abandoned, e.Charge.Add(o.Abandoned)
	return true, nil
}

// forgetResponse lets go of a response that is settled. One that stays is never asked
// for again.
func (g *Gateway) forgetResponse(ctx context.Context, o *Object) {
	if o == nil || o.Kind != KeptResponse {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keptWait)
	defer cancel()
	if err := g.c.Kept.Forget(ctx, o.Org, o.System, o.Kind, o.ID); err != nil {
		g.c.Log.Warn("a settled response is still noted", "request", o.Exchange.String(), "error", err)
	}
}

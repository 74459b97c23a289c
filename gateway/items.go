package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"plumbline/gateway/dialect"
	"plumbline/gateway/peek"
	"plumbline/inventory"
)

// itemElsewhere is why a target cannot take a call that names items.
const itemElsewhere = "item_elsewhere"

// items are those that a call names and does not hold: a provider that keeps responses
// must have every one of them, and it must be the caller's.
type items struct {
	named   bool
	unknown bool // one is not this system's, or no provider has all of them
	at      *Pin // where they are; nil while none is known
}

// recallItems finds where the items are that a call names. What becomes of it is said
// when the target is known: one that keeps nothing is not asked for them.
func (g *Gateway) recallItems(x *exchange) error {
	p := &x.peeked
	if x.call.grammar != peek.Responses || len(p.Kept) == 0 && !p.Conversation {
		return nil
	}
	x.items.named, x.items.unknown = true, p.Conversation // no conversation is made through the gateway
	for _, s := range p.Kept {
		if x.items.unknown || s.End-s.Start > longestID {
			x.items.unknown = true
			break
		}
		pin, err := g.findPin(x, pinKey{x.key.Org, x.key.System, hashOf(x.body, s)})
		switch {
		case errors.Is(err, ErrNoPin):
			x.items.unknown = true
		case err != nil:
			return pinsDown(err)
		case x.items.at == nil:
			x.items.at = &pin
		case pin.Provider != x.items.at.Provider || pin.Credential != x.items.at.Credential:
			x.items.unknown = true
		}
	}
	return nil
}

func pinsDown(err error) *refusal {
	return refuse(http.StatusServiceUnavailable, "responses_unavailable", "the gateway cannot look up where this response was made; send the request again").retryAfter(2).because(err)
}

// lack reports whether a provider has not the items that the call names. One that keeps
// no responses has no use for their ids, and one of another dialect does not see them.
func (x *exchange) lack(up *upstream, id inventory.ProviderID) bool {
	if !x.items.named || up.carried[x.call.op].from != nil || !up.kind.KeepsResponses() {
		return false
	}
	return x.items.unknown || x.items.at.Provider != id
}

func (x *exchange) itemsElsewhere() *refusal {
	if x.peeked.Conversation {
		return refuse(http.StatusBadRequest, "item_not_found", "the conversation was not made through the gateway, so nobody knows whose it is; name the response before with previous_response_id, or send the conversation in input").about("conversation")
	}
	return refuse(http.StatusBadRequest, "item_not_found", fmt.Sprintf("an item that the input only names was not made by this AI system, or not where the model %q leads; items are kept for 30 days at most: send what is in it", x.model)).about("input")
}

// pinItems notes where the items of an answer are, or of an event of one.
func (g *Gateway) pinItems(x *exchange, answer []byte) {
	if len(x.chunk.Kept) == 0 || x.carriage.from != nil || x.peeked.Unstored || !x.up.kind.KeepsResponses() {
		return
	}
	switch x.call.op {
	case dialect.ResponsesCreate, dialect.ResponseGet, dialect.ResponseItems:
	default:
		return
	}
	for _, s := range x.chunk.Kept {
		p := x.pinOf(hashOf(answer, s))
		if _, ok := g.pins.get(pinKey{p.Org, p.System, p.ID}); ok {
			continue
		}
		g.pins.put(p)
		if g.c.Pins != nil {
			g.c.Pins.Keep(p)
		}
	}
}

// pinOf is where the call is answered: the provider, and the credential whose account
// there has it.
func (x *exchange) pinOf(id [32]byte) Pin {
	return Pin{x.key.Org, x.key.System, id, inventory.ProviderID(x.ev.Provider), x.target, x.model, x.start, x.sent.Key.Mark()}
}

// bound is the mark of the credential that the call has to use, for what it names is
// kept by that account; "" when it may use any.
func (x *exchange) bound() string {
	switch at := x.plan.Target; {
	case x.origin != nil:
		return x.origin.Credential
	case x.items.at != nil && at != nil && x.items.at.Provider == at.Provider && x.carriage.from == nil:
		return x.items.at.Credential
	}
	return ""
}

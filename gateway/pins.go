package gateway

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"plumbline/gateway/dialect"
	"plumbline/gateway/peek"
	"plumbline/inventory"
)

// Pin is where a response was made, or an item of one, whose provider keeps it. It says
// nothing of what stands in it, and has a hash in place of its id.
type Pin struct {
	Org      inventory.OrgID
	System   inventory.SystemID // of the key; "" for a key of none
	ID       [32]byte           // SHA-256 of the response's id, or of the item's
	Provider inventory.ProviderID
	Target   string // the model at the provider
	Model    string // as it was asked for
	At       time.Time
	// Credential is the mark of the provider's key that was used: of several, which may
	// be of different accounts. It is empty where there is no key.
	Credential string
}

// PinLife is how long a pin is kept at least: as long as OpenAI keeps responses.
const PinLife = 30 * 24 * time.Hour

// ErrNoPin is given for a response that nobody of this organisation and system made.
var ErrNoPin = errors.New("no response of this id is known")

// Pins outlives the process, and is shared by those that serve the same register. It
// exists so that the gateway knows no database. What the gateway made itself of late
// is in its memory, so neither method is called on the way of an ordinary call.
type Pins interface {
	// Find gives a pin of an organisation's system, or ErrNoPin.
	Find(ctx context.Context, org inventory.OrgID, system inventory.SystemID, id [32]byte) (Pin, error)
	// Keep notes a pin to be written soon, and waits for nothing.
	Keep(Pin)
}

// Of pins.
const (
	recentPins = 16 << 10        // how many are in memory
	findWait   = 2 * time.Second // for a pin that is not
	longestID  = 256             // bytes of a response's id
)

// elsewhere is why a target cannot take a call that goes on from a response.
const elsewhere = "response_elsewhere"

type pinKey struct {
	org    inventory.OrgID
	system inventory.SystemID
	id     [32]byte
}

// recent are the pins that were used last.
type recent struct {
	mu    sync.Mutex // guards both
	order *list.List // of Pin, the newest first
	by    map[pinKey]*list.Element
	most  int
}

func newRecent(most int) *recent {
	return &recent{order: list.New(), by: map[pinKey]*list.Element{}, most: most}
}

func (r *recent) put(p Pin) {
	key := pinKey{p.Org, p.System, p.ID}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.by[key]; e != nil {
		e.Value = p
		r.order.MoveToFront(e)
		return
	}
	r.by[key] = r.order.PushFront(p)
	if r.order.Len() > r.most {
		last := r.order.Remove(r.order.Back()).(Pin)
		delete(r.by, pinKey{last.Org, last.System, last.ID})
	}
}

func (r *recent) get(key pinKey) (Pin, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.by[key]
	if e == nil {
		return Pin{}, false
	}
	r.order.MoveToFront(e)
	return e.Value.(Pin), true
}

// pin notes where a response is made, once its id is in the answer. The caller may ask
// for it as soon as it has it, so this is before it is given.
func (g *Gateway) pin(x *exchange, answer []byte) {
	g.pinItems(x, answer)
	if x.pinned || x.call.op != dialect.ResponsesCreate || x.carriage.from != nil || x.peeked.Unstored || x.chunk.ID.End == x.chunk.ID.Start {
		return
	}
	x.pinned = true
	p := x.pinOf(hashOf(answer, x.chunk.ID))
	g.pins.put(p)
	if g.c.Pins != nil {
		g.c.Pins.Keep(p)
	}
}

func hashOf(body []byte, s peek.Span) [32]byte {
	id := body[s.Start:s.End]
	if s.Escaped {
		id = peek.Unescape(nil, id)
	}
	return sha256.Sum256(id)
}

// recall finds where the response was made that a call names. Another organisation's,
// or another system's, is as unknown as one that was never made.
func (g *Gateway) recall(x *exchange) error {
	if x.call.kind != "" {
		if x.call.ofKept || x.call.op == dialect.BatchCreate {
			return g.recallKept(x)
		}
		return nil
	}
	previous := x.peeked.Previous
	named := previous.End > previous.Start
	var unknown *refusal
	var id [32]byte
	switch {
	case x.call.ofResponse():
		unknown = refuse(http.StatusNotFound, "response_not_found", "no response of this id was made by this AI system; a response is kept for 30 days at most").about("response_id")
		if !plainID(x.asked) {
			return unknown
		}
		id = sha256.Sum256([]byte(x.asked))
	case named:
		unknown = refuse(http.StatusBadRequest, "previous_response_not_found", "no previous response of this id was made by this AI system, or its provider keeps none; a response is kept for 30 days at most, so send what was said before in `input`").about("previous_response_id")
		if previous.End-previous.Start > longestID {
			return unknown
		}
		id = hashOf(x.body, previous)
	default:
		return nil
	}
	pin, err := g.findPin(x, pinKey{x.key.Org, x.key.System, id})
	switch {
	case errors.Is(err, ErrNoPin):
		return unknown
	case err != nil:
		return pinsDown(err)
	}
	x.origin = &pin
	if x.call.ofResponse() {
		x.model, x.ev.ModelAsked = pin.Model, pin.Model
	}
	return g.settleDeleted(x)
}

func (g *Gateway) findPin(x *exchange, key pinKey) (Pin, error) {
	pin, ok := g.pins.get(key)
	if !ok {
		if g.c.Pins == nil {
			return Pin{}, ErrNoPin
		}
		ctx, cancel := context.WithTimeout(x.r.Context(), findWait)
		defer cancel()
		var err error
		if pin, err = g.c.Pins.Find(ctx, key.org, key.system, key.id); err != nil {
			return Pin{}, err
		}
		g.pins.put(pin)
	}
	if x.now.Sub(pin.At) > PinLife {
		return Pin{}, ErrNoPin
	}
	return pin, nil
}

// plainID reports whether an id may stand in a provider's path.
func plainID(id string) bool {
	return id != "" && len(id) <= longestID && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// leadsElsewhere says that the model's route does not lead to where the response is.
func (x *exchange) leadsElsewhere() *refusal {
	if x.object != nil {
		return refuse(http.StatusNotFound, "kept_elsewhere", fmt.Sprintf("the %s is kept by a provider to which the model %q does not lead any more", map[bool]string{true: "file", false: "batch"}[x.object.Kind == KeptFile], x.model))
	}
	if x.call.ofResponse() {
		return refuse(http.StatusNotFound, "response_not_found", fmt.Sprintf("the response was made at a provider to which the model %q does not lead any more", x.model)).about("response_id")
	}
	return refuse(http.StatusBadRequest, "previous_response_not_found", fmt.Sprintf("the previous response was made at a provider to which the model %q does not lead; ask for the model that made it", x.model)).about("previous_response_id")
}

// onResponses are the parameters of queries that a call of a kept response may have.
var onResponses = []string{"after", "before", "include", "include[]", "include_obfuscation", "limit", "order", "starting_after", "stream"}

// ofResponsePath puts the id, and what of the query is the provider's, into a path.
func (x *exchange) ofResponsePath(path string) string {
	path = strings.Replace(path, "{id}", x.asked, 1)
	if x.r.URL.RawQuery == "" {
		return path
	}
	asked, on := x.r.URL.Query(), url.Values{}
	for _, name := range onResponses {
		if v, ok := asked[name]; ok {
			on[name] = v
		}
	}
	if len(on) == 0 {
		return path
	}
	return path + "?" + on.Encode()
}

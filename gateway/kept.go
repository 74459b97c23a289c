package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/inventory"
)

// Object is a file or a batch that a provider keeps for an AI system, or a response that
// it makes in the background. Its id is the
// provider's, and means something to its owner alone.
type Object struct {
	Org      inventory.OrgID
	System   inventory.SystemID // of the key that made it; "" for a key of none
	Kind     ObjectKind
	ID       string
	Provider inventory.ProviderID
	Target   string // the model at the provider
	Model    string // as it was asked for
	At       time.Time

	// Credential is the mark of the provider's key that was used: its account has the object.
	Credential string

	Purpose  string            // of a file
	Op       dialect.Operation // of its lines, and of a batch's requests; "" when nobody knows
	Lot      Lot               // what those can use
	Exchange ident.ID          // of a batch, and of the files with its results: the call that made it
	Said     []byte            // the object as its provider described it last
	SaidAt   time.Time         // when it did; zero where that was not noted

	// Abandoned is what attempts cost that were given up on before a response was made.
	Abandoned money.Nano
}

// ObjectKind says what an Object is.
type ObjectKind string

// The kinds of objects. Anthropic's batches are a kind of their own: they are found at
// other paths, and hold their requests and results themselves.
const (
	KeptFile         ObjectKind = "file"
	KeptBatch        ObjectKind = "batch"
	KeptMessageBatch ObjectKind = "message_batch"
	KeptResponse     ObjectKind = "response" // kept until it is settled; whose it is, pins say
)

// ErrNotKept is given for an object that nobody of this organisation and system made.
var ErrNotKept = errors.New("no file or batch of this id is known")

// Kept outlives the process, and is shared by those that serve the same register. It
// exists so that the gateway knows no database.
type Kept interface {
	// Put notes an object, or what is said of it now. It is durable on return. One that
	// is known keeps its owner.
	Put(ctx context.Context, o *Object) error
	// Find gives an object of an organisation's system, or ErrNotKept.
	Find(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind, id string) (*Object, error)
	// OfExchange gives the batch or the response that an organisation's exchange made, or ErrNotKept.
	OfExchange(ctx context.Context, org inventory.OrgID, exchange ident.ID) (*Object, error)
	// List gives a system's objects of a kind, the newest first.
	List(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind) ([]*Object, error)
	// Forget deletes an object; it is no error when there is none.
	Forget(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind, id string) error
}

// kindOf says what an operation is about.
var kindOf = map[dialect.Operation]ObjectKind{
	dialect.FileCreate: KeptFile, dialect.FileList: KeptFile, dialect.FileGet: KeptFile, dialect.FileContent: KeptFile, dialect.FileDelete: KeptFile,
	dialect.BatchCreate: KeptBatch, dialect.BatchList: KeptBatch, dialect.BatchGet: KeptBatch, dialect.BatchCancel: KeptBatch,
	dialect.MessageBatchCreate: KeptMessageBatch, dialect.MessageBatchList: KeptMessageBatch, dialect.MessageBatchGet: KeptMessageBatch,
	dialect.MessageBatchResults: KeptMessageBatch, dialect.MessageBatchCancel: KeptMessageBatch, dialect.MessageBatchDelete: KeptMessageBatch,
}

// keptWait is how long the store may take.
const keptWait = 5 * time.Second

// findKept finds the object that a call is about. Another organisation's, or another
// system's, is as unknown as one that was never made.
func (g *Gateway) findKept(x *exchange, kind ObjectKind, id string) (*Object, error) {
	if !plainID(id) {
		return nil, unknownObject(kind)
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), keptWait)
	defer cancel()
	o, err := g.c.Kept.Find(ctx, x.key.Org, x.key.System, kind, id)
	switch {
	case errors.Is(err, ErrNotKept):
		return nil, unknownObject(kind)
	case err != nil:
		return nil, keptDown(err)
	}
	return o, nil
}

func unknownObject(kind ObjectKind) *refusal {
	if kind == KeptFile {
		return refuse(http.StatusNotFound, "file_not_found", "no file of this id was made by this AI system through the gateway").about("file_id")
	}
	return refuse(http.StatusNotFound, "batch_not_found", "no batch of this id was made by this AI system through the gateway").about("batch_id")
}

func keptDown(err error) *refusal {
	return refuse(http.StatusServiceUnavailable, "kept_unavailable", "the gateway cannot look up or note whose file or batch this is; send the request again").retryAfter(2).because(err)
}

// goTo sends the call where an object is.
func (x *exchange) goTo(o *Object) {
	x.object = o
	x.origin = &Pin{Org: o.Org, System: o.System, Provider: o.Provider, Target: o.Target, Model: o.Model, At: o.At, Credential: o.Credential}
	x.model, x.ev.ModelAsked = o.Model, o.Model
}

// keeps notes what an answer says of an object, before it is given: the caller may ask
// for it as soon as it has its id.
func (g *Gateway) keeps(x *exchange, answer []byte) error {
	kind := x.call.kind
	if kind == "" || x.call.givesLines() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), keptWait)
	defer cancel()
	if x.call.op == dialect.FileDelete || x.call.op == dialect.MessageBatchDelete {
		if err := g.c.Kept.Forget(ctx, x.key.Org, x.key.System, kind, x.asked); err != nil {
			return keptDown(err)
		}
		return nil
	}
	said, err := readState(kind, answer)
	if err != nil || !plainID(said.ID) {
		x.ev.End, x.ev.UpstreamErr = event.EndUpstreamError, "bad_answer"
		return refuse(http.StatusBadGateway, "upstream_bad_answer", fmt.Sprintf("the provider %s answered with something that its API does not say", x.ev.Provider)).because(err)
	}
	o := x.object
	if x.call.makes() {
		o = &Object{Org: x.key.Org, System: x.key.System, Kind: kind, ID: said.ID, Provider: inventory.ProviderID(x.ev.Provider), Target: x.target, Model: x.model, At: x.start, Credential: x.sent.Key.Mark()}
		if x.upload != nil {
			o.Purpose = x.upload.purpose
		}
		if x.lot != nil {
			o.Op, o.Lot = x.lot.op, x.lot.Lot
		}
		if x.call.lasts() {
			o.Exchange = x.id
			g.open.add(openBatch(&x.ev, x.held), x.reserved)
			x.reserved, x.lasting = budget.Holds{}, true
		}
	} else if said.ID != o.ID {
		return nil // an answer about something else changes nothing that is known
	}
	changed := *o
	changed.says(answer, g.c.Now())
	if err := g.c.Kept.Put(ctx, &changed); err != nil {
		return keptDown(err)
	}
	if kind != KeptFile {
		if err := g.keepResults(ctx, &changed, said); err != nil {
			return keptDown(err)
		}
		if said.ended {
			x.arrived = &changed
		}
	}
	return nil
}

// says notes how a provider describes an object at a time.
func (o *Object) says(answer []byte, at time.Time) {
	o.Said, o.SaidAt = peek.Splice(nil, answer, resultsHere(o.Kind, answer)), at
}

// keepResults notes the files that a batch's results are in as its owner's.
func (g *Gateway) keepResults(ctx context.Context, batch *Object, said *state) error {
	for _, id := range said.files() {
		f := *batch
		f.Kind, f.ID, f.Purpose, f.Said, f.SaidAt = KeptFile, id, purposeResults, nil, time.Time{}
		if !plainID(id) {
			continue
		}
		if err := g.c.Kept.Put(ctx, &f); err != nil {
			return err
		}
	}
	return nil
}

// keptMemory keeps objects as long as the process lives, where no store is given.
type keptMemory struct {
	mu   sync.Mutex // guards by and list
	by   map[memoryKey]*Object
	list []memoryKey // in the order in which they came
}

type memoryKey struct {
	org    inventory.OrgID
	system inventory.SystemID
	kind   ObjectKind
	id     string
}

func newKeptMemory() *keptMemory { return &keptMemory{by: map[memoryKey]*Object{}} }

func (m *keptMemory) Put(_ context.Context, o *Object) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, c := memoryKey{o.Org, o.System, o.Kind, o.ID}, *o
	if have := m.by[k]; have == nil {
		m.list = append(m.list, k)
	} else if c.Said == nil {
		c.Said, c.SaidAt = have.Said, have.SaidAt
	}
	m.by[k] = &c
	return nil
}

func (m *keptMemory) Find(_ context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind, id string) (*Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.by[memoryKey{org, system, kind, id}]; o != nil {
		c := *o
		return &c, nil
	}
	return nil, ErrNotKept
}

func (m *keptMemory) OfExchange(_ context.Context, org inventory.OrgID, exchange ident.ID) (*Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, o := range m.by {
		if k.org == org && k.kind != KeptFile && o.Exchange == exchange {
			c := *o
			return &c, nil
		}
	}
	return nil, ErrNotKept
}

func (m *keptMemory) List(_ context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind) ([]*Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*Object
	for _, k := range slices.Backward(m.list) {
		if o := m.by[k]; o != nil && k.org == org && k.system == system && k.kind == kind {
			c := *o
			out = append(out, &c)
		}
	}
	return out, nil
}

func (m *keptMemory) Forget(_ context.Context, org inventory.OrgID, system inventory.SystemID, kind ObjectKind, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := memoryKey{org, system, kind, id}
	delete(m.by, k)
	m.list = slices.DeleteFunc(m.list, func(o memoryKey) bool { return o == k })
	return nil
}

func (g *Gateway) listKept(x *exchange, kind ObjectKind) ([]*Object, error) {
	ctx, cancel := context.WithTimeout(x.r.Context(), keptWait)
	defer cancel()
	all, err := g.c.Kept.List(ctx, x.key.Org, x.key.System, kind)
	if err != nil {
		return nil, keptDown(err)
	}
	return only(all, func(o *Object) bool { return len(o.Said) > 0 }), nil
}

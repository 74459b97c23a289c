// Package gateway is the pipeline that apps' model calls run through. It obeys a
// snapshot of the register, holds money before it is spent, and leaves a record
// of everything it did. It never learns what a control is.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/app/ident"
	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/policy"
	"plumbline/gateway/price"
	"plumbline/gateway/provider"
	"plumbline/gateway/provider/credential"
	"plumbline/gateway/routing"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// Recorder takes events. It exists so that the gateway does not know the ledger.
type Recorder interface {
	// Submit encodes e before it returns. The promise resolves when the record is
	// durable. event.ErrUnavailable means that nothing may be sent.
	Submit(e *event.Event) (*event.Commit, error)
}

// Config makes a gateway. Every function is safe for concurrent use.
type Config struct {
	Recorder    Recorder
	Fresh       func() bool                                              // the snapshot was confirmed within 2 s
	ContentKey  func(org, system string, at time.Time) ([32]byte, error) // of commitments
	Pseudonym   func(org string) ([32]byte, error)                       // of callers' users
	HashKey     func(secret string) [32]byte                             // keyed hash of a virtual key's secret
	Budgets     *budget.Counters
	Prices      *price.Table
	Credentials *credential.Source // of providers' keys; when nil no provider can have one
	Pins        Pins               // where responses were made; nil: what memory holds
	Kept        Kept               // whose files and batches are where; in memory, as long as the process lives, when nil
	Bodies      *spill.Store       // of large bodies; one in the system's directory for such when nil
	MaxBody     int64              // bytes, inflated; the constant when zero
	Transport   http.RoundTripper  // to providers; provider.Transport() when nil
	Now         func() time.Time
	Since       func(time.Time) time.Duration // since a time that Now gave; Now's difference when nil. The system's is half as dear
	Rand        io.Reader
	Log         *slog.Logger
	Observe     func(Observation) // metrics; may be nil
	Timeout     time.Duration     // of one exchange; 10 minutes when zero
	KeepAlive   time.Duration     // how long a stream may say nothing before the caller gets a comment; 15 s when zero
	Health      *routing.Health   // of deployments; one that knows nothing when nil
	Hangup      time.Duration     // how long a stream is read on for its usage when the caller is gone; 10 s when zero
}

// Observation is one finished exchange, for metrics with bounded labels.
type Observation struct {
	Endpoint string
	Status   int
	Code     string // refusal or failure; empty on success
	Stream   bool
	Total    time.Duration
	Upstream time.Duration
}

// Gateway serves the API that apps call.
type Gateway struct {
	c      Config
	stages []stage
	router *router
	health *routing.Health
	pins   *recent
	open   *openBatches
	view   atomic.Pointer[view]
	useMu  sync.Mutex
	pool   sync.Pool

	draining atomic.Bool
	life     context.Context // ends with Cut
	cut      context.CancelFunc
	inFlight atomic.Int64
}

// stage is one step of the pipeline. A *refusal ends the exchange.
type stage struct {
	name string
	run  func(*Gateway, *exchange) error
}

// view is a snapshot with what was compiled from it.
type view struct {
	snap *inventory.Snapshot
	orgs map[inventory.OrgID]*orgView
}

type orgView struct {
	*inventory.OrgView
	profiles  map[inventory.ProfileID]*guardrail.Profile
	required  map[inventory.RiskClass]*guardrail.Profile // by the risk classes that profiles name; of two the first by id
	policies  *policy.Set
	prices    *price.Table // with the organisation's own on top
	providers map[inventory.ProviderID]*upstream
	routes    routing.Table
}

type upstream struct {
	provider.Provider
	declared *inventory.Provider
	keys     *credential.Keyring
	kind     provider.Kind
	vendor   string
	name     []string // its id, as the value of a header
	carried  map[dialect.Operation]carriage
}

func (u *upstream) carriage(op dialect.Operation) (carriage, bool) {
	c, ok := u.carried[op]
	return c, ok
}

// New makes a gateway that refuses everything until Use gave it a snapshot.
func New(c Config) (*Gateway, error) {
	if c.Recorder == nil || c.Budgets == nil || c.Prices == nil || c.HashKey == nil || c.ContentKey == nil || c.Pseudonym == nil {
		return nil, errors.New("gateway: Recorder, Budgets, Prices, HashKey, ContentKey and Pseudonym are needed")
	}
	if c.Bodies == nil {
		var err error
		if c.Bodies, err = spill.New(spill.Config{}); err != nil {
			return nil, err
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = MaxBody
	}
	if c.Transport == nil {
		c.Transport = provider.Transport()
	}
	switch {
	case c.Now == nil:
		c.Now, c.Since = time.Now, time.Since
	case c.Since == nil:
		c.Since = func(t time.Time) time.Duration { return c.Now().Sub(t) }
	}
	if c.Credentials == nil {
		none, err := credential.New(credential.Config{Now: c.Now})
		if err != nil {
			return nil, err
		}
		c.Credentials = none
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Fresh == nil {
		c.Fresh = func() bool { return true }
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 15 * time.Second
	}
	if c.Hangup == 0 {
		c.Hangup = 10 * time.Second
	}
	if c.Kept == nil {
		c.Kept = newKeptMemory()
	}
	if c.Health == nil {
		c.Health = routing.NewHealth(routing.Limits{}, nil)
	}
	g := &Gateway{c: c, router: newRouter(), health: c.Health, pins: newRecent(recentPins), open: &openBatches{by: map[ident.ID]*opened{}}, stages: []stage{
		{"identify", (*Gateway).identify},
		{"decode", (*Gateway).decode},
		{"admit", (*Gateway).admit},
		{"decide", (*Gateway).decide},
		{"inspect prompt", (*Gateway).inspectPrompt},
		{"hold", (*Gateway).hold},
		{"commit intent", (*Gateway).commitIntent},
		{"forward", (*Gateway).forward},
	}}
	g.life, g.cut = context.WithCancel(context.Background())
	g.pool.New = func() any { return newExchange(g.c.Rand) }
	g.view.Store(&view{snap: &inventory.Snapshot{}, orgs: map[inventory.OrgID]*orgView{}})
	return g, nil
}

// Stages lists the pipeline. "settle and record" runs for every exchange, however
// it ended.
func (g *Gateway) Stages() []string {
	var names []string
	for _, s := range g.stages {
		names = append(names, s.name)
	}
	return append(names, "settle and record")
}

// Use puts a snapshot into force for every exchange and attempt that begins from
// now on. What was compiled before is used again where it did not change. An
// organisation whose policies do not compile is refused until they do.
func (g *Gateway) Use(ctx context.Context, snap *inventory.Snapshot) error {
	g.useMu.Lock()
	defer g.useMu.Unlock()
	g.c.Credentials.Use(snap)
	old := g.view.Load()
	v := &view{snap: snap, orgs: make(map[inventory.OrgID]*orgView, len(snap.Orgs))}
	var errs []error
	for id, o := range snap.Orgs {
		ov, err := g.compile(ctx, o, old.orgs[id])
		if err != nil {
			errs = append(errs, fmt.Errorf("organisation %s: %w", id, err))
		}
		v.orgs[id] = ov
	}
	g.view.Store(v)
	tables := make([]routing.Table, 0, len(v.orgs))
	for _, o := range v.orgs {
		tables = append(tables, o.routes)
	}
	g.health.Retain(tables)
	return errors.Join(errs...)
}

func (g *Gateway) compile(ctx context.Context, o *inventory.OrgView, old *orgView) (*orgView, error) {
	ov := &orgView{OrgView: o, profiles: map[inventory.ProfileID]*guardrail.Profile{}, providers: map[inventory.ProviderID]*upstream{}, routes: g.health.Compile(o)}
	var errs []error
	var err error
	if ov.prices, err = g.c.Prices.With(o.Prices); err != nil {
		ov.prices = g.c.Prices
		errs = append(errs, err)
	}
	for id, p := range o.Profiles {
		if old != nil && old.Profiles[id] == p && old.profiles[id] != nil {
			ov.profiles[id] = old.profiles[id]
			continue
		}
		c, err := guardrail.Compile(*p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ov.profiles[id] = c
	}
	ov.required = map[inventory.RiskClass]*guardrail.Profile{}
	for _, id := range slices.Sorted(maps.Keys(ov.profiles)) {
		for _, class := range o.Profiles[id].Tiers {
			if ov.required[class] == nil {
				ov.required[class] = ov.profiles[id]
			}
		}
	}
	for id, p := range o.Providers {
		if old != nil && old.Providers[id] == p && old.providers[id] != nil {
			ov.providers[id] = old.providers[id]
			continue
		}
		u, err := g.upstream(o.Org.ID, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("provider %s: %w", id, err))
			continue
		}
		ov.providers[id] = u
	}
	if old != nil && old.policies != nil && samePolicies(old.Policies, o.Policies) {
		ov.policies = old.policies
		return ov, errors.Join(errs...)
	}
	set, err := policy.Compile(ctx, policy.InForce(o.Policies))
	if err != nil {
		errs = append(errs, err)
	}
	ov.policies = set
	return ov, errors.Join(errs...)
}

func samePolicies(a, b []*inventory.Policy) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (a[i].ID != b[i].ID || a[i].Mode != b[i].Mode || a[i].Source != b[i].Source) {
			return false
		}
	}
	return true
}

func (g *Gateway) upstream(org inventory.OrgID, p *inventory.Provider) (*upstream, error) {
	kind, err := provider.KindOf(p.Kind)
	if err != nil {
		return nil, err
	}
	impl, err := kind.New(p, g.c.Transport)
	if err != nil {
		return nil, err
	}
	u := &upstream{impl, p, g.c.Credentials.Keyring(org, p.ID), kind, p.Vendor, []string{string(p.ID)}, map[dialect.Operation]carriage{}}
	if u.vendor == "" {
		u.vendor = kind.Vendor
	}
	for _, b := range bases {
		for _, c := range b.calls {
			if way, ok := carry(c.to.op, &kind); ok {
				u.carried[c.to.op] = way
			}
		}
	}
	return u, nil
}

// ServeHTTP answers what Paths lists; everything else is 404 in the caller's
// dialect.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.inFlight.Add(1)
	defer g.inFlight.Add(-1)
	x := g.pool.Get().(*exchange)
	x.begin(g, w, r)
	defer func() {
		x.reset()
		g.pool.Put(x)
	}()
	if g.serve(x); x.abort {
		panic(http.ErrAbortHandler) // net/http breaks the connection
	}
}

func (g *Gateway) serve(x *exchange) {
	defer g.settle(x)
	if g.draining.Load() {
		g.fail(x, refuse(http.StatusServiceUnavailable, "draining", "the gateway is shutting down; send the request again").retryAfter(1))
		return
	}
	if x.nameless {
		g.fail(x, refuse(http.StatusServiceUnavailable, "no_randomness", "the gateway cannot name this call, so it does not send it").retryAfter(2))
		return
	}
	for i := range g.stages {
		if err := g.stages[i].run(g, x); err != nil {
			g.fail(x, err)
			return
		}
		if x.done {
			return
		}
	}
}

// Drain refuses new exchanges and waits for those in flight.
func (g *Gateway) Drain(ctx context.Context) error {
	g.draining.Store(true)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for g.inFlight.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d exchanges did not end in time: %w", g.inFlight.Load(), ctx.Err())
		}
	}
	return nil
}

// Cut breaks off the exchanges that wait for a provider: each tells its caller so, and is
// settled by what was seen of its answer. It is for a drain that came to its end; nothing
// can be sent afterwards.
func (g *Gateway) Cut() { g.cut() }

// cutOff reports whether it was the gateway that broke an answer off.
func (g *Gateway) cutOff() bool { return g.life.Err() != nil }

// brokeOff says why an answer did not come to its end.
func (g *Gateway) brokeOff(x *exchange, err error) error {
	if g.cutOff() {
		return x.cutOff(true)
	}
	x.ev.End, x.ev.UpstreamErr = event.EndCut, provider.ClassOf(err)
	return refuse(http.StatusBadGateway, "upstream_cut", fmt.Sprintf("the provider %s broke off its answer", x.ev.Provider)).because(err)
}

// cutOff ends an exchange with its process. Of an answer that did not begin, and of
// pictures and sound, nobody knows what was made: that is charged at its hold. sent: the
// provider has the call, as far as is known.
func (x *exchange) cutOff(sent bool) *refusal {
	e := &x.ev
	e.End, e.UpstreamErr = event.EndAborted, ""
	switch {
	case e.Source != event.UsageUnknown:
		e.Source = event.UsagePartial
	case sent && x.textOut == 0:
		e.Usage, e.Source = x.most, event.UsageEstimated
	case !sent:
		e.Usage, e.Source = event.Usage{}, event.UsageCounted
	}
	return shutDown()
}

func shutDown() *refusal {
	return refuse(http.StatusServiceUnavailable, "draining", "the gateway shut down before the answer was whole; send the request again").retryAfter(1)
}

// Draining reports that no new exchange is taken any more.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// InFlight is how many exchanges run.
func (g *Gateway) InFlight() int64 { return g.inFlight.Load() }

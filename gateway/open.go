package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/jsonl"
	"plumbline/gateway/provider"
	"plumbline/inventory"
)

// openBatches are the exchanges that made a batch whose results did not arrive yet, or a
// response in the background that is not known to have ended.
// Their holds stand in the budgets, and their intents are open in the ledger.
type openBatches struct {
	mu sync.Mutex // guards by, and busy, next and wait of each
	by map[ident.ID]*opened

	asking sync.Mutex // held while those that are due are asked for
}

type opened struct {
	end   event.Event // as far as it is known: what stays of the intent
	holds budget.Holds
	busy  bool // someone counts its results, whose the other fields are meanwhile
	over  bool // it was asked for when its deadline had passed, and is not again

	next time.Time     // when it is asked for again; zero: at once
	wait time.Duration // before that
}

// openBatch is what stays of an intent until its outcome. e is reused by who calls.
func openBatch(e *event.Event, held money.Nano) event.Event {
	return event.Event{Log: e.Log, Exchange: e.Exchange, System: e.System, SystemVersion: e.SystemVersion, Key: e.Key, Dialect: e.Dialect, Endpoint: e.Endpoint,
		ModelAsked: e.ModelAsked, Route: e.Route, Provider: e.Provider, ModelTarget: e.ModelTarget, Region: e.Region, Simulated: e.Simulated,
		ConfigRevision: e.ConfigRevision, PriceTable: e.PriceTable, Holds: slices.Clone(e.Holds), Held: held, Deadline: e.Deadline, Tries: max(e.Try, 1)}
}

func (b *openBatches) add(e event.Event, holds budget.Holds) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.by[e.Exchange] = &opened{end: e, holds: holds}
}

// take gives an open batch to the one who settles it, until give; false when it is settled, or
// another one is about to.
func (b *openBatches) take(id ident.ID) (*opened, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.by[id]
	if o == nil || o.busy {
		return nil, false
	}
	o.busy = true
	return o, true
}

// give takes it back.
func (b *openBatches) give(id ident.ID, settled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if settled {
		delete(b.by, id)
	} else if o := b.by[id]; o != nil {
		o.busy = false
	}
}

func (b *openBatches) has(id ident.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.by[id] != nil
}

func (b *openBatches) list() (ids []ident.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.by {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ident.ID) int { return strings.Compare(a.String(), b.String()) })
	return ids
}

// How often a provider is asked how one batch stands: each wait is twice the one before.
const (
	firstAsk  = time.Minute
	rarestAsk = 15 * time.Minute
)

// How many batches are asked for at once: of one provider, so that one which hangs
// holds up no other's, and of all.
const (
	mostAtOne  = 4
	mostAtOnce = 16
)

// due gives the batches that are to be asked for, those of each organisation's provider
// together and the ones that wait longest first. One whose deadline has passed is due.
func (b *openBatches) due(now time.Time) (queues [][]ident.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := map[string][]ident.ID{}
	for id, o := range b.by {
		if !o.busy && (!now.Before(o.next) || now.UnixMicro() >= o.end.Deadline && !o.over) {
			of[o.end.Log+"/"+o.end.Provider] = append(of[o.end.Log+"/"+o.end.Provider], id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		slices.SortFunc(of[name], func(x, y ident.ID) int {
			return cmp.Or(b.by[x].next.Compare(b.by[y].next), strings.Compare(x.String(), y.String()))
		})
		queues = append(queues, of[name])
	}
	return queues
}

// later sets when a batch that is not done is asked for again: after twice the wait before,
// and up to a quarter more by its id, so that those which were made together are not
// asked for together.
func (b *openBatches) later(id ident.ID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.by[id]; o != nil {
		o.wait = min(max(2*o.wait, firstAsk), rarestAsk)
		o.next = now.Add(o.wait + o.wait/4*time.Duration(id[len(id)-1])/256)
	}
}

// Reopen takes up the batches and responses that an earlier run of the process left open, with their
// holds, from their intents.
func (g *Gateway) Reopen(intents []*event.Event) {
	for _, e := range intents {
		var held money.Nano
		for _, h := range e.Holds {
			held = max(held, h.Amount)
		}
		g.open.add(openBatch(e, held), g.c.Budgets.Reopen(inventory.OrgID(e.Log), e.Holds))
	}
}

// OpenBatches is how many batches, and responses made in the background, wait for their results.
func (g *Gateway) OpenBatches() int { return len(g.open.list()) }

// Open reports whether an exchange's batch, or response, waits for its results.
func (g *Gateway) Open(exchange ident.ID) bool { return g.open.has(exchange) }

// askWait is how long a provider may take to say how a batch stands, and to give its
// results.
const askWait = 5 * time.Minute

// SettleBatches asks providers for the results of the open batches and for the open
// responses that are due, and settles those that ended: apps need not ask. Each is due at
// once, then ever more rarely, and one last time when its deadline has passed; without
// word of its results it is charged at its hold then. It returns how many were settled,
// and what failed; nothing while another call of it is under way.
func (g *Gateway) SettleBatches(ctx context.Context) (settled int, err error) {
	if !g.open.asking.TryLock() {
		return 0, nil
	}
	defer g.open.asking.Unlock()
	var mu sync.Mutex // guards settled and errs
	var errs []error
	var all sync.WaitGroup
	places := make(chan struct{}, mostAtOnce)
	for _, queue := range g.open.due(g.c.Now()) {
		next := make(chan ident.ID, len(queue))
		for _, id := range queue {
			next <- id
		}
		close(next)
		for range min(len(queue), mostAtOne) {
			all.Go(func() {
				for id := range next {
					if ctx.Err() != nil {
						return
					}
					places <- struct{}{}
					done, err := g.settleBatch(ctx, id)
					<-places
					if !done {
						g.open.later(id, g.c.Now())
					}
					mu.Lock()
					if done {
						settled++
					}
					if err != nil {
						errs = append(errs, fmt.Errorf("exchange %s: %w", id, err))
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return settled, errors.Join(errs...)
}

// settleBatch settles one batch, or response, if it can be. A panic ends here.
func (g *Gateway) settleBatch(ctx context.Context, id ident.ID) (done bool, err error) {
	b, ok := g.open.take(id)
	if !ok {
		return false, nil
	}
	e := b.end
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it could not be read: %s", panicText(p))
		}
		g.open.give(id, done)
	}()
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	overdue := g.c.Now().UnixMicro() >= e.Deadline
	o, err := g.c.Kept.OfExchange(ctx, inventory.OrgID(e.Log), id)
	if err == nil && !b.over {
		b.over = overdue
		var ended bool
		if ended, err = g.counted(ctx, &e, o); err == nil && ended {
			if err = g.close(&e, &b.holds); err == nil {
				g.forgetResponse(ctx, o)
				return true, nil
			}
		}
	} else if errors.Is(err, ErrNotKept) {
		err = nil // a crash came before the provider's answer was noted
	}
	if !overdue {
		return false, err
	}
	e = b.end
	e.Kind, e.At, e.Code, e.Source, e.Charge = event.Incomplete, g.c.Now().UnixMicro(), "batch_overdue", event.UsageEstimated, e.Held
	if !event.MakesBatch(e.Endpoint) {
		e.Code = "response_overdue"
	}
	closing := g.close(&e, &b.holds)
	if closing == nil {
		g.forgetResponse(ctx, o)
	}
	return closing == nil, errors.Join(err, closing)
}

// counted makes e the outcome of what has ended; false when it has not.
func (g *Gateway) counted(ctx context.Context, e *event.Event, o *Object) (ended bool, err error) {
	if o.Kind == KeptResponse {
		return g.countResponse(ctx, e, o)
	}
	said, err := g.stands(ctx, o)
	if err != nil || !said.ended {
		return false, err
	}
	return true, g.outcomeOf(ctx, e, o, said)
}

// stands asks how a batch stands, and notes it.
func (g *Gateway) stands(ctx context.Context, o *Object) (*state, error) {
	op := dialect.BatchGet
	if o.Kind == KeptMessageBatch {
		op = dialect.MessageBatchGet
	}
	resp, err := g.fetch(ctx, o, op, o.ID)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readAll(nil, resp.Body, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read how it stands: %s", provider.LogText(err))
	}
	said, err := readState(o.Kind, body)
	if err != nil || said.ID != o.ID {
		return nil, errors.New("the provider answered with something that its API does not say")
	}
	now := *o
	now.says(body, g.c.Now())
	if err := g.c.Kept.Put(ctx, &now); err != nil { // people see less of it, and nothing else hangs on it
		g.c.Log.Warn("how a batch stands is not noted", "request", o.Exchange.String(), "error", err)
	}
	return said, g.keepResults(ctx, o, said)
}

// fetch asks a provider for what it keeps, with the gateway's own credential.
func (g *Gateway) fetch(ctx context.Context, o *Object, op dialect.Operation, id string) (*provider.Response, error) {
	org := g.view.Load().orgs[o.Org]
	if org == nil || org.providers[o.Provider] == nil {
		return nil, fmt.Errorf("the provider %s is not set up any more", o.Provider)
	}
	up := org.providers[o.Provider]
	way, ok := up.carriage(op)
	if !ok {
		return nil, fmt.Errorf("the provider %s has no %s any more", o.Provider, op)
	}
	now := g.c.Now()
	key, err := up.keys.PickMarked(ctx, now, o.Credential)
	if err != nil {
		return nil, fmt.Errorf("no credential of the provider %s is there", o.Provider)
	}
	resp, err := up.Send(ctx, &provider.Request{Operation: op, Method: http.MethodGet, Model: o.Target, Path: strings.Replace(way.path.Of(o.Target, false), "{id}", id, 1), ID: o.Exchange.String(), Key: key})
	if err != nil {
		return nil, fmt.Errorf("the provider %s: %s", o.Provider, provider.LogText(err))
	}
	up.keys.Report(key, now, resp.Status, provider.RetryAfter(resp.Header, now))
	if resp.Status != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the provider %s answered with %d", o.Provider, resp.Status)
	}
	return resp, nil
}

// outcomeOf counts what a batch that ended used, line by line, and makes e its outcome.
func (g *Gateway) outcomeOf(ctx context.Context, e *event.Event, o *Object, said *state) error {
	t, err := g.tallyFor(o)
	if err != nil {
		return err
	}
	ids, op := said.files(), linesOf[KeptFile]
	if o.Kind == KeptMessageBatch {
		ids, op = []string{o.ID}, linesOf[o.Kind]
	}
	for _, id := range ids {
		if err := g.count(ctx, t, o, op, id); err != nil {
			return err
		}
	}
	t.ends(e, g.c.Now())
	if o.Kind == KeptBatch && said.Status != "completed" {
		e.Code, e.End = "batch_"+said.Status, event.EndUpstreamError
	}
	return nil
}

// tallyFor is an empty tally at the prices of the time when an object was made.
func (g *Gateway) tallyFor(o *Object) (*tally, error) {
	org := g.view.Load().orgs[o.Org]
	if org == nil || org.providers[o.Provider] == nil {
		return nil, fmt.Errorf("the provider %s is not set up any more", o.Provider)
	}
	t := &tally{table: org.prices.Hash(), usage: event.Usage{Input: -1, Output: -1, CacheRead: -1, CacheWrite: -1, Reasoning: -1, Batch: o.Kind != KeptResponse}}
	t.rate, t.priced = org.prices.Rate(org.providers[o.Provider].vendor, o.Target, o.Exchange.Time())
	return t, nil
}

// count reads a file of results.
func (g *Gateway) count(ctx context.Context, t *tally, o *Object, op dialect.Operation, id string) error {
	resp, err := g.fetch(ctx, o, op, id)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	results := *o
	if o.Kind == KeptBatch {
		results.Kind, results.Purpose = KeptFile, purposeResults
	}
	for in := jsonl.NewReader(resp.Body, maxAnswer); ; {
		line, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read results: %s", provider.LogText(err))
		}
		t.line(&results, line)
	}
}

// close puts a batch's end on record and turns its hold into a charge. The hold stays
// when the ledger cannot write.
func (g *Gateway) close(e *event.Event, holds *budget.Holds) error {
	commit, err := g.c.Recorder.Submit(e)
	if err != nil {
		return fmt.Errorf("put the outcome on record: %w", err)
	}
	<-commit.Done()
	if err := commit.Err(); err != nil {
		g.c.Log.Warn("an outcome is not durable yet", "request", e.Exchange.String(), "error", err)
	}
	g.c.Budgets.Settle(holds, e.Charge)
	return nil
}

// arrive settles a batch, or a response, of which the caller just learned that it has ended.
// The answer is out before, so the caller does not wait. What fails is done by
// SettleBatches later.
func (g *Gateway) arrive(x *exchange) {
	ctx, o := context.WithoutCancel(x.r.Context()), x.arrived
	var err error
	if x.ended {
		o, err = g.openResponse(ctx, x)
	}
	if err == nil && o != nil && g.open.has(o.Exchange) {
		_, err = g.settleBatch(ctx, o.Exchange)
	}
	if err != nil {
		g.c.Log.Warn("results are not counted yet", "request", x.idHdr[0], "error", err)
	}
}

// settleFirst settles a batch before it, or a file with its results, is deleted: what it
// cost could not be found out afterwards.
func (g *Gateway) settleFirst(x *exchange) error {
	if x.call.op != dialect.FileDelete && x.call.op != dialect.MessageBatchDelete || !g.open.has(x.object.Exchange) {
		return nil
	}
	if _, err := g.settleBatch(x.r.Context(), x.object.Exchange); err != nil || g.open.has(x.object.Exchange) {
		return refuse(http.StatusConflict, "batch_open", "the results of this batch are not counted yet; delete it when it has ended").because(err)
	}
	return nil
}

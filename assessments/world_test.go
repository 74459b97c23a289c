package assessments

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"plumbline/app/authz"
	"plumbline/app/db"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/gateway/event"
	"plumbline/inventory"
	"plumbline/migrations"
)

// memory is a ledger in memory: the engine writes to it, and the projection
// reads from it.
type memory struct {
	w      *world
	leaves []record.Leaf
	ids    map[ident.ID]uint64
	broken error // of Verify
	down   error // of Append
}

func (m *memory) Logs() []string                             { return []string{"acme"} }
func (m *memory) Generation(string) (uint64, error)          { return 1, nil }
func (m *memory) Size(string) uint64                         { return uint64(len(m.leaves)) }
func (m *memory) Wait(context.Context, string, uint64) error { return nil }
func (m *memory) Verify(context.Context, string) (uint64, error) {
	return uint64(len(m.leaves)), m.broken
}

func (m *memory) Feed(_ context.Context, _ string, from uint64, n int) ([]record.Leaf, error) {
	m.w.lock <- struct{}{}
	defer func() { <-m.w.lock }()
	return m.leaves[from:min(int(from)+n, len(m.leaves))], nil
}

func (m *memory) Append(_ context.Context, _ string, r *record.Record) (uint64, error) {
	if m.down != nil {
		return 0, m.down
	}
	m.w.lock <- struct{}{}
	defer func() { <-m.w.lock }()
	if leaf, ok := m.ids[r.ID]; ok {
		return leaf, nil
	}
	c := *r
	c.Version, c.At, c.Writer, c.Number = record.VersionOf(r.Kind), m.w.now.UnixMicro(), "w1", uint64(len(m.leaves)+1)
	b, err := record.Append(nil, &c)
	if err != nil {
		return 0, err
	}
	m.ids[r.ID] = uint64(len(m.leaves))
	m.leaves = append(m.leaves, record.Leaf{Index: uint64(len(m.leaves)), Bytes: b})
	return uint64(len(m.leaves) - 1), nil
}

// world is an organisation with one AI system in use, everything in order and
// no traffic yet.
type world struct {
	t       testing.TB
	now     time.Time
	lock    chan struct{}
	ledger  *memory
	state   *inventory.State
	history []inventory.Version
	engine  *Engine
	index   *projection.Store
	source  *rand.ChaCha8
}

var (
	author   = authz.Actor{Org: "acme", ID: "anna"}
	reviewer = authz.Actor{Org: "acme", ID: "berta"}
	catalog  = func() *frameworks.Catalog {
		c, err := frameworks.Load()
		if err != nil {
			panic(err)
		}
		return c
	}()
)

func newWorld(t testing.TB) *world {
	t.Helper()
	pool, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(t.TempDir(), "state.db"), "OFF"))
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { pool.Close() })
	if _, err := migrations.Up(t.Context(), pool, "sqlite", migrations.State); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Date(2026, 11, 24, 12, 10, 0, 0, time.UTC), lock: make(chan struct{}, 1), source: rand.NewChaCha8([32]byte{4})}
	w.ledger = &memory{w: w, ids: map[ident.ID]uint64{}}
	w.state = &inventory.State{Org: inventory.Org{ID: "acme"}, Settings: inventory.Settings{Unregistered: "block"},
		Systems: []inventory.System{{ID: "chat", Org: "acme", Name: "Chat", Owner: "Support", Roles: []inventory.ActRole{inventory.RoleDeployer}, RiskClass: inventory.HighRiskAnnexIII,
			Lifecycle: inventory.InUse, Models: []inventory.ModelRef{{Provider: "openai", Model: "gpt-4o"}}, ReviewedAt: w.now.AddDate(0, -2, 0),
			Approval: inventory.Approval{State: inventory.Approved, RequestedBy: "anna", DecidedBy: "berta", DecidedAt: w.now.AddDate(0, -1, 0)}}},
		Keys:     []inventory.Key{{ID: "k1", System: "chat"}},
		Budgets:  []inventory.Budget{{ID: "all", Scope: inventory.ScopeOrg, Limit: 1_000_000_000}},
		Profiles: []inventory.GuardProfile{{ID: "strict", Tiers: []inventory.RiskClass{inventory.HighRiskAnnexIII}}}}
	w.approvedAt(w.now.AddDate(0, -1, 0))
	w.index = projection.New(pool, "sqlite", w.ledger, nil)
	w.engine, err = New(Deps{Store: NewStore(pool, "sqlite"), Catalog: catalog, Projection: w.index, Ledger: w.ledger, Register: w, Now: func() time.Time { return w.now }, Rand: w.source})
	if err != nil {
		t.Fatal(err)
	}
	w.mark(w.now.Add(-24 * time.Hour))
	w.mark(w.now)
	return w
}

func (w *world) State(inventory.OrgID) (*inventory.State, error) { return w.state, nil }
func (w *world) Orgs() []inventory.Org                           { return []inventory.Org{w.state.Org} }
func (w *world) History(context.Context, inventory.OrgID, string, string) ([]inventory.Version, error) {
	return w.history, nil
}

// approvedAt makes the system's history: asked for first, approved then.
func (w *world) approvedAt(at time.Time) {
	s := w.state.Systems[0]
	body, _ := json.Marshal(s)
	s.Approval = inventory.Approval{State: inventory.Requested, RequestedBy: "anna"}
	asked, _ := json.Marshal(s)
	w.history = []inventory.Version{{Version: 2, At: at, Body: body}, {Version: 1, At: at.Add(-time.Hour), Body: asked}}
}

// renewing makes the newest version of the system one in which its approval stands
// beside a request for the next, or beside its rejection.
func (w *world) renewing(state inventory.ApprovalState) {
	s := w.system()
	granted := s.Approval
	s.Approval = inventory.Approval{State: state, RequestedBy: "anna", Standing: &granted}
	body, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.history = append([]inventory.Version{{Version: 3, At: w.now.Add(-time.Hour), Body: body}}, w.history...)
}

func (w *world) system() *inventory.System { return &w.state.Systems[0] }

func (w *world) id() ident.ID {
	id, err := ident.New(w.now, w.source)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) mark(at time.Time) {
	w.put(at, record.LedgerHour, &record.Hour{Hour: at.Unix() / 3600})
}

func (w *world) put(at time.Time, kind record.Kind, body any) uint64 {
	w.t.Helper()
	number := uint64(len(w.ledger.leaves) + 1)
	env := record.Envelope{Kind: kind, Version: record.VersionOf(kind), ID: w.id(), At: at.UnixMicro(), Writer: "w1", Number: number, Actor: "anna"}
	var b []byte
	var err error
	if e, ok := body.(*event.Event); ok {
		b = record.AppendEvent(nil, &env, e)
	} else if b, err = record.Append(nil, &record.Record{Envelope: env, Body: body}); err != nil {
		w.t.Fatal(err)
	}
	w.ledger.leaves = append(w.ledger.leaves, record.Leaf{Index: number - 1, Bytes: b})
	return number - 1
}

// calls writes n exchanges in order; change spoils them.
func (w *world) calls(n int, change func(intent, outcome *event.Event)) {
	for range n {
		holds := []event.Hold{{Budget: "all", Amount: 100, Window: 1}}
		in := event.Event{Kind: event.Intent, Exchange: w.id(), System: "chat", Key: "k1", Provider: "openai", ModelTarget: "gpt-4o", Decision: event.Decision{Effect: event.EffectAllow, Rule: "r"},
			Prompt: []event.Verdict{{Guard: "pii", State: event.Clear, Blocking: true}}, Holds: holds}
		out := event.Event{Kind: event.Outcome, Exchange: in.Exchange, System: "chat", Key: "k1", Status: 200, End: event.EndComplete, PriceTable: "p", Charge: 50, Held: 100, Holds: holds}
		if change != nil {
			change(&in, &out)
		}
		w.put(w.now, record.ExchangeIntent, &in)
		w.put(w.now, record.ExchangeOutcome, &out)
	}
}

func (w *world) refuse(n int, code, key, system string) {
	for range n {
		w.put(w.now, record.ExchangeRefused, &event.Event{Kind: event.Refused, Exchange: w.id(), System: system, Key: key, Status: 403, Code: code})
	}
}

// run computes one test's result.
func (w *world) run(test string) *record.TestResult {
	w.t.Helper()
	if err := w.index.CatchUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	r, err := w.engine.newRun(w.t.Context(), "acme", w.state).test(w.system(), test)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
)

// Checker says whether what the gateway must compile will compile. It exists
// because the register does not know the gateway.
type Checker interface {
	Profile(GuardProfile) error
	Policy(Policy) error
	Provider(Provider) error
}

// Deps of a Register.
type Deps struct {
	DB      *Database
	Journal Journal
	Check   Checker
	HashKey func(secret string) [32]byte           // keyed hash of a virtual key's secret
	Resolve func(reference string) (string, error) // a secret named env:NAME or file:PATH
	OnSwap  func(*Snapshot)                        // called before whoever made a change is answered
	Now     func() time.Time
	Rand    io.Reader
	Log     *slog.Logger
}

// Register is the service over the register's rows.
type Register struct {
	d     Deps
	store *rowStore

	mu        sync.Mutex // one change at a time
	snap      atomic.Pointer[Snapshot]
	states    atomic.Pointer[map[OrgID]*State]
	confirmed atomic.Int64 // microseconds
	loaded    mark
}

// State is an organisation's rows at one time, each list in the order of ids.
type State struct {
	Org       Org
	Settings  Settings
	Systems   []System
	Keys      []Key
	Budgets   []Budget
	Providers []Provider
	Routes    []Route
	Profiles  []GuardProfile
	Policies  []Policy
	Members   []Person
}

// System finds a system; a fault of kind NotFound when there is none.
func (s *State) System(id SystemID) (*System, error) {
	for i := range s.Systems {
		if s.Systems[i].ID == id {
			return &s.Systems[i], nil
		}
	}
	return nil, notFound("AI system", string(id))
}

func notFound(what, id string) error {
	return &fault.Error{Kind: fault.NotFound, Code: "not_found", Message: fmt.Sprintf("there is no %s %q", what, id)}
}

// New opens the register, writes what an earlier run left unrecorded, and loads
// the first snapshot.
func New(ctx context.Context, d Deps) (*Register, error) {
	if d.DB == nil || d.Journal == nil || d.HashKey == nil || d.Now == nil || d.Rand == nil {
		return nil, errors.New("inventory: DB, Journal, HashKey, Now and Rand are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	r := &Register{d: d, store: &rowStore{d.DB}}
	if err := r.Drain(ctx); err != nil {
		d.Log.Warn("changes wait for the ledger", "error", err)
	}
	return r, r.reload(ctx)
}

// Snapshot is what the gateway obeys now.
func (r *Register) Snapshot() *Snapshot { return r.snap.Load() }

// Confirmed is when the snapshot was last found to be the database's state.
func (r *Register) Confirmed() time.Time { return time.UnixMicro(r.confirmed.Load()) }

// Run looks every half second whether the database has moved on, and records
// what waits, until ctx ends.
func (r *Register) Run(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.refresh(ctx); err != nil && ctx.Err() == nil {
			r.d.Log.Error("register not confirmed", "error", err)
		}
	}
}

func (r *Register) refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := r.store.mark(ctx)
	if err != nil {
		return err
	}
	if m.Open > 0 {
		if err := r.drain(ctx); err != nil {
			r.d.Log.Debug("changes wait for the ledger", "error", err)
		}
	}
	if m != r.loaded || m.Open > 0 {
		return r.reload(ctx)
	}
	r.confirmed.Store(r.d.Now().UnixMicro())
	return nil
}

// reload builds the snapshot from the rows in force and swaps it in.
func (r *Register) reload(ctx context.Context) error {
	m, err := r.store.mark(ctx)
	if err != nil {
		return err
	}
	rows, err := r.store.inForce(ctx)
	if err != nil {
		return err
	}
	states, err := assemble(rows)
	if err != nil {
		return err
	}
	snap := r.build(states, m)
	r.states.Store(&states)
	r.snap.Store(snap)
	r.loaded = m
	if r.d.OnSwap != nil {
		r.d.OnSwap(snap)
	}
	r.confirmed.Store(r.d.Now().UnixMicro())
	return nil
}

// Orgs lists the organisations.
func (r *Register) Orgs() []Org {
	var out []Org
	for _, s := range *r.states.Load() {
		out = append(out, s.Org)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// State is an organisation's register as it is in force. The caller must not
// change it.
func (r *Register) State(org OrgID) (*State, error) {
	s, ok := (*r.states.Load())[org]
	if !ok {
		return nil, notFound("organisation", string(org))
	}
	return s, nil
}

// AsOf is an organisation's register as of the first size leaves of its log.
func (r *Register) AsOf(ctx context.Context, org OrgID, size uint64) (*State, error) {
	rows, err := r.store.asOf(ctx, org, size)
	if err != nil {
		return nil, err
	}
	states, err := assemble(rows)
	if err != nil {
		return nil, err
	}
	s, ok := states[org]
	if !ok {
		return nil, notFound("organisation", string(org))
	}
	return s, nil
}

// Version is one version of a row, as its page shows it.
type Version struct {
	Version  uint32
	Change   string
	At       time.Time
	Author   string
	Approver string
	Imported bool
	Reason   string
	Leaf     int64 // below zero: not recorded yet
	Body     json.RawMessage
}

// History lists every version of a row, the newest first.
func (r *Register) History(ctx context.Context, org OrgID, kind, id string) ([]Version, error) {
	rows, err := r.store.versions(ctx, org, kind, id)
	if err != nil {
		return nil, err
	}
	var out []Version
	for _, row := range rows {
		out = append(out, Version{uint32(row.Version), row.ChangeKind, time.UnixMicro(row.At).UTC(), row.Author, row.Approver, row.Imported != 0, row.Reason, row.Leaf, json.RawMessage(row.Body)})
	}
	return out, nil
}

// spec is one change of one row.
type spec struct {
	org       OrgID
	kind, id  string
	change    string // system.approved …
	expect    uint32 // version that the author saw; 0: whichever
	restricts bool   // in force before it is recorded
	approver  string
	reason    string
	origin    Origin
	delete    bool
	fresh     bool // must not exist yet
	// mutate gives the new body from the old one; old is empty for a new row.
	mutate func(old []byte) (any, error)
}

// apply carries a change out: state and outbox row commit together, the record is
// appended, the snapshot is swapped, then the caller is answered. A permitting
// change that cannot be recorded now stays queued and is not in force; its error
// is of kind Unavailable.
func (r *Register) apply(ctx context.Context, actor authz.Actor, s spec) (row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applyLocked(ctx, actor, s)
}

func (r *Register) applyLocked(ctx context.Context, actor authz.Actor, s spec) (row, error) {
	var made row
	err := r.store.inTx(ctx, func(tx *rowStore) error {
		var err error
		made, err = r.insert(ctx, tx, actor, s)
		return err
	})
	if err != nil {
		return row{}, err
	}
	if s.restricts {
		if err := r.reload(ctx); err != nil {
			return row{}, err
		}
	}
	if err := r.record(ctx, &made); err != nil {
		r.d.Log.Warn("change waits for the ledger", "change", made.ChangeKind, "object", made.ID, "error", err)
		if s.restricts {
			return made, nil
		}
		return made, fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "the change is saved and comes into force once the ledger can record it")
	}
	return made, r.reload(ctx)
}

// insert writes the new version within a transaction.
func (r *Register) insert(ctx context.Context, tx *rowStore, actor authz.Actor, s spec) (row, error) {
	if s.org == "" || actor.ID == "" {
		return row{}, errors.New("inventory: a change needs an organisation and an actor")
	}
	old, err := tx.newest(ctx, s.org, s.kind, s.id, s.restricts)
	found := err == nil && old.Deleted == 0
	if err != nil && !fault.Is(err, fault.NotFound) {
		return row{}, err
	}
	last, err := tx.lastVersion(ctx, s.org, s.kind, s.id)
	if err != nil {
		return row{}, err
	}
	switch {
	case s.fresh && found:
		return row{}, &fault.Error{Kind: fault.Conflict, Code: "exists", Message: fmt.Sprintf("there is already a %s %q", s.kind, s.id)}
	case found && old.File != "" && s.origin.File == "":
		return row{}, &fault.Error{Kind: fault.Conflict, Code: "declared", Message: fmt.Sprintf("%s %q is declared in %s, line %d; change it there", s.kind, s.id, old.File, old.Line)}
	case s.expect != 0 && found && uint32(old.Version) != s.expect:
		return row{}, &fault.Error{Kind: fault.Conflict, Code: "version", Message: fmt.Sprintf("%s %q was changed by %s meanwhile; look at version %d and try again", s.kind, s.id, old.Author, old.Version)}
	case s.delete && !found:
		return row{}, notFound(s.kind, s.id)
	}
	var before []byte
	if found {
		before = []byte(old.Body)
	}
	body, err := s.mutate(before)
	if err != nil {
		return row{}, err
	}
	after, err := json.Marshal(body)
	if err != nil {
		return row{}, fmt.Errorf("encode %s: %w", s.kind, err)
	}
	id, err := ident.New(r.d.Now(), r.d.Rand)
	if err != nil {
		return row{}, err
	}
	made := row{Org: string(s.org), Kind: s.kind, ID: s.id, Version: int64(last) + 1, Body: string(after), ChangeID: id.String(), ChangeKind: s.change, Author: actor.ID,
		Approver: s.approver, Imported: flag(s.origin.File != ""), Reason: s.reason, File: s.origin.File, Line: int64(s.origin.Line), At: r.d.Now().UnixMicro(), Leaf: -1,
		Restricts: flag(s.restricts), Deleted: flag(s.delete)}
	if !actor.Request.IsZero() {
		made.Request = actor.Request.String()
	}
	made.AfterHash = commit(id, after)
	if found {
		made.BeforeHash = commit(id, before)
	}
	return tx.insert(ctx, made)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// commit binds a body to its change, blinded by the change's random id, so that
// short bodies cannot be guessed from the ledger alone.
func commit(id ident.ID, body []byte) []byte {
	h := sha256.New()
	h.Write(id[:])
	h.Write(body)
	return h.Sum(nil)
}

// record appends a row's change to the ledger and stamps the row with its leaf.
func (r *Register) record(ctx context.Context, m *row) error {
	id, err := ident.Parse(m.ChangeID)
	if err != nil {
		return err
	}
	c := Change{ID: id, Org: OrgID(m.Org), Kind: m.ChangeKind, Object: m.ID, Version: uint32(m.Version), Actor: m.Author, Approver: m.Approver,
		Imported: m.Imported != 0, Reasoned: m.Reason != "", At: time.UnixMicro(m.At)}
	copy(c.Before[:], m.BeforeHash)
	copy(c.After[:], m.AfterHash)
	if m.Request != "" {
		if c.Request, err = ident.Parse(m.Request); err != nil {
			return err
		}
	}
	leaf, err := r.d.Journal.Append(ctx, c)
	if err != nil {
		return err
	}
	m.Leaf = int64(leaf)
	return r.store.stamp(ctx, m.ChangeID, m.Leaf)
}

// Drain records what waits, in order.
func (r *Register) Drain(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drain(ctx)
}

func (r *Register) drain(ctx context.Context) error {
	rows, err := r.store.open(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := r.record(ctx, &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// build makes the gateway's view of all organisations.
func (r *Register) build(states map[OrgID]*State, m mark) *Snapshot {
	snap := &Snapshot{Revision: uint64(m.Seq), Orgs: map[OrgID]*OrgView{}, Keys: map[KeyID]*Key{}}
	var old *Snapshot
	if old = r.snap.Load(); old == nil {
		old = &Snapshot{Orgs: map[OrgID]*OrgView{}}
	}
	for id, s := range states {
		before := old.Orgs[id]
		if before == nil {
			before = &OrgView{}
		}
		v := &OrgView{Org: s.Org, Settings: s.Settings, Systems: map[SystemID]*System{}, Providers: map[ProviderID]*Provider{}, Routes: map[string]*Route{},
			Profiles: map[ProfileID]*GuardProfile{}, SystemBudgets: map[SystemID][]*Budget{}, KeyBudgets: map[KeyID][]*Budget{}}
		for i := range s.Systems {
			v.Systems[s.Systems[i].ID] = &s.Systems[i]
		}
		for i := range s.Providers {
			p := r.resolved(&s.Providers[i])
			if b := before.Providers[p.ID]; b != nil && b.Version == p.Version && b.Credential == p.Credential {
				p = b // the same, so what was compiled from it stays
			}
			v.Providers[p.ID] = p
		}
		for i := range s.Routes {
			v.Routes[s.Routes[i].Model] = &s.Routes[i]
		}
		for i := range s.Profiles {
			p := &s.Profiles[i]
			if b := before.Profiles[p.ID]; b != nil && b.Version == p.Version {
				p = b
			}
			v.Profiles[p.ID] = p
		}
		for i := range s.Policies {
			v.Policies = append(v.Policies, &s.Policies[i])
		}
		for i := range s.Budgets {
			b := &s.Budgets[i]
			switch b.Scope {
			case ScopeOrg:
				v.OrgBudgets = append(v.OrgBudgets, b)
			case ScopeSystem:
				v.SystemBudgets[SystemID(b.Target)] = append(v.SystemBudgets[SystemID(b.Target)], b)
			case ScopeKey:
				v.KeyBudgets[KeyID(b.Target)] = append(v.KeyBudgets[KeyID(b.Target)], b)
			}
		}
		for i := range s.Keys {
			snap.Keys[s.Keys[i].ID] = &s.Keys[i]
		}
		snap.Orgs[id] = v
	}
	return snap
}

// resolved is a provider with its credential.
func (r *Register) resolved(p *Provider) *Provider {
	c := *p
	if c.CredentialRef != "" && r.d.Resolve != nil {
		secret, err := r.d.Resolve(c.CredentialRef)
		if err != nil {
			r.d.Log.Error("credential of provider not resolved", "provider", c.ID, "error", err)
		}
		c.Credential = secret
	}
	return &c
}

// assemble decodes rows into states.
func assemble(rows []row) (map[OrgID]*State, error) {
	states := map[OrgID]*State{}
	for i := range rows {
		m := &rows[i]
		s := states[OrgID(m.Org)]
		if s == nil {
			s = &State{}
			states[OrgID(m.Org)] = s
		}
		if m.Deleted != 0 {
			continue
		}
		if err := s.take(m); err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", m.Kind, m.Org, m.ID, err)
		}
	}
	for id, s := range states {
		if s.Org.ID == "" {
			delete(states, id) // created, and not recorded yet
			continue
		}
		if s.Settings.Org == "" {
			s.Settings = Settings{Org: id, Unregistered: "block"}
		}
	}
	return states, nil
}

func (s *State) take(m *row) error {
	stamp := Stamp{Version: uint32(m.Version), ValidAt: time.UnixMicro(m.At).UTC(), Author: m.Author, Leaf: uint64(max(m.Leaf, 0))}
	stamp.ChangeID, _ = ident.Parse(m.ChangeID)
	origin := Origin{m.File, int(m.Line)}
	org := OrgID(m.Org)
	body := []byte(m.Body)
	switch m.Kind {
	case kindOrg:
		return json.Unmarshal(body, &s.Org)
	case kindSettings:
		s.Settings.Org = org
		err := json.Unmarshal(body, &s.Settings)
		s.Settings.Stamp, s.Settings.Origin, s.Settings.Org = stamp, origin, org
		return err
	case kindSystem:
		var v System
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Systems = append(s.Systems, v)
		return err
	case kindKey:
		var v storedKey
		err := json.Unmarshal(body, &v)
		v.Key.Stamp, v.Key.Origin, v.Key.Org = stamp, origin, org
		copy(v.Key.Hash[:], v.Hash)
		s.Keys = append(s.Keys, v.Key)
		return err
	case kindBudget:
		var v Budget
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Budgets = append(s.Budgets, v)
		return err
	case kindProvider:
		var v Provider
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Providers = append(s.Providers, v)
		return err
	case kindRoute:
		var v Route
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Routes = append(s.Routes, v)
		return err
	case kindProfile:
		var v GuardProfile
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Profiles = append(s.Profiles, v)
		return err
	case kindPolicy:
		var v Policy
		err := json.Unmarshal(body, &v)
		v.Stamp, v.Origin, v.Org = stamp, origin, org
		s.Policies = append(s.Policies, v)
		return err
	case kindMember:
		var v Person
		err := json.Unmarshal(body, &v)
		v.Org = org
		s.Members = append(s.Members, v)
		return err
	}
	return fmt.Errorf("unknown kind %q", m.Kind)
}

// The kinds of rows. They are stored, and name a row in the API.
const (
	kindOrg      = "organisation"
	kindSettings = "settings"
	kindSystem   = "system"
	kindKey      = "key"
	kindBudget   = "budget"
	kindProvider = "provider"
	kindRoute    = "route"
	kindProfile  = "guard_profile"
	kindPolicy   = "policy"
	kindMember   = "account"
)

// Kinds lists the kinds of rows.
func Kinds() []string {
	return []string{kindOrg, kindSettings, kindSystem, kindKey, kindBudget, kindProvider, kindRoute, kindProfile, kindPolicy, kindMember}
}

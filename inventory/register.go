package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
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
	Price(*Price) error
	Credential(reference string) error // whether it can be followed here; never asks anybody
	Host(Provider) (string, error)     // where its calls go: scheme://host[:port]; empty for nowhere
	Secret(text string) error          // whether a provider can be sent it; quotes nothing
}

// Deps of a Register.
type Deps struct {
	DB      *Database
	Journal Journal
	Check   Checker
	HashKey func(secret string) [32]byte           // keyed hash of a virtual key's secret
	Resolve func(reference string) (string, error) // a secret named env:NAME or file:PATH
	OnSwap  func(*Snapshot)                        // called before whoever made a change is answered
	Sealer  Sealer                                 // of the secrets that people enter; nil: none can be
	Bound   func(reference, host string) bool      // whether the operator lists them together; nil: none are
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
	secrets, err := r.store.secrets(ctx)
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
	if err := r.forget(ctx, secrets, rows); err != nil {
		r.d.Log.Warn("secrets that nothing names are still kept", "error", err)
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
	return one(rows, org)
}

// AsOfTime is an organisation's register as it stood at a time: of each row the
// newest version that was made by then. A version that waited for its record
// counts from when it was made.
func (r *Register) AsOfTime(ctx context.Context, org OrgID, at time.Time) (*State, error) {
	rows, err := r.store.asOfTime(ctx, org, at.UnixMicro())
	if err != nil {
		return nil, err
	}
	return one(rows, org)
}

// Version is one version of a row, as its page shows it.
type Version struct {
	Version  uint32          `json:"version"`
	Change   string          `json:"change"`
	At       time.Time       `json:"at"`
	Author   string          `json:"author"`
	Approver string          `json:"approver,omitempty"`
	Imported bool            `json:"imported"`
	Reason   string          `json:"reason,omitempty"`
	Leaf     int64           `json:"leaf"` // below zero: not recorded yet
	Body     json.RawMessage `json:"body"`
}

// History lists every version of a row, the newest first.
func (r *Register) History(ctx context.Context, org OrgID, kind, id string) ([]Version, error) {
	if org == "" {
		return nil, errors.New("inventory: a history needs an organisation")
	}
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
	change    string        // system.approved …
	named     func() string // the same where it follows from what mutate found; may be nil
	expect    uint32        // version that the author saw; 0: whichever
	restricts bool          // in force before it is recorded
	approver  string
	reason    string
	origin    Origin
	delete    bool
	fresh     bool                                          // must not exist yet
	beside    bool                                          // a person's act that stands beside what the file declares
	release   bool                                          // the file does not declare the row any more
	within    func(ctx context.Context, tx *rowStore) error // what is checked and written in the same transaction; may be nil
	// mutate gives the new body from the old one; old is empty for a new row.
	mutate func(old []byte) (any, error)
}

// conflict says why a change does not fit the row that is there; old is empty where none
// is found.
func (s *spec) conflict(old *row, found bool) error {
	switch {
	case s.fresh && found:
		return fault.New(fault.Conflict, "exists", "there is already a %s %q", s.kind, s.id)
	case found && old.File != "" && s.origin.File == "" && !s.beside && !s.release:
		return fault.New(fault.Conflict, "declared", "%s %q is declared in %s, line %d; change it there", s.kind, s.id, old.File, old.Line)
	case s.expect != 0 && !found:
		return fault.New(fault.Conflict, "version", "%s %q is not there any more; you saw version %d", s.kind, s.id, s.expect)
	case s.expect != 0 && uint32(old.Version) != s.expect:
		return fault.New(fault.Conflict, "version", "%s %q was changed by %s meanwhile; look at version %d and try again", s.kind, s.id, old.Author, old.Version)
	case s.delete && !found:
		return notFound(s.kind, s.id)
	}
	return nil
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
	made, err := r.insertAll(ctx, step{actor, s})
	if err != nil {
		return row{}, err
	}
	return made[0], r.enforce(ctx, made)
}

// step is one change of several that are one.
type step struct {
	actor authz.Actor
	spec  spec
}

// applySteps carries changes of several rows out together: all are saved or none. The
// register is locked.
func (r *Register) applySteps(ctx context.Context, steps ...step) error {
	made, err := r.insertAll(ctx, steps...)
	if err != nil {
		return err
	}
	return r.enforce(ctx, made)
}

func (r *Register) insertAll(ctx context.Context, steps ...step) (made []row, err error) {
	err = r.store.inTx(ctx, func(tx *rowStore) error {
		made = nil
		for _, s := range steps {
			m, err := r.insert(ctx, tx, s.actor, s.spec)
			if err != nil {
				return err
			}
			made = append(made, m)
		}
		return nil
	})
	return made, err
}

// enforce records what was saved and brings it into force.
func (r *Register) enforce(ctx context.Context, made []row) error {
	restricts := !slices.ContainsFunc(made, func(m row) bool { return m.Restricts == 0 })
	if restricts {
		if err := r.reload(ctx); err != nil {
			return err
		}
	}
	for i := range made {
		if err := r.record(ctx, &made[i]); err != nil {
			r.d.Log.Warn("change waits for the ledger", "change", made[i].ChangeKind, "object", made[i].ID, "error", err)
			if restricts {
				return nil
			}
			return fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "the change is saved and comes into force once the ledger can record it")
		}
	}
	return r.reload(ctx)
}

// insert writes the new version within a transaction.
func (r *Register) insert(ctx context.Context, tx *rowStore, actor authz.Actor, s spec) (row, error) {
	if s.org == "" || actor.ID == "" {
		return row{}, errors.New("inventory: a change needs an organisation and an actor")
	}
	var wrong fault.Fields
	if wrong.Text("reason", s.reason); wrong.Err() != nil {
		return row{}, wrong.Err()
	}
	// What restricts builds on the version in force, so that a change that still
	// waits for its record does not come into force with it.
	old, err := tx.newest(ctx, s.org, s.kind, s.id, s.restricts)
	if s.restricts && fault.Is(err, fault.NotFound) {
		old, err = tx.newest(ctx, s.org, s.kind, s.id, false)
	}
	found := err == nil && old.Deleted == 0
	if err != nil && !fault.Is(err, fault.NotFound) {
		return row{}, err
	}
	last, err := tx.lastVersion(ctx, s.org, s.kind, s.id)
	if err != nil {
		return row{}, err
	}
	if err := s.conflict(&old, found); err != nil {
		return row{}, err
	}
	if s.kind == kindKey && !found {
		// The public part of a key finds its organisation, so it is one of a kind.
		if taken, err := tx.elsewhere(ctx, s.org, s.kind, s.id); err != nil || taken {
			return row{}, errors.Join(err, fault.Field("id", "the id %q is taken", s.id))
		}
	}
	if s.beside && found {
		s.origin = Origin{old.File, int(old.Line)}
	}
	var before []byte
	if found {
		before = []byte(old.Body)
	}
	body, err := s.mutate(before)
	if err != nil {
		return row{}, err
	}
	if s.within != nil {
		if err := s.within(ctx, tx); err != nil {
			return row{}, err
		}
	}
	if s.named != nil {
		s.change = s.named()
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
		Approver: s.approver, Imported: flag(s.origin.File != "" && !s.beside), Reason: s.reason, File: s.origin.File, Line: int64(s.origin.Line), At: r.d.Now().UnixMicro(), Leaf: -1,
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

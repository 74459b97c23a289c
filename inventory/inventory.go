// Package inventory is the register: organisations, AI systems, the keys,
// budgets, routes, guard profiles and policies that people edit and the gateway
// obeys. Rules stand beside types; stores stand in *_store.go.
//
// Register rows are versioned: an update writes a new version and ends the old
// one, stamped with the id of its change, so that a past date is a query.
package inventory

import (
	"context"
	"time"

	"plumbline/app/authz"
	"plumbline/app/ident"
)

// OrgID is the organisation whose rows a call may touch. A store cannot be
// called without one.
type OrgID = authz.OrgID

// Names of things, each its own type so that they are not confused.
type (
	SystemID   string // SYS-001
	KeyID      string // public part of a virtual key
	BudgetID   string
	ProviderID string // the name a provider is declared under
	ProfileID  string // guard profile
	PolicyID   string
)

// Org is an organisation.
type Org struct {
	ID     OrgID  `json:"id" yaml:"id"`
	Name   string `json:"name" yaml:"name"`
	Sample bool   `json:"sample,omitempty" yaml:"sample,omitempty"` // invented by the demo; pages and documents say so
}

// Origin says where a row was declared. A row from the configuration file is
// read-only in the UI and the API.
type Origin struct {
	File string `json:"file,omitempty" yaml:"-"`
	Line int    `json:"line,omitempty" yaml:"-"`
}

// FromFile reports whether the configuration file declares the row.
func (o Origin) FromFile() bool { return o.File != "" }

// Stamp is the version of a register row.
type Stamp struct {
	Version  uint32    `json:"version" yaml:"-"`
	ValidAt  time.Time `json:"valid_from" yaml:"-"` // when this version began
	ChangeID ident.ID  `json:"change_id" yaml:"-"`  // the change that made it
	Leaf     uint64    `json:"leaf" yaml:"-"`       // leaf of that change in the organisation's log; 0 until recorded
	Author   string    `json:"author" yaml:"-"`     // account id
}

// Change is one change of the register, as the ledger keeps it. It carries ids
// and commitments, never the text that people wrote.
type Change struct {
	ID       ident.ID // idempotency: appended twice, it is recorded once
	Org      OrgID    // empty for a change of the instance
	Kind     string   // system.created, system.approved, key.revoked, policy.changed …
	Object   string   // id of what changed
	Version  uint32   // version of the row after the change
	Actor    string   // author
	Approver string   // second person, when there was one
	Imported bool     // declared in the configuration file: a statement, not four eyes
	Reasoned bool     // a reason was given
	At       time.Time
	Before   [32]byte // commitment to the row before; zero when there was none
	After    [32]byte // commitment to the row after
	Request  ident.ID
}

// Journal makes a change a durable record and returns its leaf index. It is
// idempotent by Change.ID. It exists so that the register does not know the
// ledger; app/server joins the two.
type Journal interface {
	Append(ctx context.Context, c Change) (leaf uint64, err error)
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/app/seal"
	"plumbline/gateway"
	"plumbline/gateway/dialect"
	"plumbline/inventory"
)

// keptRow is a file or a batch that a provider keeps, or a response that it makes.
type keptRow struct {
	Org      string `gorm:"column:org;primaryKey"`
	System   string `gorm:"column:system;primaryKey"`
	Kind     string `gorm:"column:kind;primaryKey"`
	ID       string `gorm:"column:id;primaryKey"`
	Provider string `gorm:"column:provider"`
	Target   string `gorm:"column:target"`
	Model    string `gorm:"column:model"`
	Exchange string `gorm:"column:exchange"`
	MadeAt   int64  `gorm:"column:made_at"` // microseconds since 1970
	Known    string `gorm:"column:known"`
	Said     []byte `gorm:"column:said"` // sealed
}

func (keptRow) TableName() string { return "kept_objects" }

// keptKnown is what the gateway found in an object, as it is stored.
type keptKnown struct {
	Credential string            `json:"credential,omitempty"` // a mark, not the key
	Purpose    string            `json:"purpose,omitempty"`
	Op         dialect.Operation `json:"op,omitempty"`
	Lot        gateway.Lot       `json:"lot"`
	Abandoned  money.Nano        `json:"abandoned,omitempty"`
	SaidAt     int64             `json:"said_at,omitempty"` // microseconds since 1970
}

// keptStore keeps objects in the state database.
type keptStore struct {
	db     *gorm.DB
	sealer *seal.Sealer
	hook   func(point string) error // tests only; may be nil
}

// The named writes of the store, for tests that break there.
const (
	pointKept     = "kept object: before commit"
	pointKeptDone = "kept object: after commit"
)

func (s *keptStore) at(point string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(point)
}

// sealedFor binds what a provider said of an object to its row.
func (r *keptRow) sealedFor() string {
	return "kept object " + r.Org + "/" + r.System + "/" + r.Kind + "/" + r.ID
}

// Put is that of gateway.Kept.
func (s *keptStore) Put(ctx context.Context, o *gateway.Object) error {
	if o.Org == "" {
		return errNoOrg
	}
	k := keptKnown{Credential: o.Credential, Purpose: o.Purpose, Op: o.Op, Lot: o.Lot, Abandoned: o.Abandoned}
	if !o.SaidAt.IsZero() {
		k.SaidAt = o.SaidAt.UnixMicro()
	}
	known, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("write kept object: %w", err)
	}
	row := keptRow{Org: string(o.Org), System: string(o.System), Kind: string(o.Kind), ID: o.ID, Provider: string(o.Provider), Target: o.Target, Model: o.Model,
		MadeAt: o.At.UnixMicro(), Known: string(known)}
	if !o.Exchange.IsZero() {
		row.Exchange = o.Exchange.String()
	}
	conflict := clause.OnConflict{DoNothing: true} // that it is there is all that is said
	if len(o.Said) > 0 {
		if row.Said, err = s.sealer.Seal(o.Said, row.sealedFor()); err != nil {
			return fmt.Errorf("write kept object: %w", err)
		}
		conflict = clause.OnConflict{Columns: []clause.Column{{Name: "org"}, {Name: "system"}, {Name: "kind"}, {Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"said", "known"})}
	}
	if err = s.at(pointKept); err == nil {
		err = s.db.WithContext(ctx).Clauses(conflict).Create(&row).Error
	}
	if err == nil {
		err = s.at(pointKeptDone)
	}
	if err != nil {
		return fmt.Errorf("write kept object: %w", err)
	}
	return nil
}

// Find is that of gateway.Kept.
func (s *keptStore) Find(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind gateway.ObjectKind, id string) (*gateway.Object, error) {
	return s.one(org, s.of(ctx, org, system, kind).Where("id = ?", id))
}

// OfExchange is that of gateway.Kept.
func (s *keptStore) OfExchange(ctx context.Context, org inventory.OrgID, exchange ident.ID) (*gateway.Object, error) {
	return s.one(org, s.db.WithContext(ctx).Where("org = ? AND exchange = ? AND kind <> ?", string(org), exchange.String(), string(gateway.KeptFile)))
}

// List is that of gateway.Kept.
func (s *keptStore) List(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind gateway.ObjectKind) ([]*gateway.Object, error) {
	if org == "" {
		return nil, errNoOrg
	}
	var rows []keptRow
	if err := s.of(ctx, org, system, kind).Order("made_at DESC, id DESC").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list kept objects: %w", err)
	}
	out := make([]*gateway.Object, len(rows))
	for i := range rows {
		var err error
		if out[i], err = s.object(&rows[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Forget is that of gateway.Kept.
func (s *keptStore) Forget(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind gateway.ObjectKind, id string) error {
	if org == "" {
		return errNoOrg
	}
	if err := s.of(ctx, org, system, kind).Where("id = ?", id).Delete(&keptRow{}).Error; err != nil {
		return fmt.Errorf("forget kept object: %w", err)
	}
	return nil
}

// How long it is known whose an object is, from when it was made. Providers keep results
// for a month or so (Anthropic for 29 days, OpenAI for 30), and files until they are
// deleted, which nobody but their owner can know.
const (
	batchLife = 90 * 24 * time.Hour // of batches, their results, and responses
	fileLife  = 400 * 24 * time.Hour
)

// sweepAtOnce is how many rows one look at the table takes.
const sweepAtOnce = 1000

// Sweep forgets what outlived its time, and tells how many that were. What belongs to an
// exchange that is open stays however old it is.
func (s *keptStore) Sweep(ctx context.Context, now time.Time, open func(ident.ID) bool) (swept int, err error) {
	for {
		var rows []keptRow
		if err := s.db.WithContext(ctx).Select("org", "system", "kind", "id", "exchange", "made_at").
			Where("exchange <> '' AND made_at < ? OR made_at < ?", now.Add(-batchLife).UnixMicro(), now.Add(-fileLife).UnixMicro()).
			Order("made_at, org, system, kind, id").Limit(sweepAtOnce).Find(&rows).Error; err != nil {
			return swept, fmt.Errorf("find old kept objects: %w", err)
		}
		gone := 0
		for _, r := range rows {
			if r.Exchange != "" {
				if id, err := ident.Parse(r.Exchange); err != nil || open(id) {
					continue
				}
			}
			if err := s.Forget(ctx, inventory.OrgID(r.Org), inventory.SystemID(r.System), gateway.ObjectKind(r.Kind), r.ID); err != nil {
				return swept, err
			}
			gone++
		}
		swept += gone
		if len(rows) < sweepAtOnce || gone == 0 {
			return swept, nil
		}
	}
}

func (s *keptStore) of(ctx context.Context, org inventory.OrgID, system inventory.SystemID, kind gateway.ObjectKind) *gorm.DB {
	return s.db.WithContext(ctx).Where("org = ? AND system = ? AND kind = ?", string(org), string(system), string(kind))
}

func (s *keptStore) one(org inventory.OrgID, q *gorm.DB) (*gateway.Object, error) {
	if org == "" {
		return nil, errNoOrg
	}
	var row keptRow
	err := q.Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, gateway.ErrNotKept
	}
	if err != nil {
		return nil, fmt.Errorf("read kept object: %w", err)
	}
	return s.object(&row)
}

func (s *keptStore) object(row *keptRow) (*gateway.Object, error) {
	o := &gateway.Object{Org: inventory.OrgID(row.Org), System: inventory.SystemID(row.System), Kind: gateway.ObjectKind(row.Kind), ID: row.ID,
		Provider: inventory.ProviderID(row.Provider), Target: row.Target, Model: row.Model, At: time.UnixMicro(row.MadeAt)}
	var known keptKnown
	err := json.Unmarshal([]byte(row.Known), &known)
	if err == nil && row.Exchange != "" {
		o.Exchange, err = ident.Parse(row.Exchange)
	}
	if err == nil && len(row.Said) > 0 {
		o.Said, err = s.sealer.Open(row.Said, row.sealedFor())
	}
	if err != nil {
		return nil, fmt.Errorf("read kept object %s: %w", row.ID, err)
	}
	o.Credential, o.Purpose, o.Op, o.Lot, o.Abandoned = known.Credential, known.Purpose, known.Op, known.Lot, known.Abandoned
	if known.SaidAt != 0 {
		o.SaidAt = time.UnixMicro(known.SaidAt)
	}
	return o, nil
}

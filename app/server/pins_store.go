package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"plumbline/gateway"
	"plumbline/inventory"
)

// pinRow is where a response was made.
type pinRow struct {
	Org      string `gorm:"column:org;primaryKey"`
	System   string `gorm:"column:system;primaryKey"`
	ID       []byte `gorm:"column:id;primaryKey"`
	Provider string `gorm:"column:provider"`
	Target   string `gorm:"column:target"`
	Model    string `gorm:"column:model"`
	MadeAt   int64  `gorm:"column:made_at"` // microseconds since 1970

	Credential string `gorm:"column:credential"` // mark of the provider's key
}

func (pinRow) TableName() string { return "response_pins" }

// pinStore keeps pins in the state database.
type pinStore struct{ db *gorm.DB }

var errNoOrg = errors.New("name an organisation")

// Find reads a pin of an organisation's system, or gives gateway.ErrNoPin.
func (s *pinStore) Find(ctx context.Context, org inventory.OrgID, system inventory.SystemID, id [32]byte) (gateway.Pin, error) {
	if org == "" {
		return gateway.Pin{}, errNoOrg
	}
	var row pinRow
	err := s.db.WithContext(ctx).Where("org = ? AND system = ? AND id = ?", string(org), string(system), id[:]).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return gateway.Pin{}, gateway.ErrNoPin
	}
	if err != nil {
		return gateway.Pin{}, fmt.Errorf("read pin: %w", err)
	}
	return gateway.Pin{Org: org, System: system, ID: id, Provider: inventory.ProviderID(row.Provider), Target: row.Target, Model: row.Model, At: time.UnixMicro(row.MadeAt), Credential: row.Credential}, nil
}

// Put writes pins of one organisation, whatever each says of its own. A response that
// is known keeps its place.
func (s *pinStore) Put(ctx context.Context, org inventory.OrgID, pins []gateway.Pin) error {
	if org == "" {
		return errNoOrg
	}
	rows := make([]pinRow, len(pins))
	for i, p := range pins {
		rows[i] = pinRow{string(org), string(p.System), p.ID[:], string(p.Provider), p.Target, p.Model, p.At.UnixMicro(), p.Credential}
	}
	if err := s.db.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error; err != nil {
		return fmt.Errorf("write pins: %w", err)
	}
	return nil
}

// Expire deletes an organisation's pins of responses that were made before a time.
func (s *pinStore) Expire(ctx context.Context, org inventory.OrgID, before time.Time) error {
	if org == "" {
		return errNoOrg
	}
	if err := s.db.WithContext(ctx).Where("org = ? AND made_at < ?", string(org), before.UnixMicro()).Delete(&pinRow{}).Error; err != nil {
		return fmt.Errorf("expire pins: %w", err)
	}
	return nil
}

package inventory

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"plumbline/app/fault"
)

// secretRow is the stored form of a secret that somebody entered.
type secretRow struct {
	Org      string `gorm:"column:org"`
	ID       string `gorm:"column:id"`
	Provider string `gorm:"column:provider"`
	Sealed   []byte `gorm:"column:sealed"`
}

func (secretRow) TableName() string { return "provider_secrets" }

func (s *rowStore) keepSecret(ctx context.Context, m secretRow) error {
	if err := s.db.WithContext(ctx).Create(&m).Error; err != nil {
		return fmt.Errorf("keep secret: %w", err)
	}
	return nil
}

func (s *rowStore) secret(ctx context.Context, org OrgID, id string) (secretRow, error) {
	var m secretRow
	err := s.db.WithContext(ctx).Where("org = ? AND id = ?", string(org), id).Take(&m).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return m, notFound("sealed secret", id)
	case err != nil:
		return m, fault.Wrap(fault.Unavailable, "register", err, "the register could not be read")
	}
	return m, nil
}

// secrets lists the secrets that are kept, without what is sealed.
func (s *rowStore) secrets(ctx context.Context) (out []secretRow, err error) {
	if err := s.db.WithContext(ctx).Raw(`SELECT org, id, provider FROM provider_secrets`).Scan(&out).Error; err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	return out, nil
}

func (s *rowStore) forgetSecret(ctx context.Context, org, id string) error {
	if err := s.db.WithContext(ctx).Where("org = ? AND id = ?", org, id).Delete(&secretRow{}).Error; err != nil {
		return fmt.Errorf("forget secret: %w", err)
	}
	return nil
}

// everyProvider is every version of every provider of every organisation, deleted ones
// too.
func (s *rowStore) everyProvider(ctx context.Context) ([]row, error) {
	return s.rows(ctx, `SELECT * FROM register_rows WHERE kind = ? ORDER BY seq`, kindProvider)
}

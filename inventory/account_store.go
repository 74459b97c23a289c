package inventory

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"plumbline/app/db"
	"plumbline/app/fault"
)

type account struct {
	ID        string `gorm:"column:id"`
	Email     string `gorm:"column:email"`
	Name      string `gorm:"column:name"`
	Password  string `gorm:"column:password"`
	Stamp     int64  `gorm:"column:stamp"`
	CreatedAt int64  `gorm:"column:created_at;autoCreateTime:false"`
}

func (account) TableName() string { return "accounts" }

func (s *rowStore) account(ctx context.Context, id string) (account, error) {
	return s.takeAccount(ctx, "id = ?", id)
}

func (s *rowStore) accountByEmail(ctx context.Context, email string) (account, error) {
	return s.takeAccount(ctx, "email = ?", email)
}

func (s *rowStore) takeAccount(ctx context.Context, where, value string) (account, error) {
	var a account
	err := s.db.WithContext(ctx).Where(where, value).Take(&a).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return account{}, notFound("account", value)
	}
	if err != nil {
		return account{}, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

func (s *rowStore) accounts(ctx context.Context) (n int64, err error) {
	err = s.db.WithContext(ctx).Model(&account{}).Count(&n).Error
	return n, err
}

func (s *rowStore) insertAccount(ctx context.Context, a account) error {
	if err := s.db.WithContext(ctx).Create(&a).Error; err != nil {
		return fmt.Errorf("write account: %w", err)
	}
	return nil
}

func (s *rowStore) setPassword(ctx context.Context, id, hash string, stamp int64) error {
	res := s.db.WithContext(ctx).Model(&account{}).Where("id = ?", id).Updates(map[string]any{"password": hash, "stamp": stamp})
	if res.Error != nil {
		return fmt.Errorf("write password: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return notFound("account", id)
	}
	return nil
}

type link struct {
	Hash      string `gorm:"column:hash"`
	Account   string `gorm:"column:account"`
	ExpiresAt int64  `gorm:"column:expires_at"`
	UsedAt    int64  `gorm:"column:used_at"`
}

func (link) TableName() string { return "signin_links" }

func (s *rowStore) insertLink(ctx context.Context, hash, account string, expires int64) error {
	if err := s.db.WithContext(ctx).Create(&link{Hash: hash, Account: account, ExpiresAt: expires}).Error; err != nil {
		return fmt.Errorf("write link: %w", err)
	}
	return nil
}

func (s *rowStore) link(ctx context.Context, hash string, now int64) (string, error) {
	var l link
	err := s.db.WithContext(ctx).Where("hash = ? AND used_at = 0 AND expires_at > ?", hash, now).Take(&l).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", fault.New(fault.Unauthenticated, "link_used", "this link was used already or has expired; ask an administrator for a new one")
	}
	if err != nil {
		return "", fmt.Errorf("read link: %w", err)
	}
	return l.Account, nil
}

// redeem marks the link used in the statement that finds it unused, so that two
// requests cannot both have it.
func (s *rowStore) redeem(ctx context.Context, hash string, now int64) (string, error) {
	var account string
	err := db.InTx(ctx, s.db, func(tx *gorm.DB) error {
		var err error
		if account, err = (&rowStore{tx}).link(ctx, hash, now); err != nil {
			return err
		}
		res := tx.Model(&link{}).Where("hash = ? AND used_at = 0", hash).Update("used_at", now)
		if res.Error == nil && res.RowsAffected == 0 {
			return fault.New(fault.Unauthenticated, "link_used", "this link was used already")
		}
		return res.Error
	})
	return account, err
}

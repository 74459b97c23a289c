package web

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// DB is the state database.
type DB = *gorm.DB

// sessionRow is a session; its token is stored as a hash.
type sessionRow struct {
	Token     string `gorm:"column:token;primaryKey"`
	Data      []byte `gorm:"column:data"`
	ExpiresAt int64  `gorm:"column:expires_at"`
}

func (sessionRow) TableName() string { return "sessions" }

// sessionStore keeps sessions in the state database. The session manager hashes
// tokens before they come here.
type sessionStore struct {
	db  DB
	now func() time.Time
}

// FindCtx reads a session that has not expired.
func (s *sessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	var row sessionRow
	err := s.db.WithContext(ctx).Where("token = ? AND expires_at > ?", token, s.now().UnixMicro()).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read session: %w", err)
	}
	return row.Data, true, nil
}

// CommitCtx writes a session, and takes away those that have expired.
func (s *sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	db := s.db.WithContext(ctx)
	if err := db.Where("expires_at <= ?", s.now().UnixMicro()).Delete(&sessionRow{}).Error; err != nil {
		return fmt.Errorf("clear sessions: %w", err)
	}
	row := sessionRow{token, data, expiry.UnixMicro()}
	err := db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "token"}}, DoUpdates: clause.AssignmentColumns([]string{"data", "expires_at"})}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("write session: %w", err)
	}
	return nil
}

// DeleteCtx ends a session; there need not be one.
func (s *sessionStore) DeleteCtx(ctx context.Context, token string) error {
	if err := s.db.WithContext(ctx).Where("token = ?", token).Delete(&sessionRow{}).Error; err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// Find, Commit and Delete are the forms without a context.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *sessionStore) Delete(token string) error {
	return s.DeleteCtx(context.Background(), token)
}

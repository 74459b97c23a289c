package inventory

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"plumbline/app/db"
)

// row is the stored form of one version of anything in the register.
type row struct {
	Seq        int64  `gorm:"column:seq;->"`
	Org        string `gorm:"column:org"`
	Kind       string `gorm:"column:kind"`
	ID         string `gorm:"column:id"`
	Version    int64  `gorm:"column:version"`
	Body       string `gorm:"column:body"`
	Deleted    int64  `gorm:"column:deleted"`
	Restricts  int64  `gorm:"column:restricts"`
	ChangeID   string `gorm:"column:change_id"`
	ChangeKind string `gorm:"column:change_kind"`
	Author     string `gorm:"column:author"`
	Approver   string `gorm:"column:approver"`
	Imported   int64  `gorm:"column:imported"`
	Reason     string `gorm:"column:reason"`
	Request    string `gorm:"column:request"`
	File       string `gorm:"column:file"`
	Line       int64  `gorm:"column:line"`
	At         int64  `gorm:"column:at"`
	Leaf       int64  `gorm:"column:leaf"`
	BeforeHash []byte `gorm:"column:before_hash"`
	AfterHash  []byte `gorm:"column:after_hash"`
}

func (row) TableName() string { return "register_rows" }

// Database is the state database.
type Database = gorm.DB

type rowStore struct{ db *gorm.DB }

// mark changes whenever a row is added or recorded.
type mark struct {
	Seq  int64
	Open int64
}

func (s *rowStore) inTx(ctx context.Context, f func(*rowStore) error) error {
	return db.InTx(ctx, s.db, func(tx *gorm.DB) error { return f(&rowStore{tx}) })
}

func (s *rowStore) mark(ctx context.Context) (mark, error) {
	var m mark
	err := s.db.WithContext(ctx).Raw(`SELECT COALESCE((SELECT MAX(seq) FROM register_rows), 0) AS seq, (SELECT COUNT(*) FROM register_rows WHERE leaf < 0) AS open`).Scan(&m).Error
	if err != nil {
		return m, fmt.Errorf("read register: %w", err)
	}
	return m, nil
}

const newestVersion = `SELECT r.* FROM register_rows r JOIN (SELECT org, kind, id, MAX(version) AS version FROM register_rows WHERE `

// inForce is the newest version of each row that is recorded or restricts.
func (s *rowStore) inForce(ctx context.Context) ([]row, error) {
	return s.rows(ctx, newestVersion+`(leaf >= 0 OR restricts = 1) GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version ORDER BY r.org, r.kind, r.id`)
}

// asOf is the newest version of each row whose record is among the first size
// leaves of the organisation's log.
func (s *rowStore) asOf(ctx context.Context, org OrgID, size uint64) ([]row, error) {
	return s.rows(ctx, newestVersion+`org = ? AND leaf >= 0 AND leaf < ? GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version ORDER BY r.org, r.kind, r.id`, string(org), int64(size))
}

// asOfTime is the newest version of each row that was made by a time and is in
// force.
func (s *rowStore) asOfTime(ctx context.Context, org OrgID, at int64) ([]row, error) {
	return s.rows(ctx, newestVersion+`org = ? AND at <= ? AND (leaf >= 0 OR restricts = 1) GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version ORDER BY r.org, r.kind, r.id`, string(org), at)
}

// latest is the newest version of every row, in force or not.
func (s *rowStore) latest(ctx context.Context) ([]row, error) {
	return s.rows(ctx, newestVersion+`1 = 1 GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version ORDER BY r.org, r.kind, r.id`)
}

// fromFile is the newest version of every row that the declarations file holds.
// It asks of the newest version alone whether it is declared: a row that was let
// go stays let go.
func (s *rowStore) fromFile(ctx context.Context) ([]row, error) {
	return s.rows(ctx, newestVersion+`1 = 1 GROUP BY org, kind, id) n
		ON n.org = r.org AND n.kind = r.kind AND n.id = r.id AND n.version = r.version WHERE r.deleted = 0 AND r.file <> '' ORDER BY r.seq`)
}

// elsewhere reports whether another organisation has a row of that id.
func (s *rowStore) elsewhere(ctx context.Context, org OrgID, kind, id string) (bool, error) {
	var n int64
	err := s.db.WithContext(ctx).Model(&row{}).Where("org <> ? AND kind = ? AND id = ?", string(org), kind, id).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("read register: %w", err)
	}
	return n > 0, nil
}

// relocate notes that a row is declared in another line now. That is no version:
// what is declared stayed the same.
func (s *rowStore) relocate(ctx context.Context, change, file string, line int) error {
	err := s.db.WithContext(ctx).Model(&row{}).Where("change_id = ?", change).Updates(map[string]any{"file": file, "line": line}).Error
	if err != nil {
		return fmt.Errorf("note line: %w", err)
	}
	return nil
}

func (s *rowStore) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	var out []row
	if err := s.db.WithContext(ctx).Raw(query, args...).Scan(&out).Error; err != nil {
		return nil, fmt.Errorf("read register: %w", err)
	}
	return out, nil
}

// newest is the last version of a row, or with inForce the one that counts now.
func (s *rowStore) newest(ctx context.Context, org OrgID, kind, id string, inForce bool) (row, error) {
	q := s.db.WithContext(ctx).Where("org = ? AND kind = ? AND id = ?", string(org), kind, id)
	if inForce {
		q = q.Where("leaf >= 0 OR restricts = 1")
	}
	var out row
	err := q.Order("version DESC").Take(&out).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row{}, notFound(kind, id)
	}
	if err != nil {
		return row{}, fmt.Errorf("read register: %w", err)
	}
	return out, nil
}

func (s *rowStore) lastVersion(ctx context.Context, org OrgID, kind, id string) (v int64, err error) {
	err = s.db.WithContext(ctx).Raw(`SELECT COALESCE(MAX(version), 0) FROM register_rows WHERE org = ? AND kind = ? AND id = ?`, string(org), kind, id).Scan(&v).Error
	return v, err
}

func (s *rowStore) versions(ctx context.Context, org OrgID, kind, id string) ([]row, error) {
	return s.rows(ctx, `SELECT * FROM register_rows WHERE org = ? AND kind = ? AND id = ? ORDER BY version DESC`, string(org), kind, id)
}

func (s *rowStore) ids(ctx context.Context, org OrgID, kind string) (out []string, err error) {
	err = s.db.WithContext(ctx).Raw(`SELECT DISTINCT id FROM register_rows WHERE org = ? AND kind = ?`, string(org), kind).Scan(&out).Error
	return out, err
}

func (s *rowStore) insert(ctx context.Context, m row) (row, error) {
	if err := s.db.WithContext(ctx).Omit("seq").Create(&m).Error; err != nil {
		return row{}, fmt.Errorf("write %s: %w", m.Kind, err)
	}
	return m, nil
}

func (s *rowStore) stamp(ctx context.Context, change string, leaf int64) error {
	err := s.db.WithContext(ctx).Model(&row{}).Where("change_id = ?", change).Update("leaf", leaf).Error
	if err != nil {
		return fmt.Errorf("stamp change: %w", err)
	}
	return nil
}

func (s *rowStore) open(ctx context.Context) ([]row, error) {
	return s.rows(ctx, `SELECT * FROM register_rows WHERE leaf < 0 ORDER BY seq`)
}

package reports

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"

	"plumbline/app/authz"
	"plumbline/inventory"
)

type scheduleRow struct {
	Org, ID, Kind, System, Framework, Vendor, Cron string
	Days                                           int
	SetBy, SetName                                 string
	SetAt                                          int64
}

func (s *Service) putSchedule(ctx context.Context, sch Schedule) error {
	err := s.d.DB.WithContext(ctx).Table("document_schedules").
		Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "org"}, {Name: "id"}},
			DoUpdates: clause.AssignmentColumns([]string{"kind", "system", "framework", "vendor", "cron", "days", "set_by", "set_name", "set_at"})}).
		Create(map[string]any{"org": sch.Org, "id": sch.ID, "kind": sch.Kind, "system": sch.System, "framework": sch.Framework, "vendor": sch.Vendor,
			"cron": sch.Cron, "days": sch.Days, "set_by": sch.SetBy, "set_name": sch.SetName, "set_at": sch.SetAt.UnixMicro()}).Error
	if err != nil {
		return fmt.Errorf("keep schedule: %w", err)
	}
	return nil
}

func (s *Service) deleteSchedule(ctx context.Context, org authz.OrgID, id string) error {
	if err := s.d.DB.WithContext(ctx).Table("document_schedules").Where("org = ? AND id = ?", org, id).Delete(nil).Error; err != nil {
		return fmt.Errorf("delete schedule: %w", err)
	}
	return nil
}

func (s *Service) schedules(ctx context.Context, where string, args ...any) ([]Schedule, error) {
	var rows []scheduleRow
	err := s.d.DB.WithContext(ctx).Table("document_schedules").Select("org, id, kind, system, framework, vendor, cron, days, set_by, set_name, set_at").
		Where(where, args...).Order("org, kind, id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	out := make([]Schedule, len(rows))
	for i, r := range rows {
		out[i] = Schedule{Org: authz.OrgID(r.Org), ID: r.ID, Kind: Kind(r.Kind), System: inventory.SystemID(r.System), Framework: r.Framework, Vendor: r.Vendor,
			Cron: r.Cron, Days: r.Days, SetBy: r.SetBy, SetName: r.SetName, SetAt: micro(r.SetAt)}
	}
	return out, nil
}

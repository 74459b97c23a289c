package reports

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"

	"plumbline/app/authz"
)

type runRow struct {
	Org, Job                 string
	Tick, StartedAt, EndedAt int64
	State, Detail, ByActor   string
}

// beginRun reports false when the tick is taken.
func (s *Service) beginRun(ctx context.Context, r Run) (bool, error) {
	result := s.d.DB.WithContext(ctx).Table("job_runs").Clauses(clause.OnConflict{DoNothing: true}).
		Create(map[string]any{"org": r.Org, "job": runKey(r), "tick": r.Tick.UnixMicro(), "started_at": r.StartedAt.UnixMicro(), "state": r.State, "by_actor": r.Actor})
	if result.Error != nil {
		return false, fmt.Errorf("begin run of %s: %w", r.Job, result.Error)
	}
	return result.RowsAffected == 1, nil
}

// runKey makes one job of two organisations two jobs.
func runKey(r Run) string { return string(r.Org) + "/" + r.Job }

func (s *Service) endRun(ctx context.Context, r Run) error {
	err := s.d.DB.WithContext(ctx).Table("job_runs").Where("job = ? AND tick = ?", runKey(r), r.Tick.UnixMicro()).
		Updates(map[string]any{"ended_at": r.EndedAt.UnixMicro(), "state": r.State, "detail": r.Detail}).Error
	if err != nil {
		return fmt.Errorf("end run of %s: %w", r.Job, err)
	}
	return nil
}

// interrupted closes the runs that an earlier process left.
func (s *Service) interrupted(ctx context.Context) error {
	err := s.d.DB.WithContext(ctx).Table("job_runs").Where("state = ?", Running).
		Updates(map[string]any{"state": Failed, "detail": "interrupted", "ended_at": s.d.Now().UnixMicro()}).Error
	if err != nil {
		return fmt.Errorf("close interrupted runs: %w", err)
	}
	return nil
}

// Runs lists the newest runs of an organisation's jobs and of the instance's.
func (s *Service) Runs(ctx context.Context, org authz.OrgID, limit int) ([]Run, error) {
	return s.runs(ctx, limit, "org IN ?", []string{string(org), ""})
}

// RunsOf lists the newest runs of one job.
func (s *Service) RunsOf(ctx context.Context, org authz.OrgID, job string, limit int) ([]Run, error) {
	return s.runs(ctx, limit, "job IN ?", []string{runKey(Run{Org: org, Job: job}), runKey(Run{Job: job})})
}

// LastRuns gives the newest run of each job, however long ago.
func (s *Service) LastRuns(ctx context.Context, org authz.OrgID) ([]Run, error) {
	mine := []string{string(org), ""}
	return s.runs(ctx, -1, "org IN ? AND (job, started_at) IN (SELECT job, MAX(started_at) FROM job_runs WHERE org IN ? GROUP BY job)", mine, mine)
}

func (s *Service) runs(ctx context.Context, limit int, where string, args ...any) ([]Run, error) {
	var rows []runRow
	err := s.d.DB.WithContext(ctx).Table("job_runs").Select("org, job, tick, started_at, ended_at, state, detail, by_actor").
		Where(where, args...).Order("started_at DESC, job").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	out := make([]Run, len(rows))
	for i, r := range rows {
		out[i] = Run{Org: authz.OrgID(r.Org), Job: r.Job[len(r.Org)+1:], Tick: micro(r.Tick), StartedAt: micro(r.StartedAt), EndedAt: micro(r.EndedAt), State: r.State, Detail: r.Detail, Actor: r.ByActor}
	}
	return out, nil
}

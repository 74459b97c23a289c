package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
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
	return s.newest(ctx, limit, "org", string(org), "")
}

// RunsOf lists the newest runs of one job.
func (s *Service) RunsOf(ctx context.Context, org authz.OrgID, job string, limit int) ([]Run, error) {
	return s.newest(ctx, limit, "job", runKey(Run{Org: org, Job: job}), runKey(Run{Job: job}))
}

// newest asks for each value of a column by itself: so the database reads the newest
// from its index and stops.
func (s *Service) newest(ctx context.Context, limit int, column string, values ...string) ([]Run, error) {
	var out []Run
	for _, v := range values {
		list, err := s.runs(s.runRows(ctx).Where(column+" = ?", v).Order("started_at DESC").Limit(limit))
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	sortRuns(out)
	return out[:min(len(out), limit)], nil
}

// eachJob is the name of every job with a run. It steps from one to the next in the
// index, however many runs each has.
const eachJob = `WITH RECURSIVE jobs (job) AS (SELECT MIN(job) FROM job_runs UNION ALL SELECT (SELECT MIN(r.job) FROM job_runs r WHERE r.job > jobs.job) FROM jobs WHERE jobs.job IS NOT NULL)
	SELECT job FROM jobs WHERE job IS NOT NULL`

// LastRuns gives the newest run of each job, however long ago.
func (s *Service) LastRuns(ctx context.Context, org authz.OrgID) ([]Run, error) {
	var jobs []string
	if err := s.d.DB.WithContext(ctx).Raw(eachJob).Scan(&jobs).Error; err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	var out []Run
	for _, job := range jobs {
		if !strings.HasPrefix(job, runKey(Run{Org: org})) && !strings.HasPrefix(job, runKey(Run{})) {
			continue
		}
		list, err := s.runs(s.runRows(ctx).Where("job = ?", job).Order("started_at DESC").Limit(1))
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	sortRuns(out)
	return out, nil
}

func sortRuns(list []Run) {
	slices.SortStableFunc(list, func(a, b Run) int { return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.Job, b.Job)) })
}

func (s *Service) runRows(ctx context.Context) *gorm.DB {
	return s.d.DB.WithContext(ctx).Table("job_runs").Select("org, job, tick, started_at, ended_at, state, detail, by_actor")
}

func (s *Service) runs(query *gorm.DB) ([]Run, error) {
	var rows []runRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	out := make([]Run, len(rows))
	for i, r := range rows {
		out[i] = Run{Org: authz.OrgID(r.Org), Job: r.Job[len(r.Org)+1:], Tick: micro(r.Tick), StartedAt: micro(r.StartedAt), EndedAt: micro(r.EndedAt), State: r.State, Detail: r.Detail, Actor: r.ByActor}
	}
	return out, nil
}

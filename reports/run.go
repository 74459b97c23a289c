package reports

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
)

// Run is one run of a job.
type Run struct {
	Org       authz.OrgID `json:"-"` // empty: a job of the instance
	Job       string      `json:"job"`
	Tick      time.Time   `json:"tick"` // the moment of the schedule that it answers
	StartedAt time.Time   `json:"started_at"`
	EndedAt   time.Time   `json:"ended_at,omitzero"`
	State     string      `json:"state"`            // running, ok, failed
	Detail    string      `json:"detail,omitempty"` // what it did, or the code of what went wrong
	Actor     string      `json:"actor"`
}

// The states of a run.
const (
	Running = "running"
	RunOK   = "ok"
	Failed  = "failed"
)

// RunOnce runs f for a tick of a job unless a run of that tick exists, keeps its
// course and appends job.run to the organisation's log, or to the instance's
// when org is empty. What f returns as detail is shown to people: no secrets.
// It reports whether f ran; the error is f's, or that the run could not be kept.
func (s *Service) RunOnce(ctx context.Context, org authz.OrgID, job string, tick time.Time, actor authz.Actor, f func(ctx context.Context) (detail string, err error)) (bool, error) {
	if org != "" {
		if err := own(actor, org); err != nil {
			return false, err
		}
	}
	r := Run{Org: org, Job: job, Tick: tick.UTC(), StartedAt: s.d.Now().UTC(), State: Running, Actor: actor.ID}
	first, err := s.beginRun(ctx, r)
	if err != nil || !first {
		return false, err
	}
	detail, failure := guarded(ctx, f)
	r.EndedAt, r.State, r.Detail = s.d.Now().UTC(), RunOK, detail
	if failure != nil {
		r.State, r.Detail = Failed, code(failure)
		s.d.Log.Error("job failed", "job", job, "org", string(org), "error", failure)
	}
	after := context.WithoutCancel(ctx)
	kept := errors.Join(s.endRun(after, r), s.recordRun(after, r))
	if kept != nil {
		s.d.Log.Error("run of a job could not be kept", "job", job, "org", string(org), "error", kept)
	}
	return true, errors.Join(failure, kept)
}

// guarded makes a panic of f its error: a job must not end the process that calls
// are answered by.
func guarded(ctx context.Context, f func(context.Context) (string, error)) (detail string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// code is what of an error may be shown and recorded.
func code(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Code != "" {
		return f.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "stopped"
	}
	return "internal"
}

func (s *Service) recordRun(ctx context.Context, r Run) error {
	id, err := ident.New(s.d.Now(), s.d.Rand)
	if err != nil {
		return err
	}
	body := &record.Job{Name: r.Job, Tick: r.Tick.UnixMicro(), OK: r.State == RunOK, Took: r.EndedAt.Sub(r.StartedAt).Microseconds()}
	if !body.OK {
		body.Error = r.Detail
	}
	if _, err := s.d.Ledger.Append(ctx, string(r.Org), &record.Record{Envelope: record.Envelope{Kind: record.JobRan, ID: id, Actor: r.Actor}, Body: body}); err != nil {
		return fmt.Errorf("record run of %s: %w", r.Job, err)
	}
	return nil
}

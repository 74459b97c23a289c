package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/inventory"
	"plumbline/reports"
	"plumbline/web"
)

// job is one line of the table of scheduled jobs. It runs once for each
// organisation and tick.
type job struct {
	name, title, cron string
	run               func(s *Server, ctx context.Context, actor authz.Actor) (detail string, err error)
}

// table is every job but the documents, whose schedules people set.
var table = []job{
	{"control-tests", "Control tests", "0 * * * *", func(s *Server, ctx context.Context, a authz.Actor) (string, error) {
		n, err := s.Engine.RunTests(ctx, a.Org)
		return fmt.Sprintf("%d results recorded", n), err
	}},
	{"verify-ledger", "Checkpoint verification", "30 3 * * *", func(s *Server, ctx context.Context, a authz.Actor) (string, error) {
		ok, leaves, err := s.Engine.VerifyChain(ctx, a.Org)
		if err == nil && !ok {
			err = fault.New(fault.Internal, "ledger_broken", "the log does not verify; the server's log says why")
		}
		return fmt.Sprintf("%d leaves verified", leaves), err
	}},
}

// jobs runs the table and the schedules of documents.
type jobs struct {
	s    *Server
	cron *cron.Cron
	ctx  context.Context
	end  context.CancelFunc
	one  sync.Mutex // jobs do not run beside each other
}

func newJobs(s *Server) *jobs {
	j := &jobs{s: s, cron: cron.New(cron.WithLocation(time.UTC))}
	j.ctx, j.end = context.WithCancel(context.Background())
	return j
}

func (j *jobs) start() {
	for _, t := range table {
		schedule, err := cron.ParseStandard(t.cron)
		if err != nil {
			panic("jobs: " + err.Error()) // the table is code
		}
		j.cron.Schedule(schedule, cron.FuncJob(func() {
			for _, org := range j.s.Register.Orgs() {
				j.tick(org.ID, t.name, j.now(), func(ctx context.Context, a authz.Actor) (string, error) { return t.run(j.s, ctx, a) })
			}
		}))
	}
	// Documents' schedules change while the server runs, so each minute asks.
	j.cron.Schedule(every(time.Minute), cron.FuncJob(j.documents))
	j.cron.Start()
}

// every is a schedule on whole minutes.
type every time.Duration

func (e every) Next(t time.Time) time.Time { return t.Truncate(time.Duration(e)).Add(time.Duration(e)) }

func (j *jobs) stop() {
	j.end()
	<-j.cron.Stop().Done()
}

func (j *jobs) now() time.Time { return j.s.o.Now().UTC().Truncate(time.Minute) }

func (j *jobs) tick(org inventory.OrgID, name string, tick time.Time, f func(context.Context, authz.Actor) (string, error)) error {
	j.one.Lock()
	defer j.one.Unlock()
	id, err := ident.New(j.s.o.Now(), j.s.o.Rand)
	if err != nil {
		return err
	}
	actor := authz.Actor{Org: org, ID: "job:" + name, Name: name, Request: id}
	_, err = j.s.Reports.RunOnce(j.ctx, org, name, tick, actor, func(ctx context.Context) (string, error) { return f(ctx, actor) })
	return err
}

// documents issues what is due in this minute.
func (j *jobs) documents() {
	list, err := j.s.Reports.AllSchedules(j.ctx)
	if err != nil {
		j.s.log.Error("schedules could not be read", "error", err)
		return
	}
	now := j.now()
	for _, sch := range list {
		if !sch.Next(now.Add(-time.Minute)).Equal(now) {
			continue
		}
		j.tick(sch.Org, sch.Job(), now, func(ctx context.Context, a authz.Actor) (string, error) { return j.issue(ctx, a, sch) })
	}
}

func (j *jobs) issue(ctx context.Context, a authz.Actor, sch reports.Schedule) (string, error) {
	r := reports.Request{Org: sch.Org, Kind: sch.Kind, System: sch.System, Framework: sch.Framework, Vendor: sch.Vendor}
	if sch.Days > 0 {
		r.To = j.s.o.Now().UTC()
		r.From = r.To.AddDate(0, 0, -sch.Days)
	}
	d, err := j.s.Reports.Issue(ctx, a, r)
	return d.ID, err
}

// List names the jobs with their next run.
func (j *jobs) List() []web.Job {
	var out []web.Job
	for _, t := range table {
		schedule, err := cron.ParseStandard(t.cron)
		if err == nil {
			out = append(out, web.Job{Name: t.name, Title: t.title, Cron: t.cron, Next: schedule.Next(j.s.o.Now().UTC())})
		}
	}
	list, err := j.s.Reports.AllSchedules(j.ctx)
	if err != nil {
		return out
	}
	for _, sch := range list {
		out = append(out, web.Job{Name: sch.Job(), Org: string(sch.Org), Title: strings.ReplaceAll(string(sch.Kind), "_", " "), Cron: sch.Cron, Next: sch.Next(j.s.o.Now().UTC())})
	}
	return out
}

// Run runs a job of the table, or a schedule's document, now for the actor's
// organisation. Its tick is this moment, so that a scheduled run is not replaced.
func (j *jobs) Run(ctx context.Context, actor authz.Actor, name string) error {
	run := func(f func(context.Context, authz.Actor) (string, error)) error {
		j.one.Lock()
		defer j.one.Unlock()
		_, err := j.s.Reports.RunOnce(context.WithoutCancel(ctx), actor.Org, name, j.s.o.Now().UTC(), actor, func(ctx context.Context) (string, error) { return f(ctx, actor) })
		return err
	}
	for _, t := range table {
		if t.name == name {
			return run(func(ctx context.Context, a authz.Actor) (string, error) { return t.run(j.s, ctx, a) })
		}
	}
	list, err := j.s.Reports.Schedules(ctx, actor.Org)
	if err != nil {
		return err
	}
	for _, sch := range list {
		if sch.Job() == name {
			return run(func(ctx context.Context, a authz.Actor) (string, error) { return j.issue(ctx, a, sch) })
		}
	}
	return fault.New(fault.NotFound, "not_found", "there is no job %q", name)
}

// RunJob runs a job of the table, or a schedule's document, now, with its entry
// in the history.
func (s *Server) RunJob(ctx context.Context, actor authz.Actor, name string) error {
	return s.jobs.Run(ctx, actor, name)
}

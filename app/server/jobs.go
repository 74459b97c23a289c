package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/gateway/event"
	"plumbline/inventory"
	"plumbline/reports"
	"plumbline/web"
)

// job is one line of the table of scheduled jobs. It runs once for each tick and
// organisation, or once for the instance.
type job struct {
	name, title, about string
	cron, said         string // five fields in UTC, and in words
	instance           bool   // of the instance: nobody in an organisation runs it by hand
	run                func(s *Server, ctx context.Context, actor authz.Actor) (detail string, err error)
}

// table is every job but the documents, whose schedules people set.
var table = []job{
	{"control-tests", "Control tests", "Computes every test of every AI system and appends the results", "0 * * * *", "each hour", false, func(s *Server, ctx context.Context, a authz.Actor) (string, error) {
		n, err := s.Engine.RunTests(ctx, a.Org)
		return fmt.Sprintf("%d results recorded", n), err
	}},
	{"verify-ledger", "Checkpoint verification", "Hashes the whole log again and sets it against its signed checkpoint", "30 3 * * *", "each day at 03:30", false, func(s *Server, ctx context.Context, a authz.Actor) (string, error) {
		ok, leaves, err := s.Engine.VerifyChain(ctx, a.Org)
		if err == nil && !ok {
			err = fault.New(fault.Internal, "ledger_broken", "the log does not verify; the server's log says why")
		}
		return fmt.Sprintf("%d leaves verified", leaves), err
	}},
	{"verify-instance", "Checkpoint verification, instance", "The same for the log of this server: starts, stops, callers without a key", "45 3 * * *", "each day at 03:45", true, func(s *Server, ctx context.Context, a authz.Actor) (string, error) {
		leaves, err := s.Ledger.Verify(ctx, "")
		if err != nil && ctx.Err() == nil {
			err = fault.Wrap(fault.Internal, "ledger_broken", err, "the instance's log does not verify")
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

	mu   sync.Mutex
	busy map[string]int // runs begun or waiting, by organisation and job; guarded by mu
	seen time.Time      // up to when schedules of documents were looked at; guarded by mu
}

// catchUp is how far back a start looks for documents whose moment passed while
// no server ran.
const catchUp = 24 * time.Hour

func newJobs(s *Server) *jobs {
	j := &jobs{s: s, cron: cron.New(cron.WithLocation(time.UTC)), busy: map[string]int{}}
	j.ctx, j.end = context.WithCancel(context.Background())
	return j
}

func (j *jobs) start() {
	j.seen = j.now().Add(-catchUp)
	for _, t := range table {
		schedule, err := cron.ParseStandard(t.cron)
		if err != nil {
			panic("jobs: " + err.Error()) // the table is code
		}
		j.cron.Schedule(schedule, cron.FuncJob(func() { j.fire(t, j.now()) }))
	}
	// Documents' schedules change while the server runs, so each minute asks.
	j.cron.Schedule(every(time.Minute), cron.FuncJob(j.documents))
	j.cron.Schedule(every(batchEvery), cron.FuncJob(j.batches))
	j.cron.Schedule(every(keptSweep), cron.FuncJob(j.sweepKept))
	j.cron.Start()
}

// batchEvery is how often it is looked which batches and responses made in the
// background are to be asked for.
const batchEvery = time.Minute

// batches settles the batches and the responses whose results are there, or whose deadline passed. What it
// did is in the ledger, so it has no history of its own.
func (j *jobs) batches() {
	settled, err := j.s.Gateway.SettleBatches(j.ctx)
	if err != nil {
		j.s.log.Warn("batches or responses are not settled yet", "error", err)
	}
	if settled > 0 {
		j.s.log.Info("batches or responses settled", "count", settled)
	}
}

// keptSweep is how often it is forgotten whose old files and batches are: at midnight, UTC.
const keptSweep = 24 * time.Hour

func (j *jobs) sweepKept() {
	swept, err := j.s.kept.Sweep(j.ctx, j.s.o.Now(), j.s.Gateway.Open)
	if err != nil {
		j.s.log.Warn("old files and batches are not all forgotten", "error", err)
	}
	if swept > 0 {
		j.s.log.Info("old files and batches forgotten", "count", swept)
	}
}

// every is a schedule on whole minutes.
type every time.Duration

func (e every) Next(t time.Time) time.Time { return t.Truncate(time.Duration(e)).Add(time.Duration(e)) }

// stop lets what runs come to its end, told to hurry, and begins nothing more.
func (j *jobs) stop() {
	j.end()
	<-j.cron.Stop().Done()
	j.one.Lock()
	defer j.one.Unlock()
}

func (j *jobs) now() time.Time { return j.s.o.Now().UTC().Truncate(time.Minute) }

// fire runs a job of the table for every organisation, or for the instance.
func (j *jobs) fire(t job, tick time.Time) {
	run := func(ctx context.Context, a authz.Actor) (string, error) { return t.run(j.s, ctx, a) }
	if t.instance {
		j.tick("", t.name, t.title, tick, run)
		return
	}
	for _, org := range j.s.Register.Orgs() {
		j.tick(org.ID, t.name, t.title, tick, run)
	}
}

// tick runs f once for a moment of a schedule. A failure is in the history and in
// the log; nobody waits for it here.
func (j *jobs) tick(org inventory.OrgID, name, by string, tick time.Time, f func(context.Context, authz.Actor) (string, error)) {
	id, err := ident.New(j.s.o.Now(), j.s.o.Rand)
	if err != nil {
		j.s.log.Error("job could not begin", "job", name, "error", err)
		return
	}
	leave, _ := j.enter(org, name, false)
	defer leave()
	ran, err := j.once(j.ctx, authz.Actor{Org: org, ID: "job:" + name, Name: by, Request: id}, name, tick, f)
	if err != nil && !ran {
		j.s.log.Error("job could not begin", "job", name, "org", string(org), "error", err)
	}
}

func (j *jobs) once(ctx context.Context, a authz.Actor, name string, tick time.Time, f func(context.Context, authz.Actor) (string, error)) (bool, error) {
	j.one.Lock()
	defer j.one.Unlock()
	return j.s.Reports.RunOnce(ctx, a.Org, name, tick, a, func(ctx context.Context) (string, error) {
		detail, err := f(ctx, a)
		if errors.Is(err, event.ErrUnavailable) { // the history shows a code
			err = fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "The ledger cannot write now. Try again when it can.")
		}
		return detail, err
	})
}

// enter counts a run that begins or waits; what it returns ends that. Alone, it
// enters only when there is no other run of the job.
func (j *jobs) enter(org inventory.OrgID, name string, alone bool) (leave func(), ok bool) {
	key := string(org) + "/" + name
	j.mu.Lock()
	defer j.mu.Unlock()
	if alone && j.busy[key] > 0 {
		return nil, false
	}
	j.busy[key]++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.busy[key]--; j.busy[key] == 0 {
			delete(j.busy, key)
		}
	}, true
}

// documents issues what became due since the last look: each schedule once, also
// when several of its moments passed. Documents that wait for their record come
// first.
func (j *jobs) documents() {
	now := j.now()
	j.mu.Lock()
	from := j.seen
	j.seen = now
	j.mu.Unlock()
	if err := j.s.Reports.Finish(j.ctx); err != nil {
		j.s.log.Warn("a document waits for its record", "error", err)
	}
	list, err := j.s.Reports.AllSchedules(j.ctx)
	if err != nil {
		j.s.log.Error("schedules could not be read", "error", err)
		return
	}
	for _, sch := range list {
		after := from
		if sch.SetAt.After(after) {
			after = sch.SetAt
		}
		due := sch.Next(after)
		if due.IsZero() || due.After(now) {
			continue
		}
		j.tick(sch.Org, sch.Job(), scheduledBy(sch), due, func(ctx context.Context, a authz.Actor) (string, error) { return j.issue(ctx, a, sch, due) })
	}
}

// scheduledBy is whom a scheduled document names as its author: the schedule, and
// the person who answers for it.
func scheduledBy(sch reports.Schedule) string {
	if sch.SetName == "" {
		return "Schedule " + sch.Cron
	}
	return "Schedule " + sch.Cron + ", set by " + sch.SetName
}

func (j *jobs) issue(ctx context.Context, a authz.Actor, sch reports.Schedule, tick time.Time) (string, error) {
	d, err := j.s.Reports.Issue(ctx, a, sch.Request(tick))
	return d.ID, err
}

// List names the jobs with their next run.
func (j *jobs) List() []web.Job {
	var out []web.Job
	for _, t := range table {
		schedule, err := cron.ParseStandard(t.cron)
		if err == nil {
			out = append(out, web.Job{Name: t.name, Title: t.title, About: t.about, Cron: t.cron, Said: t.said, Instance: t.instance, Next: schedule.Next(j.s.o.Now().UTC())})
		}
	}
	list, err := j.s.Reports.AllSchedules(j.ctx)
	if err != nil {
		j.s.log.Error("schedules could not be read", "error", err)
		return out
	}
	for _, sch := range list {
		kind, _ := reports.KindOf(sch.Kind) // was checked when it was set
		criteria := sch.Framework
		if f, err := j.s.Catalog.Framework(criteria); err == nil {
			criteria = f.Title
		}
		about := strings.Join(slices.DeleteFunc([]string{string(sch.System), criteria, sch.Vendor}, func(s string) bool { return s == "" }), ", ")
		out = append(out, web.Job{Name: sch.Job(), Org: string(sch.Org), Title: kind.Title, About: about, Cron: sch.Cron, Next: sch.Next(j.s.o.Now().UTC())})
	}
	return out
}

// Run runs a job of the table, or a schedule's document, now for the actor's
// organisation, and comes back with its error when it ended. Its tick is this
// moment, so that a scheduled run is not replaced. While a run of the job begins
// or waits it starts none and returns a fault of code web.JobRunning.
func (j *jobs) Run(ctx context.Context, actor authz.Actor, name string) error {
	f, err := j.named(ctx, actor.Org, name)
	if err != nil {
		return err
	}
	leave, ok := j.enter(actor.Org, name, true)
	if !ok {
		return fault.New(fault.Conflict, web.JobRunning, "It is running already. Wait until that run ends; the history shows it.")
	}
	defer leave()
	// Whoever asked may leave; the server's end does end it.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()
	_, err = j.once(running, actor, name, j.s.o.Now().UTC(), f)
	return err
}

func (j *jobs) named(ctx context.Context, org inventory.OrgID, name string) (func(context.Context, authz.Actor) (string, error), error) {
	for _, t := range table {
		if t.name == name && !t.instance {
			return func(ctx context.Context, a authz.Actor) (string, error) { return t.run(j.s, ctx, a) }, nil
		}
	}
	list, err := j.s.Reports.Schedules(ctx, org)
	if err != nil {
		return nil, err
	}
	for _, sch := range list {
		if sch.Job() == name {
			return func(ctx context.Context, a authz.Actor) (string, error) {
				return j.issue(ctx, a, sch, j.s.o.Now().UTC())
			}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "not_found", "there is no job %q", name)
}

// RunJob runs a job of the table, or a schedule's document, now, with its entry
// in the history.
func (s *Server) RunJob(ctx context.Context, actor authz.Actor, name string) error {
	return s.jobs.Run(ctx, actor, name)
}

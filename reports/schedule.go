package reports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/inventory"
)

// Schedule is a document that is written again and again.
type Schedule struct {
	Org       authz.OrgID        `json:"-"`
	ID        string             `json:"id"`
	Kind      Kind               `json:"kind"`
	System    inventory.SystemID `json:"system,omitempty"`
	Framework string             `json:"framework,omitempty"`
	Vendor    string             `json:"vendor,omitempty"`
	Cron      string             `json:"cron"` // five fields or @daily and the like, in UTC
	Days      int                `json:"days"` // period of each document; the kind's when 0
	SetBy     string             `json:"set_by"`
	SetName   string             `json:"-"`
	SetAt     time.Time          `json:"set_at"`
}

// Request is the document that a run at tick writes.
func (s Schedule) Request(tick time.Time) Request {
	days := s.Days
	if days <= 0 {
		kind, _ := KindOf(s.Kind) // was checked when it was set
		days = kind.Days
	}
	return Request{Org: s.Org, Kind: s.Kind, System: s.System, Framework: s.Framework, Vendor: s.Vendor, From: tick.AddDate(0, 0, -days), To: tick}
}

// Job is the name of the schedule's runs.
func (s Schedule) Job() string { return "document:" + s.ID }

// Next is when the schedule fires after t; zero when never.
func (s Schedule) Next(t time.Time) time.Time {
	plan, err := cron.ParseStandard(s.Cron)
	if err != nil {
		return time.Time{}
	}
	return plan.Next(t.UTC())
}

// CheckCron refuses a text that is no schedule, never fires, or fires more often
// than once an hour. @every is refused: it names no moments, only distances from
// a start that differs with each process. The fault names the field "cron".
func CheckCron(text string, now time.Time) error {
	plan, err := cron.ParseStandard(text)
	if _, distance := plan.(cron.ConstantDelaySchedule); err != nil || distance {
		return fault.Field("cron", "Write five fields such as \"0 6 * * 1\" (minute, hour, day, month, weekday; UTC), or @daily, @weekly, @monthly.")
	}
	at := plan.Next(now.UTC())
	if at.IsZero() {
		return fault.Field("cron", "This schedule never fires.")
	}
	for range 50 {
		next := plan.Next(at)
		if !next.IsZero() && next.Sub(at) < time.Hour {
			return fault.Field("cron", "Documents can be written once an hour at most.")
		}
		at = next
	}
	return nil
}

// Check refuses a schedule that PutSchedule would refuse; the fault names each field that
// is wrong.
func (s Schedule) Check(now time.Time) error {
	var wrong fault.Fields
	if s.Days < 0 || s.Days > 3660 {
		wrong.Add("days", "The period is between 1 and 3660 days.")
	}
	return wrong.Join(Check(Request{Org: s.Org, Kind: s.Kind, System: s.System, Framework: s.Framework, Vendor: s.Vendor}), CheckCron(s.Cron, now))
}

// PutSchedule sets a schedule; an empty ID makes a new one. The change is in the
// ledger before the schedule is in force: an error means that it is not.
func (s *Service) PutSchedule(ctx context.Context, actor authz.Actor, sch Schedule) (Schedule, error) {
	now := s.d.Now().UTC()
	if err := sch.Check(now); err != nil {
		return Schedule{}, err
	}
	if err := own(actor, sch.Org); err != nil {
		return Schedule{}, err
	}
	change, err := ident.New(now, s.d.Rand)
	if err != nil {
		return Schedule{}, err
	}
	if sch.ID == "" {
		sch.ID = change.String()
	}
	sch.SetBy, sch.SetName, sch.SetAt = actor.ID, actor.Name, now
	after := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s\n%s\n%d", change, sch.Kind, sch.System, sch.Framework, sch.Vendor, sch.Cron, sch.Days))
	if err := s.recordChange(ctx, actor, change, "schedule.set", sch, after); err != nil {
		return Schedule{}, err
	}
	return sch, s.putSchedule(ctx, sch)
}

// DeleteSchedule ends a schedule. It returns NotFound when there is none.
func (s *Service) DeleteSchedule(ctx context.Context, actor authz.Actor, org authz.OrgID, id string) error {
	if err := own(actor, org); err != nil {
		return err
	}
	found, err := s.schedules(ctx, "org = ? AND id = ?", org, id)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fault.New(fault.NotFound, "schedule_unknown", "There is no such schedule.")
	}
	change, err := ident.New(s.d.Now(), s.d.Rand)
	if err != nil {
		return err
	}
	if err := s.deleteSchedule(ctx, org, id); err != nil {
		return err
	}
	return s.recordChange(ctx, actor, change, "schedule.deleted", found[0], [32]byte{})
}

func (s *Service) recordChange(ctx context.Context, actor authz.Actor, id ident.ID, kind string, sch Schedule, after [32]byte) error {
	_, err := s.d.Ledger.Append(ctx, string(sch.Org), &record.Record{Envelope: record.Envelope{Kind: record.RegisterChange, ID: id, Actor: actor.ID},
		Body: &record.Change{Kind: kind, Object: sch.ID, Version: 1, After: after, Request: actor.Request, System: string(sch.System)}})
	if err != nil {
		return fmt.Errorf("record change of schedule: %w", err)
	}
	return nil
}

// Schedules lists an organisation's schedules.
func (s *Service) Schedules(ctx context.Context, org authz.OrgID) ([]Schedule, error) {
	return s.schedules(ctx, "org = ?", org)
}

// AllSchedules lists those of every organisation, for the table of jobs.
func (s *Service) AllSchedules(ctx context.Context) ([]Schedule, error) {
	return s.schedules(ctx, "1 = 1")
}

package web

import (
	"strconv"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/reports"
)

type documentRow struct {
	reports.Document
	KindTitle      string
	FrameworkTitle string
	About          string // the system or vendor by its name
	By             string
}

type scheduleRow struct {
	reports.Schedule
	About string
	By    string
	Next  time.Time
	Last  *runRow
}

// documentsShown is how many documents a page lists; revisionsShown how many of
// one number a document's page does.
const documentsShown, revisionsShown = 50, 10

type documentsData struct {
	Documents []documentRow // of this page
	Matching  int
	All       int
	From, To  int    // of the matching ones, from 1
	Newer     string // addresses of the pages beside this one
	Older     string
	Kind      chooser
	System    chooser
	Status    chooser
	Pending   []reports.Document // written, and waiting for the ledger
	Schedules []scheduleRow
	Verify    *verifyHelp
}

func (r *request) documentsPage() error {
	docs, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	data := documentsData{All: len(docs), Kind: chooser{Name: "kind", Label: "Kind", Value: r.query("kind"), Options: append([]option{{Label: "Every kind"}}, kindOptions()...)},
		System: chooser{Name: "system", Label: "AI system", Value: r.query("system"), Options: r.everySystem("Every AI system")},
		Status: chooser{Name: "state", Label: "Status", Value: r.query("state"), Options: []option{{Label: "Every status"}, {Value: string(reports.Issued), Label: "Issued"}, {Value: string(reports.Superseded), Label: "Superseded"}}}}
	var matching []reports.Document
	for _, d := range docs {
		if (data.Kind.Value == "" || data.Kind.Value == string(d.Kind)) && (data.System.Value == "" || data.System.Value == string(d.System)) && (data.Status.Value == "" || data.Status.Value == string(d.State)) {
			matching = append(matching, d)
		}
	}
	r.pageOfDocuments(&data, matching)
	if data.Pending, err = r.web.d.Reports.Pending(r.ctx(), r.actor.Org); err != nil {
		return err
	}
	if data.Schedules, err = r.scheduleRows(); err != nil {
		return err
	}
	if len(docs) > 0 {
		if data.Verify, err = r.verifyHelp(docs[0]); err != nil {
			return err
		}
	}
	return r.ok("documents", page{Title: "Documents", Nav: "documents", Crumbs: []crumb{{Title: "Documents"}}}, data)
}

// pageOfDocuments takes the page that was asked for out of what matches.
func (r *request) pageOfDocuments(data *documentsData, matching []reports.Document) {
	at, _ := strconv.Atoi(r.query("page")) // anything else is the first
	last := max((len(matching)-1)/documentsShown, 0)
	at = min(max(at-1, 0), last)
	for _, d := range matching[at*documentsShown : min((at+1)*documentsShown, len(matching))] {
		data.Documents = append(data.Documents, r.documentRow(d))
	}
	data.Matching, data.From, data.To = len(matching), at*documentsShown+1, at*documentsShown+len(data.Documents)
	href := func(page int) string {
		return "/documents?" + query("kind", data.Kind.Value, "system", data.System.Value, "state", data.Status.Value, "page", decimal(int64(page)))
	}
	if at > 0 {
		data.Newer = href(at)
	}
	if at < last {
		data.Older = href(at + 2)
	}
}

func (r *request) documentRow(d reports.Document) documentRow {
	row := documentRow{Document: d, KindTitle: kindTitle(d.Kind), FrameworkTitle: r.frameworkTitle(d.Framework), About: d.Vendor, By: d.IssuedName}
	if d.System != "" {
		row.About = string(d.System)
		if s, err := r.state.System(d.System); err == nil {
			row.About = s.Name
		}
	}
	if row.By == "" {
		row.By = r.person(d.IssuedBy)
	}
	return row
}

func kindTitle(k reports.Kind) string {
	if info, ok := reports.KindOf(k); ok {
		return info.Title
	}
	return words(string(k))
}

func (r *request) frameworkTitle(id string) string {
	if f, err := r.web.d.Catalog.Framework(id); err == nil {
		return f.Title
	}
	return id
}

func (r *request) scheduleRows() ([]scheduleRow, error) {
	list, err := r.web.d.Reports.Schedules(r.ctx(), r.actor.Org)
	if err != nil {
		return nil, err
	}
	last, err := r.web.d.Reports.LastRuns(r.ctx(), r.actor.Org)
	if err != nil {
		return nil, err
	}
	var out []scheduleRow
	for _, sch := range list {
		row := scheduleRow{Schedule: sch, About: r.scheduleAbout(sch), By: sch.SetName, Next: sch.Next(r.web.d.Now().UTC()), Last: r.lastRun(last, sch.Job())}
		if row.By == "" {
			row.By = r.person(sch.SetBy)
		}
		out = append(out, row)
	}
	return out, nil
}

// scheduleAbout names the document that a schedule writes.
func (r *request) scheduleAbout(sch reports.Schedule) string {
	parts := []string{kindTitle(sch.Kind)}
	for _, x := range []string{string(sch.System), r.frameworkTitle(sch.Framework), sch.Vendor} {
		if x != "" {
			parts = append(parts, x)
		}
	}
	return strings.Join(parts, ", ")
}

func scheduleForm(f *form) *form {
	f.Title, f.Action, f.Submit = "Schedule a document", "/documents/schedules", "Set the schedule"
	f.Intro = "The document is written again and again, each time as the next revision, and recorded like one that a person asked for."
	f.Fields = append(f.Fields,
		field{Name: "cron", Label: "When", Hint: "Five fields: minute, hour, day, month, weekday, in UTC. \"0 6 * * 1\" is Mondays at 06:00, \"0 6 1 * *\" the first of each month. Or @daily, @weekly, @monthly. At most once an hour.", Mono: true},
		field{Name: "days", Label: "Days that each one covers", Kind: "number", Hint: "Up to its moment. Empty: 30, and 90 for a vendor-risk report.", Optional: true})
	return f
}

func (r *request) newSchedulePage() error {
	return r.formPage(documentCrumbs("Schedule a document"), scheduleForm(r.subjectForm()))
}

func (r *request) putSchedule() error {
	sch, err := r.givenSchedule()
	if sch, err = r.setSchedule(sch, err); err != nil {
		return r.again(documentCrumbs("Schedule a document"), scheduleForm(r.subjectForm()), err)
	}
	return r.done("/documents#schedules", "The schedule is set and on record. It runs first on "+sch.Next(r.web.d.Now()).Format("2 Jan 2006 at 15:04 UTC")+".")
}

func (r *request) givenSchedule() (reports.Schedule, error) {
	var wrong fault.Fields
	about, subject := r.givenSubject()
	days, unread := r.number("days")
	return scheduleOf(about, r.value("cron"), days), wrong.Join(subject, unread)
}

// setSchedule sets a schedule that was read without an error, or says all that is wrong
// with it.
func (r *request) setSchedule(sch reports.Schedule, unread error) (reports.Schedule, error) {
	err := gathered(unread, func() error { return sch.Check(r.web.d.Now()) }, func() (err error) {
		sch, err = r.web.d.Reports.PutSchedule(r.ctx(), r.actor, sch)
		return err
	})
	return sch, err
}

func scheduleOf(about reports.Request, cron string, days int) reports.Schedule {
	return reports.Schedule{Org: about.Org, Kind: about.Kind, System: about.System, Framework: about.Framework, Vendor: about.Vendor, Cron: cron, Days: days}
}

func (r *request) schedule() (*reports.Schedule, error) {
	list, err := r.web.d.Reports.Schedules(r.ctx(), r.actor.Org)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == r.param("id") {
			return &list[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "schedule_unknown", "There is no such schedule.")
}

func (r *request) deleteSchedulePage() error {
	sch, err := r.schedule()
	if err != nil {
		return err
	}
	return r.formPage(documentCrumbs("Delete a schedule"), &form{Title: "Delete this schedule?", Intro: "No further document is written by it; those that were issued stay.", Action: "/documents/schedules/" + sch.ID + "/delete",
		Submit: "Delete", Danger: true, Cancel: "/documents#schedules", Facts: [][2]string{{"Document", r.scheduleAbout(*sch)}, {"When", sch.Cron + " (UTC)"}, {"Set by", r.person(sch.SetBy)}}})
}

func (r *request) deleteSchedule() error {
	if err := r.web.d.Reports.DeleteSchedule(r.ctx(), r.actor, r.actor.Org, r.param("id")); err != nil {
		return err
	}
	return r.done("/documents#schedules", "The schedule is deleted.")
}

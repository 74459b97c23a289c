package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// periods a page may be asked for, in days.
var periods = []int{1, 7, 30}

type task struct {
	Tone, Icon, Title, Sub, Href, When string
}

type standing struct {
	Framework *frameworks.Framework
	Counts    map[assessments.State]int
	Total     int
}

type lawDate struct {
	At          time.Time
	Obligations int
	Systems     []string
	Past        bool
	Relative    string
	controls    map[string]bool // that begin to apply then
}

// Named are the systems that a date concerns, the first few of many.
func (d lawDate) Named() string {
	const few = 6
	if len(d.Systems) <= few {
		return strings.Join(d.Systems, ", ")
	}
	return strings.Join(d.Systems[:few], ", ") + " and " + group(int64(len(d.Systems)-few)) + " more"
}

type overviewData struct {
	Days       int
	Systems    int
	Exchanges  int64
	Refused    int64
	Failed     int64
	Redacted   int64
	NotRun     int64
	Spend      money.Nano
	Chart      []dayCount
	BySystem   []systemUse
	Quieter    int // systems that called less than those
	Tasks      []task
	TasksN     int // all, also the folded ones
	Rays       []task
	Open       string // the one kind of tasks or X-rays that is shown whole
	Standing   []standing
	Dates      []lawDate
	LastTests  int64
	Overall    bool // there is a system to assess
	Unassessed int
	Steps      *firstSteps // nil when all are done, or the reader does none of them
}

// systemUse is a system's traffic in the period; one without an id is use by none.
type systemUse struct {
	ID, Name                   string
	Exchanges, Refused, Failed int64
	Spend                      money.Nano
}

// Listed is how the list of exchanges names the system.
func (u systemUse) Listed() string {
	if u.ID == "" {
		return none
	}
	return u.ID
}

func (r *request) overviewPage() error {
	days := 30
	for _, d := range periods {
		if r.query("days") == fmt.Sprint(d) {
			days = d
		}
	}
	data := overviewData{Days: days, Systems: len(r.state.Systems)}
	hours, err := r.web.d.Projection.Hours(r.ctx(), string(r.actor.Org), "", time.Unix(0, 0), r.web.d.Now())
	if err != nil {
		return err
	}
	from := r.web.d.Now().UTC().Add(-time.Duration(days) * 24 * time.Hour)
	sum := sumSince(hours, from)
	data.Exchanges, data.Refused, data.Failed, data.Spend = sum["closed"]+sum["refused"], sum["refused"], sum["failed"]+sum["incomplete"], money.Nano(sum["charge"])
	data.Redacted, data.NotRun = sum[projection.FindingCounter(":redacted")], sum[projection.FindingCounter(":not_run")]
	data.Chart = dayCounts(hours, r.web.d.Now(), max(days, 7))
	if err := r.bySystem(&data, from); err != nil {
		return err
	}
	if err := r.standings(&data); err != nil {
		return err
	}
	if err := r.attention(&data); err != nil {
		return err
	}
	data.Open, data.TasksN = r.query("kind"), len(data.Tasks)
	data.Tasks, data.Rays = fold(data.Tasks, data.Open, days, "tasks-h"), fold(data.Rays, data.Open, days, "xray-h")
	if r.can("system", "write") {
		if data.Steps, err = r.firstSteps(); err != nil {
			return err
		}
		if data.Steps.Left() == 0 {
			data.Steps = nil
		}
	}
	return r.ok("overview", page{Title: "Overview", Nav: "overview", Crumbs: []crumb{{Title: "Overview"}}}, data)
}

// systemsShown is how many AI systems the overview lists.
const systemsShown = 12

// foldedFrom is how many tasks of one kind the overview shows one by one; of more, it
// shows foldedTo and counts the others.
const foldedFrom, foldedTo = 5, 3

// kind is what a task's title says before it names what it is about.
func (t task) kind() string {
	kind, _, _ := strings.Cut(t.Title, ": ")
	return kind
}

// fold groups tasks by kind, the pressing kinds first, and folds those of which there
// are many; open is the one kind that is shown, whole.
func fold(list []task, open string, days int, anchor string) (out []task) {
	var kinds []string
	of := map[string][]task{}
	for _, t := range list {
		if of[t.kind()] == nil {
			kinds = append(kinds, t.kind())
		}
		of[t.kind()] = append(of[t.kind()], t)
	}
	if of[open] != nil {
		return of[open]
	}
	tones := []string{"bad", "warn", "blind", "note", "mute"}
	slices.SortStableFunc(kinds, func(a, b string) int {
		return slices.Index(tones, of[a][0].Tone) - slices.Index(tones, of[b][0].Tone)
	})
	for _, kind := range kinds {
		all := of[kind]
		if len(all) <= foldedFrom {
			out = append(out, all...)
			continue
		}
		more := task{Tone: all[0].Tone, Icon: "right", Title: group(int64(len(all)-foldedTo)) + " more: " + kind, Sub: "the first " + decimal(foldedTo) + " of " + group(int64(len(all))) + " are shown",
			Href: "/?" + query("days", decimal(int64(days)), "kind", kind) + "#" + anchor}
		out = append(append(out, all[:foldedTo]...), more)
	}
	return out
}

// bySystem splits the period's traffic by system; what is left over is use by no
// registered system.
func (r *request) bySystem(data *overviewData, from time.Time) error {
	rest := systemUse{Name: "No registered system", Exchanges: data.Exchanges, Refused: data.Refused, Failed: data.Failed, Spend: data.Spend}
	use, err := r.useBySystem(from)
	if err != nil {
		return err
	}
	for _, s := range r.state.Systems {
		sum := use[string(s.ID)]
		u := systemUse{string(s.ID), s.Name, sum["closed"] + sum["refused"], sum["refused"], sum["failed"] + sum["incomplete"], money.Nano(sum["charge"])}
		data.BySystem = append(data.BySystem, u)
		rest.Exchanges, rest.Refused, rest.Failed, rest.Spend = rest.Exchanges-u.Exchanges, rest.Refused-u.Refused, rest.Failed-u.Failed, rest.Spend-u.Spend
	}
	if n := len(data.BySystem); n > systemsShown {
		slices.SortStableFunc(data.BySystem, func(a, b systemUse) int { return cmp.Compare(b.Exchanges, a.Exchanges) })
		data.BySystem, data.Quieter = data.BySystem[:systemsShown], n-systemsShown
	}
	if rest.Exchanges > 0 {
		data.BySystem = append(data.BySystem, rest)
	}
	return nil
}

// sumSince adds up hours from a time on. Records before the log's first hour mark
// stand in hour 0 and always count.
func sumSince(hours []projection.Hour, from time.Time) projection.Counters {
	sum := projection.Counters{}
	for _, h := range hours {
		if h.Hour != 0 && time.Unix(h.Hour*3600, 0).Before(from.Truncate(time.Hour)) {
			continue
		}
		for name, n := range h.Counters {
			sum[name] += n
		}
	}
	return sum
}

// dayCounts puts hours into whole days, UTC, the oldest first, the last being
// today. Hour 0 belongs to the day of the first hour that is known.
func dayCounts(hours []projection.Hour, now time.Time, days int) []dayCount {
	today := now.UTC().Truncate(24 * time.Hour)
	out := make([]dayCount, days)
	for i := range out {
		out[i].Day = today.AddDate(0, 0, i-days+1)
	}
	first := today
	for _, h := range hours {
		if h.Hour != 0 {
			first = time.Unix(h.Hour*3600, 0).UTC().Truncate(24 * time.Hour)
			break
		}
	}
	for _, h := range hours {
		day := first
		if h.Hour != 0 {
			day = time.Unix(h.Hour*3600, 0).UTC().Truncate(24 * time.Hour)
		}
		i := days - 1 - int(today.Sub(day).Hours()/24)
		if i < 0 || i >= days {
			continue
		}
		c := h.Counters
		out[i].Answered += c["ok"]
		out[i].Held += c["failed"] + c["incomplete"]
		out[i].Refused += c["refused"]
		out[i].Charge += money.Nano(c["charge"])
	}
	return out
}

// worst orders states from what concerns most: a framework's control is as good as
// the weakest system that it applies to.
var worst = []assessments.State{assessments.NotSatisfied, assessments.NoEvidence, assessments.Partial, assessments.Satisfied, assessments.NotYet, assessments.NotApplicable}

// standings takes, for each control, the weakest system in use.
func (r *request) standings(data *overviewData) error {
	dates, weakest := map[time.Time]*lawDate{}, map[string]map[string]int{}
	for _, s := range r.state.Systems {
		if s.Lifecycle == inventory.Retired {
			continue
		}
		data.Overall = true
		ageing := ageing{}
		all, err := r.web.d.Engine.EvaluateAll(r.ctx(), r.actor.Org, s.ID)
		if err != nil {
			return err
		}
		for _, a := range all {
			if weakest[a.Framework.ID] == nil {
				weakest[a.Framework.ID] = map[string]int{}
			}
			weakest := weakest[a.Framework.ID]
			for i := range a.Controls {
				c := &a.Controls[i]
				rank := slices.Index(worst, c.State)
				if old, ok := weakest[c.Control.ID]; !ok || rank < old {
					weakest[c.Control.ID] = rank
				}
				if c.State == assessments.NotYet {
					note(dates, c.Control, &s)
				}
				ageing.add(c, treeQuery{System: string(s.ID)}.href(a.Framework.ID, c.Control.ID), r.web.d.Now())
			}
		}
		data.Rays = append(data.Rays, ageing.rays(string(s.ID)+" "+s.Name)...)
	}
	for _, f := range r.web.d.Catalog.Frameworks {
		st := standing{Framework: f, Counts: map[assessments.State]int{}, Total: len(f.Controls)}
		for _, rank := range weakest[f.ID] {
			st.Counts[worst[rank]]++
		}
		data.Standing = append(data.Standing, st)
	}
	for _, d := range dates {
		d.Relative = ago(r.web.d.Now(), d.At)
		data.Dates = append(data.Dates, *d)
	}
	slices.SortFunc(data.Dates, func(a, b lawDate) int { return a.At.Compare(b.At) })
	return nil
}

// ageing is the evidence of people for one AI system that has expired or soon will:
// each piece once, with the first control that it stands beside.
type ageing struct{ expired, ending []ageingItem }

type ageingItem struct{ evidence, control, href string }

func (g *ageing) add(c *assessments.ControlState, href string, now time.Time) {
	for _, h := range c.Human {
		to := &g.ending
		switch end := h.Ends(); {
		case h.Status == "expired":
			to = &g.expired
		case h.Status != "current" || end.IsZero() || end.After(now.AddDate(0, 0, soon)):
			continue
		}
		if !slices.ContainsFunc(*to, func(x ageingItem) bool { return x.evidence == h.Evidence.ID }) {
			*to = append(*to, ageingItem{h.Evidence.ID, c.Control.ID, href})
		}
	}
}

func (g *ageing) rays(system string) (out []task) {
	for _, x := range []struct {
		tone, title string
		list        []ageingItem
	}{{"warn", "People's evidence has expired", g.expired}, {"note", fmt.Sprintf("People's evidence ends within %d days", soon), g.ending}} {
		if n := len(x.list); n > 0 {
			more := ""
			if n > 1 {
				more = " and " + group(n-1) + " more"
			}
			out = append(out, task{x.tone, "stale", x.title, system + " · " + x.list[0].control + more, x.list[0].href, group(len(x.list))})
		}
	}
	return out
}

// note puts a control that does not apply to a system yet under its date.
func note(dates map[time.Time]*lawDate, c *frameworks.Control, s *inventory.System) {
	at := c.From(string(s.RiskClass)).Effective
	d := dates[at]
	if d == nil {
		d = &lawDate{At: at, controls: map[string]bool{}}
		dates[at] = d
	}
	if !d.controls[c.ID] {
		d.controls[c.ID] = true
		d.Obligations++ // once, of however many systems
	}
	if !slices.Contains(d.Systems, string(s.ID)) {
		d.Systems = append(d.Systems, string(s.ID))
	}
}

// attention gathers what waits for a decision and what does not fit together.
func (r *request) attention(data *overviewData) error {
	now := r.web.d.Now()
	for _, s := range r.state.Systems {
		href, sub := "/systems/"+string(s.ID), string(s.ID)+" "+s.Name
		switch {
		case s.Lifecycle == inventory.Retired:
			continue
		case s.Suspended != nil:
			data.Tasks = append(data.Tasks, task{"bad", "held", "Suspended: resume or retire", sub + " · " + s.Suspended.Reason, href, s.Suspended.At.Format("2 Jan")})
		case s.RiskClass == inventory.Unclassified:
			data.Tasks = append(data.Tasks, task{"note", "tasks", "Classify under the EU AI Act", sub, href + "/edit", ""})
		default:
			if t, ok := r.approvalTask(&s); ok {
				data.Tasks = append(data.Tasks, t)
			}
		}
	}
	open, _ := r.changeRows()
	for _, q := range open {
		data.Tasks = append(data.Tasks, task{"note", "tasks", "Confirm or reject: " + q.Title, string(q.ID) + " · asked by " + r.person(q.By) + " · not in force until confirmed", "/changes/" + string(q.ID), q.At.Format("2 Jan 2006")})
	}
	if err := r.waitingTasks(data); err != nil {
		return err
	}
	findings, err := r.index().findings(r.ctx())
	if err != nil {
		return err
	}
	for _, f := range findings {
		data.Rays = append(data.Rays, task{"bad", "not", "Use by no registered AI system", "key " + r.keyName(f.Subject) + ", last " + clock(f.LastAt).Format("2 Jan 2006 15:04 UTC"), exchangesHref("key", f.Subject, "system", none, "days", "all"), group(f.Count)})
	}
	if err := r.observedRays(data); err != nil {
		return err
	}
	for _, b := range r.budgetRows(func(inventory.Budget) bool { return true }) {
		if b.Limit > 0 && b.Charged*5 >= b.Limit*4 {
			data.Rays = append(data.Rays, task{"warn", "partial", "Budget used to 80 % or more", string(b.ID) + " · " + b.TargetName, "/budgets", fmt.Sprintf("%d %%", b.Charged*100/b.Limit)})
		}
	}
	if data.NotRun > 0 {
		data.Rays = append(data.Rays, task{"blind", "broken", "A guard did not run", "exchanges that one did not look at in the period", exchangesHref("guard", ":not_run", "days", data.Days), group(data.NotRun)})
	}
	at, err := r.web.d.Projection.LastMark(r.ctx(), string(r.actor.Org))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if at != 0 && now.Sub(clock(at)) > 2*time.Hour {
		data.Rays = append(data.Rays, task{"blind", "down", "The collector was silent", "no hour mark since " + clock(at).Format("2 Jan 2006 15:04 UTC"), "/ledger", ""})
	}
	return nil
}

// waitingTasks are evidence and proposals that wait for a second person.
func (r *request) waitingTasks(data *overviewData) error {
	list, proposals, err := r.web.d.Engine.Undecided(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	about := func(framework, control string, system inventory.SystemID, author string) string {
		if f, err := r.web.d.Catalog.Framework(framework); err == nil {
			framework = f.Title
		}
		if system == "" {
			system = "every AI system"
		}
		return framework + " " + control + " · " + string(system) + " · by " + r.person(author)
	}
	for _, ev := range list {
		data.Tasks = append(data.Tasks, task{"note", "tasks", "Accept or reject: " + ev.Title, about(ev.Framework, ev.Control, ev.System, ev.Author), "/evidence/" + ev.ID, ev.At.Format("2 Jan 2006")})
	}
	for _, a := range proposals {
		data.Tasks = append(data.Tasks, task{"note", "tasks", "Accept or reject: whether a control applies", about(a.Framework, a.Control, a.System, a.Author),
			treeQuery{System: string(a.System)}.href(a.Framework, a.Control), a.At.Format("2 Jan 2006")})
	}
	return nil
}

func (r *request) keyName(id string) string {
	for _, k := range r.state.Keys {
		if string(k.ID) == id {
			return k.Name
		}
	}
	return id
}

// observedRays are models that were used and not declared, and systems in use
// without traffic.
func (r *request) observedRays(data *overviewData) error {
	for _, s := range r.state.Systems {
		if s.Lifecycle == inventory.Retired {
			continue
		}
		rows, err := r.observed(&s)
		if err != nil {
			return err
		}
		calls, undeclared := int64(0), 0
		for _, o := range rows {
			calls += o.Calls
			if o.Status == "undeclared" {
				undeclared++
			}
		}
		href := "/systems/" + string(s.ID)
		if undeclared > 0 {
			data.Rays = append(data.Rays, task{"bad", "not", "Observed model not declared", string(s.ID) + " " + s.Name, href, fmt.Sprint(undeclared)})
		}
		if calls == 0 && s.Lifecycle == inventory.InUse {
			data.Rays = append(data.Rays, task{"mute", "notraffic", "In use, but no traffic seen", string(s.ID) + " " + s.Name + " · cannot be assessed from runtime", href, ""})
		}
	}
	return nil
}

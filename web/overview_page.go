package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

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
	now := r.web.d.Now().UTC()
	use, err := r.useBySystem(now.AddDate(0, 0, -days))
	if err != nil {
		return err
	}
	sum := sumChosen(use, nil)
	data.Exchanges, data.Refused, data.Failed, data.Spend = sum["closed"]+sum["refused"], sum["refused"], sum["failed"]+sum["incomplete"], money.Nano(sum["charge"])
	data.Redacted, data.NotRun = sum[projection.FindingCounter(":redacted")], sum[projection.FindingCounter(":not_run")]
	if data.Chart, err = r.dayCounts("", max(days, 7)); err != nil {
		return err
	}
	r.bySystem(&data, use)
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

func (r *request) bySystem(data *overviewData, use map[string]projection.Counters) {
	rest := systemUse{Name: "No registered system", Exchanges: data.Exchanges, Refused: data.Refused, Failed: data.Failed, Spend: data.Spend}
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
}

// dayCounts are the traffic of so many whole days, UTC, the oldest first, the last being
// today; an empty system takes all.
func (r *request) dayCounts(system string, days int) ([]dayCount, error) {
	today := r.web.d.Now().UTC().Truncate(24 * time.Hour)
	out, first := make([]dayCount, days), today.AddDate(0, 0, 1-days)
	for i := range out {
		out[i].Day = first.AddDate(0, 0, i)
	}
	list, err := r.web.d.Projection.Days(r.ctx(), string(r.actor.Org), system, first)
	for _, d := range list {
		if i := d.Day - first.Unix()/86400; i < int64(days) {
			c := d.Counters
			out[i].Answered, out[i].Held, out[i].Refused, out[i].Charge = c["ok"], c["failed"]+c["incomplete"], c["refused"], money.Nano(c["charge"])
		}
	}
	return out, err
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

package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments"
	"plumbline/inventory"
)

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

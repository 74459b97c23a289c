package web

import (
	"fmt"
	"slices"
	"strings"

	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
	"plumbline/inventory"
	"plumbline/reports"
)

type stage struct{ Class, Icon, Title, Note string }

type coverage struct {
	Framework *frameworks.Framework
	Counts    map[assessments.State]int
}

type attentionRow struct {
	Framework *frameworks.Framework
	assessments.ControlState
}

type systemData struct {
	System     *inventory.System
	Status     string
	Approval   approvalFacts
	Steps      []stage
	Observed   []observedRow
	Frameworks []coverage
	Attention  []attentionRow
	Controls   int
	Chart      []dayCount
	Keys       []keyRow
	Budgets    []budgetRow
	Documents  []reports.Document
	Versions   []inventory.Version
	Exchanges  int64
	Spend      money.Nano
	Profile    *inventory.GuardProfile
	Guards     []guardCount
	MayDecide  bool // the actor may decide what is asked, being another person
	OwnKeys    bool // the actor sees only its own keys
	Own        bool // the actor asked for the approval
}

type guardCount struct {
	Guard, Mode         string
	Clear, Hits, NotRun int64
	Redacted, Blocked   int64
}

func (r *request) system() (*inventory.System, error) {
	return r.state.System(inventory.SystemID(r.c.Param("id")))
}

func (r *request) systemPage() error {
	s, err := r.system()
	if err != nil {
		return err
	}
	data := systemData{System: s, Status: systemStatus(s, r.web.d.Now()), Approval: approvalOf(s.Approval, r.web.d.Now()), OwnKeys: r.own()}
	for _, step := range []func(*systemData) error{r.systemTraffic, r.systemControls, r.systemRegister} {
		if err := step(&data); err != nil {
			return err
		}
	}
	return r.ok("system", systemCrumbs(s, s.Name), data)
}

func systemCrumbs(s *inventory.System, title string) page {
	p := page{Title: title, Nav: "systems", Crumbs: []crumb{{"AI systems", "/systems"}}}
	if title != s.Name {
		p.Crumbs = append(p.Crumbs, crumb{string(s.ID) + " " + s.Name, "/systems/" + string(s.ID)})
	}
	p.Crumbs = append(p.Crumbs, crumb{Title: title})
	return p
}

func (r *request) systemTraffic(data *systemData) error {
	s := data.System
	var err error
	if data.Observed, err = r.observed(s); err != nil {
		return err
	}
	const days = 30
	if data.Chart, err = r.dayCounts(string(s.ID), days); err != nil {
		return err
	}
	sum, err := r.web.d.Projection.Sum(r.ctx(), string(r.actor.Org), string(s.ID), r.web.d.Now().AddDate(0, 0, -days).Unix()/3600)
	if err != nil {
		return err
	}
	data.Exchanges, data.Spend = sum["closed"]+sum["refused"], money.Nano(sum["charge"])
	if data.Profile = r.state.ProfileOf(s); data.Profile != nil {
		data.Guards = guardCounts(data.Profile, sum)
	}
	return nil
}

func guardCounts(p *inventory.GuardProfile, sum projection.Counters) []guardCount {
	var out []guardCount
	for _, g := range p.Guards {
		out = append(out, guardCount{g.Guard, string(g.Mode), sum["clear."+g.Guard], sum[projection.FindingCounter(g.Guard)], sum[projection.FindingCounter(g.Guard+":not_run")], sum["redacted."+g.Guard], sum["blocked."+g.Guard]})
	}
	return out
}

func (r *request) systemControls(data *systemData) error {
	for _, f := range r.web.d.Catalog.Frameworks {
		a, err := r.web.d.Engine.Evaluate(r.ctx(), r.actor.Org, data.System.ID, f.ID)
		if err != nil {
			return err
		}
		data.Frameworks = append(data.Frameworks, coverage{f, a.Counts})
		data.Controls += len(a.Controls)
		for _, c := range a.Controls {
			if c.State == assessments.NotSatisfied || c.State == assessments.Partial {
				data.Attention = append(data.Attention, attentionRow{f, c})
			}
		}
	}
	slices.SortStableFunc(data.Attention, func(a, b attentionRow) int { return slices.Index(worst, a.State) - slices.Index(worst, b.State) })
	data.Attention = data.Attention[:min(len(data.Attention), 8)]
	return nil
}

func (r *request) systemRegister(data *systemData) error {
	s := data.System
	for _, k := range r.keysByName() {
		if k.System == s.ID {
			data.Keys = append(data.Keys, r.keyRow(k))
		}
	}
	data.Budgets = r.budgetRows(func(b inventory.Budget) bool {
		return b.Scope == inventory.ScopeOrg || b.Scope == inventory.ScopeSystem && b.Target == string(s.ID) ||
			b.Scope == inventory.ScopeKey && slices.ContainsFunc(data.Keys, func(k keyRow) bool { return string(k.ID) == b.Target })
	})
	all, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.System == s.ID && d.State == reports.Issued {
			data.Documents = append(data.Documents, d)
		}
	}
	if data.Versions, err = r.web.d.Register.History(r.ctx(), r.actor.Org, "system", string(s.ID)); err != nil {
		return err
	}
	data.Steps = r.stages(s, data.Versions)
	data.Versions = data.Versions[:min(len(data.Versions), 8)]
	data.Own = s.Approval.RequestedBy == r.actor.ID
	data.MayDecide = s.Approval.State == inventory.Requested && !data.Own && r.can("approval", "decide")
	return nil
}

// stages are the steps of a system's life, with who took each.
func (r *request) stages(s *inventory.System, versions []inventory.Version) []stage {
	done := func(title, note string) stage { return stage{"is-done", "satisfied", title, note} }
	ahead := func(title, note string) stage { return stage{"", "none", title, note} }
	note := "with the configuration file"
	if n := len(versions); n > 0 && !s.Origin.FromFile() {
		note = versions[n-1].At.Format("2 Jan 2006") + ", " + r.person(versions[n-1].Author)
	}
	out := []stage{done("Registered", note)}
	if s.RiskClass == inventory.Unclassified {
		out = append(out, stage{"is-now", "partial", "Classified", "waits"})
	} else {
		out = append(out, done("Classified", s.RiskAt.Format("2 Jan 2006")+", "+r.person(s.RiskBy)))
	}
	out = append(out, r.approvalStage(s.Approval))
	switch {
	case s.Lifecycle == inventory.Retired:
		return append(out, done("In use", "until "+s.RetiredAt.Format("2 Jan 2006")), stage{"is-now", "na", "Retired", s.RetiredAt.Format("2 Jan 2006")})
	case s.Suspended != nil:
		out = append(out, stage{"is-stuck", "held", "In use", "suspended " + s.Suspended.At.Format("2 Jan 2006")})
	case s.Lifecycle == inventory.InUse || s.Lifecycle == inventory.Pilot:
		out = append(out, stage{"is-now", "partial", words(string(s.Lifecycle)), "now"})
	default:
		out = append(out, ahead("In use", words(string(s.Lifecycle))))
	}
	return append(out, ahead("Retired", "not planned"))
}

type historyData struct {
	System   *inventory.System
	Versions []inventory.Version
}

func (r *request) systemHistoryPage() error {
	s, err := r.system()
	if err != nil {
		return err
	}
	versions, err := r.web.d.Register.History(r.ctx(), r.actor.Org, "system", string(s.ID))
	if err != nil {
		return err
	}
	return r.ok("history", systemCrumbs(s, "History"), historyData{s, versions})
}

func (r *request) systemForm(s inventory.System, title, action string) *form {
	f := &form{Title: title, Action: action, Submit: "Save", Cancel: "/systems", Hidden: map[string]string{"version": fmt.Sprint(s.Version)}}
	if s.ID != "" {
		f.Cancel = "/systems/" + string(s.ID)
		f.Intro = restsOn(s.Approval)
	} else {
		f.Intro = "Say what it is for and who answers for it. Keys can be made at once; their calls are refused until a second person approved the system."
	}
	var roles, classes, stages, profiles []option
	for _, x := range inventory.ActRoles {
		roles = append(roles, option{Value: string(x), Label: words(string(x))})
	}
	for _, x := range inventory.RiskClasses {
		classes = append(classes, option{Value: string(x), Label: className(x)})
	}
	for _, x := range inventory.Lifecycles {
		if x != inventory.Retired {
			stages = append(stages, option{Value: string(x), Label: words(string(x))})
		}
	}
	profiles = append(profiles, option{Label: "The one of its class"})
	for _, p := range r.state.Profiles {
		profiles = append(profiles, option{Value: string(p.ID), Label: string(p.ID)})
	}
	var models, chosen []string
	for _, m := range s.Models {
		models = append(models, string(m.Provider)+"/"+m.Model)
	}
	for _, x := range s.Roles {
		chosen = append(chosen, string(x))
	}
	f.Fields = []field{
		{Name: "name", Label: "Name", Value: s.Name},
		{Name: "purpose", Label: "Purpose", Kind: "textarea", Value: s.Purpose, Hint: "What it does, for whom, and who decides in the end"},
		{Name: "owner", Label: "Owner", Value: s.Owner, Hint: "The person or team that answers for it"},
		{Name: "owner_contact", Label: "Owner's contact", Value: s.OwnerContact, Optional: true},
		{Name: "department", Label: "Department", Value: s.Department, Optional: true},
		{Name: "roles", Section: "Under the EU AI Act", Label: "Our roles under the EU AI Act", Kind: "checks", Values: chosen, Options: roles},
		{Name: "risk_class", Label: "Risk class", Kind: "select", Value: string(s.RiskClass), Options: classes},
		{Name: "risk_reason", Label: "Why this class", Kind: "textarea", Value: s.RiskReason, Hint: "Cite the article or the point of Annex III", Optional: true},
		{Name: "annex_iii", Label: "Annex III use case", Value: s.AnnexIII, Hint: "Such as 4.a", Optional: true},
		{Name: "lifecycle", Section: "Use and people", Label: "Stage", Kind: "select", Value: string(s.Lifecycle), Options: stages},
		{Name: "intended_users", Label: "Who uses it", Value: s.Users, Optional: true},
		{Name: "affected_persons", Label: "Whom it concerns", Value: s.Affected, Optional: true},
		{Name: "out_of_scope", Label: "What it must not be used for", Kind: "textarea", Value: s.OutOfScope, Optional: true},
		{Name: "human_oversight", Label: "Human oversight", Kind: "textarea", Value: s.Oversight, Optional: true},
		{Name: "limitations", Label: "Known limitations", Kind: "textarea", Value: s.Limitations, Optional: true},
		{Name: "data_categories", Section: "Data and models", Label: "Categories of data", Value: strings.Join(s.DataCategories, ", "), Hint: "With commas between", Optional: true},
		{Name: "models", Label: "Models", Kind: "textarea", Value: strings.Join(models, "\n"), Hint: "provider/model, one a line, as the gateway's providers are named", Optional: true, Mono: true},
		{Name: "vendors", Label: "Vendors", Value: strings.Join(s.Vendors, ", "), Hint: "With commas between", Optional: true},
		{Name: "regions", Label: "Regions", Value: strings.Join(s.Regions, ", "), Hint: "Where its calls may go, as providers name theirs; calls elsewhere are refused. Empty: anywhere", Optional: true},
		{Name: "guard_profile", Label: "Guard profile", Kind: "select", Value: string(s.Profile), Options: profiles},
		{Name: "reason", Section: "This change", Label: "Reason", Kind: "textarea", Hint: "Kept with the change"},
	}
	return f
}

// systemFromForm reads the form over what the system was before.
func (r *request) systemFromForm(s inventory.System) (inventory.System, error) {
	s.Name, s.Purpose, s.Owner, s.OwnerContact, s.Department = r.value("name"), r.value("purpose"), r.value("owner"), r.value("owner_contact"), r.value("department")
	s.Users, s.Affected, s.OutOfScope, s.Oversight, s.Limitations = r.value("intended_users"), r.value("affected_persons"), r.value("out_of_scope"), r.value("human_oversight"), r.value("limitations")
	s.RiskClass, s.RiskReason, s.AnnexIII = inventory.RiskClass(r.value("risk_class")), r.value("risk_reason"), r.value("annex_iii")
	s.Lifecycle, s.Profile = inventory.Lifecycle(r.value("lifecycle")), inventory.ProfileID(r.value("guard_profile"))
	s.DataCategories, s.Vendors, s.Regions = list(r.value("data_categories")), list(r.value("vendors")), list(r.value("regions"))
	s.Roles, s.Models = nil, nil
	for _, x := range r.c.Request().Form["roles"] {
		s.Roles = append(s.Roles, inventory.ActRole(x))
	}
	for _, line := range list(r.value("models")) {
		provider, model, ok := strings.Cut(line, "/")
		if !ok || provider == "" || model == "" {
			return s, fault.Field("models", "%q: write provider/model, such as openai/gpt-4o-mini", line)
		}
		s.Models = append(s.Models, inventory.ModelRef{Provider: inventory.ProviderID(provider), Model: model})
	}
	return s, nil
}

func (r *request) newSystemPage() error {
	return r.formPage(newSystemCrumbs, r.systemForm(inventory.System{Lifecycle: inventory.Planned}, "Register an AI system", "/systems"))
}

var newSystemCrumbs = page{Title: "Register an AI system", Nav: "systems", Crumbs: []crumb{{"AI systems", "/systems"}, {Title: "Register"}}}

func (r *request) addSystem() error {
	s, err := r.systemFromForm(inventory.System{})
	if err == nil {
		s, err = r.web.d.Register.AddSystem(r.ctx(), r.actor, s, r.value("reason"))
	}
	if err != nil {
		return r.again(newSystemCrumbs, r.systemForm(s, "Register an AI system", "/systems"), err)
	}
	return r.done("/systems/"+string(s.ID), string(s.ID)+" is registered. Next: ask for its approval.")
}

func (r *request) editSystemPage() error {
	s, err := r.system()
	if err != nil {
		return err
	}
	if s.Origin.FromFile() {
		return readOnly(s.Origin)
	}
	return r.formPage(systemCrumbs(s, "Edit"), r.systemForm(*s, "Edit "+s.Name, "/systems/"+string(s.ID)))
}

func readOnly(o inventory.Origin) error {
	return fault.New(fault.Conflict, "declared", "This is declared in %s, line %d. Change it there; the page cannot.", o.File, o.Line)
}

func (r *request) updateSystem() error {
	old, err := r.system()
	if err != nil {
		return err
	}
	version, err := r.number("version")
	if err != nil {
		return err
	}
	s, err := r.systemFromForm(*old)
	if err == nil {
		err = r.web.d.Register.UpdateSystem(r.ctx(), r.actor, s, uint32(version), r.value("reason"))
	}
	if err != nil {
		return r.again(systemCrumbs(old, "Edit"), r.systemForm(s, "Edit "+old.Name, "/systems/"+string(old.ID)), err)
	}
	return r.done("/systems/"+string(s.ID), string(s.ID)+" is changed.")
}

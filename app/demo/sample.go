package demo

import (
	"context"
	"errors"
	"slices"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/app/server"
	"plumbline/inventory"
	"plumbline/reports"
)

// The sample organisation. Everything about it is invented.
const (
	orgID   inventory.OrgID = "northwind-insurance"
	orgName string          = "Northwind Insurance (sample)"

	screener inventory.SystemID = "SYS-001"
	chatbot  inventory.SystemID = "SYS-002"
	coding   inventory.SystemID = "SYS-003"
	invoices inventory.SystemID = "SYS-004"
)

// sample builds the organisation through the same service as the UI and the API:
// every row has an author, a version and a record.
type sample struct {
	s        *server.Server
	up       upstream
	officer  authz.Actor // requests, declares
	approver authz.Actor // decides: four eyes
	begun    bool        // no run before came to its end: what is missing of the sample is made
	keys     keys
	patience time.Duration // with a busy upstream, in all
}

func (m *sample) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{m.organisation, m.people, m.gateway, m.systems, m.virtualKeys, m.schedules} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *sample) organisation(ctx context.Context) error {
	if _, err := m.s.Register.State(orgID); err == nil {
		issued, err := m.s.Reports.List(ctx, orgID) // the last that a run does
		m.begun = len(issued) == 0
		return err
	}
	m.begun = true
	return m.s.Register.CreateOrg(ctx, authz.Actor{Org: orgID, ID: "job:demo", Name: "demo"}, inventory.Org{ID: orgID, Name: orgName, Sample: true})
}

func (m *sample) people(ctx context.Context) error {
	for _, p := range []struct {
		person inventory.Person
		actor  *authz.Actor
	}{
		{inventory.Person{Name: "Ines Moreau", Email: "ines.moreau@northwind.example", Roles: []authz.Role{authz.Admin, authz.ComplianceOfficer}}, &m.officer},
		{inventory.Person{Name: "Tomas Okafor", Email: "tomas.okafor@northwind.example", Roles: []authz.Role{authz.Approver}}, &m.approver},
	} {
		member, err := m.member(ctx, p.person)
		if err != nil {
			return err
		}
		if *p.actor, err = m.s.Register.Actor(orgID, member.ID); err != nil {
			return err
		}
	}
	return nil
}

// member adds a person who is none yet. One of an earlier run keeps the roles that
// somebody may have given meanwhile.
func (m *sample) member(ctx context.Context, p inventory.Person) (inventory.Person, error) {
	state, err := m.s.Register.State(orgID)
	if err != nil {
		return p, err
	}
	for _, old := range state.Members {
		if old.Email == p.Email {
			return old, nil
		}
	}
	return m.s.Register.AddAccount(ctx, authz.Actor{Org: orgID, ID: "job:demo", Name: "demo"}, p)
}

// gateway declares providers, routes, guard profiles and budgets.
func (m *sample) gateway(ctx context.Context) error {
	r, a := m.s.Register, m.officer
	providers := []inventory.Provider{simulated.provider, {ID: "unreachable", Kind: "openai", Vendor: "openai", BaseURL: "http://127.0.0.1:9/v1",
		Secret: "invented-and-nobodys-key", Credentials: []inventory.ProviderKey{{Ref: "env:SAMPLE_API_KEY", Weight: 3}}}}
	if m.up.provider.ID != simulatedID {
		providers = append(providers, m.up.provider)
	}
	for _, p := range providers {
		if err := m.confirmed(ctx, r.PutProvider(ctx, a, p, "sample organisation")); err != nil {
			return err
		}
	}
	embed := inventory.Route{Model: modelEmbed, Provider: m.up.provider.ID, Target: m.up.embed}
	if m.up.embed == "" {
		embed.Provider, embed.Target = simulatedID, simulated.embed
	}
	priced := inventory.Route{Model: modelPriced, Provider: m.up.provider.ID, Target: m.up.chat}
	if m.up.unpriced {
		priced.Provider, priced.Target = simulatedID, simulated.chat
	}
	for _, v := range []inventory.Route{
		{Model: modelChat, Provider: m.up.provider.ID, Target: m.up.chat, Unpriced: m.up.unpriced},
		{Model: modelUnreached, Provider: "unreachable", Target: "gpt-4o-mini"},
		embed, priced,
	} {
		if err := m.confirmed(ctx, r.PutRoute(ctx, a, v, "sample organisation")); err != nil {
			return err
		}
	}
	for _, p := range profiles {
		if err := m.confirmed(ctx, r.PutProfile(ctx, a, p, "sample organisation")); err != nil {
			return err
		}
	}
	if err := m.confirmed(ctx, r.PutPolicy(ctx, a, inventory.Policy{ID: "personal-data", Mode: "shadow", Source: personalData}, "tried before it is enforced")); err != nil {
		return err
	}
	agreed := inventory.Price{Vendor: "openai", PriceRow: inventory.PriceRow{Model: "gpt-4o-mini", From: "2026-01-01", TokenPrices: inventory.TokenPrices{Input: "0.12", Output: "0.48"}, MaxOutput: 16384}}
	if err := m.confirmed(ctx, r.PutPrice(ctx, a, agreed, "sample organisation: an invented discount")); err != nil {
		return err
	}
	if err := m.confirmed(ctx, r.PutSettings(ctx, a, inventory.Settings{Unregistered: "block", Confidential: "Sample, invented data", Contact: "ines.moreau@northwind.example", SecondPerson: true}, "sample organisation")); err != nil {
		return err
	}
	state, err := r.State(orgID)
	if err != nil || !m.begun || slices.ContainsFunc(state.Budgets, func(b inventory.Budget) bool { return b.ID == "organisation" }) {
		return err
	}
	return r.PutBudget(ctx, a, inventory.Budget{ID: "organisation", Scope: inventory.ScopeOrg, Limit: 250 * money.Dollar, Window: "month"}, "sample organisation")
}

// confirmed lets the approver confirm what waits for a second person. What is so already
// is no error, and neither is a change of the same row that somebody asked for before.
func (m *sample) confirmed(ctx context.Context, err error) error {
	var waits *inventory.Waits
	var known *fault.Error
	switch {
	case errors.As(err, &waits):
		return m.s.Register.DecideRequest(ctx, m.approver, waits.Request, true, "looked at, sample organisation")
	case errors.As(err, &known) && (known.Code == "no_change" || known.Code == "change_open"):
		return nil
	}
	return err
}

// changes lets one change pass both pairs of eyes, and leaves another open.
func (m *sample) changes(ctx context.Context) error {
	r := m.s.Register
	more := inventory.Budget{ID: "organisation", Scope: inventory.ScopeOrg, Limit: 300 * money.Dollar, Window: "month"}
	if err := m.confirmed(ctx, r.PutBudget(ctx, m.officer, more, "a second chatbot is planned for spring")); err != nil {
		return err
	}
	err := r.PutPolicy(ctx, m.officer, inventory.Policy{ID: "personal-data", Mode: "enforce", Source: personalData}, "in shadow mode it denied the one call that it should")
	var waits *inventory.Waits
	var known *fault.Error
	if errors.As(err, &waits) || errors.As(err, &known) && known.Code == "change_open" {
		return nil // it is there to be decided
	}
	return err
}

// personalData is asked beside every call, and refuses none while it is in shadow mode.
const personalData = `package plumbline

# Personal data leaves with a placeholder in its place or not at all, also where a
# guard only watches.
deny contains "leaves_unredacted" if {
	input.phase == "after"
	some class in input.found
	class in {"card", "email", "iban", "ip", "ssn"}
}
`

// profiles are stricter the more a class of system can harm.
var profiles = []inventory.GuardProfile{
	{ID: "strict", Tiers: []inventory.RiskClass{inventory.HighRiskAnnexIII, inventory.HighRiskAnnexI}, Guards: []inventory.GuardSetting{
		{Guard: "pii", Mode: inventory.Redact}, {Guard: "secrets", Mode: inventory.Block}, {Guard: "injection", Mode: inventory.Monitor}}},
	{ID: "public", Tiers: []inventory.RiskClass{inventory.Transparency}, Guards: []inventory.GuardSetting{
		{Guard: "pii", Mode: inventory.Redact}, {Guard: "secrets", Mode: inventory.Block}, {Guard: "injection", Mode: inventory.Monitor}}},
	{ID: "internal", Tiers: []inventory.RiskClass{inventory.Minimal}, Guards: []inventory.GuardSetting{
		{Guard: "pii", Mode: inventory.Monitor}, {Guard: "secrets", Mode: inventory.Block}, {Guard: "injection", Mode: inventory.Monitor}}},
}

// systems registers what is missing and takes it as far as the story needs: the
// coding assistant stays without an approval until its first calls were refused. What
// somebody did with a system after a whole run stays.
func (m *sample) systems(ctx context.Context) error {
	for _, s := range m.registered() {
		_, err := m.s.Register.System(orgID, s.ID)
		there := err == nil
		if there && !m.begun {
			continue
		}
		if !there {
			if _, err := m.s.Register.AddSystem(ctx, m.officer, s, "sample organisation"); err != nil {
				return err
			}
		}
		if s.ID == coding {
			continue
		}
		if err := m.inUse(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// inUse gives a system its approval, its review and its budget, as far as it lacks them.
func (m *sample) inUse(ctx context.Context, id inventory.SystemID) error {
	r := m.s.Register
	if err := m.approve(ctx, id); err != nil {
		return err
	}
	s, err := r.System(orgID, id)
	if err != nil {
		return err
	}
	if s.ReviewedAt.IsZero() {
		if err := r.Review(ctx, m.officer, id, "entry compared with what the system does"); err != nil {
			return err
		}
	}
	limit := inventory.Budget{ID: inventory.BudgetID("system-" + string(id[4:])), Scope: inventory.ScopeSystem, Target: string(id), Limit: 60 * money.Dollar, Window: "month"}
	return m.confirmed(ctx, r.PutBudget(ctx, m.officer, limit, "sample organisation"))
}

// retire ends the system whose key goes on calling: by then that has been made.
func (m *sample) retire(ctx context.Context) error {
	if m.retired() {
		return nil
	}
	return m.s.Register.Retire(ctx, m.officer, invoices, "replaced by a rule-based extractor")
}

func (m *sample) retired() bool {
	s, err := m.s.Register.System(orgID, invoices)
	return err == nil && s.Lifecycle == inventory.Retired
}

// approve takes a system through both pairs of eyes.
func (m *sample) approve(ctx context.Context, id inventory.SystemID) error {
	s, err := m.s.Register.System(orgID, id)
	if err != nil {
		return err
	}
	if s.Approval.ValidAt(time.Now()) {
		return nil
	}
	if err := m.s.Register.RequestApproval(ctx, m.officer, id, "sample organisation"); err != nil {
		return err
	}
	until := time.Now().UTC().AddDate(1, 0, 0).Truncate(24 * time.Hour)
	return m.s.Register.DecideApproval(ctx, m.approver, id, true, until, "reviewed against its purpose and class; valid for a year")
}

func (m *sample) registered() []inventory.System {
	chat := inventory.ModelRef{Provider: m.up.provider.ID, Model: m.up.chat}
	embed := inventory.ModelRef{Provider: m.up.provider.ID, Model: m.up.embed}
	if m.up.embed == "" {
		embed = inventory.ModelRef{Provider: simulatedID, Model: simulated.embed}
	}
	vendors := []string{m.up.vendor}
	return []inventory.System{
		{ID: screener, Name: "Candidate screening", Purpose: "Summarises applications and compares them with the criteria of a job description, for a recruiter who decides.",
			Owner: "People operations", OwnerContact: "people@northwind.example", Department: "Human resources", Users: "Recruiters", Affected: "Applicants",
			OutOfScope: "Ranking or rejecting applicants without a person.", Oversight: "A recruiter reads every application and can set each summary aside.",
			Limitations: "Summaries leave out what the criteria do not ask for.", DataCategories: []string{"contact data", "employment history"},
			Roles: []inventory.ActRole{inventory.RoleProvider, inventory.RoleDeployer}, RiskClass: inventory.HighRiskAnnexIII, RiskReason: "Annex III point 4(a): selection of natural persons, filtering of applications", AnnexIII: "4.a",
			Lifecycle: inventory.InUse, Models: []inventory.ModelRef{chat}, Vendors: vendors, Profile: "strict"},
		{ID: chatbot, Name: "Customer chatbot", Purpose: "Answers customers' questions on travel insurance in the web shop.",
			Owner: "Customer service", OwnerContact: "service@northwind.example", Department: "Customer service", Users: "Customers", Affected: "Customers",
			OutOfScope: "Deciding claims.", Oversight: "A customer can ask for a person at any time.", Limitations: "Knows the terms of 2026 only.", DataCategories: []string{"contact data", "contract data"},
			Roles: []inventory.ActRole{inventory.RoleDeployer, inventory.RoleProvider}, RiskClass: inventory.Transparency, RiskReason: "Art. 50(1): interacts directly with natural persons",
			Lifecycle: inventory.InUse, Models: []inventory.ModelRef{chat, embed}, Vendors: vendors, Profile: "public"},
		{ID: coding, Name: "Coding assistant", Purpose: "Helps developers write and review code of the policy administration.",
			Owner: "Platform engineering", OwnerContact: "platform@northwind.example", Department: "IT", Users: "Developers", Affected: "None directly",
			OutOfScope: "Code that runs without review.", Oversight: "Every change is reviewed by a second developer.", DataCategories: []string{"source code"},
			Roles: []inventory.ActRole{inventory.RoleDeployer}, RiskClass: inventory.Minimal, RiskReason: "No use of Annex III, no interaction with the public",
			Lifecycle: inventory.InUse, Models: []inventory.ModelRef{chat, embed}, Vendors: vendors, Profile: "internal"},
		{ID: invoices, Name: "Invoice extraction", Purpose: "Read totals and dates from supplier invoices.",
			Owner: "Finance", OwnerContact: "finance@northwind.example", Department: "Finance", Users: "Accountants", Affected: "Suppliers",
			Roles: []inventory.ActRole{inventory.RoleDeployer}, RiskClass: inventory.Minimal, RiskReason: "No use of Annex III",
			Lifecycle: inventory.InUse, Models: []inventory.ModelRef{chat}, Vendors: vendors, Profile: "internal"},
	}
}

// virtualKeys makes keys whose text lives in memory only. Those of an earlier run
// are revoked, for their secrets are gone; keys that somebody else made stay, and so does
// that of the system which an earlier run retired, for it gets no other.
func (m *sample) virtualKeys(ctx context.Context) error {
	type keyOf struct {
		key  inventory.Key
		text *string
	}
	keys := []keyOf{
		{inventory.Key{System: screener, Name: "Applicant tracking", Concurrency: 16, PerMinute: 6000}, &m.keys.screener},
		{inventory.Key{System: chatbot, Name: "Web shop", Concurrency: 32, PerMinute: 12000}, &m.keys.chatbot},
		{inventory.Key{System: coding, Name: "Editor plug-in", Concurrency: 16}, &m.keys.coding},
		{inventory.Key{Name: "Marketing's own script"}, &m.keys.unregistered},
		{inventory.Key{System: chatbot, Name: "Translation trial"}, &m.keys.overBudget},
	}
	if old := (inventory.Key{System: invoices, Name: "Old invoice job"}); !m.retired() {
		keys = append(keys, keyOf{old, &m.keys.retired})
	}
	r := m.s.Register
	state, err := r.State(orgID)
	if err != nil {
		return err
	}
	for _, old := range state.Keys {
		for _, k := range keys {
			if !old.RevokedAt.IsZero() || old.Name != k.key.Name || old.System != k.key.System {
				continue
			}
			if err := r.RevokeKey(ctx, m.officer, old.ID, "made by an earlier run of the demo"); err != nil {
				return err
			}
		}
	}
	for _, k := range keys {
		made, text, err := r.CreateKey(ctx, m.officer, k.key, "sample organisation")
		if err != nil {
			return err
		}
		*k.text = text
		if k.text == &m.keys.overBudget {
			tiny := inventory.Budget{ID: inventory.BudgetID("key-" + string(made.ID)), Scope: inventory.ScopeKey, Target: string(made.ID), Limit: 1000, Window: "month"}
			if err := r.PutBudget(ctx, m.officer, tiny, "a key with next to nothing"); err != nil {
				return err
			}
		}
	}
	return nil
}

// schedules lets the three documents be written again without anybody.
func (m *sample) schedules(ctx context.Context) error {
	there, err := m.s.Reports.Schedules(ctx, orgID)
	if err != nil || len(there) > 0 {
		return err
	}
	for _, v := range []reports.Schedule{
		{Org: orgID, Kind: reports.KindAudit, System: screener, Framework: framework, Cron: "0 6 1 * *"},
		{Org: orgID, Kind: reports.KindModelCard, System: screener, Cron: "15 6 1 * *"},
		{Org: orgID, Kind: reports.KindVendorRisk, Vendor: m.up.vendor, Cron: "30 6 1 */3 *"},
	} {
		if _, err := m.s.Reports.PutSchedule(ctx, m.officer, v); err != nil {
			return err
		}
	}
	return nil
}

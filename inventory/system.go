package inventory

import (
	"time"

	"plumbline/app/authz"
)

// RiskClass is a class of the EU AI Act (ids as in the framework data).
type RiskClass string

// The risk classes a system can have. Unclassified is not "minimal".
const (
	Unclassified      RiskClass = ""
	Prohibited        RiskClass = "prohibited"
	HighRiskAnnexIII  RiskClass = "high_risk_annex_iii"
	HighRiskAnnexI    RiskClass = "high_risk_annex_i"
	AnnexIIIDerogated RiskClass = "annex_iii_derogated"
	Transparency      RiskClass = "transparency_50"
	GPAI              RiskClass = "gpai"
	GPAISystemic      RiskClass = "gpai_systemic"
	Minimal           RiskClass = "minimal"
)

// ActRole is a role under the EU AI Act; a system has a set of them.
type ActRole string

// The roles under the Act (Art. 3(3)-(8), 25).
const (
	RoleProvider    ActRole = "provider"
	RoleDeployer    ActRole = "deployer"
	RoleImporter    ActRole = "importer"
	RoleDistributor ActRole = "distributor"
	RoleAuthRep     ActRole = "authorised_representative"
	RoleProductMfr  ActRole = "product_manufacturer"
	RoleGPAI        ActRole = "gpai_provider"
	RoleThirdParty  ActRole = "third_party"
)

// Lifecycle is where a system stands.
type Lifecycle string

// The life-cycle stages. Only InUse (and Pilot) may call models.
const (
	Planned     Lifecycle = "planned"
	Development Lifecycle = "development"
	Pilot       Lifecycle = "pilot"
	InUse       Lifecycle = "in_use"
	Retired     Lifecycle = "retired"
)

// ApprovalState is the state of a system's approval.
type ApprovalState string

// The approval states.
const (
	NotRequested ApprovalState = "not_requested"
	Requested    ApprovalState = "requested"
	Approved     ApprovalState = "approved"
	Rejected     ApprovalState = "rejected"
	Withdrawn    ApprovalState = "withdrawn" // given, and ended by a person before its end
)

// Approval is the decision that a system may be used, or the request for one.
type Approval struct {
	State       ApprovalState `json:"state" yaml:"state"`
	RequestedBy string        `json:"requested_by,omitempty" yaml:"requested_by,omitempty"`
	DecidedBy   string        `json:"decided_by,omitempty" yaml:"decided_by,omitempty"` // never equal to RequestedBy unless Imported
	DecidedAt   time.Time     `json:"decided_at,omitzero" yaml:"decided_at,omitempty"`
	Until       time.Time     `json:"until,omitzero" yaml:"until,omitempty"` // zero: no end
	Reason      string        `json:"reason,omitempty" yaml:"reason,omitempty"`
	Imported    bool          `json:"imported,omitempty" yaml:"-"` // declared in the configuration file
	// Standing is the approval that was in force when the next one was asked for. It lets
	// the system be used while the request is open, and after it was rejected, to its own
	// end. Nil where State is another than Requested or Rejected.
	Standing *Approval `json:"standing,omitempty" yaml:"-"`
}

// Grant is the approval that was given: this one, else the one that stands beside it.
// It may have ended. It is nil when there is none.
func (a Approval) Grant() *Approval {
	if a.State == Approved {
		return &a
	}
	return a.Standing
}

// ValidAt reports whether a system may be used at t: by this approval, or by the one
// that stands beside it.
func (a Approval) ValidAt(t time.Time) bool {
	if a.Standing != nil && a.State != Approved {
		return a.Standing.ValidAt(t)
	}
	return a.State == Approved && (a.Until.IsZero() || t.Before(a.Until))
}

// ModelRef names a model at a provider.
type ModelRef struct {
	Provider ProviderID `json:"provider" yaml:"provider"`
	Model    string     `json:"model" yaml:"model"`
}

// Suspension stops a system at once; it is lifted by a person.
type Suspension struct {
	By     string    `json:"by" yaml:"by"`
	At     time.Time `json:"at" yaml:"at"`
	Reason string    `json:"reason" yaml:"reason"`
}

// System is an AI system as declared.
type System struct {
	ID             SystemID    `json:"id" yaml:"id"`
	Org            OrgID       `json:"org" yaml:"-"`
	Name           string      `json:"name" yaml:"name"`
	Purpose        string      `json:"purpose" yaml:"purpose"`
	Owner          string      `json:"owner" yaml:"owner"` // person or team accountable
	OwnerContact   string      `json:"owner_contact,omitempty" yaml:"owner_contact,omitempty"`
	Department     string      `json:"department,omitempty" yaml:"department,omitempty"`
	Users          string      `json:"intended_users,omitempty" yaml:"intended_users,omitempty"`
	Affected       string      `json:"affected_persons,omitempty" yaml:"affected_persons,omitempty"`
	OutOfScope     string      `json:"out_of_scope,omitempty" yaml:"out_of_scope,omitempty"`
	Oversight      string      `json:"human_oversight,omitempty" yaml:"human_oversight,omitempty"`
	Limitations    string      `json:"limitations,omitempty" yaml:"limitations,omitempty"`
	DataCategories []string    `json:"data_categories,omitempty" yaml:"data_categories,omitempty"`
	Roles          []ActRole   `json:"roles" yaml:"roles"`
	RiskClass      RiskClass   `json:"risk_class" yaml:"risk_class"`
	RiskBy         string      `json:"risk_set_by,omitempty" yaml:"risk_set_by,omitempty"`
	RiskAt         time.Time   `json:"risk_set_at,omitzero" yaml:"risk_set_at,omitempty"`
	RiskReason     string      `json:"risk_reason,omitempty" yaml:"risk_reason,omitempty"` // cites the Annex III point
	AnnexIII       string      `json:"annex_iii,omitempty" yaml:"annex_iii,omitempty"`     // use case, e.g. 4.a
	Lifecycle      Lifecycle   `json:"lifecycle" yaml:"lifecycle"`
	RetiredAt      time.Time   `json:"retired_at,omitzero" yaml:"retired_at,omitempty"`
	Models         []ModelRef  `json:"models" yaml:"models"`   // declared
	Vendors        []string    `json:"vendors" yaml:"vendors"` // declared
	Regions        []string    `json:"regions,omitempty" yaml:"regions,omitempty"`
	Profile        ProfileID   `json:"guard_profile,omitempty" yaml:"guard_profile,omitempty"`
	Commit         string      `json:"commit,omitempty" yaml:"commit,omitempty"` // before_send (default) or before_answer
	Approval       Approval    `json:"approval" yaml:"approval"`
	Suspended      *Suspension `json:"suspended,omitempty" yaml:"-"` // by a person, also of a declared system
	ReviewedAt     time.Time   `json:"reviewed_at,omitzero" yaml:"-"`
	Stamp          `yaml:"-"`
	Origin         Origin `json:"origin,omitzero" yaml:"-"`
}

// Person is an account of the console.
type Person struct {
	ID    string       `json:"id"`
	Org   OrgID        `json:"org"`
	Name  string       `json:"name"`
	Email string       `json:"email"`
	Roles []authz.Role `json:"roles"`
}

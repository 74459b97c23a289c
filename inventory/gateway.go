package inventory

import (
	"strings"
	"time"

	"plumbline/app/money"
)

// Key is a virtual key: what an app sends instead of a provider's key.
type Key struct {
	ID          KeyID     `json:"id" yaml:"id"`
	Org         OrgID     `json:"org" yaml:"-"`
	System      SystemID  `json:"system" yaml:"system"` // empty: bound to no registered system (shadow use)
	Name        string    `json:"name" yaml:"name"`
	Owner       string    `json:"owner,omitempty" yaml:"owner,omitempty"`                             // id or e-mail address of the account that answers for it; empty: nobody
	Hash        [32]byte  `json:"-" yaml:"-"`                                                         // keyed hash of the secret part
	Models      []string  `json:"models,omitempty" yaml:"models,omitempty"`                           // names the key may ask for; empty: all routes
	PerMinute   int       `json:"requests_per_minute,omitempty" yaml:"requests_per_minute,omitempty"` // 0: no limit
	Concurrency int       `json:"concurrency,omitempty" yaml:"concurrency,omitempty"`                 // 0: no limit
	ExpiresAt   time.Time `json:"expires_at,omitzero" yaml:"expires_at,omitempty"`
	RevokedAt   time.Time `json:"revoked_at,omitzero" yaml:"revoked_at,omitempty"`
	Stamp       `yaml:"-"`
	Origin      Origin `json:"origin,omitzero" yaml:"-"`
}

// OwnedBy reports whether the key's owner is the account of that id or address.
func (k *Key) OwnedBy(id, email string) bool {
	return k.Owner != "" && (k.Owner == id || strings.EqualFold(k.Owner, email))
}

// BudgetScope is what a budget limits.
type BudgetScope string

// The scopes of this slice.
const (
	ScopeOrg    BudgetScope = "organisation"
	ScopeSystem BudgetScope = "system"
	ScopeKey    BudgetScope = "key"
)

// Budget limits spend in a window.
type Budget struct {
	ID     BudgetID    `json:"id" yaml:"id"`
	Org    OrgID       `json:"org" yaml:"-"`
	Scope  BudgetScope `json:"scope" yaml:"scope"`
	Target string      `json:"target,omitempty" yaml:"target,omitempty"` // system or key id; empty for the organisation
	Limit  money.Nano  `json:"limit_nano" yaml:"-"`                      // written in dollars as "limit"
	Window string      `json:"window" yaml:"window"`                     // day, month, total
	Zone   string      `json:"zone,omitempty" yaml:"zone,omitempty"`     // IANA time zone of the window; UTC when empty
	Stamp  `yaml:"-"`
	Origin Origin `json:"origin,omitzero" yaml:"-"`
}

// Provider is an upstream.
type Provider struct {
	ID            ProviderID    `json:"id" yaml:"id"`
	Org           OrgID         `json:"org" yaml:"-"`
	Kind          string        `json:"kind" yaml:"kind"` // openai, simulated
	Vendor        string        `json:"vendor,omitempty" yaml:"vendor,omitempty"`
	BaseURL       string        `json:"base_url,omitempty" yaml:"base_url,omitempty"`
	CredentialRef string        `json:"credential,omitempty" yaml:"credential,omitempty"`   // where the secret is, see config.ParseReference
	Credentials   []ProviderKey `json:"credentials,omitempty" yaml:"credentials,omitempty"` // further keys, beside the one of credential
	Entered       Entered       `json:"entered,omitzero" yaml:"-"`                          // who entered the sealed secret of credential
	Secret        Secret        `json:"-" yaml:"-"`                                         // of credential, entered now; never kept
	Region        string        `json:"region,omitempty" yaml:"region,omitempty"`
	NoStreamUsage bool          `json:"no_stream_usage,omitempty" yaml:"no_stream_usage,omitempty"` // refuses stream_options.include_usage
	Stamp         `yaml:"-"`
	Origin        Origin `json:"origin,omitzero" yaml:"-"`
}

// GuardMode is what a guard does on a hit.
type GuardMode string

// The guard modes.
const (
	Monitor GuardMode = "monitor"
	Redact  GuardMode = "redact"
	Block   GuardMode = "block"
)

// GuardSetting is one guard in a profile.
type GuardSetting struct {
	Guard     string    `json:"guard" yaml:"guard"` // pii, secrets, injection
	Mode      GuardMode `json:"mode" yaml:"mode"`
	OnFailure string    `json:"on_failure,omitempty" yaml:"on_failure,omitempty"` // closed (default) or open
	Classes   []string  `json:"classes,omitempty" yaml:"classes,omitempty"`       // empty: all the guard knows
	Prompt    *bool     `json:"prompt,omitempty" yaml:"prompt,omitempty"`         // nil: yes
	Answer    *bool     `json:"answer,omitempty" yaml:"answer,omitempty"`         // nil: yes
}

// GuardProfile is a named list of guards.
type GuardProfile struct {
	ID     ProfileID      `json:"id" yaml:"id"`
	Org    OrgID          `json:"org" yaml:"-"`
	Guards []GuardSetting `json:"guards" yaml:"guards"`
	// MaxText is how much text of one request or whole answer guards read, in bytes; the
	// gateway's default when zero. More is not read at all, and on_failure decides.
	MaxText int64       `json:"max_text,omitempty" yaml:"max_text,omitempty"`
	Tiers   []RiskClass `json:"tiers,omitempty" yaml:"tiers,omitempty"` // risk classes for which this profile is the required one
	Stamp   `yaml:"-"`
	Origin  Origin `json:"origin,omitzero" yaml:"-"`
}

// Policy is a Rego policy.
type Policy struct {
	ID     PolicyID `json:"id" yaml:"id"`
	Org    OrgID    `json:"org" yaml:"-"`
	Mode   string   `json:"mode" yaml:"mode"` // enforce or shadow
	Source string   `json:"source" yaml:"source"`
	Stamp  `yaml:"-"`
	Origin Origin `json:"origin,omitzero" yaml:"-"`
}

// Settings are an organisation's switches.
type Settings struct {
	Org            OrgID    `json:"org" yaml:"-"`
	Unregistered   string   `json:"unregistered" yaml:"unregistered"`       // block (default) or flag: a key bound to no registered system
	Confidential   string   `json:"confidentiality" yaml:"confidentiality"` // mark on documents
	Contact        string   `json:"contact,omitempty" yaml:"contact,omitempty"`
	Attributes     []string `json:"attributes,omitempty" yaml:"attributes,omitempty"`       // names of what callers may say of a call that is recorded
	SecondPerson   bool     `json:"second_person,omitempty" yaml:"second_person,omitempty"` // what allows more waits for a second person
	ExternalAnchor bool     `json:"-" yaml:"-"`
	Stamp          `yaml:"-"`
	Origin         Origin `json:"origin,omitzero" yaml:"-"`
}

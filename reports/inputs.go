package reports

import (
	"time"

	"plumbline/app/authz"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/inventory"
	"plumbline/reports/render"
)

// Inputs are all that a document is built from. Same inputs, same bytes. Lists
// are printed in the order given. A leaf is an index in the organisation's log;
// every leaf named anywhere here is cited, and its record is in the document.
type Inputs struct {
	Request    Request
	Org        authz.OrgID
	OrgName    string
	Contact    string // of the organisation
	Mark       string // confidentiality; "Confidential" when empty
	Sample     bool   // an invented organisation
	Simulated  bool   // some answers came from the built-in simulated provider
	Reviewer   string
	Approver   string
	Checkpoint Checkpoint
	Previous   *Previous // the revision before this one

	System    *inventory.System
	SystemAt  Cites // the record of the register row's version
	Systems   []inventory.System
	Framework Framework
	Controls  []Control
	Usage     []Hour
	UsageAt   Cites
	Models    []Model
	Endpoints []Endpoint // of the calls that went upstream
	Guards    []Guard
	Profile   string // name of the guard profile in force
	Budgets   []Budget
	Refusals  []Refusal
	Outages   []Outage
	Collector Collector
	Changes   []Change
	Vendor    *Vendor

	PriceTable string // hash
	Catalogue  string // hash of the framework data
	Revision   string // of policy and configuration
	Limits     []string

	// Set by the Service.
	ID       string
	Number   int // revision of the document
	IssuedAt time.Time
	IssuedBy string
	Records  []Record
}

// Request says which document is wanted. Zero times take the kind's period, to
// the checkpoint.
type Request struct {
	Org       authz.OrgID        `json:"-"`
	Kind      Kind               `json:"kind"`
	System    inventory.SystemID `json:"system,omitempty"`
	Framework string             `json:"framework,omitempty"`
	Vendor    string             `json:"vendor,omitempty"`
	From      time.Time          `json:"from,omitzero"`
	To        time.Time          `json:"to,omitzero"`
}

// Cites are leaves of the organisation's log.
type Cites []uint64

// Checkpoint is the signed head that a document is built at.
type Checkpoint struct {
	record.Checkpoint
	Keys []string // verifier keys, the one in force last
}

// Previous is what the document before said.
type Previous struct {
	ID       string
	Revision int
	IssuedAt time.Time
	Summary  map[string]int
}

// Framework is the criteria of an audit.
type Framework struct {
	ID, Title, Version, Hash string
}

// Control is one requirement and what its evidence says.
type Control struct {
	ID, Title, Gist string
	Section         string // heading over controls that belong together
	Roles           []string
	AppliesFrom     time.Time // zero: no date
	ByItsText       time.Time // where the text of the law names another date
	Unsettled       bool      // the law leaves room for another date
	Grace           string    // later date for what was on the market before
	State           render.Status
	Readiness       render.Status // of a control whose date lies ahead: its state if it had come
	ReadinessWhy    string
	Contradicted    bool     // a test contradicts current evidence of people
	Why             string   // how the state follows
	WaitsFor        []string // what would move it on
	Runtime         string   // how far runtime evidence goes: full, partial, supporting, none
	Tests           []Test
	Human           []Human
	Exceptions      []Exception
	Plan            *Plan // what is to be done about it
	Cites           Cites // of the recorded state or decision
	DecidedBy       string
	Shows           string // what runtime evidence shows here
}

// Endpoint is a kind of call, by the name that records have for it, such as
// chat.completions.
type Endpoint struct {
	Name  string
	Calls int64
}

// Test is the newest result of a control test.
type Test struct {
	ID         string
	Name       string // for people; made from the id when empty
	Version    uint64
	Result     render.Status
	Metrics    []Metric
	From, To   time.Time
	At         time.Time // when it ran
	Population uint64
	FirstLeaf  uint64
	EndLeaf    uint64 // one past the last
	Reason     string
	Cites      Cites // its own record first, then those that show the result
}

// Metric is one figure of a test beside its threshold.
type Metric struct {
	Name, Value, Threshold string
}

// Human is evidence that a person attached.
type Human struct {
	What, State, Detail string
	Current             bool // approved by a second person and not stale
	Cites               Cites
}

// Plan is the corrective action that somebody proposed for a control.
type Plan struct {
	Cause, Correction, Action, Owner string
	Due                              time.Time
	State                            string // pending, current, rejected, expired
	By, Approver                     string
	Cites                            Cites
}

// Exception is what somebody accepts for a time about a control.
type Exception struct {
	What, State  string
	By, Approver string
	Until        time.Time
	Reason       string
	Cites        Cites
}

// Hour is usage between two hour marks.
type Hour struct {
	Start                                           time.Time
	Exchanges, Answered, Refused, Failed, Cached    int64
	Incomplete, InputTokens, OutputTokens, Unpriced int64
	Cost                                            money.Nano
	Down                                            bool // the ledger or collector was not there: unknown, not zero
}

// Model is what a route was declared to be and what it was seen to be.
type Model struct {
	Alias, Provider, Vendor string
	Declared                string // model as declared; empty: not declared
	Served                  string // model as the provider names it; empty: never seen
	Region                  string
	DeclaredRegion          string
	Simulated               bool
	FirstSeen, LastSeen     time.Time
	Calls, Errors, Refused  int64
	InputTokens             int64
	OutputTokens            int64
	P50, P95                time.Duration // zero: unknown
	Cost                    money.Nano
	System                  string
	Cites                   Cites
}

// Guard counts what one guard did, or with Class what it found of one data class.
// Phase is prompt, answer or both.
type Guard struct {
	Guard, Class, Phase                   string
	Evaluated, Hits, NotRun               int64
	Monitored, Redacted, Blocked, Errored int64
	Cites                                 Cites
}

// Budget is a limit and what was charged to it in its window.
type Budget struct {
	ID, Scope, Target, Window string
	Limit, Charged, Over      money.Nano
	Refused                   int64
	Cites                     Cites
}

// Refusal counts calls that were turned away, by code.
type Refusal struct {
	Code  string
	Count int64
	Cites Cites
}

// Collector counts the marks that the running ledger makes each hour.
type Collector struct {
	Marks       int
	First, Last time.Time
	Cites       Cites
}

// Outage is a time in which the ledger could not write.
type Outage struct {
	From, To time.Time
	Turned   int64
	Cause    string
	Cites    Cites
}

// Change is a change of the register or of policy.
type Change struct {
	At                 time.Time
	Kind, Object       string
	Actor, Approver    string
	Imported, Reasoned bool
	Cites              Cites
}

// Vendor is a supplier of models and how it is used.
type Vendor struct {
	Name      string
	Kind      string // of provider: openai, simulated
	Simulated bool
	Providers []inventory.Provider
	Calls     int64 // of the whole organisation
	Cost      money.Nano
	OrgCalls  int64
	OrgCost   money.Nano
	Systems   []VendorSystem
	Errors    []Refusal // classes of upstream failures
	PII       []Guard   // data classes found in prompts that went to it
	Cites     Cites
}

// VendorSystem is one system's use of a vendor.
type VendorSystem struct {
	ID       inventory.SystemID
	Name     string
	Declared bool // the register names this vendor for it
	Keys     int  // keys in force
	Calls    int64
	Cost     money.Nano
	Models   []string
	Data     []string
	Cites    Cites
}

// Record is a record of the ledger that the document cites.
type Record struct {
	Leaf    uint64
	Kind    string
	ID      string
	At      time.Time
	Content string
	Window  string
	SHA256  string
	Bytes   []byte
}

// Package event is the fact that one exchange leaves behind: plain types that
// the gateway fills and the ledger encodes. It holds no text from a prompt, an
// answer or an upstream error; only classes, codes, counts and commitments.
package event

import (
	"errors"

	"plumbline/app/ident"
	"plumbline/app/money"
)

// Kind says which fact an Event is. Numbers are part of the record format.
type Kind uint8

// The facts of an exchange. Intent and Attempt are durable before a byte goes
// upstream; Refused and Cached are the only record of their exchange.
const (
	Intent     Kind = 1 // about to be sent
	Attempt    Kind = 2 // a further attempt of the same exchange
	Outcome    Kind = 3 // how it ended
	Refused    Kind = 4 // never sent
	Cached     Kind = 5 // answered without an upstream
	Incomplete Kind = 6 // an intent whose outcome was lost in a crash, or a batch or response without word of its results at its deadline; charged at its hold
	Adjusted   Kind = 7 // a later correction of the charge
)

// Lasts reports whether the exchange of an intent may go on when its answer is out: it
// makes a batch, or a response in the background, and what that costs is known later. Its
// intent stays open, and its hold with it, until then or until its deadline passes,
// whatever becomes of the process meanwhile.
func Lasts(intent *Event) bool {
	return MakesBatch(intent.Endpoint) || intent.Endpoint == "responses" && intent.Deadline-intent.At > longestCall
}

// longestCall is how long a call itself takes at most, in microseconds.
const longestCall = 24 * 60 * 60 * 1_000_000

// MakesBatch reports whether the exchanges of an endpoint make batches.
func MakesBatch(endpoint string) bool {
	return endpoint == "batches.create" || endpoint == "messages.batches.create"
}

// UsageSource says where token counts come from.
type UsageSource uint8

// The sources of usage.
const (
	UsageUnknown   UsageSource = iota // nothing was or could be counted
	UsageProvider                     // the provider's own figures
	UsageCounted                      // counted here with a tokenizer or by length
	UsageEstimated                    // taken from the hold
	UsagePartial                      // the stream ended early; what was seen is counted
)

// End says how an exchange that was sent came to its end.
type End uint8

// The ways to end.
const (
	EndUnknown       End = iota
	EndComplete          // a whole answer reached the caller
	EndCut               // the upstream broke off after the first byte
	EndClientGone        // the caller hung up
	EndUpstreamError     // the upstream answered with an error or not at all
	EndBlocked           // an answer guard stopped it
	EndAborted           // this process is shutting down
)

// Breaker is the state in which a deployment was asked.
type Breaker uint8

// The states of a breaker.
const (
	BreakerClosed Breaker = iota
	BreakerHalfOpen
	BreakerOpen
)

// CommitMode says when the intent had to be durable.
type CommitMode uint8

// The two commit settings of a system.
const (
	BeforeSend   CommitMode = iota // before the first byte upstream (default)
	BeforeAnswer                   // before the first byte of the answer
)

// Effect is a policy verdict.
type Effect uint8

// The verdicts of policy.
const (
	EffectNone Effect = iota // policy was not asked
	EffectAllow
	EffectDeny
	EffectRedact
	EffectHold
)

// Decision is what policy said, and what shadow policies would have said.
type Decision struct {
	Effect       Effect
	Rule         string // id of the rule that decided
	ShadowEffect Effect
	ShadowRule   string
	Revision     string // policy revision (hash prefix)
}

// VerdictState says what a guard did. A guard that did not run is never clear.
type VerdictState uint8

// The states of a verdict.
const (
	NotRun VerdictState = iota
	Clear
	Hit
	Errored
)

// Action is what followed from a hit.
type Action uint8

// The actions of a guard.
const (
	ActionNone Action = iota
	ActionMonitored
	ActionRedacted
	ActionBlocked
)

// Verdict is one guard's finding on a prompt or an answer.
type Verdict struct {
	Guard    string // pii, secrets, injection
	Version  string
	State    VerdictState
	Action   Action
	Blocking bool     // the profile asked for redact or block
	FailOpen bool     // it did not run and the exchange went on
	Reason   string   // code for NotRun and Errored: too_large, timeout, unsupported; media_unread beside every state
	Classes  []string // data classes found: email, card, iban, ssn, ip, aws_key; sorted, no duplicates
	Hits     uint32
	At       uint64 // bytes already released when an answer was blocked
}

// Hold is an amount reserved against one budget.
type Hold struct {
	Budget string // id of the budget
	Amount money.Nano
	Window int64 // start of the budget's window, seconds since 1970
}

// Usage is what a provider bills, in the same terms whoever counted: Input is all
// that went in, what was read from or written to a cache, sound and images
// included; Output is all that came out, reasoning, sound and images included. A
// provider that counts otherwise is translated.
//
// A count that is not known is -1, an explicit zero stays zero. Below the line a
// zero also stands for what a call does not have at all, so that the usual call
// encodes none of it.
type Usage struct {
	Input, Output         int64 // tokens
	CacheRead, CacheWrite int64 // of Input: read from, and written to, the provider's cache
	Reasoning             int64 // of Output

	CacheWrite1h int64  // of CacheWrite: kept for an hour, at a price of its own
	AudioIn      int64  // of Input
	CachedAudio  int64  // of AudioIn, and of CacheRead
	ImageIn      int64  // of Input
	AudioOut     int64  // of Output
	ImageOut     int64  // of Output
	Images       int64  // images made, where each has a price
	Characters   int64  // of text to speak
	Seconds      int64  // of sound to write down, a begun one counts
	Searches     int64  // searches that the provider made
	Requests     int64  // billed calls that these counts are of; 0 is one, when anything was counted
	Form         string // form of the call, in the words of the price table: size and quality of images
	Batch        bool   // sent in a batch
	Tier         string // service tier that it was served in, TierFlex or TierPriority; empty for any other
}

// Service tiers whose prices differ from the standard ones.
const (
	TierFlex     = "flex"     // slower, and cheaper
	TierPriority = "priority" // faster, and dearer
)

// Event is one fact. Which fields are set depends on Kind; a field that does
// not apply keeps its zero value and is not encoded.
//
// Submit encodes an Event before it returns, so the caller may reuse it.
type Event struct {
	Kind     Kind
	Log      string   // organisation id; empty for the instance's log
	Exchange ident.ID // request id of the exchange
	At       int64    // microseconds since 1970, writer's clock

	// Who asked, and for what. Set on Intent, Refused and Cached; on Outcome
	// System and Key are repeated so that no projection has to join.
	System        string
	SystemVersion uint32
	Key           string   // id of the virtual key, never its secret
	Pseudonym     [16]byte // keyed pseudonym of the caller's user; zero when none was named
	Address       string   // prefix of the caller's address: /24 or /48
	Dialect       string   // openai
	Endpoint      string   // chat.completions, embeddings, models
	Stream        bool
	ClientRetry   uint32 // x-stainless-retry-count
	ModelAsked    string
	Attributes    []string // what the caller says of the call, as name=value: those that the organisation declares

	// Where it goes.
	Route       string
	Provider    string // name of the provider as declared
	ModelTarget string
	Region      string
	Simulated   bool   // the built-in upstream
	Try         uint32 // 1 for the first attempt
	Choice      string // why this deployment: a strategy, bypass, failover, retry, all_open; empty when the route has no other
	Breaker     Breaker
	Skipped     []string // deployments that were passed over and why: "circuit_open provider/model"

	// Under which rules.
	ConfigRevision uint64
	PriceTable     string // hash prefix of the price table
	Decision       Decision
	Commit         CommitMode
	Prompt         []Verdict // verdicts on the prompt
	Holds          []Hold
	Deadline       int64 // microseconds since 1970; 0 when none
	Request        [32]byte

	// How it ended. Set on Outcome, Refused (Status, Code) and Cached.
	Status      uint32 // HTTP status given to the caller
	Code        string // stable error code; empty on success
	End         End
	ModelServed string
	Usage       Usage
	Source      UsageSource
	Charge      money.Nano
	Held        money.Nano // the hold that this charge settles
	Abandoned   money.Nano // of Charge: attempts that were given up on, at their hold, for their providers may bill them
	Tries       uint32
	FirstByte   int64 // microseconds from receipt to the first byte out
	Upstream    int64 // microseconds spent waiting for the upstream
	Total       int64 // microseconds from receipt to the end
	BytesIn     uint64
	BytesOut    uint64
	Answer      [32]byte
	AnswerGuard []Verdict
	NotCarried  []string // fields that could not be carried over to the target's dialect
	UpstreamErr string   // class of the upstream's failure: refused, reset, timeout, http_5xx, bad_answer; on an Attempt, of the one before

	// Of an Adjusted alone: Charge is what it adds to the charge, or takes off;
	// Usage and PriceTable are what the new figure was computed from.
	Reason string     // code: rerated
	Figure money.Nano // the charge after it
}

// Commit is the promise that a group of records becomes durable. One Commit is
// shared by all records of a group.
type Commit struct {
	done chan struct{}
	err  error // written before done is closed
}

// NewCommit makes an open promise; the ledger calls Resolve once.
func NewCommit() *Commit { return &Commit{done: make(chan struct{})} }

// Resolve ends the promise. A nil error means durable.
func (c *Commit) Resolve(err error) {
	c.err = err
	close(c.done)
}

// Done is closed once the outcome is known.
func (c *Commit) Done() <-chan struct{} { return c.done }

// Err is the outcome; it may be read after Done is closed.
func (c *Commit) Err() error { return c.err }

// ErrUnavailable says that the ledger cannot write now. Calls are refused with
// 503, not served without evidence.
var ErrUnavailable = errors.New("ledger cannot write")

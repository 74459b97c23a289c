package record

import (
	"fmt"
	"reflect"

	"plumbline/app/ident"
	"plumbline/gateway/event"
)

// Kind is what a record says. The numbers are part of the format.
type Kind uint64

// The kinds.
const (
	ExchangeIntent     Kind = 1
	ExchangeAttempt    Kind = 2
	ExchangeOutcome    Kind = 3
	ExchangeRefused    Kind = 4
	ExchangeCached     Kind = 5
	ExchangeIncomplete Kind = 6
	ExchangeAdjusted   Kind = 7

	RefusalsCounted Kind = 16

	LedgerStarted Kind = 24
	LedgerStopped Kind = 25
	LedgerOutage  Kind = 26
	LedgerHour    Kind = 27
	LedgerRotated Kind = 28
	LedgerForked  Kind = 29

	RegisterChange Kind = 40

	ControlTest          Kind = 48
	ControlState         Kind = 49
	EvidenceAttached     Kind = 50
	EvidenceDecided      Kind = 51
	ApplicabilityDecided Kind = 52
	DocumentIssued       Kind = 56
	JobRan               Kind = 57
	DocumentTaken        Kind = 58
)

type kindInfo struct {
	name    string
	version uint64
	event   event.Kind
	body    func() any // nil for exchanges
}

func (k kindInfo) is(body any) bool {
	return reflect.TypeOf(body) == reflect.TypeOf(k.body())
}

// kinds is the whole list. A kind is added here and nowhere else.
var kinds = map[Kind]kindInfo{
	ExchangeIntent:       {"exchange.intent", 1, event.Intent, nil},
	ExchangeAttempt:      {"exchange.attempt", 1, event.Attempt, nil},
	ExchangeOutcome:      {"exchange.outcome", 1, event.Outcome, nil},
	ExchangeRefused:      {"exchange.refused", 1, event.Refused, nil},
	ExchangeCached:       {"exchange.cached", 1, event.Cached, nil},
	ExchangeIncomplete:   {"exchange.incomplete", 1, event.Incomplete, nil},
	ExchangeAdjusted:     {"exchange.adjusted", 1, event.Adjusted, nil},
	RefusalsCounted:      {"refusals.counted", 1, 0, func() any { return new(Refusals) }},
	LedgerStarted:        {"ledger.started", 1, 0, func() any { return new(Started) }},
	LedgerStopped:        {"ledger.stopped", 1, 0, func() any { return new(Stopped) }},
	LedgerOutage:         {"ledger.outage", 1, 0, func() any { return new(Outage) }},
	LedgerHour:           {"ledger.hour", 1, 0, func() any { return new(Hour) }},
	LedgerRotated:        {"ledger.rotated", 1, 0, func() any { return new(Rotated) }},
	LedgerForked:         {"ledger.forked", 1, 0, func() any { return new(Forked) }},
	RegisterChange:       {"change", 1, 0, func() any { return new(Change) }},
	ControlTest:          {"test.result", 1, 0, func() any { return new(TestResult) }},
	ControlState:         {"control.result", 1, 0, func() any { return new(ControlResult) }},
	EvidenceAttached:     {"evidence.attached", 1, 0, func() any { return new(HumanEvidence) }},
	EvidenceDecided:      {"evidence.decided", 1, 0, func() any { return new(HumanDecision) }},
	ApplicabilityDecided: {"applicability.decided", 1, 0, func() any { return new(Applicability) }},
	DocumentIssued:       {"document.issued", 1, 0, func() any { return new(Document) }},
	JobRan:               {"job.run", 1, 0, func() any { return new(Job) }},
	DocumentTaken:        {"document.downloaded", 1, 0, func() any { return new(Download) }},
}

// String is the stable name.
func (k Kind) String() string {
	if info, ok := kinds[k]; ok {
		return info.name
	}
	return fmt.Sprintf("kind %d", uint64(k))
}

// VersionOf is the version that this build writes of a kind.
func VersionOf(k Kind) uint64 { return kinds[k].version }

// Refusals is a count of refusals that got no record of their own: of a key in
// an organisation's log, or of callers without a valid key, by address prefix,
// in the instance's.
type Refusals struct {
	Key     string `cbor:"1,keyasint,omitzero"`
	System  string `cbor:"2,keyasint,omitzero"`
	Code    string `cbor:"3,keyasint"`
	Address string `cbor:"4,keyasint,omitzero"` // prefix, or "other" when a window had too many
	Count   uint64 `cbor:"5,keyasint"`
	First   int64  `cbor:"6,keyasint"`
	Last    int64  `cbor:"7,keyasint"`
}

// Started says that a writer began; its numbers start at 1 in each log.
type Started struct {
	Version  string `cbor:"1,keyasint,omitzero"`
	Previous string `cbor:"2,keyasint,omitzero"` // writer before it
	Open     uint64 `cbor:"3,keyasint,omitzero"` // intents that it found without an end
}

// Stopped says that a writer ended in order.
type Stopped struct {
	Last uint64 `cbor:"1,keyasint"` // its last number before this record
}

// Outage is a time in which the ledger could not write.
type Outage struct {
	From   int64            `cbor:"1,keyasint"`
	To     int64            `cbor:"2,keyasint"`
	Turned uint64           `cbor:"3,keyasint"` // calls turned away without a record of their own
	System map[string]int64 `cbor:"4,keyasint,omitzero"`
	Cause  string           `cbor:"5,keyasint,omitzero"` // class: full, locked, gone, other
}

// Hour marks that the sequencer's clock passed an hour. Rollup hours are the
// ranges of leaves between marks.
type Hour struct {
	Hour   int64  `cbor:"1,keyasint"` // hours since 1970 that begins
	Number uint64 `cbor:"2,keyasint"` // the writer's last number before this mark
}

// Rotated names the key that signs from here on beside the old one.
type Rotated struct {
	Verifier string `cbor:"1,keyasint"`
	Old      string `cbor:"2,keyasint"`
	Until    int64  `cbor:"3,keyasint"` // the old key signs as long as this
}

// Forked is the first record of a new generation.
type Forked struct {
	OldOrigin string   `cbor:"1,keyasint"`
	Size      uint64   `cbor:"2,keyasint"` // of the newest checkpoint known
	Root      [32]byte `cbor:"3,keyasint"`
	Found     uint64   `cbor:"4,keyasint"`          // leaves that are still there; Found to Size is missing
	Reason    [32]byte `cbor:"5,keyasint"`          // hash of the reason given
	Kept      [32]byte `cbor:"6,keyasint,omitzero"` // root of the leaves that are still there, which a checkpoint of the old origin signs
	Why       string   `cbor:"7,keyasint,omitzero"` // the reason
}

// Rewritten says that what was still there is not the tree that was signed: an older
// copy was restored and then written to. Size and Root are of a checkpoint that others
// hold.
func (f *Forked) Rewritten() bool {
	return f.Found > 0 && (f.Size < f.Found || f.Size == f.Found && f.Root != f.Kept)
}

// Lost says in words what became of the old generation.
func (f *Forked) Lost() string {
	switch {
	case f.Rewritten():
		return fmt.Sprintf("the %d leaves of %s that were there are not those of a signed tree of %d: a restored copy was written to", f.Found, f.OldOrigin, f.Size)
	case f.Found == 0 && f.Size > 0:
		return fmt.Sprintf("all of the %d signed leaves of %s are missing", f.Size, f.OldOrigin)
	case f.Found < f.Size:
		return fmt.Sprintf("%d leaves of %s were there; leaves [%d, %d) of it are missing", f.Found, f.OldOrigin, f.Found, f.Size)
	}
	return fmt.Sprintf("a restored copy of %s had %d leaves; what was signed after them was not known", f.OldOrigin, f.Found)
}

// Change is a change of the register. It carries ids and commitments.
type Change struct {
	Kind     string   `cbor:"1,keyasint"`
	Object   string   `cbor:"2,keyasint"`
	Version  uint64   `cbor:"3,keyasint"`
	Approver string   `cbor:"4,keyasint,omitzero"`
	Imported bool     `cbor:"5,keyasint,omitzero"`
	Reasoned bool     `cbor:"6,keyasint,omitzero"`
	Before   [32]byte `cbor:"7,keyasint,omitzero"`
	After    [32]byte `cbor:"8,keyasint,omitzero"`
	Request  ident.ID `cbor:"9,keyasint,omitzero"`
	System   string   `cbor:"10,keyasint,omitzero"` // the system it concerns, when it is not the object
}

// Metric is one figure of a test.
type Metric struct {
	Key   string `cbor:"1,keyasint"`
	Value int64  `cbor:"2,keyasint"` // counts as they are, shares in parts per million
	Known bool   `cbor:"3,keyasint"`
}

// TestResult is the result of a control test.
type TestResult struct {
	Test       string   `cbor:"1,keyasint"`
	Version    uint64   `cbor:"2,keyasint"`
	System     string   `cbor:"3,keyasint,omitzero"`
	From       int64    `cbor:"4,keyasint"`
	To         int64    `cbor:"5,keyasint"`
	FirstLeaf  uint64   `cbor:"6,keyasint"`
	EndLeaf    uint64   `cbor:"7,keyasint"` // one past the last
	Projection uint64   `cbor:"8,keyasint"`
	Population uint64   `cbor:"9,keyasint"`
	Metrics    []Metric `cbor:"10,keyasint,omitzero"`
	Result     string   `cbor:"11,keyasint"`
	Reason     string   `cbor:"12,keyasint,omitzero"` // code
	Catalog    string   `cbor:"13,keyasint"`          // hash prefix of the framework data
	Cited      []uint64 `cbor:"14,keyasint,omitzero"` // leaves that show the result, at most 20
}

// ControlResult says that a control's state is another than before.
type ControlResult struct {
	Framework string     `cbor:"1,keyasint"`
	Control   string     `cbor:"2,keyasint"`
	System    string     `cbor:"3,keyasint"`
	State     string     `cbor:"4,keyasint"`
	Before    string     `cbor:"5,keyasint,omitzero"`
	Reason    string     `cbor:"6,keyasint,omitzero"`
	Results   []ident.ID `cbor:"7,keyasint,omitzero"` // test results it rests on
	Catalog   string     `cbor:"8,keyasint"`
}

// HumanEvidence is something that a person attached.
type HumanEvidence struct {
	Framework string   `cbor:"1,keyasint"`
	Control   string   `cbor:"2,keyasint"`
	System    string   `cbor:"3,keyasint,omitzero"`
	Type      string   `cbor:"4,keyasint"`
	Form      string   `cbor:"5,keyasint"` // file or link
	Hash      [32]byte `cbor:"6,keyasint"` // of the file, or of the link's text
	From      int64    `cbor:"7,keyasint,omitzero"`
	Until     int64    `cbor:"8,keyasint,omitzero"`
}

// HumanDecision is a second person's word on attached evidence.
type HumanDecision struct {
	Evidence ident.ID `cbor:"1,keyasint"`
	Accepted bool     `cbor:"2,keyasint"`
	Author   string   `cbor:"3,keyasint"` // who attached it
}

// Applicability is a decision that a control does not apply.
type Applicability struct {
	Framework string   `cbor:"1,keyasint"`
	Control   string   `cbor:"2,keyasint"`
	System    string   `cbor:"3,keyasint"`
	Applies   bool     `cbor:"4,keyasint,omitzero"`
	Reason    [32]byte `cbor:"5,keyasint"`
	Author    string   `cbor:"6,keyasint"`
}

// Document says that a document was issued; its hashes make the file provable.
type Document struct {
	Kind       string   `cbor:"1,keyasint"`
	Subject    string   `cbor:"2,keyasint,omitzero"` // system or vendor
	Framework  string   `cbor:"3,keyasint,omitzero"`
	PDF        [32]byte `cbor:"4,keyasint"`
	JSON       [32]byte `cbor:"5,keyasint"`
	AsOf       uint64   `cbor:"6,keyasint"` // size of the checkpoint it was built at
	Root       [32]byte `cbor:"7,keyasint"`
	Template   string   `cbor:"8,keyasint"`
	Revision   uint64   `cbor:"9,keyasint"`
	IssuedAt   int64    `cbor:"10,keyasint"`
	Identifier string   `cbor:"11,keyasint"`
}

// Job is one run of a scheduled job.
type Job struct {
	Name  string `cbor:"1,keyasint"`
	Tick  int64  `cbor:"2,keyasint"`
	OK    bool   `cbor:"3,keyasint"`
	Error string `cbor:"4,keyasint,omitzero"` // code
	Took  int64  `cbor:"5,keyasint"`          // microseconds
}

// Download says that an auditor took a part of a document away.
type Download struct {
	Document string   `cbor:"1,keyasint"`
	Part     string   `cbor:"2,keyasint"` // pdf, json, proof
	Request  ident.ID `cbor:"3,keyasint,omitzero"`
}

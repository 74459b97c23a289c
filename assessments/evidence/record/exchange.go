package record

import (
	"bytes"
	"fmt"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/event"
)

// exchange is the stored form of an event. AppendEvent writes the same bytes
// without reflection; a test holds the two together.
type exchange struct {
	Exchange       ident.ID   `cbor:"1,keyasint"`
	System         string     `cbor:"2,keyasint,omitzero"`
	SystemVersion  uint32     `cbor:"3,keyasint,omitzero"`
	Key            string     `cbor:"4,keyasint,omitzero"`
	Pseudonym      [16]byte   `cbor:"5,keyasint,omitzero"`
	Address        string     `cbor:"6,keyasint,omitzero"`
	Dialect        string     `cbor:"7,keyasint,omitzero"`
	Endpoint       string     `cbor:"8,keyasint,omitzero"`
	Stream         bool       `cbor:"9,keyasint,omitzero"`
	ClientRetry    uint32     `cbor:"10,keyasint,omitzero"`
	ModelAsked     string     `cbor:"11,keyasint,omitzero"`
	Route          string     `cbor:"12,keyasint,omitzero"`
	Provider       string     `cbor:"13,keyasint,omitzero"`
	ModelTarget    string     `cbor:"14,keyasint,omitzero"`
	Region         string     `cbor:"15,keyasint,omitzero"`
	Simulated      bool       `cbor:"16,keyasint,omitzero"`
	Try            uint32     `cbor:"17,keyasint,omitzero"`
	ConfigRevision uint64     `cbor:"18,keyasint,omitzero"`
	PriceTable     string     `cbor:"19,keyasint,omitzero"`
	Decision       decision   `cbor:"20,keyasint,omitzero"`
	Commit         uint8      `cbor:"21,keyasint,omitzero"`
	Prompt         []verdict  `cbor:"22,keyasint,omitzero"`
	Holds          []hold     `cbor:"23,keyasint,omitzero"`
	Deadline       int64      `cbor:"24,keyasint,omitzero"`
	Request        [32]byte   `cbor:"25,keyasint,omitzero"`
	Status         uint32     `cbor:"26,keyasint,omitzero"`
	Code           string     `cbor:"27,keyasint,omitzero"`
	End            uint8      `cbor:"28,keyasint,omitzero"`
	ModelServed    string     `cbor:"29,keyasint,omitzero"`
	Usage          usage      `cbor:"30,keyasint,omitzero"`
	Source         uint8      `cbor:"31,keyasint,omitzero"`
	Charge         money.Nano `cbor:"32,keyasint,omitzero"`
	Held           money.Nano `cbor:"33,keyasint,omitzero"`
	Tries          uint32     `cbor:"34,keyasint,omitzero"`
	FirstByte      int64      `cbor:"35,keyasint,omitzero"`
	Upstream       int64      `cbor:"36,keyasint,omitzero"`
	Total          int64      `cbor:"37,keyasint,omitzero"`
	BytesIn        uint64     `cbor:"38,keyasint,omitzero"`
	BytesOut       uint64     `cbor:"39,keyasint,omitzero"`
	Answer         [32]byte   `cbor:"40,keyasint,omitzero"`
	AnswerGuard    []verdict  `cbor:"41,keyasint,omitzero"`
	NotCarried     []string   `cbor:"42,keyasint,omitzero"`
	UpstreamErr    string     `cbor:"43,keyasint,omitzero"`
	Reason         string     `cbor:"44,keyasint,omitzero"`
	Figure         money.Nano `cbor:"45,keyasint,omitzero"`
	Attributes     []string   `cbor:"46,keyasint,omitzero"`
	Choice         string     `cbor:"47,keyasint,omitzero"`
	Breaker        uint8      `cbor:"48,keyasint,omitzero"`
	Skipped        []string   `cbor:"49,keyasint,omitzero"`
	Abandoned      money.Nano `cbor:"50,keyasint,omitzero"`
}

type decision struct {
	Effect       uint8  `cbor:"1,keyasint,omitzero"`
	Rule         string `cbor:"2,keyasint,omitzero"`
	ShadowEffect uint8  `cbor:"3,keyasint,omitzero"`
	ShadowRule   string `cbor:"4,keyasint,omitzero"`
	Revision     string `cbor:"5,keyasint,omitzero"`
}

type verdict struct {
	Guard    string   `cbor:"1,keyasint,omitzero"`
	Version  string   `cbor:"2,keyasint,omitzero"`
	State    uint8    `cbor:"3,keyasint,omitzero"`
	Action   uint8    `cbor:"4,keyasint,omitzero"`
	Blocking bool     `cbor:"5,keyasint,omitzero"`
	FailOpen bool     `cbor:"6,keyasint,omitzero"`
	Reason   string   `cbor:"7,keyasint,omitzero"`
	Classes  []string `cbor:"8,keyasint,omitzero"`
	Hits     uint32   `cbor:"9,keyasint,omitzero"`
	At       uint64   `cbor:"10,keyasint,omitzero"`
}

type hold struct {
	Budget string     `cbor:"1,keyasint,omitzero"`
	Amount money.Nano `cbor:"2,keyasint,omitzero"`
	Window int64      `cbor:"3,keyasint,omitzero"`
}

// KindOf is the record kind of an event.
func KindOf(k event.Kind) Kind { return Kind(k) }

// AppendEvent encodes an exchange's record without allocating beyond dst.
// Slices that are empty are taken as absent.
func AppendEvent(dst []byte, env *Envelope, e *event.Event) []byte {
	n := uint64(8) // format, kind, version, id, at, writer, number, body
	if env.Actor != "" {
		n++
	}
	if !env.AnswersTo.IsZero() {
		n++
	}
	dst = append(dst, 0xa0|byte(n))
	dst = append(dst, 1, Format, 2)
	dst = appendUint(dst, uint64(env.Kind))
	dst = append(dst, 3)
	dst = appendUint(dst, env.Version)
	dst = append(dst, 4, 0x50)
	dst = append(dst, env.ID[:]...)
	dst = append(dst, 5)
	dst = appendInt(dst, env.At)
	dst = append(dst, 6)
	dst = appendText(dst, env.Writer)
	dst = append(dst, 7)
	dst = appendUint(dst, env.Number)
	if env.Actor != "" {
		dst = append(dst, 8)
		dst = appendText(dst, env.Actor)
	}
	if !env.AnswersTo.IsZero() {
		dst = append(dst, 9, 0x50)
		dst = append(dst, env.AnswersTo[:]...)
	}
	dst = append(dst, 10)
	return appendExchange(dst, e)
}

func decodeExchange(b []byte) (*event.Event, error) {
	var x exchange
	if err := dec.Unmarshal(b, &x); err != nil {
		return nil, fmt.Errorf("%w: exchange: %w", ErrMalformed, err)
	}
	e := x.event()
	if !bytes.Equal(appendExchange(make([]byte, 0, len(b)+2), e), b) {
		return nil, ErrMalformed
	}
	return e, nil
}

func (x *exchange) event() *event.Event {
	e := &event.Event{
		Exchange: x.Exchange, System: x.System, SystemVersion: x.SystemVersion, Key: x.Key, Pseudonym: x.Pseudonym,
		Address: x.Address, Dialect: x.Dialect, Endpoint: x.Endpoint, Stream: x.Stream, ClientRetry: x.ClientRetry,
		ModelAsked: x.ModelAsked, Route: x.Route, Provider: x.Provider, ModelTarget: x.ModelTarget, Region: x.Region,
		Simulated: x.Simulated, Try: x.Try, ConfigRevision: x.ConfigRevision, PriceTable: x.PriceTable,
		Decision: event.Decision{Effect: event.Effect(x.Decision.Effect), Rule: x.Decision.Rule,
			ShadowEffect: event.Effect(x.Decision.ShadowEffect), ShadowRule: x.Decision.ShadowRule, Revision: x.Decision.Revision},
		Commit: event.CommitMode(x.Commit), Prompt: verdicts(x.Prompt), Deadline: x.Deadline, Request: x.Request,
		Status: x.Status, Code: x.Code, End: event.End(x.End), ModelServed: x.ModelServed, Usage: event.Usage(x.Usage),
		Source: event.UsageSource(x.Source), Charge: x.Charge, Held: x.Held, Tries: x.Tries, FirstByte: x.FirstByte,
		Upstream: x.Upstream, Total: x.Total, BytesIn: x.BytesIn, BytesOut: x.BytesOut, Answer: x.Answer,
		AnswerGuard: verdicts(x.AnswerGuard), NotCarried: x.NotCarried, UpstreamErr: x.UpstreamErr,
		Reason: x.Reason, Figure: x.Figure, Attributes: x.Attributes, Choice: x.Choice, Breaker: event.Breaker(x.Breaker), Skipped: x.Skipped, Abandoned: x.Abandoned,
	}
	for _, h := range x.Holds {
		e.Holds = append(e.Holds, event.Hold(h))
	}
	return e
}

func verdicts(in []verdict) []event.Verdict {
	var out []event.Verdict
	for _, v := range in {
		out = append(out, event.Verdict{Guard: v.Guard, Version: v.Version, State: event.VerdictState(v.State), Action: event.Action(v.Action),
			Blocking: v.Blocking, FailOpen: v.FailOpen, Reason: v.Reason, Classes: v.Classes, Hits: v.Hits, At: v.At})
	}
	return out
}

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

type usage struct {
	Input      int64 `cbor:"1,keyasint,omitzero"`
	Output     int64 `cbor:"2,keyasint,omitzero"`
	CacheRead  int64 `cbor:"3,keyasint,omitzero"`
	CacheWrite int64 `cbor:"4,keyasint,omitzero"`
	Reasoning  int64 `cbor:"5,keyasint,omitzero"`

	CacheWrite1h int64  `cbor:"6,keyasint,omitzero"`
	AudioIn      int64  `cbor:"7,keyasint,omitzero"`
	CachedAudio  int64  `cbor:"8,keyasint,omitzero"`
	ImageIn      int64  `cbor:"9,keyasint,omitzero"`
	AudioOut     int64  `cbor:"10,keyasint,omitzero"`
	ImageOut     int64  `cbor:"11,keyasint,omitzero"`
	Images       int64  `cbor:"12,keyasint,omitzero"`
	Characters   int64  `cbor:"13,keyasint,omitzero"`
	Seconds      int64  `cbor:"14,keyasint,omitzero"`
	Searches     int64  `cbor:"15,keyasint,omitzero"`
	Requests     int64  `cbor:"16,keyasint,omitzero"`
	Form         string `cbor:"17,keyasint,omitzero"`
	Batch        bool   `cbor:"18,keyasint,omitzero"`
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

// fields writes a map whose length is known only at its end.
type fields struct {
	b    []byte
	head int
	n    int
}

func openMap(b []byte) fields { return fields{b: append(b, 0, 0), head: len(b)} }

// close puts the count into the shortest head.
func (f *fields) close() []byte {
	if f.n >= 24 {
		f.b[f.head], f.b[f.head+1] = 0xb8, byte(f.n)
		return f.b
	}
	f.b[f.head] = 0xa0 | byte(f.n)
	copy(f.b[f.head+1:], f.b[f.head+2:])
	return f.b[:len(f.b)-1]
}

func (f *fields) key(k uint64) { f.n++; f.b = appendUint(f.b, k) }

func (f *fields) text(k uint64, v string) {
	if v != "" {
		f.key(k)
		f.b = appendText(f.b, v)
	}
}

func (f *fields) uint(k, v uint64) {
	if v != 0 {
		f.key(k)
		f.b = appendUint(f.b, v)
	}
}

func (f *fields) int(k uint64, v int64) {
	if v != 0 {
		f.key(k)
		f.b = appendInt(f.b, v)
	}
}

func (f *fields) bool(k uint64, v bool) {
	if v {
		f.key(k)
		f.b = append(f.b, 0xf5)
	}
}

func (f *fields) hash(k uint64, v *[32]byte) {
	if *v != ([32]byte{}) {
		f.key(k)
		f.b = append(append(f.b, 0x58, 32), v[:]...)
	}
}

func (f *fields) texts(k uint64, v []string) {
	if len(v) == 0 {
		return
	}
	f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for _, s := range v {
		f.b = appendText(f.b, s)
	}
}

func (f *fields) verdicts(k uint64, v []event.Verdict) {
	if len(v) == 0 {
		return
	}
	f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for i := range v {
		x := &v[i]
		m := openMap(f.b)
		m.text(1, x.Guard)
		m.text(2, x.Version)
		m.uint(3, uint64(x.State))
		m.uint(4, uint64(x.Action))
		m.bool(5, x.Blocking)
		m.bool(6, x.FailOpen)
		m.text(7, x.Reason)
		m.texts(8, x.Classes)
		m.uint(9, uint64(x.Hits))
		m.uint(10, x.At)
		f.b = m.close()
	}
}

func (f *fields) holds(k uint64, v []event.Hold) {
	if len(v) == 0 {
		return
	}
	f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for i := range v {
		m := openMap(f.b)
		m.text(1, v[i].Budget)
		m.int(2, int64(v[i].Amount))
		m.int(3, v[i].Window)
		f.b = m.close()
	}
}

func (f *fields) decision(k uint64, d *event.Decision) {
	if *d == (event.Decision{}) {
		return
	}
	f.key(k)
	m := openMap(f.b)
	m.uint(1, uint64(d.Effect))
	m.text(2, d.Rule)
	m.uint(3, uint64(d.ShadowEffect))
	m.text(4, d.ShadowRule)
	m.text(5, d.Revision)
	f.b = m.close()
}

func (f *fields) usage(k uint64, u *event.Usage) {
	if *u == (event.Usage{}) {
		return
	}
	f.key(k)
	m := openMap(f.b)
	m.int(1, u.Input)
	m.int(2, u.Output)
	m.int(3, u.CacheRead)
	m.int(4, u.CacheWrite)
	m.int(5, u.Reasoning)
	m.int(6, u.CacheWrite1h)
	m.int(7, u.AudioIn)
	m.int(8, u.CachedAudio)
	m.int(9, u.ImageIn)
	m.int(10, u.AudioOut)
	m.int(11, u.ImageOut)
	m.int(12, u.Images)
	m.int(13, u.Characters)
	m.int(14, u.Seconds)
	m.int(15, u.Searches)
	m.int(16, u.Requests)
	m.text(17, u.Form)
	m.bool(18, u.Batch)
	f.b = m.close()
}

func appendExchange(dst []byte, e *event.Event) []byte {
	f := openMap(dst)
	f.key(1)
	f.b = append(append(f.b, 0x50), e.Exchange[:]...)
	f.text(2, e.System)
	f.uint(3, uint64(e.SystemVersion))
	f.text(4, e.Key)
	if e.Pseudonym != ([16]byte{}) {
		f.key(5)
		f.b = append(append(f.b, 0x50), e.Pseudonym[:]...)
	}
	f.text(6, e.Address)
	f.text(7, e.Dialect)
	f.text(8, e.Endpoint)
	f.bool(9, e.Stream)
	f.uint(10, uint64(e.ClientRetry))
	f.text(11, e.ModelAsked)
	f.text(12, e.Route)
	f.text(13, e.Provider)
	f.text(14, e.ModelTarget)
	f.text(15, e.Region)
	f.bool(16, e.Simulated)
	f.uint(17, uint64(e.Try))
	f.uint(18, e.ConfigRevision)
	f.text(19, e.PriceTable)
	f.decision(20, &e.Decision)
	f.uint(21, uint64(e.Commit))
	f.verdicts(22, e.Prompt)
	f.holds(23, e.Holds)
	f.int(24, e.Deadline)
	f.hash(25, &e.Request)
	f.uint(26, uint64(e.Status))
	f.text(27, e.Code)
	f.uint(28, uint64(e.End))
	f.text(29, e.ModelServed)
	f.usage(30, &e.Usage)
	f.uint(31, uint64(e.Source))
	f.int(32, int64(e.Charge))
	f.int(33, int64(e.Held))
	f.uint(34, uint64(e.Tries))
	f.int(35, e.FirstByte)
	f.int(36, e.Upstream)
	f.int(37, e.Total)
	f.uint(38, e.BytesIn)
	f.uint(39, e.BytesOut)
	f.hash(40, &e.Answer)
	f.verdicts(41, e.AnswerGuard)
	f.texts(42, e.NotCarried)
	f.text(43, e.UpstreamErr)
	f.text(44, e.Reason)
	f.int(45, int64(e.Figure))
	return f.close()
}

// appendHead writes a major type (in the high three bits) with its argument in
// the shortest form.
func appendHead(b []byte, major byte, v uint64) []byte {
	switch {
	case v < 24:
		return append(b, major|byte(v))
	case v <= 0xff:
		return append(b, major|24, byte(v))
	case v <= 0xffff:
		return append(b, major|25, byte(v>>8), byte(v))
	case v <= 0xffffffff:
		return append(b, major|26, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return append(b, major|27, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func appendUint(b []byte, v uint64) []byte { return appendHead(b, 0x00, v) }

func appendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, 0x20, uint64(-1-v))
	}
	return appendHead(b, 0x00, uint64(v))
}

func appendText(b []byte, s string) []byte { return append(appendHead(b, 0x60, uint64(len(s))), s...) }

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
		Reason: x.Reason, Figure: x.Figure,
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

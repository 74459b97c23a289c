package record

import (
	"bytes"
	"unicode/utf8"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

// Decoder decodes many records one after the other. Texts that come again and
// again (systems, models, guards) are kept once. It is for one goroutine; the
// zero Decoder is ready.
type Decoder struct {
	texts map[string]string
}

// maxTexts bounds what a Decoder keeps; a full one begins anew.
const maxTexts = 4096

// Decode is the function Decode.
func (d *Decoder) Decode(b []byte) (*Record, error) {
	if r, ok := d.exchange(b); ok {
		return r, nil
	}
	return decode(b)
}

// exchange reads an exchange's record without reflection, which costs a tenth of
// the general way. It is lenient in form and strict at the end: what it has read
// must encode to the same bytes. Whatever is not so is left to the general
// decoder, which knows why.
func (d *Decoder) exchange(b []byte) (*Record, bool) {
	if len(b) > MaxSize {
		return nil, false
	}
	var both struct {
		Record
		event.Event
	}
	env, e := &both.Envelope, &both.Event
	r := reader{b: b, d: d}
	format := uint64(0)
	for n := r.head(0xa0); n > 0 && !r.bad; n-- {
		switch r.uint() {
		case 1:
			format = r.uint()
		case 2:
			env.Kind = Kind(r.uint())
		case 3:
			env.Version = r.uint()
		case 4:
			r.bytes(env.ID[:])
		case 5:
			env.At = r.int()
		case 6:
			env.Writer = r.text()
		case 7:
			env.Number = r.uint()
		case 8:
			env.Actor = r.text()
		case 9:
			r.bytes(env.AnswersTo[:])
		case 10:
			kind, known := kinds[env.Kind]
			if format != Format || !known || kind.body != nil || kind.version != env.Version {
				return nil, false
			}
			r.event(e)
			e.Kind, e.At = kind.event, env.At
		default:
			return nil, false
		}
	}
	if r.bad || len(r.b) > 0 || e.Kind == 0 {
		return nil, false
	}
	var stack [1536]byte
	if !bytes.Equal(AppendEvent(stack[:0], env, e), b) {
		return nil, false
	}
	both.Body = e
	return &both.Record, true
}

// reader takes bytes off b. After an error it is bad and gives zeros.
type reader struct {
	b   []byte
	d   *Decoder
	bad bool
}

// head reads a type and its argument.
func (r *reader) head(major byte) uint64 {
	got, v := r.any()
	if got != major {
		r.bad = true
		return 0
	}
	return v
}

func (r *reader) any() (major byte, v uint64) {
	if len(r.b) == 0 {
		r.bad = true
		return 0, 0
	}
	major, v = r.b[0]&0xe0, uint64(r.b[0]&0x1f)
	r.b = r.b[1:]
	if v < 24 {
		return major, v
	}
	size := 1 << (v - 24)
	if v > 27 || len(r.b) < size {
		r.bad = true
		return 0, 0
	}
	v = 0
	for _, c := range r.b[:size] {
		v = v<<8 | uint64(c)
	}
	r.b = r.b[size:]
	return major, v
}

func (r *reader) uint() uint64 { return r.head(0x00) }

func (r *reader) int() int64 {
	major, v := r.any()
	switch major {
	case 0x00:
		return int64(v)
	case 0x20:
		return -1 - int64(v)
	}
	r.bad = true
	return 0
}

// take gives the next n bytes.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) bytes(dst []byte) {
	b := r.take(r.head(0x40))
	if len(b) != len(dst) {
		r.bad = true
		return
	}
	copy(dst, b)
}

func (r *reader) text() string {
	b := r.take(r.head(0x60))
	if s, ok := r.d.texts[string(b)]; ok {
		return s
	}
	if !utf8.Valid(b) {
		r.bad = true
		return ""
	}
	if r.d.texts == nil || len(r.d.texts) >= maxTexts {
		r.d.texts = make(map[string]string, 64)
	}
	s := string(b)
	r.d.texts[s] = s
	return s
}

func (r *reader) bool() bool {
	b := r.take(1)
	if r.bad || b[0] != 0xf5 { // false is never written
		r.bad = true
		return false
	}
	return true
}

// list reads the length of a list whose items have at least a byte each.
func (r *reader) list() int {
	n := r.head(0x80)
	if n == 0 || n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) texts() []string {
	out := make([]string, r.list())
	for i := range out {
		out[i] = r.text()
	}
	return out
}

func (r *reader) event(e *event.Event) {
	for n := r.head(0xa0); n > 0 && !r.bad; n-- {
		switch r.uint() {
		case 1:
			r.bytes(e.Exchange[:])
		case 2:
			e.System = r.text()
		case 3:
			e.SystemVersion = uint32(r.uint())
		case 4:
			e.Key = r.text()
		case 5:
			r.bytes(e.Pseudonym[:])
		case 6:
			e.Address = r.text()
		case 7:
			e.Dialect = r.text()
		case 8:
			e.Endpoint = r.text()
		case 9:
			e.Stream = r.bool()
		case 10:
			e.ClientRetry = uint32(r.uint())
		case 11:
			e.ModelAsked = r.text()
		case 12:
			e.Route = r.text()
		case 13:
			e.Provider = r.text()
		case 14:
			e.ModelTarget = r.text()
		case 15:
			e.Region = r.text()
		case 16:
			e.Simulated = r.bool()
		case 17:
			e.Try = uint32(r.uint())
		case 18:
			e.ConfigRevision = r.uint()
		case 19:
			e.PriceTable = r.text()
		case 20:
			r.decision(&e.Decision)
		case 21:
			e.Commit = event.CommitMode(r.uint())
		case 22:
			e.Prompt = r.verdicts()
		case 23:
			e.Holds = r.holds()
		case 24:
			e.Deadline = r.int()
		case 25:
			r.bytes(e.Request[:])
		case 26:
			e.Status = uint32(r.uint())
		case 27:
			e.Code = r.text()
		case 28:
			e.End = event.End(r.uint())
		case 29:
			e.ModelServed = r.text()
		case 30:
			r.usage(&e.Usage)
		case 31:
			e.Source = event.UsageSource(r.uint())
		case 32:
			e.Charge = money.Nano(r.int())
		case 33:
			e.Held = money.Nano(r.int())
		case 34:
			e.Tries = uint32(r.uint())
		case 35:
			e.FirstByte = r.int()
		case 36:
			e.Upstream = r.int()
		case 37:
			e.Total = r.int()
		case 38:
			e.BytesIn = r.uint()
		case 39:
			e.BytesOut = r.uint()
		case 40:
			r.bytes(e.Answer[:])
		case 41:
			e.AnswerGuard = r.verdicts()
		case 42:
			e.NotCarried = r.texts()
		case 43:
			e.UpstreamErr = r.text()
		case 44:
			e.Reason = r.text()
		case 45:
			e.Figure = money.Nano(r.int())
		case 46:
			e.Attributes = r.texts()
		case 47:
			e.Choice = r.text()
		case 48:
			e.Breaker = event.Breaker(r.uint())
		case 49:
			e.Skipped = r.texts()
		case 50:
			e.Abandoned = money.Nano(r.int())
		default:
			r.bad = true
		}
	}
}

func (r *reader) decision(d *event.Decision) {
	for n := r.head(0xa0); n > 0 && !r.bad; n-- {
		switch r.uint() {
		case 1:
			d.Effect = event.Effect(r.uint())
		case 2:
			d.Rule = r.text()
		case 3:
			d.ShadowEffect = event.Effect(r.uint())
		case 4:
			d.ShadowRule = r.text()
		case 5:
			d.Revision = r.text()
		default:
			r.bad = true
		}
	}
}

func (r *reader) verdicts() []event.Verdict {
	out := make([]event.Verdict, r.list())
	for i := range out {
		v := &out[i]
		for n := r.head(0xa0); n > 0 && !r.bad; n-- {
			switch r.uint() {
			case 1:
				v.Guard = r.text()
			case 2:
				v.Version = r.text()
			case 3:
				v.State = event.VerdictState(r.uint())
			case 4:
				v.Action = event.Action(r.uint())
			case 5:
				v.Blocking = r.bool()
			case 6:
				v.FailOpen = r.bool()
			case 7:
				v.Reason = r.text()
			case 8:
				v.Classes = r.texts()
			case 9:
				v.Hits = uint32(r.uint())
			case 10:
				v.At = r.uint()
			default:
				r.bad = true
			}
		}
	}
	return out
}

func (r *reader) holds() []event.Hold {
	out := make([]event.Hold, r.list())
	for i := range out {
		h := &out[i]
		for n := r.head(0xa0); n > 0 && !r.bad; n-- {
			switch r.uint() {
			case 1:
				h.Budget = r.text()
			case 2:
				h.Amount = money.Nano(r.int())
			case 3:
				h.Window = r.int()
			default:
				r.bad = true
			}
		}
	}
	return out
}

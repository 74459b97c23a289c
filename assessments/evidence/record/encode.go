package record

import (
	"math/bits"

	"plumbline/gateway/event"
)

// fields writes a map whose length is known only at its end. It is handed on by
// value, small enough that all of it stays in registers: a record has a hundred
// fields, and every exchange two records.
type fields struct {
	b []byte
	n int // fields so far
}

// openShort leaves room for the head of a map that has at most 23 fields.
func openShort(b []byte) (f fields, head int) { return fields{b: append(b, 0)}, len(b) }

func (f fields) closeShort(head int) []byte {
	f.b[head] = 0xa0 | byte(f.n)
	return f.b
}

// openMap leaves room for the head of a map of any size.
func openMap(b []byte) (f fields, head int) { return fields{b: append(b, 0, 0)}, len(b) }

// close puts the count into the shortest head.
func (f fields) close(head int) []byte {
	if f.n >= 24 {
		f.b[head], f.b[head+1] = 0xb8, byte(f.n)
		return f.b
	}
	f.b[head] = 0xa0 | byte(f.n)
	copy(f.b[head+1:], f.b[head+2:])
	return f.b[:len(f.b)-1]
}

// key writes a field's number, at most 255.
func (f fields) key(k byte) fields {
	if k < 24 {
		return fields{append(f.b, k), f.n + 1}
	}
	return fields{append(f.b, 0x18, k), f.n + 1}
}

func (f fields) text(k byte, v string) fields {
	if v == "" {
		return f
	}
	if k < 24 && len(v) < 24 { // nearly all
		return fields{append(append(f.b, k, 0x60|byte(len(v))), v...), f.n + 1}
	}
	f = f.key(k)
	f.b = appendText(f.b, v)
	return f
}

func (f fields) uint(k byte, v uint64) fields {
	if v == 0 {
		return f
	}
	if k < 24 && v < 24 {
		return fields{append(f.b, k, byte(v)), f.n + 1}
	}
	return f.number(k, 0x00, v)
}

func (f fields) int(k byte, v int64) fields {
	switch {
	case v == 0:
		return f
	case v < 0:
		return f.number(k, 0x20, uint64(-1-v))
	}
	return f.number(k, 0x00, uint64(v))
}

// number writes a field's number and what appendHead would, without a branch that
// depends on the value: room for the longest, of which the rest is given back.
func (f fields) number(k, major byte, v uint64) fields {
	s := &headSizes[bits.Len64(v)]
	info, n := s.info, int(s.follow)
	if v < 24 {
		info, n = byte(v), 0
	}
	if f.n++; k >= 24 {
		f.b = append(f.b, 0x18)
	}
	v <<= (64 - 8*n) & 63 // at n of 0 nothing of it is kept
	f.b = append(f.b, k, major|info, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	f.b = f.b[:len(f.b)-8+n]
	return f
}

// headSizes are a head's lowest bits and how many bytes follow it, by the bits of an
// argument that is not written into it.
var headSizes = func() (t [65]struct{ info, follow uint8 }) {
	for n := range t {
		for t[n].info, t[n].follow = 24, 1; 8*int(t[n].follow) < n; {
			t[n].info, t[n].follow = t[n].info+1, 2*t[n].follow
		}
	}
	return t
}()

func (f fields) bool(k byte, v bool) fields {
	if v {
		f = f.key(k)
		f.b = append(f.b, 0xf5)
	}
	return f
}

func (f fields) hash(k byte, v *[32]byte) fields {
	if *v != ([32]byte{}) {
		f = f.key(k)
		f.b = append(append(f.b, 0x58, 32), v[:]...)
	}
	return f
}

func (f fields) id(k byte, v *[16]byte) fields {
	if *v != ([16]byte{}) {
		f = f.key(k)
		f.b = append(append(f.b, 0x50), v[:]...)
	}
	return f
}

func (f fields) texts(k byte, v []string) fields {
	if len(v) == 0 {
		return f
	}
	f = f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for _, s := range v {
		f.b = appendText(f.b, s)
	}
	return f
}

func (f fields) verdicts(k byte, v []event.Verdict) fields {
	if len(v) == 0 {
		return f
	}
	f = f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for i := range v {
		x := &v[i]
		m, head := openShort(f.b)
		m = m.text(1, x.Guard)
		m = m.text(2, x.Version)
		m = m.uint(3, uint64(x.State))
		m = m.uint(4, uint64(x.Action))
		m = m.bool(5, x.Blocking)
		m = m.bool(6, x.FailOpen)
		m = m.text(7, x.Reason)
		m = m.texts(8, x.Classes)
		m = m.uint(9, uint64(x.Hits))
		m = m.uint(10, x.At)
		f.b = m.closeShort(head)
	}
	return f
}

func (f fields) holds(k byte, v []event.Hold) fields {
	if len(v) == 0 {
		return f
	}
	f = f.key(k)
	f.b = appendHead(f.b, 0x80, uint64(len(v)))
	for i := range v {
		m, head := openShort(f.b)
		m = m.text(1, v[i].Budget)
		m = m.int(2, int64(v[i].Amount))
		m = m.int(3, v[i].Window)
		f.b = m.closeShort(head)
	}
	return f
}

func (f fields) decision(k byte, d *event.Decision) fields {
	if *d == (event.Decision{}) {
		return f
	}
	f = f.key(k)
	m, head := openShort(f.b)
	m = m.uint(1, uint64(d.Effect))
	m = m.text(2, d.Rule)
	m = m.uint(3, uint64(d.ShadowEffect))
	m = m.text(4, d.ShadowRule)
	m = m.text(5, d.Revision)
	f.b = m.closeShort(head)
	return f
}

func (f fields) usage(k byte, u *event.Usage) fields {
	if *u == (event.Usage{}) {
		return f
	}
	f = f.key(k)
	m, head := openShort(f.b)
	m = m.int(1, u.Input)
	m = m.int(2, u.Output)
	m = m.int(3, u.CacheRead)
	m = m.int(4, u.CacheWrite)
	m = m.int(5, u.Reasoning)
	if u.CacheWrite1h|u.AudioIn|u.CachedAudio|u.ImageIn|u.AudioOut|u.ImageOut|u.Images|u.Characters|u.Seconds|u.Searches|u.Requests != 0 { // few have any
		m = m.int(6, u.CacheWrite1h)
		m = m.int(7, u.AudioIn)
		m = m.int(8, u.CachedAudio)
		m = m.int(9, u.ImageIn)
		m = m.int(10, u.AudioOut)
		m = m.int(11, u.ImageOut)
		m = m.int(12, u.Images)
		m = m.int(13, u.Characters)
		m = m.int(14, u.Seconds)
		m = m.int(15, u.Searches)
		m = m.int(16, u.Requests)
	}
	m = m.text(17, u.Form)
	m = m.bool(18, u.Batch)
	m = m.text(19, u.Tier)
	f.b = m.closeShort(head)
	return f
}

func appendExchange(dst []byte, e *event.Event) []byte {
	f, head := openMap(dst)
	f = f.key(1)
	f.b = append(append(f.b, 0x50), e.Exchange[:]...)
	f = f.text(2, e.System)
	f = f.uint(3, uint64(e.SystemVersion))
	f = f.text(4, e.Key)
	f = f.id(5, &e.Pseudonym)
	f = f.text(6, e.Address)
	f = f.text(7, e.Dialect)
	f = f.text(8, e.Endpoint)
	f = f.bool(9, e.Stream)
	f = f.uint(10, uint64(e.ClientRetry))
	f = f.text(11, e.ModelAsked)
	f = f.text(12, e.Route)
	f = f.text(13, e.Provider)
	f = f.text(14, e.ModelTarget)
	f = f.text(15, e.Region)
	f = f.bool(16, e.Simulated)
	f = f.uint(17, uint64(e.Try))
	f = f.uint(18, e.ConfigRevision)
	f = f.text(19, e.PriceTable)
	f = f.decision(20, &e.Decision)
	f = f.uint(21, uint64(e.Commit))
	f = f.verdicts(22, e.Prompt)
	f = f.holds(23, e.Holds)
	f = f.int(24, e.Deadline)
	f = f.hash(25, &e.Request)
	f = f.uint(26, uint64(e.Status))
	f = f.text(27, e.Code)
	f = f.uint(28, uint64(e.End))
	f = f.text(29, e.ModelServed)
	f = f.usage(30, &e.Usage)
	f = f.uint(31, uint64(e.Source))
	f = f.int(32, int64(e.Charge))
	f = f.int(33, int64(e.Held))
	f = f.uint(34, uint64(e.Tries))
	f = f.int(35, e.FirstByte)
	f = f.int(36, e.Upstream)
	f = f.int(37, e.Total)
	f = f.uint(38, e.BytesIn)
	f = f.uint(39, e.BytesOut)
	f = f.hash(40, &e.Answer)
	f = f.verdicts(41, e.AnswerGuard)
	f = f.texts(42, e.NotCarried)
	f = f.text(43, e.UpstreamErr)
	f = f.text(44, e.Reason)
	f = f.int(45, int64(e.Figure))
	f = f.texts(46, e.Attributes)
	f = f.text(47, e.Choice)
	f = f.uint(48, uint64(e.Breaker))
	f = f.texts(49, e.Skipped)
	f = f.int(50, int64(e.Abandoned))
	return f.close(head)
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

func appendText(b []byte, s string) []byte {
	if len(s) < 24 {
		return append(append(b, 0x60|byte(len(s))), s...)
	}
	return append(appendHead(b, 0x60, uint64(len(s))), s...)
}

package price

import (
	"math/bits"
	"slices"
	"strings"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

// Rate is what a model costs at one time. It is immutable and may be copied.
type Rate struct {
	standard, batch []tier
	flex, priority  []tier     // of service tiers; the standard ones where the table has none
	characters      money.Nano // for a million
	hour            money.Nano // of sound
	image           money.Nano // each; the dearest form's when there are forms
	request         money.Nano // each; the same
	search          money.Nano // each
	forms           []form

	MaxOutput int64 // most output tokens of one answer; 0 when unknown
}

// tier is what tokens cost in a call whose input has more of them than above, in
// nano-dollars per million. The first tier of a rate begins at -1.
type tier struct {
	above                                                            int64
	input, cacheRead, cacheWrite, cacheWrite1h, audioIn, cachedAudio money.Nano
	imageIn, output, reasoning, audioOut, imageOut                   money.Nano
}

type form struct {
	name           string
	words          []string
	image, request money.Nano
}

// parts are a usage's tokens, each in one part alone.
type parts struct {
	input, output                                              int64 // the sums
	plain, read, write, write1h, audioIn, cachedAudio, imageIn int64
	text, reasoning, audioOut, imageOut                        int64
}

// split takes a usage apart. Counts that are not known are taken as none, and a
// part never has more than the whole leaves it; a whole that is smaller than what
// it must hold is raised to that, for some providers leave parts out of their sums.
func split(u *event.Usage) (p parts) {
	p.read, p.write = max(u.CacheRead, 0), max(u.CacheWrite, u.CacheWrite1h, 0)
	p.write1h = max(u.CacheWrite1h, 0)
	p.input = max(u.Input, p.read+p.write)
	fresh := p.input - p.read - p.write
	p.cachedAudio = min(max(u.CachedAudio, 0), p.read)
	p.audioIn = min(max(u.AudioIn-p.cachedAudio, 0), fresh)
	p.imageIn = min(max(u.ImageIn, 0), fresh-p.audioIn)
	p.plain = fresh - p.audioIn - p.imageIn
	p.read -= p.cachedAudio
	p.write -= p.write1h

	p.reasoning = max(u.Reasoning, 0)
	p.output = max(u.Output, p.reasoning)
	p.audioOut = min(max(u.AudioOut, 0), p.output-p.reasoning)
	p.imageOut = min(max(u.ImageOut, 0), p.output-p.reasoning-p.audioOut)
	p.text = p.output - p.reasoning - p.audioOut - p.imageOut
	return p
}

// Cost of a usage, rounded up to a whole nano-dollar. What is not known costs
// nothing, and a call of which nothing was counted at all is free. A form that the
// rate does not have, or none where it has some, costs what the dearest does.
func (r *Rate) Cost(u event.Usage) money.Nano {
	if nothing(u) {
		return 0
	}
	p := split(&u)
	t := r.tier(&u, p.input)
	var sum wide
	sum.add(p.plain, t.input)
	sum.add(p.read, t.cacheRead)
	sum.add(p.cachedAudio, t.cachedAudio)
	sum.add(p.write, t.cacheWrite)
	sum.add(p.write1h, t.cacheWrite1h)
	sum.add(p.audioIn, t.audioIn)
	sum.add(p.imageIn, t.imageIn)
	sum.add(p.text, t.output)
	sum.add(p.reasoning, t.reasoning)
	sum.add(p.audioOut, t.audioOut)
	sum.add(p.imageOut, t.imageOut)
	return sum.over(million).Add(r.rest(&u))
}

// Ceiling is the most that a call can cost whose counts are at most those of most:
// all its input at the dearest price that input can have, and its output likewise.
// What most has none of (0) the call has none of; what it does not know (-1) the
// call may be all of, as far as it is tokens. Other counts that are not known are
// not held for. A call that asks for a service tier may be served in the standard one.
func (r *Rate) Ceiling(most event.Usage) money.Nano {
	if nothing(most) {
		return 0
	}
	p := split(&most)
	var in, out money.Nano
	tiers := r.tiers(&most)
	if most.Tier != "" && !most.Batch {
		tiers = slices.Concat(tiers, r.standard)
	}
	for i := range tiers {
		t := &tiers[i]
		if p.input <= t.above {
			continue
		}
		in = max(in, t.input, t.cacheRead, t.cacheWrite)
		out = max(out, t.output, t.reasoning)
		for _, kind := range [...]struct {
			n     int64
			price money.Nano
			of    *money.Nano
		}{{most.CacheWrite1h, t.cacheWrite1h, &in}, {most.AudioIn, t.audioIn, &in}, {most.CachedAudio, t.cachedAudio, &in}, {most.ImageIn, t.imageIn, &in}, {most.AudioOut, t.audioOut, &out}, {most.ImageOut, t.imageOut, &out}} {
			if kind.n != 0 {
				*kind.of = max(*kind.of, kind.price)
			}
		}
	}
	var sum wide
	sum.add(p.input, in)
	sum.add(p.output, out)
	return sum.over(million).Add(r.rest(&most))
}

// rest is what is billed beside tokens: for most calls nothing.
func (r *Rate) rest(u *event.Usage) money.Nano {
	if r.request == 0 && len(r.forms) == 0 && u.Characters <= 0 && u.Seconds <= 0 && u.Images <= 0 && u.Searches <= 0 {
		return 0
	}
	image, request := r.image, r.request
	for i := range r.forms {
		if r.forms[i].name == u.Form {
			image, request = r.forms[i].image, r.forms[i].request
		}
	}
	var chars, sound wide
	chars.add(max(u.Characters, 0), r.characters)
	sound.add(max(u.Seconds, 0), r.hour)
	total := chars.over(million).Add(sound.over(secondsPerHour))
	total = total.Add(times(max(u.Images, 0), image))
	total = total.Add(times(max(u.Searches, 0), r.search))
	return total.Add(times(max(u.Requests, 1), request))
}

// nothing reports whether a usage counts nothing at all.
func nothing(u event.Usage) bool {
	u.Form, u.Batch, u.Tier = "", false, ""
	return u == event.Usage{}
}

// tiers are those of a call by how it is served. A batch has no service tier.
func (r *Rate) tiers(u *event.Usage) []tier {
	switch {
	case u.Batch:
		return r.batch
	case u.Tier == event.TierFlex:
		return r.flex
	case u.Tier == event.TierPriority:
		return r.priority
	}
	return r.standard
}

// tier is the one that a call with so much input is billed at, as a whole.
func (r *Rate) tier(u *event.Usage, input int64) (t tier) {
	for _, x := range r.tiers(u) {
		if input > x.above {
			t = x
		}
	}
	return t
}

// Tiered reports whether the price of a token depends on the size of its call, so that
// the cost of several calls is not that of their sum.
func (r *Rate) Tiered(batch bool) bool { return len(r.tiers(&event.Usage{Batch: batch})) > 1 }

// Apart reports whether the answers whose usage is summed may have cost something else
// than their sum. Where the sum itself is below every step, each of them was.
func (r *Rate) Apart(sum *event.Usage) bool {
	tiers := r.tiers(&event.Usage{Batch: sum.Batch})
	return len(tiers) > 1 && split(sum).input > tiers[1].above
}

// HasForms reports whether the price of a call depends on its form.
func (r *Rate) HasForms() bool { return len(r.forms) > 0 }

// Form is the rate's own word for the form of a call that names these attributes,
// such as an image's size and quality; "" stands for one that the caller did not
// name. A caller who names none gets the first form, which is the vendor's default.
// It is "" when the rate has no such form: the call is then held, and charged, as
// the dearest.
func (r *Rate) Form(attributes ...string) string {
	for i := range r.forms {
		fits := true
		for _, a := range attributes {
			if a != "" && !slices.Contains(r.forms[i].words, strings.ToLower(a)) {
				fits = false
			}
		}
		if fits {
			return r.forms[i].name
		}
	}
	return ""
}

const (
	million        = 1_000_000
	secondsPerHour = 3600
	most           = 1<<63 - 1
)

func times(n int64, each money.Nano) money.Nano {
	var w wide
	w.add(n, each)
	return w.over(1)
}

// wide is a 128-bit sum of counts times prices.
type wide struct{ hi, lo uint64 }

func (w *wide) add(n int64, price money.Nano) {
	hi, lo := bits.Mul64(uint64(n), uint64(price))
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

// over divides, rounding up, and stays at the largest amount when the result is
// beyond it.
func (w wide) over(divisor uint64) money.Nano {
	if w.hi >= divisor {
		return most
	}
	q, rest := bits.Div64(w.hi, w.lo, divisor)
	if q >= most {
		return most
	}
	if rest > 0 {
		q++
	}
	return money.Nano(q)
}

package routing

import (
	"slices"
	"time"

	"plumbline/app/money"
	"plumbline/inventory"
)

// Why targets are passed over. They are recorded.
const (
	RegionNotAllowed = "region_not_allowed"
	NotMeant         = "condition"
	CircuitOpen      = "circuit_open"
	RateLimited      = "rate_limited"
)

// Why a target was chosen. They are recorded; beside them stand the strategies.
const (
	Only     = "only"     // the route has no other
	Bypass   = "bypass"   // those before it are not in health
	Failover = "failover" // those before it failed this call
	Retry    = "retry"    // it failed this call, and is asked again
	AllOpen  = "all_open" // none is in health, and it comes back first
)

// Skip is a target that was passed over, and why.
type Skip struct {
	Provider inventory.ProviderID
	Model    string
	Why      string
}

// Plan is the order in which targets are asked for one call. It belongs to one
// goroutine, and its memory can be used again after Reset.
type Plan struct {
	Target *Target // asked now; nil: none is left
	Why    string  // it was chosen
	Try    Try     // at it

	route   *Route
	order   []*Target
	prices  []priced
	skipped []Skip
	next    int
	tried   int
}

type priced struct {
	price money.Nano
	known bool
}

// Reset makes a plan empty, and ends its attempt without a result.
func (p *Plan) Reset(now time.Time) {
	p.Try.End(now, Nothing, "", 0)
	clear(p.order)
	*p = Plan{order: p.order[:0], prices: p.prices[:0], skipped: p.skipped[:0]}
}

// Skipped lists what was passed over. It holds until the next call.
func (p *Plan) Skipped() []Skip { return p.skipped }

// Blocked is the code of why no target can take the call: the weightiest of those why
// they were passed over.
func (p *Plan) Blocked() string {
	code := ""
	for _, s := range p.skipped {
		if s.Why == RegionNotAllowed {
			return s.Why
		}
		if code == "" || code == NotMeant {
			code = s.Why
		}
	}
	return code
}

// Refuse notes that a target that was next cannot take the call after all.
func (p *Plan) Refuse(why string) {
	p.skip(p.Target, why)
	p.tried--
}

// Left reports whether a target is left to fail over to.
func (p *Plan) Left() bool { return p.next < len(p.order) }

func (p *Plan) skip(t *Target, why string) {
	p.skipped = append(p.skipped, Skip{t.Provider, t.Model, why})
}

// Make fills an empty plan with the targets that may take the call, in the order of
// the route's strategy.
func (p *Plan) Make(r *Route, f *Facts, c Call, now time.Time) {
	p.route = r
	for i := range r.targets {
		t := &r.targets[i]
		if why := t.cannot(f, c); why != "" {
			p.skip(t, why)
			continue
		}
		p.order = append(p.order, t)
	}
	if r.strategy == inventory.ByPriority || len(p.order) < 2 {
		return
	}
	for from := 0; from < len(p.order); {
		to := from + 1
		for to < len(p.order) && slices.Equal(p.order[to].tier, p.order[from].tier) {
			to++
		}
		p.arrange(p.order[from:to], c, now.UnixNano())
		from = to
	}
}

// arrange orders the targets of one tier.
func (p *Plan) arrange(tier []*Target, c Call, now int64) {
	if len(tier) < 2 {
		return
	}
	switch p.route.strategy {
	case inventory.ByWeight:
		byWeight(tier, p.route.rand)
	case inventory.RoundRobin:
		if n := readyFirst(tier, now); n > 1 {
			rotate(tier[:n], int((p.route.turn.Add(1)-1)%uint64(n)))
		}
	case inventory.ByLatency:
		byLatency(tier, p.route.rand, now)
	case inventory.ByCost:
		p.byCost(tier, c)
	}
}

// readyFirst moves those that may be asked now before the others, and keeps the order
// of either. It returns how many may be asked.
func readyFirst(tier []*Target, now int64) int {
	n := 0
	for i, t := range tier {
		if t.ready(now) {
			copy(tier[n+1:i+1], tier[n:i])
			tier[n] = t
			n++
		}
	}
	return n
}

func rotate(list []*Target, by int) {
	slices.Reverse(list[:by])
	slices.Reverse(list[by:])
	slices.Reverse(list)
}

// byWeight draws without putting back, so that what is left when some fail keeps its
// proportions. Those of weight 0 come last.
func byWeight(tier []*Target, random func() uint64) {
	var sum uint64
	for _, t := range tier {
		sum += t.weight
	}
	for ; sum > 0 && len(tier) > 1; tier = tier[1:] {
		at := 0
		for r := random() % sum; r >= tier[at].weight; at++ {
			r -= tier[at].weight
		}
		t := tier[at]
		copy(tier[1:at+1], tier[:at])
		tier[0] = t
		sum -= t.weight
	}
}

// byLatency picks two by chance and asks the one with less load first: the choice
// among all would send every call of a moment to the same one. One that is due for a
// probe goes before, for nothing else would find out that it came back.
func byLatency(tier []*Target, random func() uint64, now int64) {
	n := readyFirst(tier, now)
	for i, t := range tier[:n] {
		if t.due(now) {
			tier[0], tier[i] = tier[i], tier[0]
			return
		}
	}
	if n < 2 {
		return
	}
	a := int(random() % uint64(n))
	tier[0], tier[a] = tier[a], tier[0]
	b := 1 + int(random()%uint64(n-1))
	tier[1], tier[b] = tier[b], tier[1]
	if tier[1].load(now) < tier[0].load(now) {
		tier[0], tier[1] = tier[1], tier[0]
	}
}

// byCost puts the cheapest first, and those without a price last.
func (p *Plan) byCost(tier []*Target, c Call) {
	p.prices = p.prices[:0]
	for i, t := range tier {
		v := priced{}
		v.price, v.known = c.Price(t)
		p.prices = append(p.prices, v)
		for k := i; k > 0 && cheaper(p.prices[k], p.prices[k-1]); k-- {
			p.prices[k], p.prices[k-1] = p.prices[k-1], p.prices[k]
			tier[k], tier[k-1] = tier[k-1], tier[k]
		}
	}
}

func cheaper(a, b priced) bool { return a.known && (!b.known || a.price < b.price) }

// Next moves to the next target that may be asked now, and takes a place at it; false
// when none is left. regions are those allowed now. When none that was not asked yet
// is in health, and nothing was asked before, the one that comes back first is asked.
func (p *Plan) Next(now time.Time, regions []string) bool {
	at := now.UnixNano()
	p.Try.End(now, Nothing, "", 0)
	p.Target = nil
	passed := false
	for p.next < len(p.order) {
		t := p.order[p.next]
		p.next++
		if !t.InRegion(regions) {
			p.skip(t, RegionNotAllowed)
			continue
		}
		try, ok := t.admit(at, false)
		if !ok {
			why := CircuitOpen
			if t.limited.Load() > at {
				why = RateLimited
			}
			p.skip(t, why)
			passed = true
			continue
		}
		p.take(t, try, p.reason(passed))
		return true
	}
	if p.tried > 0 {
		return false
	}
	var best *Target
	for _, t := range p.order {
		if t.InRegion(regions) && (best == nil || t.comesBack() < best.comesBack()) {
			best = t
		}
	}
	if best == nil {
		return false
	}
	try, _ := best.admit(at, true)
	p.skipped = slices.DeleteFunc(p.skipped, func(s Skip) bool { return s.Provider == best.Provider && s.Model == best.Model && s.Why != NotMeant })
	why := AllOpen
	if len(p.route.targets) == 1 {
		why = Only
	}
	p.take(best, try, why)
	return true
}

func (p *Plan) take(t *Target, try Try, why string) {
	p.Target, p.Try, p.Why = t, try, why
	p.tried++
}

func (p *Plan) reason(passed bool) string {
	switch {
	case p.tried > 0:
		return Failover
	case passed:
		return Bypass
	case len(p.route.targets) == 1:
		return Only
	}
	return string(p.route.strategy)
}

// Again takes another place at a target that failed, to ask it once more. It does not
// while the target's breaker is not closed, however the call came to be sent there, nor
// beyond the provider's share of retries: then it reports false, and no target is left.
func (p *Plan) Again(t *Target, now time.Time) bool {
	p.Try.End(now, Nothing, "", 0)
	p.Target = nil
	if !t.retries.take(now, State(t.state.Load())) {
		return false
	}
	p.anew(t, now)
	return true
}

// Rekeyed takes another place at a target whose provider did not take the key: the call
// is sent there with another one, whatever the breaker says, and is no retry.
func (p *Plan) Rekeyed(t *Target, now time.Time) {
	p.Try.End(now, Nothing, "", 0)
	p.anew(t, now)
}

func (p *Plan) anew(t *Target, now time.Time) {
	try, _ := t.admit(now.UnixNano(), true)
	try.again = true
	p.take(t, try, Retry)
}

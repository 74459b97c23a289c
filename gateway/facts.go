package gateway

import (
	"net/http"
	"strings"

	"plumbline/app/money"
	"plumbline/gateway/event"
)

// The headers by which an app learns what became of its call. The id of the exchange
// is in X-Request-Id too.
const (
	hdrExchange   = "X-Plumbline-Exchange"
	hdrProvider   = "X-Plumbline-Provider"
	hdrModel      = "X-Plumbline-Model"       // as the provider names what answered
	hdrCost       = "X-Plumbline-Cost"        // in dollars; not on streams, whose cost is known at their end
	hdrCache      = "X-Plumbline-Cache"       // hit or none
	hdrPolicy     = "X-Plumbline-Policy"      // allow, or the rule that decided
	hdrNotCarried = "X-Plumbline-Not-Carried" // fields that did not reach the provider
)

var (
	cacheNone   = []string{"none"}
	policyAllow = []string{"allow"}
)

// costsWhole is what the exchange will be charged when its answer is given to its end, by
// usage that the provider said or that is counted here. A stream's is not known when it
// begins, nor that of what is made after the answer.
func (x *exchange) costsWhole() (cost money.Nano, known bool) {
	if x.stream || !x.priced || x.call.free || x.call.lasts() {
		return 0, false
	}
	e := &x.ev
	usage, source, end := e.Usage, e.Source, e.End
	e.End = event.EndComplete
	x.countUsage()
	x.countMedia(source != event.UsageUnknown)
	cost, known = x.charge(), e.Source != event.UsageEstimated
	e.Usage, e.Source, e.End = usage, source, end
	return cost, known
}

// facts tells the caller what is known of the exchange when its answer begins.
func (x *exchange) facts(h http.Header) {
	h[hdrExchange] = x.idHdr[:]
	h[hdrProvider] = x.up.name
	if x.served[0] = x.ev.ModelServed; x.served[0] == "" {
		x.served[0] = x.target
	}
	h[hdrModel] = x.served[:]
	h[hdrCache] = cacheNone
	h[hdrPolicy] = policyAllow
	if d := &x.ev.Decision; d.Effect != event.EffectAllow && d.Rule != "" {
		h[hdrPolicy] = []string{d.Rule}
	}
	if cost, ok := x.costsWhole(); ok {
		x.cost[0] = cost.Plain()
		h[hdrCost] = x.cost[:]
	}
	if len(x.ev.NotCarried) > 0 {
		h[hdrNotCarried] = []string{strings.Join(x.ev.NotCarried, ", ")}
	}
}

package gateway

import (
	"net/http"
	"strings"

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
	if !x.stream && x.priced && x.ev.Source == event.UsageProvider {
		x.cost[0] = x.rate.Cost(x.priceable()).Plain()
		h[hdrCost] = x.cost[:]
	}
	if len(x.ev.NotCarried) > 0 {
		h[hdrNotCarried] = []string{strings.Join(x.ev.NotCarried, ", ")}
	}
}

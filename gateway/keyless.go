package gateway

import (
	"fmt"
	"net/http"

	"plumbline/gateway/routing"
)

// maxRotations is how many attempts an exchange may come to where each but the first
// tries another key of the same provider.
const maxRotations = 4

// noCredential is the class of an attempt whose provider has no key that is there.
const noCredential = "no_credential"

// keyless is an attempt that was not made, for no key of its provider is there now.
// What is wrong with each is the operator's to know, not the caller's.
func (g *Gateway) keyless(x *exchange, err error) *failure {
	g.waited(x)
	if x.watch != nil {
		x.watch.end()
	}
	x.ev.UpstreamErr = noCredential
	x.plan.Try.End(g.c.Now(), routing.Nothing, noCredential, 0)
	g.c.Log.Error("credential unavailable", "request", x.idHdr[0], "organisation", string(x.key.Org), "error", err)
	return &failure{class: noCredential, err: err, elsewhere: true}
}

func keylessRefusal(x *exchange) *refusal {
	return refuse(http.StatusServiceUnavailable, "provider_credential_unavailable", fmt.Sprintf("the credential of the provider %s is not there at the moment; an administrator finds the reason in the health of its keys", x.ev.Provider)).retryAfter(5)
}

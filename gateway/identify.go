package gateway

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"plumbline/inventory"
)

// KeyPrefix begins every virtual key: pk-<id>-<secret>.
const KeyPrefix = "pk-"

// identify finds the virtual key and the AI system that it is bound to.
func (g *Gateway) identify(x *exchange) error {
	if err := g.locate(x); err != nil {
		return err
	}
	if err := x.checkHeaders(); err != nil {
		return err
	}
	if !g.c.Fresh() {
		return refuse(http.StatusServiceUnavailable, "register_stale", "the gateway cannot confirm keys and approvals at the moment; send the request again").retryAfter(2)
	}
	text := carried(x.r)
	if text == "" && signedByAWS(x.r) {
		return refuse(http.StatusUnauthorized, "signature_unsupported", "the call is signed with AWS keys, which the gateway cannot check; give the client a virtual key as its Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), which goes as `Authorization: Bearer pk-…`")
	}
	if text == "" {
		return refuse(http.StatusUnauthorized, "key_missing", "send a virtual key as `Authorization: Bearer pk-…`")
	}
	id, secret, ok := strings.Cut(strings.TrimPrefix(text, KeyPrefix), "-")
	if !ok || !strings.HasPrefix(text, KeyPrefix) {
		return keyUnknown()
	}
	key, ok := x.view.snap.Keys[inventory.KeyID(id)]
	if !ok {
		return keyUnknown()
	}
	hash := g.c.HashKey(secret)
	if subtle.ConstantTimeCompare(hash[:], key.Hash[:]) != 1 {
		return keyUnknown()
	}
	x.key, x.org = key, x.view.orgs[key.Org]
	if x.org == nil {
		return keyUnknown()
	}
	x.ev.Log, x.ev.Key = string(key.Org), string(key.ID)
	x.ev.ConfigRevision = x.view.snap.Revision
	if key.System != "" {
		if x.system = x.org.Systems[key.System]; x.system != nil {
			x.ev.System, x.ev.SystemVersion = string(x.system.ID), x.system.Version
			if x.system.Commit == "before_answer" {
				x.mode = 1
			}
		}
	}
	if r := valid(key, x.start); r != nil {
		return r
	}
	return nil
}

// locate finds the endpoint.
func (g *Gateway) locate(x *exchange) error {
	to, model := g.router.find(x.r.URL.Path)
	if len(to) == 0 {
		meant, of := misplaced(x.r.Method, x.r.URL.Path)
		x.call = unknownEndpoint(x.r.URL.Path, of)
		x.ev.Dialect = x.call.api.name
		x.nameForClient()
		if x.call.api == &bedrockAPI && invokesModel(x.r.URL.Path) {
			return refuse(http.StatusNotFound, "unknown_endpoint", "of Bedrock's calls the gateway has Converse and ConverseStream, and not InvokeModel, whose body is another for each model; send the call as Converse")
		}
		if meant != "" {
			return refuse(http.StatusNotFound, "unknown_endpoint", "the gateway has no such endpoint; this call is at "+meant+": check the client's base URL")
		}
		return refuse(http.StatusNotFound, "unknown_endpoint", "the gateway has no such endpoint; its documentation lists those that it has, by base URL")
	}
	x.call = to[0]
	for _, e := range to {
		if e.method == x.r.Method {
			x.call = e
		}
	}
	x.nameForClient()
	x.endpoint, x.stream, x.asked = string(x.call.op), x.call.stream, model
	x.ev.Endpoint, x.ev.Dialect = x.endpoint, x.call.api.name
	x.array = x.call.stream && x.call.api == &geminiAPI && !strings.Contains(x.r.URL.RawQuery, "alt=sse")
	x.binary = x.call.api.binary
	if x.call.method != x.r.Method {
		if _, ok := x.r.Header["Upgrade"]; ok {
			return refuse(http.StatusUpgradeRequired, "websocket_unsupported", "the gateway has no WebSocket; send the request by POST")
		}
		allowed := methods(to)
		if x.call.api == &geminiAPI && x.r.Method == http.MethodPost && strings.Contains(model, ":") { // a model's method, not a model
			return refuse(http.StatusNotFound, "unknown_endpoint", "of the methods of Gemini's models the gateway has generateContent, streamGenerateContent, countTokens, embedContent and batchEmbedContents")
		}
		x.w.Header().Set("Allow", allowed)
		return refuse(http.StatusMethodNotAllowed, "method_not_allowed", "this endpoint takes "+allowed)
	}
	return nil
}

// nameForClient says the exchange's id where clients of the API look for it.
func (x *exchange) nameForClient() {
	switch x.call.api {
	case &anthropicAPI:
		x.w.Header()["Request-Id"] = x.idHdr[:]
	case &bedrockAPI:
		x.w.Header()[amazonID] = x.idHdr[:]
	}
}

// methods lists those of one path, as the Allow header does.
func methods(of []*served) string {
	names := make([]string, len(of))
	for i, e := range of {
		names[i] = e.method
	}
	return strings.Join(names, ", ")
}

func keyUnknown() *refusal {
	return refuse(http.StatusUnauthorized, "key_unknown", "this virtual key is not known here; ask the owner of the AI system for one")
}

// valid says whether a key may be used at a time. It is asked again for each
// attempt.
func valid(key *inventory.Key, at time.Time) *refusal {
	switch {
	case !key.RevokedAt.IsZero():
		return refuse(http.StatusUnauthorized, "key_revoked", "this virtual key was revoked")
	case !key.ExpiresAt.IsZero() && !at.Before(key.ExpiresAt):
		return refuse(http.StatusUnauthorized, "key_expired", "this virtual key has expired")
	}
	return nil
}

// carriers are the headers besides Authorization that clients put a key into.
var carriers = []string{"X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// carried reads the key from the carriers that clients use; ?key= is the last of
// them. Request lines are never logged.
func carried(r *http.Request) string {
	if v := r.Header["Authorization"]; len(v) > 0 {
		if t, ok := strings.CutPrefix(v[0], "Bearer "); ok { // nearly all
			return strings.TrimSpace(t)
		}
		if scheme, t, ok := strings.Cut(v[0], " "); ok && strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(t)
		}
	}
	for _, name := range carriers {
		if v := r.Header[name]; len(v) > 0 {
			return v[0]
		}
	}
	if r.URL.RawQuery != "" {
		return r.URL.Query().Get("key")
	}
	return ""
}

// admissible says whether a system may call models now: registered, approved,
// not suspended, not retired. It is asked again for each attempt.
func (g *Gateway) admissible(o *orgView, s *inventory.System, at time.Time) *refusal {
	if s == nil {
		if o.Settings.Unregistered == "flag" {
			return nil
		}
		return refuse(http.StatusForbidden, "system_unregistered", "this key belongs to no registered AI system; have the system registered and the key bound to it")
	}
	switch {
	case s.Lifecycle == inventory.Retired:
		return refuse(http.StatusForbidden, "system_retired", fmt.Sprintf("the AI system %s is retired", s.ID))
	case s.Suspended != nil:
		return refuse(http.StatusForbidden, "system_suspended", fmt.Sprintf("the AI system %s is suspended; its owner knows why", s.ID))
	case s.RiskClass == inventory.Prohibited:
		return refuse(http.StatusForbidden, "system_prohibited", fmt.Sprintf("the AI system %s is classified as a prohibited practice", s.ID))
	case !s.Approval.ValidAt(at):
		return unapproved(s)
	case s.Lifecycle != inventory.InUse && s.Lifecycle != inventory.Pilot:
		return refuse(http.StatusForbidden, "system_not_in_use", fmt.Sprintf("the AI system %s is in stage %q, not in use", s.ID, s.Lifecycle))
	}
	return nil
}

// unapproved says why a system's approval does not let it call: it ended, or there is
// none.
func unapproved(s *inventory.System) *refusal {
	switch {
	case s.Approval.Grant() == nil:
		return refuse(http.StatusForbidden, "system_unapproved", fmt.Sprintf("the AI system %s has no approval in force", s.ID))
	case s.Approval.State == inventory.Requested:
		return refuse(http.StatusForbidden, "approval_expired", fmt.Sprintf("the approval of the AI system %s has ended; its renewal waits for a decision", s.ID))
	}
	return refuse(http.StatusForbidden, "approval_expired", fmt.Sprintf("the approval of the AI system %s has ended; have it renewed", s.ID))
}

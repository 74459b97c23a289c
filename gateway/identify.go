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
	switch x.r.URL.Path {
	case "/v1/chat/completions":
		x.endpoint, x.path = "chat.completions", "/chat/completions"
	case "/v1/embeddings":
		x.endpoint, x.path = "embeddings", "/embeddings"
	default:
		if x.r.URL.Path == "/v1/models" || strings.HasPrefix(x.r.URL.Path, "/v1/models/") {
			x.endpoint = "models"
		} else {
			return refuse(http.StatusNotFound, "unknown_endpoint", "the gateway has no such endpoint; there are POST /v1/chat/completions, POST /v1/embeddings and GET /v1/models")
		}
	}
	x.ev.Endpoint = x.endpoint
	want := http.MethodPost
	if x.endpoint == "models" {
		want = http.MethodGet
	}
	if x.r.Method != want {
		x.w.Header().Set("Allow", want)
		return refuse(http.StatusMethodNotAllowed, "method_not_allowed", "this endpoint takes the method "+want+" alone")
	}
	if !g.c.Fresh() {
		return refuse(http.StatusServiceUnavailable, "register_stale", "the gateway cannot confirm keys and approvals at the moment; send the request again").retryAfter(2)
	}
	text := carried(x.r)
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
func (g *Gateway) admissible(o *orgView, s *inventory.System) *refusal {
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
	case !s.Approval.ValidAt(g.c.Now()):
		if s.Approval.State == inventory.Approved {
			return refuse(http.StatusForbidden, "approval_expired", fmt.Sprintf("the approval of the AI system %s has ended; have it renewed", s.ID))
		}
		return refuse(http.StatusForbidden, "system_unapproved", fmt.Sprintf("the AI system %s has no approval yet", s.ID))
	case s.Lifecycle != inventory.InUse && s.Lifecycle != inventory.Pilot:
		return refuse(http.StatusForbidden, "system_not_in_use", fmt.Sprintf("the AI system %s is in stage %q, not in use", s.ID, s.Lifecycle))
	}
	return nil
}

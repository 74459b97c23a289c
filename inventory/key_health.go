package inventory

import "time"

// KeyState is how one of a provider's keys is.
type KeyState string

// The states of a provider's key, the best first.
const (
	KeyReady    KeyState = "ready"
	KeyStale    KeyState = "stale"     // the last good secret is used, for it could not be read again
	KeySetAside KeyState = "set_aside" // the provider refused or limited it
	KeyMissing  KeyState = "missing"   // there is no secret to use
)

// KeyHealth tells how one of a provider's keys is. It never holds a secret.
type KeyHealth struct {
	Provider  ProviderID `json:"provider"`
	Key       string     `json:"key"` // place among the provider's keys, from "1"
	Reference string     `json:"ref"`
	State     KeyState   `json:"state"`
	Found     time.Time  `json:"found_at,omitzero"`   // when the secret in use was read last
	Expires   time.Time  `json:"expires_at,omitzero"` // of the secret in use, where it is known
	Error     string     `json:"error,omitempty"`     // of the last attempt to read it
	Since     time.Time  `json:"error_since,omitzero"`
	Until     time.Time  `json:"set_aside_until,omitzero"`
	Status    int        `json:"last_status,omitempty"` // that set it aside
	Accepted  uint64     `json:"accepted"`              // calls that were not refused over the key, since start
	Refused   uint64     `json:"refused"`               // 401, 402, 403
	Limited   uint64     `json:"limited"`               // 429
}

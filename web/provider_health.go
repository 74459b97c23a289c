package web

import (
	"net/http"
	"time"
)

// ProviderHealth is how one deployment stands: a model at a provider that a route leads
// to.
type ProviderHealth struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Region   string `json:"region,omitempty"`
	// State is closed, half_open (one call at a time goes there, to see whether it came
	// back) or open (it is passed over until OpenUntil).
	State     string    `json:"state"`
	OpenUntil time.Time `json:"open_until,omitzero"`
	Opened    uint64    `json:"opened"` // how often, since the server started

	// Of the last minute. Requests are those that say something about its health:
	// answered or failed. A 429 is counted apart.
	Requests    uint32 `json:"requests"`
	Failed      uint32 `json:"failed"`
	FailedPPM   *int64 `json:"failed_ppm"` // share of Requests in parts per million; null without any
	RateLimited uint32 `json:"rate_limited"`

	RetryAfter  time.Time `json:"retry_after_until,omitzero"` // until when the provider asked to wait
	PassedOver  time.Time `json:"passed_over_until,omitzero"` // until when a 429 has it passed over
	LatencyMS   *int64    `json:"latency_ms"`                 // to the beginning of an answer, peak EWMA; null while unknown
	Running     int64     `json:"running"`
	LastFailure string    `json:"last_failure,omitempty"` // class
	FailedAt    time.Time `json:"last_failure_at,omitzero"`
}

// health is the organisation's deployments with their regions.
func (r *request) health() []ProviderHealth {
	list := r.web.d.Health(r.actor.Org)
	for i := range list {
		for _, p := range r.state.Providers {
			if string(p.ID) == list[i].Provider {
				list[i].Region = p.Region
			}
		}
	}
	return list
}

func (r *request) apiProviderHealth() error {
	return r.answer(http.StatusOK, map[string]any{"deployments": orEmpty(r.health())})
}

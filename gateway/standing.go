package gateway

import (
	"encoding/json"
	"slices"
	"time"
)

// Standing is what a provider said last of a batch: of how many of its requests it knows
// which end. What it did not say is -1, and never counted from the rest.
type Standing struct {
	Status string    // in the provider's word; "" for one that its API does not have
	At     time.Time // when it said so; zero where that was not noted

	Waiting   int64 // without an end so far
	Succeeded int64
	Errored   int64
	Expired   int64
	Cancelled int64
}

// batchWords are how a batch may stand, by the kind of its API.
var batchWords = map[ObjectKind][]string{
	KeptBatch:        {"validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"},
	KeptMessageBatch: {"in_progress", "canceling", "ended"},
}

// Standing reads what was said of a batch. OpenAI's API tells apart what completed and
// what failed, Anthropic's every end.
func (o *Object) Standing() Standing {
	s := Standing{At: o.SaidAt, Waiting: -1, Succeeded: -1, Errored: -1, Expired: -1, Cancelled: -1}
	var said struct {
		Status     json.RawMessage
		Processing json.RawMessage            `json:"processing_status"`
		Counts     map[string]json.RawMessage `json:"request_counts"`
	}
	if json.Unmarshal(o.Said, &said) != nil {
		return s
	}
	status, names := said.Status, map[string]*int64{"completed": &s.Succeeded, "failed": &s.Errored}
	if o.Kind == KeptMessageBatch {
		status = said.Processing
		names = map[string]*int64{"processing": &s.Waiting, "succeeded": &s.Succeeded, "errored": &s.Errored, "expired": &s.Expired, "canceled": &s.Cancelled}
	}
	var word string
	if json.Unmarshal(status, &word) == nil && slices.Contains(batchWords[o.Kind], word) {
		s.Status = word
	}
	for name, to := range names {
		var n *int64
		if json.Unmarshal(said.Counts[name], &n) == nil && n != nil && *n >= 0 {
			*to = *n
		}
	}
	return s
}

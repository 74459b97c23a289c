package credential

import (
	"slices"
	"time"

	"plumbline/inventory"
)

// Health tells of every key of an organisation's providers how it is, by provider and
// place.
func (s *Source) Health(org inventory.OrgID) []inventory.KeyHealth {
	s.mu.Lock()
	var rings []*Keyring
	for at, r := range s.rings {
		if at.org == org && r != nil {
			rings = append(rings, r)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(rings, func(a, b *Keyring) int {
		if a.provider < b.provider {
			return -1
		}
		return 1
	})
	now := s.now()
	var out []inventory.KeyHealth
	for _, r := range rings {
		for _, h := range r.keys {
			out = append(out, r.health(h, now))
		}
	}
	return out
}

func (r *Keyring) health(h *held, now time.Time) inventory.KeyHealth {
	v := h.entry.value.Load()
	out := inventory.KeyHealth{Provider: inventory.ProviderID(r.provider), Key: h.id, Reference: h.reference, State: inventory.KeyReady,
		Accepted: h.accepted.Load(), Refused: h.refused.Load(), Limited: h.limited.Load()}
	if v != nil {
		out.Expires = v.expires
	}
	r.mu.Lock()
	if h.until.After(now) {
		out.State, out.Until, out.Status = inventory.KeySetAside, h.until, h.last
	}
	r.mu.Unlock()
	h.entry.mu.Lock()
	defer h.entry.mu.Unlock()
	out.Found = h.entry.found
	if h.entry.err != nil {
		out.Error, out.Since = h.entry.err.Error(), h.entry.since
		if out.State == inventory.KeyReady {
			out.State = inventory.KeyStale
		}
	}
	if !v.usable(now) {
		out.State = inventory.KeyMissing
	}
	return out
}

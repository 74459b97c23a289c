package server

import (
	"github.com/prometheus/client_golang/prometheus"
)

// keyCollector gives how each provider's keys are. Providers and their keys are
// declared by people, and a key is told by its place, so labels are bounded and hold
// no secret.
type keyCollector struct{ s *Server }

var (
	keyStates = prometheus.NewDesc("plumbline_provider_keys", "1 for the state that a provider's key is in: ready, stale, set_aside, missing.", []string{"organisation", "provider", "key", "state"}, nil)
	keyCalls  = prometheus.NewDesc("plumbline_provider_key_calls_total", "Attempts by a provider's key and by how the provider took the key: accepted, refused (401, 402, 403), limited (429).", []string{"organisation", "provider", "key", "result"}, nil)
)

func (c *keyCollector) Describe(ch chan<- *prometheus.Desc) { ch <- keyStates; ch <- keyCalls }

func (c *keyCollector) Collect(ch chan<- prometheus.Metric) {
	for _, org := range c.s.Register.Orgs() {
		for _, k := range c.s.Credentials.Health(org.ID) {
			labels := []string{string(org.ID), string(k.Provider), k.Key}
			ch <- prometheus.MustNewConstMetric(keyStates, prometheus.GaugeValue, 1, append(labels[:3:3], string(k.State))...)
			for result, n := range map[string]uint64{"accepted": k.Accepted, "refused": k.Refused, "limited": k.Limited} {
				ch <- prometheus.MustNewConstMetric(keyCalls, prometheus.CounterValue, float64(n), append(labels[:3:3], result)...)
			}
		}
	}
}

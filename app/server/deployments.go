package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"plumbline/inventory"
	"plumbline/web"
)

// deployments is how an organisation's deployments stand, as the console has it.
func (s *Server) deployments(org inventory.OrgID) []web.ProviderHealth {
	var out []web.ProviderHealth
	for _, d := range s.Gateway.Health(org) {
		h := web.ProviderHealth{Provider: string(d.Provider), Model: d.Model, State: d.State.String(), OpenUntil: d.OpenUntil, Opened: d.Opened,
			Requests: d.Answered + d.Failed, Failed: d.Failed, RateLimited: d.Limited, RetryAfter: d.RetryAfter, PassedOver: d.PassedOver,
			Running: d.Running, LastFailure: d.LastFailure, FailedAt: d.FailedAt}
		if h.Requests > 0 {
			ppm := int64(d.Failed) * 1_000_000 / int64(h.Requests)
			h.FailedPPM = &ppm
		}
		if d.Latency > 0 {
			ms := d.Latency.Milliseconds()
			h.LatencyMS = &ms
		}
		out = append(out, h)
	}
	return out
}

// deploymentCollector gives how deployments stand. Routes are declared by people, so
// their number is bounded.
type deploymentCollector struct{ s *Server }

var (
	deploymentLabels  = []string{"organisation", "provider", "model"}
	deploymentState   = prometheus.NewDesc("plumbline_deployment_state", "Breaker of a deployment: 0 closed, 1 half open, 2 open.", deploymentLabels, nil)
	deploymentOpened  = prometheus.NewDesc("plumbline_deployment_opened_total", "How often a deployment's breaker opened.", deploymentLabels, nil)
	deploymentMinute  = prometheus.NewDesc("plumbline_deployment_minute_requests", "Attempts of the last minute by result: answered, failed, rate_limited.", append(deploymentLabels, "result"), nil)
	deploymentLatency = prometheus.NewDesc("plumbline_deployment_latency_seconds", "Peak EWMA of the time until an answer begins; absent while unknown.", deploymentLabels, nil)
	deploymentRunning = prometheus.NewDesc("plumbline_deployment_running", "Attempts that run.", deploymentLabels, nil)
	providerRetries   = prometheus.NewDesc("plumbline_provider_retries_total", "Further attempts at a provider that failed the same call: made, or not made because its share of retries was used up (over_share) or the breaker was not closed (breaker_open).", []string{"organisation", "provider", "result"}, nil)
)

func (c *deploymentCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deploymentState, deploymentOpened, deploymentMinute, deploymentLatency, deploymentRunning, providerRetries} {
		ch <- d
	}
}

func (c *deploymentCollector) Collect(ch chan<- prometheus.Metric) {
	for _, d := range c.s.Gateway.Health("") {
		labels := []string{string(d.Org), string(d.Provider), d.Model}
		put := func(desc *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(desc, kind, v, append(labels[:3:3], more...)...)
		}
		put(deploymentState, prometheus.GaugeValue, float64(d.State))
		put(deploymentOpened, prometheus.CounterValue, float64(d.Opened))
		put(deploymentRunning, prometheus.GaugeValue, float64(d.Running))
		put(deploymentMinute, prometheus.GaugeValue, float64(d.Answered), "answered")
		put(deploymentMinute, prometheus.GaugeValue, float64(d.Failed), "failed")
		put(deploymentMinute, prometheus.GaugeValue, float64(d.Limited), "rate_limited")
		if d.Latency > 0 {
			put(deploymentLatency, prometheus.GaugeValue, d.Latency.Seconds())
		}
	}
	for _, r := range c.s.Gateway.Retries() {
		for result, n := range map[string]uint64{"made": r.Made, "over_share": r.OverShare, "breaker_open": r.BreakerOpen} {
			ch <- prometheus.MustNewConstMetric(providerRetries, prometheus.CounterValue, float64(n), string(r.Org), string(r.Provider), result)
		}
	}
}

package server

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plumbline/gateway"
)

// mountHealth adds what machines ask: alive, ready, metrics. They need no
// permission and name no organisation, key or person.
func (s *Server) mountHealth(e *echo.Echo) {
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(c echo.Context) error {
		for _, check := range s.ready() {
			if check.err != nil {
				return c.String(http.StatusServiceUnavailable, check.name+": not ready\n")
			}
		}
		return c.String(http.StatusOK, "ready\n")
	})
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.meter.registry, promhttp.HandlerOpts{})))
}

type readiness struct {
	name string
	err  error
}

// ready says whether calls can be recorded and the register can be trusted.
func (s *Server) ready() []readiness {
	out := []readiness{{"ledger", s.Ledger.Ready()}, {"register", nil}, {"gateway", nil}}
	if s.o.Now().Sub(s.Register.Confirmed()) >= snapshotLife {
		out[1].err = http.ErrServerClosed
	}
	if s.Gateway.Draining() {
		out[2].err = http.ErrServerClosed
	}
	return out
}

// meter holds the metrics. Labels are bounded: never a key, a user or a prompt.
type meter struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	added     prometheus.Histogram
}

func newMeter(s *Server) *meter {
	m := &meter{registry: prometheus.NewRegistry(),
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plumbline_exchanges_total", Help: "Exchanges by endpoint and status class."}, []string{"endpoint", "class"}),
		refusals:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plumbline_refusals_total", Help: "Exchanges that ended with an error of the gateway, by stable code."}, []string{"code"}),
		latency:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plumbline_exchange_seconds", Help: "Duration of exchanges.", Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 12)}, []string{"stream"}),
		added:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plumbline_added_seconds", Help: "Duration of exchanges less the time at the provider.", Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 10)})}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m.registry.MustRegister(m.exchanges, m.refusals, m.latency, m.added, &budgetCollector{s}, &deploymentCollector{s}, &keyCollector{s},
		gauge("plumbline_in_flight", "Exchanges that run.", func() float64 { return float64(s.Gateway.InFlight()) }),
		gauge("plumbline_ledger_up", "1 while the ledger can write.", func() float64 {
			if s.Ledger.Ready() == nil {
				return 1
			}
			return 0
		}),
		gauge("plumbline_ledger_records", "Records since start.", func() float64 { return float64(s.Ledger.Stats().Appended) }),
		gauge("plumbline_ledger_unsigned_leaves", "Durable leaves that no checkpoint covers yet, over all logs.", func() float64 {
			n := uint64(0)
			for _, l := range s.Ledger.Stats().Logs {
				n += l.Size - min(l.Signed, l.Size)
			}
			return float64(n)
		}),
		gauge("plumbline_ledger_turned_away", "Calls that the present outage of the ledger turned away.", func() float64 { return float64(s.Ledger.Stats().Turned) }),
		gauge("plumbline_projection_lag_leaves", "Durable leaves that the index has not applied.", func() float64 { return float64(s.Projection.Lag()) }),
	)
	return m
}

// budgetCollector gives what each budget of an organisation has left. Budgets are
// declared by people, so their number is bounded.
type budgetCollector struct{ s *Server }

var budgetLeft = prometheus.NewDesc("plumbline_budget_left_dollars", "What a budget has left in its window.", []string{"organisation", "budget"}, nil)

func (c *budgetCollector) Describe(ch chan<- *prometheus.Desc) { ch <- budgetLeft }

func (c *budgetCollector) Collect(ch chan<- prometheus.Metric) {
	for _, org := range c.s.Register.Orgs() {
		state, err := c.s.Register.State(org.ID)
		if err != nil {
			continue
		}
		for i := range state.Budgets {
			_, _, left := c.s.balance(&state.Budgets[i])
			ch <- prometheus.MustNewConstMetric(budgetLeft, prometheus.GaugeValue, float64(left)/1e9, string(org.ID), string(state.Budgets[i].ID))
		}
	}
}

// observe takes one finished exchange in.
func (s *Server) observe(o gateway.Observation) {
	m := s.meter
	if m == nil {
		return
	}
	endpoint := o.Endpoint
	if endpoint == "" {
		endpoint = "unknown"
	}
	m.exchanges.WithLabelValues(endpoint, classes[min(max(o.Status/100, 0), 5)]).Inc()
	if o.Code != "" {
		m.refusals.WithLabelValues(o.Code).Inc()
	}
	m.latency.WithLabelValues(strconv.FormatBool(o.Stream)).Observe(o.Total.Seconds())
	m.added.Observe((o.Total - o.Upstream).Seconds())
}

var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

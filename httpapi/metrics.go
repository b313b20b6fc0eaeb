package httpapi

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what the node tells of its HTTP requests. The handles of all series are looked
// up once, at the start: a lookup by label costs more than the count.
type metrics struct {
	inFlight  prometheus.Gauge
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	handler   http.Handler
}

// counts are the handles of one route and method.
type counts struct {
	classes  [6]prometheus.Counter // by the first digit of the status
	duration prometheus.Observer
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "todod_http_requests_in_flight", Help: "HTTP requests being answered now, open event streams too."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "todod_http_requests_total", Help: "HTTP requests answered, by route, method and class of status."},
			[]string{"route", "method", "class"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "todod_http_request_duration_seconds", Help: "Time to answer an HTTP request, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}},
			[]string{"route"}),
		handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
	}
	reg.MustRegister(m.inFlight, m.requests, m.durations)
	return m
}

func (m *metrics) counts(route, method string) *counts {
	c := &counts{duration: m.durations.WithLabelValues(route)}
	for i := 2; i < len(c.classes); i++ {
		c.classes[i] = m.requests.WithLabelValues(route, method, string(rune('0'+i))+"xx")
	}
	return c
}

func (c *counts) done(status int, took time.Duration) {
	if class := status / 100; class >= 2 && class < len(c.classes) {
		c.classes[class].Inc()
	}
	c.duration.Observe(took.Seconds())
}

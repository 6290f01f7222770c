package wake

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of this room; one per process.
type Metrics struct {
	rings       *prometheus.CounterVec // by result: ok, failed, dropped
	ringSeconds prometheus.Histogram
	relayed     *prometheus.CounterVec // by reason: outbox, overdue
	inbox       *prometheus.CounterVec // by state, or error
	seals       prometheus.Counter
	clockSteps  prometheus.Counter
	loopErrors  *prometheus.CounterVec // by loop
	overdue     *prometheus.GaugeVec   // by finding
	outboxAge   prometheus.Gauge
}

// NewMetrics registers them; with a nil registerer they count for nobody.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		rings: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kept_rings_total", Help: "Rings by result; failed and dropped ones are left to the relay.",
		}, []string{"result"}),
		ringSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "kept_ring_seconds", Help: "How long Temporal took to take a ring.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1},
		}),
		relayed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kept_relay_rings_total", Help: "Rings by the relay: facts that waited over 2 s, subjects over 2 min overdue.",
		}, []string{"reason"}),
		inbox: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kept_inbox_total", Help: "Gateway events applied, by outcome.",
		}, []string{"outcome"}),
		seals: f.NewCounter(prometheus.CounterOpts{Name: "kept_journal_seals_total", Help: "Seals written over the journal."}),
		clockSteps: f.NewCounter(prometheus.CounterOpts{
			Name: "kept_test_clock_steps_total", Help: "Instants that test clocks stopped at.",
		}),
		loopErrors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kept_loop_errors_total", Help: "Failed turns of the worker's loops.",
		}, []string{"loop"}),
		overdue: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kept_overdue", Help: "Findings of the overdue monitor; each should be 0.",
		}, []string{"finding"}),
		outboxAge: f.NewGauge(prometheus.GaugeOpts{
			Name: "kept_outbox_oldest_seconds", Help: "Age of the oldest fact that no plan has seen, where it is over 30 s; else 0.",
		}),
	}
}

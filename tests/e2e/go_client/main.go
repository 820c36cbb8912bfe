// Pushes with Go's own client library: what most users of a Pushgateway run.
//
//	go_client http://127.0.0.1:PORT
//
// Prints one line per step; ends with 1 if the server answers a step in an unexpected way.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
)

func step(name string, err error, wantError bool) {
	if (err != nil) != wantError {
		fmt.Printf("%s: unexpected result: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %v\n", name, err)
}

func main() {
	url := os.Args[1]

	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "go_client_runs_total", Help: "Runs."}, []string{"step"})
	counter.WithLabelValues("first").Add(3)
	counter.WithLabelValues("höhe/2").Add(1.5)
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "go_client_seconds", Help: "Duration.", Buckets: []float64{0.1, 1}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "go_client_native_seconds", NativeHistogramBucketFactor: 2})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "go_client_size_bytes", Objectives: map[float64]float64{0.5: 0.05}})
	for _, value := range []float64{0.05, 0.5, 5} {
		classic.Observe(value)
		native.Observe(value)
		summary.Observe(value)
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_client_gauge"})
	gauge.Set(42)

	group := func() *push.Pusher {
		return push.New(url, "go/client").Grouping("instance", "i 1").Grouping("empty", "")
	}
	step("push", group().Collector(counter).Collector(classic).Collector(native).Collector(summary).Push(), false)
	step("add", group().Collector(gauge).Add(), false)
	step("text", push.New(url, "go_text").Collector(counter).Format(expfmt.NewFormat(expfmt.TypeTextPlain)).Push(), false)

	// A second group may not give the same name another type.
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_client_runs_total"})
	step("conflict", push.New(url, "go_conflict").Collector(other).Push(), true)

	step("push to delete", push.New(url, "go_gone").Collector(gauge).Push(), false)
	step("delete", push.New(url, "go_gone").Delete(), false)
}

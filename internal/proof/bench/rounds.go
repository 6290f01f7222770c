//go:build bench

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// arm is one way of doing the job; it returns a rate or a time.
type arm struct {
	name string
	run  func(context.Context) (float64, error)
}

// measured holds one value for each arm and round, and how busy other programs kept the machine.
type measured struct {
	names  []string
	values map[string][]float64
}

// interleave runs the arms round by round, forwards and backwards in turn, so that what drifts meets all alike.
func interleave(ctx context.Context, out io.Writer, rounds int, arms []arm) (measured, error) {
	m := measured{values: map[string][]float64{}}
	for _, a := range arms {
		m.names = append(m.names, a.name)
	}
	for round := range rounds {
		order := slices.Clone(arms)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, a := range order {
			value, err := a.run(ctx)
			if err != nil {
				return m, fmt.Errorf("arm %s: %w", a.name, err)
			}
			m.values[a.name] = append(m.values[a.name], value)
		}
		var line []string
		for _, name := range m.names {
			line = append(line, fmt.Sprintf("%s %.2f", name, m.values[name][round]))
		}
		fmt.Fprintf(out, "  round %d of %d: %s\n", round+1, rounds, strings.Join(line, ", "))
	}
	return m, nil
}

// ratio is the median of one arm's value over the other's, round by round, with its range.
func (m measured) ratio(of, against string) string {
	var all []float64
	for i, v := range m.values[of] {
		all = append(all, v/m.values[against][i])
	}
	return fmt.Sprintf("**%.2f** (%.2f–%.2f)", median(all), slices.Min(all), slices.Max(all))
}

// rate is the median of an arm's own values.
func (m measured) rate(of, unit string) string {
	return fmt.Sprintf("%.3g %s", median(m.values[of]), unit)
}

func (m measured) rows(metric string) []row {
	var all []row
	for _, name := range m.names {
		for i, v := range m.values[name] {
			all = append(all, row{metric, name, fmt.Sprint(i + 1), fmt.Sprintf("%.4f", v)})
		}
	}
	return all
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile interpolates between the two nearest values; 0 for none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// load is what the whole machine has done since its start, in hundredths of a second of one core.
type load struct{ busy, ours, all float64 }

// readLoad reads /proc/stat; elsewhere it is empty.
func readLoad() load {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var l load
	for i, field := range strings.Fields(first)[1:] {
		var v float64
		if _, err := fmt.Sscan(field, &v); err != nil {
			return load{}
		}
		if l.all += v; i != 3 && i != 4 { // idle, waiting for a disk
			l.busy += v
		}
	}
	return l
}

// otherLoad is the share of the machine that others take while nothing of ours runs, over a moment.
func otherLoad(ctx context.Context, moment time.Duration) float64 {
	before := readLoad()
	select {
	case <-ctx.Done():
	case <-time.After(moment):
	}
	after := readLoad()
	if after.all == before.all {
		return 0
	}
	return (after.busy - before.busy) / (after.all - before.all)
}

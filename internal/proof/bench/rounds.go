//go:build bench

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// arm is one way of doing the job; it returns rates or times by name.
type arm struct {
	name string
	run  func(context.Context) (values, error)
}

type values map[string]float64

// measured holds one value for each arm and round, and what share of the machine other programs took in each round.
type measured struct {
	names  []string
	values map[string][]float64
	others []float64
}

// mostOther is how much other programs may take of a round that counts.
const mostOther = 0.05

// interleave runs the arms round by round, forwards and backwards in turn, so that what drifts meets all alike.
func interleave(ctx context.Context, out io.Writer, rounds int, arms []arm) (measured, error) {
	m := measured{values: map[string][]float64{}}
	for round := range rounds {
		before := readLoad()
		order := slices.Clone(arms)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, a := range order {
			got, err := a.run(ctx)
			if err != nil {
				return m, fmt.Errorf("arm %s: %w", a.name, err)
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if round == 0 {
					m.names = append(m.names, name)
				}
				m.values[name] = append(m.values[name], got[name])
			}
		}
		m.others = append(m.others, readLoad().others(before))
		var line []string
		for _, name := range m.names {
			line = append(line, fmt.Sprintf("%s %.2f", name, m.values[name][round]))
		}
		fmt.Fprintf(out, "  round %d of %d: %s; others took %.0f %%\n", round+1, rounds, strings.Join(line, ", "), m.others[round]*100)
	}
	return m, nil
}

// counts lists the rounds that count: those that others left alone. Where they left less than half, every round counts, and
// about says so.
func (m measured) counts() []int {
	var all, alone []int
	for i, other := range m.others {
		all = append(all, i)
		if other <= mostOther {
			alone = append(alone, i)
		}
	}
	if 2*len(alone) < len(all) {
		return all
	}
	return alone
}

// about says how many rounds count and what others did in them.
func (m measured) about() string {
	used := m.counts()
	most := 0.0
	for _, i := range used {
		most = max(most, m.others[i])
	}
	return fmt.Sprintf("%d of %d rounds, others took ≤ %.0f %%", len(used), len(m.others), most*100)
}

// ratio is the median of one arm's value over the other's, round by round, with its range.
func (m measured) ratio(of, against string) string {
	var all []float64
	for _, i := range m.counts() {
		all = append(all, m.values[of][i]/m.values[against][i])
	}
	return fmt.Sprintf("**%.2f** (%.2f–%.2f)", median(all), slices.Min(all), slices.Max(all))
}

// rate is the median of an arm's own values.
func (m measured) rate(of, unit string) string {
	var all []float64
	for _, i := range m.counts() {
		all = append(all, m.values[of][i])
	}
	return fmt.Sprintf("%.3g %s", median(all), unit)
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

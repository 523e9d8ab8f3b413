package main

import (
	"sort"
	"time"
)

// times are the durations of single actions, in seconds.
type times struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func timesOf(took []time.Duration) times {
	if len(took) == 0 {
		return times{}
	}
	sorted := append([]time.Duration(nil), took...)
	sort.Slice(sorted, func(one, other int) bool { return sorted[one] < sorted[other] })
	at := func(percent int) float64 { return sorted[(len(sorted)-1)*percent/100].Seconds() }
	return times{P50: at(50), P99: at(99), Max: at(100)}
}

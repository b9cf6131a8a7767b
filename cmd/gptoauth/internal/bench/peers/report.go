package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is the output.
type report struct {
	Server   string            `json:"server_version"`
	Versions map[string]string `json:"versions"`
	Results  []result          `json:"results"`
}

// result is of one peer, operation and concurrency. What is of one call is the mean over all runs.
type result struct {
	Operation  string  `json:"operation"`
	Clients    int     `json:"clients"`
	Peer       string  `json:"peer"`
	Calls      int64   `json:"calls"`
	Refused    int64   `json:"refused"`
	PerSecond  float64 `json:"per_second"` // the median of the runs
	OfLibrary  *spread `json:"of_library,omitempty"`
	RoundTrips float64 `json:"round_trips"`
	WALBytes   float64 `json:"wal_bytes"`
	Allocs     float64 `json:"allocs"`
}

// spread is the median of the ratios of the pairs, and their middle half.
type spread struct {
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Pairs  []float64 `json:"pairs"`
}

func newSpread(pairs []float64) *spread {
	return &spread{quantile(pairs, 0.5), quantile(pairs, 0.25), quantile(pairs, 0.75), pairs}
}

// quantile lies between the two nearest values where it is none of them.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low, part := math.Modf(at)
	high := min(int(low)+1, len(sorted)-1)
	return sorted[int(low)]*(1-part) + sorted[high]*part
}

func (r report) write(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "PostgreSQL %s, fsync on", r.Server)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&text, ", %s %s", name, r.Versions[name])
	}
	text.WriteString("\n\noperation\tclients\tpeer\ta second\tof library\tmiddle half\tround trips\tWAL bytes\tallocations\trefused\t\n")
	for _, one := range r.Results {
		share, half := "", ""
		if s := one.OfLibrary; s != nil {
			share, half = fmt.Sprintf("%.2f", s.Median), fmt.Sprintf("%.2f-%.2f", s.Low, s.High)
		}
		fmt.Fprintf(&text, "%s\t%d\t%s\t%.0f\t%s\t%s\t%.1f\t%.0f\t%.0f\t%d\t\n", one.Operation, one.Clients, one.Peer, one.PerSecond,
			share, half, one.RoundTrips, one.WALBytes, one.Allocs, one.Refused)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := io.WriteString(table, text.String()); err != nil {
		return err
	}
	return table.Flush()
}

// versions tells what was linked.
func versions(all []peer) map[string]string {
	found := make(map[string]string)
	info, _ := debug.ReadBuildInfo()
	for _, p := range all {
		for _, module := range info.Deps {
			if module.Path == p.module && module.Replace == nil { // the library is the one in this tree
				found[p.name] = module.Version
			}
		}
	}
	return found
}

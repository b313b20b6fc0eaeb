package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/cmd/internal/cli"
)

// benchReport is all that a run came to, as --output json prints it.
type benchReport struct {
	Version  string         `json:"version"`
	When     time.Time      `json:"when"`
	Nodes    []string       `json:"nodes"`
	Own      bool           `json:"own_nodes"`
	Memory   bool           `json:"in_memory"` // its own nodes' files: no sync was paid for
	Work     *work          `json:"work"`
	Conns    int            `json:"conns"`
	Rate     float64        `json:"rate,omitempty"`
	Seconds  float64        `json:"seconds"`
	All      figures        `json:"all"`
	Writes   *figures       `json:"writes,omitempty"`
	Reads    *figures       `json:"reads,omitempty"`
	Accepted accepted       `json:"accepted"`
	Retried  map[string]int `json:"retried"` // tries that failed and were repeated
	Failed   map[string]int `json:"failed"`  // operations that came to nothing, or to nothing known
	NodesCPU float64        `json:"nodes_cpu_s,omitempty"`
	LoadCPU  float64        `json:"load_cpu_s"`
	Per1000  float64        `json:"nodes_cpu_s_per_1000,omitempty"`
	Faults   []fault        `json:"faults,omitempty"`
	Audit    audit          `json:"audit"`
	Bins     []bin          `json:"histogram"`
	Series   []moment       `json:"series"`
}

// figures are those of one kind of operations. Ops counts all that were answered, those in
// flight at the end too; PerS only what came before it.
type figures struct {
	Ops  uint64  `json:"ops"`
	PerS float64 `json:"ops_per_s"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
}

// accepted is how long the tries took that were accepted, each from when it was sent: what a server that
// refuses what is too much for it has to keep short.
type accepted struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func figuresOf(t *tally, within uint64, seconds float64) figures {
	return figures{
		Ops: t.n, PerS: float64(within) / seconds, P50: millisOf(t.quantile(.5)), P90: millisOf(t.quantile(.9)),
		P99: millisOf(t.quantile(.99)), P999: millisOf(t.quantile(.999)), Max: millisOf(t.max),
	}
}

// fill makes the report of what was recorded.
func (b *bench) fill() {
	r, f := &b.report, b.flags
	r.Version, r.When, r.Nodes, r.Own, r.Work = cli.Version(), b.rec.begin.UTC(), b.addrs, len(b.own) > 0, b.work
	r.Conns, r.Rate, r.Seconds = f.conns, f.rate, f.duration.Seconds()
	r.Retried, r.Failed = b.rec.failures()
	r.Faults, r.Series = b.faults.done, b.rec.series()
	sums := b.rec.sum()
	var all tally
	var within [kinds]uint64
	for k := range kinds {
		all.join(&sums[k])
		within[k] = b.rec.within(k)
	}
	r.All = figuresOf(&all, within[writes]+within[reads], r.Seconds)
	for k, into := range map[int]**figures{writes: &r.Writes, reads: &r.Reads} {
		if sums[k].n > 0 {
			one := figuresOf(&sums[k], within[k], r.Seconds)
			*into = &one
		}
	}
	if r.NodesCPU > 0 && r.All.PerS > 0 {
		r.Per1000 = r.NodesCPU / (r.All.PerS * r.Seconds) * 1000
	}
	r.Bins = all.bins()
	var tries tally
	tries.add(&b.rec.accepted)
	r.Accepted = accepted{millisOf(tries.quantile(.5)), millisOf(tries.quantile(.99)), millisOf(tries.max)}
}

// what says in a line what was sent.
func (r *benchReport) what() string {
	routes := ""
	if r.Work.Book {
		routes = ", the book's two routes"
	}
	pace := "as fast as they are answered"
	if r.Rate > 0 {
		pace = thousands(uint64(r.Rate)) + " requests/s due"
	}
	return fmt.Sprintf("%d %% writes%s, titles of %d bytes, %s lists, %s connections, %s, for %s s",
		r.Work.Percent, routes, r.Work.Size, thousands(uint64(r.Work.Lists)), thousands(uint64(r.Conns)), pace, trim(r.Seconds))
}

// rows is the table of latencies.
func (r *benchReport) rows() [][]string {
	rows := [][]string{{"", "OPS/S", "P50", "P90", "P99", "P99.9", "MAX", "OPS"}}
	add := func(name string, f *figures) {
		if f != nil {
			rows = append(rows, []string{name, thousands(uint64(f.PerS)), msText(f.P50), msText(f.P90), msText(f.P99), msText(f.P999), msText(f.Max), thousands(f.Ops)})
		}
	}
	add(kindNames[writes], r.Writes)
	add(kindNames[reads], r.Reads)
	if len(rows) != 2 {
		add("all", &r.All)
	}
	return rows
}

// facts are the lines below the table: a name and what it is.
func (r *benchReport) facts() [][2]string {
	facts := [][2]string{{"failed", kindsText(r.Failed)}, {"tried again", kindsText(r.Retried)}}
	if r.Rate > 0 || len(r.Retried) > 0 {
		facts = append(facts, [2]string{"accepted tries", fmt.Sprintf("p50 %s, p99 %s, max %s from when each was sent", msText(r.Accepted.P50), msText(r.Accepted.P99), msText(r.Accepted.Max))})
	}
	cpu := "not seen"
	if r.NodesCPU > 0 {
		cpu = fmt.Sprintf("%.2f cores, %.3f s per 1,000 operations", r.NodesCPU/r.Seconds, r.Per1000)
	}
	facts = append(facts, [2]string{"nodes' CPU", cpu}, [2]string{"load's CPU", fmt.Sprintf("%.2f cores", r.LoadCPU/r.Seconds)})
	for _, f := range r.Faults {
		facts = append(facts, [2]string{f.Kind + " of " + f.Node, fmt.Sprintf("at %.2f s, ready again at %.2f s; longest pause %s", f.At, f.Back, msText(f.Pause))})
	}
	a := r.Audit
	sum := fmt.Sprintf("%s acknowledged, %s stored", thousands(uint64(a.Acknowledged)), thousands(uint64(a.Stored)))
	if a.Unknown > 0 {
		sum += fmt.Sprintf(", of %d unknown outcomes %d", a.Unknown, a.UnknownKept)
	}
	return append(facts, [2]string{"audit", sum + ": " + a.String()})
}

// print writes the report for a person.
func (b *bench) print() error {
	r := &b.report
	where := strings.Join(r.Nodes, " ")
	if r.Own {
		where = fmt.Sprintf("%d nodes of its own", len(r.Nodes))
	}
	fmt.Fprintf(b.out, "bench %s on %s\n%s\n\n", r.Work.Run, cli.Safe(where), r.what())
	if r.Memory {
		fmt.Fprintf(b.out, "%s\n\n", b.paint("33", "the nodes' files were in memory, where a sync costs nothing: --data names a folder on a disk"))
	}
	if err := cli.Table(b.out, r.rows()); err != nil {
		return err
	}
	fmt.Fprintln(b.out)
	for _, fact := range r.facts() {
		sgr := "0"
		if fact[0] == "audit" {
			sgr = map[bool]string{true: "32", false: "1;31"}[r.Audit.equal()]
		}
		fmt.Fprintf(b.out, "%-14s  %s\n", fact[0], b.paint(sgr, cli.Safe(fact[1])))
	}
	fmt.Fprintf(b.out, "\nlatency of all, up to\n")
	for _, line := range drawBins(r.Bins, b.drawn) {
		fmt.Fprintln(b.out, line)
	}
	return nil
}

// barWidth is the longest bar: with what stands beside it, it fits into 80 columns.
const barWidth = 50

// drawBins draws a histogram, its longest bar barWidth long.
func drawBins(bins []bin, blocks bool) (lines []string) {
	most, all := uint64(1), uint64(0)
	for _, b := range bins {
		most, all = max(most, b.Count), all+b.Count
	}
	for _, b := range bins {
		bar := strings.Repeat("#", int(b.Count*barWidth/most))
		if blocks {
			eighths := int(b.Count * barWidth * 8 / most)
			bar = strings.Repeat("█", eighths/8) + strings.TrimSpace([]string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}[eighths%8])
		}
		if bar == "" && b.Count > 0 {
			bar = "."
		}
		lines = append(lines, fmt.Sprintf("%10s  %6.2f %%  %s", msText(b.UpTo), 100*float64(b.Count)/float64(all), bar))
	}
	return lines
}

func total(kinds map[string]int) (n int) {
	for _, c := range kinds {
		n += c
	}
	return n
}

// kindsText is a number of failures and of what kind they were.
func kindsText(kinds map[string]int) string {
	if len(kinds) == 0 {
		return "0"
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, kinds[kind]))
	}
	return fmt.Sprintf("%s (%s)", thousands(uint64(total(kinds))), strings.Join(parts, ", "))
}

// msText is a latency in milliseconds with three digits that count.
func msText(ms float64) string {
	switch {
	case ms == 0:
		return "0 ms"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	case ms < 100:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return thousands(uint64(ms+.5)) + " ms"
}

func trim(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// thousands is a number with a comma before each three digits.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

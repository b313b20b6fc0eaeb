package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"
)

// The size of a chart: the plot and the room around it.
const (
	plotLeft, plotTop     = 70, 20
	plotWidth, plotHeight = 880, 220
	chartWidth            = plotLeft + plotWidth + 20
	chartHeight           = plotTop + plotHeight + 40
)

// page writes the report as one page that needs nothing else: well-formed, its charts drawn in
// it, without a script.
func (r *benchReport) page(w io.Writer) {
	title := html.EscapeString("todod bench " + r.Work.Run)
	fmt.Fprintf(w, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>%s</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .2em .9em .2em 0; text-align: left } table.n td + td, table.n th + th { text-align: right }
svg { width: 100%%; height: auto } svg text { font-size: 12px; fill: #555 }
.grid { stroke: #ddd } .fault { stroke: #c00; stroke-dasharray: 4 3 } .away { fill: #c00; opacity: .08 } svg text.faultname { fill: #c00 }
.ops { stroke: #06c } .p50 { stroke: #080 } .p99 { stroke: #c60 } .max { stroke: #999 } polyline { fill: none; stroke-width: 1.5 } .bar { fill: #06c } .bad { fill: #c00 }
</style></head><body>
<h1>%s</h1><p>%s; %s, %s</p>
`, title, title, html.EscapeString(r.what()), html.EscapeString(strings.Join(r.Nodes, " ")), r.When.Format(time.RFC3339))
	r.pageTables(w)
	fmt.Fprint(w, "<h2>Operations a second</h2>\n")
	r.throughputChart(w)
	fmt.Fprint(w, `<h2>Latency</h2><p>of what ended in each moment, log scale: p50 green, p99 orange, max grey</p>`+"\n")
	r.latencyChart(w)
	fmt.Fprint(w, "<h2>Histogram</h2>\n")
	r.binChart(w)
	fmt.Fprint(w, "</body></html>\n")
}

func (r *benchReport) pageTables(w io.Writer) {
	fmt.Fprint(w, "<table class=\"n\">\n")
	for i, row := range r.rows() {
		cell := "td"
		if i == 0 {
			cell = "th"
		}
		fmt.Fprint(w, "<tr>")
		for _, text := range row {
			fmt.Fprintf(w, "<%s>%s</%s>", cell, html.EscapeString(text), cell)
		}
		fmt.Fprint(w, "</tr>\n")
	}
	fmt.Fprint(w, "</table>\n<table>\n")
	for _, fact := range r.facts() {
		fmt.Fprintf(w, "<tr><th>%s</th><td>%s</td></tr>\n", html.EscapeString(fact[0]), html.EscapeString(fact[1]))
	}
	fmt.Fprint(w, "</table>\n")
}

// x is where a moment of the run is drawn.
func (r *benchReport) x(seconds float64) float64 {
	return plotLeft + plotWidth*min(max(seconds/r.Seconds, 0), 1)
}

// chart draws the frame of a chart over time, the faults, and what is inside.
func (r *benchReport) chart(w io.Writer, name string, inside func()) {
	fmt.Fprintf(w, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", chartWidth, chartHeight, name)
	for i := range 11 {
		at := r.Seconds * float64(i) / 10
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle">%.3g s</text>`+"\n", r.x(at), plotTop+plotHeight+18, at)
	}
	inside()
	for _, f := range r.Faults {
		x := r.x(f.At)
		fmt.Fprintf(w, `<g><title>%s, longest pause %s</title><rect class="away" x="%.1f" y="%d" width="%.1f" height="%d"/>`,
			html.EscapeString(fmt.Sprintf("%s of %s at %.2f s", f.Kind, f.Node, f.At)), msText(f.Pause), x, plotTop, max(r.x(f.Back)-x, 0), plotHeight)
		fmt.Fprintf(w, `<line class="fault" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="faultname" x="%.1f" y="%d">%s %s</text></g>`+"\n",
			x, plotTop, x, plotTop+plotHeight, x+3, plotTop-5, html.EscapeString(f.Kind), html.EscapeString(f.Node))
	}
	fmt.Fprint(w, "</svg>\n")
}

// grid draws a horizontal line and what it stands for.
func grid(w io.Writer, y float64, label string) {
	fmt.Fprintf(w, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
		plotLeft, y, plotLeft+plotWidth, y, plotLeft-6, y+4, label)
}

// line draws one series; a moment without a value interrupts it.
func (r *benchReport) line(w io.Writer, class string, y func(moment) (float64, bool)) {
	var points []string
	flush := func() {
		if len(points) > 0 {
			fmt.Fprintf(w, `<polyline class="%s" points="%s"/>`+"\n", class, strings.Join(points, " "))
		}
		points = nil
	}
	for _, m := range r.Series {
		v, ok := y(m)
		if !ok {
			flush()
			continue
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", r.x(m.At), v))
	}
	flush()
}

func (r *benchReport) throughputChart(w io.Writer) {
	top := 1.0
	for _, m := range r.Series {
		top = max(top, m.Ops)
	}
	top = roundUp(top)
	y := func(v float64) float64 { return plotTop + plotHeight*(1-v/top) }
	r.chart(w, "operations a second over time", func() {
		for i := range 5 {
			v := top * float64(i) / 4
			grid(w, y(v), thousands(uint64(v)))
		}
		r.line(w, "ops", func(m moment) (float64, bool) { return y(m.Ops), true })
		for _, m := range r.Series {
			if m.Failed > 0 {
				fmt.Fprintf(w, `<circle class="bad" cx="%.1f" cy="%d" r="3"><title>%d failed</title></circle>`+"\n", r.x(m.At), plotTop+plotHeight, m.Failed)
			}
		}
	})
}

func (r *benchReport) latencyChart(w io.Writer) {
	least, most := math.Inf(1), 0.0
	for _, m := range r.Series {
		if m.P50 > 0 {
			least, most = min(least, m.P50), max(most, m.Max)
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	from, to := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	to = max(to, from+1)
	y := func(ms float64) float64 { return plotTop + plotHeight*(1-(math.Log10(ms)-from)/(to-from)) }
	r.chart(w, "latency over time", func() {
		for e := from; e <= to; e++ {
			grid(w, y(math.Pow(10, e)), trim(math.Pow(10, e))+" ms")
		}
		for _, s := range []struct {
			class string
			of    func(moment) float64
		}{{"max", func(m moment) float64 { return m.Max }}, {"p99", func(m moment) float64 { return m.P99 }}, {"p50", func(m moment) float64 { return m.P50 }}} {
			r.line(w, s.class, func(m moment) (float64, bool) { return y(max(s.of(m), 1e-6)), s.of(m) > 0 })
		}
	})
}

func (r *benchReport) binChart(w io.Writer) {
	const row = 20
	most, all := uint64(1), uint64(0)
	for _, b := range r.Bins {
		most, all = max(most, b.Count), all+b.Count
	}
	fmt.Fprintf(w, `<svg viewBox="0 0 %d %d" role="img" aria-label="histogram of latencies">`+"\n", chartWidth, row*len(r.Bins)+row)
	for i, b := range r.Bins {
		width := 700 * float64(b.Count) / float64(most)
		fmt.Fprintf(w, `<text x="100" y="%d" text-anchor="end">up to %s</text><rect class="bar" x="110" y="%d" width="%.1f" height="14"/><text x="%.1f" y="%d">%.2f %%</text>`+"\n",
			row*i+14, msText(b.UpTo), row*i+3, width, 116+width, row*i+14, 100*float64(b.Count)/float64(all))
	}
	fmt.Fprint(w, "</svg>\n")
}

// roundUp is the next number with one digit that counts.
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	return math.Ceil(v/unit) * unit
}

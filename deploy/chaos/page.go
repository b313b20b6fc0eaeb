package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// The size of a chart: the plot and the room around it.
const (
	plotLeft, plotTop     = 70, 12
	plotWidth, plotHeight = 1080, 200
)

// writePage writes the run as one page that needs nothing else: what was done when, throughput and
// latency over time with the faults marked.
func (r *run) writePage(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	w := bufio.NewWriter(file)
	r.page(w)
	if err := w.Flush(); err != nil {
		file.Close()
		return fmt.Errorf("write the page: %w", err)
	}
	return file.Close()
}

func (r *run) page(w io.Writer) {
	length := 1.0
	for _, t := range r.story {
		length = max(length, t.At+t.For)
	}
	verdict := "no findings"
	if len(r.findings) > 0 {
		verdict = fmt.Sprintf("%d findings", len(r.findings))
	}
	fmt.Fprintf(w, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>todod chaos, seed %d</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .1em 1em .1em 0; text-align: left } td.n { text-align: right }
svg { width: 100%%; height: auto } svg text { font-size: 12px; fill: #555 } .bad { color: #c00 }
.grid { stroke: #ddd } .fault { fill: #c00; opacity: .12 } .check { fill: #888; opacity: .25 } polyline { fill: none; stroke-width: 1.2 }
.ops { stroke: #06c } .fails { stroke: #c00 } .p50 { stroke: #080 } .p99 { stroke: #c60 } .max { stroke: #aaa }
</style></head><body>
<h1>todod chaos: %s</h1>
<p>seed %d, from %s, %v, %d nodes at the beginning, %d clients. %s.</p>
`, r.opt.seed, verdict, r.opt.seed, r.began.Format(time.RFC3339), time.Duration(length)*time.Second, r.opt.nodes, r.opt.clients, html.EscapeString(r.sums.String()))
	fmt.Fprintf(w, "<p>%d committed entries compared over the logs of all nodes, %d terms, %d proposals of an earlier term refused.</p>\n",
		len(r.audit.entries), len(r.audit.opened), r.audit.refused)
	for _, f := range r.findings {
		fmt.Fprintf(w, "<p class=\"bad\">%s</p>\n", html.EscapeString(f))
	}
	c := chart{w: w, length: length, story: r.story}
	c.throughput(r.sums.Seconds)
	c.latency(r.sums.Seconds)
	r.tables(w)
	fmt.Fprint(w, "</body></html>\n")
}

func (r *run) tables(w io.Writer) {
	fmt.Fprint(w, "<h2>Kinds of fault</h2>\n<table>\n")
	for _, kind := range slices.Sorted(maps.Keys(r.sums.Faults)) {
		fmt.Fprintf(w, "<tr><td class=\"n\">%d</td><td>%s</td><td>%s</td></tr>\n", r.sums.Faults[kind], kind, kindOf(kind).does)
	}
	fmt.Fprint(w, "</table>\n<h2>What each process held when all was quiet, and after a restart</h2>\n<table>\n")
	for _, u := range r.used {
		fmt.Fprintf(w, "<tr><td>%d goroutines, %d files, %d MB</td><td>%d, %d, %d MB</td></tr>\n",
			u[0].Goroutines, u[0].Files, u[0].Memory>>20, u[1].Goroutines, u[1].Files, u[1].Memory>>20)
	}
	fmt.Fprint(w, "</table>\n<h2>What was done when</h2>\n<table>\n")
	for _, t := range r.story {
		fmt.Fprintf(w, "<tr><td class=\"n\">%.1f s</td><td class=\"n\">%.1f s</td><td>%s</td><td>%s</td></tr>\n",
			t.At, t.For, html.EscapeString(t.Kind), html.EscapeString(t.Text))
	}
	fmt.Fprint(w, "</table>\n")
}

// chart draws over time.
type chart struct {
	w      io.Writer
	length float64 // seconds
	story  []told
}

func (c chart) x(at float64) float64 { return plotLeft + plotWidth*at/c.length }

// frame draws what all charts have: the time, and the faults.
func (c chart) frame(title string, inside func()) {
	fmt.Fprintf(c.w, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", title, plotLeft+plotWidth+20, plotTop+plotHeight+30)
	for _, t := range c.story {
		class := "fault"
		if t.Kind == "check" {
			class = "check"
		}
		fmt.Fprintf(c.w, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d"><title>%.1f s: %s</title></rect>`+"\n",
			class, c.x(t.At), plotTop, max(c.x(t.At+t.For)-c.x(t.At), 0.5), plotHeight, t.At, html.EscapeString(t.Kind+t.Text))
	}
	for i := range 11 {
		at := c.length * float64(i) / 10
		fmt.Fprintf(c.w, `<text x="%.1f" y="%d" text-anchor="middle">%.0f s</text>`+"\n", c.x(at), plotTop+plotHeight+18, at)
	}
	inside()
	fmt.Fprint(c.w, "</svg>\n")
}

// line draws one series; a second without a value interrupts it.
func (c chart) line(class string, all []second, y func(second) (float64, bool)) {
	var points []string
	flush := func() {
		if len(points) > 0 {
			fmt.Fprintf(c.w, `<polyline class="%s" points="%s"/>`+"\n", class, strings.Join(points, " "))
		}
		points = nil
	}
	last := 0
	for _, s := range all {
		v, has := y(s)
		if !has || s.At > last+1 {
			flush()
		}
		if last = s.At; has {
			points = append(points, fmt.Sprintf("%.1f,%.1f", c.x(float64(s.At)), v))
		}
	}
	flush()
}

func (c chart) grid(y float64, label string) {
	fmt.Fprintf(c.w, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
		plotLeft, y, plotLeft+plotWidth, y, plotLeft-6, y+4, label)
}

func (c chart) throughput(all []second) {
	top := 1
	for _, s := range all {
		top = max(top, s.Good, s.Bad)
	}
	y := func(v int) float64 { return plotTop + plotHeight*(1-float64(v)/float64(top)) }
	c.frame("Tries a second: answered yes or no (blue), others (red)", func() {
		for i := range 5 {
			c.grid(y(top*i/4), fmt.Sprint(top*i/4))
		}
		c.line("fails", all, func(s second) (float64, bool) { return y(s.Bad), true })
		c.line("ops", all, func(s second) (float64, bool) { return y(s.Good), true })
	})
}

func (c chart) latency(all []second) {
	const from, to = -1.0, 4.0 // 0.1 ms to 10 s, as a power of ten
	y := func(d time.Duration) float64 {
		e := min(max(math.Log10(max(d.Seconds()*1000, 1e-3)), from), to)
		return plotTop + plotHeight*(1-(e-from)/(to-from))
	}
	c.frame("Latency of what was answered: p50 green, p99 orange, max grey", func() {
		for e := from; e <= to; e++ {
			d := time.Duration(math.Pow(10, e) * float64(time.Millisecond))
			c.grid(y(d), d.String())
		}
		for class, of := range map[string]func(second) time.Duration{
			"max": func(s second) time.Duration { return s.Max },
			"p99": func(s second) time.Duration { return s.P99 },
			"p50": func(s second) time.Duration { return s.P50 }} {
			c.line(class, all, func(s second) (float64, bool) { return y(of(s)), of(s) > 0 })
		}
	})
}

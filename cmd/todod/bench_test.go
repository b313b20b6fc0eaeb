package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"todod/httpapi/api"
)

// What a histogram tells is never below the truth, and at most 1/64 above it.
func TestHistogramAgainstSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spread := rapid.SampledFrom([]int64{100, 1e6, 1e9, 1 << histMax}).Draw(t, "spread")
		all := rapid.SliceOfN(rapid.Int64Range(0, spread-1), 1, 300).Draw(t, "latencies")
		var parts [2]histogram
		for i, v := range all {
			parts[i%2].add(time.Duration(v))
		}
		var sum tally
		sum.add(&parts[0])
		var other tally
		other.add(&parts[1])
		sum.join(&other)
		slices.Sort(all)
		if sum.n != uint64(len(all)) || sum.max != time.Duration(all[len(all)-1]) {
			t.Fatalf("%d of %d, max %d", sum.n, len(all), sum.max)
		}
		q := rapid.SampledFrom([]float64{0, .5, .9, .99, .999, 1}).Draw(t, "q")
		want := all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
		if got := int64(sum.quantile(q)); got < want || got > want+want/64 {
			t.Errorf("quantile %v of %d is %d, want %d", q, len(all), got, want)
		}
		var inBins uint64
		for i, b := range sum.bins() {
			inBins += b.Count
			if i > 0 && b.UpTo != 2*sum.bins()[i-1].UpTo {
				t.Errorf("bins %v", sum.bins())
			}
		}
		if inBins != sum.n {
			t.Errorf("%d in bins, %d in all", inBins, sum.n)
		}
	})
}

// Each bucket begins where the one before it ends.
func TestBucketsHaveNoGaps(t *testing.T) {
	for i := range histBuckets - 1 {
		if top := bucketTop(i); bucketOf(top) != i || bucketOf(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d, and one more in %d", i, top, bucketOf(top), bucketOf(top+1))
		}
	}
	if last := bucketOf(math.MaxInt64); last != histBuckets-1 || bucketOf(-1) != 0 {
		t.Errorf("the longest is in bucket %d of %d", last, histBuckets)
	}
}

func TestScheduleKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedule{time.Now(), rapid.Float64Range(.1, mostRate).Draw(t, "rate")}
		length := time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(t, "length"))
		n := s.before(s.begin.Add(length))
		if !s.due(n-1).Before(s.begin.Add(length)) || s.due(n).Before(s.begin.Add(length)) {
			t.Errorf("%d are due within %s at %v a second", n, length, s.rate)
		}
		if want := length.Seconds() * s.rate; math.Abs(float64(n)-want) > 1.01 {
			t.Errorf("%d are due within %s at %v a second, want %v", n, length, s.rate, want)
		}
	})
}

// A pause of the server is in the latency of all the requests that were due meanwhile, not
// only of those few that were under way.
func TestOpenLoopCountsWhatWasDue(t *testing.T) {
	const rate, conns, pause = 400, 4, 300 * time.Millisecond
	f := newFake(t)
	begin := time.Now()
	f.before = func(*http.Request) {
		if past := time.Since(begin); past > 200*time.Millisecond && past < 200*time.Millisecond+pause {
			<-time.After(200*time.Millisecond + pause - past)
		}
	}
	w := newWork(work{Run: "testtest", Percent: 100, Lists: 3, Size: 100})
	rec := newRecorder(begin, time.Second)
	newPressure(w, []string{f.addr}, rec, rate, conns).run(t.Context(), begin)

	slower := func(t *tally) (n uint64) {
		for i, c := range t.counts {
			if bucketTop(i) > 100*time.Millisecond {
				n += c
			}
		}
		return n
	}
	sum := rec.sum()[writes]
	slow := slower(&sum)
	_, failed := rec.failures()
	if sum.n+uint64(total(failed)) != rate {
		t.Errorf("%d answered, %v failed, of %d that were due", sum.n, failed, rate)
	}
	// Those of the first 200 ms of the pause waited for 100 ms at least.
	if slow += uint64(failed["not_sent"]); slow < 78 {
		t.Errorf("only %d show the pause", slow)
	}
	if sum.max < 250*time.Millisecond {
		t.Errorf("the slowest took %s", sum.max)
	}
	var tries tally
	tries.add(&rec.accepted)
	if n := slower(&tries); tries.n != sum.n || n == 0 || n > 2*conns { // what was sent before the pause, and in its last moments
		t.Errorf("%d of %d tries waited for the server in %d connections", n, tries.n, conns)
	}
}

// benchJSON runs todod bench against servers to its end.
func benchJSON(t *testing.T, servers string, args ...string) (benchReport, int) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"bench", "--server", servers, "--duration", "200ms", "--warmup", "0", "--conns", "4", "--lists", "7", "--output", "json"}, args...)
	code := run(t.Context(), args, strings.NewReader(""), &out, &errs, func(string) string { return "" })
	var r benchReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, &out, &errs)
	}
	return r, code
}

// The audit finds every kind of lie, and deletes what it wrote whatever came of it.
func TestBenchAudit(t *testing.T) {
	for name, test := range map[string]struct {
		lie  func(n int, e *api.Entry) int
		want func(audit) bool
		code int
	}{
		"the truth": {nil, func(a audit) bool { return a.equal() && a.Acknowledged == a.Stored && a.Stored > 0 }, 0},
		"a loss": {func(n int, _ *api.Entry) int {
			if n == 50 {
				return 0
			}
			return 1
		}, func(a audit) bool { return a.Lost == 1 }, 1},
		"a doubling": {func(n int, _ *api.Entry) int {
			if n == 50 {
				return 2
			}
			return 1
		}, func(a audit) bool { return a.Doubled == 1 && a.Lost == 0 }, 1},
		"another id": {func(n int, e *api.Entry) int {
			if n == 50 {
				e.ID = 1e6
			}
			return 1
		}, func(a audit) bool { return a.Wrong == 1 }, 1},
		"another title": {func(n int, e *api.Entry) int {
			if n == 50 {
				e.Title += "!"
			}
			return 1
		}, func(a audit) bool { return a.Foreign == 1 && a.Lost == 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.lists["bob"] = []api.Entry{{List: "bob", ID: 1, Title: "Dentist"}}
			f.lie = test.lie
			r, code := benchJSON(t, f.addr, "--mix", "60")
			if code != test.code || !test.want(r.Audit) {
				t.Errorf("exit code %d, %+v", code, r.Audit)
			}
			if left := f.names("bench-"); len(left) > 0 || len(f.names("bob")) != 1 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

// A connection that breaks when the write is stored: with a key it is sent again and done
// once, without one its outcome is not known, and both are told as they are.
func TestBenchBrokenConnections(t *testing.T) {
	for _, keys := range []string{"--keys=true", "--keys=false"} {
		f := newFake(t)
		f.after = func(n int) {
			if n%10 == 0 {
				panic(http.ErrAbortHandler)
			}
		}
		r, code := benchJSON(t, f.addr, keys, "--keep")
		a := r.Audit
		if code != 0 || !a.equal() {
			t.Errorf("%s: exit code %d, %+v", keys, code, a)
		}
		cut := f.added() / 10
		if keyed := keys == "--keys=true"; keyed && (r.Retried["closed"] != cut || total(r.Failed) != 0 || a.Unknown != 0) ||
			!keyed && (r.Failed["closed"] != cut || a.Unknown != cut || a.UnknownKept != cut) {
			t.Errorf("%s: of %d cut: retried %v, failed %v, %+v", keys, cut, r.Retried, r.Failed, a)
		}
		if len(f.names("bench-")) == 0 {
			t.Error("--keep kept nothing")
		}
	}
}

// A node that refuses is left for the next one; what was refused is not stored.
func TestBenchMovesOn(t *testing.T) {
	bad, good := newFake(t), newFake(t)
	bad.before = func(r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	good.before = func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Header.Get("Idempotency-Key")] = true
	}
	w := newWork(work{Run: "testtest", Percent: 100, Lists: 3, Size: 100, Keys: true})
	begin := time.Now()
	rec := newRecorder(begin, 200*time.Millisecond)
	p := newPressure(w, []string{bad.addr, good.addr}, rec, 0, 4)
	p.run(t.Context(), begin)
	tried, failed := rec.failures()
	if tried["closed"] != 2 || len(failed) != 0 || bad.added() != 0 || good.added() == 0 {
		t.Errorf("tried %v, failed %v; %d and %d adds", tried, failed, bad.added(), good.added())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != good.added() {
		t.Errorf("%d keys for %d adds", len(seen), good.added())
	}
}

func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--writes", "--reads"}, {"--reads", "--mix", "3"}, {"--mix", "101"}, {"--conns", "0"}, {"--rate", "-1"}, {"--rate", "NaN"}, {"--size", "10"},
		{"--server", "h:1", "--faults", "kill"}, {"--faults", "fire"}, {"--keep"}, {"--consistency", "strong"}, {"--server", "h"}, {"--output", "xml"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"bench"}, args...), strings.NewReader(""), &out, &out, func(string) string { return "" }); code != 2 {
			t.Errorf("%v: exit code %d, %s", args, code, &out)
		}
	}
}

// The page is well-formed, needs nothing else, and has each fault in both charts.
func TestBenchPage(t *testing.T) {
	begin := time.Now()
	rec := newRecorder(begin, time.Second)
	for i := range 1000 {
		at := begin.Add(time.Duration(i) * time.Millisecond)
		rec.done(i%2, at, at, at.Add(time.Duration(i)*time.Microsecond), true)
	}
	rec.fail("closed", begin.Add(600*time.Millisecond), 3)
	b := &bench{flags: &benchFlags{conns: 4, duration: time.Second}, work: newWork(work{Run: "testtest", Percent: 50, Lists: 3, Size: 100}),
		addrs: []string{"h<b>:1"}, rec: rec, faults: &injector{done: []fault{{"kill", "n1", .25, .5, 12}, {"pause", "n2", .75, .9, 800}}}}
	b.fill()
	var page bytes.Buffer
	b.report.page(&page)

	marks, charts := map[string]int{}, 0
	dec := xml.NewDecoder(bytes.NewReader(page.Bytes()))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, &page)
		}
		el, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range el.Attr {
			switch {
			case a.Name.Local == "class" && a.Value == "faultname":
				var name string
				if err := dec.DecodeElement(&name, &el); err != nil {
					t.Fatal(err)
				}
				marks[name]++
			case a.Name.Local == "src" || a.Name.Local == "href":
				t.Errorf("the page needs %s", a.Value)
			case strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf"):
				t.Errorf("<%s %s=%q>", el.Name.Local, a.Name.Local, a.Value)
			}
		}
		if el.Name.Local == "svg" {
			charts++
		}
		if el.Name.Local == "script" {
			t.Error("the page has a script")
		}
	}
	if charts != 3 || len(marks) != 2 || marks["kill n1"] != 2 || marks["pause n2"] != 2 {
		t.Errorf("%d charts, marks %v", charts, marks)
	}
	if r := b.report; r.All.Ops != 1000 || r.Writes.Ops != 500 || r.Failed["closed"] != 3 || r.All.PerS < 998 {
		t.Errorf("%+v", r.All)
	}
}

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"todod/deploy/chaos/history"
	"todod/fsm"
	"todod/httpapi/api"
)

// bare is a run without processes, for what is decided about what they say.
func bare(t *testing.T) *run {
	t.Helper()
	r, err := newRun(options{seed: 1, dir: t.TempDir()}, "", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r.watch = newWatch(r)
	t.Cleanup(r.stop)
	return r
}

func TestSchedule(t *testing.T) {
	one, err := schedule(7, nil, 300)
	if err != nil {
		t.Fatal(err)
	}
	again, err := schedule(7, nil, 300)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, again) {
		t.Error("the same seed gives other faults")
	}
	if other, _ := schedule(8, nil, 300); reflect.DeepEqual(one, other) {
		t.Error("another seed gives the same faults")
	}
	seen, with := map[string]bool{}, 0
	for _, f := range one[:100] {
		seen[f.Kind] = true
		if f.With != "" {
			with++
		}
	}
	if len(seen) < 20 || len(seen) != len(kinds()) {
		t.Errorf("100 faults are of %d kinds, there are %d", len(seen), len(kinds()))
	}
	if with == 0 {
		t.Error("no fault comes while another goes on")
	}
	if _, err := schedule(1, []string{"kill-leader", "flood"}, 1); err == nil || !strings.Contains(err.Error(), "split-all") {
		t.Errorf("a kind that is not there: %v", err)
	}
}

// followed has a follower hear of changes.
func followed(r *run, ids ...string) {
	f := &follower{l: r.load, stop: func() {}, first: 1, last: 1, id: "1", told: map[uint64]api.Change{}, nodes: map[string]bool{}}
	for _, id := range ids {
		f.heard("n1", id, fmt.Sprintf(`{"rev":%s,"items":[{"op":"add","list":"bob","id":1,"entry":{"title":"x"}}]}`, id[2:]))
	}
	if err := f.check(); err != nil {
		r.find("%v", err)
	}
}

// What the checks must find, in what nodes say.
func TestFindings(t *testing.T) {
	cluster := func(id string, term uint64) api.Cluster { return api.Cluster{ID: id, Leader: id, Term: term} }
	answered := func(status int, rev, body string) answer {
		a := answer{status: status, header: map[string][]string{}, body: []byte(body)}
		if rev != "" {
			a.header.Set("Todod-Index", rev)
		}
		return a
	}
	judge := func(a answer, floor uint64) func(*run) {
		return func(r *run) { (&client{l: r.load, random: r.random}).judge(a, floor, "n1", "GET /x", 0) }
	}
	for name, c := range map[string]struct {
		do   func(*run)
		want string // part of the finding, "" for none
	}{
		"a leader in each of two terms": {func(r *run) {
			for _, c := range []api.Cluster{cluster("n1", 1), cluster("n1", 1), cluster("n2", 2), cluster("n2", 2)} {
				r.watch.saw(c)
			}
		}, ""},
		"two leaders in a term": {func(r *run) {
			for _, c := range []api.Cluster{cluster("n1", 1), cluster("n1", 1), cluster("n2", 1), cluster("n2", 1)} {
				r.watch.saw(c)
			}
		}, "two nodes lead in term 1"},
		"an event is missing": {func(r *run) {
			r.watch.heard(&node{id: "n1"}, "boot.1", `{"type":"node_up"}`)
			r.watch.heard(&node{id: "n1"}, "boot.3", `{"type":"node_up"}`)
		}, "event 3 after event 1"},
		"events of two boots": {func(r *run) {
			r.watch.heard(&node{id: "n1"}, "boot.1", `{"type":"node_up"}`)
			r.watch.heard(&node{id: "n1"}, "other.1", `{"type":"node_up"}`)
		}, ""},
		"a read at a higher rev":         {judge(answered(200, "7", ""), 6), ""},
		"a read that goes back":          {judge(answered(200, "5", ""), 6), "shows rev 5"},
		"an answer without a rev":        {judge(answered(200, "", ""), 0), "without Todod-Index"},
		"a refusal with its outcome":     {judge(answered(503, "", `{"outcome":"not_applied"}`), 0), ""},
		"a refusal of a defect":          {judge(answered(500, "", `{"outcome":"unknown"}`), 0), "500"},
		"an outcome that there is not":   {judge(answered(503, "", `{"outcome":"perhaps"}`), 0), "perhaps"},
		"changes in order":               {func(r *run) { followed(r, "7.2", "7.3") }, ""},
		"a change is missing":            {func(r *run) { followed(r, "7.2", "7.4") }, "the change 7.4 after 7.2"},
		"a change is told twice":         {func(r *run) { followed(r, "7.2", "7.2") }, "the change 7.2 after 7.2"},
		"a change of another epoch":      {func(r *run) { followed(r, "7.2", "8.3") }, "the change 8.3 after 7.2"},
		"a change that was acknowledged": {func(r *run) { r.load.revs[2] = `POST /x {"title":"x"}`; followed(r, "7.2") }, ""},
		"a change that is another":       {func(r *run) { r.load.revs[2] = `PUT /x {"title":"y"}`; followed(r, "7.2") }, `rev 2 is PUT /x {"title":"y"}`},
		"a rev given twice": {func(r *run) {
			c := &client{l: r.load}
			c.changed(answered(201, "3", ""), 1, "one")
			c.changed(answered(201, "3", ""), 1, "two")
		}, "given twice"},
		"a write at an old rev": {func(r *run) {
			(&client{l: r.load}).changed(answered(201, "3", ""), 3, "one")
		}, "was given rev 3"},
	} {
		r := bare(t)
		r.load = &load{r: r, ctx: r.ctx, revs: map[uint64]string{}, lost: map[string]bool{}}
		r.load.tape.began = time.Now()
		c.do(r)
		got := strings.Join(r.findings, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

func TestTitles(t *testing.T) {
	entries := func(titles ...string) (all []api.Entry) {
		for i, title := range titles {
			all = append(all, api.Entry{ID: uint64(i + 1), Title: title})
		}
		return all
	}
	for name, c := range map[string]struct {
		all  []api.Entry
		want string
	}{
		"all there":       {entries("a", "b", "c"), ""},
		"one is lost":     {entries("a"), "acknowledged, nobody deleted it"},
		"one is doubled":  {entries("a", "b", "a"), "twice"},
		"a refused one":   {entries("a", "b", "no"), "said to be not applied"},
		"one was deleted": {entries("a", "b"), ""},
	} {
		r := bare(t)
		l := &load{r: r, lost: map[string]bool{"no": true}}
		b := &book{name: "book", ids: [2][]uint64{{1, 2, 3}}, deleted: [2]map[uint64]bool{{3: true}, {}}}
		r.checkTitles(l, b, 0, c.all)
		got := strings.Join(r.findings, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

// What is known of a kept entry after a few changes, and what a node must not hold then.
func TestKept(t *testing.T) {
	nowhere, begun := place{}, place{"a", 1, false, firstDate}
	done, moved, gone := begun, place{List: "b", Date: firstDate}, begun
	done.Date, gone.Trash = nextDay(firstDate), true
	at := func(id uint64, p place) place { p.ID = id; return p }
	added := func(e *kept) { e.settle(history.Done, begun, 7) }
	for name, c := range map[string]struct {
		do    func(*kept)
		right [][]place
		wrong [][]place
	}{
		"added":             {added, [][]place{{begun}}, [][]place{{}, {gone}, {at(2, begun)}, {begun, begun}, {begun, at(1, moved)}}},
		"added, not known":  {func(e *kept) { e.settle(history.Unknown, at(0, begun), 0) }, [][]place{{}, {begun}}, [][]place{{moved}, {begun, at(2, begun)}}},
		"refused":           {func(e *kept) { e.settle(history.NotApplied, begun, 0) }, [][]place{{}}, [][]place{{begun}}},
		"moved":             {func(e *kept) { added(e); e.settle(history.Done, at(4, moved), 8) }, [][]place{{at(4, moved)}}, [][]place{{begun}, {begun, at(4, moved)}, {at(5, moved)}}},
		"moved, not known":  {func(e *kept) { added(e); e.settle(history.Unknown, moved, 0) }, [][]place{{begun}, {at(4, moved)}}, [][]place{{}, {gone}, {begun, at(4, moved)}}},
		"done":              {func(e *kept) { added(e); e.settle(history.Done, done, 8) }, [][]place{{done}}, [][]place{{begun}, {{"a", 1, false, nextDay(done.Date)}}}},
		"deleted, refused":  {func(e *kept) { added(e); e.settle(history.NotApplied, gone, 0) }, [][]place{{begun}}, [][]place{{gone}}},
		"deleted, restored": {func(e *kept) { added(e); e.settle(history.Done, gone, 8); e.settle(history.Done, begun, 9) }, [][]place{{begun}}, [][]place{{gone}, {begun, gone}}},
	} {
		e := &kept{title: "x", may: []place{nowhere}}
		c.do(e)
		for _, found := range c.right {
			if text := e.wrong(found); text != "" {
				t.Errorf("%s: %s", name, text)
			}
		}
		for _, found := range c.wrong {
			if e.wrong(found) == "" {
				t.Errorf("%s: nothing is wrong with %+v", name, found)
			}
		}
	}
}

func TestAudit(t *testing.T) {
	entry := func(index, term, stamped uint64, c fsm.Command) *raft.Log {
		return &raft.Log{Index: index, Term: term, Type: raft.LogCommand,
			Data: fsm.EncodeEnvelope(fsm.Stamp{Term: stamped}, []*fsm.Command{&c})}
	}
	open := func(index, term uint64, leader string) *raft.Log {
		return entry(index, term, term, fsm.Command{Type: fsm.TypeTerm, Version: 1, Payload: fsm.Term{Node: leader, Epoch: index}.Encode()})
	}
	sweep := fsm.Command{Type: fsm.TypeSweep, Version: 1}
	for name, c := range map[string]struct {
		logs []*raft.Log
		want string
	}{
		"two terms":                 {[]*raft.Log{open(1, 1, "n1"), open(2, 2, "n2")}, ""},
		"a leader says it twice":    {[]*raft.Log{open(1, 1, "n1"), open(2, 1, "n1")}, ""},
		"two leaders open a term":   {[]*raft.Log{open(1, 1, "n1"), open(2, 1, "n2")}, "two leaders"},
		"another entry in a place":  {[]*raft.Log{open(1, 1, "n1"), open(1, 1, "n2")}, "differs"},
		"the same of another term":  {[]*raft.Log{entry(1, 1, 1, sweep), entry(1, 2, 1, sweep)}, "differs"},
		"a proposal of a term ago":  {[]*raft.Log{entry(1, 2, 1, sweep)}, ""},
		"a proposal of a later one": {[]*raft.Log{entry(1, 1, 2, sweep)}, "says that it was proposed"},
	} {
		r := bare(t)
		got := ""
		for _, l := range c.logs {
			if err := r.audit.note(&node{id: "n1"}, l); err != nil {
				got = err.Error()
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The page is well-formed and tells all that was done.
func TestPage(t *testing.T) {
	r := bare(t)
	r.sums = sums{Faults: map[string]int{"kill-leader": 1}, Acks: 12345,
		Seconds: []second{{At: 0, Good: 10, P50: time.Millisecond, P99: 2 * time.Millisecond, Max: time.Second}, {At: 3, Bad: 4}}}
	r.story = []told{{At: 1, For: 1.5, Kind: "kill-leader", Text: " [n<1>]"}}
	r.find("something <bad>")
	var b bytes.Buffer
	r.page(&b)
	dec := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(b.String(), "<!DOCTYPE html>\n")))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
	for _, want := range []string{"12345", "kill -9 of the leader", "[n&lt;1&gt;]", "something &lt;bad&gt;", "polyline", "seed 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

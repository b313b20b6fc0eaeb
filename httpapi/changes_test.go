package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// events follows changes and returns a function that gives the next event, without its first lines.
func (w *world) events(path, lastID string) func() []string {
	w.t.Helper()
	s := w.streamOf(path, lastID)
	if got := next(w.t.(*testing.T), s); got[0] != "retry: 1000" || len(got) != 2 || !strings.HasPrefix(got[1], "id: 7.") {
		w.t.Errorf("begins with %q", got)
	}
	return func() []string { return next(w.t.(*testing.T), s) }
}

func wantEvent(t *testing.T, got []string, rev int, kind, items string) {
	t.Helper()
	at := time.UnixMilli(1_545_217_200_000 + 1 + int64(rev)).UTC().Format(time.RFC3339Nano)
	want := []string{fmt.Sprint("id: 7.", rev), "event: " + kind,
		"data: " + strings.ReplaceAll(fmt.Sprintf(`{"rev":%d,"time":%q,"items":[%s]}`, rev, at, items), "@", strconv.Quote(at))}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestChangesAreFollowed(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "before", "")
	all, bob := w.events("/v1/events", ""), w.events("/v1/lists/bob/events", "")
	w.add("ann", "x", "")
	w.do("PATCH", "/v1/lists/ann/entries/1", `{"done":false}`).want(200, "") // changes nothing
	w.do("POST", "/v1/batch", `{"commands":[{"op":"add","list":"ann","title":"y"},{"op":"delete","list":"bob","id":1},{"op":"add","list":"bob","title":"z"}]}`).want(200, "")
	w.do("DELETE", "/v1/lists/bob", "").want(204, "")

	const x = `{"op":"add","list":"ann","id":1,"entry":{"list":"ann","id":1,"title":"x","done":false,"rev":2,"created":@,"updated":@}}`
	const y = `{"op":"add","list":"ann","id":2,"entry":{"list":"ann","id":2,"title":"y","done":false,"rev":3,"created":@,"updated":@}}`
	const gone = `{"op":"delete","list":"bob","id":1}`
	const z = `{"op":"add","list":"bob","id":2,"entry":{"list":"bob","id":2,"title":"z","done":false,"rev":3,"created":@,"updated":@}}`
	const ended = `{"op":"delete_list","list":"bob"}`
	wantEvent(t, all(), 2, "add", x)
	for _, follow := range []struct {
		next  func() []string
		items string
	}{{all, y + "," + gone + "," + z}, {bob, gone + "," + z}} {
		got := follow.next()
		got[2] = strings.ReplaceAll(got[2], ".005Z", ".004Z")
		wantEvent(t, got, 3, "batch", follow.items)
		got = follow.next()
		got[2] = strings.ReplaceAll(got[2], ".006Z", ".005Z")
		wantEvent(t, got, 4, "delete_list", ended)
	}
}

// A stream begins behind what it is asked to, and says plainly when it cannot.
func TestWhereAStreamBegins(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.add("bob", "x", "")
	}
	for _, c := range []struct {
		since, last string
		first       int
	}{{"0", "", 1}, {"1", "", 2}, {"7.2", "", 3}, {"", "7.1", 2}, {"0", "7.2", 3}, {"", "1", 2}} {
		path := "/v1/events"
		if c.since != "" {
			path += "?since=" + c.since
		}
		if got := w.events(path, c.last)(); got[0] != fmt.Sprint("id: 7.", c.first) {
			t.Errorf("since %q, last id %q: %q", c.since, c.last, got)
		}
	}
	for _, path := range []string{"/v1/events", "/v1/lists/bob/events"} {
		w.do("HEAD", path, "").want(200, "").has("Content-Type", "text/event-stream").has("Todod-Index", "3")
		for _, since := range []string{"x", "", "-1", "7.", ".1", "7.1.1", "07.1", "7.01", "+1", "7.x", "18446744073709551616", "1%00", "0.1"} {
			w.do("GET", path+"?since="+since, "").problem(api.CodeInvalid, "", "since must be")
		}
		w.do("GET", path, "", "Last-Event-ID: n1.7").problem(api.CodeInvalid, "", "Last-Event-ID must be")
		w.do("GET", path+"?since=8.1", "").problem(api.CodeGone, "", "restore", "Todod-Index")
		w.do("HEAD", path+"?since=8.1", "").want(410, "")
		w.do("GET", path+"?since=4", "").problem(api.CodeInvalid, "", "must not be above 3")
		w.do("GET", path+"?since=7.18446744073709551615", "").problem(api.CodeInvalid, "", "must not be above 3")
		w.do("GET", path+"?since=1&since=1", "").problem(api.CodeInvalid, "")
		w.do("POST", path, "{}").want(405, "")
	}
	w.do("GET", "/v1/lists/%2F/events", "").problem(api.CodeInvalid, "")

	// Whether an id is of the future, or of an epoch to come, only a node knows that hears from a leader.
	w.node.set(func(g *group) { g.readErr = &server.Error{Kind: server.KindNoLeader, Detail: "no leader"} })
	w.do("GET", "/v1/events?since=4", "").problem(api.CodeNoLeader, "")
	w.do("GET", "/v1/events?since=8.1", "").problem(api.CodeNoLeader, "")
}

// Once a restore has begun another epoch, streams end, and their ids are gone.
func TestARestoreEndsStreams(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "x", "")
	backup := w.do("GET", "/v1/backup", "").want(200, "").body
	all, bob := w.streamOf("/v1/events?since=0", ""), w.streamOf("/v1/lists/bob/events", "")
	next(t, all)
	next(t, bob)
	if got := next(t, all); got[0] != "id: 7.1" {
		t.Error(got)
	}
	w.do("POST", "/v1/restore?foreign=true", backup, "Content-Type: application/octet-stream").want(200, "")
	for _, s := range []*bufio.Scanner{all, bob} {
		for s.Scan() {
			t.Errorf("the stream went on: %q", s.Text())
		}
	}
	w.do("GET", "/v1/events", "", "Last-Event-ID: 7.1").problem(api.CodeGone, "", "restore")
	w.do("GET", "/v1/events?since=1", "").problem(api.CodeGone, "", "no longer kept")
	rev := w.do("GET", "/v1/lists/bob", "").want(200, "").header.Get("Todod-Index")
	s := w.streamOf("/v1/events?since="+rev, "")
	if got := next(t, s); got[1] != "id: 8."+rev {
		t.Error(got)
	}
}

// Who follows a quiet list is told how far the others have come, and goes on from there.
func TestQuietListsGoOn(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
	bob := w.events("/v1/lists/bob/events", "")
	w.add("ann", "x", "")
	for got := bob(); got[1] != "id: 7.1"; got = bob() {
		if len(got) != 2 || got[0] != ": still here" || got[1] != "id: 7.0" {
			t.Fatalf("%q", got)
		}
	}
	w.add("bob", "y", "")
	got := bob()
	for strings.HasPrefix(got[0], ":") {
		got = bob()
	}
	if got[0] != "id: 7.2" || got[1] != "event: add" {
		t.Errorf("%q", got)
	}
}

// tail follows changes with connections that break again and again, and notes the revs that it is told of.
type tail struct {
	path, id string
	last     uint64 // the rev to end with; 0 for none
	revs     []uint64
	took     chan struct{} // told of each event, unless it is nil
}

// read reads up to most events, or to the last, and fails with what is wrong with one of them.
func (l *tail) read(ctx context.Context, addr string, most int) error {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+l.path, nil)
	if err != nil {
		return err
	}
	if l.id != "" {
		req.Header.Set("Last-Event-ID", l.id)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	for id := ""; most > 0 && lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), "id: "); is {
			id = text
		} else if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			var c api.Change
			if err := json.Unmarshal([]byte(data), &c); err != nil || fmt.Sprint("7.", c.Rev) != id {
				return fmt.Errorf("id %s, %v: %s", id, err, data)
			}
			l.revs, l.id = append(l.revs, c.Rev), id
			if most--; c.Rev == l.last {
				most = 0
			}
			if l.took != nil {
				l.took <- struct{}{}
			}
		} else if lines.Text() == "" {
			l.id = id
		}
	}
	return lines.Err()
}

// Whatever is written meanwhile, and wherever connections break, each change is told once, in order.
func TestStreamsHaveNoGapAndNoRepeat(t *testing.T) {
	w := newWorld(t)
	const writers, each = 4, 150
	writes := each
	if testing.Short() {
		writes = each / 10
	}
	var writing, reading sync.WaitGroup
	var mu sync.Mutex
	ofList := map[string][]uint64{} // the revs of each list
	lists := []string{"a", "b", "c"}
	for range writers {
		writing.Go(func() {
			for range writes {
				two := rand.Perm(len(lists))[:2]
				cmd := todo.Command{Ops: []todo.Op{{Kind: todo.Add, List: lists[two[0]], Fields: todo.Fields{Title: strings.Repeat("x", rand.IntN(500)+1)}}}}
				if rand.IntN(4) == 0 {
					cmd.Ops, cmd.Batch = append(cmd.Ops, todo.Op{Kind: todo.Add, List: lists[two[1]], Fields: todo.Fields{Title: "y"}}), true
				}
				res, err := w.node.Write(context.Background(), cmd, server.WriteOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i := range res.Items {
					ofList[res.Items[i].List] = append(ofList[res.Items[i].List], res.Rev)
				}
				mu.Unlock()
			}
		})
	}
	last := uint64(writers*writes + 1) // of one write more, to all lists
	tails := []*tail{{path: "/v1/events?since=0", last: last}, {path: "/v1/events?since=7.0", last: last}}
	for _, list := range lists {
		tails = append(tails, &tail{path: "/v1/lists/" + list + "/events?since=0", last: last})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, l := range tails {
		reading.Go(func() {
			for len(l.revs) == 0 || l.revs[len(l.revs)-1] < last {
				if err := l.read(ctx, w.addr, rand.IntN(300)+1); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s, at %s after %d changes: %v", l.path, l.id, len(l.revs), err)
					return
				}
			}
		})
	}
	writing.Wait()
	end := todo.Command{Batch: true}
	for _, list := range lists {
		end.Ops = append(end.Ops, todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: "z"}})
		ofList[list] = append(ofList[list], last)
	}
	if _, err := w.node.Write(ctx, end, server.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	for _, l := range tails {
		want := map[uint64]bool{}
		if name, is := strings.CutPrefix(l.path, "/v1/lists/"); is {
			for _, rev := range ofList[name[:1]] {
				want[rev] = true
			}
		} else {
			for rev := range last {
				want[rev+1] = true
			}
		}
		before := uint64(0)
		for _, rev := range l.revs {
			if rev <= before || !want[rev] {
				t.Fatalf("%s: rev %d after %d", l.path, rev, before)
			}
			before = rev
		}
		if len(l.revs) != len(want) {
			t.Errorf("%s told of %d changes, there were %d", l.path, len(l.revs), len(want))
		}
	}
}

// The feed lives as long as somebody follows, and a new one tells what the old one did not.
func TestFeedsEndWithTheirFollowers(t *testing.T) {
	w := newWorld(t)
	for round := 1; round <= 3; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		l := &tail{path: "/v1/events?since=0"}
		w.add("bob", "x", "")
		if err := l.read(ctx, w.addr, round); err != nil || len(l.revs) != round {
			t.Fatalf("%v: %v", l.revs, err)
		}
		cancel()
		w.srv.feeding.Lock()
		f := w.srv.feeding.feed
		w.srv.feeding.Unlock()
		waitUntil(t, "nobody to be counted", func() bool {
			counted := f.enter()
			if counted {
				f.leave()
			}
			return !counted
		})
	}
}

// The hand-made JSON of changes is what encoding/json makes of them.
func TestChangeEqualsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := fsm.Change{Rev: rapid.Uint64().Draw(t, "rev"), Time: rapid.Int64Range(0, 253402300799999).Draw(t, "time")}
		want := api.Change{Rev: c.Rev, Time: time.UnixMilli(c.Time).UTC(), Items: []api.BatchChange{}}
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			item := todo.Item{Kind: todo.Kind(rapid.IntRange(int(todo.Add), int(todo.DeleteList)).Draw(t, "kind")), List: rapid.SampledFrom([]string{"a", "b\n", "\u2028\xff"}).Draw(t, "list")}
			if item.Kind != todo.DeleteList {
				item.Entry = todo.Entry{ID: rapid.Uint64Min(1).Draw(t, "id"), Title: rapid.String().Draw(t, "title")}
			}
			if rapid.Bool().Draw(t, "move") {
				item.Kind, item.Entry.ID, item.Origin = todo.Move, 5, todo.Ref{List: rapid.SampledFrom([]string{"a", "c"}).Draw(t, "from"), ID: 3}
			}
			c.Items = append(c.Items, item)
		}
		want.Items = batchResult(&fsm.Result{Items: c.Items}).Results
		for _, list := range []string{"", "a", "b\n", "c", "\u2028\xff", "nobody's"} {
			some := want
			if list != "" {
				some.Items = nil
				for i, item := range want.Items {
					if c.Items[i].List == list || c.Items[i].Origin.List == list {
						some.Items = append(some.Items, item)
					}
				}
			}
			got := string(newChangeEvent(7, &c).of(list))
			if len(some.Items) == 0 {
				if got != "" {
					t.Fatalf("of %q: %s", list, got)
				}
				continue
			}
			var data strings.Builder
			enc := json.NewEncoder(&data)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(some); err != nil {
				t.Fatal(err)
			}
			kind := "batch"
			if len(some.Items) == 1 {
				kind = some.Items[0].Op
			}
			if whole := fmt.Sprintf("id: 7.%d\nevent: %s\ndata: %s\n", c.Rev, kind, data.String()); got != whole {
				t.Fatalf("got\n%s, want\n%s", got, whole)
			}
		}
	})
}

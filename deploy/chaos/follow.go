package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"todod/httpapi/api"
)

// follower follows the changes of all lists through the faults of a part: at one node after the other, each time
// from where the stream before broke off. It must be told of every change once, in order.
type follower struct {
	l      *load
	stay   time.Duration // how long it stays at a node, at most
	random *rand.Rand
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	first uint64 // it follows what comes after this rev; with told nil it has not begun
	last  uint64
	id    string // of the last event
	told  map[uint64]api.Change
	nodes map[string]bool // that told something
}

// follow begins to follow. Some streams are left early, some not until they break.
func (l *load) follow(n uint64, stay time.Duration) *follower {
	f := &follower{l: l, stay: stay, random: rand.New(rand.NewPCG(l.r.opt.seed, 1<<32+n)), nodes: map[string]bool{}}
	ctx, stop := context.WithCancel(l.r.ctx)
	f.stop = stop
	f.done.Go(func() {
		for ctx.Err() == nil {
			all := l.r.members()
			f.visit(ctx, all[f.random.IntN(len(all))])
		}
	})
	return f
}

// visit follows at one node for a while.
func (f *follower) visit(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond+time.Duration(f.random.Int64N(int64(f.stay))))
	defer cancel()
	var err error
	if f.told == nil {
		err = f.begin(ctx, n)
	} else {
		err = f.listen(ctx, n)
	}
	if err != nil && ctx.Err() == nil {
		f.l.r.hold(20 * time.Millisecond)
	}
}

// begin reads up to where all is known.
func (f *follower) begin(ctx context.Context, n *node) error {
	a, err := f.l.web.do(ctx, n.http, http.MethodGet, "/v1/lists?limit=1", "")
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("status %d: %w", a.status, err)
	}
	rev := f.l.r.revOf(a)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.first, f.last, f.id, f.told = rev, rev, strconv.FormatUint(rev, 10), map[uint64]api.Change{}
	return nil
}

func (f *follower) listen(ctx context.Context, n *node) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+"/v1/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Last-Event-ID", f.id)
	res, err := f.l.web.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		if res.StatusCode < 500 && ctx.Err() == nil {
			f.l.r.find("%s does not go on behind the change %s: %d", n.id, f.id, res.StatusCode)
		}
		return fmt.Errorf("status %d", res.StatusCode)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	id, data := "", ""
	for lines.Scan() {
		if text, is := strings.CutPrefix(lines.Text(), "id: "); is {
			id = text
		} else if text, is := strings.CutPrefix(lines.Text(), "data: "); is {
			data = text
		} else if lines.Text() == "" { // only now it is whole
			if data != "" {
				f.heard(n.id, id, data)
			}
			id, data = "", ""
		}
	}
	return lines.Err()
}

func (f *follower) heard(node, id, data string) {
	var c api.Change
	epoch, rev, _ := strings.Cut(id, ".")
	if err := json.Unmarshal([]byte(data), &c); err != nil || rev != strconv.FormatUint(c.Rev, 10) || len(c.Items) == 0 {
		f.l.r.find("%s tells a change that cannot be read: id %s, %s", node, id, data)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, _, is := strings.Cut(f.id, "."); c.Rev != f.last+1 || is && before != epoch {
		f.l.r.find("%s told the change %s after %s", node, id, f.id)
	}
	f.last, f.id, f.told[c.Rev], f.nodes[node] = c.Rev, id, c, true
}

// check waits until all that was acknowledged has been told, and compares it.
func (f *follower) check() error {
	defer f.done.Wait()
	defer f.stop()
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	newest := uint64(0)
	for rev := range f.l.revs {
		newest = max(newest, rev)
	}
	err := f.l.r.await("the changes to be told", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.told == nil || f.last < newest {
			return fmt.Errorf("a follower is at %d, the newest is %d", f.last, newest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for rev, what := range f.l.revs {
		if c, told := f.told[rev]; rev > f.first && (!told || !fits(what, c)) {
			f.l.r.find("rev %d is %s, and a follower was told of %+v", rev, what, c.Items)
		}
	}
	f.l.r.sums.Told += int64(len(f.told))
	return nil
}

// fits reports whether a change can be what a write made.
func fits(what string, c api.Change) bool {
	method, _, _ := strings.Cut(what, " ")
	for _, item := range c.Items {
		if (item.Op == "delete" || item.Op == "delete_list") != (method == http.MethodDelete) {
			return false
		}
		if item.Entry != nil && !strings.Contains(what, strconv.Quote(item.Entry.Title)) {
			return false
		}
	}
	return true
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"todod/deploy/chaos/history"
	"todod/httpapi/api"
)

// How long one try of a client may take, and how long one that insists goes on trying.
const (
	tryTimeout    = 1500 * time.Millisecond
	insistTimeout = 20 * time.Second
)

// load is several clients that read and write registers and lists over all nodes. Half of them send a
// key and try again elsewhere until they are told; the others try once and believe what they hear.
type load struct {
	r    *run
	web  *web
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	regs, lists history.History
	shelf       *shelf
	followers   []*follower
	keeper      *keeper

	acks    atomic.Int64  // acknowledged writes
	reads   atomic.Int64  // answered reads
	refused atomic.Int64  // writes that were said to be not applied
	unknown atomic.Int64  // writes of which it is not known
	replays atomic.Int64  // answers to a key that were compared with the first one
	rev     atomic.Uint64 // the highest rev that an answer showed
	tape    tape

	mu   sync.Mutex
	revs map[uint64]string // the write that each rev belongs to
	lost map[string]bool   // titles that were said to be not applied
}

// newLoad begins a part of a run: its histories are checked when the part is over.
func newLoad(r *run, part int, clients int) *load {
	l := &load{r: r, web: newWeb(), revs: map[uint64]string{}, lost: map[string]bool{}}
	l.ctx, l.stop = context.WithCancel(r.ctx)
	l.tape.began = r.began
	l.shelf = newShelf(l, part)
	l.followers = []*follower{l.follow(uint64(2*part), 600*time.Millisecond), l.follow(uint64(2*part+1), 20*time.Second)}
	l.keeper = l.keep(part)
	for i := range clients {
		c := &client{l: l, id: i, insists: i%2 == 0, etags: map[string]string{},
			random: mathrand.New(mathrand.NewPCG(r.opt.seed, uint64(part*1000+i)))}
		l.done.Go(func() {
			for n := 0; l.ctx.Err() == nil; n++ {
				c.step(fmt.Sprintf("%d.%d.%d", part, i, n))
			}
		})
	}
	return l
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// client is one client, which goes to another node at each try.
type client struct {
	l       *load
	id      int
	insists bool
	random  *mathrand.Rand
	etags   map[string]string // of each register, as this client saw it last
}

// step is one operation of the client; title is one that nobody used yet.
func (c *client) step(title string) {
	switch k := c.random.IntN(100); {
	case k < 35:
		c.register(title, k)
	default:
		c.list(title, k)
	}
}

// target is the node that the next try goes to, some member of the group.
func (c *client) target() string {
	all := c.l.r.members()
	return all[c.random.IntN(len(all))].http
}

// try sends one request and says what became of it; floor is the rev that its answer must not be below,
// because an answer that was given before it began showed it.
func (c *client) try(floor uint64, method, path, body string, header ...string) (answer, string) {
	// Not the load's context: what is under way when the load ends is waited for.
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	addr := c.target()
	began := time.Now()
	a, err := c.l.web.do(ctx, addr, method, path, body, append(header, "Prefer", "wait=1")...)
	if err != nil {
		c.l.tape.note(time.Since(began), false)
		if refused(err) {
			c.pause()
			return a, history.NotApplied
		}
		return a, history.Unknown
	}
	return a, c.judge(a, floor, addr, method+" "+path, time.Since(began))
}

// judge tells an outcome from an answer, and finds those that must not be given.
func (c *client) judge(a answer, floor uint64, addr, what string, took time.Duration) string {
	c.l.tape.note(took, a.status < 500 && a.status != http.StatusTooManyRequests)
	switch a.status {
	case 200, 201, 204, 404, 412:
		if text := a.header.Get("Todod-Index"); text != "" {
			rev, err := strconv.ParseUint(text, 10, 64)
			if err != nil || rev < floor {
				c.l.r.find("%s at %s: the answer shows rev %s, and %d was seen before it was asked", what, addr, text, floor)
			}
			c.l.raise(rev)
		} else if a.status < 300 {
			c.l.r.find("%s at %s: %d without Todod-Index", what, addr, a.status)
		}
		return history.Done
	case 429, 503, 504, 507:
		c.pause()
		switch p := a.problem(); p.Outcome {
		case history.NotApplied, history.Unknown:
			return p.Outcome
		case api.Applied:
			return history.Unknown // nothing of the answer is known
		case "":
			if len(what) > 4 && what[:4] == "GET " {
				return history.NotApplied
			}
		}
	}
	c.l.r.find("%s at %s: %d %s", what, addr, a.status, a.body)
	return history.Unknown
}

// raise notes a rev that an answer showed.
func (l *load) raise(rev uint64) {
	for {
		old := l.rev.Load()
		if rev <= old || l.rev.CompareAndSwap(old, rev) {
			return
		}
	}
}

// pause keeps a client from flooding the nodes that are left.
func (c *client) pause() {
	select {
	case <-time.After(time.Duration(2+c.random.IntN(20)) * time.Millisecond):
	case <-c.l.ctx.Done():
	}
}

// read is a linearizable read: without an answer it never happened.
func (c *client) read(path string) (answer, string) {
	a, outcome := c.try(c.l.rev.Load(), http.MethodGet, path, "")
	if outcome != history.Done {
		return a, history.NotApplied
	}
	c.l.reads.Add(1)
	return a, outcome
}

// write is a write, with all the tries that it takes.
func (c *client) write(method, path, body string, header ...string) (answer, string) {
	floor := c.l.rev.Load()
	var a answer
	var outcome string
	if c.insists {
		a, outcome = c.insist(floor, method, path, body, header)
	} else {
		a, outcome = c.try(floor, method, path, body, header...)
	}
	switch outcome {
	case history.Done:
		c.l.acks.Add(1)
		switch {
		case method == http.MethodPost && a.status >= 300:
			c.l.r.find("%s %s: %d %s", method, path, a.status, a.body)
		case method != http.MethodPatch && a.status < 300: // what is ticked already does not change
			c.changed(a, floor, method+" "+path+" "+body)
		}
	case history.NotApplied:
		c.l.refused.Add(1)
	case history.Unknown:
		c.l.unknown.Add(1)
	}
	return a, outcome
}

// changed checks the rev of a write that changed something: a new one, and no other write's.
func (c *client) changed(a answer, floor uint64, what string) {
	rev, err := strconv.ParseUint(a.header.Get("Todod-Index"), 10, 64)
	if err != nil || rev <= floor {
		c.l.r.find("%s was given rev %d, and %d was seen before it began", what, rev, floor)
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if other, taken := c.l.revs[rev]; taken {
		c.l.r.find("rev %d was given twice: to %s and to %s", rev, other, what)
	}
	c.l.revs[rev] = what
}

// insist tries with a key until the outcome is known, and now and then asks once more afterwards.
func (c *client) insist(floor uint64, method, path, body string, header []string) (answer, string) {
	key := rand.Text()
	header = append(header, "Idempotency-Key", key)
	unsure := false
	for end := time.Now().Add(insistTimeout); ; {
		a, outcome := c.try(floor, method, path, body, header...)
		if outcome == history.Done {
			if c.random.IntN(20) == 0 {
				c.replay(a, floor, method, path, body, header)
			}
			return a, outcome
		}
		unsure = unsure || outcome == history.Unknown
		if time.Now().After(end) || c.l.ctx.Err() != nil {
			if unsure {
				outcome = history.Unknown
			}
			return a, outcome
		}
	}
}

// replay asks for the answer to a key again, at some node: it must be the same.
func (c *client) replay(first answer, floor uint64, method, path, body string, header []string) {
	a, outcome := c.try(floor, method, path, body, header...)
	if outcome != history.Done {
		return // it may be asked again at another time
	}
	c.l.replays.Add(1)
	if a.status != first.status || string(a.body) != string(first.body) || a.header.Get("ETag") != first.header.Get("ETag") {
		c.l.r.find("%s %s was answered %d %s, and with the same key later %d %s", method, path, first.status, first.body, a.status, a.body)
	}
	if a.header.Get("Idempotency-Replayed") != "true" {
		c.l.r.find("%s %s with a key that was answered already is not marked as replayed: %d %s", method, path, a.status, a.body)
	}
}

// newEntry is the body of a POST or PUT.
func newEntry(title string) string {
	b, err := json.Marshal(api.NewEntry{Title: title})
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}

// decode reads an answer's JSON, which must be some.
func decode[T any](c *client, a answer) (out T) {
	if err := json.Unmarshal(a.body, &out); err != nil {
		c.l.r.find("an answer that is no JSON of the API: %d %s", a.status, a.body)
	}
	return out
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"todod/deploy/chaos/history"
	"todod/httpapi/api"
)

// checkTime is the most that a checker may take to find an order; one that does not is a finding.
const checkTime = 3 * time.Minute

// check looks at all that was done in a part of the run, once nothing is under way any more.
func (r *run) check(l *load) error {
	nodes := r.members()
	if err := r.sameHashes(nodes); err != nil {
		return err
	}
	for _, b := range l.shelf.all {
		if err := r.checkBook(l, b, nodes); err != nil {
			return err
		}
	}
	if err := r.checkKept(l.keeper, nodes); err != nil {
		return err
	}
	if err := l.regs.Check(history.Registers, checkTime, filepath.Join(r.dir, "registers.html")); err != nil {
		r.find("registers: %v", err)
	}
	if err := l.lists.Check(history.Lists, checkTime, filepath.Join(r.dir, "lists.html")); err != nil {
		r.find("lists: %v", err)
	}
	for _, f := range l.followers {
		if err := f.check(); err != nil {
			return err
		}
	}
	for _, one := range r.watch.complete() {
		r.find("nobody told that %s led", one)
	}
	for _, n := range append(nodes, r.gone...) {
		if err := n.complaints(); err != nil {
			r.find("%v", err)
		}
	}
	return nil
}

// sameHashes waits until all have applied the same index, and compares what the commands came to and
// what is stored.
func (r *run) sameHashes(nodes []*node) error {
	return r.await("equal hashes on all nodes", func() error {
		var first api.Hash
		for i, n := range nodes {
			h, err := get[api.Hash](r.plain, n.http, "/v1/hash", time.Second)
			if err != nil {
				return err
			}
			if i == 0 {
				first = h
			}
			if h.Chain == "" || h.Set == "" {
				return fmt.Errorf("%s has an empty hash", n.id)
			}
			if h.Index == first.Index && h != first {
				r.find("%s and %s have diverged at index %d: %+v %+v", nodes[0].id, n.id, h.Index, first, h)
				return nil
			}
			if h != first {
				return fmt.Errorf("%s is at %d, %s at %d", nodes[0].id, first.Index, n.id, h.Index)
			}
		}
		return nil
	})
}

// entries reads a whole list.
func (r *run) entries(n *node, list, level string) ([]api.Entry, error) {
	page, err := get[api.Entries](r.plain, n.http, entriesPath(list)+"?limit=1000&consistency="+level, 10*time.Second)
	if err == nil && page.Next != "" {
		err = fmt.Errorf("list %s has more than one page", list)
	}
	return page.Entries, err
}

// checkBook settles what is not known of a book and compares every node's copy of it.
func (r *run) checkBook(l *load, b *book, nodes []*node) error {
	var last [2][]api.Entry
	err := l.lists.Settle(b.name, func(list int) (string, error) {
		err := r.await("a last read", func() (err error) {
			last[list], err = r.entries(nodes[0], b.listName(list), "linearizable")
			return err
		})
		return rows(last[list]), err
	})
	if err != nil {
		return err
	}
	for list, all := range last {
		for _, n := range nodes[1:] {
			other, err := r.entries(n, b.listName(list), "stale")
			if err != nil {
				return fmt.Errorf("read %s at %s: %w", b.listName(list), n.id, err)
			}
			if rows(other) != rows(all) {
				r.find("%s holds of %s\n%sand %s\n%s", nodes[0].id, b.listName(list), rows(all), n.id, rows(other))
			}
		}
		r.checkTitles(l, b, list, all)
	}
	return nil
}

// checkTitles says in plain words what the checker would say in pictures: nothing is there twice, and nothing
// that was refused.
func (r *run) checkTitles(l *load, b *book, list int, all []api.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[string]bool{}
	ids := map[uint64]bool{}
	last := uint64(0)
	for _, e := range all {
		if there[e.Title] {
			r.find("%s is in %s twice", e.Title, b.listName(list))
		}
		if l.lost[e.Title] {
			r.find("%s was said to be not applied and is in %s", e.Title, b.listName(list))
		}
		if e.ID <= last {
			r.find("%s has id %d after id %d", b.listName(list), e.ID, last)
		}
		there[e.Title], ids[e.ID], last = true, true, e.ID
	}
	for _, id := range b.ids[list] {
		if !ids[id] && !b.deleted[list][id] {
			r.find("entry %d of %s was acknowledged, nobody deleted it, and it is not there", id, b.listName(list))
		}
	}
}

// sweep deletes the lists of a part, so that a long run does not fill the disk; one of them is begun
// anew, and its ids go on.
func (r *run) sweep(l *load) error {
	node := r.members()[0]
	for _, list := range l.keeper.lists {
		if err := r.drop(node, list); err != nil {
			return err
		}
	}
	for i, b := range l.shelf.all {
		for list := range 2 {
			name := b.listName(list)
			if err := r.drop(node, name); err != nil {
				return err
			}
			if i > 0 || len(b.ids[list]) == 0 {
				continue
			}
			a, err := r.retry(node, "POST", entriesPath(name), newEntry("again"))
			if err != nil {
				return err
			}
			var e api.Entry
			if e = decode[api.Entry](&client{l: l}, a); e.ID <= max(b.ids[list][0], uint64(len(b.ids[list]))) {
				r.find("%s was deleted and begun anew, and gave id %d again", name, e.ID)
			}
		}
	}
	return nil
}

func (r *run) drop(n *node, list string) error {
	a, err := r.retry(n, "DELETE", "/v1/lists/"+url.PathEscape(list), "")
	if err == nil && a.status != 204 && a.status != 200 && a.status != 404 {
		err = fmt.Errorf("delete %s: %d %s", list, a.status, a.body)
	}
	return err
}

// retry sends a write until it is answered by other than a 5xx.
func (r *run) retry(n *node, method, path, body string) (a answer, err error) {
	err = r.await(method+" "+path, func() error {
		ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
		defer cancel()
		a, err = r.plain.do(ctx, n.http, method, path, body)
		if err == nil && a.status >= 429 {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
	return a, err
}

// use is what a process holds.
type use struct {
	Goroutines, Files int
	Memory            int64 // resident bytes of its own: pages of its files, of which a long log leaves many, are the system's
}

func (r *run) use(n *node) (u use, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	a, err := r.plain.do(ctx, n.http, "GET", "/metrics", "")
	if err != nil {
		return u, err
	}
	lines := bufio.NewScanner(strings.NewReader(string(a.body)))
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if name == "go_goroutines" || name == "process_open_fds" {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return u, err
			}
			if name == "go_goroutines" {
				u.Goroutines = int(v)
			} else {
				u.Files = int(v)
			}
		}
	}
	if u.Goroutines == 0 || u.Files == 0 {
		return u, errors.New("the metrics do not tell goroutines and open files")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.pid.Load()))
	if err != nil {
		return u, err
	}
	_, text, _ := strings.Cut(string(status), "RssAnon:")
	kb, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(text, "kB", 2)[0]), 10, 64)
	u.Memory = kb << 10
	return u, err
}

// quietAfter is how long what processes hold must not have fallen: list processes end 2 s after their last
// command, and connections some time after that.
const quietAfter = 3 * time.Second

// quiet waits until the processes hold no less any more, and returns what that is.
func (r *run) quiet(nodes []*node) ([]use, error) {
	least := make([]use, len(nodes))
	for fell := time.Now(); time.Since(fell) < quietAfter; r.hold(100 * time.Millisecond) {
		for i, n := range nodes {
			u, err := r.use(n)
			if err != nil {
				return nil, err
			}
			if least[i].Files == 0 || u.Goroutines < least[i].Goroutines || u.Files < least[i].Files {
				least[i], fell = u, time.Now()
			}
			least[i].Memory = min(least[i].Memory, u.Memory)
		}
	}
	return least, nil
}

// What a process that lived through a part may hold more than one that was just started.
const (
	moreGoroutines = 30
	moreFiles      = 30 // Raft keeps up to three connections each way with each of four others
	moreMemory     = 128 << 20
)

// leaks compares what each process holds when all is quiet with what it holds after a restart.
func (r *run) leaks() error {
	r.load.web.client.CloseIdleConnections()
	r.plain.client.CloseIdleConnections()
	nodes := r.members()
	if _, err := r.quiet(nodes); err != nil {
		return err
	}
	for _, n := range nodes { // the collector would take minutes to give back what nobody holds
		if err := syscall.Kill(int(n.pid.Load()), syscall.SIGUSR1); err != nil {
			return err
		}
	}
	before, err := r.quiet(nodes)
	if err != nil {
		return err
	}
	if err := r.rollingRestart(fault{}); err != nil {
		return err
	}
	if _, err := r.leader(); err != nil {
		return err
	}
	most := int64(0)
	for i, n := range nodes {
		after, err := r.use(n)
		if err != nil {
			return err
		}
		was := before[i]
		most = max(most, was.Memory-after.Memory)
		if was.Goroutines > after.Goroutines+moreGoroutines || was.Files > after.Files+moreFiles || was.Memory > after.Memory+moreMemory {
			r.find("%s held %+v when all was quiet, and after a restart %+v", n.id, was, after)
		}
		r.used = append(r.used, [2]use{was, after})
	}
	r.say("nodes held up to %d MiB more than after a restart", most>>20)
	return nil
}

package main

import (
	"context"
	"fmt"
	"sync"

	"todod/httpapi/api"
)

// audit is what was acknowledged against what is stored.
type audit struct {
	Acknowledged int `json:"acknowledged"`
	Stored       int `json:"stored"`
	Unknown      int `json:"unknown"`        // writes without a clear answer
	UnknownKept  int `json:"unknown_stored"` // ... that are there
	Lost         int `json:"lost"`           // acknowledged and not there
	Doubled      int `json:"doubled"`        // there more than once
	Refused      int `json:"refused_stored"` // said to be not applied and there
	Wrong        int `json:"wrong"`          // there under another list or id than was said
	Foreign      int `json:"foreign"`        // in the bench's lists and never written
}

func (a audit) equal() bool {
	return a.Lost+a.Doubled+a.Refused+a.Wrong+a.Foreign == 0
}

func (a audit) String() string {
	if a.equal() {
		return "equal"
	}
	s := ""
	for _, c := range []struct {
		n    int
		what string
	}{{a.Lost, "lost"}, {a.Doubled, "doubled"}, {a.Refused, "refused and yet stored"}, {a.Wrong, "stored under another list or id"}, {a.Foreign, "of nobody"}} {
		if c.n == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf("%d %s", c.n, c.what)
	}
	return s
}

// ledger is all writes of a run, by worker, and how often each was found.
type ledger struct {
	work  *work
	wrote [][]wrote

	mu   sync.Mutex
	seen [][]uint8
	sum  audit
}

func newLedger(w *work, wrote [][]wrote) *ledger {
	l := &ledger{work: w, wrote: wrote}
	for _, all := range wrote {
		l.seen = append(l.seen, make([]uint8, len(all)))
	}
	return l
}

// found counts an entry that is stored.
func (l *ledger) found(list int, id uint64, title string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Stored++
	worker, n, ok := l.work.titleOf(title)
	if !ok || worker < 0 || worker >= len(l.wrote) || n < 0 || n >= len(l.wrote[worker]) {
		l.sum.Foreign++
		return
	}
	w, seen := &l.wrote[worker][n], &l.seen[worker][n]
	if *seen > 0 {
		l.sum.Doubled++
		return
	}
	*seen = 1
	switch {
	case w.outcome == notApplied:
		l.sum.Refused++
	case list != int(w.list) || w.id != 0 && id != w.id:
		l.sum.Wrong++
	case w.outcome == unknown:
		l.sum.UnknownKept++
	}
}

// close counts what was not found.
func (l *ledger) close() audit {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, all := range l.wrote {
		for j, w := range all {
			switch w.outcome {
			case acknowledged:
				l.sum.Acknowledged++
				if l.seen[i][j] == 0 {
					l.sum.Lost++
				}
			case unknown:
				l.sum.Unknown++
			}
		}
	}
	return l.sum
}

// auditReaders is how many lists are read at once.
const auditReaders = 8

// compare reads all lists of the run as every acknowledged write must be seen, each at another
// node first.
func (l *ledger) compare(ctx context.Context, nodes []string) (audit, error) {
	var clients []*api.Client
	for i := range nodes {
		c, err := api.NewClient(append(append([]string(nil), nodes[i:]...), nodes[:i]...), api.Options{})
		if err != nil {
			return audit{}, err
		}
		defer c.Close()
		clients = append(clients, c)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lists := make(chan int)
	var all sync.WaitGroup
	for range auditReaders {
		all.Go(func() {
			for list := range lists {
				if err := l.read(ctx, clients[list%len(clients)], list); err != nil {
					cancel(fmt.Errorf("read what is stored: %w", err))
				}
			}
		})
	}
	for list := range l.work.Lists {
		lists <- list
	}
	close(lists)
	all.Wait()
	return l.close(), context.Cause(ctx)
}

func (l *ledger) read(ctx context.Context, c *api.Client, list int) error {
	opt := api.ReadOptions{Consistency: "linearizable"}
	for e, err := range c.AllEntries(ctx, l.work.list(list), api.EntriesQuery{Limit: 1000}, opt) {
		if err != nil {
			return err
		}
		l.found(list, e.ID, e.Title)
	}
	return nil
}

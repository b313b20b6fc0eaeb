package server

import (
	"container/list"
	"log/slog"
	"sort"
	"sync"
	"time"
)

// registry holds the list processes: in the whole group only the leader has one, and a new
// leader begins with an empty one. A process keeps no list: it puts the commands of its list in
// order and hands them to the proposer. So it may die at any time.
type registry struct {
	hand   func(*pending) // hands a command on: the proposer's submit; guarded by mu
	expiry time.Duration
	most   int // live processes
	log    *slog.Logger
	stats  *metrics

	mu     sync.Mutex
	procs  map[string]*process
	idlest *list.List // of *process, the longest unused first
	closed bool
	done   sync.WaitGroup
}

// process is the goroutine of one list.
type process struct {
	list    string
	started time.Time
	wake    chan struct{} // holds a token when the mailbox is not empty
	leave   chan struct{} // closed when the process was taken out of the map
	place   *list.Element

	// guarded by registry.mu
	mailbox []*pending // no room is kept for it: most lists have nothing waiting
	handled uint64
	waiting int // in the mailbox or being handed on
	used    time.Time
}

func newRegistry(hand func(*pending), expiry time.Duration, log *slog.Logger, stats *metrics) *registry {
	return &registry{hand: hand, expiry: expiry, most: maxProcesses, log: log, stats: stats,
		procs: map[string]*process{}, idlest: list.New()}
}

// send puts a command into the mailbox of its list's process, which it starts if there is
// none. It does not block; an error means the command was not accepted.
func (r *registry) send(c *pending) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return failure(KindNoLeader, NotApplied, "this node leads no longer")
	}
	p := r.procs[c.list]
	if p == nil {
		if len(r.procs) >= r.most && !r.evict() {
			return failure(KindOverloaded, NotApplied, "too many lists are busy at once: try again")
		}
		p = r.start(c.list)
	}
	if len(p.mailbox) >= maxMailbox {
		return failure(KindMailboxFull, NotApplied, "the list %q has too many commands waiting: try again", c.list)
	}
	r.deliver(p, c)
	return nil
}

// deliver is called with mu held.
func (r *registry) deliver(p *process, cs ...*pending) {
	p.mailbox = append(p.mailbox, cs...)
	p.waiting += len(cs)
	p.used = time.Now()
	r.idlest.MoveToBack(p.place)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// start is called with mu held.
func (r *registry) start(name string) *process {
	p := &process{list: name, started: time.Now(), wake: make(chan struct{}, 1), leave: make(chan struct{})}
	p.place = r.idlest.PushBack(p)
	r.procs[name] = p
	r.stats.processes(len(r.procs))
	r.done.Go(func() { r.live(p) })
	return p
}

// evict makes room by sending the longest idle process away; false if all are busy. It is
// called with mu held.
func (r *registry) evict() bool {
	for e := r.idlest.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*process); p.waiting == 0 {
			r.remove(p)
			return true
		}
	}
	return false
}

// remove takes a process out, so that the next command starts another. It is called with mu held.
func (r *registry) remove(p *process) {
	if r.procs[p.list] != p {
		return
	}
	delete(r.procs, p.list)
	r.idlest.Remove(p.place)
	close(p.leave)
	r.stats.processes(len(r.procs))
}

// live is the life of a process.
func (r *registry) live(p *process) {
	timer := time.NewTimer(r.expiry)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
			if !r.work(p) {
				return
			}
		case <-p.leave:
			return
		case <-timer.C:
			left, gone := r.expire(p)
			if gone {
				return
			}
			timer.Reset(left)
		}
	}
}

// work hands on what is in the mailbox, in order. Should that panic, the panic stays with this
// process: another one takes over where it was, and this one ends.
func (r *registry) work(p *process) (goesOn bool) {
	r.mu.Lock()
	batch, hand := p.mailbox, r.hand
	p.mailbox = nil
	r.mu.Unlock()
	handed := 0
	defer func() {
		cause := recover()
		r.mu.Lock()
		p.waiting -= handed
		p.handled += uint64(handed)
		r.mu.Unlock()
		if goesOn = cause == nil; !goesOn {
			r.log.Error("list process died", "list", p.list, "panic", cause)
			r.succeed(p, batch[handed:])
		}
	}()
	for _, c := range batch {
		hand(c)
		handed++
	}
	return true
}

// succeed has another process take over from one that died: first what it was at, then what is in
// its mailbox. What has killed two processes is refused.
func (r *registry) succeed(dead *process, left []*pending) {
	cause := left[0]
	r.mu.Lock()
	left = append(left, dead.mailbox...)
	dead.mailbox = nil
	r.remove(dead)
	twice := cause.retried
	cause.retried = true
	if twice {
		left = left[1:]
	}
	if !r.closed && len(left) > 0 {
		r.deliver(r.start(dead.list), left...)
		left = nil
	}
	r.mu.Unlock()
	if twice {
		cause.fail(failure(KindInternal, NotApplied, "the command could not be handled"))
	}
	for _, c := range left {
		c.fail(failure(KindNoLeader, NotApplied, "this node leads no longer"))
	}
}

// expire lets an idle process go, or says how long it has left.
func (r *registry) expire(p *process) (left time.Duration, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	idle := time.Since(p.used)
	if p.waiting > 0 || idle < r.expiry {
		return max(r.expiry-idle, time.Millisecond), false
	}
	r.remove(p)
	return 0, true
}

// close ends every process, fails what is in their mailboxes and waits until all are gone.
func (r *registry) close() {
	r.mu.Lock()
	r.closed = true
	procs := make([]*process, 0, len(r.procs))
	for _, p := range r.procs {
		procs = append(procs, p)
	}
	for _, p := range procs {
		r.remove(p)
	}
	r.mu.Unlock()
	r.done.Wait()
	for _, p := range procs {
		for _, c := range p.mailbox { // nobody else touches it any more
			c.fail(failure(KindNoLeader, NotApplied, "this node leads no longer"))
		}
	}
}

// alive reports whether a list has a process.
func (r *registry) alive(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.procs[name] != nil
}

// processes returns the live processes, sorted by list.
func (r *registry) processes() []Process {
	r.mu.Lock()
	all := make([]Process, 0, len(r.procs))
	for _, p := range r.procs {
		all = append(all, Process{List: p.list, Started: p.started, Handled: p.handled, Waiting: p.waiting})
	}
	r.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].List < all[j].List })
	return all
}

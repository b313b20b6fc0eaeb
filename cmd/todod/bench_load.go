package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"todod/httpapi/api"
)

const (
	// benchPatience is how long an operation is tried before it is given up.
	benchPatience = 10 * time.Second
	// The pause after each round over all nodes: short, for it is a part of every failover that
	// is measured.
	benchPause    = 5 * time.Millisecond
	benchPauseMax = 200 * time.Millisecond
	// awayFor is how long a connection stays at the node it fled to before it tries its own again.
	awayFor = 5 * time.Second
)

// pressure is the load: its workers, one connection each.
type pressure struct {
	work  *work
	nodes []string
	back  []atomic.Int64 // of each node: how often it was started again
	rec   *recorder
	rate  float64 // operations a second, 0: as many as come
	conns int

	workers []*worker
}

func newPressure(w *work, nodes []string, rec *recorder, rate float64, conns int) *pressure {
	return &pressure{work: w, nodes: nodes, back: make([]atomic.Int64, len(nodes)), rec: rec, rate: rate, conns: conns}
}

// returned tells the workers of a node that it is there again.
func (p *pressure) returned(node int) { p.back[node].Add(1) }

// run works from begin to the recorder's end and waits for what is in flight then. It ends
// early with ctx.
func (p *pressure) run(ctx context.Context, begin time.Time) {
	var all sync.WaitGroup
	due := make(chan time.Time)
	for i := range p.conns {
		w := &worker{p: p, number: i, home: i % len(p.nodes), at: i % len(p.nodes), rng: rand.New(rand.NewPCG(uint64(i), uint64(begin.UnixNano())))}
		p.workers = append(p.workers, w)
		all.Go(func() {
			defer w.hangUp()
			if p.rate > 0 {
				for at := range due {
					w.one(ctx, at)
				}
				return
			}
			for now := time.Now(); now.Before(p.rec.end) && ctx.Err() == nil; now = time.Now() {
				w.one(ctx, now)
			}
		})
	}
	if p.rate > 0 {
		unsent := pace(ctx, schedule{begin, p.rate}, p.rec.end, due)
		p.rec.fail("not_sent", p.rec.end, unsent)
	}
	close(due)
	all.Wait()
}

// schedule is when the operations of an open loop are due, whatever became of those before.
type schedule struct {
	begin time.Time
	rate  float64
}

func (s schedule) due(n int) time.Time {
	return s.begin.Add(time.Duration(float64(n) * float64(time.Second) / s.rate))
}

// before is how many are due before a moment.
func (s schedule) before(end time.Time) int {
	n := max(int(end.Sub(s.begin).Seconds()*s.rate)-1, 0)
	for s.due(n).Before(end) {
		n++
	}
	return n
}

// pace hands out each operation when it is due, or as soon after it as a worker is free: the time
// that it waits for one is part of its latency. It returns how many had no worker until the end.
func pace(ctx context.Context, s schedule, end time.Time, due chan<- time.Time) (unsent int) {
	// The runtime's timers may be a millisecond late, which would be in every latency.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	total := s.before(end)
	over, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for n := range total {
		at := s.due(n)
		for wait := time.Until(at); wait > 0; wait = time.Until(at) {
			// Not longer than it may take to hear of an interrupt.
			t := syscall.NsecToTimespec(int64(min(wait, 100*time.Millisecond)))
			_ = syscall.Nanosleep(&t, nil)
			if ctx.Err() != nil {
				return 0
			}
		}
		select {
		case due <- at:
		case <-over.Done():
			if ctx.Err() != nil {
				return 0
			}
			return total - n
		}
	}
	return 0
}

// wrote is a write as the load remembers it.
type wrote struct {
	id      uint64 // 0: not told
	list    int32
	outcome outcome
}

type outcome uint8

const (
	unknown outcome = iota
	acknowledged
	notApplied
)

// worker is one connection, which sends one operation at a time.
type worker struct {
	p      *pressure
	number int
	rng    *rand.Rand
	wrote  []wrote
	buf    []byte

	home, at int // nodes: its own, and where it is now
	left     time.Time
	seen     int64 // back of its own node when it left
	wire     *wire
	sent     time.Time // the newest try
}

func (w *worker) hangUp() {
	if w.wire != nil {
		w.wire.close()
		w.wire = nil
	}
}

// one does one operation that was due at a moment.
func (w *worker) one(ctx context.Context, due time.Time) {
	p := w.p
	o := p.work.pick(w.rng)
	o.worker, o.n = w.number, len(w.wrote)
	v, id := w.insist(ctx, &o)
	now := time.Now()
	if o.kind == writes {
		one := wrote{id: id, list: int32(o.list)}
		switch v.outcome {
		case api.Applied:
			one.outcome = acknowledged
		case api.NotApplied:
			one.outcome = notApplied
		}
		w.wrote = append(w.wrote, one)
	}
	switch {
	case ctx.Err() != nil:
	case v.kind == "":
		p.rec.done(o.kind, due, w.sent, now, o.kind == writes || p.work.Percent == 0)
	default:
		p.rec.fail(v.kind, now, 1)
	}
}

// insist tries an operation at one node after the other until it is settled, or may not be sent
// again, or took too long.
func (w *worker) insist(ctx context.Context, o *op) (v verdict, id uint64) {
	give := time.Now().Add(benchPatience)
	unsure := false // an earlier try may have been carried out
	pause := benchPause
	w.goHome()
	for try := 1; ; try++ {
		var wait time.Duration
		v, id, wait = w.try(o)
		if v.outcome == api.Applied {
			return v, id
		}
		unsure = unsure || v.outcome == api.Unknown
		may := o.kind == reads || w.p.work.Keys || v.outcome == api.NotApplied
		if !v.again || !may || ctx.Err() != nil {
			break
		}
		if v.busy || try%len(w.p.nodes) == 0 {
			wait = max(wait, pause)
			pause = min(2*pause, benchPauseMax)
		} else {
			wait = 0
		}
		if time.Now().Add(wait).After(give) {
			break
		}
		w.p.rec.again(v.kind, time.Now())
		sleepFor(ctx, wait)
	}
	if unsure {
		v.outcome = api.Unknown
	}
	return v, 0
}

func sleepFor(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// try sends an operation to the node where the worker is, and leaves that node if it does not do.
func (w *worker) try(o *op) (v verdict, id uint64, wait time.Duration) {
	host := w.p.nodes[w.at]
	if w.wire == nil {
		var err error
		if w.wire, err = dialWire(host); err != nil {
			w.wire = nil
			w.move()
			return broke(err, true), 0, 0
		}
	}
	w.buf = w.p.work.request(w.buf[:0], o, host)
	w.sent = time.Now()
	r, err := w.wire.roundTrip(w.buf, w.sent.Add(benchTry))
	if err != nil {
		w.move()
		return broke(err, false), 0, 0
	}
	if v, id = w.p.work.judge(o, r); v.again && !v.busy || r.closing {
		w.move()
	}
	return v, id, r.retryAfter
}

// move goes on to the next node.
func (w *worker) move() {
	w.hangUp()
	if w.at == w.home {
		w.seen = w.p.back[w.home].Load()
	}
	w.at, w.left = (w.at+1)%len(w.p.nodes), time.Now()
}

// goHome goes back to the worker's own node when that was started again, or may have been.
func (w *worker) goHome() {
	if w.at != w.home && (w.p.back[w.home].Load() > w.seen || time.Since(w.left) > awayFor) {
		w.hangUp()
		w.at = w.home
	}
}

package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// storage watches the disk of a node: for a write that does not come back, and for room. The log
// and the replica report the first error by themselves (Node.storageFailed).
//
// Raft never notices a leader whose disk hangs: its heartbeats need no disk, and so it leads for
// ever and commits nothing. Such a leader ends its process, for it can hand nothing over
// any more, but only while a majority of the voters says that its own disks are well:
// where all stand on one slow disk, nobody is helped by the end of all.
type storage struct {
	e       *engine
	disk    disk
	reserve int64 // bytes; below it the disk counts as full
	writes  *underway

	free    atomic.Int64
	low     atomic.Bool
	probing atomic.Bool // the canary is out
	handing atomic.Bool // a hand-over is under way
	health  atomic.Pointer[health]
	full    atomic.Bool // too few voters have room for the group to take writes

	waited uint64 // ticks since the last canary; touched by watch alone
}

// DiskState is what a node thinks of its disk.
type DiskState string

// The states of a disk.
const (
	DiskOK      DiskState = "ok"
	DiskLow     DiskState = "low"     // less room than the reserve
	DiskStalled DiskState = "stalled" // a write has not come back for 3 seconds
)

// health is what a node says of its disk. It crosses the wire in a pong.
type health struct {
	State  DiskState `json:"state"`
	Free   int64     `json:"free"`   // bytes
	Fresh  int64     `json:"fresh"`  // ms since the newest write began that came back
	Oldest int64     `json:"oldest"` // ms since the oldest write began that did not
}

// fit reports whether a node with such a disk should lead.
func (h health) fit() bool { return h.State != DiskLow && h.State != DiskStalled }

func newStorage(e *engine) (s *storage, err error) {
	cfg := &e.node.cfg
	s = &storage{e: e, disk: cfg.disk, reserve: cfg.DiskReserve, writes: newUnderway()}
	if s.disk == nil {
		if s.disk, err = openDisk(e.node.folder.dir, cfg.NoSync); err != nil {
			return nil, err
		}
	}
	free, size, err := s.disk.room()
	if err != nil {
		s.disk.close()
		return nil, err
	}
	if s.reserve == 0 {
		s.reserve = min(maxReserve, size/50)
	}
	s.measured(free)
	s.judge(0, 0)
	return s, nil
}

// measured goes by the reserve, with a margin on the way back so that nothing flutters.
func (s *storage) measured(free int64) {
	s.free.Store(free)
	need := s.reserve
	if s.low.Load() {
		need += s.reserve / 8
	}
	s.low.Store(free < need)
}

// watch is the watch, until the engine stops.
func (s *storage) watch() {
	tick := time.NewTicker(diskTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.step()
		case <-s.e.ctx.Done():
			return
		}
	}
}

// step is one tick. It never waits for the disk.
func (s *storage) step() {
	oldest, fresh := s.writes.tick()
	if s.waited++; s.waited >= canaryTicks && s.probing.CompareAndSwap(false, true) {
		s.waited = 0
		go s.probe(fresh < canaryTicks) // nobody waits for it: it may never come back
	}
	was := s.health.Load().State
	now := s.judge(oldest, fresh)
	if now.State != was {
		s.e.node.event(diskEvent(now.State), s.e.node.id, s.e.raft.CurrentTerm())
		s.e.tell()
	}
	leads := s.e.raft.State() == raft.Leader
	s.full.Store(leads && s.tooFew())
	switch {
	case leads && now.State == DiskStalled:
		s.giveUp()
	case leads && now.State == DiskLow:
		s.handOver()
	}
}

// probe sends the canary out, unless a write of the log has just done its work, and measures the room.
func (s *storage) probe(busy bool) {
	defer s.probing.Store(false)
	write := s.writes.begin()
	free, _, err := s.disk.room()
	if err == nil && !busy {
		err = s.disk.canary()
	}
	if err != nil {
		if s.e.ctx.Err() == nil {
			s.e.node.storageFailed(err)
		}
		return
	}
	if busy { // the room alone says nothing of the disk
		s.writes.drop(write)
	} else {
		s.writes.end(write)
	}
	s.measured(free)
}

// judge says how the disk is, from the age of its writes in ticks.
func (s *storage) judge(oldest, fresh uint64) health {
	h := health{State: DiskOK, Free: s.free.Load(), Fresh: millis(fresh), Oldest: millis(oldest)}
	switch {
	case oldest >= stallTicks:
		h.State = DiskStalled
	case s.low.Load():
		h.State = DiskLow
	}
	s.health.Store(&h)
	return h
}

func millis(ticks uint64) int64 { return int64(ticks) * diskTick.Milliseconds() }

// giveUp ends a leader whose disk does not answer, if the others can do better.
func (s *storage) giveUp() {
	if !s.othersWell() {
		return
	}
	n := s.e.node
	// A thread that waits for a dead disk keeps the sockets of its process open until it comes back:
	// without this the others would wait for a heartbeat rather than see a connection end.
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		_ = n.port.Close()
	}()
	select {
	case <-cut:
	case <-time.After(cutTimeout):
	}
	n.end(exit(ExitStorage, "the disk has not answered for %s and the other nodes' disks do: another one leads; look after the disk, then start the node again",
		time.Duration(s.health.Load().Oldest)*time.Millisecond))
}

// othersWell reports whether a majority of the voters, of which this node is none now, answers
// and had a write come back that began after this node's began to hang. Their own word that they are
// well is not enough: on one disk for all they would come to know of it a little later.
func (s *storage) othersWell() bool {
	conf := s.e.configuration()
	all := voters(conf)
	well := 0
	for _, v := range all {
		h, age, alive := s.e.monitor.disk(string(v.ID))
		since := time.Duration(h.Fresh)*time.Millisecond + age
		if string(v.ID) != s.e.node.id && alive && h.State != "" && h.State != DiskStalled && since < freshWithin {
			well++
		}
	}
	return well > len(all)/2
}

// tooFew reports whether fewer than a majority of the voters has room. A voter that is down cannot
// take part; without a majority that is up there is no saying, and no leader soon.
func (s *storage) tooFew() bool {
	conf := s.e.configuration()
	all := voters(conf)
	up, roomy := 0, 0
	for _, v := range all {
		h, down := *s.health.Load(), false
		low := s.low.Load()
		if id := string(v.ID); id != s.e.node.id {
			h, down = s.e.monitor.lastDisk(id)
			low = h.State == DiskLow
		}
		if !down {
			up++
			if !low {
				roomy++
			}
		}
	}
	return up > len(all)/2 && roomy <= len(all)/2 && roomy < up
}

// handOver gives leadership to a voter with room, if there is one.
func (s *storage) handOver() {
	e := s.e
	conf := e.configuration()
	to, most := "", uint64(0)
	for _, v := range voters(conf) {
		id := string(v.ID)
		h, _, alive := e.monitor.disk(id)
		applied, _ := e.monitor.applied(id)
		if id != e.node.id && alive && h.State == DiskOK && applied >= most {
			to, most = id, applied
		}
	}
	if to == "" || e.term.Load() == nil || !s.handing.CompareAndSwap(false, true) {
		return
	}
	if !e.crew.spawn(func() {
		defer s.handing.Store(false)
		e.node.log.Warn("the disk is full: hands leadership over", "to", to, "free", s.free.Load(), "reserve", s.reserve)
		if err := e.handOver(e.ctx, to); err != nil {
			e.node.log.Warn("leadership was not handed over: tried again", "err", err)
		}
		wait(e.ctx, handOverPause)
	}) {
		s.handing.Store(false)
	}
}

// stalled says why this node may not acknowledge anything now.
func (s *storage) stalled() error {
	if s.health.Load().State != DiskStalled {
		return nil
	}
	return failure(KindStalled, NotApplied, "the disk of node %s does not answer: try again, or ask another node", s.e.node.id)
}

// refuse says why the leader takes no command of a client now. What a session or the group itself
// writes is small and goes on.
func (s *storage) refuse(typ fsm.Type) error {
	if err := s.stalled(); err != nil {
		return err
	}
	if typ == fsm.TypeTodo && s.full.Load() {
		return failure(KindStorage, NotApplied, "the disks are full: fewer than a majority of the nodes has room left; free some, and writes go on by themselves")
	}
	return nil
}

func (s *storage) close() error {
	if err := s.disk.close(); err != nil {
		return fmt.Errorf("close the canary: %w", err)
	}
	return nil
}

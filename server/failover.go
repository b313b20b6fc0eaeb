package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/raft"
)

// A dead leader is replaced at the speed of a closed connection, without waiting for a
// heartbeat to time out: its stream ends, dialling it is refused, a majority of the voters
// finds the same, and the one with the best log begins an election. Raft is safe under
// any timing of elections; a false alarm costs one short election.

// goneAsk asks a node whether it too finds an incarnation of another node dead.
type goneAsk struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// goneSay is the answer, with what decides who comes next.
type goneSay struct {
	Gone      bool   `json:"gone"`
	LastTerm  uint64 `json:"last_term"`
	LastIndex uint64 `json:"last_index"`
}

// bereaved is called when an incarnation of a node has ended: if it led, someone must follow.
func (m *monitor) bereaved(p *watched) {
	m.mu.Lock()
	boot := p.gone
	first := boot != "" && p.attempted != boot
	m.mu.Unlock()
	term := m.e.raft.CurrentTerm()
	if !first || !m.mayFollow(p.id, term) {
		return
	}
	m.mu.Lock()
	p.attempted = boot
	m.mu.Unlock()
	m.e.crew.spawn(func() { m.succeed(p.id, boot, term) })
}

// mayFollow reports whether this node may stand for election in the place of a dead leader.
func (m *monitor) mayFollow(leader string, term uint64) bool {
	e := m.e
	conf := e.configuration()
	self, ok := find(conf, e.node.id)
	return ok && self.Suffrage == raft.Voter && e.raft.State() == raft.Follower &&
		e.leaderID() == leader && e.raft.CurrentTerm() == term && e.ctx.Err() == nil
}

func (m *monitor) succeed(leader, boot string, term uint64) {
	m.drained(boot)
	rank, agreed := m.poll(leader, boot)
	if !agreed {
		return
	}
	if rank > 0 && !wait(m.e.ctx, time.Duration(rank)*rankPause) {
		return
	}
	if m.mayFollow(leader, term) {
		m.e.campaign("the leader " + leader + " is dead")
	}
}

// drained waits until this node's log holds all that a dead leader sent it. Before that two
// survivors could each find the other's log the better one, and both hold back.
func (m *monitor) drained(boot string) {
	for end := time.Now().Add(pollTimeout); m.e.node.port.RaftStreams(boot) > 0 && time.Now().Before(end); {
		if !wait(m.e.ctx, time.Millisecond) {
			return
		}
	}
}

// poll asks the other voters. It returns how many of those that agree have a better log than
// this node, and whether a majority of all voters agrees.
func (m *monitor) poll(leader, boot string) (rank int, agreed bool) {
	e := m.e
	conf := e.configuration()
	all := voters(conf)
	ctx, cancel := context.WithTimeout(e.ctx, pollTimeout)
	defer cancel()
	says := make(chan bool, len(all)) // of those that agree: has it a better log?
	asked := 0
	index, term := e.lastLog()
	for _, v := range all {
		id := string(v.ID)
		if id == e.node.id || id == leader {
			continue
		}
		asked++
		client := e.node.port.Client(id, string(v.Address))
		e.crew.spawn(func() {
			for ctx.Err() == nil {
				body, err := client.Call(ctx, callGone, mustJSON(goneAsk{leader, boot}))
				var say goneSay
				if err == nil && json.Unmarshal(body, &say) == nil && say.Gone {
					says <- better(say, id, goneSay{true, term, index}, e.node.id)
					return
				}
				wait(ctx, pollEvery)
			}
		})
	}
	agree := 1
	for range asked {
		select {
		case ahead := <-says:
			agree++
			if ahead {
				rank++
			}
		case <-ctx.Done():
			return rank, agree > len(all)/2
		}
		if agree > len(all)/2 { // those that are not as quick are not waited for as long
			time.AfterFunc(pollGrace, cancel)
		}
	}
	return rank, agree > len(all)/2
}

// better orders candidates by the last entry of their logs, then by ID: what Raft's voters go by.
func better(a goneSay, idA string, b goneSay, idB string) bool {
	switch {
	case a.LastTerm != b.LastTerm:
		return a.LastTerm > b.LastTerm
	case a.LastIndex != b.LastIndex:
		return a.LastIndex > b.LastIndex
	}
	return idA < idB
}

// handleGone answers another survivor, and looks for itself if it did not know.
func (e *engine) handleGone(body []byte) any {
	var ask goneAsk
	if json.Unmarshal(body, &ask) != nil {
		return goneSay{}
	}
	m := e.monitor
	m.mu.Lock()
	p := m.peers[ask.Node]
	gone := p != nil && p.gone != "" && p.gone == ask.Boot
	m.mu.Unlock()
	if !gone {
		m.look(ask.Node)
	}
	if !gone || e.node.port.RaftStreams(ask.Boot) > 0 {
		return goneSay{}
	}
	say := goneSay{Gone: true}
	say.LastIndex, say.LastTerm = e.lastLog()
	return say
}

// beginAlone begins an election in a group that comes up: when a majority of the voters is there,
// none of them ever knew a leader, and this node has the best log.
func (m *monitor) beginAlone() {
	e := m.e
	if e.leaderID() != "" || e.raft.State() != raft.Follower {
		return
	}
	conf := e.configuration()
	all := voters(conf)
	if self, ok := find(conf, e.node.id); !ok || self.Suffrage != raft.Voter {
		return
	}
	index, term := e.lastLog()
	self := goneSay{LastTerm: term, LastIndex: index}
	m.mu.Lock()
	there, best := 1, true
	for _, v := range all {
		p := m.peers[string(v.ID)]
		if p == nil || p.boot == "" || p.down || time.Since(p.heard) > 2*pingEvery {
			continue
		}
		if p.last.Leader != "" {
			best = false
			break
		}
		there++
		if better(goneSay{LastTerm: p.last.LastTerm, LastIndex: p.last.LastIndex}, p.id, self, e.node.id) {
			best = false
		}
	}
	begin := best && there > len(all)/2 && !m.sawLeader && time.Since(m.tried) > electionTimeout
	if begin {
		m.tried = time.Now()
	}
	m.mu.Unlock()
	if begin {
		e.campaign("a majority is up and none knows a leader")
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of texts and numbers
	}
	return b
}

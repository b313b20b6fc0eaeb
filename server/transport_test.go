package server

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// A heartbeat of a newer leader comes just as a node begins to lead. Until its Raft has turned to it, the
// node appends in its own term: an entry in the term of the other would count as the other's.
func TestHeartbeatOfANewerTerm(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		next := s.named("follower")
		e := s.node(next).engine()
		var once sync.Once
		leads, goOn := make(chan struct{}), make(chan struct{})
		hold := raft.NewObserver(nil, false, func(o *raft.Observation) bool {
			if _, ok := o.Data.(raft.PeerObservation); ok {
				once.Do(func() {
					close(leads)
					<-goOn // Raft's main goroutine leads now, and has appended nothing yet
				})
			}
			return false
		})
		e.raft.RegisterObserver(hold)
		defer e.raft.DeregisterObserver(hold)
		var others sync.WaitGroup
		others.Go(func() { _ = s.leader().engine().handOver(t.Context(), next) })
		<-leads
		term := e.raft.CurrentTerm()
		others.Go(func() {
			answer := make(chan raft.RPCResponse, 1)
			e.trans.heartbeat(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("x"), Addr: []byte("127.0.0.1:1")},
				Term:      term + 100,
			}})
			<-answer
		})
		synctest.Wait() // the heartbeat is dealt with, or waits for its turn
		close(goOn)
		others.Wait()
		if e.raft.CurrentTerm() <= term {
			t.Errorf("still in term %d", term)
		}
		s.await("the entry that a leader begins with", func() bool { return first(e.termOf(e.raft.LastIndex())) >= term })
		for index := first(e.logs.FirstIndex()); index <= e.raft.LastIndex(); index++ {
			if first(e.termOf(index)) == term+100 {
				t.Errorf("entry %d is of a term that nobody led in", index)
			}
		}
	})
}

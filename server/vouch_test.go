package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// The leader dies at the moment it gives a vote, when one of the two nodes left does not know
// yet that the other has one: they elect all the same.
func TestLeaderDiesAsItGivesAVote(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := newSim(t)
			s.group(3)
			leader := s.node("n1").engine()
			index := leader.raft.GetConfiguration().Index()
			s.await("the third vote is committed", func() bool { return leader.raft.CommitIndex() >= index })
			time.Sleep(time.Duration(round%4) * time.Millisecond)
			s.crash("n1")
			if took := s.acknowledged("n2"); took > 5*time.Second {
				t.Errorf("a write took %s", took)
			}
			if _, err := s.start("n1", nil); err != nil {
				t.Fatal(err)
			}
			s.check()
		})
	}
}

// A vote goes by the log alone, whatever the configuration says of the candidate.
func TestVouch(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		for at, id := range s.followers() {
			e := s.node(id).engine()
			index, term := e.lastLog()
			for _, candidate := range []string{"n1", "n2", "n3", "n9"} {
				for _, behind := range []uint64{1, 0} {
					name := fmt.Sprintf("%s judges %s, which is %d behind", id, candidate, behind)
					next := e.raft.CurrentTerm() + uint64(at) + 1
					req := &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax,
						ID: []byte(candidate), Addr: []byte(candidate + ":70")}, Term: next, LastLogTerm: term,
						LastLogIndex: index - behind, LeadershipTransfer: true}
					got, err := e.trans.hand(e.trans.vouch(req))
					if err != nil {
						t.Fatal(name, err)
					}
					if granted := got.(*raft.RequestVoteResponse).Granted; granted != (behind == 0) {
						t.Errorf("%s: granted %v", name, granted)
					}
					if string(req.ID) != candidate {
						t.Errorf("%s: the request was changed", name)
					}
				}
			}
		}
	})
}

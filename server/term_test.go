package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// A term that becomes usable at the very moment it is lost is not the node's term afterwards: the
// node would refuse all writes until it leads again.
func TestAClosedTermIsNobodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		e := s.node("n1").engine()
		led := e.term.Load()
		defer e.term.Store(led)
		lost := e.openTerm()
		s.await("usable", func() bool { return e.term.Load() == lost })
		e.term.Store(nil)
		lost.done.Go(func() { // as run does that looked before it was cancelled
			<-lost.ctx.Done()
			time.Sleep(time.Millisecond)
			e.term.Store(lost)
		})
		e.closeTerm(lost)
		if e.term.Load() == lost {
			t.Error("a closed term is the node's term")
		}
	})
}

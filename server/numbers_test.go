package server

import (
	"errors"
	"slices"
	"testing"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
)

func TestNumbers(t *testing.T) {
	var n numbers
	if _, _, ok := n.take(); ok {
		t.Fatal("a number without a session")
	}
	n.begin(5)
	for want := uint64(1); want <= 4; want++ {
		if s, got, ok := n.take(); !ok || s != 5 || got != want {
			t.Fatalf("took %d of session %d, want %d", got, s, want)
		}
	}
	n.release(5, 2) // 1 is open still
	if n.lowest() != 1 {
		t.Errorf("lowest %d", n.lowest())
	}
	n.begin(5) // opened twice: numbers go on
	n.release(5, 1)
	if n.lowest() != 3 {
		t.Errorf("lowest %d after 1 and 2 closed", n.lowest())
	}
	n.end(4) // another one
	if _, got, ok := n.take(); !ok || got != 5 {
		t.Errorf("took %d", got)
	}
	n.end(5)
	if _, _, ok := n.take(); ok {
		t.Error("a number of a closed session")
	}
	n.begin(6)
	n.release(5, 3) // late: says nothing of the new session
	if s, got, _ := n.take(); s != 6 || got != 1 || n.lowest() != 1 {
		t.Errorf("took %d of session %d, lowest %d", got, s, n.lowest())
	}
}

func TestEventsRing(t *testing.T) {
	e := newEvents()
	if got, more := e.since(0); got != nil || more == nil {
		t.Fatal("events before there were any", got)
	}
	_, more := e.since(0)
	for i := range uint64(2*maxEvents + 1) {
		e.add(NodeUp, "n1", i, time.Unix(int64(i), 0))
	}
	select {
	case <-more:
	default:
		t.Error("who waited was not told")
	}
	kept, _ := e.since(0)
	if len(kept) > maxEvents || len(kept) < maxEvents/2 || kept[len(kept)-1].Seq != 2*maxEvents+1 {
		t.Errorf("%d kept, the last %d", len(kept), kept[len(kept)-1].Seq)
	}
	for i, ev := range kept {
		if ev.Seq != kept[0].Seq+uint64(i) || ev.Term != ev.Seq-1 {
			t.Fatalf("event %d is %+v", i, ev)
		}
	}
	if got, _ := e.since(kept[3].Seq); !slices.Equal(got, kept[4:]) {
		t.Errorf("since %d: %d events, the first %d", kept[3].Seq, len(got), got[0].Seq)
	}
	if got, more := e.since(2*maxEvents + 1); got != nil || more == nil {
		t.Error("events after the last")
	}
}

func fsmCommand(cmd *todo.Command) fsm.Command {
	return fsm.Command{Type: fsm.TypeTodo, Version: 1, Session: 3, Number: 9, Low: 8, Payload: fsm.EncodeTodo(cmd)}
}

// What peers send may be anything.
func FuzzForward(f *testing.F) {
	cmd := addCommand("bob", "x")
	f.Add(encodeForward([]*pending{{list: "bob", cmd: fsmCommand(&cmd)}, {cmd: fsmCommand(&cmd)}}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := decodeForward(b)
		if err != nil {
			return
		}
		again, err := decodeForward(encodeForward(batch))
		if err != nil || len(again) != len(batch) {
			t.Fatalf("%d commands became %d: %v", len(batch), len(again), err)
		}
		for i := range batch {
			if again[i].list != batch[i].list || again[i].cmd.Number != batch[i].cmd.Number {
				t.Errorf("command %d became another", i)
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add(encodeAnswers([]answer{{}, {err: failure(KindNoLeader, NotApplied, "no")}}), 2)
	f.Add([]byte{1}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		answers, err := decodeAnswers(b, n)
		var failed *Error
		switch {
		case err != nil && (!errors.As(err, &failed) || failed.Outcome != UnknownOutcome):
			t.Errorf("unreadable answers are %v", err)
		case err == nil && len(answers) != n:
			t.Errorf("%d answers for %d commands", len(answers), n)
		}
	})
}

func FuzzPoint(f *testing.F) {
	f.Add(encodePoint(point{term: 3, index: 9, indexTerm: 2}, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, confirmed, ok := decodePoint(b)
		if !ok {
			return
		}
		again, sure, ok := decodePoint(encodePoint(at, confirmed))
		if !ok || again != at || sure != confirmed {
			t.Errorf("%+v became %+v", at, again)
		}
	})
}

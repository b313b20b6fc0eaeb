package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		began := time.Now()
		s.group(1)
		for range 10 {
			if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("up and written after", time.Since(began))
		titles, err := s.titles("n1", Linearizable)
		if err != nil || len(titles) != 10 {
			t.Fatal(titles, err)
		}
		s.check()
	})
}

func TestThreeNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		began := time.Now()
		s.group(3)
		t.Log("three vote after", time.Since(began))
		for _, id := range s.ids {
			for range 10 {
				if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			titles, err := s.titles(id, Linearizable)
			if err != nil || len(titles) != len(s.acked) {
				t.Fatal(titles, err)
			}
		}
		s.crash("n1")
		began = time.Now()
		if _, err := s.add("n2", "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Log("written after a crash in", time.Since(began))
		if _, err := s.start("n1", nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

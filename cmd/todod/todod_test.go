package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"todod/cmd/internal/clitest"
)

func TestSessions(t *testing.T) { clitest.Run(t, "testdata") }

func TestCompare(t *testing.T) {
	a, b, c := written{"l", 1, "a"}, written{"l", 2, "b"}, written{"l", 3, "a"}
	for _, try := range []struct {
		acked, stored []written
		lost, extra   int
	}{
		{nil, nil, 0, 0},
		{[]written{a, b}, []written{b, a}, 0, 0},
		{[]written{a, b}, []written{a}, 1, 0},
		{[]written{a}, []written{a, c}, 0, 1}, // a doubled entry has an id of its own
		{[]written{a}, []written{a, a}, 0, 1},
		{[]written{a}, []written{b}, 1, 1},
	} {
		if lost, extra := compare(try.acked, try.stored); lost != try.lost || extra != try.extra {
			t.Errorf("%v against %v: %d lost, %d extra, want %d, %d", try.acked, try.stored, lost, extra, try.lost, try.extra)
		}
	}
}

func TestGap(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	l := &load{times: []time.Time{at(0), at(500), at(510), at(540), at(545)}}
	for kill, want := range map[int]int{1: 500, 505: 30, 515: 30, 541: 5, 600: 0} {
		if got := l.gap(at(kill)); got != time.Duration(want)*time.Millisecond {
			t.Errorf("killed at %d: %v, want %d ms", kill, got, want)
		}
	}
}

func TestWhatOthersAreTold(t *testing.T) {
	for _, try := range []struct{ given, bound, want string }{
		{"", "127.0.0.1:5454", "127.0.0.1:5454"},
		{"n1:5454", "0.0.0.0:5454", "n1:5454"},
		{"", "[::1]:1", "[::1]:1"},
		{"", "n1:7454", "n1:7454"},
	} {
		if got := told(try.given, try.bound); got != try.want {
			t.Errorf("told(%q, %q) = %q, want %q", try.given, try.bound, got, try.want)
		}
	}
	for _, bound := range []string{"0.0.0.0:5454", "[::]:5454", ":5454"} {
		if got := told("", bound); !strings.HasSuffix(got, ":5454") || got == bound {
			t.Errorf("told(%q) = %q: not an address others can use", bound, got)
		}
	}
}

// The kernel gives none of these ports to a connection while a node that was killed is away.
func TestFreeAddrs(t *testing.T) {
	addrs, err := freeAddrs(6)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, addr := range addrs {
		_, text, _ := strings.Cut(addr, ":")
		if port, err := strconv.Atoi(text); err != nil || port >= 32768 || seen[addr] {
			t.Errorf("%s among %v", addr, addrs)
		}
		seen[addr] = true
	}
	if len(seen) != 6 {
		t.Errorf("%v, want 6", addrs)
	}
}

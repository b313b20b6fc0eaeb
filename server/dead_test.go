package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// The rule of --remove-dead-after, with an hour.
func TestDeadMember(t *testing.T) {
	const old, young, alive = 2 * time.Hour, 59 * time.Minute, 0
	group := func(silent ...time.Duration) (all []standing) { // n1 leads
		for i, s := range silent {
			all = append(all, standing{id: "n" + string(rune('1'+i)), voter: true, silent: s})
		}
		return all
	}
	guests := func(all []standing, silent ...time.Duration) []standing {
		for i, s := range silent {
			all = append(all, standing{id: "g" + string(rune('1'+i)), silent: s})
		}
		return all
	}
	for _, c := range []struct {
		name         string
		all          []standing
		leads, after time.Duration
		want         string
	}{
		{"off by default", group(alive, alive, old), old, 0, ""},
		{"one of three is dead", group(alive, alive, old), old, time.Hour, "n3"},
		{"not yet", group(alive, alive, young), old, time.Hour, ""},
		{"to the moment", group(alive, alive, time.Hour), old, time.Hour, "n3"},
		{"the leader is new", group(alive, alive, old), young, time.Hour, ""},
		{"all are alive", group(alive, alive, alive), old, time.Hour, ""},
		{"a group of one", group(alive), old, time.Hour, ""},
		{"one of two", group(alive, old), old, time.Hour, ""},
		{"two of three", group(alive, old, old), old, time.Hour, ""},
		{"two of four", group(alive, alive, old, old), old, time.Hour, ""},
		{"one of four, another silent for a moment", group(alive, alive, old, time.Second), old, time.Hour, ""},
		{"two of five: the longest silent first", group(alive, alive, alive, old, old+time.Second), old, time.Hour, "n5"},
		{"two of five: one of them not yet", group(alive, alive, alive, old, young), old, time.Hour, "n4"},
		{"three of five", group(alive, alive, old, old, old), old, time.Hour, ""},
		{"three of seven", group(alive, alive, alive, alive, old, old, old), old, time.Hour, "n5"},
		{"a guest of a group of one", guests(group(alive), old), old, time.Hour, "g1"},
		{"a guest of two, one of them dead", guests(group(alive, old), old), old, time.Hour, ""},
		{"guests are no voters", guests(group(alive, alive, old), alive, alive), old, time.Hour, "n3"},
		{"guests do not make a majority", guests(group(alive, old), alive, alive, alive), old, time.Hour, ""},
		{"a guest that is alive", guests(group(alive, alive), alive), old, time.Hour, ""},
	} {
		if got := deadMember(c.all, c.leads, c.after); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Off unless asked for, and no time in which a node is restarted.
func TestRemoveDeadAfterIsOffByDefault(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		id := s.followers()[0]
		s.crash(id)
		time.Sleep(5 * time.Minute)
		if n := len(s.leader().engine().configuration().Servers); n != 3 {
			t.Errorf("%d members are left", n)
		}
	})
	for d, ok := range map[time.Duration]bool{0: true, -1: false, time.Second: false, minRemoveDeadAfter - 1: false, minRemoveDeadAfter: true, 240 * time.Hour: true} {
		if err := CheckRemoveDeadAfter(d); (err == nil) != ok {
			t.Errorf("%s: %v", d, err)
		}
	}
}

// The leader tells its log and those who follow events whom it takes out.
func TestDeadMembersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.set = func(c *Config) { c.RemoveDeadAfter = time.Minute }
		s.group(3)
		id := s.followers()[0]
		s.crash(id)
		time.Sleep(65 * time.Second)
		var told []string
		all, _ := s.leader().events.since(0)
		for _, e := range all {
			if e.Node == id && (e.Type == NodeDown || e.Type == NodeDead || e.Type == MemberRemoved) {
				told = append(told, e.Type)
			}
		}
		if len(told) != 3 || told[0] != NodeDown || told[1] != NodeDead || told[2] != MemberRemoved {
			t.Errorf("told of %v", told)
		}
		s.check()
	})
}

//go:build race

package main_test

import "testing"

// The processes are built like the test: under -race both are watched.
const raceFlag = "-race"

// leftOutOfShortRace is for stories in which each process does little, and one thing at a time; those under load
// stay. `make race SHORT=` has them too.
func leftOutOfShortRace(t *testing.T) {
	if testing.Short() {
		t.Skip("left out of the short run under the race detector")
	}
}

//go:build race

package main_test

// The processes are built like the test: under -race both are watched.
const raceFlag = "-race"

package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What Raft says again and again while a majority is away does not fill the log; what it says once does come through.
func TestWhatRaftRepeatsIsNotLogged(t *testing.T) {
	var out bytes.Buffer
	log := newHclogger(slog.New(slog.NewTextHandler(&out, nil)))
	log.Warn("heartbeat timeout reached, starting election")
	for range 3 {
		log.Warn("Election timeout reached, restarting election")
		log.Error("failed to make requestVote RPC", "target", "n2")
	}
	log.Error("failed to take snapshot")
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "starting election") || !strings.Contains(got, "level=ERROR msg=\"failed to take snapshot\"") {
		t.Error(got)
	}
}

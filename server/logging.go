package server

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// hclogger is Raft's logger on top of slog. Raft's info lines are debug lines here: what
// matters of them the node says itself.
type hclogger struct {
	hclog.Logger // a null logger, for all that Raft does not use
	to           *slog.Logger
}

func newHclogger(to *slog.Logger) hclog.Logger {
	return &hclogger{Logger: hclog.NewNullLogger(), to: to}
}

func (l *hclogger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case expected(msg):
	case level >= hclog.Error:
		to = slog.LevelError
	case level == hclog.Warn:
		to = slog.LevelWarn
	}
	l.to.Log(context.Background(), to, msg, args...)
}

// expected are Raft's complaints about peers that are away or behind: it repeats them without
// end (of a node without a majority one each second), and the node says so once.
func expected(msg string) bool {
	for _, known := range []string{"failed to heartbeat to", "failed to appendEntries to", "failed to contact",
		"failed to make requestVote RPC", "failed to make requestPreVote RPC", "failed to get previous log",
		"failed to pipeline appendEntries", "aborting pipeline replication", "previous log term mis-match",
		"appendEntries rejected, sending older logs", "clearing log suffix", "failed to get log", "Election timeout reached"} {
		if strings.HasPrefix(msg, known) {
			return true
		}
	}
	return false
}

func (l *hclogger) Trace(msg string, args ...any) {}
func (l *hclogger) Debug(msg string, args ...any) {}
func (l *hclogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *hclogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *hclogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *hclogger) With(args ...any) hclog.Logger {
	return &hclogger{Logger: l.Logger, to: l.to.With(args...)}
}
func (l *hclogger) Named(name string) hclog.Logger      { return l }
func (l *hclogger) ResetNamed(name string) hclog.Logger { return l }
func (l *hclogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}
func (l *hclogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }

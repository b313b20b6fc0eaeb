//go:build chaos

package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"todod/server"
)

// handles are what a build for deploy/chaos can be turned by, through the environment: how often the log is
// cut, and the clock, by a file that holds how far it is off; and by SIGUSR1, after which the memory that they have
// is memory that they hold.
func handles(cfg *server.Config) error {
	free := make(chan os.Signal, 1)
	signal.Notify(free, syscall.SIGUSR1)
	go func() { // as long as the process
		for range free {
			debug.FreeOSMemory()
		}
	}()
	for name, to := range map[string]*uint64{"CHAOS_SNAPSHOT_ENTRIES": &cfg.SnapshotEntries, "CHAOS_TRAILING_LOGS": &cfg.TrailingLogs} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*to = n
		}
	}
	file := os.Getenv("CHAOS_CLOCK")
	if file == "" {
		return nil
	}
	var off atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	go func() { // as long as the process
		for {
			if text, err := os.ReadFile(file); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
					off.Store(int64(d))
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return nil
}

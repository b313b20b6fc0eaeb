package fsm

import (
	"syscall"
	"testing"
)

// cpuTime is what the process has used so far, in nanoseconds, flushes and collections included.
func cpuTime(tb testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

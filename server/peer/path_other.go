//go:build !linux

package peer

import (
	"syscall"
	"time"
)

// boundUnacked does nothing where the kernel has no such bound: there Raft's own of 10 s holds.
func boundUnacked(syscall.Conn, time.Duration) error { return nil }

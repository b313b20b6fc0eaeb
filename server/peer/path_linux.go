package peer

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// boundUnacked bounds how long what was sent may be without the other kernel's word. Probes are sent only while nothing is.
func boundUnacked(conn syscall.Conn, d time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("bound the wait for a peer's kernel: %w", err)
	}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	}); e != nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("bound the wait for a peer's kernel: %w", err)
	}
	return nil
}

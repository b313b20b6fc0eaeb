package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forget has the kernel drop all that comes for a connection, as a firewall does that forgot it: a filter that takes no byte.
func forget(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// A connection whose path died ends soon, whether something was sent on it or not; one whose peer does not read stays.
func TestDeadPath(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, c := range map[string]struct{ sends, dies bool }{
		"sends": {true, true}, "waits": {false, true}, "sends to one that does not read": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			here, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			there, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { here.Close(); there.Close() })
			t.Parallel() // from here on they wait
			if err := watchPath(here); err != nil {
				t.Fatal(err)
			}
			if c.dies {
				forget(t, there)
			}
			if c.sends {
				if _, err := io.WriteString(here, "x"); err != nil {
					t.Fatal(err)
				}
			}
			wait := time.Minute
			if !c.dies {
				wait = 2 * (probeEvery + pathTimeout)
			}
			here.SetReadDeadline(time.Now().Add(wait))
			_, err = here.Read(make([]byte, 1))
			if c.dies && !errors.Is(err, syscall.ETIMEDOUT) || !c.dies && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

package peer

import (
	"net"
	"syscall"
	"time"
)

// A path between two nodes can die without a word, as when a firewall forgets a stream or a machine vanishes. Raft would wait
// 10 s for an answer on it, while its heartbeats, on another stream, keep the leader in office. The kernels notice earlier, and
// are not misled by a peer whose process or disk stands still: they answer for it.
const (
	// probeEvery is after how long without anything from the other kernel it is asked for a sign.
	probeEvery = time.Second
	// pathTimeout is how long what was sent, or a probe, may go without one.
	pathTimeout = 2 * time.Second
)

// watchPath has a connection end some 3 s after its path died. What has no kernel under it stays as it is.
func watchPath(conn net.Conn) error {
	c, ok := conn.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	})
	if !ok {
		return nil
	}
	if err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeEvery, Interval: probeEvery, Count: int(pathTimeout / probeEvery)}); err != nil {
		return err
	}
	if raw, ok := conn.(syscall.Conn); ok {
		return boundUnacked(raw, pathTimeout)
	}
	return nil
}

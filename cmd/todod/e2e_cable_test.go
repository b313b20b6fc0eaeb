package main_test

import (
	"testing"

	"todod/deploy/chaos/cable"
)

// network is the network between the nodes of a group; clients do not go through it.
type network struct {
	*cable.Net
	t *testing.T
}

func newNetwork(t *testing.T) *network {
	c := &network{cable.New(), t}
	t.Cleanup(c.Close)
	return c
}

// newCabledGroup is newGroup over a network that can be cut.
func newCabledGroup(t *testing.T, size int) (*group, *network) {
	t.Helper()
	c := newNetwork(t)
	return startGroup(t, size, c.plug), c
}

// plug puts a proxy before a node that has not been started.
func (c *network) plug(n *node) {
	c.t.Helper()
	addr, err := c.Plug(n.id, "127.0.0.1:0", n.raft, n.pid.Load)
	if err != nil {
		c.t.Fatal(err)
	}
	n.args = append(n.args, "--advertise-raft", addr)
}

// cut separates the nodes of one side from those of the other.
func (c *network) cut(one, other []*node) { c.Cut(ids(one), ids(other)) }

func ids(nodes []*node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.id)
	}
	return all
}

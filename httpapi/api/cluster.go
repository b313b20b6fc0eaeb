package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Cluster returns the group as the node that answers sees it.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	return get[Cluster](ctx, c, "/v1/cluster")
}

// Registry returns the leader's registry of list processes.
func (c *Client) Registry(ctx context.Context) (Registry, error) {
	return get[Registry](ctx, c, "/v1/registry")
}

// Where says at which node the process of a list would live and whether it does.
func (c *Client) Where(ctx context.Context, list string) (Where, error) {
	return get[Where](ctx, c, "/v1/registry/"+url.PathEscape(list))
}

// Hash returns the hashes of the replica of the node that answers.
func (c *Client) Hash(ctx context.Context) (Hash, error) {
	return get[Hash](ctx, c, "/v1/hash")
}

// Ready returns nil when the node serves; for a client of one node.
func (c *Client) Ready(ctx context.Context) error { return c.probe(ctx, "/readyz") }

// Live returns nil when the node's process answers at all; for a client of one node.
func (c *Client) Live(ctx context.Context) error { return c.probe(ctx, "/livez") }

// probe asks once: whoever probes wants to know how things are now.
func (c *Client) probe(ctx context.Context, path string) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	_, err := c.try(ctx, c.nodes[c.prefer.Load()], call{method: http.MethodGet, path: path, again: true}, nil)
	if err != nil {
		return err
	}
	return nil
}

// AddMember takes a node into the group and returns the group's ID.
//
// Changes of the group have no key: a call that may have arrived is not sent again but
// fails with the outcome unknown. Cluster then tells.
func (c *Client) AddMember(ctx context.Context, j Join) (string, error) {
	var out Joined
	err := c.post(ctx, "/v1/cluster/members", j, &out)
	return out.Group, err
}

// RemoveMember takes a node out of the group for good; see AddMember.
func (c *Client) RemoveMember(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/cluster/members/" + url.PathEscape(id)}, nil)
	return err
}

// JoinGroup has the node this client speaks with, its only one, join the group of the node
// whose HTTP address is addr; see AddMember.
func (c *Client) JoinGroup(ctx context.Context, addr string) error {
	return c.post(ctx, "/v1/cluster/join", JoinAddr{Addr: addr}, nil)
}

// Transfer hands leadership to a voter, "" for any; see AddMember.
func (c *Client) Transfer(ctx context.Context, to string) error {
	return c.post(ctx, "/v1/cluster/transfer", Transfer{To: to}, nil)
}

// Settings returns what the group decided for itself.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	return get[Settings](ctx, c, "/v1/cluster/settings")
}

// SetSettings has the group decide something for itself, and returns all that holds then; what is 0 stays as it is. It may
// be sent again: the last one holds.
func (c *Client) SetSettings(ctx context.Context, s Settings) (out Settings, err error) {
	patch := map[string]uint64{}
	for name, value := range map[string]uint64{"trash_days": s.TrashDays, "events_mib": s.EventsMiB} {
		if value != 0 {
			patch[name] = value
		}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return out, err
	}
	h := http.Header{"Content-Type": {contentType(http.MethodPatch)}}
	_, err = c.do(ctx, call{method: http.MethodPatch, path: "/v1/cluster/settings", header: h, body: body, again: true}, &out)
	return out, err
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var out T
	_, err := c.do(ctx, call{method: http.MethodGet, path: path, again: true}, &out)
	return out, err
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {"application/json"}}
	_, err = c.do(ctx, call{method: http.MethodPost, path: path, header: h, body: body}, out)
	return err
}

package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"todod/httpapi/api"
	"todod/server"
)

// Contacts speaks over HTTP with the nodes of a group that this one is to join. It reads
// leniently: the others may be newer.
type Contacts struct{ client *http.Client }

var _ server.Contacts = (*Contacts)(nil)

// NewContacts returns Contacts with connections of their own.
func NewContacts() *Contacts {
	return &Contacts{client: &http.Client{
		Transport: &http.Transport{IdleConnTimeout: 10 * time.Second, MaxIdleConnsPerHost: 1}, // no proxy: these are peers
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a node never redirects: this is something else
		},
	}}
}

// Cluster asks the node at addr for its view of its group.
func (c *Contacts) Cluster(ctx context.Context, addr string) (server.Cluster, error) {
	var in api.Cluster
	if err := c.call(ctx, http.MethodGet, addr, "/v1/cluster", nil, &in); err != nil {
		return server.Cluster{}, err
	}
	out := server.Cluster{ID: in.ID, State: server.State(in.State), Group: in.Group, Leader: in.Leader,
		Term: in.Term, Commit: in.Commit, Applied: in.Applied, Snapshot: in.Snapshot, Version: in.Version, Reads: in.Reads, GroupVersion: in.GroupVersion,
		Expect: in.Expect, Sees: in.Sees, Folder: in.Folder, Members: make([]server.Member, len(in.Members))}
	for i, m := range in.Members {
		out.Members[i] = server.Member{ID: m.ID, HTTP: m.HTTP, Raft: m.Raft, Voter: m.Voter, Alive: m.Alive,
			Contact: contact(m.LastContactMS), Applied: m.Applied, Version: m.Version, Reads: m.Reads,
			Disk: server.DiskState(m.Disk), Free: m.DiskFree}
	}
	return out, nil
}

func contact(ms int64) time.Duration {
	if ms < 0 {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// Join asks the node at addr to take this one into its group, and returns the group's ID.
func (c *Contacts) Join(ctx context.Context, addr string, req server.JoinRequest) (string, error) {
	body, err := json.Marshal(api.Join{ID: req.ID, HTTP: req.HTTP, Raft: req.Raft, Folder: req.Folder, Group: req.Group, Reads: req.Reads})
	if err != nil {
		return "", fmt.Errorf("ask %s to be let in: %w", addr, err)
	}
	var out api.Joined
	if err := c.call(ctx, http.MethodPost, addr, "/v1/cluster/members", body, &out); err != nil {
		return "", err
	}
	if out.Group == "" {
		return "", fmt.Errorf("%s answered a request to join without naming its group", addr)
	}
	return out.Group, nil
}

// call makes one request. The error is an *server.Error of KindConflict when the answer was no.
func (c *Contacts) call(ctx context.Context, method, addr, path string, body []byte, out any) error {
	u := url.URL{Scheme: "http", Host: addr, Path: path}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", addr, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(addr, resp.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s did not answer as a todod does: %w", addr, err)
	}
	return nil
}

// refusal tells a no for good, which a node has said in its own words, from what may be
// tried again.
func refusal(addr string, status int, answer []byte) error {
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Code == "" {
		return fmt.Errorf("%s did not answer as a todod does: status %d", addr, status)
	}
	switch status {
	case http.StatusConflict, http.StatusBadRequest, http.StatusForbidden:
		return &server.Error{Kind: server.KindConflict, Outcome: server.NotApplied, Leader: p.Leader, Detail: p.Detail}
	}
	return fmt.Errorf("%s answered %d: %s", addr, status, p.Detail)
}

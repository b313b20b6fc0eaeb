package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	// streamIdle is how long a stream may say nothing, not even a comment, before the client
	// takes the node for gone and connects again; nodes speak at least every 30 s.
	streamIdle = 45 * time.Second
	// maxEvent bounds one event: the change of 1,000 entries with all that each may hold, escaped.
	maxEvent = 128 << 20
)

// ClusterEvents follows the group: node_down, node_up, leader_changed, member_added,
// member_removed, node_dead, disk_ok, disk_low, disk_stalled, diverged, agreed, snapshot_loop, backup_made, backup_failed. When its node goes it moves on to the next; it ends when ctx does, or with an
// error when no node answered for as long as the client's patience. Every node counts its own
// events, so those that happened while it moved to another node are not seen; when it
// comes back to the same node none is missed.
func (c *Client) ClusterEvents(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err := c.follow(ctx, following{path: "/v1/cluster/events"}, func(f frame) bool {
			var e Event
			if json.Unmarshal(f.data, &e) != nil {
				return true // an event of a newer todod
			}
			return yield(e, nil)
		})
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// frame is one server-sent event.
type frame struct {
	id, event string
	data      []byte
}

var errEnough = errors.New("the reader wants no more")

// following says which stream is followed.
type following struct {
	path   string
	since  string // the id to begin behind, "" for none
	shared bool   // ids are the group's: good at any node, and gone at all of them. Else each node has its own
}

// follow reads a stream of events and connects again when it breaks, with the id of the last
// event it got. It returns nil when take returns false or ctx ends.
func (c *Client) follow(ctx context.Context, what following, take func(frame) bool) error {
	last := map[string]string{} // by node, or all under ""
	key := func(node string) string {
		if what.shared {
			return ""
		}
		return node
	}
	if what.since != "" {
		last[""] = what.since
	}
	since := time.Now()
	pause := firstPause
	for at := int(c.prefer.Load()); ; at = (at + 1) % len(c.nodes) {
		node := c.nodes[at]
		connected := false
		err := c.stream(ctx, node, what.path, last[key(node)], func(f frame) bool {
			if f.id != "" {
				last[key(node)] = f.id
			}
			connected = true
			return len(f.data) == 0 || take(f)
		})
		if connected { // until now, however long it had nothing to tell
			since, pause = time.Now(), firstPause
		}
		e := AsError(err)
		if e != nil {
			e.Outcome = NotApplied
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, errEnough):
			return nil
		case e != nil && e.Status == http.StatusGone && !what.shared:
			delete(last, node) // the node began to count anew
		case e != nil && !e.Retryable():
			return e
		}
		if time.Since(since) > c.opt.Patience {
			return err
		}
		if c.opt.Moved != nil {
			c.opt.Moved(node, err)
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// stream reads the events of one node until something ends it; it always returns an error.
func (c *Client) stream(ctx context.Context, node, path, lastID string, take func(frame) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(min(streamIdle, max(c.opt.PerTry, dialTimeout)), cancel)
	defer idle.Stop()
	h := http.Header{"Accept": {"text/event-stream"}}
	if lastID != "" {
		h.Set("Last-Event-ID", lastID)
	}
	resp, err := c.send(ctx, node, call{method: http.MethodGet, path: path, header: h})
	if err != nil {
		return broken(node, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return problem(node, resp, body)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return strange(node, errors.New("answered with something that is not a stream of events"))
	}
	idle.Reset(streamIdle)
	take(frame{}) // connected
	err = readFrames(resp.Body, func() { idle.Reset(streamIdle) }, take)
	if errors.Is(err, errEnough) {
		return err
	}
	return broken(node, err)
}

// readFrames reads text/event-stream as the HTML standard has it (section 9.2.6), and calls
// alive for every line.
func readFrames(r io.Reader, alive func(), take func(frame) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxEvent)
	var f frame
	var data []string
	for lines.Scan() {
		alive()
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			f.data = []byte(strings.Join(data, "\n"))
			if (len(data) > 0 || f.id != "") && !take(f) { // an id alone says from where to go on
				return errEnough
			}
			f, data = frame{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

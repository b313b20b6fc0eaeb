package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"todod/httpapi/api"
	"todod/server"
)

// clusterEvents is a stream of server-sent events. An id is BOOT.SEQ: the node counts its
// events anew when it starts, so a client that comes back with the id of another node, or
// of this one before it started, is told all that happened since this one started.
func clusterEvents(req *request) error {
	leave, err := req.s.enterStream()
	if err != nil {
		return err
	}
	defer leave()
	since := req.s.node.LastEvent()
	if last := req.r.Header.Get("Last-Event-ID"); last != "" {
		since = req.s.eventAfter(last)
	}
	ctx, cancel := context.WithCancel(req.r.Context())
	defer cancel()
	defer context.AfterFunc(req.s.ctx, cancel)()

	ctl := req.control()
	if req.beginStream(); req.r.Method == http.MethodHead {
		return nil
	}
	b := []byte("retry: 1000\n\n")
	for {
		_ = ctl.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := req.w.Write(b); err != nil {
			return nil // the client is gone
		}
		if err := ctl.Flush(); err != nil {
			return nil
		}
		events, err := req.s.nextEvents(ctx, since)
		switch {
		case err == nil:
			b = b[:0]
			for i := range events {
				since = events[i].Seq
				b = req.s.appendEvent(b, &events[i])
			}
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			b = append(b[:0], ": still here\n\n"...)
		default:
			return nil // the client, or the node, is gone
		}
	}
}

// nextEvents waits for events, at most until a heartbeat is due.
func (s *Server) nextEvents(ctx context.Context, since uint64) ([]server.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Heartbeat)
	defer cancel()
	return s.node.Events(ctx, since)
}

// eventAfter is the seq that an event's id stands for on this node, 0 if it is not of its boot.
func (s *Server) eventAfter(id string) uint64 {
	boot, seq, _ := strings.Cut(id, ".")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || boot != s.boot {
		return 0
	}
	return min(n, s.node.LastEvent())
}

func (s *Server) appendEvent(b []byte, e *server.Event) []byte {
	b = append(append(append(b, "id: "...), s.boot...), '.')
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(append(append(b, "\nevent: "...), e.Type...), "\ndata: "...)
	data, err := json.Marshal(api.Event{Type: e.Type, Node: e.Node, Term: e.Term, Time: e.Time.UTC()})
	if err != nil || bytes.IndexByte(data, '\n') >= 0 {
		return b[:0] // cannot be: the type is ours and JSON has no line ends
	}
	return append(append(b, data...), "\n\n"...)
}

// serveMetrics is what Prometheus reads.
func serveMetrics(req *request) error {
	req.s.metrics.handler.ServeHTTP(&req.w, req.r)
	return nil
}

var _ http.ResponseWriter = (*recorder)(nil)

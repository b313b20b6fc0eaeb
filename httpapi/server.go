package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"todod/fsm"
	"todod/httpapi/api"
	"todod/httpapi/search"
	"todod/server"
)

// Config says what a Server needs. Zero values get defaults, but Node must be given.
type Config struct {
	Node       Node
	Logger     *slog.Logger         // none by default
	Metrics    *prometheus.Registry // shown at /metrics; a new one by default
	Advertised []string             // addresses or host names by which others reach this node
	Origins    []string             // those whose web pages may use the API, as CheckOrigin takes them; none by default
	Now        func() time.Time     // what decides which entries are overdue, and which day is today; time.Now by default

	RequestTimeout time.Duration // the most a request may take; 5 s by default
	HeaderTimeout  time.Duration // the most its header may take; 5 s by default
	BodyTimeout    time.Duration // the most its body may take; 10 s by default
	IdleTimeout    time.Duration // between two requests; 2 min by default
	Heartbeat      time.Duration // of event streams; 10 s by default
	StreamTimeout  time.Duration // the most a backup, or what is sent to a follower, may stand still on its way; 30 s by default

	maxScan, maxSort int // smaller in tests of this package
}

func (c *Config) fill() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.maxScan, c.maxSort = cmp.Or(c.maxScan, maxScan), cmp.Or(c.maxSort, maxSort)
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.RequestTimeout, requestTimeout}, {&c.HeaderTimeout, headerTimeout}, {&c.BodyTimeout, bodyTimeout},
		{&c.IdleTimeout, idleTimeout}, {&c.Heartbeat, heartbeat},
		{&c.StreamTimeout, streamTimeout},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
}

// Server answers the HTTP requests of one node. It is an http.Handler.
type Server struct {
	cfg     Config
	node    Node
	log     *slog.Logger
	metrics *metrics
	routes  *routes
	guard   guard
	cors    cors
	boot    string // names this process in the ids of events
	buffers sync.Pool
	search  *search.Searcher
	gzips   gzips
	fixed   fixtures
	streams atomic.Int64  // event streams that are open
	seats   chan struct{} // of requests that look at many rows

	feeding struct {
		sync.Mutex
		feed *feed // of the changes; nil if nobody ever followed
	}
	feedBytes int           // as the limit of that name; tests have less
	catchUps  chan struct{} // a token for each follower that reads changes of its own

	transfers transfers // exports and imports that are on their way

	ctx  context.Context // ends the event streams
	stop context.CancelFunc
}

// New returns the server of a node.
func New(cfg Config) *Server {
	cfg.fill()
	s := &Server{cfg: cfg, node: cfg.Node, log: cfg.Logger, metrics: newMetrics(cfg.Metrics),
		guard: newGuard(cfg.Advertised, cfg.Origins), cors: newCORS(cfg.Origins), gzips: newGzips(), boot: rand.Text()[:8]}
	s.transfers = make(transfers, maxTransfers)
	s.routes = newRoutes(table(), s.metrics)
	s.fixed = newFixtures(s.routes.table)
	s.seats = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	s.feedBytes, s.catchUps = feedBytes, make(chan struct{}, maxCatchUps)
	s.buffers.New = func() any { return new(bytes.Buffer) }
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.search = s.newSearcher()
	return s
}

// HTTPServer returns an http.Server with a timeout on every phase, for its Serve. Its
// Shutdown ends the event streams too.
func (s *Server) HTTPServer() *http.Server {
	hs := &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            s.cfg.HeaderTimeout,
		WriteTimeout:                 s.cfg.BodyTimeout + s.cfg.RequestTimeout + writeTimeout,
		IdleTimeout:                  s.cfg.IdleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is a path we do not have
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	hs.RegisterOnShutdown(s.stop)
	return hs
}

// Handler returns the handler of all requests.
func (s *Server) Handler() http.Handler { return s }

// ServeHTTP answers a request. What all requests share stands here and not in mux.Use, which
// leaves out those that no route matches.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	s.metrics.inFlight.Inc()
	res, vars := s.routes.find(r)
	req := &request{s: s, r: r, w: recorder{ResponseWriter: w}, route: res.path, vars: vars}
	counts := res.other
	me := res.methods[r.Method]
	if me != nil {
		counts = me.counts
	}
	defer func() {
		if p := recover(); p != nil {
			s.panicked(req, p)
		}
		s.metrics.inFlight.Dec()
		counts.done(req.w.status, time.Since(begin))
		if req.cut {
			panic(http.ErrAbortHandler) // net/http then closes the connection
		}
	}()
	if r.ContentLength < 0 || !r.ProtoAtLeast(1, 1) {
		// A request may have come with a length too, or as HTTP/1.0 in chunks: net/http does not tell, and proxies
		// disagree about where it ends. So nothing may follow it (RFC 9112, section 6.1).
		w.Header()["Connection"] = closes
	}
	if r.ContentLength != 0 {
		// Also for a body that nobody will read: net/http reads on to the next request.
		_ = req.control().SetReadDeadline(begin.Add(s.cfg.BodyTimeout))
	}
	if err := s.serve(req, res, me); err != nil {
		req.fail(err)
	}
}

func (s *Server) serve(req *request, res *resource, me *method) error {
	if err := s.guard.check(req.r); err != nil {
		return err
	}
	if s.cors.origins != nil && s.cors.share(req, res) {
		return nil
	}
	if me == nil {
		return res.refuse(req.r)
	}
	if me.ends != nil {
		me.ends.say(req.w.Header())
	}
	req.query.known = me.params
	if err := req.query.add(req.r.URL.RawQuery, res.strict); err != nil {
		return err
	}
	return me.serve(req)
}

// panicked answers for a handler that panicked. The node goes on, unless the replica has found that
// it cannot be trusted any more: it ends the node itself.
func (s *Server) panicked(req *request, p any) {
	if p == http.ErrAbortHandler {
		req.cut = true
		return
	}
	f := &failure{code: api.CodeInternal, outcome: server.UnknownOutcome, cause: fmt.Errorf("panic: %v", p)}
	if err, ok := p.(error); ok && errors.Is(err, fsm.ErrStorage) {
		f = &failure{code: api.CodeStopping, outcome: server.UnknownOutcome, detail: "the replica of this node is damaged: ask another one"}
	} else {
		s.log.Error("a request panicked", "method", req.r.Method, "route", req.route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
	if !req.started() {
		req.fail(f)
		return
	}
	req.cut, req.w.status = true, api.Statuses[f.code]
}

func (s *Server) buffer() *bytes.Buffer {
	buf := s.buffers.Get().(*bytes.Buffer)
	buf.Reset()
	return buf
}

func (s *Server) release(buf *bytes.Buffer) {
	if buf.Cap() <= keepBuffer {
		s.buffers.Put(buf)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/server"
)

// How long a node that is asked to stop may take for each step; the service unit allows for both.
const (
	handOverTimeout = 2 * time.Second
	drainTimeout    = 10 * time.Second
)

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "run a node",
		Long: `serve runs a node. With an empty data folder and neither --join nor
--bootstrap-expect it founds a group of one; with either it never founds one alone.
Once the data folder holds a group, flags that name one are ignored.

The first error of the disk ends a node. One whose disk does not answer for 3 s
acknowledges nothing; if it leads, and a majority's disks are well, it ends so that
another can lead. With less room than --disk-reserve a leader hands over; when
fewer than a majority has room, writes are refused (507) until there is some.

The nodes compare hashes of all they hold every --mark-interval. One that differs from
a majority fences itself: it ends with 70, and its folder is not used again.

With --remove-dead-after a leader takes out, for good, a node that gave no sign of life
for so long: one at a time, only while a majority of the voters is alive, never one of
the last two voters, and not before it has led for that long itself. Its log and
'todod events' say so (node_dead). Give all nodes the same.

SIGTERM and SIGINT: a leader hands over, requests in flight finish, files close.
A second signal stops at once.

Beside the exit codes of 'todod --help': 70 its data diverged, 73 the data folder is
refused, 74 the disk failed, stalled or is full, 78 a log entry is damaged or of a newer version.`,
		Example: `  todod serve
  todod serve --id n2 --http 127.0.0.1:5455 --raft 127.0.0.1:7455 --join 127.0.0.1:5454
  todod serve --id n1 --http 10.0.0.1:5454 --raft 10.0.0.1:7454 --insecure \
      --bootstrap-expect 3 --join 10.0.0.1:5454,10.0.0.2:5454,10.0.0.3:5454`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := f.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := f.check(); err != nil {
			return err
		}
		return serve(&f, log)
	}
	return cmd
}

// serve runs a node until it is told to stop or cannot go on.
func serve(f *serveFlags, log *slog.Logger) error {
	boundHeap()
	sigs := make(chan os.Signal, 2)
	signal.Notify(sigs, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(sigs)

	// Listen first: a taken port is found before the data folder is touched, and who comes early waits.
	listener, err := listen("--http", f.http)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := serveProfiles(f.pprof, log); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg := f.cfg
	cfg.AdvertiseHTTP = told(cfg.AdvertiseHTTP, listener.Addr().String())
	if raft := told(cfg.AdvertiseRaft, cfg.Raft); raft != cfg.Raft {
		cfg.AdvertiseRaft = raft
	}
	cfg.Contacts, cfg.Version, cfg.Logger, cfg.Metrics = contacts(), cli.Version(), log, reg
	cfg.Fatal = die
	if err := handles(&cfg); err != nil {
		return err
	}
	node, err := server.Open(cfg)
	if err != nil {
		return ended(err)
	}
	web := face(node, cfg, f.origins, log, reg)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	log.Info("serving", "id", node.ID(), "http", listener.Addr().String(), "version", cfg.Version)

	select {
	case <-node.Done():
		return leave(node, web, log)
	case err := <-failed:
		return errors.Join(err, node.Close())
	case sig := <-sigs:
		log.Info("stopping", "signal", sig.String())
	}
	done := make(chan error, 1)
	go func() { done <- stop(node, web) }()
	select {
	case err := <-done:
		log.Info("stopped")
		return ended(err)
	case <-sigs:
		return errors.New("stopped at once by a second signal")
	}
}

// die ends the process on the spot: after a failed disk nothing more may be answered, and nothing
// flushed.
func die(why *server.Exit) {
	fmt.Fprintln(os.Stderr, "todod: "+why.Reason)
	os.Exit(why.Code)
}

// stop ends a node in the order that costs nobody a request: leadership first, then what is
// in flight, then the files.
func stop(node *server.Node, web *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	node.HandOver(ctx)
	cancel()
	drain(web)
	return node.Close()
}

// leave ends the process of a node that ended by itself, with the node's own code and sentence.
func leave(node *server.Node, web *http.Server, log *slog.Logger) error {
	end := node.Err()
	drain(web) // the request that took it out is still to be answered
	if err := node.Close(); err != nil {
		log.Warn("the node did not close well", "error", err)
	}
	if end == nil || end.Code == 0 {
		log.Info("left the group")
		return nil
	}
	return ended(end)
}

func drain(web *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if web.Shutdown(ctx) != nil {
		_ = web.Close() // cut what did not finish; its clients retry
	}
}

// ended gives an error the exit code that the node has for it.
func ended(err error) error {
	var exit *server.Exit
	if errors.As(err, &exit) {
		return &cli.Error{Code: exit.Code, Err: exit}
	}
	return err
}

func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.New(flag + " " + addr + " is taken by another process: stop it, or give another address")
	case errors.As(err, &dns):
		return nil, errors.New(flag + " " + addr + " names no host of this machine")
	case errors.As(err, &errno):
		return nil, errors.New(flag + " " + addr + " cannot be listened on: " + errno.Error())
	}
	return nil, err
}

// serveProfiles serves Go's profiles apart from the API, on loopback only.
func serveProfiles(addr string, log *slog.Logger) error {
	if addr == "" {
		return nil
	}
	l, err := listen("--pprof", addr)
	if err != nil {
		return err
	}
	// Waits are sampled so thinly that nobody notices: one in 100 for a lock, one for each 100 us of others.
	runtime.SetMutexProfileFraction(100)
	runtime.SetBlockProfileRate(100_000)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Debug("profiles ended", "error", s.Serve(l)) }()
	log.Info("profiles", "http", l.Addr().String())
	return nil
}

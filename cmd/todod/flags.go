package main

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi"
	"todod/httpapi/api"
	"todod/server"
)

// serveFlags are the flags of todod serve, as CONTRACT's table has them.
type serveFlags struct {
	cfg       server.Config
	http      string
	pprof     string
	origins   []string
	logLevel  string
	logFormat string
}

func (f *serveFlags) add(cmd *cobra.Command) {
	c, fs := &f.cfg, cmd.Flags()
	fs.StringVar(&c.ID, "id", "", "the node's `NAME`, unique in the group: 1-64 of A-Z a-z 0-9 . _ - (default the only node in --data, else the host name)")
	fs.StringVar(&c.Data, "data", "./data", "the node's files live in `DIR`/ID")
	fs.StringVar(&f.http, "http", "127.0.0.1:5454", "`ADDR` where clients come in")
	fs.StringSliceVar(&f.origins, "cors-origin", nil, "let web pages of `ORIGIN[,ORIGIN...]` (https://todo.example) use the API (default none)")
	fs.StringVar(&c.Raft, "raft", "127.0.0.1:7454", "`ADDR` where the other nodes come in")
	fs.StringVar(&c.AdvertiseHTTP, "advertise-http", "", "`ADDR` that clients and other nodes are told (default as bound)")
	fs.StringVar(&c.AdvertiseRaft, "advertise-raft", "", "`ADDR` that the other nodes are told (default as bound)")
	fs.StringSliceVar(&c.Join, "join", nil, "`ADDR[,ADDR...]`: HTTP addresses of members of the group to join")
	fs.IntVar(&c.BootstrapExpect, "bootstrap-expect", 0, "found a group of `N` nodes with those of --join, which have the same flags")
	fs.DurationVar(&c.Expiry, "expiry", time.Minute, "an idle list process leaves after this long")
	fs.DurationVar(&c.RequestTimeout, "request-timeout", 5*time.Second, "the most a request may take")
	fs.Var(reserve{&c.DiskReserve}, "disk-reserve", "`SIZE`: with less room on the disk a leader hands over (default the smaller of 64MiB and 2 % of the disk; 0 for none)")
	fs.DurationVar(&c.MarkInterval, "mark-interval", time.Minute, "how often the nodes compare their data")
	fs.StringVar(&c.BackupDir, "backup-dir", "", "`DIR` on another disk where this node keeps scheduled backups (default none are made)")
	fs.DurationVar(&c.BackupEvery, "schedule", 0, "time from one scheduled backup to the next (default 24h)")
	fs.IntVar(&c.BackupKeep, "keep", 0, "keep the newest `N` scheduled backups (default 7)")
	fs.DurationVar(&c.ScrubInterval, "scrub-interval", 10*time.Minute, "how often a node reads all it stores, to find decay")
	fs.DurationVar(&c.RemoveDeadAfter, "remove-dead-after", 0, "the leader takes a node that has been dead for `DURATION` out of the group, for good (30s or more; default never)")
	fs.BoolVar(&c.Insecure, "insecure", false, "allow addresses off loopback, in the clear and open to all who reach them")
	fs.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	fs.StringVar(&f.logFormat, "log-format", "text", "`FORMAT`: text or json")
	fs.StringVar(&f.pprof, "pprof", "", "`ADDR` on loopback for Go's profiles (default off)")
	for name, values := range map[string][]string{"log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// check refuses what is wrong in itself, before anything is opened.
func (f *serveFlags) check() error {
	c := &f.cfg
	if c.ID != "" {
		if err := server.CheckID(c.ID); err != nil {
			return cli.UsageError("--id: %w", err)
		}
	}
	for _, a := range []struct {
		flag, addr string
		insecure   bool
	}{{"--http", f.http, c.Insecure}, {"--raft", c.Raft, c.Insecure}, {"--pprof", f.pprof, false},
		{"--advertise-http", c.AdvertiseHTTP, true}, {"--advertise-raft", c.AdvertiseRaft, true}} {
		if a.addr == "" && (a.flag == "--pprof" || strings.HasPrefix(a.flag, "--advertise")) {
			continue
		}
		if err := server.CheckAddr(a.flag, a.addr, a.insecure); err != nil {
			return cli.UsageError("%w", err)
		}
	}
	for _, o := range f.origins {
		if err := httpapi.CheckOrigin(o); err != nil {
			return cli.UsageError("--cors-origin %q %w", o, err)
		}
	}
	if len(c.Join) > 0 {
		// The client knows what an address of a node looks like, and all its spellings.
		known, err := api.NewClient(c.Join, api.Options{})
		if err != nil {
			return cli.UsageError("--join: %w", err)
		}
		c.Join = known.Addrs()
	}
	switch {
	case c.Data == "":
		return cli.UsageError("--data must not be empty")
	case c.BootstrapExpect < 0:
		return cli.UsageError("--bootstrap-expect must not be negative")
	case c.BootstrapExpect > 1 && len(c.Join) == 0:
		return cli.UsageError("--bootstrap-expect %d needs --join with the HTTP addresses of those nodes", c.BootstrapExpect)
	case c.BackupDir == "" && (c.BackupEvery != 0 || c.BackupKeep != 0):
		return cli.UsageError("--schedule and --keep need --backup-dir")
	case c.BackupEvery < 0 || c.BackupEvery > 0 && c.BackupEvery < time.Second:
		return cli.UsageError("--schedule must be 1s or more")
	case c.BackupKeep < 0:
		return cli.UsageError("--keep must be 1 or more")
	case c.Expiry <= 0:
		return cli.UsageError("--expiry must be more than 0")
	case c.RequestTimeout <= 0:
		return cli.UsageError("--request-timeout must be more than 0")
	case c.ScrubInterval < time.Second:
		return cli.UsageError("--scrub-interval must be 1s or more")
	case c.MarkInterval < time.Second:
		return cli.UsageError("--mark-interval must be 1s or more")
	}
	if err := server.CheckRemoveDeadAfter(c.RemoveDeadAfter); err != nil {
		return cli.UsageError("%w", err)
	}
	return nil
}

// logger returns the log on w in the format and from the level asked for.
func (f *serveFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if level.UnmarshalText([]byte(f.logLevel)) != nil {
		return nil, cli.UsageError("--log-level must be debug, info, warn or error, not %q", f.logLevel)
	}
	opt := &slog.HandlerOptions{Level: level}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return nil, cli.UsageError("--log-format must be text or json, not %q", f.logFormat)
}

// told is the address to tell others: the one given, else the one bound; but 0.0.0.0 is of no
// use to anyone, so there the host's name stands in for it.
func told(given, bound string) string {
	if given != "" {
		return given
	}
	host, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return bound
	}
	name, err := os.Hostname()
	if err != nil {
		return bound
	}
	return net.JoinHostPort(name, port)
}

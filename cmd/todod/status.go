package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// watchEvery is how often --watch looks again.
const watchEvery = time.Second

func statusCommand(env func(string) string) *cobra.Command {
	return viewCommand(env, "status", "print the leader, the term and the members", `Ends with 5 if the node knows no leader.`, true)
}

func membersCommand(env func(string) string) *cobra.Command {
	return viewCommand(env, "members", "print the members of the group", "", false)
}

// viewCommand is status, and members, which leaves out what is not about members.
func viewCommand(env func(string) string, name, short, more string, whole bool) *cobra.Command {
	var conn cli.Connection
	var watch bool
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		Long: short + `, as the node at --server sees them. Who is alive and
who lags is known to the leader, which is asked too if it can be reached. ` + more,
		Example: fmt.Sprintf("  todod %s\n  todod %s --watch\n  todod %s --server 127.0.0.1:5454,127.0.0.1:5455 --output json", name, name, name),
	}
	conn.AddFlags(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "look again every second, until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		v := view{conn: &conn, client: c, out: cmd.OutOrStdout(), paint: cli.Paint(cmd.OutOrStdout(), env), whole: whole}
		if watch {
			return v.watch(cmd.Context(), cmd.ErrOrStderr())
		}
		return v.show(cmd.Context())
	}
	return cmd
}

type view struct {
	conn   *cli.Connection
	client *api.Client
	out    io.Writer
	paint  func(sgr, text string) string
	whole  bool
}

func (v *view) show(ctx context.Context) error {
	ctx, cancel := v.conn.Bound(ctx)
	defer cancel()
	c, err := look(ctx, v.client)
	if err != nil {
		return err
	}
	if err := v.print(c); err != nil {
		return err
	}
	if v.whole && c.Leader == "" {
		return &cli.Error{Code: cli.Retry} // the table said it
	}
	return nil
}

// watch shows the group again and again; what goes wrong in between is part of the picture.
func (v *view) watch(ctx context.Context, stderr io.Writer) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		switch {
		case cli.Terminal(v.out):
			fmt.Fprint(v.out, "\x1b[H\x1b[2J")
		case !first && !v.conn.JSON():
			fmt.Fprintln(v.out)
		}
		if err := v.show(ctx); err != nil && ctx.Err() == nil && err.Error() != "" {
			if cli.Code(err) != cli.Retry {
				return err
			}
			fmt.Fprintln(stderr, cli.Safe(err.Error()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look returns the group as a node sees it, with what only the leader knows of the members.
func look(ctx context.Context, client *api.Client) (api.Cluster, error) {
	c, err := client.Cluster(ctx)
	if err != nil || c.Leader == "" || c.Leader == c.ID {
		return c, err
	}
	for _, m := range c.Members {
		if m.ID != c.Leader {
			continue
		}
		if led, err := lookAt(ctx, client, m.HTTP); err == nil && led.Group == c.Group && led.Leader == c.Leader {
			c.Members, c.Commit = led.Members, max(c.Commit, led.Commit)
		}
	}
	return c, nil
}

func lookAt(ctx context.Context, client *api.Client, addr string) (api.Cluster, error) {
	at, err := client.At(addr)
	if err != nil {
		return api.Cluster{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return at.Cluster(ctx)
}

func (v *view) print(c api.Cluster) error {
	if v.conn.JSON() {
		if v.whole {
			return cli.PrintJSON(v.out, c)
		}
		return cli.PrintJSON(v.out, c.Members)
	}
	if v.whole {
		leader := v.paint("31", "none known")
		if c.Leader != "" {
			leader = cli.Safe(c.Leader)
		}
		group := "no group yet"
		if c.Group != "" {
			group = "group " + c.Group
		}
		fmt.Fprintf(v.out, "node    %s\nleader  %s\nterm    %d\ncommit  %d, snapshot up to %d\nversion %s\n",
			cli.Safe(c.ID+", "+c.State+", "+group), leader, c.Term, c.Commit, c.Snapshot, cli.Safe(versionOf(c)))
		if c.Expect > 0 {
			fmt.Fprintf(v.out, "sees    %d of the %d nodes that --bootstrap-expect waits for\n", len(c.Sees), c.Expect)
		}
		if c.Diverged != nil {
			fmt.Fprintln(v.out, v.paint("31", divergedText(c.Diverged)))
		}
		fmt.Fprintln(v.out)
	}
	return cli.Table(v.out, memberRows(c))
}

// divergedText says what differs and what can be done about it.
func divergedText(d *api.Divergence) string {
	sides := map[api.Hash][]string{}
	for id, h := range d.Hashes {
		sides[h] = append(sides[h], id)
	}
	var names []string
	for _, ids := range sides {
		slices.Sort(ids)
		names = append(names, strings.Join(ids, ", "))
	}
	slices.Sort(names)
	return "data    DIFFERS at log entry " + strconv.FormatUint(d.Index, 10) + " between " + cli.Safe(strings.Join(names, " and ")) +
		";\n        no majority says whose is right: look at what each holds, take out those that are wrong\n        with 'todod remove ID', and begin them anew with an empty folder and a new --id"
}

func memberRows(c api.Cluster) [][]string {
	rows := [][]string{{"ID", "ROLE", "ALIVE", "LAG", "CONTACT", "DISK", "HTTP", "RAFT", "VERSION", "READS"}}
	for _, m := range c.Members {
		role, alive, lag, contact := "non-voter", "?", "?", "?"
		if m.Voter {
			role = "voter"
		}
		if m.ID == c.Leader {
			role = "leader"
		}
		if m.Alive != nil {
			alive = map[bool]string{true: "yes", false: "no"}[*m.Alive]
			// Commit moves on between the two numbers: a member is never ahead of the group.
			lag = strconv.FormatUint(c.Commit-min(m.Applied, c.Commit), 10)
		}
		if m.LastContactMS >= 0 && m.Alive != nil {
			contact = (time.Duration(m.LastContactMS) * time.Millisecond).String()
		}
		rows = append(rows, []string{m.ID, role, alive, lag, contact, diskOf(m), m.HTTP, m.Raft, m.Version, readsOf(m)})
	}
	return rows
}

// versionOf is the version of the group, and who keeps it from going up where some members read more.
func versionOf(c api.Cluster) string {
	text := strconv.FormatUint(c.GroupVersion, 10)
	var old []string
	most := c.Reads
	for _, m := range c.Members {
		if most = max(most, m.Reads); m.Reads <= c.GroupVersion {
			old = append(old, m.ID)
		}
	}
	if most > c.GroupVersion && len(old) > 0 {
		text += ", goes up once every member reads more: waits for " + strings.Join(old, ", ")
	}
	return text
}

// readsOf is the highest version of a group that a member can read.
func readsOf(m api.Member) string {
	if m.Reads == 0 {
		return "?"
	}
	return strconv.FormatUint(m.Reads, 10)
}

// diskOf says how a member's disk is and what room it has.
func diskOf(m api.Member) string {
	if m.Disk == "" {
		return "?"
	}
	return fmt.Sprintf("%s, %s free", m.Disk, bytesText(m.DiskFree))
}

func eventsCommand() *cobra.Command {
	var conn cli.Connection
	cmd := &cobra.Command{
		Use: "events", Short: "follow the group until Ctrl-C: nodes that go and come, leaders, members, disks, backups",
		Long: `Follows the group until Ctrl-C: node_down, node_up, leader_changed, member_added, member_removed, node_dead, disk_ok,
disk_low, disk_stalled, diverged, agreed, snapshot_loop, backup_made, backup_failed. What happened while it moved
from one node to the next is not told.`,
		Example: "  todod events\n  todod events --output json | jq .node",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	conn.AddFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		for e, err := range c.ClusterEvents(cmd.Context()) {
			if err != nil {
				return err
			}
			if conn.JSON() {
				err = cli.PrintJSON(cmd.OutOrStdout(), e)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), cli.Safe(eventLine(e)))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func eventLine(e api.Event) string {
	node := e.Node
	if node == "" {
		node = "none"
	}
	return fmt.Sprintf("%s %s %s (term %d)", e.Time.Local().Format("15:04:05.000"), e.Type, node, e.Term)
}

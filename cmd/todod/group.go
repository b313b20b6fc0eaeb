package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// pollEvery is how often a command looks whether what it asked for has come about.
const pollEvery = 50 * time.Millisecond

// until waits for a condition; the error says that the time is up.
func until(ctx context.Context, what string, is func() (bool, error)) error {
	for {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errors.New("interrupted")
			}
			return &cli.Error{Code: cli.Retry, Err: fmt.Errorf("%s did not come about in time: 'todod status' shows how things are", what)}
		case <-time.After(pollEvery):
		}
	}
}

// say prints one fact: as a sentence, or as JSON.
func say(cmd *cobra.Command, conn *cli.Connection, fact any, format string, args ...any) error {
	if conn.JSON() {
		return cli.PrintJSON(cmd.OutOrStdout(), fact)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), cli.Safe(fmt.Sprintf(format, args...)))
	return err
}

func joinCommand() *cobra.Command {
	var conn cli.Connection
	cmd := &cobra.Command{
		Use: "join ADDR", Short: "have the running, still empty node at --server join the group of the node at ADDR",
		Example: "  todod join 127.0.0.1:5454 --server 127.0.0.1:5455",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	conn.AddFlags(cmd)
	cmd.RunE = with(&conn, conn.One, func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		target, err := api.NewClient(args, api.Options{})
		if err != nil {
			return cli.UsageError("%w", err)
		}
		before, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		asked := c.JoinGroup(ctx, target.Addrs()[0])
		if e := api.AsError(asked); e != nil && (!e.Retryable() || e.Outcome != api.Unknown) {
			return asked
		}
		// The node goes on asking by itself until it is told yes or no.
		var now api.Cluster
		err = until(ctx, "the join", func() (bool, error) {
			if now, err = c.Cluster(ctx); err != nil {
				return false, nil // it answers again once it belongs to a group
			}
			if asked != nil && now.State == "member" && now.Group == before.Group {
				return false, asked // it was told no
			}
			return now.State == "member" && now.Group != before.Group, nil
		})
		if err != nil {
			return err
		}
		return say(cmd, &conn, now, "%s joined the group of %s", now.ID, args[0])
	})
	return cmd
}

func leaveCommand() *cobra.Command {
	var conn cli.Connection
	cmd := &cobra.Command{
		Use: "leave", Short: "take the node at --server out of its group for good, and stop it",
		Long: `leave takes the node at --server out of its group for good and waits until it has
stopped. Its data folder stays, and is refused for any later join.`,
		Example: "  todod leave --server 127.0.0.1:5455",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	conn.AddFlags(cmd)
	cmd.RunE = with(&conn, conn.One, func(ctx context.Context, c *api.Client, cmd *cobra.Command, _ []string) error {
		self, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		if err := c.RemoveMember(ctx, self.ID); err != nil {
			return err
		}
		err = until(ctx, "the end of "+self.ID, func() (bool, error) {
			e := api.AsError(c.Live(ctx))
			return e != nil && e.Code == string(api.CodeUnreachable) && e.Outcome == api.NotApplied, nil
		})
		if err != nil {
			return err
		}
		return say(cmd, &conn, map[string]string{"left": self.ID}, "%s left its group and stopped", self.ID)
	})
	return cmd
}

func removeCommand(env func(string) string) *cobra.Command {
	var conn cli.Connection
	cmd := &cobra.Command{
		Use: "remove ID", Short: "take a node out of the group for good, alive or not",
		Example: "  todod remove n3",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: memberIDs(&conn, env),
	}
	conn.AddFlags(cmd)
	cmd.RunE = with(&conn, conn.Client, func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if args[0] == "" {
			return cli.UsageError("the id of the node must not be empty")
		}
		if err := c.RemoveMember(ctx, args[0]); err != nil {
			return err
		}
		return say(cmd, &conn, map[string]string{"removed": args[0]}, "%s was removed from the group", args[0])
	})
	return cmd
}

func transferCommand(env func(string) string) *cobra.Command {
	var conn cli.Connection
	cmd := &cobra.Command{
		Use: "transfer [ID]", Short: "hand leadership over, to the node ID or to any",
		Example: "  todod transfer\n  todod transfer n2",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: memberIDs(&conn, env),
	}
	conn.AddFlags(cmd)
	cmd.RunE = with(&conn, conn.Client, func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		before, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		to := ""
		if len(args) > 0 {
			to = args[0]
		}
		if err := c.Transfer(ctx, to); err != nil {
			return err
		}
		now := before
		err = until(ctx, "the new leader", func() (bool, error) {
			next, err := c.Cluster(ctx)
			if err == nil {
				now = next
			}
			return err == nil && now.Leader != "" && (now.Leader == to || to == "" && now.Leader != before.Leader), nil
		})
		if err != nil {
			return err
		}
		return say(cmd, &conn, map[string]any{"leader": now.Leader, "term": now.Term}, "%s leads now, in term %d", now.Leader, now.Term)
	})
	return cmd
}

// memberIDs completes with the ids of the group's members, if a node answers soon.
func memberIDs(conn *cli.Connection, env func(string) string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const none = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 0 || (cli.Program{Root: cmd.Root(), Env: env}).FromEnv(cmd) != nil {
			return nil, none
		}
		c, err := conn.Client()
		if err != nil {
			return nil, none
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		group, err := c.Cluster(ctx)
		if err != nil {
			return nil, none
		}
		var ids []string
		for _, m := range group.Members {
			ids = append(ids, cli.Safe(m.ID))
		}
		return ids, none
	}
}

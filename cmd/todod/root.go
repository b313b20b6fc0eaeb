package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// run is the program: it returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	return cli.Program{Root: newRoot(env), In: stdin, Out: stdout, Err: stderr, Env: env}.Run(ctx, args)
}

func newRoot(env func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:   "todod",
		Short: "a to-do server that survives the loss of a machine",
		Long: `todod is a to-do server that survives the loss of a machine, and the tool of
whoever operates it.

Every flag can be given in the environment too: --http as TODOD_HTTP.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 no leader or
unreachable (try again later), 6 not allowed.`,
		Example: `  todod serve                                   # a group of one, in ./data
  todod serve --id n2 --http 127.0.0.1:5455 --raft 127.0.0.1:7455 --join 127.0.0.1:5454
  todod status --server 127.0.0.1:5454,127.0.0.1:5455
  todod demo`,
	}
	root.AddCommand(serveCommand(), statusCommand(env), membersCommand(env), eventsCommand(),
		backupCommand(env), restoreCommand(), verifyCommand(),
		joinCommand(), leaveCommand(), removeCommand(env), transferCommand(env), settingsCommand(), recoverCommand(), demoCommand(env), benchCommand(env))
	return root
}

// operation is what a command does to a running node.
type operation func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error

// with gives an operation its client and its time.
func with(conn *cli.Connection, client func() (*api.Client, error), do operation) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := conn.Bound(cmd.Context())
		defer cancel()
		return do(ctx, c, cmd, args)
	}
}

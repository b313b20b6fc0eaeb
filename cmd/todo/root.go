package main

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// run is the program: it returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	return cli.Program{Root: newRoot(env), In: stdin, Out: stdout, Err: stderr, Env: env}.Run(ctx, args)
}

// app is what the commands share.
type app struct {
	cli.Connection
	env func(string) string
}

func newRoot(env func(string) string) *cobra.Command {
	a := &app{env: env}
	root := &cobra.Command{
		Use:   "todo",
		Short: "keep to-do lists on a group of todod nodes",
		Long: `todo keeps to-do lists on a group of todod nodes.

Every flag can be given in the environment too: --server as TODO_SERVER.
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 no leader or
unreachable (try again later), 6 not allowed.`,
		Example: `  todo add bob Dentist --date 2018-12-19
  todo ls bob
  todo done bob 1
  TODO_SERVER=10.0.0.1:5454,10.0.0.2:5454 todo lists`,
	}
	a.AddFlags(root)
	root.AddCommand(a.addCommand(), a.lsCommand(), a.listsCommand(), a.doneCommand(), a.editCommand(), a.rmCommand())
	return root
}

// with gives a command its client and its time.
func (a *app) with(do func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := a.Bound(cmd.Context())
		defer cancel()
		return do(ctx, c, cmd, args)
	}
}

// parseIDs reads the ids of entries.
func parseIDs(args []string) ([]uint64, error) {
	var ids []uint64
	for _, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || id == 0 {
			return nil, cli.UsageError("%q is not the id of an entry: 'todo ls' shows the ids", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// listNames completes the first argument with the names of lists, if a node answers soon.
func (a *app) listNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 || (cli.Program{Root: cmd.Root(), Env: a.env}).FromEnv(cmd) != nil {
		return nil, none
	}
	c, err := a.Client()
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	page, _, err := c.Lists(ctx, prefix, 100, "", api.ReadOptions{Consistency: "stale"})
	if err != nil {
		return nil, none
	}
	var names []string
	for _, l := range page.Lists {
		names = append(names, cli.Safe(l.Name))
	}
	return names, none
}

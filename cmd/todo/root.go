package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// run is the program: it returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	config, err := loadConfig(configFile(env))
	if err != nil {
		fmt.Fprintf(stderr, "todo: %s\n", cli.Safe(err.Error()))
		return cli.Usage
	}
	env = behind(env, config)
	return cli.Program{Root: newRoot(env, config), In: stdin, Out: stdout, Err: stderr, Env: env}.Run(ctx, args)
}

// behind is an environment in which the settings of the config file stand where nothing else does.
func behind(env func(string) string, c config) func(string) string {
	settings := map[string]string{}
	for name, value := range c.values {
		settings["TODO_"+upper(name)] = value
	}
	return func(name string) string {
		if value := env(name); value != "" {
			return value
		}
		return settings[name]
	}
}

// app is what the commands share.
type app struct {
	cli.Connection
	env     func(string) string
	config  config
	list    string // where none is named
	verbose bool
	now     func() time.Time
	at      time.Time // what now is held to be; zero: what it is

	everywhere bool // what is printed is of all lists: each is named
}

func newRoot(env func(string) string, config config) *cobra.Command {
	a := &app{env: env, config: config}
	a.now = func() time.Time {
		if a.at.IsZero() {
			return time.Now()
		}
		return a.at.Local()
	}
	a.Formats = []string{"text", "json", "ndjson", "table", "csv"}
	root := &cobra.Command{
		Use:   "todo",
		Short: "keep to-do lists on a group of todod nodes",
		Long: `todo keeps to-do lists on a group of todod nodes.

Every flag can be given in the environment too: --server as TODO_SERVER. Some
are settings of a file as well, see 'todo config --help'.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 no leader or
unreachable (try again later), 6 not allowed.`,
		Example: `  todo add bob "Dentist tomorrow 9am #health p1 every 6 months"
  todo ls bob
  todo done bob 1
  TODO_SERVER=10.0.0.1:5454,10.0.0.2:5454 todo lists`,
	}
	a.AddFlags(root)
	f := root.PersistentFlags()
	f.StringVarP(&a.list, "list", "l", "", "the `LIST`, where the command line names none")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say which nodes could not answer")
	// The pictures of the README and the sessions of the tests have a day of their own. Nodes go by theirs.
	f.TextVar(&a.at, "now", time.Time{}, "what `TIME` it is held to be")
	_ = f.MarkHidden("now")
	_ = root.RegisterFlagCompletionFunc("list", func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return a.completeLists(cmd, prefix), cobra.ShellCompDirectiveNoFileComp
	})
	root.AddCommand(a.addCommand(), a.lsCommand(), a.doneCommand(), a.undoneCommand(), a.editCommand(), a.rmCommand(), a.mvCommand(), a.orderCommand(),
		a.listsCommand(), a.listCommand(), a.filterCommand(), a.searchCommand(), a.statsCommand(), a.watchCommand(),
		a.trashCommand(), a.restoreCommand(), a.historyCommand(), a.undoCommand(), a.exportCommand(), a.importCommand(), a.uiCommand(), a.configCommand())
	return root
}

// command is what a command does with a client.
type command func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error

// with gives a command its client and its time.
func (a *app) with(do command) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.verbose {
			a.Moved = a.moved(cmd)
		}
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

// writes is with for a command that changes something: where nobody could answer, it says that nothing came of it. There is
// no queue that would send it later: what was done is on the disks of a majority, and what was not is told.
func (a *app) writes(do command) func(*cobra.Command, []string) error {
	return a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		return nothingStored(do(ctx, c, cmd, args))
	})
}

func nothingStored(err error) error {
	e := api.AsError(err)
	switch {
	case e == nil:
	case errors.Is(err, api.CodeMoved) && e.Current != nil:
		return fmt.Errorf("%w: it is entry %d of the list %s", err, e.Current.ID, e.Current.List)
	case e.Retryable() && e.Outcome == api.NotApplied:
		return fmt.Errorf("%w: nothing was stored", err)
	}
	return err
}

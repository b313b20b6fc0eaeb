package main

import (
	"errors"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/ui"
	"todod/httpapi/api"
)

func (a *app) uiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ui [LIST]", Short: "see and change lists in the whole terminal, live",
		Long: `Shows lists on the left and the entries of one on the right, and what others change as they
change it. ? shows the keys.`,
		Example: "  todo ui\n  todo ui bob",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cli.Terminal(cmd.InOrStdin()) || !cli.Terminal(cmd.OutOrStdout()) {
			return cli.UsageError("todo ui needs a terminal: in scripts use 'todo ls' and 'todo watch'")
		}
		dial := func(moved func(string, error)) (*api.Client, error) {
			a.Moved = moved
			return a.Client()
		}
		cfg := ui.Config{Dial: dial, List: a.listOf(cmd, args), Now: a.now, TZ: zone(a.now()), Color: a.env("NO_COLOR") == ""}
		if err := ui.Run(cmd.Context(), cfg); err != nil && !errors.Is(err, cmd.Context().Err()) {
			return err
		}
		return nil
	}
	return cmd
}

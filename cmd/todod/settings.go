package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

// setting is one thing that a group decides for itself, under its name in the API.
type setting struct {
	name, what string
	most       uint64
	in         func(s *api.Settings) *uint64
}

var groupSettings = []setting{
	{"trash_days", "how many days a deleted entry stays in the trash of its list", todo.MaxTrashDays, func(s *api.Settings) *uint64 { return &s.TrashDays }},
	{"events_mib", "how many MiB of changes are kept for those who follow", todo.MaxEventsMiB, func(s *api.Settings) *uint64 { return &s.EventsMiB }},
}

func settingsCommand() *cobra.Command {
	var conn cli.Connection
	var names []string
	long := "settings prints what the group decides for itself, or changes one of its settings, for all nodes and at once.\n"
	for _, s := range groupSettings {
		names = append(names, s.name)
		long += fmt.Sprintf("\n  %-11s %s, 1 to %s", s.name, s.what, strconv.FormatUint(s.most, 10))
	}
	cmd := &cobra.Command{
		Use: "settings [NAME [VALUE]]", Short: "print or change what the group decides for itself: how long trash and changes are kept", Long: long,
		Example: "  todod settings\n  todod settings trash_days 90",
		Args:    cobra.MaximumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	conn.AddFlags(cmd)
	run := with(&conn, conn.Client, func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		return runSettings(ctx, c, cmd, &conn, args)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && !slices.Contains(names, args[0]) {
			return cli.UsageError("%q is no setting; there are %s", args[0], strings.Join(names, " and "))
		}
		return run(cmd, args)
	}
	return cmd
}

// runSettings changes the setting that is given with a value, and prints it, or all.
func runSettings(ctx context.Context, c *api.Client, cmd *cobra.Command, conn *cli.Connection, args []string) error {
	shown := slices.DeleteFunc(slices.Clone(groupSettings), func(s setting) bool { return len(args) > 0 && s.name != args[0] })
	var now api.Settings
	var err error
	if len(args) == 2 {
		value, wrong := strconv.ParseUint(args[1], 10, 64)
		if wrong != nil || value < 1 || value > shown[0].most {
			return cli.UsageError("%s must be a whole number from 1 to %d, not %q", args[0], shown[0].most, args[1])
		}
		*shown[0].in(&now) = value
		now, err = c.SetSettings(ctx, now)
	} else {
		now, err = c.Settings(ctx)
	}
	if err != nil {
		return err
	}
	if conn.JSON() {
		return cli.PrintJSON(cmd.OutOrStdout(), now)
	}
	for _, s := range shown {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-11s %d\n", s.name, *s.in(&now)); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/httpapi/api"
)

func (a *app) statsCommand() *cobra.Command {
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "stats [LIST]", Short: "count the entries of a list, or of all: open, overdue, done, by priority and tag",
		Example: "  todo stats\n  todo stats bob -o json",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list := ""
		if cli.Given(cmd.Flag("list")) {
			list = a.list
		}
		if len(args) == 1 {
			list = args[0]
		}
		ch := choice{q: api.EntriesQuery{Fields: []string{"id", "list", "done", "date", "time", "tz", "priority", "tags", "completed"}}}
		var of []api.Entry
		if list == "" {
			found, err := everywhere(ctx, c, ch, opt)
			if err != nil {
				return err
			}
			of = found.Entries
		} else {
			found, err := entries(ctx, c, list, ch, opt)
			if err != nil {
				return err
			}
			of = found.Entries
		}
		counts := show.Count(of, show.Options{Now: a.now()})
		rows := counts.Rows()
		return answer[[]string]{
			whole: counts, rows: rows, head: []string{"what", "entries"}, cells: func(row []string) []string { return row },
			text: func(w io.Writer) error { return cli.Table(w, rows) },
		}.print(cmd, a.Output)
	})
	return cmd
}

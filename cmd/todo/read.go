package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

func consistencyFlag(cmd *cobra.Command, level *string) {
	cmd.Flags().StringVar(level, "consistency", "", "`LEVEL`: linearizable (default), auto (stale if there is no leader) or stale")
	_ = cmd.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions([]string{"linearizable", "auto", "stale"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) lsCommand() *cobra.Command {
	var q api.EntriesQuery
	var opt api.ReadOptions
	var done bool
	var limit int
	cmd := &cobra.Command{
		Use: "ls LIST", Short: "print the entries of a list, in the order added",
		Example: `  todo ls bob
  todo ls bob --date 2018-12-19
  todo ls bob --from 2018-12-01 --done=false --output json
  todo ls bob --consistency stale     # from the node's own disk, also without a leader`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	f.StringVar(&q.Date, "date", "", "only those of this `DATE`, like 2018-12-19")
	f.StringVar(&q.From, "from", "", "only those of this `DATE` or later")
	f.StringVar(&q.To, "to", "", "only those of this `DATE` or earlier")
	f.BoolVar(&done, "done", false, "only those that are done; --done=false: that are not")
	f.IntVar(&limit, "limit", 0, "at most `N` entries; 0 for all")
	consistencyFlag(cmd, &opt.Consistency)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if limit < 0 {
			return cli.UsageError("--limit must not be negative")
		}
		if f.Changed("done") {
			q.Done = &done
		}
		found, err := entries(ctx, c, args[0], q, opt, limit)
		if err != nil {
			return err
		}
		if a.JSON() {
			return cli.PrintJSON(cmd.OutOrStdout(), found)
		}
		return a.printEntries(cmd, found.Entries)
	})
	return cmd
}

// entries reads all pages, or as many as it takes to fill limit.
func entries(ctx context.Context, c *api.Client, list string, q api.EntriesQuery, opt api.ReadOptions, limit int) (api.Entries, error) {
	all := api.Entries{List: list, Entries: []api.Entry{}}
	for {
		q.Limit = 1000
		if limit > 0 {
			q.Limit = min(q.Limit, limit-len(all.Entries))
		}
		page, _, err := c.Entries(ctx, list, q, opt)
		if err != nil {
			return all, err
		}
		if q.Cursor == "" {
			all.List, all.Rev = page.List, page.Rev
		}
		all.Entries = append(all.Entries, page.Entries...)
		if page.Next == "" || limit > 0 && len(all.Entries) >= limit {
			return all, nil
		}
		q.Cursor = page.Next
	}
}

func (a *app) printEntries(cmd *cobra.Command, found []api.Entry) error {
	if len(found) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no entries")
		return nil
	}
	rows := [][]string{{"ID", "DONE", "DATE", "TITLE"}}
	for _, e := range found {
		done, date := "-", e.Date
		if e.Done {
			done = "x"
		}
		if date == "" {
			date = "-"
		}
		rows = append(rows, []string{strconv.FormatUint(e.ID, 10), done, date, e.Title})
	}
	return cli.Table(cmd.OutOrStdout(), rows)
}

func (a *app) listsCommand() *cobra.Command {
	var prefix string
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "lists", Short: "print the lists",
		Example: "  todo lists\n  todo lists --prefix b --output json",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only lists whose names begin with this `TEXT`")
	consistencyFlag(cmd, &opt.Consistency)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, _ []string) error {
		all := api.Lists{Lists: []api.List{}}
		for l, err := range c.AllLists(ctx, prefix, opt) {
			if err != nil {
				return err
			}
			all.Lists = append(all.Lists, l)
		}
		if a.JSON() {
			return cli.PrintJSON(cmd.OutOrStdout(), all)
		}
		if len(all.Lists) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "no lists")
			return nil
		}
		rows := [][]string{{"OPEN", "ENTRIES", "LIST"}}
		for _, l := range all.Lists {
			rows = append(rows, []string{strconv.FormatUint(l.Open, 10), strconv.FormatUint(l.Entries, 10), l.Name})
		}
		return cli.Table(cmd.OutOrStdout(), rows)
	})
	return cmd
}

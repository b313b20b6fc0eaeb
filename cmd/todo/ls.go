package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/httpapi/api"
)

// views are the ways in which 'todo ls' lays entries out.
var views = []string{"date", "tree", "table"}

func consistencyFlag(cmd *cobra.Command, opt *api.ReadOptions) {
	cmd.Flags().StringVar(&opt.Consistency, "consistency", "", "`LEVEL`: linearizable (default), auto (stale if there is no leader) or stale")
	_ = cmd.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions([]string{"linearizable", "auto", "stale"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) lsCommand() *cobra.Command {
	var q api.EntriesQuery
	var opt api.ReadOptions
	var done, all bool
	var limit int
	var layout string
	cmd := &cobra.Command{
		Use: "ls [LIST]", Short: "print the entries of a list",
		Long: `Prints the entries of a list. At a terminal they stand by day: overdue, today, tomorrow, this week,
later; elsewhere as a table in the order of the list, which does not change from one version to the next.`,
		Example: `  todo ls bob
  todo ls                                # of the list of 'todo config list'
  todo ls --all                          # of all lists
  todo ls bob --view tree
  todo ls bob --date 2018-12-19
  todo ls bob --from 2018-12-01 --done=false --output json
  todo ls bob --consistency stale        # from the node's own disk, also without a leader`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	f.StringVar(&q.Date, "date", "", "only those of this `DATE`, like 2018-12-19 or today")
	f.StringVar(&q.From, "from", "", "only those of this `DATE` or later")
	f.StringVar(&q.To, "to", "", "only those of this `DATE` or earlier")
	f.BoolVar(&done, "done", false, "only those that are done; --done=false: that are not")
	f.BoolVarP(&all, "all", "a", false, "of all lists")
	f.IntVar(&limit, "limit", 0, "at most `N` entries; 0 for all")
	f.StringVar(&layout, "view", "", "`VIEW`: date, tree or table")
	_ = cmd.RegisterFlagCompletionFunc("view", cobra.FixedCompletions(views, cobra.ShellCompDirectiveNoFileComp))
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if err := oneOf(views...)(def(layout, "date")); err != nil {
			return cli.UsageError("--view %w", err)
		}
		if limit < 0 {
			return cli.UsageError("--limit must not be negative")
		}
		if f.Changed("done") {
			q.Done = &done
		}
		for _, day := range []*string{&q.Date, &q.From, &q.To} {
			*day = a.day(*day)
		}
		found, err := a.find(ctx, c, args, all, q, opt, limit)
		if err != nil {
			return err
		}
		return a.printEntries(cmd, found, found.Entries, func(w io.Writer) error { return a.layOut(cmd, layout, found.Entries) })
	})
	return cmd
}

// find reads the entries of the list that is named, of the default one, or of all.
func (a *app) find(ctx context.Context, c *api.Client, args []string, all bool, q api.EntriesQuery, opt api.ReadOptions, limit int) (api.Entries, error) {
	switch {
	case all && len(args) > 0:
		return api.Entries{}, cli.UsageError("--all is all lists: name none")
	case all:
		return everywhere(ctx, c, q, opt, limit)
	case len(args) == 1:
		return entries(ctx, c, args[0], q, opt, limit)
	case a.list == "":
		return api.Entries{}, cli.UsageError(noList + "; --all is all lists")
	}
	return entries(ctx, c, a.list, q, opt, limit)
}

// layOut shows entries as a person wants them.
func (a *app) layOut(cmd *cobra.Command, layout string, entries []api.Entry) error {
	if len(entries) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no entries")
		return nil
	}
	if layout == "" && cli.Terminal(cmd.OutOrStdout()) {
		layout = "date"
	}
	opt := a.layout(cmd, entries)
	return a.page(cmd, func(w io.Writer) error {
		switch layout {
		case "date":
			return show.Days(w, entries, opt)
		case "tree":
			return show.Tree(w, entries, opt)
		}
		return show.Table(w, entries, opt)
	})
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

// everywhere reads the entries of all lists, one list after the other.
func everywhere(ctx context.Context, c *api.Client, q api.EntriesQuery, opt api.ReadOptions, limit int) (api.Entries, error) {
	all := api.Entries{Entries: []api.Entry{}}
	for l, err := range c.AllLists(ctx, "", opt) {
		if err != nil {
			return all, err
		}
		left := 0
		if limit > 0 {
			if left = limit - len(all.Entries); left == 0 {
				return all, nil
			}
		}
		of, err := entries(ctx, c, l.Name, q, opt, left)
		if err != nil {
			return all, err
		}
		all.Entries = append(all.Entries, of.Entries...)
		all.Rev = max(all.Rev, of.Rev)
	}
	return all, nil
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
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, _ []string) error {
		all := api.Lists{Lists: []api.List{}}
		for l, err := range c.AllLists(ctx, prefix, opt) {
			if err != nil {
				return err
			}
			all.Lists = append(all.Lists, l)
		}
		show := answer[api.List]{whole: all, rows: all.Lists, head: []string{"open", "entries", "list"}, cells: func(l api.List) []string {
			return []string{strconv.FormatUint(l.Open, 10), strconv.FormatUint(l.Entries, 10), l.Name}
		}}
		show.text = func(w io.Writer) error {
			if len(all.Lists) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no lists")
				return nil
			}
			return a.page(cmd, func(w io.Writer) error { return show.columns(w) })
		}
		return show.print(cmd, a.Output)
	})
	return cmd
}

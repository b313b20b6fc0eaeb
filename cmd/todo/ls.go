package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/httpapi/api"
)

// views are the ways in which 'todo ls' lays entries out.
var views = []string{"date", "tree", "table"}

// levels are those of consistency.
var levels = []string{"linearizable", "auto", "stale"}

func consistencyFlag(cmd *cobra.Command, opt *api.ReadOptions) {
	cmd.Flags().StringVar(&opt.Consistency, "consistency", "", "`LEVEL`: linearizable (default), auto (stale if there is no leader) or stale")
	_ = cmd.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) lsCommand() *cobra.Command {
	var ch choice
	var opt api.ReadOptions
	var all bool
	var layout string
	cmd := &cobra.Command{
		Use: "ls [LIST]", Short: "print the entries of a list",
		Long: `Prints the entries of a list. At a terminal they stand by day: overdue, today, tomorrow, this week,
later; elsewhere as a table in the order of the list, which does not change from one version to the next.`,
		Example: `  todo ls bob
  todo ls                                # of the list of 'todo config list'
  todo ls --all --overdue                # of all lists
  todo ls bob --view tree
  todo ls bob --date 2018-12-19
  todo ls bob --tag home --sort -priority,due
  todo ls bob --from today --done=false --output json
  todo ls bob --consistency stale        # from the node's own disk, also without a leader`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	a.choiceFlags(cmd, &ch)
	f.StringVarP(&ch.q.Filter, "filter", "f", "", "only those that `FILTER` chooses, see 'todo filter --help'")
	f.BoolVarP(&all, "all", "a", false, "of all lists")
	viewFlag(cmd, &layout)
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if err := a.choose(cmd, &ch); err != nil {
			return err
		}
		if err := oneOf(views...)(def(layout, "date")); err != nil {
			return cli.UsageError("--view %w", err)
		}
		list, err := a.oneList(args, all)
		if err != nil {
			return err
		}
		return a.show(ctx, c, cmd, list, ch, opt, layout)
	})
	return cmd
}

func viewFlag(cmd *cobra.Command, layout *string) {
	cmd.Flags().StringVar(layout, "view", "", "`VIEW`: date, tree or table")
	_ = cmd.RegisterFlagCompletionFunc("view", cobra.FixedCompletions(views, cobra.ShellCompDirectiveNoFileComp))
}

// oneList is the list that is named or the default one, "" for all.
func (a *app) oneList(args []string, all bool) (string, error) {
	switch {
	case all && len(args) > 0:
		return "", cli.UsageError("--all is all lists: name none")
	case all:
		return "", nil
	case len(args) == 1 && args[0] == "":
		return "", cli.UsageError("list must not be empty")
	case len(args) == 1:
		return args[0], nil
	case a.list == "":
		return "", cli.UsageError(noList + "; --all is all lists")
	}
	return a.list, nil
}

// show reads entries of a list, or of all if that is "", and prints them.
func (a *app) show(ctx context.Context, c *api.Client, cmd *cobra.Command, list string, ch choice, opt api.ReadOptions, layout string) error {
	if layout == "" && cli.Terminal(cmd.OutOrStdout()) {
		layout = "date"
	}
	if (a.Output == "text" || a.Output == "table") && layout != "date" && ch.q.Sort == nil && list != "" {
		known, _, err := c.List(ctx, list, opt)
		if err != nil && !errors.Is(err, api.CodeNotFound) {
			return err
		}
		ch.q.Sort = []string{def(known.Sort, "order")}
	}
	if a.everywhere = list == ""; a.everywhere {
		found, err := everywhere(ctx, c, ch, opt)
		if err != nil {
			return err
		}
		return a.printEntries(cmd, found, found.Entries, func(io.Writer) error { return a.layOut(cmd, layout, found.Entries) })
	}
	found, err := entries(ctx, c, list, ch, opt)
	if err != nil {
		return err
	}
	return a.printEntries(cmd, found, found.Entries, func(io.Writer) error {
		if found.Rev == 0 && len(found.Entries) == 0 { // no entries of no list: a slip of the pen, or its old name
			if _, _, err := c.List(ctx, list, opt); errors.Is(err, api.CodeNotFound) {
				fmt.Fprintln(cmd.ErrOrStderr(), "no entries: "+cli.Safe(api.AsError(err).Error()))
				return nil
			}
		}
		return a.layOut(cmd, layout, found.Entries)
	})
}

// layOut shows entries as a person wants them.
func (a *app) layOut(cmd *cobra.Command, layout string, entries []api.Entry) error {
	if len(entries) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no entries")
		return nil
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

// entries reads all pages, or as many as it takes.
func entries(ctx context.Context, c *api.Client, list string, ch choice, opt api.ReadOptions) (api.Entries, error) {
	all := api.Entries{List: list, Entries: []api.Entry{}}
	for q := ch.q; ; {
		q.Limit = ch.next(len(all.Entries))
		page, _, err := c.Entries(ctx, list, q, opt)
		if err != nil {
			return all, err
		}
		if q.Cursor == "" {
			all.List, all.Rev = page.List, page.Rev
		}
		all.Entries = append(all.Entries, page.Entries...)
		if page.Next == "" || ch.next(len(all.Entries)) == 0 {
			return all, nil
		}
		q.Cursor = page.Next
	}
}

// everywhere is entries of all lists.
func everywhere(ctx context.Context, c *api.Client, ch choice, opt api.ReadOptions) (api.FoundEntries, error) {
	all := api.FoundEntries{Entries: []api.Entry{}}
	for q := ch.q; ; {
		q.Limit = ch.next(len(all.Entries))
		page, _, err := c.FindEntries(ctx, "", q, opt)
		if err != nil {
			return all, err
		}
		if q.Cursor == "" {
			all.Rev = page.Rev
		}
		all.Entries = append(all.Entries, page.Entries...)
		if page.Next == "" || ch.next(len(all.Entries)) == 0 {
			return all, nil
		}
		q.Cursor = page.Next
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

var listHead = []string{"open", "entries", "list", "title", "colour", "archived", "sort"}

func listCells(l api.List) []string {
	return []string{strconv.FormatUint(l.Open, 10), strconv.FormatUint(l.Entries, 10), l.Name, l.Title, l.Colour, strconv.FormatBool(l.Archived), l.Sort}
}

// listTable has the columns that people look at; what few lists have stands behind the name.
func listTable(w io.Writer, lists []api.List) error {
	rows := [][]string{{"OPEN", "ENTRIES", "LIST"}}
	for _, l := range lists {
		name := l.Name
		if l.Title != "" {
			name += " (" + l.Title + ")"
		}
		if l.Archived {
			name += " archived"
		}
		rows = append(rows, []string{strconv.FormatUint(l.Open, 10), strconv.FormatUint(l.Entries, 10), name})
	}
	return cli.Table(w, rows)
}

func (a *app) printLists(cmd *cobra.Command, whole any, lists []api.List) error {
	table := func(w io.Writer) error { return listTable(w, lists) }
	return answer[api.List]{
		whole: whole, rows: lists, head: listHead, cells: listCells, table: table,
		text: func(io.Writer) error {
			if len(lists) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no lists")
				return nil
			}
			return a.page(cmd, table)
		},
	}.print(cmd, a.Output)
}

func (a *app) listsCommand() *cobra.Command {
	var prefix string
	var archived bool
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "lists", Short: "print the lists",
		Example: "  todo lists\n  todo lists --archived\n  todo lists --prefix b --output json",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only lists whose names begin with this `TEXT`")
	cmd.Flags().BoolVar(&archived, "archived", false, "those that are archived too")
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, _ []string) error {
		all := api.Lists{Lists: []api.List{}}
		for l, err := range c.AllLists(ctx, prefix, opt) {
			if err != nil {
				return err
			}
			if archived || !l.Archived {
				all.Lists = append(all.Lists, l)
			}
		}
		return a.printLists(cmd, all, all.Lists)
	})
	return cmd
}

func (a *app) listCommand() *cobra.Command {
	var p api.ListPatch
	var title, colour, sort, name string
	var archive bool
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "list [LIST]", Short: "print a list without its entries, or change it",
		Long: `Prints what is known of a list beside its entries, or changes it: a title that is shown for its name, a
colour, the order in which it is printed, another name. A list that is archived is kept, and out of the way.
'todo rm LIST --all' takes a list away for good.`,
		Example: `  todo list bob
  todo list bob --title "Bob's things" --colour '#ff8800' --sort due
  todo list bob --archive              # --archive=false brings it back
  todo list bob --rename robert`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "`TITLE` to show; '' takes it away")
	f.StringVar(&colour, "colour", "", "`COLOUR` like #ff8800; '' takes it away")
	f.StringVar(&sort, "sort", "", "`FIELD[,FIELD...]` to sort it by if nobody says otherwise; '' is its own order")
	f.BoolVar(&archive, "archive", false, "keep it out of the way")
	f.StringVar(&name, "rename", "", "another `NAME`, which no list ever had; ids and history stay")
	keyFlag(cmd, &opt)
	ifMatchFlag(cmd, &opt)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, err := a.oneList(args, false)
		if err != nil {
			return err
		}
		for flag, value := range map[string]struct {
			to   **string
			from *string
		}{"title": {&p.Title, &title}, "colour": {&p.Colour, &colour}, "sort": {&p.Sort, &sort}, "rename": {&p.Name, &name}} {
			if f.Changed(flag) {
				*value.to = value.from
			}
		}
		if f.Changed("archive") {
			p.Archived = &archive
		}
		if p == (api.ListPatch{}) {
			l, _, err := c.List(ctx, list, api.ReadOptions{})
			if err != nil {
				return stored(err)
			}
			return a.printLists(cmd, l, []api.List{l})
		}
		l, meta, err := c.PatchList(ctx, list, p, opt)
		if err != nil {
			return err
		}
		switch {
		case meta.Rev == 0:
		case p.Name != nil:
			a.forget(cmd, l.Name, "the list "+list+" got another name")
		default:
			a.remember(cmd, l.Name, meta.Rev, "list "+l.Name)
		}
		return a.printLists(cmd, l, []api.List{l})
	})
	return cmd
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// keyFlag lets a script call a command again and have it done once.
func keyFlag(cmd *cobra.Command, opt *api.WriteOptions) {
	cmd.Flags().StringVar(&opt.Key, "key", "", "idempotency `KEY` of 16-128 visible characters: the same command with the same key is done once")
}

func ifMatchFlag(cmd *cobra.Command, opt *api.WriteOptions) {
	cmd.Flags().StringVar(&opt.IfMatch, "if-match", "", "only if the entry still has this `ETAG`")
}

// printEntry says what became of an entry.
func (a *app) printEntry(w io.Writer, what string, e api.Entry) error {
	if a.JSON() {
		return cli.PrintJSON(w, e)
	}
	date := ""
	if e.Date != "" {
		date = " (" + e.Date + ")"
	}
	_, err := fmt.Fprintf(w, "%s %s %d: %s%s\n", what, cli.Safe(e.List), e.ID, cli.Safe(e.Title), cli.Safe(date))
	return err
}

func (a *app) addCommand() *cobra.Command {
	var e api.NewEntry
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "add LIST TITLE...", Short: "add an entry; a list begins with its first one",
		Example: `  todo add bob Dentist --date 2018-12-19
  todo add bob call the bank
  todo add bob -- --a title with dashes`,
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.listNames,
	}
	cmd.Flags().StringVar(&e.Date, "date", "", "`DATE` like 2018-12-19")
	keyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		e.Title = strings.Join(args[1:], " ")
		added, _, err := c.AddEntry(ctx, args[0], e, opt)
		if err != nil {
			return err
		}
		return a.printEntry(cmd.OutOrStdout(), "added", added)
	})
	return cmd
}

func (a *app) doneCommand() *cobra.Command {
	var undo bool
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "done LIST ID...", Short: "mark entries as done; several: all or none",
		Example: "  todo done bob 1\n  todo done bob 2 3 5\n  todo done bob 1 --undo",
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: a.listNames,
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "mark as not done")
	keyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args[1:])
		if err != nil {
			return err
		}
		done, what := !undo, "done"
		if undo {
			what = "not done"
		}
		if len(ids) == 1 {
			e, _, err := c.PatchEntry(ctx, args[0], ids[0], api.EntryPatch{Done: &done}, opt)
			if err != nil {
				return err
			}
			return a.printEntry(cmd.OutOrStdout(), what, e)
		}
		return a.batch(ctx, c, cmd.OutOrStdout(), what, args[0], ids, api.Command{Op: "patch", EntryPatch: api.EntryPatch{Done: &done}}, opt)
	})
	return cmd
}

// batch does the same to several entries, to all or to none.
func (a *app) batch(ctx context.Context, c *api.Client, w io.Writer, what, list string, ids []uint64, one api.Command, opt api.WriteOptions) error {
	var b api.Batch
	for _, id := range ids {
		one.List, one.ID = list, id
		b.Commands = append(b.Commands, one)
	}
	res, _, err := c.Batch(ctx, b, opt)
	if err != nil {
		return err
	}
	if a.JSON() {
		return cli.PrintJSON(w, res)
	}
	for _, id := range ids {
		if _, err := fmt.Fprintf(w, "%s %s %d\n", what, cli.Safe(list), id); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) editCommand() *cobra.Command {
	var title, date string
	var noDate, done bool
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "edit LIST ID", Short: "change an entry; what is not named stays as it is",
		Example: "  todo edit bob 1 --title 'Dentist, bring the x-rays'\n  todo edit bob 1 --date 2018-12-20\n  todo edit bob 1 --no-date --done=false",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "new `TITLE`")
	f.StringVar(&date, "date", "", "new `DATE` like 2018-12-19")
	f.BoolVar(&noDate, "no-date", false, "take the date away")
	f.BoolVar(&done, "done", false, "mark as done; --done=false: as not done")
	keyFlag(cmd, &opt)
	ifMatchFlag(cmd, &opt)
	cmd.MarkFlagsMutuallyExclusive("date", "no-date")
	cmd.MarkFlagsOneRequired("title", "date", "no-date", "done")
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args[1:])
		if err != nil {
			return err
		}
		var p api.EntryPatch
		if f.Changed("title") {
			p.Title = &title
		}
		if f.Changed("done") {
			p.Done = &done
		}
		switch {
		case noDate:
			p.Date = new(string)
		case f.Changed("date") && date == "":
			return cli.UsageError("--date must be a date like 2018-12-19; --no-date takes it away")
		case f.Changed("date"):
			p.Date = &date
		}
		e, _, err := c.PatchEntry(ctx, args[0], ids[0], p, opt)
		if err != nil {
			return err
		}
		return a.printEntry(cmd.OutOrStdout(), "changed", e)
	})
	return cmd
}

func (a *app) rmCommand() *cobra.Command {
	var all bool
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "rm LIST ID... | rm LIST --all", Short: "take entries away; several: all or none",
		Example: "  todo rm bob 1\n  todo rm bob 2 3\n  todo rm bob --all     # the list itself",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.listNames,
	}
	cmd.Flags().BoolVar(&all, "all", false, "take the whole list away")
	keyFlag(cmd, &opt)
	ifMatchFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args[1:])
		switch {
		case err != nil:
			return err
		case all == (len(ids) > 0):
			return cli.UsageError("give the ids of entries, or --all for the whole list")
		case len(ids) > 1 && opt.IfMatch != "":
			return cli.UsageError("--if-match goes with one entry")
		case len(ids) > 1:
			return a.batch(ctx, c, cmd.OutOrStdout(), "removed", args[0], ids, api.Command{Op: "delete"}, opt)
		}
		return a.remove(ctx, c, cmd.OutOrStdout(), args[0], ids, opt)
	})
	return cmd
}

// remove takes one entry away, or with no ids the list.
func (a *app) remove(ctx context.Context, c *api.Client, w io.Writer, list string, ids []uint64, opt api.WriteOptions) (err error) {
	gone := struct {
		List string `json:"list"`
		ID   uint64 `json:"id,omitempty"`
	}{List: list}
	text := "removed the list " + cli.Safe(list)
	if len(ids) == 1 {
		gone.ID = ids[0]
		text = fmt.Sprintf("removed %s %d", cli.Safe(list), gone.ID)
		_, err = c.DeleteEntry(ctx, list, gone.ID, opt)
	} else {
		_, err = c.DeleteList(ctx, list, opt)
	}
	if err != nil {
		return err
	}
	if a.JSON() {
		return cli.PrintJSON(w, gone)
	}
	_, err = fmt.Fprintln(w, text)
	return err
}

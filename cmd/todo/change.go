package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

func (a *app) doneCommand() *cobra.Command {
	return a.doneOrNot(true, &cobra.Command{
		Use: "done [LIST] ID...", Short: "mark entries as done; several: all or none",
		Long:    "Marks entries as done. One that repeats is set to its next date instead, and stays open.",
		Example: "  todo done bob 1\n  todo done bob 1 3-5\n  todo done 2\n  todo done bob --filter '#shop & today'",
	})
}

func (a *app) undoneCommand() *cobra.Command {
	return a.doneOrNot(false, &cobra.Command{
		Use: "undone [LIST] ID...", Short: "mark entries as not done; several: all or none",
		Example: "  todo undone bob 1\n  todo undone bob 1 3-5",
	})
}

func (a *app) doneOrNot(done bool, cmd *cobra.Command) *cobra.Command {
	var opt api.WriteOptions
	var many bulk
	cmd.Args, cmd.ValidArgsFunction = cobra.ArbitraryArgs, a.listAndIDNames
	keyFlag(cmd, &opt)
	many.flags(cmd)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		what := "not done"
		if done {
			what, opt.TZ = "done", zone(a.now()) // the next date may be counted from today
		}
		if is, err := many.asked(); is || err != nil {
			if err != nil {
				return err
			}
			_, err := a.bulk(ctx, c, cmd, args, many, api.Bulk{Op: "patch", EntryPatch: api.EntryPatch{Done: &done}}, what, opt)
			return err
		}
		list, ids, err := a.listAndIDs(cmd, args)
		if err == nil && len(ids) == 0 {
			err = cli.UsageError("give the ids of entries, or --filter")
		}
		if err != nil {
			return err
		}
		if len(ids) == 1 {
			e, meta, err := c.PatchEntry(ctx, list, ids[0], api.EntryPatch{Done: &done}, opt)
			if err != nil {
				return err
			}
			a.remember(cmd, list, meta.Rev, what+" "+e.Title)
			if done && !e.Done { // it repeats
				what = anew
			}
			return a.printEntry(cmd, what, e)
		}
		res, meta, err := a.batch(ctx, c, list, ids, api.Command{Op: "patch", EntryPatch: api.EntryPatch{Done: &done}}, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, what+" "+ranges(ids))
		return a.printBatch(cmd, what, res)
	})
	return cmd
}

// batch does the same to several entries, to all or to none.
func (a *app) batch(ctx context.Context, c *api.Client, list string, ids []uint64, one api.Command, opt api.WriteOptions) (api.BatchResult, api.Meta, error) {
	var b api.Batch
	for _, id := range ids {
		one.List, one.ID = list, id
		b.Commands = append(b.Commands, one)
	}
	return c.Batch(ctx, b, opt)
}

// gone is what is told of something that is no longer there.
type gone struct {
	List string `json:"list"`
	ID   uint64 `json:"id,omitempty"`
}

func (a *app) printGone(cmd *cobra.Command, text string, g ...gone) error {
	var whole any = g
	if len(g) == 1 {
		whole = g[0]
	}
	return answer[gone]{
		whole: whole, rows: g, head: []string{"list", "id"}, cells: func(g gone) []string { return []string{g.List, id(g.ID)} },
		text: func(w io.Writer) error { _, err := fmt.Fprintln(w, text); return err },
	}.print(cmd, a.Output)
}

func (a *app) rmCommand() *cobra.Command {
	var all, purge bool
	var opt api.WriteOptions
	var many bulk
	cmd := &cobra.Command{
		Use: "rm [LIST] ID... | rm LIST --all", Short: "put entries into the trash; several: all or none",
		Long:    "Puts entries into the trash, with all below them, and asks nothing: 'todo undo' or 'todo restore' brings them back.\nAt a terminal --filter says how many it chose and asks first; so does what cannot be undone, --purge and --all.",
		Example: "  todo rm bob 1\n  todo rm bob 2 4-6\n  todo rm bob --filter done\n  todo rm bob 1 --purge  # for good, also out of the trash\n  todo rm bob --all      # the list itself, with all its entries",
		Args:    cobra.ArbitraryArgs, ValidArgsFunction: a.listAndIDNames,
	}
	cmd.Flags().BoolVar(&all, "all", false, "take the whole list away")
	cmd.Flags().BoolVar(&purge, "purge", false, "for good, not into the trash; also what is in the trash")
	keyFlag(cmd, &opt)
	ifMatchFlag(cmd, &opt)
	many.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("all", "purge", "filter")
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if all {
			return a.removeList(ctx, c, cmd, args, many.yes, opt)
		}
		if is, err := many.asked(); is || err != nil {
			if err != nil {
				return err
			}
			_, err := a.bulk(ctx, c, cmd, args, many, api.Bulk{Op: "delete"}, "removed", opt)
			return err
		}
		list, ids, err := a.listAndIDs(cmd, args)
		switch {
		case err != nil:
			return err
		case len(ids) == 0:
			return cli.UsageError("give the ids of entries, or --all for the whole list")
		case len(ids) > 1 && opt.IfMatch != "":
			return cli.UsageError("--if-match goes with one entry")
		case purge:
			return a.purge(c, cmd, list, ids, many.yes, opt)
		case len(ids) > 1:
			res, meta, err := a.batch(ctx, c, list, ids, api.Command{Op: "delete"}, opt)
			if err != nil {
				return err
			}
			a.remember(cmd, list, meta.Rev, "rm "+ranges(ids))
			return a.printBatch(cmd, "removed", res)
		}
		meta, err := c.DeleteEntry(ctx, list, ids[0], opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, "rm "+ranges(ids))
		return a.printGone(cmd, fmt.Sprintf("removed %s %d", cli.Safe(list), ids[0]), gone{list, ids[0]})
	})
	return cmd
}

// purge deletes entries for good, wherever they are, and asks first.
func (a *app) purge(c *api.Client, cmd *cobra.Command, list string, ids []uint64, yes bool, opt api.WriteOptions) error {
	if err := confirm(cmd, yes, fmt.Sprintf("Delete %d of %s for good? This cannot be undone.", len(ids), cli.Safe(list))); err != nil {
		return err
	}
	ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
	defer cancel()
	for _, entry := range ids {
		_, err := c.PurgeEntry(ctx, list, entry, opt)
		if errors.Is(err, api.CodeNotFound) {
			_, err = c.PurgeTrashed(ctx, list, entry, opt)
		}
		if err != nil {
			return err
		}
		if err := a.printGone(cmd, fmt.Sprintf("purged %s %d", cli.Safe(list), entry), gone{list, entry}); err != nil {
			return err
		}
		opt.Key = "" // one key is for one request
		a.forget(cmd, list, "rm --purge "+ranges(ids))
	}
	return nil
}

// removeList takes a list away for good, which is asked about where somebody can answer.
func (a *app) removeList(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string, yes bool, opt api.WriteOptions) error {
	if cli.Given(cmd.Flag("list")) {
		args = slices.Insert(args, 0, a.list)
	}
	if len(args) != 1 { // the default list would be too easily lost
		return cli.UsageError("--all takes away a list: give its name, and no ids")
	}
	list := args[0]
	if !yes && cli.Terminal(cmd.InOrStdin()) {
		known, _, err := c.List(ctx, list, api.ReadOptions{})
		if err != nil {
			return stored(err)
		}
		question := fmt.Sprintf("Take away the list %s with its %s, %d of them open? This cannot be undone.", cli.Safe(list), cli.Count(known.Entries, "entry", "entries"), known.Open)
		if err := confirm(cmd, yes, question); err != nil {
			return err
		}
	}
	ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
	defer cancel()
	if _, err := c.DeleteList(ctx, list, opt); err != nil {
		return err
	}
	a.forget(cmd, list, "rm --all")
	return a.printGone(cmd, "removed the list "+cli.Safe(list), gone{List: list})
}

// lost reports whether a change was refused because the entry is no longer what it was.
func lost(err error) bool { return errors.Is(err, api.CodePrecondition) }

package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

func (a *app) mvCommand() *cobra.Command {
	var copies bool
	var opt api.WriteOptions
	var many bulk
	cmd := &cobra.Command{
		Use: "mv [LIST] ID... TO", Short: "move entries, with all below them, into another list; several: all or none",
		Long: `Moves entries into another list, with all that is below them. They have new ids there; who asks for the old
one is told where it went.`,
		Example: "  todo mv bob 1 3-5 alice\n  todo mv 2 alice\n  todo mv bob 1 alice --copy\n  todo mv bob alice --filter '#alice'",
		Args:    cobra.MinimumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && isIDs(args[len(args)-1]) && !(prefix != "" && isIDs(prefix)) {
				return a.completeLists(cmd, prefix), cobra.ShellCompDirectiveNoFileComp
			}
			return a.listAndIDNames(cmd, args, prefix)
		},
	}
	cmd.Flags().BoolVar(&copies, "copy", false, "leave them where they are, and make others")
	keyFlag(cmd, &opt)
	many.flags(cmd)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		to := args[len(args)-1]
		op, what, one := "move", "moved to", c.MoveEntry
		if copies {
			op, what, one = "copy", "copied to", c.CopyEntry
		}
		if is, err := many.asked(); is || err != nil {
			if err != nil {
				return err
			}
			return a.moveChosen(ctx, c, cmd, args[:len(args)-1], many, api.Bulk{Op: op, To: to}, what+" "+cli.Safe(to)+":", opt)
		}
		list, ids, err := a.listAndIDs(cmd, args[:len(args)-1])
		switch {
		case err != nil:
			return err
		case len(ids) == 0:
			return cli.UsageError("give the ids of entries and then the list they go to")
		}
		begins, err := a.begins(ctx, c, cmd, to, many.yes)
		if err != nil {
			return stored(err)
		}
		ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
		defer cancel()
		if len(ids) == 1 {
			e, meta, err := one(ctx, list, ids[0], to, opt)
			if err != nil {
				return err
			}
			a.remember(cmd, list, meta.Rev, op+" "+e.Title)
			a.began(cmd, begins, e.List)
			return a.printEntry(cmd, what, e)
		}
		res, meta, err := a.batch(ctx, c, list, ids, api.Command{Op: op, To: to}, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, op+" "+ranges(ids))
		a.began(cmd, begins, to)
		return a.printBatch(cmd, what, res)
	})
	return cmd
}

// moveChosen moves what a filter chooses, into a list that may begin so.
func (a *app) moveChosen(ctx context.Context, c *api.Client, cmd *cobra.Command, from []string, many bulk, do api.Bulk, what string, opt api.WriteOptions) error {
	begins := false
	if !many.dry {
		var err error
		if begins, err = a.begins(ctx, c, cmd, do.To, many.yes); err != nil {
			return stored(err)
		}
	}
	ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
	defer cancel()
	res, err := a.bulk(ctx, c, cmd, from, many, do, what, opt)
	if err == nil {
		a.began(cmd, begins && len(res.IDs) > 0, do.To)
	}
	return err
}

func (a *app) orderCommand() *cobra.Command {
	var p api.Place
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "order [LIST] ID...", Short: "put entries somewhere else in the order of their list; several: one after the other",
		Example: "  todo order bob 7 --first\n  todo order bob 3-5 --after 1\n  todo order bob 2 --before 7",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.listAndIDNames,
	}
	f := cmd.Flags()
	f.BoolVar(&p.First, "first", false, "at the beginning")
	f.BoolVar(&p.Last, "last", false, "at the end")
	f.Uint64Var(&p.Before, "before", 0, "before the entry `ID`")
	f.Uint64Var(&p.After, "after", 0, "after the entry `ID`")
	keyFlag(cmd, &opt)
	cmd.MarkFlagsMutuallyExclusive("first", "last", "before", "after")
	cmd.MarkFlagsOneRequired("first", "last", "before", "after")
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, ids, err := a.listAndIDs(cmd, args)
		if err != nil {
			return err
		}
		if slices.Contains(ids, p.Before+p.After) {
			return cli.UsageError("an entry has no place beside itself")
		}
		if len(ids) == 1 {
			e, meta, err := c.PlaceEntry(ctx, list, ids[0], p, opt)
			if err != nil {
				return err
			}
			a.remember(cmd, list, meta.Rev, "order "+e.Title)
			return a.printEntry(cmd, "placed", e)
		}
		var b api.Batch
		for i, id := range ids {
			place := p
			if i > 0 { // each follows the one before it
				place = api.Place{After: ids[i-1]}
			}
			b.Commands = append(b.Commands, api.Command{Op: "place", List: list, ID: id, Place: &place})
		}
		res, meta, err := c.Batch(ctx, b, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, "order "+ranges(ids))
		return a.printBatch(cmd, "placed", res)
	})
	return cmd
}

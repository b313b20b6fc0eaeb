package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"todod/httpapi/api"
)

func (a *app) trashCommand() *cobra.Command {
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "trash [LIST]", Short: "print what was removed from a list and can be restored",
		Long:    "Prints what was removed from a list. It is kept for 30 days, if the group does not say otherwise: 'todo restore' brings it back, 'todo rm --purge' takes it away for good.",
		Example: "  todo trash bob\n  todo restore bob 3\n  todo rm bob 3 --purge",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, err := a.oneList(args, false)
		if err != nil {
			return err
		}
		all := api.Trash{List: list, Trash: []api.Trashed{}}
		for t, err := range c.AllTrash(ctx, list, opt) {
			if err != nil {
				return err
			}
			all.Trash = append(all.Trash, t)
		}
		show := answer[api.Trashed]{whole: all, rows: all.Trash, head: []string{"id", "removed", "with", "title"}, cells: func(t api.Trashed) []string {
			return []string{id(t.ID), t.Deleted.In(a.now().Location()).Format("2006-01-02 15:04"), def(id(t.With), "-"), t.Title}
		}}
		show.text = func(w io.Writer) error {
			if len(all.Trash) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "the trash is empty")
				return nil
			}
			return a.page(cmd, show.columns)
		}
		return show.print(cmd, a.Output)
	})
	return cmd
}

func (a *app) restoreCommand() *cobra.Command {
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "restore [LIST] ID...", Short: "take entries back out of the trash, with their ids; several: all or none",
		Example: "  todo restore bob 3\n  todo restore bob 3-5",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.listNames,
	}
	keyFlag(cmd, &opt)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, ids, err := a.listAndIDs(cmd, args)
		if err != nil {
			return err
		}
		if len(ids) == 1 {
			e, meta, err := c.RestoreEntry(ctx, list, ids[0], opt)
			if err != nil {
				return err
			}
			a.remember(cmd, list, meta.Rev, "restore "+e.Title)
			return a.printEntry(cmd, "restored", e)
		}
		res, meta, err := a.batch(ctx, c, list, ids, api.Command{Op: "restore"}, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, "restore "+ranges(ids))
		return a.printBatch(cmd, "restored", res)
	})
	return cmd
}

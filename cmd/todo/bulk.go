package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// bulk are the flags by which a command is about all entries of a list that a filter chooses.
type bulk struct {
	filter string
	dry    bool
}

func (b *bulk) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&b.filter, "filter", "f", "", "all entries of the list that `FILTER` chooses, see 'todo filter --help'; at most 1,000")
	cmd.Flags().BoolVarP(&b.dry, "dry-run", "n", false, "with --filter: say which entries, and change nothing")
}

// asked reports whether a command is about what a filter chooses.
func (b *bulk) asked() (bool, error) {
	if b.filter == "" && b.dry {
		return false, cli.UsageError("--dry-run goes with --filter")
	}
	return b.filter != "", nil
}

// bulk does one thing to all entries that a filter chooses, as one change, and says which they were.
func (a *app) bulk(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string, b bulk, do api.Bulk, what string, opt api.WriteOptions) error {
	switch {
	case opt.IfMatch != "":
		return cli.UsageError("--if-match goes with one entry")
	case len(args) > 1:
		return cli.UsageError("--filter goes with a list and no ids")
	}
	list, err := a.oneList(args, false)
	if err != nil {
		return err
	}
	do.Filter, do.DryRun, opt.TZ = b.filter, b.dry, zone(a.now())
	res, _, err := c.Bulk(ctx, list, do, opt)
	if err != nil {
		return err
	}
	var of []gone
	for _, id := range res.IDs {
		of = append(of, gone{list, id})
	}
	if !b.dry {
		a.remember(cmd, list, res.Rev, fmt.Sprint(what, " ", b.filter))
	} else {
		what = "would be " + what
	}
	return answer[gone]{
		whole: res, rows: of, head: []string{"list", "id"}, cells: func(g gone) []string { return []string{g.List, id(g.ID)} },
		text: func(w io.Writer) error {
			if len(of) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no entries")
			}
			for _, g := range of {
				if _, err := fmt.Fprintf(w, "%s %s %d\n", what, cli.Safe(g.List), g.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}.print(cmd, a.Output)
}

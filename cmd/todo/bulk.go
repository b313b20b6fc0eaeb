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

// bulk are the flags by which a command is about all entries of a list that a filter chooses.
type bulk struct {
	filter string
	dry    bool
	yes    bool // do not ask
}

func (b *bulk) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&b.filter, "filter", "f", "", "all entries of the list that `FILTER` chooses, see 'todo filter --help'; at most 1,000")
	cmd.Flags().BoolVarP(&b.dry, "dry-run", "n", false, "with --filter: say which entries, and change nothing")
	yesFlag(cmd, &b.yes)
}

// asked reports whether a command is about what a filter chooses.
func (b *bulk) asked() (bool, error) {
	if b.filter == "" && b.dry {
		return false, cli.UsageError("--dry-run goes with --filter")
	}
	return b.filter != "", nil
}

// bulk does one thing to all entries that a filter chooses, as one change, and says which they were. A person is told first
// how many, and asked.
func (a *app) bulk(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string, b bulk, do api.Bulk, what string, opt api.WriteOptions) (api.BulkResult, error) {
	switch {
	case opt.IfMatch != "":
		return api.BulkResult{}, cli.UsageError("--if-match goes with one entry")
	case len(args) > 1:
		return api.BulkResult{}, cli.UsageError("--filter goes with a list and no ids")
	}
	list, err := a.oneList(args, false)
	if err != nil {
		return api.BulkResult{}, err
	}
	do.Filter, opt.TZ = b.filter, zone(a.now())
	do.DryRun = b.dry || asks(cmd, b.yes)
	res, meta, err := c.Bulk(ctx, list, do, opt)
	if err != nil {
		return res, err
	}
	if do.DryRun && !b.dry && len(res.IDs) > 0 {
		question := fmt.Sprintf("%s of %s would be %s: %s. Go on?", cli.Count(len(res.IDs), "entry", "entries"), cli.Safe(list), strings.TrimSuffix(what, ":"), ranges(res.IDs))
		if err := confirm(cmd, b.yes, question); err != nil {
			return res, err
		}
		ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
		defer cancel()
		do.DryRun = false
		if res, meta, err = c.Bulk(ctx, list, do, opt); err != nil {
			return res, err
		}
	}
	if !do.DryRun {
		a.remember(cmd, list, meta.Rev, fmt.Sprint(what, " ", b.filter))
	}
	if b.dry {
		what = "would be " + what
	}
	return res, a.printBulk(cmd, list, what, res)
}

// printBulk says which entries were changed, or would be.
func (a *app) printBulk(cmd *cobra.Command, list, what string, res api.BulkResult) error {
	var of []gone
	for _, id := range res.IDs {
		of = append(of, gone{list, id})
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

// maxRanges is how many ids and ranges of them a question has room for.
const maxRanges = 12

// ranges are ids as they are written on the command line: 1 3-5.
func ranges(ids []uint64) string {
	var parts []string
	for i := 0; i < len(ids); {
		last := i
		for last+1 < len(ids) && ids[last+1] == ids[last]+1 {
			last++
		}
		part := id(ids[i])
		if last > i {
			part += "-" + id(ids[last])
		}
		if i = last + 1; len(parts) == maxRanges-1 && i < len(ids) {
			return strings.Join(parts, " ") + " ... " + id(ids[len(ids)-1])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/fsm/todo"
	"todod/fsm/todo/fold"
	"todod/httpapi/api"
)

func (a *app) searchCommand() *cobra.Command {
	q := api.SearchQuery{}
	var opt api.ReadOptions
	var done bool
	cmd := &cobra.Command{
		Use: "search WORD...", Short: "print the entries that have these words in title, notes or tags, the best first",
		Long: `Looks in all lists, or in that of --list, for entries that have all the words, or words that begin so, in title,
notes or tags. Case and accents make no difference. At a terminal the words are marked, and a line of the notes
is shown where a word stands only there. 'todo filter' finds texts within words.`,
		Example: "  todo search milk\n  todo search oat mi -l shopping --done=false\n  todo search dentist --limit 1 -o json",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&done, "done", false, "only those that are done; --done=false: that are not")
	f.IntVar(&q.Limit, "limit", 100, "at most `N` entries, up to 1,000")
	_ = cmd.RegisterFlagCompletionFunc("limit", cobra.NoFileCompletions)
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if q.Limit < 1 || q.Limit > todo.MaxPage {
			return cli.UsageError("--limit must be from 1 to %d", todo.MaxPage)
		}
		q.Text = strings.Join(args, " ")
		if f.Changed("done") {
			q.Done = &done
		}
		if cli.Given(cmd.Flag("list")) {
			q.List = a.list
		}
		a.everywhere = q.List == ""
		found, _, err := c.Search(ctx, q, opt)
		if err != nil {
			return err
		}
		err = a.printEntries(cmd, found, found.Entries, func(io.Writer) error { return a.printFound(cmd, found, fold.Words(q.Text)) })
		if err == nil && found.More && !a.JSON() {
			fmt.Fprintln(cmd.ErrOrStderr(), "there are more: --limit says how many are printed")
		}
		return err
	})
	return cmd
}

// printFound shows what was found to a person, in its order.
func (a *app) printFound(cmd *cobra.Command, found api.Search, words []string) error {
	if len(found.Entries) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no entries")
		return nil
	}
	opt := a.layout(cmd, found.Entries)
	opt.Words = words
	lay := show.Table
	if cli.Terminal(cmd.OutOrStdout()) {
		lay = show.Found
	}
	return a.page(cmd, func(w io.Writer) error { return lay(w, found.Entries, opt) })
}

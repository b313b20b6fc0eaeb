package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/quick"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

// keyFlag lets a script call a command again and have it done once.
func keyFlag(cmd *cobra.Command, opt *api.WriteOptions) {
	cmd.Flags().StringVar(&opt.Key, "key", "", "idempotency `KEY` of 16-128 visible characters: the same command with the same key is done once")
	_ = cmd.RegisterFlagCompletionFunc("key", cobra.NoFileCompletions)
}

func ifMatchFlag(cmd *cobra.Command, opt *api.WriteOptions) {
	cmd.Flags().StringVar(&opt.IfMatch, "if-match", "", "only if the entry still has this `ETAG`")
	_ = cmd.RegisterFlagCompletionFunc("if-match", cobra.NoFileCompletions)
}

func (a *app) addCommand() *cobra.Command {
	var v fields
	var literal, yes bool
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "add [LIST] TITLE...", Short: "add an entry; a list begins with its first one",
		Long: `Adds an entry to a list. With one argument it is the title, and the list is the one that was
chosen with 'todo config list NAME'; of several the first is the list, unless --list names it.

What a title says of days, times, repeats, tags and priority is understood, and shown:

  tomorrow, friday, next friday, 19 Dec, 2018-12-19, in 3 days, end of month
  9am, 21:00, at 9, noon
  every day, every 2 weeks, every monday and friday, every 15th, every last day of the month,
  until 31 Jan, 10 times; "every! 3 days" counts from when it was done
  #tag  p1 (highest) to p9

It is read at the end of the title, and elsewhere only where it cannot be meant otherwise. What is
between double quotes, behind --, or all of it with --literal, is title and nothing else.`,
		Example: `  todo add bob "Dentist tomorrow 9am #health p1 every 6 months"
  todo add bob call the bank
  todo add "Milk today #shop"               # to the list of 'todo config list'
  todo add bob 'Read "USA Today" on friday'
  todo add bob -- --a title with dashes, due tomorrow or not
  todo add bob Dentist --date 2018-12-19 --notes 'Bring the x-rays'`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if tag, ok := strings.CutPrefix(prefix, "#"); ok {
				return a.completeTags(cmd, a.listOf(cmd, args), tag, "#"), cobra.ShellCompDirectiveNoFileComp
			}
			return a.listNames(cmd, args, prefix)
		},
	}
	a.fieldFlags(cmd, &v, "beside those of the title")
	f := cmd.Flags()
	f.BoolVar(&literal, "literal", false, "the title is a title and nothing else")
	f.BoolVar(&v.done, "done", false, "it is done already")
	keyFlag(cmd, &opt)
	yesFlag(cmd, &yes)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, e, err := a.newEntry(cmd, args, literal)
		if err != nil {
			return err
		}
		p, err := a.patch(cmd, &v)
		if err != nil {
			return err
		}
		e = apply(e, p)
		begins, err := a.begins(ctx, c, cmd, list, yes)
		if err != nil {
			return stored(err)
		}
		ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
		defer cancel()
		added, meta, err := c.AddEntry(ctx, list, e, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, "add "+added.Title)
		a.began(cmd, begins, added.List)
		if begins && len(args) > 2 && !cli.Given(cmd.Flag("list")) { // a title, maybe, of somebody who names no list
			fmt.Fprintln(cmd.ErrOrStderr(), "the first of several words names the list: put a title between quotes to have all of it in the title")
		}
		return a.printEntry(cmd, "added", added)
	})
	return cmd
}

// stored is the error of a read before a write: whatever it was, nothing was stored.
func stored(err error) error {
	if e := api.AsError(err); e != nil && e.Retryable() {
		e.Outcome = api.NotApplied
	}
	return err
}

// newEntry reads the list and the title, and what the title says.
func (a *app) newEntry(cmd *cobra.Command, args []string, literal bool) (list string, e api.NewEntry, err error) {
	words := len(args) // those that are read, the rest is kept as it is
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		words = dash
	}
	if literal {
		words = 0
	}
	switch {
	case cli.Given(cmd.Flag("list")), a.list != "" && (len(args) == 1 || words == 0 && !literal):
		list = a.list
	case len(args) == 1 || words == 0 && !literal:
		return "", e, cli.UsageError(noList)
	default:
		list, args, words = args[0], args[1:], max(0, words-1)
	}
	said := quick.Parse(strings.Join(args[:words], " "), a.now())
	title := said.Title
	if rest := strings.Join(args[words:], " "); rest != "" {
		title = strings.TrimLeft(title+" "+rest, " ")
	}
	e = api.NewEntry{Title: title, Date: said.Date, More: api.More{
		Time: said.Time, Priority: said.Priority, Tags: said.Tags, Repeat: said.Repeat, RepeatFrom: said.RepeatFrom,
	}}
	return list, e, nil
}

// readText reads what is given as notes, and not more than those may have.
func readText(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, todo.MaxNotes+2))
	if err != nil {
		return "", fmt.Errorf("read the notes: %w", err)
	}
	if len(text) > todo.MaxNotes+1 { // a last newline is not counted
		return "", cli.UsageError("the notes must be at most %d bytes long", todo.MaxNotes)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

// choice are the flags that choose entries, and how many.
type choice struct {
	q       api.EntriesQuery
	done    bool
	overdue bool
	parent  uint64
	limit   int
}

func (a *app) choiceFlags(cmd *cobra.Command, ch *choice) {
	f := cmd.Flags()
	f.StringVar(&ch.q.Date, "date", "", "only those of this `DATE`, like 2018-12-19 or \"next friday\"")
	f.StringVar(&ch.q.From, "from", "", "only those of this `DATE` or later")
	f.StringVar(&ch.q.To, "to", "", "only those of this `DATE` or earlier")
	f.StringVar(&ch.q.Due, "due", "", "only those due on `DAY` here, or \"<=today+7\"")
	f.BoolVar(&ch.overdue, "overdue", false, "only those that are overdue; --overdue=false: that are not")
	f.BoolVar(&ch.done, "done", false, "only those that are done; --done=false: that are not")
	f.StringVar(&ch.q.Tag, "tag", "", "only those with this `TAG`")
	f.StringVar(&ch.q.Priority, "priority", "", "only those of priority `N`, or \"<=3\"; 1 is the highest")
	f.StringSliceVar(&ch.q.Has, "has", nil, "only those that have `FIELD[,FIELD...]`: notes, date, repeat, sub ...")
	f.Uint64Var(&ch.parent, "parent", 0, "only those below the entry `ID`; 0: below none")
	f.StringSliceVar(&ch.q.Sort, "sort", nil, "by `FIELD[,FIELD...]`: due, priority, title, order, created ...; -due goes downwards")
	f.IntVar(&ch.limit, "limit", 0, "at most `N` entries; 0 for all")
	for _, name := range []string{"date", "from", "to", "due", "priority", "parent", "limit"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	a.tagNames(cmd, "tag")
	_ = cmd.RegisterFlagCompletionFunc("has", cobra.FixedCompletions(strings.Fields("date due time tag priority notes repeat remind parent sub completed uid"), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(strings.Fields("due -due priority title order created updated completed id date"), cobra.ShellCompDirectiveNoFileComp))
}

// choose makes the query of the flags.
func (a *app) choose(cmd *cobra.Command, ch *choice) error {
	if ch.limit < 0 {
		return cli.UsageError("--limit must not be negative")
	}
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	if given("done") {
		ch.q.Done = &ch.done
	}
	if given("overdue") {
		ch.q.Overdue = &ch.overdue
	}
	if given("parent") {
		ch.q.Parent = &ch.parent
	}
	ch.q.Tag = strings.TrimPrefix(ch.q.Tag, "#")
	for _, day := range []*string{&ch.q.Date, &ch.q.From, &ch.q.To} {
		*day = a.day(*day)
	}
	ch.q.TZ = zone(a.now())
	return nil
}

// next is how many entries the next page may have when there are some already; 0: no more are wanted.
func (ch *choice) next(have int) int {
	if ch.limit == 0 {
		return todo.MaxPage
	}
	return min(todo.MaxPage, ch.limit-have)
}

// zone is the name of the person's zone, so that today is theirs: the one that TZ names, or the system. A zone of no name is
// given by its offset, as far as that can be said.
func zone(now time.Time) string {
	name := now.Location().String()
	if name == "Local" {
		file, _ := os.Readlink("/etc/localtime") // where it is none there is no name
		_, name, _ = strings.Cut(file, "zoneinfo/")
	}
	if _, err := time.LoadLocation(name); err == nil && name != "" {
		return name
	}
	if _, offset := now.Zone(); offset%3600 == 0 {
		return fmt.Sprintf("Etc/GMT%+d", -offset/3600) // the signs of these are the other way round
	}
	return "UTC"
}

func (a *app) filterCommand() *cobra.Command {
	var ch choice
	var opt api.ReadOptions
	var layout string
	cmd := &cobra.Command{
		Use: "filter FILTER...", Short: "print the entries of all lists that a filter chooses",
		Long: `Prints the entries of all lists, or of that of --list, that a filter chooses. What joins terms, the strongest
first: ! (not), & or nothing (and), | (or), with parentheses. The terms:

  done  open  overdue                    overdue: open, and due before now
  due<today+7  date>=2026-11-28          also <= = != >; a day is a date, today,
  created<monday  updated  completed     tomorrow, yesterday or the next monday ...
                                         sunday, and + or - days (7) or weeks (1w)
  today  tomorrow  yesterday             due on that day
  p1 ... p9  p0  p<=3  priority>5        1 is the highest; p0 has none
  #home  #"next week"  tag:home          a tag
  has:notes  no:date                     date due time tag priority notes repeat
                                         remind parent sub completed uid
  parent:7  parent:0  id<=20             below entry 7; below none
  milk  "oat milk"                       a text in title, notes or tags
  title:milk  notes:milk                 ... or in one of them

Case and accents make no difference in texts and tags.`,
		Example: `  todo filter 'due<today+7 & #home & !done | p1'
  todo filter open no:date --sort -priority
  todo filter -l bob 'overdue | today'`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	a.choiceFlags(cmd, &ch)
	viewFlag(cmd, &layout)
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if err := a.choose(cmd, &ch); err != nil {
			return err
		}
		ch.q.Filter = strings.Join(args, " ")
		list := ""
		if cli.Given(cmd.Flag("list")) {
			list = a.list
		}
		return a.show(ctx, c, cmd, list, ch, opt, layout)
	})
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

func (a *app) editCommand() *cobra.Command {
	var v fields
	var noDate bool
	var file string
	var opt api.WriteOptions
	var many bulk
	cmd := &cobra.Command{
		Use: "edit [LIST] ID", Short: "change an entry, or all that a filter chooses; what is not named stays as it is",
		Long: `Changes an entry. Without a flag that says what, it opens the entry in VISUAL or EDITOR and sends what was
changed there, if the entry is still the same; if it is not, the text is kept and can be sent with --file.
With --filter all entries that it chooses are changed in the same way, as one change: at a terminal it says first
which they are, and asks.`,
		Example: `  todo edit bob 1
  todo edit bob 1 --title 'Dentist, bring the x-rays'
  todo edit bob 1 --date "next friday" --time 9am
  todo edit bob 1 --repeat "every 6 months" --clear tags,notes
  todo edit bob 1 --add-tag urgent --remove-tag later
  todo edit bob --filter overdue --date tomorrow --dry-run
  todo edit bob --filter '#shop & no:date' --add-tag weekend --remove-tag shop`,
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: a.listAndIDNames,
	}
	f := cmd.Flags()
	f.StringVar(&v.title, "title", "", "new `TITLE`")
	a.fieldFlags(cmd, &v, "in the place of what there is")
	f.StringSliceVar(&v.addTags, "add-tag", nil, "`TAG[,TAG...]` beside what there is")
	f.StringSliceVar(&v.removeTags, "remove-tag", nil, "`TAG[,TAG...]` to take away")
	a.tagNames(cmd, "add-tag", "remove-tag")
	f.BoolVar(&v.done, "done", false, "mark as done; --done=false: as not done")
	f.BoolVar(&noDate, "no-date", false, "take the date away, and what needs one")
	f.StringSliceVar(&v.clear, "clear", nil, "`FIELD[,FIELD...]` to take away: date, time, tags, notes ...")
	f.StringVar(&file, "file", "", "`FILE` with the entry as the editor had it")
	_ = cmd.RegisterFlagCompletionFunc("clear", cobra.FixedCompletions(clearable, cobra.ShellCompDirectiveNoFileComp))
	keyFlag(cmd, &opt)
	ifMatchFlag(cmd, &opt)
	many.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("date", "no-date")
	cmd.MarkFlagsMutuallyExclusive("file", "filter")
	cmd.MarkFlagsMutuallyExclusive("tag", "add-tag")
	cmd.MarkFlagsMutuallyExclusive("tag", "remove-tag")
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if noDate {
			v.clear = append(v.clear, "date", "time", "tz", "repeat")
		}
		p, err := a.patch(cmd, &v)
		if err != nil {
			return err
		}
		do := api.Bulk{Op: "patch", EntryPatch: p, AddTags: *tags(v.addTags), RemoveTags: *tags(v.removeTags)}
		retags := len(do.AddTags)+len(do.RemoveTags) > 0
		if is, err := many.asked(); is || err != nil {
			if err == nil && empty(p) && !retags {
				err = cli.UsageError("--filter goes with the flags that change fields")
			}
			if err == nil {
				_, err = a.bulk(ctx, c, cmd, args, many, do, "changed", opt)
			}
			return err
		}
		list, id, err := a.one(cmd, args)
		switch {
		case err != nil:
			return err
		case f.Changed("date") && v.date == "":
			return cli.UsageError("--date must be a date like 2018-12-19; --no-date takes it away")
		case retags:
			return a.retag(ctx, c, cmd, list, id, do, file, opt)
		case empty(p):
			return a.editText(ctx, c, cmd, list, id, file, opt)
		case file != "":
			return cli.UsageError("--file goes without the flags that change fields")
		}
		opt.TZ = zone(a.now())
		e, meta, err := c.PatchEntry(ctx, list, id, p, opt)
		if err != nil {
			return err
		}
		a.remember(cmd, list, meta.Rev, "edit "+e.Title)
		return a.printEntry(cmd, "changed", e)
	})
	return cmd
}

// retag changes an entry whose other tags stay as they are. The node works out which those are, so that two who do this at
// once lose nothing.
func (a *app) retag(ctx context.Context, c *api.Client, cmd *cobra.Command, list string, id uint64, do api.Bulk, file string, opt api.WriteOptions) error {
	if file != "" || opt.IfMatch != "" {
		return cli.UsageError("--add-tag and --remove-tag go without --file and --if-match")
	}
	do.Filter, opt.TZ = fmt.Sprint("id=", id), zone(a.now())
	res, meta, err := c.Bulk(ctx, list, do, opt)
	if err != nil {
		return err
	}
	e, _, err := c.Entry(ctx, list, id, api.ReadOptions{})
	switch {
	case err != nil && len(res.IDs) > 0: // no error of a read may say that nothing was stored
		return &cli.Error{Code: cli.Code(err), Err: fmt.Errorf("entry %d was changed, but cannot be shown: %v", id, err)}
	case err != nil:
		return err
	}
	a.remember(cmd, list, meta.Rev, "edit "+e.Title)
	return a.printEntry(cmd, "changed", e)
}

// editText lets the person change the entry as a text, and sends what they changed under the condition that
// nobody else did in between.
func (a *app) editText(ctx context.Context, c *api.Client, cmd *cobra.Command, list string, id uint64, file string, opt api.WriteOptions) error {
	before, meta, err := c.Entry(ctx, list, id, api.ReadOptions{})
	if err != nil {
		return stored(err)
	}
	if opt.IfMatch == "" {
		opt.IfMatch = meta.ETag
	}
	kept := file != "" // the person's own file is never taken away
	if !kept {
		if file, err = a.openEditor(cmd, before); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := a.readEntry(before, string(text))
	if err != nil {
		return cli.UsageError("%w: %s", err, again(list, id, file))
	}
	if !kept && empty(p) {
		os.Remove(file)
	}
	if empty(p) {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing was changed")
		return nil
	}
	ctx, cancel := a.Bound(cmd.Context()) // a person takes their time
	defer cancel()
	opt.TZ = zone(a.now())
	e, meta, err := c.PatchEntry(ctx, list, id, p, opt)
	switch {
	case lost(err):
		return &cli.Error{Code: cli.Conflict, Err: fmt.Errorf("entry %d was changed by somebody else meanwhile, and yours is not stored: look at it with 'todo ls', then %s", id, again(list, id, file))}
	case err != nil:
		return fmt.Errorf("%w: %s", err, again(list, id, file))
	}
	if !kept {
		os.Remove(file)
	}
	a.remember(cmd, list, meta.Rev, "edit "+e.Title)
	return a.printEntry(cmd, "changed", e)
}

// again says how to go on with a text that could not be stored.
func again(list string, id uint64, file string) string {
	return fmt.Sprintf("your text is in %s, 'todo edit %s %d --file %s' sends it", file, list, id, file)
}

// openEditor writes the entry to a file and waits until the person has changed it.
func (a *app) openEditor(cmd *cobra.Command, e api.Entry) (string, error) {
	editor := def(a.env("VISUAL"), a.env("EDITOR"))
	if editor == "" {
		editor = "vi"
	}
	f, err := os.CreateTemp("", "todo-*.txt")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(entryText(e))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if err := shell(cmd, editor, f.Name()).Run(); err != nil {
		return "", fmt.Errorf("the editor %q: %w: nothing was changed", editor, err)
	}
	return f.Name(), nil
}

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// followed is a change as it is printed for programs: with the id to go on from.
type followed struct {
	ID string `json:"id"`
	api.Change
}

func (a *app) watchCommand() *cobra.Command {
	var since string
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use: "watch [LIST]", Short: "follow the changes of a list, or of all, until Ctrl-C",
		Long: `Follows the changes of a list, or with --all of all lists, a line for each. When its node goes it moves
on to the next one: no change is left out and none comes twice. With --output json each line has the id of the change;
--since takes that id, or a rev, and begins behind it.`,
		Example: "  todo watch bob\n  todo watch --all -o json\n  todo watch bob --since 42 --limit 1      # wait for the next change after that",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "begin behind the change of this `ID` or rev; from now on by default")
	f.BoolVarP(&all, "all", "a", false, "of all lists")
	f.IntVar(&limit, "limit", 0, "end after `N` changes; 0 for never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := a.oneList(args, all)
		if err != nil {
			return err
		}
		if limit < 0 {
			return cli.UsageError("--limit must not be negative")
		}
		if a.verbose {
			a.Moved = a.moved(cmd)
		}
		c, err := a.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		seen := 0
		for change, err := range c.Watch(cmd.Context(), list, since) {
			if errors.Is(err, api.CodeGone) {
				return &cli.Error{Code: cli.Conflict, Err: errors.New("what came after that is no longer kept, or the lists were restored since: read them with 'todo ls', then watch from now on")}
			}
			if err != nil {
				return err
			}
			if err := a.printChange(cmd, change); err != nil {
				return err
			}
			if seen++; seen == limit {
				return nil
			}
		}
		return nil
	}
	return cmd
}

// printChange writes a change at once, for who reads along.
func (a *app) printChange(cmd *cobra.Command, change api.Change) error {
	w := cmd.OutOrStdout()
	if a.Output == "json" || a.Output == "ndjson" {
		return cli.PrintJSON(w, followed{change.ID, change})
	}
	paint := cli.Paint(w, a.env)
	at := change.Time.In(a.now().Location()).Format("15:04:05")
	for _, item := range change.Items {
		if _, err := fmt.Fprintf(w, "%s %s\n", paint("2", at), said(item)); err != nil {
			return err
		}
	}
	return nil
}

// said is what one command did, in a line.
func said(item api.BatchChange) string {
	what := map[string]string{
		"add": "added", "put": "changed", "patch": "changed", "delete": "removed", "delete_list": "removed the list", "move": "moved", "copy": "copied", "place": "placed",
		"restore": "restored", "purge": "removed for good", "patch_list": "changed the list",
	}[item.Op]
	if what == "" {
		what = cli.Safe(item.Op)
	}
	if item.From != nil {
		what += fmt.Sprintf(" %s %d to", cli.Safe(item.From.List), item.From.ID)
	}
	switch {
	case item.Entry != nil:
		e := *item.Entry
		done := ""
		if e.Done {
			done = " [x]"
		}
		return strings.Join([]string{what, describe(e)}, " ") + done
	case item.ID != 0:
		return fmt.Sprintf("%s %s %d", what, cli.Safe(item.List), item.ID)
	}
	return what + " " + cli.Safe(item.List)
}

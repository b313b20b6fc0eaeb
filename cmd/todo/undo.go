package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// last is the last change that this person made to a list from here: what 'todo undo' undoes.
type last struct {
	Servers string    `json:"servers"` // the addresses of the group, sorted
	List    string    `json:"list"`
	Rev     uint64    `json:"rev"` // 0: it cannot be undone
	What    string    `json:"what"`
	Undone  bool      `json:"undone,omitempty"` // Rev undid it
	At      time.Time `json:"at"`
}

// maxLast is how many lists the last changes of are remembered.
const maxLast = 200

func (a *app) stateFile() string { return xdg(a.env, "XDG_STATE_HOME", ".local/state", "last.json") }

// servers names the group by its addresses, in whichever order they were given.
func (a *app) servers() string {
	return strings.Join(slices.Sorted(slices.Values(a.Servers)), ",")
}

// lastChanges reads what is remembered, the newest first. A file that cannot be read is as good as none.
func (a *app) lastChanges() []last {
	var all []last
	content, err := os.ReadFile(a.stateFile())
	if err != nil || json.Unmarshal(content, &all) != nil {
		return nil
	}
	return all
}

// remember keeps the rev that a change made for 'todo undo'; 0 is that of one that changed nothing.
func (a *app) remember(cmd *cobra.Command, list string, rev uint64, what string) {
	if rev > 0 {
		a.keep(cmd, last{List: list, Rev: rev, What: what})
	}
}

// forget keeps that the last change to a list is one that is not undone: what was changed before it is no longer meant.
func (a *app) forget(cmd *cobra.Command, list, what string) {
	a.keep(cmd, last{List: list, What: what})
}

// keep keeps the last change to a list. That it cannot be kept is told with --verbose: the change itself was made.
func (a *app) keep(cmd *cobra.Command, now last) {
	if a.stateFile() == "" {
		return
	}
	now.Servers, now.At = a.servers(), a.now().UTC()
	if err := a.keepLocked(now); err != nil && a.verbose {
		fmt.Fprintf(cmd.ErrOrStderr(), "todo: what 'todo undo' would need was not kept: %s\n", cli.Safe(err.Error()))
	}
}

// keepLocked keeps it while nobody else does: of two at once neither is lost.
func (a *app) keepLocked(now last) error {
	if err := os.MkdirAll(filepath.Dir(a.stateFile()), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(a.stateFile()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	all := slices.DeleteFunc(a.lastChanges(), func(l last) bool { return l.Servers == now.Servers && l.List == now.List })
	all = slices.Insert(all, 0, now)
	content, err := json.Marshal(all[:min(len(all), maxLast)])
	if err != nil {
		return err
	}
	return writeFile(a.stateFile(), content)
}

func (a *app) undoCommand() *cobra.Command {
	var rev uint64
	var opt api.WriteOptions
	cmd := &cobra.Command{
		Use: "undo [LIST]", Short: "undo the last change that you made to a list, or to any",
		Long: `Undoes the last change that was made from here to a list, or with no list to any. It is refused where
an entry was changed again since by somebody else, and after what is never undone: an import, what was deleted for good,
another name of a list. Undoing twice does it again. --rev names another change: 'todo history' shows them.`,
		Example: "  todo undo\n  todo undo bob\n  todo undo --rev 42",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.listNames,
	}
	cmd.Flags().Uint64Var(&rev, "rev", 0, "undo what this `REV` did")
	keyFlag(cmd, &opt)
	cmd.RunE = a.writes(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list := ""
		if cli.Given(cmd.Flag("list")) {
			list = a.list
		}
		if len(args) == 1 {
			list = args[0]
		}
		what := last{List: list, Rev: rev}
		if rev == 0 {
			i := slices.IndexFunc(a.lastChanges(), func(l last) bool { return l.Servers == a.servers() && (list == "" || l.List == list) })
			if i < 0 {
				return &cli.Error{Code: cli.NotFound, Err: errors.New("no change that was made from here is known: name one with --rev")}
			}
			what = a.lastChanges()[i]
		}
		if what.Rev == 0 {
			return &cli.Error{Code: cli.Conflict, Err: fmt.Errorf("the last change from here cannot be undone: %s; 'todo history' shows the revs of others", what.What)}
		}
		res, meta, err := c.Undo(ctx, what.Rev, opt)
		if err != nil {
			return err
		}
		for _, r := range res.Results {
			what.List = cmp.Or(what.List, r.List)
		}
		did := "undid"
		if what.Undone = !what.Undone; !what.Undone {
			did = "did again"
		}
		if what.Rev = meta.Rev; meta.Rev > 0 {
			a.keep(cmd, what)
		}
		if what.What != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", did, cli.Safe(what.What))
		}
		return a.printBatch(cmd, "now", res)
	})
	return cmd
}

func (a *app) historyCommand() *cobra.Command {
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "history [LIST] ID", Short: "print what was changed in an entry, the newest first",
		Example: "  todo history bob 1\n  todo undo --rev 42      # one of those",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: a.listAndIDNames,
	}
	consistencyFlag(cmd, &opt)
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		list, entry, err := a.one(cmd, args)
		if err != nil {
			return err
		}
		all := api.History{List: list, ID: entry, Changes: []api.EntryChange{}}
		for change, err := range c.AllHistory(ctx, list, entry, opt) {
			if err != nil {
				return err
			}
			all.Changes = append(all.Changes, change)
		}
		show := answer[api.EntryChange]{whole: all, rows: all.Changes, head: []string{"rev", "when", "by", "what"}, cells: func(ch api.EntryChange) []string {
			return []string{id(ch.Rev), ch.Time.In(a.now().Location()).Format("2006-01-02 15:04:05"), def(ch.By, "-"), changes(ch)}
		}}
		show.text = show.columns
		return show.print(cmd, a.Output)
	})
	return cmd
}

// changes is what one command changed in an entry, field by field.
func changes(ch api.EntryChange) string {
	if ch.Op != "patch" {
		return map[string]string{"delete": "removed", "restore": "restored"}[ch.Op]
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(ch.Fields)) {
		f := ch.Fields[name]
		parts = append(parts, fmt.Sprintf("%s: %s -> %s", name, value(f.From), value(f.To)))
	}
	return strings.Join(parts, "; ")
}

// value is a JSON value for people: a text without its quotes, nothing for null.
func value(raw json.RawMessage) string {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "(none)"
	case json.Unmarshal(raw, &text) == nil:
		return text
	}
	return string(raw)
}

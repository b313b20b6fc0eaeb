package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

const noList = "no list is named: name one, or choose one for good with 'todo config list NAME'"

// listFirst takes the list from the beginning of args, unless --list names it or, where another reading is not
// possible, all of args is something else and there is a default list.
func (a *app) listFirst(cmd *cobra.Command, args []string, rest func(arg string) bool) (string, []string, error) {
	if cli.Given(cmd.Flag("list")) {
		return a.list, args, nil
	}
	all := true
	for _, arg := range args {
		all = all && rest(arg)
	}
	switch {
	case a.list != "" && all:
		return a.list, args, nil
	case len(args) == 0 || all && len(args) == 1:
		return "", nil, cli.UsageError(noList)
	}
	return args[0], args[1:], nil
}

// listAndIDs reads LIST ID..., where the list may be the default one.
func (a *app) listAndIDs(cmd *cobra.Command, args []string) (string, []uint64, error) {
	list, rest, err := a.listFirst(cmd, args, isIDs)
	if err != nil {
		return "", nil, err
	}
	ids, err := parseIDs(rest)
	return list, ids, err
}

// one is listAndIDs for one entry.
func (a *app) one(cmd *cobra.Command, args []string) (string, uint64, error) {
	list, ids, err := a.listAndIDs(cmd, args)
	if err == nil && len(ids) != 1 {
		err = cli.UsageError("give the id of one entry")
	}
	if err != nil {
		return "", 0, err
	}
	return list, ids[0], nil
}

func isIDs(arg string) bool {
	_, err := parseIDs([]string{arg})
	return err == nil
}

// parseIDs reads the ids of entries: 1, 3-5, 1,2.
func parseIDs(args []string) ([]uint64, error) {
	var ids []uint64
	seen := map[uint64]bool{}
	for _, arg := range args {
		for part := range strings.SplitSeq(arg, ",") {
			from, to, ranged := strings.Cut(part, "-")
			first, err := strconv.ParseUint(from, 10, 64)
			last := first
			if err == nil && ranged {
				last, err = strconv.ParseUint(to, 10, 64)
			}
			if err != nil || first == 0 || last < first {
				return nil, cli.UsageError("%q is not the id of an entry, nor several as in 3-5: 'todo ls' shows the ids", arg)
			}
			if last-first >= todo.MaxBatch || uint64(len(ids))+last-first >= todo.MaxBatch {
				return nil, cli.UsageError("%q is too many: at most %d entries at once", arg, todo.MaxBatch)
			}
			for n := range last - first + 1 {
				if id := first + n; !seen[id] {
					seen[id] = true
					ids = append(ids, id)
				}
			}
		}
	}
	return ids, nil
}

// completion asks the server, if it answers soon, for what could stand at a place of the command line.
func (a *app) completion(cmd *cobra.Command, ask func(ctx context.Context, c *api.Client) []string) []string {
	if (cli.Program{Root: cmd.Root(), Env: a.env}).FromEnv(cmd) != nil {
		return nil
	}
	c, err := a.Client()
	if err != nil {
		return nil
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return ask(ctx, c)
}

var anyNode = api.ReadOptions{Consistency: "stale"} // soon is worth more than fresh

func (a *app) completeLists(cmd *cobra.Command, prefix string) []string {
	return a.completion(cmd, func(ctx context.Context, c *api.Client) (names []string) {
		page, _, err := c.Lists(ctx, prefix, 100, "", anyNode)
		if err != nil {
			return nil
		}
		for _, l := range page.Lists {
			names = append(names, cli.Safe(l.Name))
		}
		return names
	})
}

// completeIDs completes ids, with the titles beside them.
func (a *app) completeIDs(cmd *cobra.Command, list, prefix string) []string {
	return a.completion(cmd, func(ctx context.Context, c *api.Client) (ids []string) {
		page, _, err := c.Entries(ctx, list, api.EntriesQuery{Limit: todo.MaxPage}, anyNode)
		if err != nil {
			return nil
		}
		for _, e := range page.Entries {
			if id := strconv.FormatUint(e.ID, 10); strings.HasPrefix(id, prefix) {
				ids = append(ids, cobra.CompletionWithDesc(id, cli.Safe(e.Title)))
			}
		}
		return ids
	})
}

// completeTags completes the tags of a list.
func (a *app) completeTags(cmd *cobra.Command, list, prefix, mark string) []string {
	return a.completion(cmd, func(ctx context.Context, c *api.Client) (tags []string) {
		page, _, err := c.Entries(ctx, list, api.EntriesQuery{Limit: todo.MaxPage}, anyNode)
		if err != nil {
			return nil
		}
		seen := map[string]bool{}
		for _, e := range page.Entries {
			for _, tag := range e.Tags {
				if !seen[tag] && strings.HasPrefix(tag, prefix) {
					seen[tag] = true
					tags = append(tags, mark+cli.Safe(tag))
				}
			}
		}
		return tags
	})
}

// listNames completes the first argument with the names of lists.
func (a *app) listNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || cli.Given(cmd.Flag("list")) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeLists(cmd, prefix), cobra.ShellCompDirectiveNoFileComp
}

// listAndIDNames completes a list and then ids.
func (a *app) listAndIDNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	switch {
	case cli.Given(cmd.Flag("list")), a.env("TODO_LIST") != "" && (len(args) > 0 && isIDs(args[0]) || prefix != "" && isIDs(prefix)):
		list := a.list
		if list == "" {
			list = a.env("TODO_LIST")
		}
		return a.completeIDs(cmd, list, prefix), none
	case len(args) == 0:
		return a.completeLists(cmd, prefix), none
	}
	return a.completeIDs(cmd, args[0], prefix), none
}

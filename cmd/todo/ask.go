package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

var errNo = &cli.Error{Code: cli.Failed, Err: errors.New("nothing was changed")}

// confirm asks a person before something that is not undone, or that they may not have meant. Where there is nobody to
// ask, or with --yes, it is done.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if !asks(cmd, yes) {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // what there is at its end is the answer
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNo
}

// asks reports whether there is somebody to ask, who did not say yes already.
func asks(cmd *cobra.Command, yes bool) bool {
	return !yes && cli.Terminal(cmd.InOrStdin()) && cli.Terminal(cmd.ErrOrStderr())
}

func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}

// begins reports whether a list is about to begin, once the person agreed to it.
func (a *app) begins(ctx context.Context, c *api.Client, cmd *cobra.Command, list string, yes bool) (bool, error) {
	_, _, err := c.List(ctx, list, api.ReadOptions{})
	if !errors.Is(err, api.CodeNotFound) {
		return false, err
	}
	return true, confirm(cmd, yes, fmt.Sprintf("There is no list %s yet. Begin it?", cli.Safe(list)))
}

// began says that a list began, to people and not to programs.
func (a *app) began(cmd *cobra.Command, begins bool, list string) {
	if begins {
		fmt.Fprintf(cmd.ErrOrStderr(), "began the list %s\n", cli.Safe(list))
	}
}

// weekday is the day of a date and a space, for people who check what was understood.
func weekday(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	return day.Format("Mon ")
}

func upper(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

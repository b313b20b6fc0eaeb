// Package cli holds what todod and todo have in common: flags that come from the environment
// too, exit codes, and text that is safe on a terminal.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"todod/httpapi/api"
)

// The exit codes of both programs.
const (
	Done       = 0
	Failed     = 1
	Usage      = 2
	NotFound   = 3
	Conflict   = 4
	Retry      = 5 // no leader or unreachable: try again later
	NotAllowed = 6
)

// Error ends a program with a code. An Err of nil is one that was told already.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// UsageError is an error of the command line itself.
func UsageError(format string, args ...any) error {
	return &Error{Usage, fmt.Errorf(format, args...)}
}

// Program is one of the two programs as one call of it sees the world.
type Program struct {
	Root     *cobra.Command
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) string
}

// Run runs the command that args name and returns the exit code. The context of the command
// ends with the first SIGINT or SIGTERM; a second one ends the process.
func (p Program) Run(ctx context.Context, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	begun := false
	p.prepare(&begun)
	p.Root.SetArgs(args)
	cmd, err := p.Root.ExecuteContextC(ctx)
	if err == nil {
		return Done
	}
	code := Code(err)
	if !begun {
		code = Usage // whatever cobra refuses before a command begins is the command line's fault
	}
	if text := err.Error(); text != "" {
		text, _, _ = strings.Cut(text, "\n")
		if code == Usage {
			text += fmt.Sprintf(" (see '%s --help')", cmd.CommandPath())
		}
		fmt.Fprintf(p.Err, "%s: %s\n", p.Root.Name(), Safe(text))
	}
	return code
}

// maxHelp is how wide help is at most: longer lines are hard to read.
const maxHelp = 100

// prepare sets up the tree of commands: flags from the environment, and a note of when
// a command begins.
func (p Program) prepare(begun *bool) {
	root := p.Root
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SilenceUsage, root.SilenceErrors, root.DisableSuggestions = true, true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(versionCommand(), completionCommand(root.Name()), manCommand())
	width := maxHelp
	if columns, _, ok := Size(p.Out); ok {
		width = min(columns, maxHelp)
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprint(".FlagUsagesWrapped ", width)))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.FromEnv(cmd) }
	each(root, func(cmd *cobra.Command) {
		cmd.Long = Reflow(cmd.Long, width)
		run := cmd.RunE
		if run == nil {
			return
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*begun = true
			return run(cmd, args)
		}
	})
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		each(sub, do)
	}
}

// fromEnv marks a flag that the environment set.
const fromEnv = "from the environment"

// Given reports whether the command line itself sets a flag.
func Given(f *pflag.Flag) bool { return f.Changed && f.Annotations[fromEnv] == nil }

// FromEnv sets every flag of cmd that the command line did not from PROGRAM_FLAG.
func (p Program) FromEnv(cmd *cobra.Command) (err error) {
	prefix := strings.ToUpper(p.Root.Name()) + "_"
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := p.Env(name)
		if f.Changed || f.Name == "help" || value == "" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = fmt.Errorf("%s=%q in the environment does not do for --%s", name, value, f.Name)
		}
		_ = cmd.Flags().SetAnnotation(f.Name, fromEnv, []string{name})
	})
	return err
}

// Code is the exit code that an error stands for.
func Code(err error) int {
	var own *Error
	if errors.As(err, &own) {
		return own.Code
	}
	e := api.AsError(err)
	if e == nil {
		return Failed
	}
	if e.Retryable() {
		return Retry
	}
	switch e.Status {
	case 400, 413:
		return Usage
	case 401, 403:
		return NotAllowed
	case 404:
		return NotFound
	case 409, 410, 412, 422, 428:
		return Conflict
	}
	return Failed
}

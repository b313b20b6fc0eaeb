package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// formats are the formats of files, and how the name of one ends by which it is guessed.
var formats = []struct{ name, suffix string }{
	{"json", ".json"}, {"csv", ".csv"}, {"todotxt", ".txt"}, {"ical", ".ics"}, {"taskwarrior", ""}, {"todoist", ""},
}

func formatNames() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// fileFormat is the format that was asked for, or that of the file by its name.
func fileFormat(format, file string) (string, error) {
	if format != "" {
		if !slices.Contains(formatNames(), format) {
			return "", cli.UsageError("--format must be one of %s", strings.Join(formatNames(), ", "))
		}
		return format, nil
	}
	for _, f := range formats {
		if f.suffix != "" && strings.EqualFold(filepath.Ext(file), f.suffix) {
			return f.name, nil
		}
	}
	return "json", nil
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "", "`FORMAT`: "+strings.Join(formatNames(), ", ")+"; by default from the name of the file, else json")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveNoFileComp))
}

// listAndFile completes a list and then a file.
func (a *app) listAndFile(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 && !cli.Given(cmd.Flag("list")) {
		return a.completeLists(cmd, prefix), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

func (a *app) exportCommand() *cobra.Command {
	var format string
	var opt api.ReadOptions
	cmd := &cobra.Command{
		Use: "export LIST [FILE]", Short: "write a list to a file or to standard output",
		Long:    "Writes a list as it is at one moment. The file is only put in place when all of it came.",
		Example: "  todo export bob bob.json\n  todo export bob bob.ics\n  todo export bob --format taskwarrior | task import",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: a.listAndFile,
	}
	formatFlag(cmd, &format)
	consistencyFlag(cmd, &opt)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file := ""
		if len(args) == 2 {
			file = args[1]
		}
		format, err := fileFormat(format, file)
		if err != nil {
			return err
		}
		c, err := a.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		d, err := c.Export(cmd.Context(), args[0], format, zone(a.now()), opt)
		if err != nil {
			return err
		}
		defer d.Close()
		switch {
		case file == "" || file == "-":
			return a.exportTo(cmd.OutOrStdout(), d)
		case cli.Terminal(cmd.ErrOrStderr()):
			fmt.Fprintf(cmd.ErrOrStderr(), "writing %s\n", cli.Safe(file))
		}
		return a.exportFile(file, d)
	}
	return cmd
}

// exportTo writes to standard output: what is in the file acts on no terminal.
func (a *app) exportTo(w io.Writer, d io.Reader) error {
	if !cli.Terminal(w) {
		_, err := io.Copy(w, d)
		return err
	}
	all, err := io.ReadAll(d)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, cli.SafeLines(strings.ReplaceAll(string(all), "\r\n", "\n")))
	return err
}

func (a *app) exportFile(file string, d io.Reader) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := io.Copy(tmp, d); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func (a *app) importCommand() *cobra.Command {
	var format string
	var yes bool
	var opt api.ImportOptions
	cmd := &cobra.Command{
		Use: "import LIST FILE", Short: "bring the entries of a file into a list; - is standard input",
		Long: `Brings the entries of a file into a list. What the list has already, by its uid, is changed or left, so the same
file can be brought in again: after a failure too. --dry-run says what would be done.`,
		Example: "  todo import bob bob.json\n  todo import bob todo.txt --dry-run\n  task export | todo import work - --format taskwarrior",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.listAndFile,
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVarP(&opt.DryRun, "dry-run", "n", false, "say what would be done, and do nothing")
	cmd.Flags().StringVar(&opt.Key, "key", "", "idempotency `KEY` of 16-128 visible characters")
	yesFlag(cmd, &yes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := fileFormat(format, args[1])
		if err != nil {
			return err
		}
		from, err := source(cmd, args[1])
		if err != nil {
			return err
		}
		if f, ok := from.(io.Closer); ok {
			defer f.Close()
		}
		c, err := a.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		begins := false
		if !opt.DryRun {
			ctx, cancel := a.Bound(cmd.Context())
			begins, err = a.begins(ctx, c, cmd, args[0], yes)
			cancel()
			if err != nil {
				return nothingStored(stored(err))
			}
		}
		opt.TZ = zone(a.now())
		report, _, err := c.Import(cmd.Context(), args[0], format, from, opt)
		if err != nil {
			return nothingStored(err)
		}
		a.began(cmd, begins && report.Rev > 0, report.List)
		if report.Rev > 0 {
			a.forget(cmd, report.List, "import "+args[1])
		}
		return a.printReport(cmd, report)
	}
	return cmd
}

// source is a file, or what comes in: that is kept, for it may have to be sent again.
func source(cmd *cobra.Command, file string) (io.ReadSeeker, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
			return f, err
		}
		defer f.Close()
		in = f // a pipe, which says things once
	}
	all, err := io.ReadAll(in)
	return bytes.NewReader(all), err
}

// printReport says what an import came to: how much, and of each line that is worth a look what became of it.
func (a *app) printReport(cmd *cobra.Command, r api.ImportReport) error {
	cells := func(l api.ImportLine) []string {
		return []string{strconv.Itoa(l.Line), l.Did, id(l.ID), strings.Join(l.Remarks, "; ")}
	}
	err := answer[api.ImportLine]{whole: r, rows: r.Lines, head: []string{"line", "did", "id", "remarks"}, cells: cells, text: func(w io.Writer) error {
		for _, l := range r.Lines {
			if len(l.Remarks) == 0 {
				continue
			}
			if _, err := fmt.Fprintf(w, "line %d: %s: %s\n", l.Line, cli.Safe(l.Did), cli.Safe(strings.Join(l.Remarks, "; "))); err != nil {
				return err
			}
		}
		would := ""
		if r.DryRun {
			would = "nothing was changed; it would be: "
		}
		_, err := fmt.Fprintf(w, "%s: %sadded %d, changed %d, left %d, refused %d, skipped %d\n", cli.Safe(r.List), would, r.Added, r.Changed, r.Left, r.Refused, r.Skipped)
		return err
	}}.print(cmd, a.Output)
	if err == nil && r.Refused > 0 {
		err = &cli.Error{Code: cli.Failed, Err: fmt.Errorf("%s refused, the others were taken", cli.Count(r.Refused, "entry was", "entries were"))}
	}
	return err
}

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/httpapi/api"
)

// answer is what a command has to say, in each of the formats of --output.
type answer[T any] struct {
	whole any                     // json
	rows  []T                     // ndjson: one a line
	head  []string                // table and csv: the names of columns
	cells func(row T) []string    // ... and what is in them
	table func(w io.Writer) error // table, where it is not head and cells
	text  func(w io.Writer) error // text
}

// print answers in the format that was asked for.
func (a answer[T]) print(cmd *cobra.Command, format string) error {
	w := cmd.OutOrStdout()
	switch format {
	case "json":
		return cli.PrintJSON(w, a.whole)
	case "ndjson":
		for _, row := range a.rows {
			if err := cli.PrintJSON(w, row); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		out := csv.NewWriter(w)
		_ = out.Write(a.head) // Error has it
		for _, row := range a.rows {
			cells := a.cells(row)
			for i := range cells {
				if cells[i] = harmless(cells[i]); cli.Terminal(w) {
					cells[i] = cli.SafeLines(cells[i])
				}
			}
			_ = out.Write(cells)
		}
		out.Flush()
		return out.Error()
	case "table":
		if a.table != nil {
			return a.table(w)
		}
		return a.columns(w)
	}
	return a.text(w)
}

// columns writes the rows as a table.
func (a answer[T]) columns(w io.Writer) error {
	first := make([]string, len(a.head))
	for i, name := range a.head {
		first[i] = strings.ToUpper(name)
	}
	rows := [][]string{first}
	for _, row := range a.rows {
		rows = append(rows, a.cells(row))
	}
	return cli.Table(w, rows)
}

// harmless is a cell that no spreadsheet takes for a formula, as an export has it.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@'\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// entryHead are the columns of entries in CSV.
var entryHead = []string{"list", "id", "done", "title", "date", "time", "tz", "priority", "tags", "parent", "repeat", "repeat_from", "remind", "notes", "uid", "rev"}

func entryCells(e api.Entry) []string {
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	return []string{e.List, number(e.ID), strconv.FormatBool(e.Done), e.Title, e.Date, e.Time, e.TZ, number(uint64(e.Priority)), strings.Join(e.Tags, " "),
		number(e.Parent), e.Repeat, e.RepeatFrom, strings.Join(e.Remind, " "), e.Notes, e.UID, number(e.Rev)}
}

// printEntries answers with entries; whole is what the JSON is.
func (a *app) printEntries(cmd *cobra.Command, whole any, entries []api.Entry, text func(w io.Writer) error) error {
	return answer[api.Entry]{
		whole: whole, rows: entries, head: entryHead, cells: entryCells, text: text,
		table: func(w io.Writer) error { return show.Table(w, entries, a.layout(cmd, entries)) },
	}.print(cmd, a.Output)
}

// layout is how entries are shown at the terminal, if there is one.
func (a *app) layout(cmd *cobra.Command, entries []api.Entry) show.Options {
	opt := show.Options{Now: a.now(), Paint: cli.Paint(cmd.OutOrStdout(), a.env)}
	if width, _, ok := cli.Size(cmd.OutOrStdout()); ok {
		opt.Width = width
	}
	opt.Lists = a.everywhere
	for _, e := range entries {
		opt.Lists = opt.Lists || e.List != entries[0].List
	}
	return opt
}

// page shows what is longer than the terminal in a pager: PAGER, or less if it is there. PAGER=cat for none.
func (a *app) page(cmd *cobra.Command, text func(w io.Writer) error) error {
	w := cmd.OutOrStdout()
	_, height, ok := cli.Size(w)
	if !ok || !cli.Terminal(cmd.InOrStdin()) || a.env("TERM") == "dumb" {
		return text(w)
	}
	var all bytes.Buffer
	if err := text(&all); err != nil {
		return err
	}
	pager := a.env("PAGER")
	if pager == "" {
		pager = "less"
	}
	if bytes.Count(all.Bytes(), []byte("\n")) < height || pager == "cat" {
		_, err := w.Write(all.Bytes())
		return err
	}
	p := shell(cmd, pager)
	p.Stdin = bytes.NewReader(all.Bytes())
	p.Env = append(os.Environ(), "LESS="+def(a.env("LESS"), "FRX"), "LESSCHARSET="+def(a.env("LESSCHARSET"), "utf-8"))
	if p.Run() != nil && p.ProcessState == nil { // it could not be started
		_, err := w.Write(all.Bytes())
		return err
	}
	return nil
}

func def(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// shell is a program of the person's choice, which may have arguments of its own, at their terminal.
func shell(cmd *cobra.Command, program string, args ...string) *exec.Cmd {
	fields := append(strings.Fields(program), args...)
	p := exec.Command(fields[0], fields[1:]...) // Ctrl-C is its own affair
	p.Stdin, p.Stdout, p.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	return p
}

// describe is an entry in one line, with all that was understood of it. It is the same wherever it is printed.
func describe(e api.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d: %s", cli.Safe(e.List), e.ID, cli.Safe(e.Title))
	if e.Date != "" {
		when := e.Date
		if e.Time != "" {
			when += " " + e.Time
		}
		if e.TZ != "" {
			when += " " + e.TZ
		}
		b.WriteString(" (" + cli.Safe(weekday(e.Date)+when) + ")")
	}
	if e.Priority > 0 {
		fmt.Fprintf(&b, " p%d", e.Priority)
	}
	for _, tag := range e.Tags {
		b.WriteString(" #" + cli.Safe(tag))
	}
	if e.Repeat != "" {
		b.WriteString(" " + show.Repeat(e.Repeat, e.RepeatFrom))
	}
	if e.Parent != 0 {
		fmt.Fprintf(&b, " below %d", e.Parent)
	}
	return b.String()
}

// anew is what is said of one that repeats and was done.
const anew = "done, and set anew:"

// printEntry says what became of an entry.
func (a *app) printEntry(cmd *cobra.Command, what string, e api.Entry) error {
	return a.printEntries(cmd, e, []api.Entry{e}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", what, describe(e))
		return err
	})
}

// printBatch says what became of several entries: what was done to them, or how they are now.
func (a *app) printBatch(cmd *cobra.Command, what string, res api.BatchResult) error {
	if a.Output == "json" {
		return cli.PrintJSON(cmd.OutOrStdout(), res)
	}
	var entries []api.Entry
	var lines []string
	for _, r := range res.Results {
		e := api.Entry{List: r.List, ID: r.ID}
		switch {
		case r.ID == 0:
			lines = append(lines, what+" the list "+cli.Safe(r.List))
			continue
		case r.Entry != nil:
			e = *r.Entry
		}
		entries = append(entries, e)
		switch {
		case r.Entry == nil:
			lines = append(lines, fmt.Sprintf("removed %s %d", cli.Safe(e.List), e.ID))
		case what == "done" && !e.Done:
			lines = append(lines, anew+" "+describe(e))
		default:
			lines = append(lines, what+" "+describe(e))
		}
	}
	return a.printEntries(cmd, res, entries, func(w io.Writer) error {
		for _, line := range lines {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
		return nil
	})
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm"
	"todod/httpapi/api"
)

func backupCommand(env func(string) string) *cobra.Command {
	var conn cli.Connection
	var consistency string
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "write all lists of the group to a file, while it runs",
		Long: `backup writes all lists of the group to FILE, or to standard output for -: all that
was acknowledged before, from whichever node of --server answers. The group goes on
meanwhile. FILE is checked as it comes and gets its name when it is whole, so that a
backup that broke off leaves the one before it as it was. 'todod restore' reads it.

With --consistency stale it is what one node has, for a group without a majority.
--timeout is for the beginning; after that it may take as long as it likes, but not
stand still for 30 s.`,
		Example: `  todod backup lists.backup
  todod backup - | zstd > lists.backup.zst
  todod backup lists.backup --consistency stale --server 127.0.0.1:5455`,
		Args: cobra.ExactArgs(1),
	}
	conn.AddFlags(cmd)
	cmd.Flags().StringVar(&consistency, "consistency", "linearizable", "`LEVEL`: linearizable, or stale")
	_ = cmd.RegisterFlagCompletionFunc("consistency", cobra.FixedCompletions([]string{"linearizable", "stale"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if consistency != "linearizable" && consistency != "stale" {
			return cli.UsageError("--consistency must be linearizable or stale, not %q", consistency)
		}
		c, err := conn.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		from, err := c.Backup(cmd.Context(), consistency)
		if err != nil {
			return err
		}
		defer from.Close()
		if args[0] == "-" {
			_, err := copyBackup(cmd.OutOrStdout(), from, progress(cmd, from.Size))
			return err
		}
		about, err := saveBackup(args[0], from, progress(cmd, from.Size))
		if err != nil {
			return err
		}
		return say(cmd, &conn, about, "%s: %s", args[0], describeBackup(about))
	}
	return cmd
}

// saveBackup gives a backup its name once it is whole and on the disk.
func saveBackup(path string, from io.Reader, to io.Writer) (about fsm.BackupInfo, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return about, fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	about, err = copyBackup(tmp, from, to)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return about, err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return about, fmt.Errorf("the backup cannot be put in place: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return about, nil // it is there; not all folders can be synced
	}
	defer dir.Close()
	_ = dir.Sync()
	return about, nil
}

// copyBackup copies a backup and checks it on the way.
func copyBackup(to io.Writer, from io.Reader, seen io.Writer) (fsm.BackupInfo, error) {
	about, err := fsm.CheckBackup(io.TeeReader(from, io.MultiWriter(to, seen)))
	if err != nil && api.AsError(err) == nil {
		err = fmt.Errorf("the backup did not come whole: %w", err)
	}
	return about, err
}

// entriesOf is how much a backup holds.
func entriesOf(entries, lists uint64) string {
	return cli.Count(entries, "entry", "entries") + " of " + cli.Count(lists, "list", "lists")
}

func describeBackup(b fsm.BackupInfo) string {
	return fmt.Sprintf("%s at rev %d, %s", entriesOf(b.Entries, b.Lists), b.Rev, bytesText(b.Size))
}

func verifyCommand() *cobra.Command {
	var conn cli.Connection
	var data, id string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "check a backup, or the folder of a stopped node, and say what is in it",
		Long: `verify reads the backup FILE, or standard input for -, to its end and checks all of it: its
hash, each record, and that they fit together. It ends with 1 if the backup is damaged,
cut short, of a newer todod, or none.

Without FILE it checks the folder of a node that does not run: each entry of its log, its
term and vote, each page and row of its replica, and that they fit together. It changes
nothing. It ends as the node would: with 70 if it is fenced, 73 if the folder would be
refused, 74 if the replica is damaged, 78 if the log is; with 1 if the node runs or there
is none.`,
		Example: "  todod verify lists.backup\n  zstd -dc lists.backup.zst | todod verify -\n  todod verify --data ./data --id n1",
		Args:    cobra.MaximumNArgs(1),
	}
	conn.AddOutput(cmd)
	cmd.Flags().StringVar(&data, "data", "./data", "the node's files are in `DIR`/ID")
	cmd.Flags().StringVar(&id, "id", "", "the node's `NAME` (default the only node in --data)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := conn.Check(); err != nil {
			return err
		}
		if len(args) == 0 {
			return verifyFolder(cmd, &conn, data, id)
		}
		in, size, err := openBackup(cmd, args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		about, err := fsm.CheckBackup(io.TeeReader(in, progress(cmd, size)))
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if conn.JSON() {
			return cli.PrintJSON(cmd.OutOrStdout(), about)
		}
		return cli.Table(cmd.OutOrStdout(), [][]string{
			{"backup", describeBackup(about)},
			{"trash", cli.Count(about.Trash, "entry", "entries") + ", " + cli.Count(about.Traces, "change", "changes") + " in histories"},
			{"keys", fmt.Sprint(about.Keys)},
			{"group", fmt.Sprintf("%s, epoch %d", about.Group, about.Epoch)},
			{"made", fmt.Sprintf("%s by %s, todod %s", time.UnixMilli(about.Made).UTC().Format(time.RFC3339), about.Node, about.Program)},
			{"state", fmt.Sprintf("log entry %d, chain %s, set %s", about.Index, about.Chain, about.Set)},
			{"sha256", about.Hash},
		})
	}
	return cmd
}

// openBackup opens a backup that is given by name, or standard input for -; its size is -1 if it is not known.
func openBackup(cmd *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, 0, errors.Join(err, f.Close(), fmt.Errorf("%s is not a file", name))
	}
	return f, info.Size(), nil
}

// progress shows on a terminal how much went through; elsewhere it is silent.
func progress(cmd *cobra.Command, size int64) io.Writer {
	if !cli.Terminal(cmd.ErrOrStderr()) {
		return io.Discard
	}
	return &meter{out: cmd.ErrOrStderr(), size: size}
}

// meter is a line on a terminal that says how far a copy is.
type meter struct {
	out        io.Writer
	size, done int64
	told       time.Time
}

func (m *meter) Write(b []byte) (int, error) {
	m.done += int64(len(b))
	whole := m.done == m.size
	if time.Since(m.told) > 100*time.Millisecond || whole {
		m.told = time.Now()
		text := bytesText(m.done)
		if m.size > 0 {
			text += fmt.Sprintf(" of %s, %d %%", bytesText(m.size), 100*m.done/m.size)
		}
		fmt.Fprintf(m.out, "\r\x1b[K%s", text)
		if whole {
			fmt.Fprint(m.out, "\r\x1b[K")
		}
	}
	return len(b), nil
}

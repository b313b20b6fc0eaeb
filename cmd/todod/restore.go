package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm"
)

func restoreCommand() *cobra.Command {
	var conn cli.Connection
	var foreign, yes bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "put the lists of a backup in the place of those of the group",
		Long: `restore puts the lists of the backup FILE, or of standard input for -, in the place of
all lists of the group, which runs on meanwhile. FILE is checked as a whole before
anything is changed, brought to a majority of the nodes, and then takes effect at all
of them at the same moment: what was written since the backup is gone. What clients hold
of before, ETags and cursors, is void. Ids are not given twice.

A group without lists takes any backup: a lost group comes back as a new one. Into one
that has lists only its own backups go, unless --foreign is given. On a terminal it asks
first, unless --yes is given.`,
		Example: "  todod restore lists.backup\n  todod restore lists.backup --server 127.0.0.1:5455 --foreign --yes",
		Args:    cobra.ExactArgs(1),
	}
	conn.AddFlags(cmd)
	cmd.Flags().BoolVar(&foreign, "foreign", false, "let a backup of another group take the place of this one's lists")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.Client()
		if err != nil {
			return err
		}
		defer c.Close()
		file, err := wholeBackup(cmd, args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		about, err := fsm.CheckBackup(bufio.NewReader(file))
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if !yes {
			err = ask(cmd, fmt.Sprintf("%s in %s take the place of all lists of the group at %s.", describeBackup(about), args[0], strings.Join(c.Addrs(), ", ")))
		}
		if err != nil {
			return err
		}
		shown := shownFile{file, progress(cmd, about.Size)}
		res, err := c.Restore(cmd.Context(), shown, about.Size, foreign)
		if err != nil {
			return err
		}
		return say(cmd, &conn, res, "restored %s: the group is at rev %d, epoch %d", entriesOf(res.Entries, res.Lists), res.Rev, res.Epoch)
	}
	return cmd
}

// wholeBackup is a backup as a file that can be read more than once.
func wholeBackup(cmd *cobra.Command, name string) (*os.File, error) {
	if name != "-" {
		f, _, err := openBackup(cmd, name)
		if err != nil {
			return nil, err
		}
		return f.(*os.File), nil
	}
	f, err := os.CreateTemp("", "todod-restore-*")
	if err != nil {
		return nil, fmt.Errorf("standard input cannot be kept: %w", err)
	}
	_, err = io.Copy(f, cmd.InOrStdin())
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil { // it is gone with the process
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ask has a person at a terminal say yes; nobody else is asked.
func ask(cmd *cobra.Command, what string) error {
	if !cli.Terminal(cmd.InOrStdin()) || !cli.Terminal(cmd.ErrOrStderr()) {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nType yes to go on: ", cli.Safe(what))
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// shownFile shows how much of a file was read since it was last at its beginning.
type shownFile struct {
	*os.File
	meter io.Writer
}

func (s shownFile) Read(b []byte) (int, error) {
	n, err := s.File.Read(b)
	if n > 0 {
		_, _ = s.meter.Write(b[:n])
	}
	return n, err
}

func (s shownFile) Seek(to int64, whence int) (int64, error) {
	if m, ok := s.meter.(*meter); ok {
		m.done = 0
	}
	return s.File.Seek(to, whence)
}

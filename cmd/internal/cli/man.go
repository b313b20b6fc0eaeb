package cli

import (
	"cmp"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, from the same texts as --help. It is for whoever packs the program.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "write the manual pages to a folder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // nothing of today: the same program gives the same pages
			each(root, func(cmd *cobra.Command) {
				cmd.Example = strings.TrimRight(cmd.Example, "\n")
				// What is set in by two columns for --help is a block of its own for Markdown, which the pages go through.
				cmd.Long = strings.ReplaceAll("\n"+cmp.Or(cmd.Long, cmd.Short+"."), "\n  ", "\n      ")[1:]
			})
			name := root.Name()
			return doc.GenManTree(root, &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: name + " " + Version(), Manual: name, Date: commitTime()}, args[0])
		},
	}
}

// commitTime is when the program's commit was made, so that the same program gives the same pages; nil, for today, if
// that is not known.
func commitTime() *time.Time {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return nil
	}
	for _, s := range info.Settings {
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
			return &t
		}
	}
	return nil
}

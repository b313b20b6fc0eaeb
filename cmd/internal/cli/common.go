package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/httpapi/api"
)

// DefaultServer is where a node listens when nobody says otherwise.
const DefaultServer = "127.0.0.1:5454"

// Connection are the flags of every command that speaks with a running node.
type Connection struct {
	Servers []string
	Timeout time.Duration
	Output  string
	// Formats are those of --output, the first is the default; text and json if it is nil.
	Formats []string
	// Moved is called when a node could not answer and the next one is asked; nil: nobody wants to know.
	Moved func(node string, err error)
}

func (c *Connection) formats() []string {
	if c.Formats == nil {
		return []string{"text", "json"}
	}
	return c.Formats
}

// choices is a list of words for a sentence.
func choices(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// AddFlags gives cmd, and the commands below it, the flags of a connection.
func (c *Connection) AddFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringSliceVar(&c.Servers, "server", []string{DefaultServer}, "`ADDR[,ADDR...]` of the group's nodes; moves on to the next when one is gone")
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "the most a command may take")
	c.AddOutput(cmd)
	_ = cmd.RegisterFlagCompletionFunc("server", cobra.NoFileCompletions)
}

// AddOutput gives cmd the flag --output alone.
func (c *Connection) AddOutput(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&c.Output, "output", "o", c.formats()[0], "`FORMAT`: "+choices(c.formats()))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(c.formats(), cobra.ShellCompDirectiveNoFileComp))
}

// Check refuses what cobra does not know to be wrong.
func (c *Connection) Check() error {
	if !slices.Contains(c.formats(), c.Output) {
		return UsageError("--output must be %s, not %q", choices(c.formats()), c.Output)
	}
	if c.Timeout < 0 || c.Servers != nil && c.Timeout == 0 {
		return UsageError("--timeout must be more than 0")
	}
	return nil
}

// JSON reports whether the answer is to be JSON.
func (c *Connection) JSON() bool { return c.Output == "json" }

// Client returns a client of the nodes of --server.
func (c *Connection) Client() (*api.Client, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	client, err := api.NewClient(c.Servers, api.Options{UserAgent: "todo/" + Version(), Patience: c.Timeout, Moved: c.Moved})
	if err != nil {
		return nil, UsageError("--server: %w", err)
	}
	return client, nil
}

// One returns the client of the one node that --server must name.
func (c *Connection) One() (*api.Client, error) {
	if len(c.Servers) != 1 {
		return nil, UsageError("--server must name one node here: the one this is about")
	}
	return c.Client()
}

// Bound gives a context the time of --timeout.
func (c *Connection) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.Timeout)
}

// Version is the version of the program: of the module, or of the commit it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

func versionCommand() *cobra.Command {
	var c Connection
	cmd := &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.Check(); err != nil {
				return err
			}
			v := struct {
				Program string `json:"program"`
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{cmd.Root().Name(), Version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if c.JSON() {
				return PrintJSON(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s %s\n", v.Program, v.Version, v.Go, v.System)
			return err
		},
	}
	c.AddOutput(cmd)
	return cmd
}

func completionCommand(program string) *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "print a completion script for bash, zsh or fish",
		Example:   fmt.Sprintf("  source <(%[1]s completion bash)\n  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish", program),
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root, out := cmd.Root(), cmd.OutOrStdout(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			default:
				return root.GenFishCompletion(out, true)
			}
		},
	}
}

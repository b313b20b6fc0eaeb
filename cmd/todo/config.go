package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// The config file is a TOML file of texts alone: a line is `name = "value"`. That much is read here, for a
// library would lose the comments when it writes.

// settings are the names that may stand in the config file: what each means, and what is wrong with a value.
var settings = map[string]struct {
	what  string
	wrong func(value string) error
}{
	"list": {"the list where none is named", func(v string) error {
		if strings.TrimSpace(v) != v || strings.Contains(v, "/") {
			return errors.New("must be the name of a list")
		}
		return nil
	}},
	"server": {"addresses of the group's nodes, as in --server", func(v string) error {
		_, err := api.NewClient(strings.Split(v, ","), api.Options{})
		return err
	}},
	"timeout": {"the most a command may take, like 10s", func(v string) error {
		if d, err := time.ParseDuration(v); err != nil || d <= 0 {
			return errors.New("must be a time like 10s")
		}
		return nil
	}},
	"consistency": {"how fresh an answer must be, as in --consistency", oneOf(levels...)},
	"view":        {"how 'todo ls' lays entries out: date, tree or table", oneOf(views...)},
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("must be one of %s", strings.Join(words, ", "))
		}
		return nil
	}
}

// config is what the config file says.
type config struct {
	file   string
	values map[string]string
}

// configFile is where the config file is: TODO_CONFIG, or todo/config.toml where the system keeps such files.
func configFile(env func(string) string) string {
	if file := env("TODO_CONFIG"); file != "" {
		return file
	}
	return xdg(env, "XDG_CONFIG_HOME", ".config", "config.toml")
}

// xdg is a file of ours in a folder of the XDG Base Directory Specification; "" if there is no home.
func xdg(env func(string) string, name, below, file string) string {
	dir := env(name)
	if !filepath.IsAbs(dir) { // "must be absolute ... should be ignored"
		home := env("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, below)
	}
	return filepath.Join(dir, "todo", file)
}

// loadConfig reads the config file, which need not exist.
func loadConfig(file string) (config, error) {
	c := config{file: file, values: map[string]string{}}
	if file == "" {
		return c, nil
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read the config file: %w", err)
	}
	lines := bufio.NewScanner(strings.NewReader(string(content)))
	for n := 1; lines.Scan(); n++ {
		name, value, err := setting(lines.Text())
		if err != nil {
			return c, fmt.Errorf("%s, line %d: %w", file, n, err)
		}
		if name != "" {
			c.values[name] = value
		}
	}
	return c, lines.Err()
}

// setting reads a line of the config file; name is "" if it sets nothing.
func setting(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, rest, ok := strings.Cut(line, "=")
	if !ok {
		return "", "", errors.New(`must be like list = "bob"`)
	}
	name, rest = strings.TrimSpace(name), strings.TrimSpace(rest)
	s, known := settings[name]
	if !known {
		return "", "", fmt.Errorf("%q is no setting; there are %s", name, strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
	}
	quoted, err := strconv.QuotedPrefix(rest)
	after := ""
	if err == nil {
		after = strings.TrimSpace(rest[len(quoted):])
	}
	if err != nil || quoted[0] == '`' || after != "" && after[0] != '#' {
		return "", "", fmt.Errorf(`the value of %s must be like "bob", between quotes`, name)
	}
	if value, err = strconv.Unquote(quoted); err != nil {
		return "", "", fmt.Errorf("the value of %s cannot be read", name)
	}
	if err := s.wrong(value); err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return name, value, nil
}

// set writes a setting to the file, or takes it out; all else in the file stays as it is.
func (c config) set(name, value string, drop bool) error {
	if c.file == "" {
		return errors.New("there is no place for a config file: set HOME or TODO_CONFIG")
	}
	content, err := os.ReadFile(c.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var out []string
	line := name + " = " + strconv.Quote(value)
	placed := drop
	for old := range strings.Lines(string(content)) {
		old = strings.TrimSuffix(old, "\n")
		if at, _, err := setting(old); err != nil || at != name {
			out = append(out, old)
			continue
		}
		if !placed {
			out = append(out, line)
			placed = true
		}
	}
	if !placed {
		out = append(out, line)
	}
	text := strings.Join(out, "\n")
	if text != "" {
		text += "\n"
	}
	return writeFile(c.file, []byte(text))
}

// writeFile puts a file in its place at once, with its folder, for nobody else to read.
func writeFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(content); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func (a *app) configCommand() *cobra.Command {
	unset := false
	names := slices.Sorted(maps.Keys(settings))
	long := "The settings are read from a file, here " + configFile(a.env) + ".\nWhat the command line or the environment says counts for more.\n"
	for _, name := range names {
		long += fmt.Sprintf("\n  %-12s %s", name, settings[name].what)
	}
	cmd := &cobra.Command{
		Use: "config [NAME [VALUE]]", Short: "print or change the settings, such as the list where none is named", Long: long,
		Example: "  todo config\n  todo config list bob\n  todo config server 10.0.0.1:5454,10.0.0.2:5454\n  todo config list --unset",
		Args:    cobra.MaximumNArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) == 0:
				return names, cobra.ShellCompDirectiveNoFileComp
			case len(args) == 1 && args[0] == "list":
				return a.completeLists(cmd, prefix), cobra.ShellCompDirectiveNoFileComp
			case len(args) == 1 && args[0] == "view":
				return views, cobra.ShellCompDirectiveNoFileComp
			case len(args) == 1 && args[0] == "consistency":
				return levels, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&unset, "unset", false, "take the setting out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.Check(); err != nil {
			return err
		}
		if len(args) > 0 {
			if _, ok := settings[args[0]]; !ok {
				return cli.UsageError("%q is no setting; there are %s", args[0], strings.Join(names, ", "))
			}
		}
		switch {
		case unset && len(args) == 1:
			return a.config.set(args[0], "", true)
		case unset:
			return cli.UsageError("--unset goes with the name of a setting")
		case len(args) == 2:
			if err := settings[args[0]].wrong(args[1]); err != nil {
				return cli.UsageError("%s: %w", args[0], err)
			}
			return a.config.set(args[0], args[1], false)
		}
		return a.printConfig(cmd, args)
	}
	return cmd
}

func (a *app) printConfig(cmd *cobra.Command, args []string) error {
	w := cmd.OutOrStdout()
	if len(args) == 1 {
		value, ok := a.config.values[args[0]]
		if !ok {
			return &cli.Error{Code: cli.NotFound, Err: fmt.Errorf("%s is not set", args[0])}
		}
		if a.JSON() {
			return cli.PrintJSON(w, value)
		}
		_, err := fmt.Fprintln(w, cli.Safe(value))
		return err
	}
	if a.JSON() {
		return cli.PrintJSON(w, map[string]any{"file": a.config.file, "settings": a.config.values})
	}
	fmt.Fprintln(w, "# "+cli.Safe(a.config.file))
	for _, name := range slices.Sorted(maps.Keys(a.config.values)) {
		if _, err := fmt.Fprintf(w, "%s = %s\n", name, strconv.QuoteToASCII(a.config.values[name])); err != nil {
			return err
		}
	}
	return nil
}

// moved tells of a node that could not answer, for --verbose.
func (a *app) moved(cmd *cobra.Command) func(node string, err error) {
	return func(node string, err error) {
		if !errors.Is(err, context.Canceled) {
			fmt.Fprintf(cmd.ErrOrStderr(), "todo: %s; asking the next one\n", cli.Safe(err.Error()))
		}
	}
}

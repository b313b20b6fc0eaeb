package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// terminal is a tmux of its own with one program in it.
type terminal struct {
	socket string
	env    []string
}

// take runs a program in a terminal of a size, does with it what is to be done, and returns the screen in its colours.
func (s *stage) take(ctx context.Context, cols, rows int, do func(context.Context, *terminal) error) (screen string, err error) {
	t := &terminal{filepath.Join(s.dir, "tmux"), s.env()}
	config, rc := filepath.Join(s.dir, "tmux.conf"), filepath.Join(s.dir, "bashrc")
	for file, text := range map[string]string{config: "set -g status off\n", rc: `PS1='\[\e[32m\]$\[\e[0m\] '` + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	if _, err := t.tmux(ctx, "-f", config, "new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows), "exec bash --noprofile --rcfile '"+rc+"'"); err != nil {
		return "", err
	}
	defer func() {
		_, e := t.tmux(context.WithoutCancel(ctx), "kill-server")
		err = errors.Join(err, e)
	}()
	if err := t.waitFor(ctx, "$"); err != nil {
		return "", err
	}
	if err := do(ctx, t); err != nil {
		return "", err
	}
	return t.tmux(ctx, "capture-pane", "-e", "-p", "-N") // with the spaces at the ends, which have a colour too
}

func (t *terminal) tmux(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-u", "-S", t.socket}, args...)...)
	cmd.Env = t.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %q: %w: %s", args, err, out)
	}
	return string(out), nil
}

// press sends keys as tmux names them, and waits for a screen that has all texts.
func (t *terminal) press(ctx context.Context, keys []string, texts ...string) error {
	if _, err := t.tmux(ctx, append([]string{"send-keys"}, keys...)...); err != nil {
		return err
	}
	return t.waitFor(ctx, texts...)
}

// waitFor waits for a screen that has all texts.
func (t *terminal) waitFor(ctx context.Context, texts ...string) error {
	return t.poll(ctx, fmt.Sprintf("%q", texts), func(screen string) bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(screen, text) })
	})
}

// poll looks at the screen until it is as it should be.
func (t *terminal) poll(ctx context.Context, what string, is func(screen string) bool) error {
	for {
		screen, err := t.tmux(ctx, "capture-pane", "-p")
		if err != nil || is(screen) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not come: %w:\n%s", what, ctx.Err(), screen)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// session is a few commands at the prompt.
func session(ctx context.Context, t *terminal) error {
	for _, line := range []string{
		"todo add 'Dentist next tuesday 9am #health p1 every 6 months'",
		"todo ls",
		"todo done 2-3",
		"todo search fam",
	} {
		if _, err := t.tmux(ctx, "send-keys", "-l", line); err != nil {
			return err
		}
		if err := t.press(ctx, []string{"Enter"}); err != nil {
			return err
		}
		err := t.poll(ctx, "the prompt after "+line, func(screen string) bool {
			_, below, _ := strings.Cut(screen, "$ "+line+"\n")
			return strings.HasSuffix(strings.TrimRight(below, "\n "), "\n$")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ui is todo ui in the middle of a day.
func ui(ctx context.Context, t *terminal) error {
	if _, err := t.tmux(ctx, "send-keys", "-l", "todo ui"); err != nil {
		return err
	}
	for _, step := range []struct {
		key  string
		seen []string
	}{
		{"Enter", []string{"Pay the rent", "live"}},
		{"End", nil},
		{"Up", nil},
		{"Space", []string{"☑ Pay the rent"}},
		{"Up", []string{"? help · live"}},
	} {
		if err := t.press(ctx, []string{step.key}, step.seen...); err != nil {
			return err
		}
	}
	return nil
}

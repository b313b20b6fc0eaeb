// Command pictures takes the pictures of the README: the programs run in a real terminal, which is tmux, and its screen
// becomes an SVG in each theme. It is always the same day in them, so that a picture differs from the one before
// only where the programs do.
//
//	go run ./deploy/pictures              with the programs of bin
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// The day of the pictures is far ahead: what repeats goes on from the date that it has and never from the real day.
const today = "2031-03-11T08:30:00+01:00"

// pictures is what there is to see.
var pictures = []struct {
	name, title string
	cols, rows  int
	take        func(context.Context, *terminal) error
}{
	{"session", "A terminal: entries are added in plain words, listed by day, done, and searched for", 84, 36, session},
	{"ui", "todo ui: lists on the left, the entries of one on the right", 92, 20, ui},
}

// sample is what a person has to do: the list, and what was typed.
var sample = [][]string{
	{"groceries", "Coffee beans #shop"}, {"groceries", "Oat milk, two #shop"}, {"groceries", "Tofu and 牛奶 for Mei #shop"},
	{"work", "Quarterly report end of month p1 #report"}, {"work", "Review the pull request of Anna friday noon"}, {"work", "Stand-up every weekday at 9:30"},
	{"home", "Return the library books", "--date", "2031-03-10"}, {"home", "Water the plants today every 3 days"}, {"home", "Call grandma today 6pm #family"},
	{"home", "Present for Léa by friday #family p2"}, {"home", "Fix the bike saturday 10am #diy"}, {"home", "Renew the passport in 3 weeks #papers p3"},
	{"home", "Summer trip", "--notes", "Night train?"}, {"home", "Book the night train on 1 Apr", "--parent", "7"}, {"home", "Ask Sam about the tent", "--parent", "7"},
	{"home", "Pay the rent"},
}

func main() {
	bin := flag.String("bin", "bin", "the folder of todo and todod")
	out := flag.String("out", "deploy/pictures", "the folder that the pictures go to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := run(ctx, *bin, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, out string) (err error) {
	for _, program := range []string{"tmux", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is needed, which is not here", program)
		}
	}
	s := &stage{}
	if s.bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "todod-pictures-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	leave, err := s.serve()
	if err != nil {
		return err
	}
	defer leave()
	if err := s.fill(ctx); err != nil {
		return err
	}
	for _, p := range pictures {
		screen, err := s.take(ctx, p.cols, p.rows, p.take)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, th := range themes {
			file := filepath.Join(out, p.name+"-"+th.name+".svg")
			if err := os.WriteFile(file, []byte(picture(screen, p.title, p.cols, th)), 0o644); err != nil {
				return err
			}
			fmt.Println(file)
		}
	}
	return nil
}

// stage is a node, and the environment of those who use it.
type stage struct {
	bin, dir string
	addr     string
}

func (s *stage) env() []string {
	return []string{"PATH=" + s.bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + s.dir, "TZ=Europe/Berlin", "LANG=C.UTF-8", "PAGER=cat",
		"TODO_SERVER=" + s.addr, "TODO_NOW=" + today, "TODO_LIST=home"}
}

// serve starts a node at a free address. leave ends it.
func (s *stage) serve() (leave func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	node := exec.Command(filepath.Join(s.bin, "todod"), "serve", "--id", "n1", "--data", s.dir, "--http", s.addr, "--raft", "127.0.0.1:0")
	if err := node.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = node.Process.Signal(syscall.SIGTERM) // if it ended by itself there is nothing to do
		_ = node.Wait()
	}, nil
}

// fill adds the sample. The first entry has to wait until the node is there and knows of tags and the like.
func (s *stage) fill(ctx context.Context) error {
	for _, words := range sample {
		for {
			add := exec.CommandContext(ctx, filepath.Join(s.bin, "todo"), append([]string{"add"}, words...)...)
			add.Env = s.env()
			text, err := add.CombinedOutput()
			if err == nil {
				break
			}
			if code := add.ProcessState.ExitCode(); code != 4 && code != 5 || ctx.Err() != nil {
				return fmt.Errorf("add %q: %w: %s", words, err, text)
			}
		}
	}
	return nil
}

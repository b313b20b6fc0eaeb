package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
	"todod/server"
)

// recoverFlags are the flags of todod recover.
type recoverFlags struct {
	data, id string
	show     bool
	join     []string
	yes      bool
	conn     cli.Connection
}

func recoverCommand() *cobra.Command {
	var f recoverFlags
	cmd := &cobra.Command{
		Use: "recover", Short: "go on from a stopped node's folder after the group lost its majority for good",
		Long: `recover is for a group that lost its majority for good. While enough of its nodes can
be brought back, bring them back: nothing else is sure to have all that was acknowledged.

First stop all nodes that are left and look at each with --show. Then, on the one with
the highest last term, and of those the highest last index, run recover: it makes that
node a group of one with all it has, under a new group ID and in a new epoch. What
only the lost nodes had is gone. Start it. Then run recover --join ADDR on each of the
others: their files are kept aside, and when started they join the new group.
Nodes of the old group that come back later are turned away.

The old files stay in the node's folder, below before-recover-1. recover can be
interrupted at any time: the same command again finishes what was begun.`,
		Example: `  todod recover --show --data /var/lib/todod
  todod recover --data /var/lib/todod --id n1
  todod recover --join 10.0.0.1:5454 --data /var/lib/todod --id n2`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	fs := cmd.Flags()
	fs.StringVar(&f.data, "data", "./data", "the node's files are in `DIR`/ID")
	fs.StringVar(&f.id, "id", "", "the node's `NAME` (default the only node in --data)")
	fs.BoolVar(&f.show, "show", false, "say what the folder holds, and change nothing")
	fs.StringSliceVar(&f.join, "join", nil, "`ADDR[,ADDR...]`: put the files aside and join the new group of these HTTP addresses")
	fs.BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.MarkFlagsMutuallyExclusive("show", "join")
	f.conn.AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.conn.Check(); err != nil {
			return err
		}
		switch {
		case f.show:
			return f.look(cmd)
		case len(f.join) > 0:
			return f.rejoin(cmd)
		}
		return f.found(cmd)
	}
	return cmd
}

// surveyText is a survey as --output json prints it.
type surveyText struct {
	ID        string       `json:"id"`
	Group     string       `json:"group"`
	Phase     string       `json:"phase"`
	Term      uint64       `json:"term"`
	LastTerm  uint64       `json:"last_term"`
	LastIndex uint64       `json:"last_index"`
	Applied   uint64       `json:"applied"`
	Rev       uint64       `json:"rev"`
	Epoch     uint64       `json:"epoch"`
	Chain     string       `json:"chain"`
	Set       string       `json:"set"`
	Members   []memberText `json:"members"`
}

type memberText struct {
	ID    string `json:"id"`
	HTTP  string `json:"http"`
	Raft  string `json:"raft"`
	Voter bool   `json:"voter"`
}

func textOf(s *server.Survey) surveyText {
	t := surveyText{ID: s.ID, Group: s.Group, Phase: s.Phase, Term: max(s.Term, s.LastTerm), LastTerm: s.LastTerm, LastIndex: s.LastIndex,
		Applied: s.Replica.Index, Rev: s.Replica.Rev, Epoch: s.Replica.Epoch, Chain: s.Replica.Chain, Set: s.Replica.Set, Members: []memberText{}}
	for _, m := range s.Servers {
		id := string(m.ID)
		t.Members = append(t.Members, memberText{ID: id, HTTP: s.HTTP[id], Raft: string(m.Address), Voter: s.Voter(id)})
	}
	return t
}

// table is a survey for a person.
func (t *surveyText) table() [][]string {
	rows := [][]string{
		{"node", fmt.Sprintf("%s, %s", t.ID, t.Phase)},
		{"group", t.Group},
		{"last entry", fmt.Sprintf("term %d, index %d", t.LastTerm, t.LastIndex)},
		{"term", fmt.Sprint(t.Term)},
		{"applied", fmt.Sprintf("index %d, rev %d, epoch %d", t.Applied, t.Rev, t.Epoch)},
		{"hashes", fmt.Sprintf("chain %s, set %s, at index %d", t.Chain, t.Set, t.Applied)},
	}
	for _, m := range t.Members {
		vote := "votes"
		if !m.Voter {
			vote = "no vote"
		}
		rows = append(rows, []string{"member", fmt.Sprintf("%s, %s, http %s, raft %s", m.ID, vote, m.HTTP, m.Raft)})
	}
	return rows
}

func (f *recoverFlags) look(cmd *cobra.Command) error {
	s, err := server.Look(f.data, f.id)
	if err != nil {
		return ended(err)
	}
	t := textOf(s)
	if f.conn.JSON() {
		return cli.PrintJSON(cmd.OutOrStdout(), t)
	}
	return cli.Table(cmd.OutOrStdout(), t.table())
}

// found makes the folder that of a group of one.
func (f *recoverFlags) found(cmd *cobra.Command) error {
	asks := cli.Terminal(cmd.InOrStdin())
	if !f.yes && !asks {
		return cli.UsageError("recover asks before it changes anything, and here is no terminal to ask at: add --yes")
	}
	s, err := server.Look(f.data, f.id)
	if err != nil {
		return ended(err)
	}
	if !s.Interrupted() { // else it was asked before
		if err := hasLeader(cmd.Context(), s); err != nil {
			return err
		}
		if !f.yes {
			if err := f.ask(cmd, s); err != nil {
				return err
			}
		}
	}
	done, err := server.Recover(f.data, f.id)
	if err != nil {
		return ended(err)
	}
	return f.say(cmd, done, "%s is a group of one now, %s: start it, then run 'todod recover --join ADDR' with its HTTP address on each other node; the old files are in %s",
		done.ID, done.Group, done.Aside)
}

// ask shows what there is and asks whether to go on.
func (f *recoverFlags) ask(cmd *cobra.Command, s *server.Survey) error {
	t, out := textOf(s), cmd.ErrOrStderr()
	if err := cli.Table(out, t.table()); err != nil {
		return err
	}
	fmt.Fprintf(out, `
This makes %s a group of one, with what is shown here. What only other nodes have is lost.
Be sure that no majority of them can be brought back, that all are stopped, and that none
shows a higher last term, or in the same term a higher last index.
Type the name of this node to go on: `, cli.Safe(s.ID))
	line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(line) != s.ID {
		return errors.New("nothing was changed")
	}
	return nil
}

// rejoin puts the folder's files aside.
func (f *recoverFlags) rejoin(cmd *cobra.Command) error {
	known, err := api.NewClient(f.join, api.Options{})
	if err != nil {
		return cli.UsageError("--join: %w", err)
	}
	targets := known.Addrs()
	s, err := server.Look(f.data, f.id)
	if err != nil {
		return ended(err)
	}
	if !s.Interrupted() {
		if err := anotherGroup(cmd.Context(), s, targets); err != nil {
			return err
		}
	}
	done, err := server.RecoverJoin(f.data, f.id, targets)
	if err != nil {
		return ended(err)
	}
	if done.Aside == "" {
		return f.say(cmd, done, "%s joins the group of %s when it is started", done.ID, f.join[0])
	}
	return f.say(cmd, done, "%s joins the group of %s when it is started; the old files are in %s", done.ID, f.join[0], done.Aside)
}

func (f *recoverFlags) say(cmd *cobra.Command, done *server.Recovered, format string, args ...any) error {
	fact := map[string]string{"id": done.ID, "group": done.Group, "aside": done.Aside}
	return say(cmd, &f.conn, fact, format, args...)
}

// lookTimeout is how long another node may take to say which group it is of.
const lookTimeout = 2 * time.Second

// hasLeader refuses to recover from a group that goes on: some node of it that answers knows a leader.
func hasLeader(ctx context.Context, s *server.Survey) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	ask, leads := contacts(), make(chan string, len(s.HTTP))
	var all sync.WaitGroup
	for id, addr := range s.HTTP {
		if id == s.ID {
			continue
		}
		all.Go(func() {
			if c, err := ask.Cluster(ctx, addr); err == nil && c.Group == s.Group && c.Leader != "" {
				leads <- c.Leader
			}
		})
	}
	all.Wait()
	select {
	case id := <-leads:
		return &cli.Error{Code: cli.Conflict, Err: fmt.Errorf("the group goes on without %s, led by %s: nothing is to be recovered; start this node again", s.ID, id)}
	default:
		return nil
	}
}

// anotherGroup makes sure that there is a group to join, and that it is not the one that the files are of: they
// would be given up for nothing.
func anotherGroup(ctx context.Context, s *server.Survey, targets []string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, addr := range targets {
		var c server.Cluster
		if c, err = contacts().Cluster(ctx, addr); err != nil {
			continue
		}
		switch {
		case c.State != server.StateMember:
			err = &cli.Error{Code: cli.Conflict, Err: fmt.Errorf("the node at %s belongs to no group yet", addr)}
		case c.Group == s.Group:
			return &cli.Error{Code: cli.Conflict, Err: fmt.Errorf("the node at %s is of the same group as %s: start this node as it is, or recover the other one first", addr, s.ID)}
		default:
			return nil
		}
	}
	var said *cli.Error
	if errors.As(err, &said) {
		return err
	}
	return &cli.Error{Code: cli.Retry, Err: fmt.Errorf("no node answers at %s: start the recovered node first, and give its HTTP address", strings.Join(targets, ", "))}
}

package main

import (
	"crypto/rand"
	"io"
	"math"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

// benchFlags are the flags of todod bench.
type benchFlags struct {
	servers  []string
	nodes    int
	writes   bool
	reads    bool
	mix      int
	book     bool
	conns    int
	duration time.Duration
	warmup   time.Duration
	rate     float64
	size     int
	lists    int
	level    string
	keys     bool
	keep     bool
	faults   []string
	data     string
	html     string
	output   cli.Connection
}

func benchCommand(env func(string) string) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use: "bench", Short: "a load on a running group, or on nodes of its own, with a table at the end",
		Long: `bench loads the group at --server, or --nodes that it starts for it, and prints how
many operations a second it did and how long they took. It then reads what is stored: every
acknowledged write must be there, once; it ends with 1 if not.

Each of --conns connections has one request in flight. A try that fails is repeated at the
next node, for 10 s at most, and its time counts; writes carry an Idempotency-Key for that.
A group keeps 1,000,000 keys for at least a minute: for more writes than that, --keys=false.
With --rate the requests are due at that rate whatever became of those before, and latency
is measured from when each was due: a pause of the group is in all requests it held up. How
long the tries took that were accepted, each from when it was sent, is told beside it.

Each of --faults befalls the leader, which is away for half of the time to the next one, 3 s
at most: kill is kill -9, term is SIGTERM, pause is SIGSTOP and SIGCONT.

It writes to lists named bench-RUN-N alone and deletes them at the end, unless --keep.
What is read is five entries of one date, added beforehand. --book is the book's two routes:
70 % POST /add_entry, 30 % GET /entries of one of 365 dates, empty at the start.`,
		Example: `  todod bench
  todod bench --mix 10 --conns 256 --duration 30s
  todod bench --server 10.0.0.1:5454,10.0.0.2:5454,10.0.0.3:5454 --reads --consistency stale
  todod bench --rate 2000 --faults kill,term,pause --duration 20s --html bench.html
  todod bench --book --conns 100 --duration 20s --output json`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := f.check(cmd)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP, syscall.SIGPIPE)
		defer stop()
		b := &bench{flags: &f, work: w, out: cmd.OutOrStdout(), log: io.Discard, paint: cli.Paint(cmd.OutOrStdout(), env)}
		b.drawn = cli.Terminal(b.out)
		if cli.Terminal(cmd.ErrOrStderr()) {
			b.log = cmd.ErrOrStderr()
		}
		return b.run(ctx)
	}
	return cmd
}

func (f *benchFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringSliceVar(&f.servers, "server", nil, "`ADDR[,ADDR...]` of a running group's nodes, the load goes over all of them (default nodes of its own)")
	fs.IntVar(&f.nodes, "nodes", 3, "how many nodes it starts, where --server names none")
	fs.BoolVar(&f.writes, "writes", false, "only writes (the default)")
	fs.BoolVar(&f.reads, "reads", false, "only reads")
	fs.IntVar(&f.mix, "mix", 100, "`PERCENT` of writes, the others are reads")
	fs.BoolVar(&f.book, "book", false, "the book's two routes, 70 % writes unless --mix says otherwise")
	fs.IntVar(&f.conns, "conns", 64, "connections, each with one request in flight")
	fs.DurationVar(&f.duration, "duration", 10*time.Second, "how long it is measured")
	fs.DurationVar(&f.warmup, "warmup", 500*time.Millisecond, "how long the load goes on before that")
	fs.Float64Var(&f.rate, "rate", 0, "`N` requests due a second, 0 for as many as the connections can")
	fs.IntVar(&f.size, "size", 100, "bytes of a title")
	fs.IntVar(&f.lists, "lists", 1000, "lists that the load is spread over")
	fs.StringVar(&f.level, "consistency", "", "`LEVEL` of the reads: linearizable, stale or auto (default the route's)")
	fs.BoolVar(&f.keys, "keys", true, "send an Idempotency-Key with each write; without it what may have arrived is not repeated")
	fs.BoolVar(&f.keep, "keep", false, "leave the lists at --server")
	fs.StringSliceVar(&f.faults, "faults", nil, "`KIND[,KIND...]` of kill, term and pause: what befalls the leader, evenly over the time; on its own nodes only")
	fs.StringVar(&f.data, "data", "", "`DIR` in which its own nodes have their files meanwhile (default the system's temporary folder)")
	fs.StringVar(&f.html, "html", "", "write a page with everything over time to `FILE`")
	f.output.AddOutput(cmd)
	for name, values := range map[string][]string{"consistency": {"linearizable", "stale", "auto"}, "faults": faultKinds()} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// The limits of a bench, each with its reason.
const (
	mostNodes = 9         // more voters only make writes slower
	mostConns = 10_000    // ports of a machine to one node run out at some 28,000
	mostLists = 100_000   // they are read and deleted one by one in the end
	mostRate  = 1_000_000 // more than one machine can send
	mostTime  = 24 * time.Hour
)

// check refuses what is wrong in itself and returns what is to be sent.
func (f *benchFlags) check(cmd *cobra.Command) (*work, error) {
	if err := f.output.Check(); err != nil {
		return nil, err
	}
	percent, err := f.percent(cmd.Flags().Changed("mix"))
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		wrong bool
		what  string
	}{
		{f.nodes < 1 || f.nodes > mostNodes, "--nodes must be 1 to 9"},
		{cmd.Flags().Changed("nodes") && len(f.servers) > 0, "--nodes is for the nodes that bench starts itself: leave out --server"},
		{f.conns < 1 || f.conns > mostConns, "--conns must be 1 to 10000"},
		{f.duration < shortestSlot || f.duration > mostTime, "--duration must be 50ms to 24h"},
		{f.warmup < 0 || f.warmup > mostTime, "--warmup must be 0 to 24h"},
		{f.rate < 0 || f.rate > mostRate || math.IsNaN(f.rate), "--rate must be 0 to 1000000"},
		{f.size < minSize || f.size > todo.MaxTitle, "--size must be 30 to 1000"},
		{f.lists < 1 || f.lists > mostLists, "--lists must be 1 to 100000"},
		{f.level != "" && !slices.Contains([]string{"linearizable", "stale", "auto"}, f.level), "--consistency must be linearizable, stale or auto"},
		{len(f.faults) > 0 && len(f.servers) > 0, "--faults is for the nodes that bench starts itself: leave out --server"},
		{f.keep && len(f.servers) == 0, "--keep needs --server: nodes of its own are gone in the end"},
		{f.data != "" && len(f.servers) > 0, "--data is for the nodes that bench starts itself: leave out --server"},
	} {
		if c.wrong {
			return nil, cli.UsageError("%s", c.what)
		}
	}
	for _, kind := range f.faults {
		if !slices.Contains(faultKinds(), kind) {
			return nil, cli.UsageError("--faults must be of kill, term and pause, not %q", kind)
		}
	}
	if len(f.servers) > 0 {
		known, err := api.NewClient(f.servers, api.Options{})
		if err != nil {
			return nil, cli.UsageError("--server: %w", err)
		}
		f.servers = known.Addrs()
	}
	run := strings.ToLower(rand.Text()[:8])
	return newWork(work{Run: run, Percent: percent, Book: f.book, Lists: f.lists, Size: f.size, Keys: f.keys, Level: f.level}), nil
}

// percent is the share of writes that the flags come to.
func (f *benchFlags) percent(mixed bool) (int, error) {
	given := 0
	for _, on := range []bool{f.writes, f.reads, mixed} {
		if on {
			given++
		}
	}
	switch {
	case given > 1:
		return 0, cli.UsageError("give one of --writes, --reads and --mix")
	case f.mix < 0 || f.mix > 100:
		return 0, cli.UsageError("--mix must be 0 to 100")
	case f.reads:
		return 0, nil
	case f.book && given == 0:
		return 70, nil
	}
	return f.mix, nil
}

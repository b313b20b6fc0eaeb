package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says what a node is. Open fills in the defaults.
type Config struct {
	ID   string // unique in the group; "" for the only node folder in Data, else the host name
	Data string // the node's files live in Data/ID
	Raft string // address to listen on for other nodes

	AdvertiseHTTP string // what others are told; AdvertiseHTTP must be given,
	AdvertiseRaft string // AdvertiseRaft is the bound address by default

	Join            []string      // HTTP addresses of members of the group to join
	BootstrapExpect int           // found a group with this many nodes of Join; 0: do not
	Expiry          time.Duration // an idle list process leaves after this long; 60 s by default
	RequestTimeout  time.Duration // the most a call on behalf of a client takes; 5 s by default
	Insecure        bool          // allow addresses off loopback
	Contacts        Contacts      // how to speak with the nodes of Join; needed for joining only
	Version         string        // of the program, for others to see
	// DiskReserve is the room in bytes below which the disk counts as full: such a node leads no
	// longer than it must. 0 for the smaller of 64 MiB and 2 % of the disk, negative for none.
	DiskReserve int64
	// MarkInterval is how often the leader has the nodes compare their hashes; 60 s by default. A
	// difference in what they applied is found within two of them.
	MarkInterval time.Duration
	// ScrubInterval is how often a node reads its whole replica to find decay; 10 minutes by default.
	ScrubInterval time.Duration

	// BackupDir is where this node puts a backup each BackupEvery (a day by default) and keeps the newest
	// BackupKeep (7 by default) of them; "" for none.
	BackupDir   string
	BackupEvery time.Duration
	BackupKeep  int
	// RemoveDeadAfter is how long a member may be dead before a leader takes it out of the group for
	// good; 0 for ever. See deadMember for the guards.
	RemoveDeadAfter time.Duration

	// Fatal is called when the node cannot go on, by the goroutine that found out: a program
	// ends its process there, before anything else is done on top of a failed disk.
	Fatal func(*Exit)

	Logger  *slog.Logger          // none by default
	Metrics prometheus.Registerer // none by default

	// For tests that cut the log often: instead of snapshotEntries and trailingLogs; 0 for those.
	SnapshotEntries, TrailingLogs uint64

	// The rest is for tests in virtual time, which have no sockets and need no fsync.
	Listener net.Listener                                             // instead of listening on Raft
	Dial     func(ctx context.Context, addr string) (net.Conn, error) // instead of dialling TCP
	Now      func() time.Time                                         // instead of the clock
	NoSync   bool                                                     // leave fsync out
	disk     disk                                                     // instead of the one under Data
	step     func(context.Context, string)                            // called where a node may die; nil otherwise
	machine  func(raft.BatchingFSM) raft.BatchingFSM                  // what Raft is given, around the replica
	reads    uint64                                                   // instead of fsm.Reads
	// keepStuck leaves a Raft stuck that had a replica installed over a log that went on without it.
	keepStuck bool
}

func (c *Config) fill() {
	if c.Expiry == 0 {
		c.Expiry = time.Minute
	}
	if c.BackupEvery == 0 {
		c.BackupEvery = 24 * time.Hour
	}
	if c.BackupKeep == 0 {
		c.BackupKeep = 7
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 5 * time.Second
	}
	if c.MarkInterval == 0 {
		c.MarkInterval = time.Minute
	}
	if c.SnapshotEntries == 0 {
		c.SnapshotEntries = snapshotEntries
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = trailingLogs
	}
	if c.ScrubInterval == 0 {
		c.ScrubInterval = 10 * time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// The exit codes of a node that cannot go on; a restart does not cure 70, 73 and 78.
const (
	ExitFailed        = 1
	ExitFenced        = 70 // its data diverged
	ExitFolderRefused = 73 // the data folder is foreign, wiped, removed or of a newer version
	ExitStorage       = 74 // the storage failed
	ExitUnknownEntry  = 78 // a log entry is damaged or of a newer version
)

// Exit is why a node ended or did not start, with the exit code of its process.
type Exit struct {
	Code   int
	Reason string // one sentence for a person
}

func (e *Exit) Error() string { return e.Reason }

func exit(code int, format string, args ...any) *Exit {
	return &Exit{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// CheckAddr refuses an address off loopback unless insecure is set: what comes in there is
// neither encrypted nor authenticated. flag names the address in the error.
func CheckAddr(flag, addr string, insecure bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return fmt.Errorf("%s %q is not an address: give it as host:port", flag, addr)
	}
	if insecure || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s %s is off loopback and nothing there is encrypted or authenticated: add --insecure if the network is trusted", flag, addr)
}

// CheckRemoveDeadAfter refuses a time in which a healthy node could be restarted.
func CheckRemoveDeadAfter(d time.Duration) error {
	if d != 0 && d < minRemoveDeadAfter {
		return fmt.Errorf("--remove-dead-after must be %s or more, or 0 for never: a node that is taken out may not come back", minRemoveDeadAfter)
	}
	return nil
}

// CheckID checks a node's name: 1-64 of A-Za-z0-9._-, not starting with a dot.
func CheckID(id string) error {
	ok := id != "" && len(id) <= 64 && id[0] != '.' && strings.Trim(id, idChars) == ""
	if !ok {
		return fmt.Errorf("the node id %q must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot", id)
	}
	return nil
}

const idChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// asExit returns the exit in err's chain, or one with ExitFailed.
func asExit(err error) *Exit {
	var e *Exit
	if errors.As(err, &e) {
		return e
	}
	return &Exit{Code: ExitFailed, Reason: err.Error()}
}

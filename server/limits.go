package server

import "time"

// The limits of a node, each with its reason.
const (
	// maxProcesses is the most list processes that live at a time: one costs about 3.4 KB,
	// so 100,000 of them would be 337 MB.
	maxProcesses = 20_000
	// maxMailbox is how many commands may wait at one list before it answers 429.
	maxMailbox = 1024
	// maxWaiting is how many commands may wait for the proposer, over all lists, and maxWaitingHere at a
	// follower, before the node answers 503: together less than a second of work for three small
	// machines. What waits for longer is worth less to its caller than a refusal at once.
	maxWaiting     = 4096
	maxWaitingHere = 2048
	// maxWaitingBytes bounds the same in bytes: a command may be 1 MiB.
	maxWaitingBytes = 64 << 20
	// maxEntryBytes bounds what is coalesced into one log entry. Raft's thresholds count
	// entries, not bytes, and MaxAppendEntries of them travel together. One
	// command may be larger than this and then goes alone.
	maxEntryBytes = 128 << 10
	// maxProposals is how many log entries are on their way to commit at a time. More make
	// smaller batches and are slower: a commit round costs the same whatever it carries.
	maxProposals = 2
	// maxForwards is how many batches a follower has on their way to the leader.
	maxForwards = 4
	// maxForwardBytes bounds one forwarded batch, and maxForwardOps its answer: an operation is
	// answered with an entry, of at most some 4 KB, and a frame between peers has 16 MiB.
	maxForwardBytes = 1 << 20
	maxForwardOps   = 2000

	// electionTimeout serves as heartbeat, election and lease timeout: shorter ones lead to
	// needless elections under full load on small machines.
	electionTimeout = 500 * time.Millisecond
	// commitTimeout is how often an idle leader tells its followers what is committed. At 5 ms
	// an idle group burns 0.08 cores, at 50 ms 0.042, at 75 ms 0.037; reads do not wait for it (reads.go).
	commitTimeout = 75 * time.Millisecond
	// trailingLogs stay in the log after a snapshot, so that a node that was away for a
	// moment needs no snapshot; fewer if they are long, but some. See fsm/snapshot.go for why not 0.
	trailingLogs   = 1024
	trailingBytes  = 16 << 20
	fewestTrailing = 16
	// snapshotEntries and snapshotBytes of log since the last snapshot call for a new one.
	snapshotEntries = 8192
	snapshotBytes   = 32 << 20
	// heldBytes is how far the log may grow while a node gets the replica and what follows it, and heldFor how long a
	// node may take for what follows.
	heldBytes = 8 * snapshotBytes
	heldFor   = time.Minute
	// compactEvery is how often that is looked at: also a node that lives for a second only cuts its log.
	compactEvery = 250 * time.Millisecond

	// readTimeout is how long a linearizable read tries to have a leader confirmed.
	readTimeout = 1500 * time.Millisecond
	// pingEvery is how often a node asks each other for signs of life: twice as often takes a fifth more CPU of
	// an idle group, and whoever dies shows itself by its streams. downAfter is how long it may stay silent
	// before it counts as down.
	pingEvery = 500 * time.Millisecond
	downAfter = 2 * time.Second
	// renewPatience is how long a Raft that begins anew waits for the writes that are under way at its node: those that
	// a majority commits without it are done by then, and the others wait for it.
	renewPatience = electionTimeout / 2
	// maxClockOffset is how far a node's clock may be off the median of the voters for it
	// to stamp commands: a clock years ahead would expire every key for good.
	maxClockOffset = 10 * time.Second
	// twiceFor is how long a node is told that it runs twice before it believes it: longer than a process
	// that hangs counts as alive.
	twiceFor = 2 * downAfter
	// joinEvery is how often a node asks again to be let into a group.
	joinEvery = 500 * time.Millisecond
	// maxReserve is the most that is kept free on the disk by default, and else 2 % of it: enough for
	// leaders to change, logs to be cut and a replica to be flushed while nobody may write.
	maxReserve = 64 << 20
	// maxBackups is how many backups a node makes and keeps for their readers at a time: each takes as much
	// room on the disk as there is data, and a reader may take long.
	maxBackups = 2
	// markPatience is how long a node asks the others for their hashes at a mark: one that is behind
	// comes to it later, one that is down has nothing to say.
	markPatience = 10 * time.Second
	markPause    = 250 * time.Millisecond
	// lendTimeout is how long a copy of the replica may take to be made for a node that lost its own, and is then
	// kept for one that asks for no part of it.
	lendTimeout = time.Minute
	// maxTold bounds what is kept of the others' hashes at marks that this node has not come to yet.
	maxTold = 1024
	// upgradeEvery is how often the leader looks whether every member reads a higher version of the group.
	upgradeEvery = time.Second
	// restoreRoom is how much room a restore takes, in sizes of the backup: the file, and the replica that is made
	// of it, which has pages and an index. lookForRoom bytes come between two looks at the disk.
	restoreRoom = 4
	lookForRoom = 8 << 20
	// chunkBytes of a staged backup go between nodes at a time: it must be written within 2 s, also on a slow line.
	chunkBytes = 256 << 10
	// restoreTimeout is how long the entry of a restore may take to be committed and applied; the replica is made
	// before. restoreTries is how often the leader may change before that.
	restoreTimeout = 2 * time.Minute
	restoreTries   = 5
	// spreadGrace is how long a restore waits for nodes that are slower than a majority.
	spreadGrace = 5 * time.Second
	// stagedFor is how long a backup is kept that no leader asked for.
	stagedFor = time.Hour
	// fetchPause is between two rounds of asking for a backup whose restore is to be applied, fetchTell between
	// two lines about it in the log.
	fetchPause = 200 * time.Millisecond
	fetchTell  = 10 * time.Second
	// scheduleLook is how often a node looks whether a scheduled backup is due, scheduleAgain after how long one that
	// failed is tried again at the latest, and scheduleReady how long the first waits for a leader.
	scheduleLook  = time.Second
	scheduleAgain = time.Minute
	scheduleReady = time.Minute
	// cleanEvery is how often a leader with --remove-dead-after looks for dead members, and
	// minRemoveDeadAfter the least that flag takes: to be taken out is for good, and a
	// process that is restarted, or a fast machine, is back within it.
	cleanEvery         = time.Second
	minRemoveDeadAfter = 30 * time.Second
	// sweepRows is how many rows of deleted lists one command takes away.
	sweepRows = 1000
	// raisePatience is how long a restore waits for the version of a new group to be raised.
	raisePatience = 3 * time.Second
	// purgeEvery is how often a leader looks for trash and history that was kept for long enough, which is days.
	purgeEvery = 10 * time.Minute
)

const (
	// maxAppendEntries travel to a follower together.
	maxAppendEntries = 64
	// logCache is how many of the newest log entries are kept in memory for followers.
	logCache = 512
	// replicaSilence is how long nothing may come of a replica that a leader sends: no shorter than what TCP takes to
	// send again what was lost three times, and as long as a node may be silent before it counts as down.
	replicaSilence = downAfter
	// transportTimeout bounds one exchange between two Rafts.
	transportTimeout = 10 * time.Second
	// pingTimeout is how long a call that should be answered at once may take.
	pingTimeout = time.Second
	// pingAgain is the pause after a first ping without an answer; it doubles up to pingEvery.
	pingAgain = 2 * time.Millisecond
	// roundPause is between two attempts to find or confirm a leader.
	roundPause = 5 * time.Millisecond
	// promoteEvery is how often the leader looks whether a new member has caught up.
	promoteEvery = 25 * time.Millisecond
	// The survivors of a dead leader are asked every pollEvery, for pollTimeout at most, and for
	// pollGrace more once a majority has agreed. A candidate with a worse log lets rankPause
	// pass for each better one: 30 ms let two run at once under load, and cost seconds.
	pollEvery   = 5 * time.Millisecond
	pollTimeout = 300 * time.Millisecond
	pollGrace   = 5 * time.Millisecond
	rankPause   = 200 * time.Millisecond
	// diskTick is what the age of a write is counted in. After stallTicks of them the disk counts as
	// stalled: fsyncs of a second are not rare on a busy machine. With no other write for canaryTicks
	// a canary goes out. freshWithin is less than the time to a stall by more than the
	// canary's interval and a ping's: what came back within it did so after the stall began.
	diskTick    = 250 * time.Millisecond
	stallTicks  = 12
	canaryTicks = 2
	freshWithin = 2 * time.Second
	// cutTimeout is how long a node whose disk is stalled takes to close its connections.
	cutTimeout = 100 * time.Millisecond
	// handOverPause is between two attempts to be rid of leadership.
	handOverPause = time.Second
	// closeTimeout is how long a stopping node waits for its last proposals.
	closeTimeout = 2 * time.Second
)

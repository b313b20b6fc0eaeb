package httpapi

import (
	"time"

	"todod/fsm/todo"
)

// The limits of the public face, each with its reason.
const (
	// maxBody is the most bytes a body may have: a batch of a thousand long titles fits.
	maxBody = 1 << 20
	// maxHeader bounds the header of a request; net/http answers 431 beyond it. Ours are
	// small, browsers' cookies are the largest thing that comes.
	maxHeader = 64 << 10
	// maxStreams is how many event streams may be open: each holds a goroutine and a
	// connection for as long as its client likes, some 40 KiB in all.
	maxStreams = 10_000
	// feedBytes is how much of the newest changes is kept, encoded, for those who follow them. A follower that has
	// fallen behind all of it is cut off.
	feedBytes = 16 << 20
	// feedBack is how many changes the feed begins with, for those who come from another node.
	feedBack = 1000
	// feedChanges and feedRead, in bytes, bound what the feed reads of the replica at a time.
	feedChanges, feedRead = 10_000, 4 << 20
	// wakeAtOnce is how many followers are woken at a time, with wakePause before the next: each takes some 10 us,
	// and writers must not wait until thousands are through.
	wakeAtOnce, wakePause = 64, time.Millisecond
	// maxCatchUps is how many followers may read changes of their own at a time, catchUpChanges at once, looking at
	// catchUpRead bytes.
	maxCatchUps, catchUpChanges, catchUpRead = 4, 1000, 4 << 20
	// syncRead is how many bytes of changes of any list one sync looks at: some 10 ms.
	syncRead = 16 << 20
	// sendChunk is about how much is written to a follower before its deadline begins anew.
	sendChunk = 256 << 10
	// keepBuffer is the largest buffer that goes back to the pool: a large answer must not
	// pin its memory for good.
	keepBuffer = 64 << 10
	// streamChunk is how much of a backup moves at a time.
	streamChunk = 64 << 10
	// flushText is how much of a text answer of any length is gathered before it is written.
	flushText = 32 << 10

	// maxScan is how many rows one page of a filter looks at, found or not: some 5 ms. A short page has a next one.
	maxScan = 20_000
	// maxSort is how many rows are looked at to sort some: a list as large as one may be, some 0.3 s.
	maxSort = todo.MaxEntries + maxScan
	// agendaRows is how many rows for each that is asked for are looked at by date, where the earliest come first, and
	// agendaShare the share of a list that may be besides, a twentieth: where more were needed, that look was in vain, and all
	// together costs a third more.
	agendaRows  = 8
	agendaShare = 20
	// listRows is how many rows it costs as much as to find a list.
	listRows = 3
	// seatRows is how many rows a request looks at before it waits for a seat: nobody waits for as long as those take.
	seatRows = 4096

	// headerTimeout is how long a client may take over a header, a silent new connection
	// too, and bodyTimeout over a body: what trickles in holds a goroutine.
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	// idleTimeout is how long a connection may stay open between two requests. It is longer
	// than the pause of most pollers, who would else reconnect each time.
	idleTimeout = 2 * time.Minute
	// writeTimeout is how long an answer may take to be read, on top of the request's own
	// time; a stream has this long for each event.
	writeTimeout = 30 * time.Second
	// streamTimeout is how long a backup may stand still, on the way out or in: what takes as much room
	// on the disk must not be held for good.
	streamTimeout = 30 * time.Second
	// requestTimeout is the most a request may take when the Config does not say.
	requestTimeout = 5 * time.Second
	// heartbeat is how often a silent stream says that it is alive: below the idle timeouts
	// of the usual proxies and of our own clients (30 s).
	heartbeat = 10 * time.Second
	// retryAfter, in seconds, goes with 429 and 503: an election or a full mailbox takes less.
	retryAfter = "1"
	// maxAnswer is the most that Contacts reads of another node's answer.
	maxAnswer = 1 << 20

	minKey, maxKey = 16, 128 // bytes of an Idempotency-Key
)

// Those of files that come in and go out.
const (
	// maxImport is the most bytes of a file that comes in: a full list of plain entries fits twice.
	maxImport = 256 << 20
	// maxTransfers is how many exports and imports may be on their way: each holds up to exportBuffer, or partBytes and
	// some 100 bytes for each entry of its file.
	maxTransfers = 8
	// exportBuffer is how much of an export is gathered before it is sent: most lists fit, and their view is closed before.
	exportBuffer = 4 << 20
	// exportTimeout is how long a longer export may hold its view: the file of the replica grows by what changes meanwhile.
	exportTimeout = 10 * time.Minute
	// partBytes is how much of a file goes into one command at most, as in a batch.
	partBytes = 1 << 20
	// maxReported is how many lines of a file an import reports on.
	maxReported = 10_000
	// maxRetries is how often a part of an import is worked out anew because others changed the list meanwhile.
	maxRetries = 8
)

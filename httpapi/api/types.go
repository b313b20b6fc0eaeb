// Package api holds what todod speaks over HTTP: the wire types, the error codes and
// a Go client. It links neither Raft nor bolt, so that any program can use it.
package api

import (
	"encoding/json"
	"time"
)

// Entry is one to-do item.
type Entry struct {
	List    string    `json:"list"`
	ID      uint64    `json:"id"`
	Title   string    `json:"title"`
	Date    string    `json:"date,omitempty"`
	Done    bool      `json:"done"`
	Rev     uint64    `json:"rev"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	More
	Due       string     `json:"due,omitempty"`       // from date, time and tz: 2006-01-02, 2006-01-02T15:04:05 where it floats, or with the zone's offset
	Completed *time.Time `json:"completed,omitempty"` // when it was done
}

// NewEntry is the body of a POST or a PUT of an entry.
type NewEntry struct {
	Title string `json:"title"`
	Date  string `json:"date,omitempty"`
	Done  bool   `json:"done,omitempty"`
	More
}

// More are the settable fields that few entries have.
type More struct {
	Time       string          `json:"time,omitempty"`        // 15:04
	TZ         string          `json:"tz,omitempty"`          // an IANA name; floating without
	Priority   uint8           `json:"priority,omitempty"`    // 1 (highest) to 9, 0 for none
	Tags       []string        `json:"tags,omitempty"`        // sorted
	Notes      string          `json:"notes,omitempty"`       // at most 16 KiB
	Parent     uint64          `json:"parent,omitempty"`      // the entry that this one is below
	Repeat     string          `json:"repeat,omitempty"`      // an RRULE of RFC 5545 without sub-day parts
	RepeatFrom string          `json:"repeat_from,omitempty"` // "done": the next date is counted from when it was done; else from when it was due
	Remind     []string        `json:"remind,omitempty"`      // -PT15M, or an instant
	UID        string          `json:"uid,omitempty"`         // unique in the list
	X          json.RawMessage `json:"x,omitempty"`           // an object of properties that only clients know
}

// List is what is known of a list beside its entries.
type List struct {
	Name    string `json:"name"`
	Entries uint64 `json:"entries"`
	Open    uint64 `json:"open"`
	Rev     uint64 `json:"rev"`

	Title    string `json:"title,omitempty"`    // shown instead of the name
	Colour   string `json:"colour,omitempty"`   // #rrggbb
	Archived bool   `json:"archived,omitempty"` // kept, and out of the way
	Sort     string `json:"sort,omitempty"`     // what clients sort it by if nobody says otherwise
}

// ListPatch changes what it names and leaves the rest alone; what is empty takes the field away. A list that gets
// another name keeps its entries and their ids.
type ListPatch struct {
	Name     *string `json:"name,omitempty"` // one that no list ever had
	Title    *string `json:"title,omitempty"`
	Colour   *string `json:"colour,omitempty"`
	Archived *bool   `json:"archived,omitempty"`
	Sort     *string `json:"sort,omitempty"`
}

// Lists is a page of lists. Next is the cursor of the page after it, "" if there is none.
type Lists struct {
	Lists []List `json:"lists"`
	Next  string `json:"next,omitempty"`
}

// Entries is a page of the entries of a list.
type Entries struct {
	List    string  `json:"list"`
	Rev     uint64  `json:"rev"`
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"`
}

// FoundEntries is a page of the entries of all lists. Rev is that of all of them together.
type FoundEntries struct {
	Rev     uint64  `json:"rev"`
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"`
}

// EntryPatch changes what it names and leaves the rest alone. What is empty (or 0, or an X of null) takes the
// field away, as null does in a merge patch (RFC 7396); a title must not be.
type EntryPatch struct {
	Title      *string         `json:"title,omitempty"`
	Date       *string         `json:"date,omitempty"`
	Done       *bool           `json:"done,omitempty"`
	Time       *string         `json:"time,omitempty"`
	TZ         *string         `json:"tz,omitempty"`
	Priority   *uint8          `json:"priority,omitempty"`
	Tags       *[]string       `json:"tags,omitempty"`
	Notes      *string         `json:"notes,omitempty"`
	Parent     *uint64         `json:"parent,omitempty"`
	Repeat     *string         `json:"repeat,omitempty"`
	RepeatFrom *string         `json:"repeat_from,omitempty"`
	Remind     *[]string       `json:"remind,omitempty"`
	UID        *string         `json:"uid,omitempty"`
	X          json.RawMessage `json:"x,omitempty"`
}

// Search is the entries that were found by words, those that fit best first. More says that there are others: ask for
// more words.
type Search struct {
	Rev     uint64  `json:"rev"`
	Entries []Entry `json:"entries"`
	More    bool    `json:"more"`
}

// Command is one command of a batch: op is add, put, patch, delete, delete_list, move, copy, place, restore or purge. Add and put set
// what it names, a patch changes it.
type Command struct {
	Op   string `json:"op"`
	List string `json:"list"`
	ID   uint64 `json:"id,omitempty"`
	EntryPatch
	To       string  `json:"to,omitempty"`        // of move and copy: the other list
	Place    *Place  `json:"place,omitempty"`     // of place
	IDOf     *uint64 `json:"id_of,omitempty"`     // instead of ID: which command of the batch, from 0, makes the entry
	ParentOf *uint64 `json:"parent_of,omitempty"` // ... and which makes its parent
	IfMatch  string  `json:"if_match,omitempty"`
}

// Place is where an entry is put in the order of its list: one of the four.
type Place struct {
	First  bool   `json:"first,omitempty"`
	Last   bool   `json:"last,omitempty"`
	Before uint64 `json:"before,omitempty"` // an entry of the list
	After  uint64 `json:"after,omitempty"`  // an entry of the list
}

// To is the body of a move or a copy: the list that an entry goes to, with all below it.
type To struct {
	To string `json:"to"`
}

// Bulk is the body of POST /v1/lists/{list}/bulk: one thing that is done to all entries that a filter chooses, at most 1,000.
// Op is patch (with the fields to set, and tags to add to those that there are or to take away), delete, move or copy (with to).
type Bulk struct {
	Filter     string   `json:"filter"`
	Op         string   `json:"op"`
	EntryPatch          // but for UID: each entry needs one of its own
	AddTags    []string `json:"add_tags,omitempty"`
	RemoveTags []string `json:"remove_tags,omitempty"`
	To         string   `json:"to,omitempty"`
	DryRun     bool     `json:"dry_run,omitempty"` // say what would be changed, and change nothing
}

// BulkResult answers it with the ids of the entries that were changed, or would be.
type BulkResult struct {
	Rev uint64   `json:"rev"`
	IDs []uint64 `json:"ids"`
}

// Batch is the body of POST /v1/batch: done wholly or not at all.
type Batch struct {
	Commands []Command `json:"commands"`
}

// BatchResult answers a batch: one result for each command, in order.
type BatchResult struct {
	Rev     uint64        `json:"rev"`
	Results []BatchChange `json:"results"`
}

// BatchChange is what one command of a batch did. Entry is absent after a delete; From says where it was
// moved or copied from.
type BatchChange struct {
	Op    string    `json:"op"`
	List  string    `json:"list"`
	ID    uint64    `json:"id,omitempty"`
	Entry *Entry    `json:"entry,omitempty"`
	From  *EntryRef `json:"from,omitempty"`
}

// EntryRef names an entry, or with ID 0 a list.
type EntryRef struct {
	List string `json:"list"`
	ID   uint64 `json:"id,omitempty"`
}

// Change is what one command changed: the data of an event of /v1/events.
type Change struct {
	ID    string        `json:"-"` // of the event: where to go on, at any node
	Rev   uint64        `json:"rev"`
	Time  time.Time     `json:"time"`
	Items []BatchChange `json:"items"`
}

// Synced is what changed in a list since a cursor.
type Synced struct {
	List    string   `json:"list"`
	Rev     uint64   `json:"rev"`
	Reset   bool     `json:"reset,omitempty"` // what was held of the list before is void
	Entries []Entry  `json:"entries"`         // that changed, whole
	Gone    []uint64 `json:"gone,omitempty"`  // that are no longer there
	Cursor  string   `json:"cursor"`          // for the next call
	More    bool     `json:"more,omitempty"`  // there is more already
}

// Settings are what a group decides for itself. In a patch, what is left out stays as it is.
type Settings struct {
	TrashDays uint64 `json:"trash_days"` // how long a deleted entry stays in the trash, 30 by default
	EventsMiB uint64 `json:"events_mib"` // how much of the changes is kept for those who follow, 128 by default
}

// Trashed is an entry of the trash, as it was when it was deleted.
type Trashed struct {
	Entry
	Deleted    time.Time `json:"deleted"`
	DeletedRev uint64    `json:"deleted_rev"`
	With       uint64    `json:"with,omitempty"` // the entry that took it along
}

// Trash is a page of the trash of a list, by id.
type Trash struct {
	List  string    `json:"list"`
	Trash []Trashed `json:"trash"`
	Next  string    `json:"next,omitempty"`
}

// History is a page of the changes of an entry, the newest first.
type History struct {
	List    string        `json:"list"`
	ID      uint64        `json:"id"`
	Changes []EntryChange `json:"changes"`
	Next    string        `json:"next,omitempty"`
}

// EntryChange is what one command changed in an entry: op is patch (by whatever command), delete or restore.
type EntryChange struct {
	Rev    uint64                 `json:"rev"`
	Time   time.Time              `json:"time"`
	By     string                 `json:"by,omitempty"` // who changed it
	Op     string                 `json:"op"`
	Fields map[string]FieldChange `json:"fields"`
}

// FieldChange is the JSON of a field before and after a change; null for none.
type FieldChange struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Undo is the body of POST /v1/undo: the rev to undo.
type Undo struct {
	Rev uint64 `json:"rev"`
}

// Cluster is the group as the node that answers sees it.
type Cluster struct {
	ID       string   `json:"id"`
	Leader   string   `json:"leader"`
	Term     uint64   `json:"term"`
	Commit   uint64   `json:"commit"`
	Applied  uint64   `json:"applied"`
	Snapshot uint64   `json:"snapshot"` // the log entry that this node's last snapshot goes up to
	State    string   `json:"state"`    // empty, joining, member, removed
	Group    string   `json:"group"`
	Folder   string   `json:"folder"`
	Version  string   `json:"version"`
	Reads    uint64   `json:"reads"` // the highest version of a group that this node can read
	Expect   int      `json:"expect,omitempty"`
	Sees     []string `json:"sees,omitempty"`
	Members  []Member `json:"members"`

	GroupVersion uint64      `json:"group_version"` // 0 while there is no group
	Diverged     *Divergence `json:"diverged,omitempty"`
}

// Divergence is nodes whose data differ at an entry of the log, with no majority that says whose is
// right.
type Divergence struct {
	Index  uint64          `json:"index"`  // the entry
	Agreed uint64          `json:"agreed"` // the last one at which the node that answers was like a majority; 0 if it knows none
	Hashes map[string]Hash `json:"hashes"` // by node
}

// Member is a node of the group.
type Member struct {
	ID            string `json:"id"`
	HTTP          string `json:"http"`
	Raft          string `json:"raft"`
	Voter         bool   `json:"voter"`
	Alive         *bool  `json:"alive"`
	LastContactMS int64  `json:"last_contact_ms"`
	Applied       uint64 `json:"applied"`
	Version       string `json:"version"`
	Reads         uint64 `json:"reads"`           // the highest version of a group that it can read; 0 if not known
	Disk          string `json:"disk"`            // ok, low, stalled; "" if not known
	DiskFree      int64  `json:"disk_free_bytes"` // as the member said last
}

// Join is the body of POST /v1/cluster/members: what a node says of itself.
type Join struct {
	ID     string `json:"id"`
	HTTP   string `json:"http"`
	Raft   string `json:"raft"`
	Folder string `json:"folder"`
	Group  string `json:"group,omitempty"`
	Reads  uint64 `json:"reads,omitempty"` // the highest version of a group that it can read; 1 if left out
}

// Joined answers it with the group's ID.
type Joined struct {
	Group string `json:"group"`
}

// JoinAddr is the body of POST /v1/cluster/join: the group to join, by a member's HTTP address.
type JoinAddr struct {
	Addr string `json:"addr"`
}

// Transfer is the body of POST /v1/cluster/transfer; To may be "" for any voter.
type Transfer struct {
	To string `json:"to,omitempty"`
}

// Registry is the leader's registry of list processes.
type Registry struct {
	Leader    string    `json:"leader"`
	Processes []Process `json:"processes"`
}

// Process is a live list process.
type Process struct {
	List    string    `json:"list"`
	Started time.Time `json:"started"`
	Handled uint64    `json:"handled"`
	Waiting int       `json:"waiting"`
}

// Where says at which node the process of a list lives; Alive is null on a node that does not know.
type Where struct {
	List  string `json:"list"`
	Node  string `json:"node"`
	Alive *bool  `json:"alive"`
}

// Event is one event of the group.
type Event struct {
	Type string    `json:"type"`
	Node string    `json:"node"`
	Term uint64    `json:"term"`
	Time time.Time `json:"time"`
}

// Hash are the replica's hashes at an index of the log, for comparing nodes.
type Hash struct {
	Index uint64 `json:"index"`
	Chain string `json:"chain"`
	Set   string `json:"set"`
}

// Problem is an error as sent: application/problem+json, RFC 9457.
type Problem struct {
	Type    string        `json:"type"`
	Title   string        `json:"title"`
	Status  int           `json:"status"`
	Detail  string        `json:"detail"`
	Code    string        `json:"code"`
	Outcome string        `json:"outcome,omitempty"`
	Leader  string        `json:"leader,omitempty"`
	Current *Entry        `json:"current,omitempty"` // of 409, 410 and 412: the entry as it is now, where it is now
	Import  *ImportReport `json:"import,omitempty"`  // of an import: how far it came
}

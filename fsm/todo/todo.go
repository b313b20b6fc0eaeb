// Package todo holds to-do lists as plain values and every rule about them.
//
// It has no clock, no dice and no I/O: what a command does follows from the
// command, the lists it touches (seen through a View) and the time and rev it is
// given. So every node of a group that runs the same commands in the same order
// comes to the same lists.
//
// Functions in validate.go run before a command is proposed, and only there: they use
// Unicode tables, which differ between Go releases. Nothing in this file does.
package todo

// Code says how a command ended. Codes are stored and cross the wire: a number
// never changes its meaning.
type Code uint8

// The outcomes of a command on lists. Numbers from 64 on belong to package fsm.
const (
	OK           Code = 0
	NoList       Code = 1 // the list does not exist
	NoEntry      Code = 2 // the list has no entry of that id
	Precondition Code = 3 // If-Match or If-None-Match does not hold
	ListFull     Code = 4 // the list holds MaxEntries already

	// Those of version 2 of the commands.
	NoParent   Code = 5  // the parent is no entry of the list
	Cycle      Code = 6  // the entry would be below itself
	TooDeep    Code = 7  // more than MaxDepth entries one below the other
	Moved      Code = 8  // the entry is in another list now: Items has where
	Overtaken  Code = 9  // what is to be undone was changed again since
	NameTaken  Code = 10 // another list has or had the name
	TooMany    Code = 11 // more than MaxBatch entries would change
	Forgotten  Code = 12 // what is to be undone or restored is no longer kept
	Outdated   Code = 13 // what the command was worked out from has changed: the proposer works it out anew
	NoNeighbor Code = 14 // the entry that a place names is not in the list
	NotInTrash Code = 15 // there is no such entry in the trash of the list
	OrderFull  Code = 16 // there is no room at the place: what is around must be moved first
	Unfit      Code = 17 // fields that do not go together, as Consistent has it
	UIDTaken   Code = 18 // another entry of the list has the uid

	Final   Code = 24 // what is to be undone cannot be
	NoRev   Code = 25 // no command took the rev that is to be undone
	Renames Code = 26 // what is to be undone gave a list its name
)

// Entry is one to-do item. Times are Unix milliseconds, UTC.
type Entry struct {
	ID      uint64
	Title   string
	Date    string // 2006-01-02, or "" for none
	Done    bool
	Rev     uint64 // the rev of the command that changed it last
	Created int64
	Updated int64
	More    *More // nil: none of it is set. It is never changed, only replaced
}

// More is what few entries have. Texts are "" and numbers 0 where they are not set.
type More struct {
	Notes      string
	Time       string   // 15:04, with a date only
	TZ         string   // an IANA name, with a time only; "" floats
	Priority   uint8    // as iCalendar has it: 1 is highest, 9 lowest, 0 none
	Tags       []string // a set: in byte order, NFC, without the #
	Parent     uint64   // the entry of the same list that this one is below; 0 for none
	Repeat     string   // an RRULE of RFC 5545 without its name, in the spelling of package recur
	RepeatFrom From
	Remind     []string // before or after due, as RFC 5545 durations (-PT15M), or instants (RFC 3339, UTC)
	UID        string   // for import and calendars; unique in a list
	Completed  int64    // Unix ms, when it was done; 0: it is not, or that is not known
	X          string   // JSON object of properties that only clients know, compact
	Place      Place    // where it was put; zero: by its id
}

// From says what the next date of a repeat is counted from.
type From uint8

// The two ways of counting.
const (
	FromDue  From = 0
	FromDone From = 1
)

// Place is where an entry stands in its list, in the order that people give it: by Hi, then Lo. One that
// was never put anywhere stands at its id and 0.
type Place struct{ Hi, Lo uint64 }

// List is what is kept of a list beside its entries. A name that was never used, or
// whose list was deleted, has Num 0; LastID then still remembers the highest id used.
type List struct {
	Name    string
	Num     uint64 // the internal number its rows are keyed by; 0: no such list now
	LastID  uint64 // the highest id ever used under this name
	Entries uint64
	Open    uint64 // entries not done
	Rev     uint64 // the rev of the command that changed it last; 0: no such list now
	More    *ListMore
}

// Kind is what a single operation does.
type Kind uint8

// The kinds of operation. Like codes, they are stored: never renumber.
const (
	Add        Kind = 1
	Put        Kind = 2
	Patch      Kind = 3
	Delete     Kind = 4
	DeleteList Kind = 5

	// Those of version 2 of the commands.
	Restore   Kind = 6  // takes an entry back out of the trash
	Purge     Kind = 7  // takes an entry out of the trash for good
	Undo      Kind = 8  // undoes what a rev did
	Move      Kind = 9  // into the list To, with all below it
	Copy      Kind = 10 // as Move, and stays
	PatchList Kind = 11 // sets fields of a list; To is its new name, "" if that stays
	Arrange   Kind = 12 // at a place in the order of the list: Where
)

// FieldSet names fields of an entry; a Patch changes only these.
type FieldSet uint16

// The settable fields.
const (
	FieldTitle FieldSet = 1 << iota
	FieldDate
	FieldDone
	// Those below need version 2 of the commands.
	FieldNotes
	FieldTime
	FieldTZ
	FieldPriority
	FieldTags
	FieldParent
	FieldRepeat
	FieldRepeatFrom
	FieldRemind
	FieldUID
	FieldX

	fieldsEnd

	firstFields = FieldTitle | FieldDate | FieldDone
)

// Fields are the settable fields of an entry.
type Fields struct {
	Set   FieldSet // for Patch: what it changes; Add and Put set all
	Title string
	Date  string
	Done  bool
	More  *More // nil: none; its Completed and Place are not settable
}

// Tag is an entity tag: a rev and the epoch it belongs to. AnyTag stands for "*".
type Tag struct{ Epoch, Rev uint64 }

// AnyTag matches whatever exists.
var AnyTag = Tag{}

// Condition is what must hold for an operation to be done: If-Match and
// If-None-Match of RFC 9110, section 13.1. An Add or a DeleteList is
// measured against its list, the other kinds against their entry.
type Condition struct {
	Match     []Tag
	NoneMatch []Tag
}

// Op is one operation on one list.
type Op struct {
	Kind       Kind
	List       string
	ID         uint64 // of the entry; unused by Add and DeleteList
	Fields     Fields
	If         Condition
	To         string      // of Move and Copy: the list it goes to
	Where      Where       // of Arrange
	ListFields *ListFields // of PatchList
	// Of a batch: which operation before it, counted from 1, made the entry that it is about, and the one that is to be
	// above it; 0: ID and the parent among the fields say so.
	IDOf, ParentOf uint64
	At             uint64 // the rev of the entry that the operation was worked out from; 0: from none
	Next           *Next  // of a Put or Patch that does an entry which repeats
	Rev            uint64 // of Undo: the rev that is undone, on whatever lists
}

// Known reports whether the operation is of a kind, and on fields, that this program knows.
func (op *Op) Known() bool {
	return op.Kind >= Add && op.Kind <= Arrange && op.Fields.Set < fieldsEnd && op.Where.Rel <= After &&
		(op.ListFields == nil || op.ListFields.Set < listSetEnd)
}

// First reports whether version 1 of the commands can say the operation.
func (op *Op) First() bool {
	return op.Kind >= Add && op.Kind <= DeleteList && op.Fields.Set <= firstFields && op.Fields.More == nil &&
		op.At|op.Rev|op.IDOf|op.ParentOf == 0 && op.To == "" && op.Where == (Where{}) && op.Next == nil && op.ListFields == nil
}

// First reports whether version 1 of the commands can say the command.
func (c *Command) First() bool {
	if c.Choice != "" {
		return false
	}
	for i := range c.Ops {
		if !c.Ops[i].First() {
			return false
		}
	}
	return true
}

// Command is what a client asks for: one operation, or a batch of them that is done
// wholly or not at all and takes one rev.
type Command struct {
	Ops   []Op
	Batch bool // asked for as a batch, and answered as one
	// Choice stands for a request whose operations were chosen for it, which may be others the next time: requests are
	// the same if their choices are. "": the operations are what was asked for.
	Choice string
	Rules  Rules
}

// Rules is the version of what commands do, which follows from the group's: what a command did never changes.
type Rules uint8

// The rules. Those of version 2 know more fields, and when an entry was done.
const (
	Rules1 Rules = 1
	Rules2 Rules = 2
)

// Item is what one operation did. After a Delete or a Purge, Entry is the entry as it was; after
// a DeleteList, ID and Rev alone are of no meaning.
type Item struct {
	Kind    Kind
	List    string
	Entry   Entry
	Origin  Ref  // of Move and Copy: where the entry comes from; of PatchList: the list under its name until then
	Changed bool // false: the operation left everything as it was, and took no rev

	ListChange *ListChange // of a PatchList that changed something
}

// Left is what is no longer where it was: the entry that was moved from there, or with ID 0 the list that was renamed;
// the zero Ref if nothing is.
func (it *Item) Left() Ref {
	if it.Kind == Move || it.Kind == PatchList && it.Origin.List != it.List {
		return it.Origin
	}
	return Ref{}
}

// Outcome is what a command came to.
type Outcome struct {
	Code  Code
	At    int    // the operation that was refused, counted from 0
	Items []Item // one for each operation when Code is OK; else what stands in the way, if that can be shown
	// Told is all that was done, in order, where operations did more than Items say: took along the entries below
	// the one that they name, or undid a rev of several changes. Else it is nil.
	Told []Item
}

// Changed reports whether the command changed anything, and so takes a rev.
func (o Outcome) Changed() bool {
	for i := range o.Items {
		if o.Items[i].Changed {
			return true
		}
	}
	return false
}

// View is the narrow window through which commands see lists.
type View interface {
	// List returns what is kept under a name; a name never used has only its name.
	List(name string) List
	// Entry returns an entry of the list with that internal number.
	Entry(num, id uint64) (Entry, bool)
	// UID returns the entry of the list with that internal number that has a uid, 0 if none has.
	UID(num uint64, uid string) uint64
	// Trashed returns what the trash of the list keeps under an id.
	Trashed(num, id uint64) (Trashed, bool)
	// Change returns what a rev changed, in order; not ok if that is no longer kept.
	Change(rev uint64) (items []Item, ok bool)
	// Trace returns the last change of an entry, if it is kept.
	Trace(num, id uint64) (Trace, bool)
	// Children returns the ids of the entries below an entry, in order, at most limit.
	Children(num, parent uint64, limit int) []uint64
	// Around returns the positions of entries behind one, or before it, the nearest first and at most limit. There are
	// no others up to edge; more says that there may be some beyond it.
	Around(num uint64, at Position, back bool, limit int) (found []Position, edge Position, more bool)
	// Called returns what the list with an internal number is called now; "" if it never got another name.
	Called(num uint64) string
	// NextNum returns the internal number the next new list takes.
	NextNum() uint64
	// Epoch is the epoch that tags are compared with.
	Epoch() uint64
}

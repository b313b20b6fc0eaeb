package todo

// The limits of to-do lists, each with its reason. They are part of the
// contract: raising one is a change users see, lowering one refuses what is stored.
const (
	// MaxListName is the most bytes a list's name may have, after NFC. A name is
	// in every change row and in many log entries, so it is kept short.
	MaxListName = 128
	// MaxTitle is the most Unicode code points a title may have: a long
	// sentence, not a document.
	MaxTitle = 1000
	// MaxEntries is the most entries one list may hold at a time. An add costs the
	// same at any size; the limit bounds what one client can store under one name.
	MaxEntries = 1_000_000
	// MaxBatch is the most commands of one batch: they share one transaction and one rev.
	MaxBatch = 1000
	// MaxPage is the most rows one page of entries or lists may have.
	MaxPage = 1000
	// DefaultPage is the size of a page nobody asked a size for.
	DefaultPage = 100
	// MaxTags is the most entity tags one If-Match or If-None-Match may name.
	MaxTags = 32
	// MaxNotes is the most bytes of an entry's notes: some pages of text.
	MaxNotes = 16 << 10
	// MaxEntryTags and MaxTag bound an entry's tags: how many, and the code points of each.
	MaxEntryTags = 32
	MaxTag       = 64
	// MaxDepth is how many entries may be one below the other.
	MaxDepth = 5
	// MaxSort is the most bytes of what a list is sorted by: four fields.
	MaxSort = 128
	// MaxRepeat is the most bytes of a repeat.
	MaxRepeat = 512
	// MaxReminds is the most reminders of an entry.
	MaxReminds = 8
	// MaxUID is the most bytes of a uid; those of calendar programs have 36 to 80.
	MaxUID = 255
	// MaxTrash is the most rows the trash of one list may have: beyond it the oldest go for good. A list
	// in which much comes and goes must not fill the disks within the days that trash is kept.
	MaxTrash = 100_000
	// TrashDays is how long an entry stays in the trash, unless the group says otherwise, up to MaxTrashDays.
	TrashDays    = 30
	MaxTrashDays = 3650
	// EventsMiB is how much of the changes a group keeps for those who follow, unless it says otherwise, up to
	// MaxEventsMiB. Each node keeps it on its disk, and sends it with its replica.
	EventsMiB    = 128
	MaxEventsMiB = 1024
	// HistoryDays is how long the changes of an entry are kept, MaxTraces how many of each entry: enough to see what
	// happened to it, not an archive.
	HistoryDays = 90
	MaxTraces   = 1000
	// MaxX is the most bytes of the properties that only clients know.
	MaxX = 16 << 10
)

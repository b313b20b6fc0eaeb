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
)

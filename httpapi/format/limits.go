package format

import "todod/fsm/todo"

// The limits of a file, each with its reason.
const (
	// maxEntries is the most entries a file may have: more fit into no list.
	maxEntries = todo.MaxEntries
	// maxRecord is the most bytes an entry may have in a file. The longest entry has 16 KiB of notes and as many of
	// other properties; all of it escaped, as \u0000, has six times as many.
	maxRecord = 512 << 10
	// maxKept is the most bytes of what is kept in x of other programs; as JSON in x it may be twice as long.
	maxKept = todo.MaxX / 2
	// maxCells is the most cells of a line of CSV: a table of anything but entries may be wide.
	maxCells = 256
	// maxNesting is how deep JSON may be nested: the properties in x are objects in objects, never many.
	maxNesting = 64
)

package api

// ImportReport is what an import came to.
type ImportReport struct {
	List    string `json:"list"`
	Format  string `json:"format"`
	DryRun  bool   `json:"dry_run"` // nothing was changed: it says what would be
	Added   int    `json:"added"`
	Changed int    `json:"changed"`
	Left    int    `json:"left"`    // entries that were like that already
	Refused int    `json:"refused"` // entries with something wrong: the others were taken all the same
	Skipped int    `json:"skipped"` // what is no entry
	Rev     uint64 `json:"rev"`     // of the last change; 0 if nothing was changed
	// Lines has what became of each entry, in order of lines: at most 10,000, first of all those that were refused or not
	// taken whole.
	Lines   []ImportLine `json:"lines"`
	Omitted int          `json:"omitted,omitempty"` // lines that are not listed
}

// ImportLine is what became of an entry in a file.
type ImportLine struct {
	Line    int      `json:"line"` // where it begins in the file, from 1
	Did     string   `json:"did"`  // added, changed, left, refused or skipped
	ID      uint64   `json:"id,omitempty"`
	Remarks []string `json:"remarks,omitempty"` // why it was refused, or what of it was not taken
}

// What an import did with an entry.
const (
	DidAdd    = "added"
	DidChange = "changed"
	DidLeave  = "left"
	DidRefuse = "refused"
	DidSkip   = "skipped"
)

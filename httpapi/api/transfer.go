package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Export asks for a list as a file of a format: json, csv, todotxt, ical and others. All of it is as it was at one rev. Its Size
// is -1. tz is the zone whose midnight a date begins with, for formats that know instants only; "" is UTC. A Read that fails leaves half a file. The context's end breaks it off; the client's patience is for its beginning.
func (c *Client) Export(ctx context.Context, list, format, tz string, opt ReadOptions) (*Download, error) {
	path := listPath(list) + "/export"
	if err := checkPath(path); err != nil {
		return nil, err
	}
	r := call{method: http.MethodGet, path: path, query: url.Values{"format": {format}}, header: http.Header{}, again: true}
	set(r.query, "tz", tz)
	set(r.query, "consistency", opt.Consistency)
	if opt.MinIndex > 0 {
		r.header.Set("Todod-Min-Index", strconv.FormatUint(opt.MinIndex, 10))
	}
	return c.download(ctx, r)
}

// ImportOptions go with an import; the zero value is good.
type ImportOptions struct {
	Key      string           // of the import: a part that was taken under it is not taken twice; one is made if it is ""
	TZ       string           // the zone in which midnight is a date, for formats that know instants only; UTC if it is ""
	DryRun   bool             // report what would be done, and do nothing
	Progress func(sent int64) // is told how many bytes went out; from 0 again when another node is tried
}

// Import brings the entries of a file into a list. It is sent to the next node when one fails, from its beginning:
// what was taken already is found again. An *Error has an Import where it broke off, which says how far it came; the same file can
// be sent again. The context's end breaks it off; the client's patience is for finding a node.
func (c *Client) Import(ctx context.Context, list, format string, from io.ReadSeeker, opt ImportOptions) (ImportReport, Meta, error) {
	var out ImportReport
	path := listPath(list) + "/import"
	if err := checkPath(path); err != nil {
		return out, Meta{}, err
	}
	size, err := from.Seek(0, io.SeekEnd)
	if err != nil {
		return out, Meta{}, err
	}
	if opt.Key == "" {
		opt.Key = NewKey()
	}
	r := call{method: http.MethodPost, path: path, query: url.Values{"format": {format}}, again: true,
		header: http.Header{"Content-Type": {"application/octet-stream"}, "Idempotency-Key": {opt.Key}}}
	set(r.query, "tz", opt.TZ)
	if opt.DryRun {
		r.query.Set("dry_run", "true")
	}
	meta, err := c.upload(ctx, r, upload{from: from, progress: opt.Progress}, size, &out)
	return out, meta, err
}

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

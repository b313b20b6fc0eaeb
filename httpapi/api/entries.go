package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// WriteOptions go with a write; the zero value is good.
type WriteOptions struct {
	Key         string // Idempotency-Key; one is made if it is ""
	IfMatch     string // do it only if what it is about still has one of these ETags
	IfNoneMatch string // ... or has none of these; "*" is any
	TZ          string // for PutEntry, PatchEntry, Batch and Bulk: whose today it is, an IANA name; UTC by default
}

// ReadOptions go with a read; the zero value is a linearizable one.
type ReadOptions struct {
	Consistency string // linearizable, stale or auto; "" for the route's default
	MinIndex    uint64 // wait until the node has applied this rev
	IfNoneMatch string // NotModified(err) if what is read still has one of these ETags
}

// EntriesQuery narrows a page of entries, sorts and cuts it; the zero value asks for the first page of all. What is
// given has to hold all at once.
type EntriesQuery struct {
	Date, From, To string // 2006-01-02, From and To inclusive
	Done           *bool
	Overdue        *bool
	Due            string // a day like today+7, or a comparison with one: <=today+7
	Tag            string
	Priority       string // 0 to 9, or a comparison with one: <=3
	Q              string // a text in title, notes or tags
	Has            []string
	Parent         *uint64  // the entry that they are below; 0 for none
	Filter         string   // in the language of package filter: due<today+7 & #home & !done | p1
	TZ             string   // whose today it is, an IANA name; UTC by default
	Sort           []string // due, -priority; in the order added by default
	Fields         []string // the only ones to be sent, all others have their zero value; all by default
	Limit          int      // 100 by default, 1,000 at most
	Cursor         string
}

// values are the parameters of a request.
func (q *EntriesQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"date": q.Date, "from": q.From, "to": q.To, "due": q.Due, "tag": q.Tag, "priority": q.Priority, "q": q.Q,
		"has": strings.Join(q.Has, ","), "filter": q.Filter, "tz": q.TZ, "sort": strings.Join(q.Sort, ","), "fields": strings.Join(q.Fields, ",")} {
		set(v, name, value)
	}
	for name, value := range map[string]*bool{"done": q.Done, "overdue": q.Overdue} {
		if value != nil {
			v.Set(name, strconv.FormatBool(*value))
		}
	}
	if q.Parent != nil {
		v.Set("parent", strconv.FormatUint(*q.Parent, 10))
	}
	page(v, q.Limit, q.Cursor)
	return v
}

// AddEntry adds an entry to a list, which begins with its first one.
func (c *Client) AddEntry(ctx context.Context, list string, e NewEntry, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPost, listPath(list)+"/entries", e, opt)
}

// Entry returns one entry; CodeNotFound if there is none.
func (c *Client) Entry(ctx context.Context, list string, id uint64, opt ReadOptions) (Entry, Meta, error) {
	return read[Entry](ctx, c, entryPath(list, id), nil, opt)
}

// PutEntry replaces all settable fields of an entry that exists.
func (c *Client) PutEntry(ctx context.Context, list string, id uint64, e NewEntry, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPut, entryPath(list, id), e, opt)
}

// PatchEntry changes some fields of an entry.
func (c *Client) PatchEntry(ctx context.Context, list string, id uint64, p EntryPatch, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPatch, entryPath(list, id), p, opt)
}

// PlaceEntry puts an entry somewhere in the order of its list.
func (c *Client) PlaceEntry(ctx context.Context, list string, id uint64, p Place, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPost, entryPath(list, id)+"/place", p, opt)
}

// MoveEntry moves an entry, with all below it, into another list, where it has another id.
func (c *Client) MoveEntry(ctx context.Context, list string, id uint64, to string, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPost, entryPath(list, id)+"/move", To{to}, opt)
}

// CopyEntry copies an entry, with all below it, into a list.
func (c *Client) CopyEntry(ctx context.Context, list string, id uint64, to string, opt WriteOptions) (Entry, Meta, error) {
	return write[Entry](ctx, c, http.MethodPost, entryPath(list, id)+"/copy", To{to}, opt)
}

// DeleteEntry puts an entry into the trash of its list.
func (c *Client) DeleteEntry(ctx context.Context, list string, id uint64, opt WriteOptions) (Meta, error) {
	return c.drop(ctx, entryPath(list, id), opt)
}

// Entries returns a page of the entries of a list; none, with Rev 0, of an unknown one. One that is filtered may be short, even
// empty, and have a next one.
func (c *Client) Entries(ctx context.Context, list string, q EntriesQuery, opt ReadOptions) (Entries, Meta, error) {
	return read[Entries](ctx, c, listPath(list)+"/entries", q.values(), opt)
}

// AllEntries goes through all pages from q on. An error ends it.
func (c *Client) AllEntries(ctx context.Context, list string, q EntriesQuery, opt ReadOptions) iter.Seq2[Entry, error] {
	return each(func(cursor string) ([]Entry, string, error) {
		if cursor != "" {
			q.Cursor = cursor
		}
		p, _, err := c.Entries(ctx, list, q, opt)
		return p.Entries, p.Next, err
	})
}

// FindEntries returns a page of the entries of all lists whose names begin with prefix: list by list, unless q.Sort says
// otherwise. It may be short, even empty, and have a next one.
func (c *Client) FindEntries(ctx context.Context, prefix string, q EntriesQuery, opt ReadOptions) (FoundEntries, Meta, error) {
	v := q.values()
	set(v, "prefix", prefix)
	return read[FoundEntries](ctx, c, "/v1/entries", v, opt)
}

// AllFound goes through all pages of FindEntries from q on. An error ends it.
func (c *Client) AllFound(ctx context.Context, prefix string, q EntriesQuery, opt ReadOptions) iter.Seq2[Entry, error] {
	return each(func(cursor string) ([]Entry, string, error) {
		if cursor != "" {
			q.Cursor = cursor
		}
		p, _, err := c.FindEntries(ctx, prefix, q, opt)
		return p.Entries, p.Next, err
	})
}

// Lists returns a page of the lists whose names begin with prefix; limit 0 is 100.
func (c *Client) Lists(ctx context.Context, prefix string, limit int, cursor string, opt ReadOptions) (Lists, Meta, error) {
	v := url.Values{}
	set(v, "prefix", prefix)
	page(v, limit, cursor)
	return read[Lists](ctx, c, "/v1/lists", v, opt)
}

// AllLists goes through all pages of lists. An error ends it.
func (c *Client) AllLists(ctx context.Context, prefix string, opt ReadOptions) iter.Seq2[List, error] {
	return each(func(cursor string) ([]List, string, error) {
		p, _, err := c.Lists(ctx, prefix, 1000, cursor, opt)
		return p.Lists, p.Next, err
	})
}

// List returns what is known of a list beside its entries; CodeNotFound if there is none.
func (c *Client) List(ctx context.Context, list string, opt ReadOptions) (List, Meta, error) {
	return read[List](ctx, c, listPath(list), nil, opt)
}

// PatchList changes what is known of a list beside its entries, its name too.
func (c *Client) PatchList(ctx context.Context, list string, p ListPatch, opt WriteOptions) (List, Meta, error) {
	return write[List](ctx, c, http.MethodPatch, listPath(list), p, opt)
}

// DeleteList takes a list away with all its entries.
func (c *Client) DeleteList(ctx context.Context, list string, opt WriteOptions) (Meta, error) {
	return c.drop(ctx, listPath(list), opt)
}

// Batch has several commands done, wholly or not at all.
func (c *Client) Batch(ctx context.Context, b Batch, opt WriteOptions) (BatchResult, Meta, error) {
	return write[BatchResult](ctx, c, http.MethodPost, "/v1/batch", b, opt)
}

// Bulk does one thing to all entries of a list that a filter chooses.
func (c *Client) Bulk(ctx context.Context, list string, b Bulk, opt WriteOptions) (BulkResult, Meta, error) {
	return write[BulkResult](ctx, c, http.MethodPost, listPath(list)+"/bulk", b, opt)
}

// SearchQuery is what to look for: entries that have all words of Text in title, notes or tags, or words that begin so.
type SearchQuery struct {
	Text  string
	List  string // "" for all
	Done  *bool
	Limit int // 100 by default, 1,000 at most
}

// Search returns the entries that fit best.
func (c *Client) Search(ctx context.Context, q SearchQuery, opt ReadOptions) (Search, Meta, error) {
	v := url.Values{"q": {q.Text}}
	set(v, "list", q.List)
	if q.Done != nil {
		v.Set("done", strconv.FormatBool(*q.Done))
	}
	page(v, q.Limit, "")
	return read[Search](ctx, c, "/v1/search", v, opt)
}

// read is every read of lists: decode into a T at the level asked for.
func read[T any](ctx context.Context, c *Client, path string, q url.Values, opt ReadOptions) (T, Meta, error) {
	var out T
	if err := checkPath(path); err != nil {
		return out, Meta{}, err
	}
	h := http.Header{}
	if opt.IfNoneMatch != "" {
		h.Set("If-None-Match", opt.IfNoneMatch)
	}
	if opt.MinIndex > 0 {
		h.Set("Todod-Min-Index", strconv.FormatUint(opt.MinIndex, 10))
	}
	if opt.Consistency != "" {
		if q == nil {
			q = url.Values{}
		}
		q.Set("consistency", opt.Consistency)
	}
	meta, err := c.do(ctx, call{method: http.MethodGet, path: path, query: q, header: h, again: true}, &out)
	return out, meta, err
}

// write is every write of lists that answers with a body.
func write[T any](ctx context.Context, c *Client, method, path string, in any, opt WriteOptions) (T, Meta, error) {
	var out T
	body, err := json.Marshal(in)
	if err != nil {
		return out, Meta{}, err
	}
	meta, err := c.change(ctx, method, path, body, opt, &out)
	return out, meta, err
}

func (c *Client) drop(ctx context.Context, path string, opt WriteOptions) (Meta, error) {
	return c.change(ctx, http.MethodDelete, path, nil, opt, nil)
}

// change sends a write with a key, the caller's or a new one, so that it may be sent again.
func (c *Client) change(ctx context.Context, method, path string, body []byte, opt WriteOptions, out any) (Meta, error) {
	if err := checkPath(path); err != nil {
		return Meta{}, err
	}
	if opt.Key == "" {
		opt.Key = NewKey()
	}
	h := http.Header{"Idempotency-Key": {opt.Key}}
	if body != nil {
		h.Set("Content-Type", contentType(method))
	}
	if opt.IfMatch != "" {
		h.Set("If-Match", opt.IfMatch)
	}
	if opt.IfNoneMatch != "" {
		h.Set("If-None-Match", opt.IfNoneMatch)
	}
	q := url.Values{}
	set(q, "tz", opt.TZ)
	return c.do(ctx, call{method: method, path: path, query: q, header: h, body: body, again: true}, out)
}

func contentType(method string) string {
	if method == http.MethodPatch {
		return "application/merge-patch+json"
	}
	return "application/json"
}

// each walks pages: get returns the rows behind a cursor and the cursor of the next page.
func each[T any](get func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			rows, next, err := get(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func page(v url.Values, limit int, cursor string) {
	if limit != 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	set(v, "cursor", cursor)
}

func listPath(list string) string { return "/v1/lists/" + url.PathEscape(list) }

func entryPath(list string, id uint64) string {
	return fmt.Sprintf("%s/entries/%d", listPath(list), id)
}

// checkPath refuses the names that would make another route of the path: a node sees no
// list in /v1/lists//entries.
func checkPath(path string) error {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/lists/"), "/")
	if !strings.HasPrefix(path, "/v1/lists/") || name != "" && name != "." && name != ".." {
		return nil
	}
	return &Error{Problem: Problem{
		Status: http.StatusBadRequest, Code: string(CodeInvalid), Outcome: NotApplied,
		Detail: fmt.Sprintf("list must not be %q", name),
	}}
}

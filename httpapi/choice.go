package httpapi

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
)

// plainParams are what the replica answers by itself; choiceParams ask for entries to be looked at one by one, or to be
// sorted. A request without any of the latter goes the short way.
var (
	plainParams  = []string{"date", "from", "to", "done", "limit", "cursor", "consistency"}
	choiceParams = []string{"overdue", "due", "tag", "priority", "q", "has", "parent", "filter", "sort", "fields", "tz"}
	termParams   = choiceParams[:7] // each a term of a filter
)

// choice is which entries are asked for, in which order, and what of each.
type choice struct {
	fsm.Query              // date, from, to, done and limit; After is where the page begins
	expr      *filter.Expr // nil for all
	order     filter.Order // nil for that of the replica
	fields    []string     // nil for all
	zone      *time.Location
	now       time.Time // of the first page, so that all pages have the same today
	hash      uint64
	from      cursor // of the page before, all 0 for the first page
	after     place  // the last place it looked at
}

// hasChoice reports whether the query needs more than the replica does by itself. Its parameters are entryParams.
func (q *query) hasChoice() bool { return q.given>>len(plainParams) != 0 }

// choice reads the parameters of a query for entries of lists; where says of which, but for the name of a single one, which
// may get another.
func (req *request) choice(where string) (*choice, error) {
	c := &choice{zone: time.UTC, now: req.s.cfg.Now()}
	var err error
	if c.Query, err = req.entryQuery(); err != nil {
		return nil, err
	}
	if err := c.read(&req.query); err != nil {
		return nil, err
	}
	zone, _ := req.query.get("tz")
	c.hash = hashQuery("choice", where, c.Date, c.From, c.To, flagText(c.Done), c.expr.String(), c.order.String(), zone)
	text, _ := req.query.get("cursor")
	if text == "" {
		return c, nil
	}
	at, err := parseCursor(text, c.hash)
	if err != nil {
		return nil, err
	}
	return c, c.resume(at)
}

func (c *choice) read(q *query) (err error) {
	if c.expr, err = q.expr(); err != nil {
		return err
	}
	if text, ok := q.get("sort"); ok {
		if c.order, err = filter.ParseOrder(text); err != nil {
			return err
		}
	}
	if text, ok := q.get("fields"); ok {
		if c.fields, err = parseFields(text); err != nil {
			return err
		}
	}
	if text, ok := q.get("tz"); ok {
		c.zone, err = due.Zone(text)
	}
	return err
}

// expr is all that the parameters say of an entry.
func (q *query) expr() (*filter.Expr, error) {
	var terms []*filter.Expr
	for _, name := range termParams {
		if text, ok := q.get(name); ok {
			e, err := filter.Param(name, text)
			if err != nil {
				return nil, err
			}
			terms = append(terms, e)
		}
	}
	if text, ok := q.get("filter"); ok {
		e, err := filter.Parse(text)
		if err != nil {
			return nil, err
		}
		terms = append(terms, e)
	}
	return filter.All(terms...)
}

// entryFields are the names of the fields of an entry.
var entryFields = fieldNames(reflect.TypeFor[api.Entry]())

func fieldNames(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			names = append(names, fieldNames(f.Type)...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

func parseFields(text string) ([]string, error) {
	names := strings.SplitN(text, ",", len(entryFields)+1)
	for i, name := range names {
		if !slices.Contains(entryFields, name) {
			return nil, &todo.Invalid{Field: "fields", Reason: "must be names of fields of an entry like id,title,date, with commas between"}
		}
		if slices.Contains(names[:i], name) {
			return nil, &todo.Invalid{Field: "fields", Reason: "must name " + name + " once"}
		}
	}
	return names, nil
}

// context is what the choice needs to be made.
func (c *choice) context(hasSub func(id uint64) bool) filter.Context {
	return filter.Context{Now: c.now, Zone: c.zone, HasSub: hasSub}
}

// place is where a page ends: at an entry of a list in the order of the replica, or at the key of one in another order.
type place struct {
	list string
	at   fsm.Position
	key  string
}

// cursor is that of the page behind a place. Its text also has the moment that decides what is overdue and what today is,
// if the choice asks for it.
func (c *choice) cursor(epoch, list uint64, p *place) cursor {
	now := ""
	if c.expr.Timed() {
		now = strconv.FormatInt(c.now.UnixMilli(), 36)
	}
	rest := p.key
	if c.order == nil {
		rest = p.list + "\x00" + p.at.Date
	}
	return cursor{epoch: epoch, query: c.hash, list: list, id: p.at.ID, text: now + "\x00" + rest}
}

// resume begins behind the place of a cursor.
func (c *choice) resume(at cursor) error {
	now, rest, ok := strings.Cut(at.text, "\x00")
	if ms, err := strconv.ParseInt(now, 36, 64); err == nil {
		c.now = time.UnixMilli(ms)
	} else if now != "" || c.expr.Timed() {
		return errCursor
	}
	c.from = at
	c.after.key = rest
	if c.order == nil && ok {
		c.after = place{at: fsm.Position{ID: at.id}}
		c.after.list, c.after.at.Date, ok = strings.Cut(rest, "\x00")
	}
	if !ok {
		return errCursor
	}
	return nil
}

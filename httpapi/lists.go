package httpapi

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"todod/fsm/todo"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
	"todod/server"
)

// getLists is a page of lists in the byte order of their names.
func getLists(req *request) error {
	prefix, err := req.prefix()
	if err != nil {
		return err
	}
	limit, err := req.query.limit()
	if err != nil {
		return err
	}
	text, _ := req.query.get("cursor") // "" asks for the first page, as a loop over pages begins
	hash := hashQuery("lists", prefix)
	at := cursor{query: hash}
	if text != "" {
		if at, err = parseCursor(text, hash); err != nil {
			return err
		}
	}
	page, ok, err := req.readLists(prefix, limit, at)
	if !ok {
		return err
	}
	return req.sendJSON(http.StatusOK, applicationJSON, page)
}

// readLists makes a page of lists; false if the answer is an error or 304. Its tag is that of the whole store:
// which lists there are, and what is in them, has no rev of its own.
func (req *request) readLists(prefix string, limit int, at cursor) (page api.Lists, ok bool, err error) {
	r, err := req.read(server.Linearizable)
	if err != nil {
		return page, false, err
	}
	defer r.Close()
	if at.stale(r.Epoch(), 0) {
		return page, false, errEpoch
	}
	if ok, err := req.fresh(true, r.Epoch(), r.Rev()); !ok {
		return page, false, err
	}
	lists, more := r.Lists(prefix, at.text, limit)
	page = api.Lists{Lists: make([]api.List, len(lists))}
	for i := range lists {
		page.Lists[i] = wireList(&lists[i])
	}
	if more {
		page.Next = cursor{epoch: r.Epoch(), query: at.query, text: lists[limit-1].Name}.String()
	}
	return page, true, nil
}

// prefix is the beginning of the names asked for, in NFC as names are. It may end in a space.
func (req *request) prefix() (string, error) {
	prefix, _ := req.query.get("prefix")
	switch {
	case len(prefix) > todo.MaxListName:
		return "", &todo.Invalid{Field: "prefix", Reason: "must be at most 128 bytes long"}
	case !utf8.ValidString(prefix):
		return "", &todo.Invalid{Field: "prefix", Reason: "must be valid UTF-8"}
	case strings.ContainsFunc(prefix, func(r rune) bool { return r < ' ' || r == '/' }):
		return "", &todo.Invalid{Field: "prefix", Reason: "must be the beginning of a list's name"}
	}
	return todo.NFC(prefix), nil
}

func wireList(l *todo.List) api.List {
	m := l.More.Get()
	return api.List{Name: l.Name, Entries: l.Entries, Open: l.Open, Rev: l.Rev, Title: m.Title, Colour: m.Colour, Archived: m.Archived, Sort: m.Sort}
}

// patchList changes what is known of a list, its name too. The answer is the list as this node has it then.
func patchList(req *request) error {
	var in api.ListPatch
	if err := decode(req, scanListPatch, &in); err != nil {
		return err
	}
	op, err := patchOf(&in)
	if err != nil {
		return err
	}
	if op.List, err = req.list(); err != nil {
		return err
	}
	if op.If, err = conditions(req.r.Header); err != nil {
		return err
	}
	res, err := req.write(one(op))
	if err != nil {
		return err
	}
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: server.Stale, MinRev: res.Rev})
	if err != nil {
		return err
	}
	defer r.Close()
	l, ok := r.List(res.Items[0].List)
	if !ok { // others took it away or renamed it meanwhile
		return req.noContent()
	}
	req.tag(r.Epoch(), l.Rev)
	return req.sendJSON(http.StatusOK, applicationJSON, wireList(&l))
}

func scanListPatch(s *scanner, p *api.ListPatch) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "name":
			p.Name, err = some(s.text("name"))
		case "title":
			p.Title, err = orNull(s, "title", s.text)
		case "colour":
			p.Colour, err = orNull(s, "colour", s.text)
		case "archived":
			p.Archived, err = orNull(s, "archived", s.bool)
		case "sort":
			p.Sort, err = orNull(s, "sort", s.text)
		default:
			err = s.unknown(name)
		}
		return err
	})
}

// patchOf is a patch of a list as an operation.
func patchOf(p *api.ListPatch) (todo.Op, error) {
	op := todo.Op{Kind: todo.PatchList}
	var f todo.ListFields
	for _, t := range []struct {
		set  todo.ListSet
		from *string
		to   *string
	}{{todo.ListTitle, p.Title, &f.Title}, {todo.ListColour, p.Colour, &f.Colour}, {todo.ListSort, p.Sort, &f.Sort}} {
		if t.from != nil {
			f.Set |= t.set
			*t.to = *t.from
		}
	}
	if p.Archived != nil {
		f.Set |= todo.ListArchived
		f.Archived = *p.Archived
	}
	if f.Sort != "" {
		order, err := filter.ParseOrder(f.Sort)
		if err != nil {
			return op, err
		}
		f.Sort = order.String()
	}
	if f.Set != 0 {
		op.ListFields = &f
	}
	if p.Name != nil {
		if op.To = *p.Name; op.To == "" {
			return op, &todo.Invalid{Field: "name", Reason: "must not be empty"}
		}
	}
	return op, nil
}

func getList(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	r, err := req.read(server.Linearizable)
	if err != nil {
		return err
	}
	defer r.Close()
	l, ok := r.List(list)
	if !ok {
		return noList(r.View, list)
	}
	if ok, err := req.fresh(true, r.Epoch(), l.Rev); !ok {
		return err
	}
	return req.sendJSON(http.StatusOK, applicationJSON, wireList(&l))
}

func deleteList(req *request) error {
	op := todo.Op{Kind: todo.DeleteList}
	var err error
	if op.List, err = req.list(); err != nil {
		return err
	}
	if op.If, err = conditions(req.r.Header); err != nil {
		return err
	}
	if _, err := req.write(one(op)); err != nil {
		return err
	}
	return req.noContent()
}

package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"todod/fsm/todo"
	"todod/httpapi/api"
)

// placeEntry puts an entry somewhere in the order of its list.
func placeEntry(req *request) error {
	var in api.Place
	if err := decode(req, scanPlace, &in); err != nil {
		return err
	}
	where, err := whereOf(&in)
	if err != nil {
		return err
	}
	return changeEntry(req, todo.Op{Kind: todo.Arrange, Where: where})
}

func moveEntry(req *request) error { return toList(req, todo.Move) }
func copyEntry(req *request) error { return toList(req, todo.Copy) }

// toList puts an entry into another list; the answer is the one there.
func toList(req *request, kind todo.Kind) error {
	var in api.To
	if err := decode(req, scanTo, &in); err != nil {
		return err
	}
	res, err := req.writeEntry(todo.Op{Kind: kind, To: in.To})
	if err != nil {
		return err
	}
	req.locate(&res.Items[0])
	return req.sendItem(http.StatusOK, &res)
}

// locate says where the entry of a write is now.
func (req *request) locate(item *todo.Item) {
	req.w.Header()["Location"] = []string{"/v1/lists/" + url.PathEscape(item.List) + "/entries/" + strconv.FormatUint(item.Entry.ID, 10)}
}

func scanPlace(s *scanner, p *api.Place) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "first":
			p.First, err = s.bool("first")
		case "last":
			p.Last, err = s.bool("last")
		case "before":
			p.Before, err = s.number("before")
		case "after":
			p.After, err = s.number("after")
		default:
			err = s.unknown(name)
		}
		return err
	})
}

func scanTo(s *scanner, t *api.To) error {
	return s.object(func(name []byte) (err error) {
		if string(name) != "to" {
			return s.unknown(name)
		}
		t.To, err = s.text("to")
		return err
	})
}

// whereOf refuses a place that says more than one thing, or nothing.
func whereOf(p *api.Place) (w todo.Where, err error) {
	n := 0
	if p.First {
		w.Rel, n = todo.First, n+1
	}
	if p.Last {
		w.Rel, n = todo.Last, n+1
	}
	if p.Before != 0 {
		w, n = todo.Where{Rel: todo.Before, Neighbor: p.Before}, n+1
	}
	if p.After != 0 {
		w, n = todo.Where{Rel: todo.After, Neighbor: p.After}, n+1
	}
	if n != 1 {
		return w, &todo.Invalid{Field: "place", Reason: "must be one of first and last, which are true, before and after, which name an entry"}
	}
	return w, nil
}

package httpapi

import (
	"strconv"

	"todod/fsm"
	"todod/fsm/todo"
)

// changeEvent is a change as it is sent: encoded once, whoever follows.
type changeEvent struct {
	rev   uint64
	text  []byte            // all of it
	list  string            // the one list that it is about
	parts map[string][]byte // or the event of each list, if it is about several
}

func newChangeEvent(epoch uint64, c *fsm.Change) *changeEvent {
	e := &changeEvent{rev: c.Rev, text: appendChange(nil, epoch, c, c.Items)}
	for i := range c.Items {
		for _, list := range listsOf(&c.Items[i]) {
			switch {
			case i == 0 && e.list == "":
				e.list = list
			case list != e.list && e.parts == nil:
				e.parts = map[string][]byte{}
			}
		}
	}
	if e.parts == nil {
		return e
	}
	byList := map[string][]todo.Item{}
	for i := range c.Items {
		for _, list := range listsOf(&c.Items[i]) {
			byList[list] = append(byList[list], c.Items[i])
		}
	}
	for list, items := range byList {
		e.parts[list] = appendChange(nil, epoch, c, items)
	}
	return e
}

// listsOf are the lists that an item is about: that of its entry, and the one that the entry left.
func listsOf(it *todo.Item) []string {
	if left := it.Left().List; left != "" && left != it.List {
		return []string{it.List, left}
	}
	return []string{it.List}
}

// of returns the event as followers of a list get it, none if it is not about that list; with "" all of it.
func (e *changeEvent) of(list string) []byte {
	switch {
	case list == "" || list == e.list && e.parts == nil:
		return e.text
	case e.parts != nil:
		return e.parts[list]
	}
	return nil
}

// lists calls visit with each list that the change is about.
func (e *changeEvent) lists(visit func(string)) {
	if e.parts == nil {
		visit(e.list)
		return
	}
	for list := range e.parts {
		visit(list)
	}
}

// size is about what it takes in memory.
func (e *changeEvent) size() int {
	n := 128 + cap(e.text)
	for list, text := range e.parts {
		n += 64 + len(list) + cap(text)
	}
	return n
}

// appendChange appends a change as a server-sent event, with some of its items: an api.Change.
func appendChange(b []byte, epoch uint64, c *fsm.Change, items []todo.Item) []byte {
	b = append(appendEventID(b, epoch, c.Rev), "\nevent: "...)
	if len(items) == 1 {
		b = append(b, opName(items[0].Kind)...)
	} else {
		b = append(b, "batch"...)
	}
	b = append(b, "\ndata: {\"rev\":"...)
	b = strconv.AppendUint(b, c.Rev, 10)
	b = append(b, `,"time":`...)
	b = appendTime(b, c.Time)
	b = append(b, `,"items":[`...)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &items[i])
	}
	return append(b, "]}\n\n"...) // JSON has no line ends, so it is one line of data
}

// appendItem appends an api.BatchChange.
func appendItem(b []byte, item *todo.Item) []byte {
	b = append(append(b, `{"op":"`...), opName(item.Kind)...)
	b = append(b, `","list":`...)
	b = appendString(b, item.List)
	if item.Entry.ID != 0 {
		b = append(b, `,"id":`...)
		b = strconv.AppendUint(b, item.Entry.ID, 10)
		if item.Kind != todo.Delete && item.Kind != todo.Purge {
			b = append(b, `,"entry":`...)
			b = appendEntry(b, item.List, &item.Entry)
		}
	}
	if item.Origin.ID != 0 || item.Left().List != "" {
		b = append(b, `,"from":{"list":`...)
		b = appendString(b, item.Origin.List)
		if item.Origin.ID != 0 {
			b = strconv.AppendUint(append(b, `,"id":`...), item.Origin.ID, 10)
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

func opName(k todo.Kind) string {
	if int(k) < len(opNames) && opNames[k] != "" {
		return opNames[k]
	}
	return "other" // of a release to come
}

// appendEventID appends the line with an event's id.
func appendEventID(b []byte, epoch, rev uint64) []byte {
	b = strconv.AppendUint(append(b, "id: "...), epoch, 10)
	return strconv.AppendUint(append(b, '.'), rev, 10)
}

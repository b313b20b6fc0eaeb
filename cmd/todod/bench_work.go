package main

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"todod/httpapi/api"
)

// What is read is on one date, what is written on those of another year: a read knows how many
// entries it has to find.
const (
	readDate    = "2018-12-19"
	readEntries = 5 // on readDate, in each list
	writeYear   = 2019
	writeDates  = 365
)

// work is what is sent: which operations, on which lists.
type work struct {
	Run     string `json:"run"`
	Percent int    `json:"writes_percent"`
	Book    bool   `json:"book"`
	Lists   int    `json:"lists"`
	Size    int    `json:"size"`
	Keys    bool   `json:"keys"`
	Level   string `json:"consistency,omitempty"`

	filler []byte
	dates  []string
}

func newWork(w work) *work {
	w.filler = bytes.Repeat([]byte("Dentist at ten and then the shopping "), w.Size/30+1)
	for day := range writeDates {
		w.dates = append(w.dates, time.Date(writeYear, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	return &w
}

// prefix is what the names of all lists of the run begin with; nothing else is written to.
func (w *work) prefix() string { return "bench-" + w.Run + "-" }

func (w *work) list(i int) string { return w.prefix() + strconv.Itoa(i) }

// minSize is the shortest title: it has to tell the writes of a run apart.
const minSize = 30

// title appends the title of write n of a worker: by it the write is found again.
func (w *work) title(b []byte, worker, n int) []byte {
	at := len(b)
	b = append(b, w.Run...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(worker), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	if left := w.Size - (len(b) - at); left > 0 {
		b = append(b, w.filler[:left]...)
	}
	if b[len(b)-1] == ' ' {
		b[len(b)-1] = '.' // one kind of title less that a server might trim
	}
	return b
}

// titleOf reads a title again.
func (w *work) titleOf(title string) (worker, n int, ok bool) {
	head, _, _ := strings.Cut(title, " ")
	run, numbers, _ := strings.Cut(strings.TrimSuffix(head, "."), "-")
	first, second, _ := strings.Cut(numbers, "-")
	worker, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	if run != w.Run || err1 != nil || err2 != nil {
		return 0, 0, false
	}
	return worker, n, string(w.title(nil, worker, n)) == title
}

// op is one operation, until it is answered.
type op struct {
	kind   int
	list   int
	date   string
	worker int
	n      int // of a write: which one of its worker's
}

// pick draws the next operation of a worker.
func (w *work) pick(rng *rand.Rand) op {
	o := op{kind: reads, list: rng.IntN(w.Lists), date: readDate}
	if rng.IntN(100) < w.Percent {
		o.kind = writes
	}
	if o.kind == writes || w.Book {
		o.date = w.dates[rng.IntN(len(w.dates))]
	}
	return o
}

// request appends the operation as it is sent to a node.
func (w *work) request(b []byte, o *op, host string) []byte {
	post := o.kind == writes
	if post {
		b = append(b, "POST "...)
	} else {
		b = append(b, "GET "...)
	}
	if w.Book {
		b = w.bookTarget(b, o)
	} else {
		b = append(b, "/v1/lists/"...)
		b = append(b, w.list(o.list)...)
		b = append(b, "/entries"...)
		if !post {
			b = append(b, "?date="...)
			b = append(b, o.date...)
		}
	}
	if !post && w.Level != "" {
		b = append(b, "&consistency="...)
		b = append(b, w.Level...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	if post && w.Keys {
		b = append(b, "\r\nIdempotency-Key: bench-"...)
		b = append(b, w.Run...)
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(o.worker), 10)
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(o.n), 10)
	}
	if !post || w.Book {
		if post {
			b = append(b, "\r\nContent-Length: 0"...)
		}
		return append(b, "\r\n\r\n"...)
	}
	const around = len(`{"title":"","date":"2006-01-02"}`)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(around+w.Size), 10)
	b = append(b, "\r\n\r\n{\"title\":\""...)
	b = w.title(b, o.worker, o.n)
	b = append(b, `","date":"`...)
	b = append(b, o.date...)
	return append(b, `"}`...)
}

// bookTarget appends the path and query of one of the book's two routes. Titles are letters,
// digits and spaces: only the spaces have to be written in another way.
func (w *work) bookTarget(b []byte, o *op) []byte {
	if o.kind == reads {
		b = append(b, "/entries?list="...)
	} else {
		b = append(b, "/add_entry?list="...)
	}
	b = append(b, w.list(o.list)...)
	b = append(b, "&date="...)
	b = append(b, o.date...)
	if o.kind == reads {
		return b
	}
	b = append(b, "&title="...)
	at := len(b)
	b = w.title(b, o.worker, o.n)
	for i := at; i < len(b); i++ {
		if b[i] == ' ' {
			b[i] = '+'
		}
	}
	return b
}

// judge says what an answer is worth, and which id a write was given, 0 if it does not say.
func (w *work) judge(o *op, r reply) (v verdict, id uint64) {
	good := false
	switch {
	case r.status >= 300 || r.status < 200:
		return refused(r), 0
	case w.Book && o.kind == writes:
		good = r.status == 200 && string(r.body) == "OK"
	case w.Book:
		good = r.status == 200 && (len(r.body) == 0 || bytes.HasPrefix(r.body, []byte(o.date)))
	case o.kind == writes:
		id = idOf(r.body)
		good = r.status == 201 && id > 0
	default:
		good = r.status == 200 && (bytes.Count(r.body, []byte(`"id":`)) == readEntries || w.Level == "stale" || w.Level == "auto")
	}
	if !good {
		return verdict{outcome: api.Unknown, kind: "wrong_answer"}, 0
	}
	return verdict{outcome: api.Applied}, id
}

// idOf reads the id of the entry in an answer.
func idOf(body []byte) (id uint64) {
	_, rest, _ := bytes.Cut(body, []byte(`"id":`))
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}

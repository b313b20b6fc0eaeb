package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// asFloor as the first argument makes a process of this program the floor: what net/http takes by itself.
const asFloor = "floor"

// The headers that a node sends, and no more work for them than setting them.
var floorHeaders = [...][2]string{{"Cache-Control", "no-cache"}, {"Content-Type", "application/json"}, {"Etag", `"2035488235.1"`}, {"Todod-Index", "1"}, {"X-Content-Type-Options", "nosniff"}}

// floor speaks as three nodes do with todod bench, and keeps in memory what it is told. It has no log, no replica,
// no peers, no mux and no parser: a server of net/http with less to do is hard to think of.
type floor struct {
	lists sync.Map // of *floorList, by name
}

type floorList struct {
	mu      sync.Mutex
	name    string
	entries []floorEntry
	day     []byte // the answer for the first entries, which are those of one day
}

type floorEntry struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
}

// dayEntries is how many entries todod bench prepares in each list for its reads.
const dayEntries = 5

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	name, entries := strings.CutSuffix(strings.TrimPrefix(path, "/v1/lists/"), "/entries")
	switch {
	case entries && r.Method == http.MethodPost:
		f.add(w, r, name)
	case entries && !strings.Contains(r.URL.RawQuery, "limit="):
		l := f.list(name)
		l.mu.Lock()
		day := l.day
		l.mu.Unlock()
		send(w, http.StatusOK, day)
	case entries:
		f.page(w, r, name)
	case path == "/v1/lists":
		f.names(w, r)
	case path == "/v1/batch":
		f.batch(w, r)
	case path == "/metrics":
		// Three addresses are asked for it.
		fmt.Fprintf(w, "process_cpu_seconds_total %f\n", selfCPU().Seconds()/3)
	default:
		http.NotFound(w, r)
	}
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	for _, kv := range floorHeaders {
		h[kv[0]] = []string{kv[1]}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked may have gone
}

func (f *floor) list(name string) *floorList {
	if l, ok := f.lists.Load(name); ok {
		return l.(*floorList)
	}
	l, _ := f.lists.LoadOrStore(name, &floorList{name: name})
	return l.(*floorList)
}

// put stores an entry and appends it as a node would write it.
func (l *floorList) put(b []byte, title string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := len(l.entries) + 1
	l.entries = append(l.entries, floorEntry{id, title})
	at := len(b)
	b = append(append(append(b, `{"list":"`...), l.name...), `","id":`...)
	b = append(append(append(strconv.AppendInt(b, int64(id), 10), `,"title":"`...), title...), `","date":"2018-12-19","done":false,"rev":`...)
	b = append(strconv.AppendInt(b, int64(id), 10), `,"created":"2026-11-28T22:48:24.391Z","updated":"2026-11-28T22:48:24.391Z","due":"2018-12-19"}`...)
	if id <= dayEntries {
		if id > 1 {
			l.day = append(l.day[:len(l.day)-len("]}\n")], ',')
		} else {
			l.day = append(l.day, `{"list":"`+l.name+`","rev":1,"entries":[`...)
		}
		l.day = append(append(l.day, b[at:]...), "]}\n"...)
	}
	return b
}

// add takes the title from where it stands in the bodies that todod bench sends.
func (f *floor) add(w http.ResponseWriter, r *http.Request, name string) {
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	title, _, ok := bytes.Cut(bytes.TrimPrefix(body, []byte(`{"title":"`)), []byte(`"`))
	if !ok {
		http.Error(w, "no title", http.StatusBadRequest)
		return
	}
	send(w, http.StatusCreated, append(f.list(name).put(make([]byte, 0, 512), string(title)), '\n'))
}

func (f *floor) batch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Commands []struct{ Op, List, Title string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type result struct {
		Op, List string
		ID       int `json:"id"`
	}
	out := struct {
		Results []result `json:"results"`
	}{}
	for _, c := range in.Commands {
		if c.Op == "delete_list" {
			f.lists.Delete(c.List)
			out.Results = append(out.Results, result{Op: c.Op, List: c.List})
			continue
		}
		l := f.list(c.List)
		l.put(nil, c.Title)
		out.Results = append(out.Results, result{c.Op, c.List, len(l.entries)})
	}
	sendJSON(w, out)
}

// page is what todod bench reads again at its end.
func (f *floor) page(w http.ResponseWriter, r *http.Request, name string) {
	l := f.list(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("cursor"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	to, next := min(from+limit, len(l.entries)), ""
	if to < len(l.entries) {
		next = strconv.Itoa(to)
	}
	sendJSON(w, map[string]any{"list": name, "entries": l.entries[from:to], "next": next})
}

func (f *floor) names(w http.ResponseWriter, r *http.Request) {
	all, prefix := []map[string]string{}, r.URL.Query().Get("prefix")
	f.lists.Range(func(name, _ any) bool {
		if strings.HasPrefix(name.(string), prefix) {
			all = append(all, map[string]string{"name": name.(string)})
		}
		return true
	})
	sendJSON(w, map[string]any{"lists": all})
}

func sendJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, http.StatusOK, b)
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it does not fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serveFloor listens at three addresses, prints them, and serves until it is killed.
func serveFloor() error {
	f, errs := &floor{}, make(chan error)
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		go func() { errs <- http.Serve(l, f) }()
	}
	return <-errs
}

// floorAt measures the floor with todod bench.
func floorAt(exe string) program {
	return func(ctx context.Context, w work, length time.Duration) (f figures, err error) {
		self, err := os.Executable()
		if err != nil {
			return f, err
		}
		cmd := exec.Command(self, asFloor)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		cmd.Env = append(os.Environ(), "GOGC=400") // as todod has it
		out, err := cmd.StdoutPipe()
		if err != nil {
			return f, err
		}
		if err := cmd.Start(); err != nil {
			return f, fmt.Errorf("start the floor: %w", err)
		}
		defer func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}()
		var addrs [3]string
		for i := range addrs {
			if _, err := fmt.Fscanln(out, &addrs[i]); err != nil {
				return f, errors.Join(errors.New("the floor does not say where it listens"), err)
			}
		}
		return bench(ctx, exe, w, length, "--server", strings.Join(addrs[:], ","))
	}
}

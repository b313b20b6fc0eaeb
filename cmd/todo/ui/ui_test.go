package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/httpapi/api"
)

// TestMain is the program itself where a test runs it in a terminal.
func TestMain(m *testing.M) {
	addr := os.Getenv("TODO_UI_TEST")
	if addr == "" {
		os.Exit(m.Run())
	}
	c, err := api.NewClient([]string{addr}, api.Options{})
	if err == nil {
		now := func() time.Time { return time.Date(2018, 12, 18, 12, 0, 0, 0, time.UTC) }
		err = Run(context.Background(), Config{Client: c, List: "bob", Now: now, TZ: "UTC", Color: true})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// node holds one list as a node would, and tells those who follow of changes.
type node struct {
	mu      sync.Mutex
	entries []api.Entry
	rev     uint64
	before  map[uint64][]api.Entry // by rev: what to go back to
	changed chan struct{}
	queries []string
}

func newNode() *node {
	return &node{before: map[uint64][]api.Entry{}, changed: make(chan struct{})}
}

// change does something to the entries as a command does.
func (n *node) change(do func(entries []api.Entry) []api.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rev++
	n.before[n.rev] = slices.Clone(n.entries)
	n.entries = do(n.entries)
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) add(e api.Entry) {
	n.change(func(entries []api.Entry) []api.Entry {
		e.List, e.ID = "bob", uint64(len(entries)+1)
		return append(entries, e)
	})
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/events") {
		n.follow(w, r)
		return
	}
	var in api.NewEntry
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&in)
	}
	id, _ := strconv.ParseUint(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], 10, 64)
	at := func(entries []api.Entry) int {
		return slices.IndexFunc(entries, func(e api.Entry) bool { return e.ID == id })
	}
	switch {
	case r.URL.Path == "/v1/undo":
		n.change(func([]api.Entry) []api.Entry { return n.before[n.rev-1] })
	case r.Method == http.MethodPost:
		n.add(api.Entry{Title: in.Title, Date: in.Date, More: in.More})
	case r.Method == http.MethodPatch:
		n.change(func(entries []api.Entry) []api.Entry {
			entries = slices.Clone(entries)
			if e := &entries[at(entries)]; in.Title != "" {
				e.Title = in.Title
			} else {
				e.Done = in.Done
			}
			return entries
		})
	case r.Method == http.MethodDelete:
		n.change(func(entries []api.Entry) []api.Entry {
			return slices.Delete(slices.Clone(entries), at(entries), at(entries)+1)
		})
	}
	n.answer(w, r)
}

func (n *node) answer(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w.Header().Set("Todod-Index", strconv.FormatUint(n.rev, 10))
	w.Header().Set("Content-Type", "application/json")
	n.queries = append(n.queries, r.Method+" "+r.URL.String())
	var out any = api.Entry{}
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return
	case r.URL.Path == "/v1/lists":
		out = api.Lists{Lists: []api.List{{Name: "alice"}, {Name: "bob", Open: uint64(len(n.entries))}}}
	case r.URL.Path == "/v1/search":
		out = api.Search{Entries: []api.Entry{{List: "alice", ID: 7, Title: "found here"}}}
	case r.URL.Path == "/v1/lists/bob/entries":
		out = api.Entries{List: "bob", Entries: n.entries}
	case r.URL.Path == "/v1/lists/alice/entries":
		out = api.Entries{List: "alice"}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (n *node) follow(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		n.mu.Lock()
		changed, rev := n.changed, n.rev
		n.mu.Unlock()
		fmt.Fprintf(w, "id: 1.%d\ndata: {\"rev\":%d,\"items\":[]}\n\n", rev, rev)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// terminal is a real one, in which the program runs.
type terminal struct {
	t    *testing.T
	name string
}

func (n *node) show(t *testing.T, width, height int) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux, which is a terminal that a program can look at")
	}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	term := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height),
		"TODO_UI_TEST="+strings.TrimPrefix(server.URL, "http://")+" "+os.Args[0]+" 2>&1; echo it ended with $?; sleep 60")
	t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.name}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// press sends keys, as tmux names them.
func (term *terminal) press(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }

func (term *terminal) write(text string) { term.tmux("send-keys", "-l", text) }

// waitFor waits until the screen has all of these and none of those that begin with a !.
func (term *terminal) waitFor(texts ...string) string {
	term.t.Helper()
	screen := ""
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		screen = term.tmux("capture-pane", "-p")
		if !slices.ContainsFunc(texts, func(text string) bool {
			without, not := strings.CutPrefix(text, "!")
			return strings.Contains(screen, without) == not
		}) {
			return screen
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the screen does not come to %q:\n%s", texts, screen)
		}
	}
}

// A person's minute: what is there is seen, what others do too; entries are added, done, edited, taken away, and
// that is undone.
func TestAMinute(t *testing.T) {
	n := newNode()
	n.add(api.Entry{Title: "Dentist", Date: "2018-12-19", More: api.More{Time: "09:00", Tags: []string{"health"}}})
	term := n.show(t, 80, 20)
	term.waitFor("alice", "☐ Dentist", "#health 2018-12-19 09:00", "live")
	n.add(api.Entry{Title: "from elsewhere"})
	term.waitFor("☐ from elsewhere")
	term.press("a")
	term.waitFor("add:")
	term.write("Buy 牛奶 tomorrow #shop p1")
	term.press("Enter")
	term.waitFor("☐ Buy 牛奶", "p1 #shop 2018-12-19", "added Buy")
	term.press("Down", "Space")
	term.waitFor("☑ from elsewhere")
	term.press("u")
	term.waitFor("☐ from elsewhere", "undone")
	term.press("e", "C-u")
	term.write("changed here")
	term.press("Enter")
	term.waitFor("☐ changed here", "!from elsewhere")
	term.press("x")
	term.waitFor("!☐ changed here", "in the trash: changed here")
	term.press("/")
	term.write("here")
	term.press("Enter")
	term.waitFor("Search: here", "found here", "alice")
	term.press("Escape")
	term.waitFor("!Search", "☐ Dentist")
	term.press("?")
	term.waitFor("undo your last change")
	term.press("q") // leaves the help
	term.waitFor("☐ Dentist", "!undo your last change")
	term.press("f")
	term.write("#shop")
	term.press("Enter")
	term.waitFor("filter: #shop")
	n.mu.Lock()
	if last := n.queries[len(n.queries)-1]; !strings.Contains(last, "filter=%23shop") || !strings.Contains(last, "tz=UTC") {
		t.Errorf("the filter asked %s", last)
	}
	n.mu.Unlock()
	term.press("q")
	term.waitFor("it ended with 0")
}

// The screen fits its window, whatever size that comes to, and nothing of a title ever reaches the terminal as
// more than text.
func TestSizesAndEvilTitles(t *testing.T) {
	n := newNode()
	n.add(api.Entry{Title: "red\x1b[31m and\x1b]0;gone\a \u202eright " + strings.Repeat("長い", 60), More: api.More{Tags: []string{"a\x1b[2J"}}})
	for i := range 40 {
		n.add(api.Entry{Title: fmt.Sprint("entry ", i)})
	}
	term := n.show(t, 80, 20)
	term.waitFor("entry 3", "!entry 30")
	for _, size := range [][2]int{{40, 10}, {200, 50}, {20, 5}, {80, 20}} {
		term.tmux("resize-window", "-x", strconv.Itoa(size[0]), "-y", strconv.Itoa(size[1]))
		term.waitFor("red") // it stays on the first line of entries
	}
	term.press("End")
	term.waitFor("entry 39", "!red")
	term.press("Home", "Tab", "Up")
	term.waitFor("nothing here")
	if title := term.tmux("display-message", "-p", "#{pane_title}"); strings.Contains(title, "gone") {
		t.Errorf("a title of an entry became that of the terminal: %q", title)
	}
}

// Without a node the screen says so, and goes on once there is one.
func TestWithoutANode(t *testing.T) {
	n := newNode()
	term := n.show(t, 80, 20)
	term.waitFor("nothing here")
	m := newModel(t.Context(), Config{Now: time.Now})
	m.Update(loaded{number: m.loads, err: fmt.Errorf("no node answers\x1b[2J")})
	if view := m.View(); !strings.Contains(view, "no node answers") || strings.Contains(view, "\x1b[2J") {
		t.Errorf("%q", view)
	}
	m.Update(loaded{number: m.loads})
	if view := m.View(); strings.Contains(view, "no node answers") {
		t.Error("the error stays once it is over")
	}
}

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

	tea "github.com/charmbracelet/bubbletea"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// TestMain is the program itself where a test runs it in a terminal.
func TestMain(m *testing.M) {
	addr := os.Getenv("TODO_UI_TEST")
	if addr == "" {
		os.Exit(m.Run())
	}
	dial := func(moved func(string, error)) (*api.Client, error) {
		return api.NewClient([]string{addr}, api.Options{Moved: moved})
	}
	if err := Run(context.Background(), Config{Dial: dial, List: "bob", Now: now, TZ: "UTC", Color: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// now is the day of all tests, a Tuesday.
func now() time.Time { return time.Date(2018, 12, 18, 12, 0, 0, 0, time.UTC) }

// node holds one list as a node would, and tells those who follow of changes.
type node struct {
	mu      sync.Mutex
	entries []api.Entry
	rev     uint64
	before  map[uint64][]api.Entry // by rev: what to go back to
	changed chan struct{}
	queries []string
	stopped bool // it hangs up on whoever asks
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

// stop has the node hang up on all who ask, or answer again.
func (n *node) stop(stopped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = stopped
	close(n.changed) // those who follow are hung up on too
	n.changed = make(chan struct{})
}

func (n *node) isStopped() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

func (n *node) add(e api.Entry) {
	n.change(func(entries []api.Entry) []api.Entry {
		e.List, e.ID = "bob", uint64(len(entries)+1)
		return append(entries, e)
	})
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.isStopped() {
		panic(http.ErrAbortHandler)
	}
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
	if r.Method != http.MethodGet {
		w.Header().Set("Todod-Rev", strconv.FormatUint(n.rev, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	n.queries = append(n.queries, r.Method+" "+r.URL.String())
	var out any = api.Entry{}
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/entries"):
		out = n.entries[len(n.entries)-1]
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
	for !n.isStopped() {
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

// waitForQuery waits until somebody asked for what has all of these.
func (n *node) waitForQuery(t *testing.T, parts ...string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n.mu.Lock()
		asked := slices.ContainsFunc(n.queries, func(query string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(query, part) })
		})
		n.mu.Unlock()
		if asked {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody asked for %q: %q", parts, n.queries)
		}
	}
}

// A person's minute: what is there is seen, what others do too; entries are added, done, edited, taken away, and
// that is undone.
func TestAMinute(t *testing.T) {
	n := newNode()
	n.add(api.Entry{Title: "Dentist", Date: "2018-12-19", More: api.More{Time: "09:00", Tags: []string{"health"}}})
	term := n.show(t, 80, 20)
	term.waitFor("alice", "☐ Dentist", "#health tomorrow 09:00", "live")
	n.add(api.Entry{Title: "from elsewhere"})
	term.waitFor("☐ from elsewhere")
	term.press("a")
	term.waitFor("add:")
	term.write("Buy 牛奶 tomorrow #shop p1")
	term.press("Enter")
	term.waitFor("☐ Buy 牛奶", "p1 #shop tomorrow", "added Buy 牛奶  p1 #shop tomorrow")
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
	n.waitForQuery(t, "filter=%23shop", "tz=UTC")
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

// What does not go in the width is left out from the end of the tags on, and the due day last of all.
func TestDetails(t *testing.T) {
	m := newModel(t.Context(), Config{Now: now})
	e := api.Entry{Title: "x", Date: "2018-12-20", More: api.More{Priority: 2, Tags: []string{"health", "town"}, Repeat: "FREQ=DAILY"}}
	for width, want := range map[int]string{40: "p2 #health #town ↻ Thu", 22: "p2 #health #town ↻ Thu", 21: "p2 #health ↻ Thu", 15: "p2 ↻ Thu", 8: "p2 ↻ Thu", 6: "p2 ↻…"} {
		if got := m.details(&e, width); got != want {
			t.Errorf("in %d columns: %q, want %q", width, got, want)
		}
	}
	for _, try := range []struct {
		e    api.Entry
		tone string
	}{
		{api.Entry{}, ""}, {api.Entry{Date: "2018-12-17"}, "31"}, {api.Entry{Date: "2018-12-17", Done: true}, "2"}, {api.Entry{Date: "2018-12-18"}, "33"},
		{api.Entry{Date: "2018-12-18", More: api.More{Time: "11:00"}}, "31"}, {api.Entry{Date: "2018-12-19"}, ""},
	} {
		if got := m.tone(&try.e); got != try.tone {
			t.Errorf("%+v: %q, want %q", try.e, got, try.tone)
		}
	}
}

// The help fits its window, whatever size that is.
func TestHelpFits(t *testing.T) {
	m := newModel(t.Context(), Config{Now: now})
	for _, size := range [][2]int{{20, 5}, {40, 12}, {80, 14}, {80, 24}} {
		m.width, m.height, m.help = size[0], size[1], true
		lines := strings.Split(m.View(), "\n")
		if len(lines) > m.height || !strings.Contains(m.View(), "lists") {
			t.Errorf("%d lines in %v", len(lines), size)
		}
		for _, line := range lines {
			if w := cli.Width(line); w > m.width {
				t.Errorf("%d columns in %v: %q", w, size, line)
			}
		}
	}
}

// Keys that come together are keys all the same; what is pasted is none.
func TestKeysThatComeTogether(t *testing.T) {
	m := newModel(t.Context(), Config{Now: now})
	m.entries = make([]api.Entry, 5)
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("jjjka日本")})
	if m.entry != 2 || m.asks != newEntry || string(m.input.text) != "日本" {
		t.Errorf("at %d, asks %d, %q is typed", m.entry, m.asks, string(m.input.text))
	}
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("\na\tb"), Paste: true})
	if string(m.input.text) != "日本 a b" {
		t.Errorf("pasted %q", string(m.input.text))
	}
	m.asks = nothing
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("jxq"), Paste: true})
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("x"), Paste: true})
	if m.entry != 2 || m.writing != 0 {
		t.Errorf("pasted: at %d, %d changes", m.entry, m.writing)
	}
}

// What came of a change is said until the next key, whatever is read meanwhile, and an undo waits for the changes before it:
// it is theirs.
func TestWhatCameOfAChange(t *testing.T) {
	m := newModel(t.Context(), Config{Now: now})
	u := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("u")}
	m.Update(u)
	m.Update(loaded{number: m.loads})
	if view := m.View(); !strings.Contains(view, errNothing) {
		t.Errorf("the error is gone: %s", view)
	}
	m.entries = []api.Entry{{List: "bob", ID: 1, Title: "x"}}
	m.Update(tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(" ")})
	if m.Update(u); m.undos != 1 {
		t.Error("an undo does not wait for the change that it undoes")
	}
	m.Update(wrote{says: "done: x", rev: 7})
	if m.undos != 0 || m.writing != 1 || !slices.Equal(m.done, []uint64{7}) {
		t.Errorf("%d undos wait, %d changes are on their way, %v can be undone", m.undos, m.writing, m.done)
	}
	m.Update(wrote{says: "undone", undid: true})
	if m.writing != 0 || len(m.done) != 0 {
		t.Errorf("%d changes are on their way, %v can be undone", m.writing, m.done)
	}
}

// Without a node the screen says so, and goes on once there is one.
func TestWithoutANode(t *testing.T) {
	n := newNode()
	term := n.show(t, 80, 20)
	term.waitFor("nothing here", "live")
	n.stop(true)
	term.waitFor("the node at 127.0.0.1", "!live")
	n.stop(false)
	term.waitFor("live", "!the node at")
	term.press("q")
	term.waitFor("it ended with 0")
	m := newModel(t.Context(), Config{Now: now})
	m.Update(loaded{number: m.loads, err: fmt.Errorf("no node answers\x1b[2J")})
	if view := m.View(); !strings.Contains(view, "no node answers") || strings.Contains(view, "\x1b[2J") {
		t.Errorf("%q", view)
	}
	m.Update(loaded{number: m.loads})
	if view := m.View(); strings.Contains(view, "no node answers") {
		t.Error("the error stays once it is over")
	}
}

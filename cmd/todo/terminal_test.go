package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/creack/pty"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// evil is a text with all that a terminal would act on, or not show.
const evil = "ok\x1b[2J\x1b]0;title\a\u009b31m\r\b\u202eright\u2066\u200b\ufeff\u3164 日本 e\u0301"

// node answers as a node would whose lists are what they are here, and remembers what it was sent.
type node struct {
	mu      sync.Mutex
	entries []api.Entry
	lists   []api.List
	refuse  *api.Problem // for writes
	sent    []string
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodGet {
		n.sent = append(n.sent, r.Method+" "+r.URL.Path+" "+string(body))
		if n.refuse != nil {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(n.refuse.Status)
			_ = json.NewEncoder(w).Encode(n.refuse)
			return
		}
	}
	say := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/events"):
		var change api.Change
		for _, e := range n.entries {
			change.Items = append(change.Items, api.BatchChange{Op: evil, List: e.List, ID: e.ID, Entry: &e, From: &api.EntryRef{List: evil, ID: 1}})
		}
		change.Items = append(change.Items, api.BatchChange{Op: "delete", List: evil, ID: 4}, api.BatchChange{Op: "delete_list", List: evil})
		data, _ := json.Marshal(change)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: 1.1\ndata: %s\n\n", data)
	case path == "/v1/lists":
		say(api.Lists{Lists: n.lists})
	case strings.HasSuffix(path, "/trash"):
		say(api.Trash{Trash: []api.Trashed{{Entry: n.entries[0]}}})
	case strings.HasSuffix(path, "/history"):
		text, _ := json.Marshal(evil)
		say(api.History{Changes: []api.EntryChange{{Op: "patch", By: evil, Fields: map[string]api.FieldChange{evil: {From: text, To: json.RawMessage(`[` + string(text) + `]`)}}}}})
	case strings.HasSuffix(path, "/export"):
		fmt.Fprint(w, evil)
	case strings.HasSuffix(path, "/import"):
		say(api.ImportReport{List: evil, Refused: 1, Lines: []api.ImportLine{{Line: 1, Did: evil, Remarks: []string{evil}}}})
	case path == "/v1/search":
		say(api.Search{Entries: n.entries, More: true})
	case strings.HasSuffix(path, "/bulk"):
		res := api.BulkResult{IDs: []uint64{1, 2, 3, 7}}
		if strings.Contains(string(body), "none") {
			res.IDs = nil
		}
		say(res)
	case path == "/v1/batch", path == "/v1/undo":
		var res api.BatchResult
		for _, e := range n.entries {
			res.Results = append(res.Results, api.BatchChange{Op: "patch", List: e.List, ID: e.ID, Entry: &e})
		}
		say(res)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(path, "/entries") && r.Method == http.MethodGet:
		say(api.Entries{List: "bob", Entries: n.entries})
	case strings.Contains(path, "/entries"):
		w.Header().Set("ETag", `"1.1"`)
		say(n.entries[0])
	case path == "/v1/lists/new":
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 404, Code: "not_found", Detail: "there is no list new"})
	default:
		say(n.lists[0])
	}
}

func evilNode() *node {
	return &node{
		lists: []api.List{{Name: evil, Entries: 3, Open: 2}},
		entries: []api.Entry{
			{List: evil, ID: 1, Title: evil, Date: "2018-12-19", More: api.More{Time: "09:00", TZ: evil, Tags: []string{evil, "\u200d\u200d"}, Priority: 1, Repeat: evil, Notes: evil}},
			{List: evil, ID: 2, Title: "x", Date: evil, More: api.More{Parent: 1, Repeat: "FREQ=DAILY;BYDAY=" + evil}},
			{List: "other", ID: 3, Title: strings.Repeat("long 長い ", 40), Done: true},
		},
	}
}

// session runs the program at a terminal of a size where somebody types what is typed, and returns what stands
// there afterwards.
func session(t *testing.T, n *node, width, height uint16, typed string, env map[string]string, args ...string) (string, int) {
	t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	defer ours.Close()
	if err := pty.Setsize(ours, &pty.Winsize{Cols: width, Rows: height}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(n)
	defer server.Close()
	screen := make(chan string)
	go func() {
		out, _ := io.ReadAll(ours) // ends with an error when the other side is closed
		screen <- string(out)
	}()
	if _, err := io.WriteString(ours, typed); err != nil {
		t.Fatal(err)
	}
	get := func(name string) string {
		if name == "TODO_SERVER" {
			return strings.TrimPrefix(server.URL, "http://")
		}
		return env[name]
	}
	code := run(t.Context(), args, theirs, theirs, theirs, get)
	theirs.Close()
	return <-screen, code
}

var colour = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// unsafe is what of a screen would do more than show a character.
func unsafe(r rune) bool {
	return r != '\r' && r != '\n' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == 0x3164)
}

// No title, tag, list, zone, repeat or error of a node acts on a terminal.
func TestNothingActsOnATerminal(t *testing.T) {
	for _, line := range []string{
		"ls bob", "ls bob --view tree", "ls bob --view table", "ls bob -o json", "ls bob -o ndjson", "ls --all", "lists", "lists -o json",
		"add bob x --yes", "done bob 1", "done bob 1-3", "undone bob 1", "edit bob 1 --title x", "rm bob 1", "rm bob 1-3", "rm bob --all --yes",
		"mv bob 1 alice", "mv bob 1-3 alice --copy", "order bob 1 --first", "list bob", "list bob --archive", "filter x", "search x", "stats", "stats -o csv",
		"trash bob", "trash bob -o csv", "restore bob 1", "restore bob 1-3", "history bob 1", "history bob 1 -o json", "undo --rev 7", "rm bob 1 --purge --yes",
		"export bob", "import bob terminal_test.go --yes", "import bob terminal_test.go --dry-run -o csv", "done bob --filter x --yes", "rm bob --filter x --dry-run",
		"watch bob --since 1 --limit 1", "watch bob --since 1 --limit 1 -o json", "config list", "ls bob --view wide\x1b[2J",
		"__complete ls x", "__complete done bob x",
	} {
		for _, noColour := range []string{"", "1"} {
			for _, refuse := range []*api.Problem{nil, {Status: 409, Code: evil, Title: evil, Detail: evil}} {
				n := evilNode()
				n.refuse = refuse
				screen, _ := session(t, n, 40, 24, "", map[string]string{"NO_COLOR": noColour, "PAGER": "cat", "TERM": "xterm"}, strings.Fields(line)...)
				seen := colour.ReplaceAllString(screen, "")
				if noColour != "" {
					seen = screen
				}
				if i := strings.IndexFunc(seen, unsafe); i >= 0 || screen == "" && !strings.HasPrefix(line, "__complete") {
					t.Errorf("%s: %q", line, seen)
				}
			}
		}
	}
}

// No line is longer than the terminal is wide.
func TestLinesFitTheTerminal(t *testing.T) {
	for _, width := range []uint16{20, 40, 80, 200} {
		for _, view := range []string{"date", "tree"} {
			screen, code := session(t, evilNode(), width, 50, "", map[string]string{"TERM": "xterm"}, "ls", "bob", "--view", view)
			if code != 0 || !strings.Contains(screen, "\x1b[") {
				t.Errorf("code %d, no colours: %q", code, screen)
			}
			for line := range strings.SplitSeq(colour.ReplaceAllString(screen, ""), "\r\n") {
				if w := cli.Width(line); w > int(width) {
					t.Errorf("%d columns where there are %d: %q", w, width, line)
				}
			}
		}
	}
}

// What was found stands in the order in which it was, within the terminal, with the words marked that it was found by.
func TestFoundAtATerminal(t *testing.T) {
	env := map[string]string{"TERM": "xterm", "PAGER": "cat"}
	screen, code := session(t, evilNode(), 200, 24, "", env, "search", "LÓN", "日")
	if code != 0 || !strings.Contains(screen, "\x1b[1;4mlon\x1b[0m") || !strings.Contains(screen, "\x1b[1;4m日\x1b[0m本") {
		t.Errorf("code %d, %q", code, screen)
	}
	env["NO_COLOR"] = "1"
	if plain, _ := session(t, evilNode(), 200, 24, "", env, "search", "lon", "日"); plain != colour.ReplaceAllString(screen, "") {
		t.Errorf("without colours %q, with them %q", plain, screen)
	}
}

// What is longer than the terminal goes to the pager, and nothing else does.
func TestPager(t *testing.T) {
	env := map[string]string{"TERM": "xterm", "PAGER": "sed s/^/paged:/", "NO_COLOR": "1"}
	if screen, _ := session(t, evilNode(), 80, 4, "", env, "ls", "bob"); !strings.HasPrefix(screen, "paged:") {
		t.Errorf("not paged: %q", screen)
	}
	if screen, _ := session(t, evilNode(), 80, 50, "", env, "ls", "bob"); strings.Contains(screen, "paged:") {
		t.Errorf("paged: %q", screen)
	}
	env["PAGER"] = "/nowhere/less"
	if screen, code := session(t, evilNode(), 80, 4, "", env, "ls", "bob"); code != 0 || !strings.Contains(screen, "1 done") {
		t.Errorf("without its pager: %d, %q", code, screen)
	}
}

// A person is asked before a list begins, and before one goes for good.
func TestQuestions(t *testing.T) {
	for _, try := range []struct {
		typed string
		line  string
		asked string
		code  int
		sent  []string
	}{
		{"y\n", "add new Milk", "There is no list new yet. Begin it? [y/N]", 0, []string{`POST /v1/lists/new/entries {"title":"Milk"}`}},
		{"\n", "add new Milk", "Begin it?", 1, nil},
		{"n\n", "add new Milk", "Begin it?", 1, nil},
		{"", "add new Milk --yes", "", 0, []string{`POST /v1/lists/new/entries {"title":"Milk"}`}},
		{"", "add bob Milk", "", 0, []string{`POST /v1/lists/bob/entries {"title":"Milk"}`}},
		{"yes\n", "rm bob --all", "with its 3 entries, 2 of them open? This cannot be undone. [y/N]", 0, []string{"DELETE /v1/lists/bob "}},
		{"no\n", "rm bob --all", "cannot be undone", 1, nil},
		{"", "rm bob --all -y", "", 0, []string{"DELETE /v1/lists/bob "}},
		{"n\n", "rm bob 1 --purge", "Delete 1 of bob for good? This cannot be undone. [y/N]", 1, nil},
		{"", "rm bob 1", "", 0, []string{"DELETE /v1/lists/bob/entries/1 "}}, // it goes to the trash
		{"y\n", "rm bob -f x", "4 entries of bob would be removed: 1-3 7. Go on? [y/N]", 0,
			[]string{`POST /v1/lists/bob/bulk {"filter":"x","op":"delete","dry_run":true}`, `POST /v1/lists/bob/bulk {"filter":"x","op":"delete"}`}},
		{"\n", "edit bob -f x --add-tag t", "4 entries of bob would be changed: 1-3 7. Go on? [y/N]", 1,
			[]string{`POST /v1/lists/bob/bulk {"filter":"x","op":"patch","add_tags":["t"],"dry_run":true}`}},
		{"n\n", "mv bob -f x alice", "would be moved to alice: 1-3 7. Go on?", 1, []string{`POST /v1/lists/bob/bulk {"filter":"x","op":"move","to":"alice","dry_run":true}`}},
		{"", "done bob -f x --yes", "", 0, []string{`POST /v1/lists/bob/bulk {"filter":"x","op":"patch","done":true}`}},
		{"", "done bob -f x -n", "", 0, []string{`POST /v1/lists/bob/bulk {"filter":"x","op":"patch","done":true,"dry_run":true}`}},
		{"", "done bob -f none", "", 0, []string{`POST /v1/lists/bob/bulk {"filter":"none","op":"patch","done":true,"dry_run":true}`}}, // nothing to ask about
	} {
		n := evilNode()
		screen, code := session(t, n, 80, 24, try.typed, nil, strings.Fields(try.line)...)
		if code != try.code || !strings.Contains(screen, try.asked) || strings.Contains(screen, "[y/N]") != (try.asked != "") || !slices.Equal(n.sent, try.sent) {
			t.Errorf("%s, typed %q: code %d, sent %q, on the screen %q", try.line, try.typed, code, n.sent, screen)
		}
	}
}

func TestRanges(t *testing.T) {
	for want, ids := range map[string][]uint64{
		"": nil, "7": {7}, "1-3 7": {1, 2, 3, 7}, "1 3 5 7 9 11 13 15 17 19 21 23-24": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 24},
		"1 3 5 7 9 11 13 15 17 19 21 ... 90": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 24, 90},
	} {
		if got := ranges(ids); got != want {
			t.Errorf("%v: %q, want %q", ids, got, want)
		}
	}
}

// In a pipe nobody is asked, nothing has colours, and the JSON is what the node said.
func TestPipes(t *testing.T) {
	n := evilNode()
	server := httptest.NewServer(n)
	defer server.Close()
	call := func(args ...string) (string, int) {
		var out, errs bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &out, &errs, func(name string) string {
			return map[string]string{"TODO_SERVER": strings.TrimPrefix(server.URL, "http://"), "TERM": "xterm"}[name]
		})
		if code != 0 {
			t.Errorf("%v: code %d, %s", args, code, &errs)
		}
		return out.String(), code
	}
	text, _ := call("ls", "bob", "-o", "json")
	var back api.Entries
	if err := json.Unmarshal([]byte(text), &back); err != nil || fmt.Sprintf("%+v", back.Entries) != fmt.Sprintf("%+v", n.entries) {
		t.Errorf("%v: %s", err, text)
	}
	if text, _ := call("ls", "bob", "-o", "ndjson"); strings.Count(text, "\n") != 3 {
		t.Errorf("lines: %s", text)
	}
	if text, _ := call("ls", "bob"); strings.ContainsFunc(text, unsafe) || !strings.HasPrefix(text, "LIST ") {
		t.Errorf("got %q", text)
	}
	call("rm", "bob", "--all")
	call("add", "new", "Milk")
	if len(n.sent) != 2 {
		t.Errorf("sent %q", n.sent)
	}
	if text, _ := call("ls", "bob", "--view", "date"); !strings.Contains(text, "\n\n1 done\n") {
		t.Errorf("by day: %q", text)
	}
}

package httpapi

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/fsm"
	"todod/httpapi/api"
	"todod/server"
)

func TestBackup(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "one", "2018-12-19")
	w.add("ann", "two", "")
	a := w.do("GET", "/v1/backup", "").want(http.StatusOK, "").
		has("Content-Type", "application/octet-stream").has("Todod-Index", "2").has("Todod-Consistency", "linearizable").
		has("Content-Disposition", `attachment; filename="todod-group-1-2.backup"`)
	about, err := fsm.CheckBackup(strings.NewReader(a.body))
	if err != nil || about.Lists != 2 || about.Entries != 2 || about.Epoch != testEpoch {
		t.Errorf("the backup is %+v, %v", about, err)
	}
	a.has("Content-Length", strconv.Itoa(len(a.body)))
	w.do("GET", "/v1/backup?consistency=stale", "").want(http.StatusOK, "").has("Todod-Consistency", "stale")
	w.do("HEAD", "/v1/backup", "").want(http.StatusOK, "").has("Content-Type", "application/octet-stream")
	w.do("GET", "/v1/backup?consistency=some", "").problem(api.CodeInvalid, "", "consistency")
	w.do("GET", "/v1/backup?limit=1", "").problem(api.CodeInvalid, "", "limit")
	w.do("PUT", "/v1/backup", "").problem(api.CodeMethod, "not_applied")
	w.node.set(func(g *group) {
		g.readErr = &server.Error{Kind: server.KindStorage, Detail: "no room"}
	})
	w.do("GET", "/v1/backup", "").problem(api.CodeStorage, "", "no room")
}

// endless is a backup without end that tells when it is closed.
type endless struct {
	closed chan struct{}
	once   sync.Once
}

func (*endless) Read(b []byte) (int, error) { return len(b), nil }
func (e *endless) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

// A reader that stands still is cut off, one that goes on is not.
func TestBackupStandsStill(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.StreamTimeout = 300 * time.Millisecond })
	b := &endless{closed: make(chan struct{})}
	w.node.set(func(g *group) { g.backup = b })
	resp, err := http.Get("http://" + w.addr + "/v1/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	began, read := time.Now(), int64(0)
	for time.Since(began) < 2*w.srv.cfg.StreamTimeout {
		n, err := io.CopyN(io.Discard, resp.Body, 1<<20)
		if read += n; err != nil {
			t.Fatalf("cut off after %d bytes: %v", read, err)
		}
	}
	select {
	case <-b.closed:
	case <-time.After(20 * time.Second):
		t.Fatal("a reader that stands still is never cut off")
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("what was cut off looks whole")
	}
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "one", "2018-12-19")
	tag := w.add("bob", "two", "").header.Get("ETag")
	b := w.do("GET", "/v1/backup", "").want(http.StatusOK, "").body
	w.add("bob", "three", "")
	var page api.Entries
	w.do("GET", "/v1/lists/bob/entries?limit=1", "").want(http.StatusOK, "").decode(&page)

	var res api.Restored
	w.do("POST", "/v1/restore", b).want(http.StatusOK, "").has("Content-Type", "application/json").has("Todod-Index", "4").decode(&res)
	if res.Rev != 4 || res.Epoch != testEpoch+1 || res.Lists != 1 || res.Entries != 2 || res.Group != "group-1" || len(res.SHA256) != 64 {
		t.Errorf("restored %+v", res)
	}
	w.do("GET", "/entries?list=bob&date=2018-12-19", "").want(http.StatusOK, "2018-12-19 one")
	// What clients hold of before is void.
	w.do("PATCH", "/v1/lists/bob/entries/2", `{"title":"x"}`, "If-Match: "+tag).problem(api.CodePrecondition, "not_applied")
	w.do("GET", "/v1/lists/bob/entries?limit=1&cursor="+page.Next, "").problem(api.CodeGone, "")
	w.do("GET", "/v1/lists/bob/entries/2", "", "If-None-Match: "+tag).want(http.StatusOK, "")
	if e := w.add("bob", "four", ""); !strings.Contains(e.body, `"id":4,`) {
		t.Errorf("an id was given twice: %s", e.body)
	}

	w.do("POST", "/v1/restore?foreign=true", b).want(http.StatusOK, "")
	if got := w.node.look().asked; len(got) != 2 || got[1] != (server.RestoreOptions{Size: int64(len(b)), Foreign: true}) {
		t.Errorf("the node was asked for %v", got)
	}
	w.do("POST", "/v1/restore?foreign=yes", b).problem(api.CodeInvalid, "not_applied", "foreign")
	w.do("POST", "/v1/restore", b, "Content-Encoding: gzip").problem(api.CodeMediaType, "not_applied")
	w.do("POST", "/v1/restore", b[:len(b)-1]).problem(api.CodeInvalid, "not_applied", "cut short")
	w.do("POST", "/v1/restore", strings.Repeat("no backup ", 1<<18)).problem(api.CodeInvalid, "not_applied", "not a backup")
	w.do("POST", "/v1/restore", "", "Sec-Fetch-Site: cross-site").problem(api.CodeForbidden, "not_applied")
	w.do("GET", "/v1/restore", "").problem(api.CodeMethod, "")
	w.node.set(func(g *group) {
		g.groupErr = &server.Error{Kind: server.KindTimeout, Outcome: server.UnknownOutcome, Detail: "not known"}
	})
	w.do("POST", "/v1/restore", b).problem(api.CodeTimeout, "unknown")
}

// A sender that stands still is cut off, and nothing is changed.
func TestRestoreStandsStill(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.StreamTimeout, c.BodyTimeout = 200*time.Millisecond, 100*time.Millisecond })
	w.add("bob", "one", "")
	b := w.do("GET", "/v1/backup", "").want(http.StatusOK, "").body
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() { // in pieces, longer than a request may take otherwise
		for len(b) > 60 {
			_, _ = io.WriteString(pw, b[:60])
			b = b[60:]
			waitABit(t, 60*time.Millisecond)
		}
	}()
	req, err := http.NewRequest("POST", "http://"+w.addr+"/v1/restore", pr)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, %s, %v", resp.StatusCode, body, err)
	}
	w.do("GET", "/v1/lists/bob", "").want(http.StatusOK, "").has("Todod-Index", "1")
}

func waitABit(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

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

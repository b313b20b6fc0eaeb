package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// group is what several bad servers have in common: the keys that arrived, and the entries
// that were stored, one for each key, as a real group does it.
type group struct {
	mu     sync.Mutex
	keys   []string
	stored map[string]Entry
}

func (g *group) add(r *http.Request) Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	g.keys = append(g.keys, key)
	if e, was := g.stored[key]; was {
		return e
	}
	var in NewEntry
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		panic(http.ErrAbortHandler)
	}
	e := Entry{List: "bob", ID: uint64(len(g.stored) + 1), Title: in.Title, Date: in.Date}
	g.stored[key] = e
	return e
}

// serve answers the n-th request, from 0, by steps[n], and by the last step from then on.
func (g *group) serve(t *testing.T, steps ...http.HandlerFunc) string {
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		steps[min(int(n.Add(1))-1, len(steps)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func (g *group) ok(w http.ResponseWriter, r *http.Request) {
	e := g.add(r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", `"1.7"`)
	w.Header().Set("Todod-Index", "7")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"list":"bob","id":%d,"title":%q,"colour":"a field of a newer node"}`, e.ID, e.Title)
}

// storedThenCut does what it was asked to and dies before it says so.
func (g *group) storedThenCut(w http.ResponseWriter, r *http.Request) {
	g.add(r)
	panic(http.ErrAbortHandler)
}

// storedThenTorn dies in the middle of its answer.
func (g *group) storedThenTorn(w http.ResponseWriter, r *http.Request) {
	g.add(r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "500")
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"list":"bob",`)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (g *group) storedThenHangs(w http.ResponseWriter, r *http.Request) {
	g.add(r)
	<-r.Context().Done()
}

// says answers with a problem and changes nothing.
func (g *group) says(code Code, outcome string, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.keys = append(g.keys, r.Header.Get("Idempotency-Key"))
		g.mu.Unlock()
		w.Header().Set("Content-Type", "application/problem+json")
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(Statuses[code])
		json.NewEncoder(w).Encode(Problem{Status: Statuses[code], Title: "x", Detail: "why", Code: string(code), Outcome: outcome, Leader: "n2"})
	}
}

func newGroup() *group { return &group{stored: map[string]Entry{}} }

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func client(t *testing.T, opt Options, addrs ...string) *Client {
	t.Helper()
	c, err := NewClient(addrs, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A write that is sent again carries its first key, so it is stored once, however the first
// try ended.
func TestRetryKeepsTheKey(t *testing.T) {
	for name, first := range map[string]func(*group) http.HandlerFunc{
		"connection cut after the write":  func(g *group) http.HandlerFunc { return g.storedThenCut },
		"answer torn":                     func(g *group) http.HandlerFunc { return g.storedThenTorn },
		"node hangs":                      func(g *group) http.HandlerFunc { return g.storedThenHangs },
		"503 no leader":                   func(g *group) http.HandlerFunc { return g.says(CodeNoLeader, NotApplied, "1") },
		"504 unknown":                     func(g *group) http.HandlerFunc { return g.says(CodeTimeout, Unknown, "") },
		"429 full mailbox, retry at once": func(g *group) http.HandlerFunc { return g.says(CodeMailboxFull, NotApplied, "0") },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup()
			c := client(t, Options{PerTry: 200 * time.Millisecond}, g.serve(t, first(g)), g.serve(t, g.ok))
			e, meta, err := c.AddEntry(t.Context(), "bob", NewEntry{Title: "Dentist"}, WriteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if e.ID != 1 || e.Title != "Dentist" || meta.Index != 7 || meta.ETag != `"1.7"` {
				t.Errorf("got %+v, %+v", e, meta)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.keys) < 2 || len(g.stored) != 1 {
				t.Fatalf("%d tries stored %d entries, want at least 2 and 1", len(g.keys), len(g.stored))
			}
			for _, key := range g.keys {
				if key != g.keys[0] || len(key) < 16 {
					t.Errorf("keys %q: want the same, of 16 or more characters, at each try", g.keys)
				}
			}
		})
	}
}

// Two writes have two keys, and the caller's own key is used as given.
func TestKeysDiffer(t *testing.T) {
	g := newGroup()
	c := client(t, Options{}, g.serve(t, g.ok))
	for _, key := range []string{"", "", "the-caller's-own-key"} {
		if _, _, err := c.AddEntry(t.Context(), "bob", NewEntry{Title: "x"}, WriteOptions{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if g.keys[0] == g.keys[1] || g.keys[2] != "the-caller's-own-key" {
		t.Errorf("keys %q", g.keys)
	}
}

// A node that is gone costs its callers one try, not one try a call.
func TestStaysWithTheNodeThatAnswered(t *testing.T) {
	g := newGroup()
	var first atomic.Int32
	bad := g.serve(t, func(w http.ResponseWriter, r *http.Request) { first.Add(1); panic(http.ErrAbortHandler) })
	c := client(t, Options{}, bad, g.serve(t, g.ok))
	for range 5 {
		if _, _, err := c.AddEntry(t.Context(), "bob", NewEntry{Title: "x"}, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// net/http itself sends a keyed request a second time when a connection breaks.
	if n := first.Load(); n > 2 {
		t.Errorf("the bad node was asked %d times", n)
	}
}

func TestRefusalsAreFinal(t *testing.T) {
	for _, code := range []Code{CodeInvalid, CodeForbidden, CodeNotFound, CodeConflict, CodePrecondition, CodeKeyReused, CodeStorage} {
		g := newGroup()
		c := client(t, Options{}, g.serve(t, g.says(code, NotApplied, "")), g.serve(t, g.ok))
		_, _, err := c.AddEntry(t.Context(), "bob", NewEntry{Title: "x"}, WriteOptions{})
		e := AsError(err)
		if e == nil || !errors.Is(err, code) || e.Status != Statuses[code] || e.Outcome != NotApplied || e.Leader != "n2" || len(g.keys) != 1 {
			t.Errorf("%s: got %+v after %d tries", code, err, len(g.keys))
		}
	}
}

// When the time is up the error says what is known over all tries.
func TestOutcomeCoversAllTries(t *testing.T) {
	for name, c := range map[string]struct {
		first func(*group) http.HandlerFunc
		want  string
	}{
		"nothing was sent":            {nil, NotApplied},
		"no leader":                   {func(g *group) http.HandlerFunc { return g.says(CodeNoLeader, NotApplied, "") }, NotApplied},
		"cut after the write":         {func(g *group) http.HandlerFunc { return g.storedThenCut }, Unknown},
		"hangs as long as one waited": {func(g *group) http.HandlerFunc { return g.storedThenHangs }, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup()
			addr := nobody(t)
			if c.first != nil {
				addr = g.serve(t, c.first(g), g.says(CodeNoLeader, NotApplied, ""))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			tries := 0
			moved := func(string, error) { // the time is up between two tries, on a slow machine too
				if tries++; tries == 2 {
					<-ctx.Done()
				}
			}
			_, _, err := client(t, Options{Moved: moved}, addr).AddEntry(ctx, "bob", NewEntry{Title: "x"}, WriteOptions{})
			if e := AsError(err); e == nil || e.Outcome != c.want || !e.Retryable() {
				t.Errorf("got %#v, want outcome %s", err, c.want)
			}
			if !errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
				t.Errorf("%v does not say that the time is up", err)
			}
		})
	}
}

// A node that asks for more time than there is left is not waited for.
func TestRetryAfterBeyondTheDeadline(t *testing.T) {
	g := newGroup()
	c := client(t, Options{}, g.serve(t, g.says(CodeKeysFull, NotApplied, "60")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	_, _, err := c.AddEntry(ctx, "bob", NewEntry{Title: "x"}, WriteOptions{})
	if e := AsError(err); e == nil || e.RetryAfter != time.Minute || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %#v", time.Since(start), err)
	}
}

// Changes of the group have no key: they are sent again only if nothing can have come of it.
func TestGroupChangesAreNotRepeatedBlindly(t *testing.T) {
	g := newGroup()
	var n atomic.Int32
	done := g.serve(t, func(w http.ResponseWriter, r *http.Request) { n.Add(1); w.WriteHeader(http.StatusNoContent) })
	cut := g.serve(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	err := client(t, Options{}, cut, done).RemoveMember(t.Context(), "n3")
	if e := AsError(err); e == nil || e.Outcome != Unknown || n.Load() != 0 {
		t.Errorf("cut: got %v, %d more tries", err, n.Load())
	}
	if err := client(t, Options{}, nobody(t), done).RemoveMember(t.Context(), "n3"); err != nil || n.Load() != 1 {
		t.Errorf("refused: got %v, %d tries", err, n.Load())
	}
	leaderless := g.serve(t, g.says(CodeNoLeader, NotApplied, ""))
	if err := client(t, Options{}, leaderless, done).Transfer(t.Context(), ""); err != nil || n.Load() != 2 {
		t.Errorf("no leader: got %v, %d tries", err, n.Load())
	}
}

// Only a node's own success is one.
func TestStrictAboutSuccess(t *testing.T) {
	g := newGroup()
	for name, h := range map[string]http.HandlerFunc{
		"a page of something else": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<h1>It works</h1>")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"202": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202) },
		"half JSON": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"list":`)
		},
	} {
		_, _, err := client(t, Options{}, g.serve(t, h)).AddEntry(t.Context(), "bob", NewEntry{Title: "x"}, WriteOptions{})
		if e := AsError(err); e == nil || e.Retryable() {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Sentences for a person hold no Go.
func TestErrorSentences(t *testing.T) {
	refused := nobody(t)
	_, err := client(t, Options{Patience: 50 * time.Millisecond}, refused).Cluster(t.Context())
	if want := "the node at " + refused + " cannot be reached: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for _, addr := range []string{"", "host", "https://h:1", "http://h:1/x", "h:1/x", "h:"} {
		if _, err := NewClient([]string{addr}, Options{}); err == nil {
			t.Errorf("%q was taken for an address", addr)
		}
	}
	for addr, want := range map[string]string{"http://h:1/": "h:1", ":80": "127.0.0.1:80", "[::1]:5": "[::1]:5"} {
		if got, err := hostPort(addr); got != want || err != nil {
			t.Errorf("%q: %q, %v", addr, got, err)
		}
	}
}

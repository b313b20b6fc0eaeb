package api

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
)

// What a method sends, by route.
func TestRequests(t *testing.T) {
	var got string
	g := newGroup()
	addr := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.mu.Lock()
		defer g.mu.Unlock()
		got = strings.TrimSpace(r.Method + " " + r.RequestURI + " " + string(body))
		for _, h := range []string{"If-Match", "If-None-Match", "Todod-Min-Index"} {
			if v := r.Header.Get(h); v != "" {
				got += " " + h + ":" + v
			}
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})
	c, ctx := client(t, Options{}, addr), t.Context()
	no, title, empty := false, "Doc", ""
	for _, try := range []struct {
		call func() error
		want string
	}{
		{func() error {
			_, _, err := c.AddEntry(ctx, "bob & co?", NewEntry{Title: "x", Date: "2018-12-19"}, WriteOptions{})
			return err
		}, `POST /v1/lists/bob%20&%20co%3F/entries {"title":"x","date":"2018-12-19"}`},
		{func() error {
			_, _, err := c.PutEntry(ctx, "a/b", 3, NewEntry{Title: "x", Done: true}, WriteOptions{IfMatch: `"1.2"`})
			return err
		}, `PUT /v1/lists/a%2Fb/entries/3 {"title":"x","done":true} If-Match:"1.2"`},
		{func() error {
			_, _, err := c.PatchEntry(ctx, "bob", 3, EntryPatch{Title: &title, Date: &empty, Done: &no}, WriteOptions{IfNoneMatch: "*", TZ: "Asia/Tokyo"})
			return err
		}, `PATCH /v1/lists/bob/entries/3?tz=Asia%2FTokyo {"title":"Doc","date":"","done":false} If-None-Match:*`},
		{func() error { _, err := c.DeleteEntry(ctx, "bob", 3, WriteOptions{}); return err }, `DELETE /v1/lists/bob/entries/3`},
		{func() error { _, err := c.DeleteList(ctx, "bob", WriteOptions{}); return err }, `DELETE /v1/lists/bob`},
		{func() error { _, _, err := c.Trash(ctx, "b c", 5, "x", ReadOptions{}); return err }, `GET /v1/lists/b%20c/trash?cursor=x&limit=5`},
		{func() error { _, _, err := c.RestoreEntry(ctx, "bob", 3, WriteOptions{IfMatch: "*"}); return err }, `POST /v1/lists/bob/trash/3/restore If-Match:*`},
		{func() error { _, err := c.PurgeEntry(ctx, "b?c", 3, WriteOptions{}); return err }, `DELETE /v1/lists/b%3Fc/entries/3?purge=true`},
		{func() error { _, err := c.PurgeTrashed(ctx, "bob", 3, WriteOptions{}); return err }, `DELETE /v1/lists/bob/trash/3`},
		{func() error { _, _, err := c.History(ctx, "bob", 3, 0, "", ReadOptions{}); return err }, `GET /v1/lists/bob/entries/3/history`},
		{func() error { _, _, err := c.Undo(ctx, 42, WriteOptions{}); return err }, `POST /v1/undo {"rev":42}`},
		{func() error {
			_, _, err := c.Entries(ctx, "bob", EntriesQuery{From: "2018-01-01", Done: &no, Limit: 5, Cursor: "c"}, ReadOptions{Consistency: "stale", MinIndex: 9})
			return err
		}, `GET /v1/lists/bob/entries?consistency=stale&cursor=c&done=false&from=2018-01-01&limit=5 Todod-Min-Index:9`},
		{func() error {
			q := EntriesQuery{Date: "2018-12-19", To: "2018-12-20", Overdue: &no, Due: "<today+7", Tag: "a b", Priority: "<=3", Q: "milk & tea", Has: []string{"notes", "date"}, Parent: new(uint64),
				Filter: "#home | p1", TZ: "Europe/Berlin", Sort: []string{"due", "-id"}, Fields: []string{"id", "title"}, Limit: 5, Cursor: "c"}
			_, _, err := c.FindEntries(ctx, "bo", q, ReadOptions{Consistency: "auto"})
			return err
		}, `GET /v1/entries?consistency=auto&cursor=c&date=2018-12-19&due=%3Ctoday%2B7&fields=id%2Ctitle&filter=%23home+%7C+p1&has=notes%2Cdate&limit=5&overdue=false&parent=0&prefix=bo&` +
			`priority=%3C%3D3&q=milk+%26+tea&sort=due%2C-id&tag=a+b&to=2018-12-20&tz=Europe%2FBerlin`},
		{func() error { _, _, err := c.FindEntries(ctx, "", EntriesQuery{}, ReadOptions{}); return err }, `GET /v1/entries`},
		{func() error { _, _, err := c.Entry(ctx, "bob", 3, ReadOptions{IfNoneMatch: `"1.2"`}); return err }, `GET /v1/lists/bob/entries/3 If-None-Match:"1.2"`},
		{func() error { _, _, err := c.List(ctx, "bob", ReadOptions{}); return err }, `GET /v1/lists/bob`},
		{func() error { _, _, err := c.Lists(ctx, "b", 0, "", ReadOptions{}); return err }, `GET /v1/lists?prefix=b`},
		{func() error {
			_, _, err := c.Batch(ctx, Batch{[]Command{{Op: "delete", List: "bob", ID: 1}}}, WriteOptions{})
			return err
		}, `POST /v1/batch {"commands":[{"op":"delete","list":"bob","id":1}]}`},
		{func() error { _, err := c.Cluster(ctx); return err }, `GET /v1/cluster`},
		{func() error {
			_, err := c.AddMember(ctx, Join{ID: "n2", HTTP: "h", Raft: "r", Folder: "f"})
			return err
		},
			`POST /v1/cluster/members {"id":"n2","http":"h","raft":"r","folder":"f"}`},
		{func() error { return c.RemoveMember(ctx, "n2") }, `DELETE /v1/cluster/members/n2`},
		{func() error { return c.JoinGroup(ctx, "h:1") }, `POST /v1/cluster/join {"addr":"h:1"}`},
		{func() error { return c.Transfer(ctx, "n2") }, `POST /v1/cluster/transfer {"to":"n2"}`},
		{func() error { _, err := c.Settings(ctx); return err }, `GET /v1/cluster/settings`},
		{func() error { _, err := c.SetSettings(ctx, Settings{TrashDays: 90}); return err }, `PATCH /v1/cluster/settings {"trash_days":90}`},
		{func() error { _, err := c.Registry(ctx); return err }, `GET /v1/registry`},
		{func() error { _, err := c.Where(ctx, "bob"); return err }, `GET /v1/registry/bob`},
		{func() error { _, err := c.Hash(ctx); return err }, `GET /v1/hash`},
		{func() error {
			d, err := c.Backup(ctx, "stale")
			if err == nil {
				err = d.Close()
			}
			return err
		}, `GET /v1/backup?consistency=stale`},
		{func() error {
			_, err := c.Restore(ctx, strings.NewReader("lists"), 5, true)
			return err
		}, `POST /v1/restore?foreign=true lists`},
		{func() error { return c.Ready(ctx) }, `GET /readyz`},
		{func() error { return c.Live(ctx) }, `GET /livez`},
	} {
		err := try.call()
		g.mu.Lock()
		if err != nil || got != try.want {
			t.Errorf("sent %s\nwant %s\nerror %v", got, try.want, err)
		}
		g.mu.Unlock()
	}
}

// No name of a list makes another route of a path.
func TestNamesThatArePaths(t *testing.T) {
	c := client(t, Options{}, nobody(t))
	for _, list := range []string{"", ".", ".."} {
		if _, _, err := c.Entry(t.Context(), list, 1, ReadOptions{}); !errors.Is(err, CodeInvalid) {
			t.Errorf("%q: %v", list, err)
		}
		if _, err := c.DeleteList(t.Context(), list, WriteOptions{}); !errors.Is(err, CodeInvalid) {
			t.Errorf("delete %q: %v", list, err)
		}
	}
}

func TestPages(t *testing.T) {
	g := newGroup()
	addr := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("cursor") {
		case "":
			io.WriteString(w, `{"entries":[{"id":1},{"id":2}],"next":"empty"}`)
		case "empty": // nothing was found among those looked at
			io.WriteString(w, `{"entries":[],"next":"two"}`)
		case "two":
			io.WriteString(w, `{"entries":[{"id":3}]}`)
		}
	})
	c := client(t, Options{}, addr)
	for name, all := range map[string]iter.Seq2[Entry, error]{
		"of a list":  c.AllEntries(t.Context(), "bob", EntriesQuery{}, ReadOptions{}),
		"of all":     c.AllFound(t.Context(), "", EntriesQuery{}, ReadOptions{}),
		"from there": c.AllFound(t.Context(), "", EntriesQuery{Cursor: "empty"}, ReadOptions{}),
	} {
		var ids []uint64
		for e, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.ID)
		}
		if want := map[string]string{"of a list": "[1 2 3]", "of all": "[1 2 3]", "from there": "[3]"}[name]; fmt.Sprint(ids) != want {
			t.Errorf("%s: got %v, want %s", name, ids, want)
		}
	}
}

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"todod/httpapi/api"
)

// Three nodes for two days, in which each route is asked for, with each parameter, each field of its body and each of
// their values: a new one without a place in the day fails the test. The leader is killed in the second morning, and the
// others do that day alone; then all three have the same, and all that was acknowledged.
func TestE2EADayWithEveryRoute(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	for _, n := range g.nodes {
		n.waitVersion(2)
	}
	w := newWalk(g)
	first := &day{walk: w, g: g, name: "one"}
	first.morning()
	first.rest()
	w.wantAll()
	w.same(g.nodes...)

	dead := g.leader()
	second := &day{walk: w, g: g, name: "two"}
	second.morning()
	dead.kill()
	w.nodes = g.others(dead)
	second.rest()
	w.wantAll()
	w.same(w.nodes...)

	dead.start()
	g.waitReady(dead)
	w.same(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// day is what people and an operator do in a day.
type day struct {
	*walk
	g    *group
	name string
}

// list is the name of a list of this day. Its umlaut is sent in two characters, and stored as one.
func (d *day) list(name string) string { return name + " u\u0308 day " + d.name }

func (d *day) path(list string, rest ...any) string {
	return strings.TrimSuffix(entriesPath(d.list(list)), "/entries") + fmt.Sprint(rest...)
}

func (d *day) rest() {
	d.noon()
	d.finds()
	d.batches()
	d.regrets()
	d.names()
	d.files()
	d.follows()
	d.night()
	d.nodesComeAndGo()
}

// morning: the nodes are there, and things to do come in, in all the ways there are.
func (d *day) morning() {
	ctx := d.t.Context()
	for range d.nodes {
		d.ok(d.c.Live(ctx))
		d.ok(d.c.Ready(ctx))
	}
	for _, path := range []string{"/openapi.json", "/docs"} {
		d.send(304, "GET", path, "", "If-None-Match", d.ask("GET", path, "").header.Get("ETag"))
	}

	bob := d.list("bob")
	form := url.Values{"list": {bob}, "date": {"2018-12-19"}, "title": {"Dentist"}}
	d.ask("POST", "/add_entry", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	form.Set("title", "Shopping")
	d.ask("POST", "/add_entry?"+form.Encode(), "")
	if got := d.read("/entries", "list", bob, "date", "2018-12-19"); got != "2018-12-19 Dentist\n2018-12-19 Shopping" {
		d.t.Errorf("bob has %q", got)
	}
	d.has(bob, "Dentist", "Shopping")

	home := d.list("home")
	clean := d.entry(d.c.AddEntry(ctx, home, api.NewEntry{Title: "Clean the kitchen", Date: "2099-03-01", More: api.More{Priority: 1, Tags: []string{"home", "Küche"},
		Notes: "The oven, too.", UID: "clean", X: json.RawMessage(`{"colour":"red"}`)}}, api.WriteOptions{}))
	bins := d.entry(d.c.AddEntry(ctx, home, api.NewEntry{Title: "Bins", Date: "2018-12-17", More: api.More{Time: "07:00", TZ: "Europe/Berlin", Repeat: "FREQ=WEEKLY;BYDAY=MO",
		RepeatFrom: "due", Remind: []string{"-PT15M"}, Parent: clean.ID}}, api.WriteOptions{IfNoneMatch: `"0.1"`}))
	d.entry(d.c.AddEntry(ctx, home, api.NewEntry{Title: "Water the plants", Date: "2018-12-20", More: api.More{Repeat: "FREQ=DAILY;INTERVAL=3", RepeatFrom: "done"}}, api.WriteOptions{}))
	d.entry(d.c.AddEntry(ctx, home, api.NewEntry{Title: "Old bill", Date: "2018-01-01", Done: true}, api.WriteOptions{}))
	key := "the-key-of-milk-of-day-" + d.name
	milk := `{"title":"Milk"}`
	for i, replayed := range []string{"", "true", "true"} {
		a := d.send(201, "POST", entriesPath(home), milk, "Idempotency-Key", key, "Prefer", "wait=3")
		if a.header.Get("Idempotency-Replayed") != replayed {
			d.t.Errorf("try %d of a write with a key has replayed %q", i, a.header.Get("Idempotency-Replayed"))
		}
	}
	d.has(home, "Clean the kitchen", "Bins", "Water the plants", "Old bill", "Milk")
	if due := bins.Due; due != "2018-12-17T07:00:00+01:00" {
		d.t.Errorf("the bins are due %s", due)
	}
}

// noon: things are done, changed and put in order, one at a time and many at once.
func (d *day) noon() {
	ctx, home, shop := d.t.Context(), d.list("home"), d.list("shop")
	_, meta, err := d.c.Entry(ctx, home, 2, api.ReadOptions{})
	d.ok(err)
	d.read(d.path("home", "/entries/2"))

	// To do what repeats moves it on, by a put and by a patch; nobody does it twice with the tag of before.
	e := decoded[api.Entry](d.walk, d.ask("PUT", d.path("home", "/entries/2?tz=Europe/Berlin"), `{"title":"Bins","date":"2018-12-17","done":true,"time":"07:00","tz":"Europe/Berlin",
		"priority":2,"tags":["home"],"notes":"n","parent":1,"repeat":"FREQ=WEEKLY;BYDAY=MO","repeat_from":"due","remind":["-PT15M"],"uid":"bins","x":{"a":1}}`, "If-Match", `"0.7", `+meta.ETag))
	if e.Done || e.Date != "2018-12-24" {
		d.t.Errorf("the bins done are %+v", e)
	}
	d.send(412, "PATCH", d.path("home", "/entries/2"), `{"done":true}`, "If-Match", `"1.1"`)
	d.ask("PUT", d.path("home", "/entries/3"), `{"title":"Water the plants","date":"2018-12-20","repeat":"FREQ=DAILY;INTERVAL=3","repeat_from":"done"}`)
	e = decoded[api.Entry](d.walk, d.ask("PATCH", d.path("home", "/entries/2?tz=Asia/Tokyo"), `{"title":"Bins out","done":true,"date":"2018-12-31","time":"06:30","tz":"Europe/Berlin",
		"priority":3,"tags":["home","street"],"notes":"brown, blue","parent":1,"repeat":"FREQ=WEEKLY;BYDAY=MO","repeat_from":"due","remind":["-PT30M"],"uid":"bins","x":{"b":2}}`,
		"Content-Type", "application/merge-patch+json"))
	if e.Done || e.Date != "2019-01-07" || e.Due != "2019-01-07T06:30:00+01:00" {
		d.t.Errorf("the bins done again are %+v", e)
	}
	done := true
	e = d.entry(d.c.PatchEntry(ctx, home, 3, api.EntryPatch{Done: &done, RepeatFrom: ptr("done")}, api.WriteOptions{TZ: "Asia/Tokyo"}))
	if e.Done || e.Date <= "2025-01-01" {
		d.t.Errorf("the plants watered are %+v", e)
	}

	for _, place := range []api.Place{{Last: true}, {First: true}, {Before: 4}, {After: 5}} {
		d.entry(d.c.PlaceEntry(ctx, home, 3, place, api.WriteOptions{}))
	}
	d.page(entriesPath(home), []string{"sort", "order"}, "Clean the kitchen", "Bins out", "Old bill", "Milk", "Water the plants")

	d.entry(d.c.CopyEntry(ctx, home, 1, shop, api.WriteOptions{}))
	moved := d.entry(d.c.MoveEntry(ctx, home, 5, shop, api.WriteOptions{}))
	if p := d.send(410, "GET", d.path("home", "/entries/5"), "").problem(); p.Current == nil || p.Current.ID != moved.ID || p.Current.List != moved.List {
		d.t.Errorf("what was moved is said to be at %+v", p)
	}
	d.has(home, "Clean the kitchen", "Bins out", "Water the plants", "Old bill")
	d.has(shop, "Clean the kitchen", "Bins out", "Milk")
	d.bulk()
}

// bulk does all that can be done to what a filter chooses.
func (d *day) bulk() {
	shop, other := d.list("shop"), d.list("other")
	for _, title := range []string{"Eggs", "Flour", "Salt", "Yeast"} {
		d.entry(d.c.AddEntry(d.t.Context(), shop, api.NewEntry{Title: title}, api.WriteOptions{}))
	}
	for _, b := range []struct {
		ids  string
		body string
	}{
		{"[4]", `{"filter":"Eggs","op":"patch","title":"Six eggs","date":"2020-02-02","done":true,"time":"10:00","tz":"Europe/Berlin","priority":5,"tags":["baking"],"notes":"fresh",
			"parent":3,"repeat":"FREQ=MONTHLY","repeat_from":"done","remind":["-PT1H"],"x":{"c":3}}`},
		{"[5]", `{"filter":"Flour","op":"patch","date":"2020-02-02","repeat":"FREQ=MONTHLY","repeat_from":"due"}`},
		{"[5 6 7]", `{"filter":"id>=5","op":"patch","add_tags":["bread"],"dry_run":true}`},
		{"[5 6 7]", `{"filter":"id>=5","op":"patch","add_tags":["bread"]}`},
		{"[6]", `{"filter":"#bread & salt","op":"patch","remove_tags":["bread"]}`},
		{"[5 7]", `{"filter":"#bread","op":"copy","to":"` + other + `"}`},
		{"[7]", `{"filter":"#bread & yeast","op":"move","to":"` + other + `"}`},
		{"[6]", `{"filter":"salt","op":"delete"}`},
	} {
		got := decoded[api.BulkResult](d.walk, d.ask("POST", d.path("shop", "/bulk?tz=Europe/Berlin"), b.body))
		if fmt.Sprint(got.IDs) != b.ids {
			d.t.Errorf("%s was done to %v, want %s", b.body, got.IDs, b.ids)
		}
	}
	d.send(400, "POST", d.path("shop", "/bulk"), `{"filter":"id>=1","op":"patch","uid":"of all"}`) // each needs one of its own
	d.has(shop, "Clean the kitchen", "Bins out", "Milk", "Six eggs", "Flour")
	d.has(other, "Flour", "Yeast", "Yeast")
}

// finds looks for things, in a list and in all, by every parameter.
func (d *day) finds() {
	home := d.list("home")
	all := []string{"prefix", "home"}
	for _, try := range []struct {
		query  string
		titles []string
	}{
		{"date=2099-03-01", []string{"Clean the kitchen"}},
		{"from=2018-01-01&to=2019-12-31", []string{"Old bill", "Bins out"}},
		{"done=true", []string{"Old bill"}},
		{"overdue=true", []string{"Bins out"}},
		{"due=<2019-02-01&sort=-due", []string{"Bins out", "Old bill"}},
		{"tag=kuche", []string{"Clean the kitchen"}},
		{"priority=<4&sort=-priority", []string{"Bins out", "Clean the kitchen"}},
		{"q=OVEN", []string{"Clean the kitchen"}},
		{"has=notes,tag,parent", []string{"Bins out"}},
		{"parent=1", []string{"Bins out"}},
		{"filter=done | %23street&tz=Europe/Berlin", []string{"Bins out", "Old bill"}},
	} {
		query := d.query(try.query)
		d.page(entriesPath(home), query, try.titles...)
		d.page("/v1/entries", append(query, "prefix", home), try.titles...)
	}
	for _, at := range []struct {
		path  string
		query []string
	}{{entriesPath(home), nil}, {"/v1/entries", []string{"prefix", home}}} {
		cursor := d.page(at.path, append(at.query, "limit", "2", "sort", "title", "fields", "id,title"), "Bins out", "Clean the kitchen")
		d.page(at.path, append(at.query, "limit", "2", "sort", "title", "fields", "id,title", "cursor", cursor), "Old bill", "Water the plants")
	}
	d.read("/v1/entries", all...)
	d.page("/v1/search", []string{"q", "küche KIT", "list", home, "done", "false", "limit", "5"}, "Clean the kitchen")
	d.page("/v1/search", []string{"q", "old bill", "list", home, "done", "true"}, "Old bill")
	tag := d.ask("GET", entriesPath(home), "").header.Get("ETag")
	d.send(304, "GET", entriesPath(home), "", "If-None-Match", tag)
}

func (d *day) query(text string) (query []string) {
	for part := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(value)
		d.ok(err)
		query = append(query, name, value)
	}
	return query
}

// batches: an afternoon's plan, all or nothing.
func (d *day) batches() {
	plan, done := d.list("plan"), d.list("done")
	got := decoded[api.BatchResult](d.walk, d.ask("POST", "/v1/batch?tz=Europe/Berlin", fmt.Sprintf(`{"commands":[
		{"op":"add","list":%[1]q,"title":"Party","date":"2030-06-01","time":"18:00","tz":"Europe/Berlin","priority":1,"tags":["fun"],"notes":"in the garden","remind":["-P1D"],"uid":"party","x":{"d":4}},
		{"op":"add","list":%[1]q,"title":"Invite","parent_of":0},
		{"op":"add","list":%[1]q,"title":"Cake","date":"2018-06-01","repeat":"FREQ=YEARLY","repeat_from":"due"},
		{"op":"add","list":%[1]q,"title":"Music","parent":1,"done":true},
		{"op":"add","list":%[1]q,"title":"Chairs"},
		{"op":"patch","list":%[1]q,"id_of":2,"done":true},
		{"op":"put","list":%[1]q,"id_of":4,"title":"Ten chairs","date":"2019-06-01","repeat":"FREQ=YEARLY","repeat_from":"done"},
		{"op":"copy","list":%[1]q,"id_of":3,"to":%[2]q},
		{"op":"place","list":%[1]q,"id_of":4,"place":{"first":true}},
		{"op":"place","list":%[1]q,"id_of":4,"place":{"last":true}},
		{"op":"place","list":%[1]q,"id_of":4,"place":{"after":1}},
		{"op":"place","list":%[1]q,"id_of":4,"place":{"before":1}}]}`, plan, done)))
	if n := len(got.Results); n != 12 {
		d.t.Errorf("a batch of 12 has %d results", n)
	}
	if cake := got.Results[5].Entry; cake == nil || cake.Date != "2019-06-01" {
		d.t.Errorf("the cake is next due %+v", cake)
	}
	tag := d.ask("GET", d.path("plan", "/entries/4"), "").header.Get("ETag")
	d.ask("POST", "/v1/batch", fmt.Sprintf(`{"commands":[{"op":"move","list":%[1]q,"id":4,"to":%[2]q,"if_match":%[3]q},{"op":"delete","list":%[1]q,"id":3},{"op":"delete","list":%[1]q,"id":5}]}`, plan, done, tag))
	d.ask("POST", "/v1/batch", fmt.Sprintf(`{"commands":[{"op":"restore","list":%[1]q,"id":3},{"op":"purge","list":%[1]q,"id":5},{"op":"delete_list","list":%[2]q}]}`, plan, d.list("other")))
	d.send(404, "POST", "/v1/batch", fmt.Sprintf(`{"commands":[{"op":"add","list":%[1]q,"title":"never"},{"op":"delete","list":%[1]q,"id":99}]}`, plan))
	d.has(plan, "Party", "Invite", "Cake")
	d.has(done, "Music", "Music")
	d.has(d.list("other"))
}

// regrets: what was deleted comes back, what was done is undone, and some is gone for good.
func (d *day) regrets() {
	ctx, plan := d.t.Context(), d.list("plan")
	for id := uint64(1); id <= 3; id += 2 {
		_, err := d.c.DeleteEntry(ctx, plan, id, api.WriteOptions{})
		d.ok(err)
	}
	d.has(plan) // with the party went all below it
	d.oneByOne(d.path("plan", "/trash"), "trash", 3)
	d.entry(d.c.RestoreEntry(ctx, plan, 1, api.WriteOptions{}))
	d.ask("POST", d.path("plan", "/trash/3/restore"), "")
	d.has(plan, "Party", "Invite", "Cake")

	d.entry(d.c.PatchEntry(ctx, plan, 2, api.EntryPatch{Title: ptr("Invite everybody")}, api.WriteOptions{}))
	wrong := d.entry(d.c.PatchEntry(ctx, plan, 2, api.EntryPatch{Title: ptr("Invite nobody")}, api.WriteOptions{}))
	_, _, err := d.c.Undo(ctx, wrong.Rev, api.WriteOptions{})
	d.ok(err)
	d.has(plan, "Party", "Invite everybody", "Cake")
	d.oneByOne(d.path("plan", "/entries/2/history"), "changes", 5)

	d.send(204, "DELETE", d.path("plan", "/entries/3?purge=true"), "")
	_, err = d.c.DeleteEntry(ctx, plan, 2, api.WriteOptions{})
	d.ok(err)
	_, err = d.c.PurgeTrashed(ctx, plan, 2, api.WriteOptions{})
	d.ok(err)
	d.send(404, "POST", d.path("plan", "/trash/2/restore"), "")
	d.has(plan, "Party")
}

// oneByOne reads n rows of something, one at a time, with the same cursors at all levels.
func (d *day) oneByOne(path, rows string, n int, more ...string) {
	d.t.Helper()
	cursor := ""
	for i := range n {
		query := append([]string{"limit", "1"}, more...)
		if cursor != "" {
			query = append(query, "cursor", cursor)
		}
		var page map[string]json.RawMessage
		d.ok(json.Unmarshal([]byte(d.read(path, query...)), &page))
		cursor = ""
		if next, ok := page["next"]; ok {
			d.ok(json.Unmarshal(next, &cursor))
		}
		var got []json.RawMessage
		d.ok(json.Unmarshal(page[rows], &got))
		if len(got) != 1 || (cursor == "") != (i == n-1) {
			d.t.Fatalf("%s: page %d of %d has %s and the cursor %q", path, i+1, n, page[rows], cursor)
		}
	}
}

// names: what lists are called, and look like.
func (d *day) names() {
	bob, robert := d.list("bob"), d.list("robert")
	d.ask("PATCH", d.path("bob"), fmt.Sprintf(`{"name":%q,"title":"Robert's","colour":"#3366cc","archived":true,"sort":"due,-priority"}`, robert), "Content-Type", "application/merge-patch+json")
	d.has(bob)
	d.has(robert, "Dentist", "Shopping")
	l := decoded[api.List](d.walk, d.ask("GET", d.path("robert"), ""))
	if l.Entries != 2 || l.Title != "Robert's" || !l.Archived {
		d.t.Errorf("robert is %+v", l)
	}
	d.read(d.path("robert"))
	d.read("/v1/lists")
	d.oneByOne("/v1/lists", "lists", d.countLists())
	d.oneByOne("/v1/lists", "lists", 1, "prefix", robert)
	d.send(204, "DELETE", d.path("done"), "")
	d.has(d.list("done"))
	d.send(404, "DELETE", d.path("done"), "")
}

func (d *day) countLists() (n int) {
	for _, err := range d.c.AllLists(d.t.Context(), "", api.ReadOptions{}) {
		d.ok(err)
		n++
	}
	return n
}

// files: a list goes out and comes in again in every format.
func (d *day) files() {
	home := []string{"Clean the kitchen", "Bins out", "Old bill", "Water the plants"}
	for _, format := range []string{"json", "csv", "todotxt", "ical", "taskwarrior", "todoist"} {
		to, want := "from "+format, home
		if format == "todoist" {
			want = slices.Concat(home[:2], home[3:]) // its files have nothing that is done
		}
		file := d.read(d.path("home", "/export"), "format", format, "tz", "Europe/Berlin")
		path := d.path(to, "/import?tz=Europe/Berlin&format=", format)
		kind := []string{"Content-Type", "application/octet-stream"}
		dry := decoded[api.ImportReport](d.walk, d.ask("POST", path+"&dry_run=true", file, kind...))
		real := decoded[api.ImportReport](d.walk, d.ask("POST", path, file, kind...))
		again := decoded[api.ImportReport](d.walk, d.ask("POST", path, file, kind...))
		if dry.Added != len(want) || real.Added != len(want) || again.Added+again.Changed != 0 {
			d.t.Errorf("%s: %d would be added, %d were, and again %d, with %d changed", format, dry.Added, real.Added, again.Added, again.Changed)
		}
		d.has(d.list(to), want...)
	}
}

// follows: who follows hears of each change, from where they left off.
func (d *day) follows() {
	ctx, home := d.t.Context(), d.list("home")
	cursor := ""
	for more := true; more; {
		got := decoded[api.Synced](d.walk, d.ask("GET", d.path("home", "/sync?limit=2&cursor=", url.QueryEscape(cursor)), ""))
		cursor, more = got.Cursor, got.More
	}
	before := d.index
	e := d.entry(d.c.AddEntry(ctx, home, api.NewEntry{Title: "Sleep"}, api.WriteOptions{}))
	var got api.Synced
	d.ok(json.Unmarshal([]byte(d.read(d.path("home", "/sync"), "cursor", cursor)), &got))
	if len(got.Entries) != 1 || got.Entries[0].ID != e.ID || got.Entries[0].Title != "Sleep" {
		d.t.Errorf("since the cursor %+v changed", got)
	}
	d.has(home, "Clean the kitchen", "Bins out", "Water the plants", "Old bill", "Sleep")

	for _, list := range []string{"", home} {
		path := "/v1/events"
		if list != "" {
			path = d.path("home", "/events")
		}
		var c api.Change
		d.ok(json.Unmarshal([]byte(d.firstEvent(path+"?since="+fmt.Sprint(before))), &c))
		d.slept(c)
		for c, err := range d.c.Watch(ctx, list, fmt.Sprint(before)) {
			d.ok(err)
			d.slept(c)
			break
		}
	}
}

func (d *day) slept(c api.Change) {
	d.t.Helper()
	if len(c.Items) != 1 || c.Items[0].Entry == nil || c.Items[0].Entry.Title != "Sleep" {
		d.t.Errorf("who follows is told of %+v", c)
	}
}

func ptr[T any](v T) *T { return &v }

// night: a backup is made, a list is deleted by mistake, and all is restored.
func (d *day) night() {
	ctx, home := d.t.Context(), d.list("home")
	var saved []byte
	for _, level := range []string{"stale", "auto", "linearizable"} {
		b, err := d.c.Backup(ctx, level)
		d.ok(err)
		saved, err = io.ReadAll(b)
		d.ok(err)
		d.ok(b.Close())
	}
	_, err := d.c.DeleteList(ctx, home, api.WriteOptions{})
	d.ok(err)
	d.page(entriesPath(home), nil)
	was := d.ask("GET", "/v1/lists", "").header.Get("ETag")
	_, err = d.c.Restore(ctx, bytes.NewReader(saved), int64(len(saved)), true)
	d.ok(err)
	d.restored()
	d.send(410, "GET", "/v1/events", "", "Last-Event-ID", strings.Trim(was, `"`)) // a new epoch
	for _, path := range []string{"/v1/registry", "/v1/registry/" + url.PathEscape(home), "/v1/hash", "/metrics", "/v1/cluster"} {
		for range d.nodes {
			d.ask("GET", path, "")
		}
	}
}

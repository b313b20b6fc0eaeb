package main_test

import (
	"bytes"
	endian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"todod/httpapi/api"
)

// rare is a character that the Unicode tables of the next build know more of: see todo.NFC.
const rare = "\u2fe0"

// zoneFile is a zone without summer time, as TZif (RFC 9636), so many seconds ahead of UTC.
func zoneFile(ahead int32) []byte {
	var b bytes.Buffer
	b.WriteString("TZif" + strings.Repeat("\x00", 16))
	for _, count := range []uint32{0, 0, 0, 0, 1, 4} { // one type, four bytes of names
		endian.Write(&b, endian.BigEndian, count)
	}
	endian.Write(&b, endian.BigEndian, ahead)
	b.WriteString("\x00\x00ODD\x00")
	return b.Bytes()
}

// oddZones is a folder of zone data in which it is another day in Berlin in the afternoon of UTC, and in Paris before that.
func oddZones(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "Europe"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "Europe", "Berlin"), zoneFile(13*3600+45*60), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "Europe", "Paris"), zoneFile(-11*3600), 0o600))
	return dir
}

// One node of three has other zone data and other Unicode tables, as while machines and programs are brought up to date in turn.
// It answers as its tables say, and what each node makes of a write is what all store: through changes of the leader, the one with
// the other tables among them, through a kill and a restore, all three have the same, and every comparison says so.
func TestE2EOtherTables(t *testing.T) {
	leftOutOfShortRace(t)
	next := nextTodod(t)
	g := startGroup(t, 3, func(n *node) {
		n.args = append(n.args, "--mark-interval", "1s")
		if n.id == "n3" {
			n.program, n.env = next, []string{"ZONEINFO=" + oddZones(t)}
		}
	})
	for _, n := range g.nodes {
		n.waitVersion(2)
	}
	for round, leader := range g.nodes {
		g.letLead(leader)
		for _, n := range g.nodes {
			n.worksWithTables(fmt.Sprintf("%s round %d", n.id, round))
		}
	}
	g.wantOtherTables()

	file := filepath.Join(t.TempDir(), "lists.backup")
	wantCommand(t, 0, "backup", file, "--server", g.nodes[2].http)
	g.nodes[2].kill() // it leads
	g.nodes[0].worksWithTables("n1 alone")
	wantCommand(t, 0, "restore", file, "--yes", "--server", g.nodes[0].http)
	g.nodes[1].worksWithTables("n2 after the restore")
	g.nodes[2].start()
	g.waitReady(g.nodes[2])
	for _, n := range g.nodes {
		n.worksWithTables(n.id + " at the end")
	}
	g.wantSameHashes(g.nodes...)
	g.wantAgreed()
}

// worksWithTables does at a node what needs tables: names, tags, days, dates that are worked out, and filters.
func (n *node) worksWithTables(name string) {
	n.t.Helper()
	list := rare + " u\u0308 " + name // by another node it may be found under another name
	path := entriesPath(list)
	for i, zone := range []string{"Europe/Berlin", "Europe/Paris"} {
		n.must(201, "POST", path, fmt.Sprintf(`{"title":"%[1]s ﬁne É","date":"2020-01-01","time":"12:00","tz":%[2]q,"tags":["a%[1]s","Å"],"repeat":"FREQ=DAILY","repeat_from":"done"}`, rare, zone))
		n.must(201, "POST", path, fmt.Sprintf(`{"title":"weekly","date":"2020-01-01","notes":%[1]q,"repeat":"FREQ=WEEKLY","repeat_from":"done"}`, rare))
		n.must(200, "PATCH", fmt.Sprint(path, "/", 4*i+1), `{"done":true}`)
		n.must(200, "PUT", fmt.Sprint(path, "/", 4*i+2, "?tz=", zone), `{"title":"weekly","date":"2020-01-01","done":true,"repeat":"FREQ=WEEKLY","repeat_from":"done"}`)
		n.must(200, "POST", "/v1/batch?tz="+zone, fmt.Sprintf(`{"commands":[{"op":"add","list":%[1]q,"title":"both","date":"2020-01-01","time":"23:30","tz":%[2]q,"repeat":"FREQ=MONTHLY","repeat_from":"done"},
			{"op":"patch","list":%[1]q,"id_of":0,"done":true},{"op":"add","list":%[1]q,"title":"%[3]s late","date":%[4]q,"time":"00:15","tz":%[2]q}]}`, list, zone, rare, time.Now().UTC().Format(time.DateOnly)))
		for _, q := range []string{"overdue=true", "due=today", "due=<=today%2B1&sort=due", "tag=a" + rare, "tag=a一", "q=" + rare, "filter=%23A+|+FINE", "sort=title,-due"} {
			n.must(200, "GET", path+"?tz="+zone+"&"+q, "")
			n.must(200, "GET", "/v1/entries?prefix="+url.QueryEscape(rare)+"&tz="+zone+"&"+q, "")
		}
		n.must(200, "POST", strings.TrimSuffix(path, "entries")+"bulk?tz="+zone, `{"filter":"overdue | due=today | 一","op":"patch","add_tags":["chosen`+rare+`"]}`)
		ical := fmt.Sprintf("BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:%[1]s%[2]d\r\nSUMMARY:%[1]s\r\nDUE;TZID=%[3]s:20200329T023000\r\nEND:VTODO\r\nEND:VCALENDAR\r\n", rare, i, zone)
		n.must(200, "POST", strings.TrimSuffix(path, "entries")+"import?format=ical", ical)
	}
	rev := n.must(200, "PATCH", path+"/1", `{"done":true}`).header.Get("Todod-Index")
	n.must(200, "POST", "/v1/undo", `{"rev":`+rev+`}`)
	n.must(200, "POST", path+"/3/move", fmt.Sprintf(`{"to":%q}`, "moved "+rare+" "+name))
	n.must(204, "DELETE", path+"/4", "")
	n.must(200, "POST", strings.TrimSuffix(path, "entries")+"trash/4/restore", "")
	for _, q := range []string{rare + " fine", "一", "fine e", "Å"} {
		waitFor(n.t, "a search", func() error { return wantStatus(200)(n.get("/v1/search?q=" + url.QueryEscape(q))) })
	}
}

// wantOtherTables: the third node does have other tables; else all this would prove nothing.
func (g *group) wantOtherTables() {
	g.t.Helper()
	said := map[string][]string{}
	for _, n := range g.nodes {
		var dates []string
		for _, zone := range []string{"Europe/Berlin", "Europe/Paris"} {
			var e api.Entry
			a := n.must(201, "POST", entriesPath("zones"), fmt.Sprintf(`{"title":"a","date":"2020-01-01","time":"12:00","tz":%q,"repeat":"FREQ=DAILY","repeat_from":"done"}`, zone))
			must(g.t, json.Unmarshal([]byte(a.body), &e))
			said["due in "+zone] = append(said["due in "+zone], e.Due)
			a = n.must(200, "PATCH", fmt.Sprint(entriesPath("zones"), "/", e.ID), `{"done":true}`)
			must(g.t, json.Unmarshal([]byte(a.body), &e))
			dates = append(dates, e.Date)
		}
		said["the next dates"] = append(said["the next dates"], fmt.Sprint(dates))
		a := n.must(201, "POST", entriesPath("tags"), `{"title":"a","tags":["x`+rare+`"]}`)
		var e api.Entry
		must(g.t, json.Unmarshal([]byte(a.body), &e))
		said["a tag"] = append(said["a tag"], fmt.Sprint(e.Tags))
		n.must(200, "GET", entriesPath("tags")+"?q=nothing", "")
		var found api.Entries
		must(g.t, json.Unmarshal([]byte(n.must(200, "GET", entriesPath("tags")+"?tag=x一", "").body), &found))
		said["found by a tag"] = append(said["found by a tag"], fmt.Sprint(len(found.Entries)))
	}
	for what, by := range said {
		if by[0] != by[1] || by[1] == by[2] {
			g.t.Errorf("%s: the nodes say %q, the third one should differ", what, by)
		}
	}
}

// wantAgreed waits until each node has found itself like a majority at a mark behind all there is, and wants nobody to have
// found anything else.
func (g *group) wantAgreed() {
	g.t.Helper()
	c, err := g.nodes[0].cluster()
	must(g.t, err)
	for _, n := range g.nodes {
		waitFor(g.t, n.id+" to agree", func() error {
			a, err := n.get("/metrics")
			if err != nil {
				return err
			}
			_, line, _ := strings.Cut(a.body, "\ntodod_mark_agreed_index ")
			line, _, _ = strings.Cut(line, "\n")
			agreed, err := strconv.ParseFloat(line, 64)
			if err == nil && uint64(agreed) <= c.Applied {
				err = fmt.Errorf("it agreed at %v, and %d was applied", agreed, c.Applied)
			}
			if c, err := n.cluster(); err != nil || c.Diverged != nil {
				return errors.Join(err, fmt.Errorf("diverged: %+v", c.Diverged))
			}
			return err
		})
		log, err := os.ReadFile(n.logFile)
		if err != nil || bytes.Contains(log, []byte("diverge")) {
			g.t.Errorf("the log of %s speaks of divergence (%v)", n.id, err)
		}
	}
}

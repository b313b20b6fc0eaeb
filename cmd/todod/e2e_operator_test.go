package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"todod/httpapi/api"
)

// nodesComeAndGo: the operator's part of the day.
func (d *day) nodesComeAndGo() {
	ctx := d.t.Context()
	_, err := d.c.SetSettings(ctx, api.Settings{TrashDays: 90, EventsMiB: 64})
	d.ok(err)
	for _, n := range d.nodes { // it has no rev that a stale read could ask for
		waitFor(d.t, "the settings at "+n.id, func() error {
			a, err := n.get("/v1/cluster/settings?consistency=stale")
			if err == nil && a.body != `{"trash_days":90,"events_mib":64}`+"\n" {
				err = errors.New(a.body)
			}
			return err
		})
	}
	d.read("/v1/cluster/settings")

	c, err := d.c.Cluster(ctx)
	d.ok(err)
	fresh := newNode(d.t, "fresh-"+d.name)
	fresh.start()
	waitReady(d.t, fresh)
	at, err := d.c.At(fresh.http)
	d.ok(err)
	d.ok(at.JoinGroup(ctx, d.next().http))
	waitFor(d.t, "the new node's vote", func() error { return d.votes(fresh, true) })
	waitReady(d.t, fresh)
	d.same(fresh)
	body := fmt.Sprintf(`{"id":"ghost-%[1]s","http":%[2]q,"raft":%[3]q,"folder":"of the ghost %[1]s","group":%[4]q,"reads":2}`, d.name, freeAddr(d.t), freeAddr(d.t), c.Group)
	if got := decoded[api.Joined](d.walk, d.ask("POST", "/v1/cluster/members", body)); got.Group != c.Group {
		d.t.Errorf("the ghost was taken into %+v", got)
	}
	d.ok(d.c.RemoveMember(ctx, "ghost-"+d.name))
	d.send(204, "DELETE", "/v1/cluster/members/"+fresh.id, "")
	fresh.wantExit(0)

	leader := d.g.leader(d.nodes...)
	to := d.g.others(leader)[0]
	if !to.running() {
		to = d.g.others(leader)[1]
	}
	waitFor(d.t, to.id+" to be led", func() error { return d.c.Transfer(ctx, to.id) })
	d.entry(d.c.AddEntry(ctx, d.list("log"), api.NewEntry{Title: to.id + " leads"}, api.WriteOptions{}))
	d.has(d.list("log"), to.id+" leads")
	var e api.Event
	d.ok(json.Unmarshal([]byte(d.firstEvent("/v1/cluster/events", "Last-Event-ID", "of another time")), &e))
	if e.Type == "" || e.Time.After(time.Now()) {
		d.t.Errorf("an event of the group: %+v", e)
	}
}

// votes says whether a node votes, as those see it that the day goes on at.
func (d *day) votes(n *node, want bool) error {
	return (&group{t: d.t, nodes: d.nodes}).votes(n, want)
}

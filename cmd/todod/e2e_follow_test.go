package main_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"todod/httpapi/api"
)

// Changes are followed through the loss of the node that tells them, through that of the leader, and until a
// restore: each acknowledged one is told once, in order, whichever node tells it.
func TestFollowThroughFailovers(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	client, err := api.NewClient([]string{g.nodes[0].http, g.nodes[1].http, g.nodes[2].http}, api.Options{Patience: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const changes = 120
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range changes {
			if _, _, err := client.AddEntry(ctx, "bob", api.NewEntry{Title: fmt.Sprint(i)}, api.WriteOptions{}); err != nil {
				t.Errorf("add %d: %v", i, err)
				cancel()
				return
			}
		}
	}()
	defer func() { <-done }()

	var killed *node
	last := api.Change{ID: "0"}
	for change, err := range client.Watch(ctx, "", "0") {
		if err != nil {
			t.Fatal(err)
		}
		if change.Rev != last.Rev+1 || len(change.Items) != 1 || change.Items[0].Entry.Title != fmt.Sprint(last.Rev) {
			t.Fatalf("%+v was told after %+v", change, last)
		}
		last = change
		switch change.Rev {
		case changes / 4: // the client began with this one
			g.nodes[0].kill()
		case changes / 2:
			g.nodes[0].start()
			waitReady(t, g.nodes[0])
			killed = g.leader()
			killed.kill()
		}
		if change.Rev == changes {
			break
		}
	}
	if last.Rev != changes {
		t.Fatalf("the last change told is %+v", last)
	}

	running := g.others(killed)[0]
	file := filepath.Join(t.TempDir(), "lists.backup")
	wantCommand(t, 0, "backup", file, "--server", running.http)
	wantCommand(t, 0, "restore", file, "--yes", "--server", running.http)
	for _, err := range client.Watch(ctx, "", last.ID) {
		if !errors.Is(err, api.CodeGone) {
			t.Errorf("after a restore: %v", err)
		}
		break
	}
}

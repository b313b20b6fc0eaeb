// Command smoke works with a generated client as a person would with their lists.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	openapi "github.com/oapi-codegen/runtime/types"

	"todod/deploy/client/generated"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := generated.NewClientWithResponses(os.Args[1])
	if err == nil {
		err = day(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

// day adds, reads, changes and deletes, and is refused what must be.
func day(ctx context.Context, c *generated.ClientWithResponses) error {
	date := openapi.Date{Time: time.Date(2018, 12, 19, 0, 0, 0, 0, time.UTC)}
	key := generated.IdempotencyKey("generated-client-1")
	var tag string
	for range 2 { // the same key twice is one entry
		added, err := c.AddEntryWithResponse(ctx, "bob & co", &generated.AddEntryParams{IdempotencyKey: &key},
			generated.NewEntry{Title: "Dentist", Date: &date, Tags: &[]string{"health"}})
		if err != nil {
			return err
		}
		if e := added.JSON201; e == nil || e.Id != 1 || e.Title != "Dentist" || e.Date == nil || !e.Date.Equal(date.Time) || e.Tags == nil || (*e.Tags)[0] != "health" {
			return unexpected("add", added.HTTPResponse, added.Body)
		}
		tag = added.HTTPResponse.Header.Get("ETag")
	}
	done := true
	patched, err := c.PatchEntryWithResponse(ctx, "bob & co", 1, &generated.PatchEntryParams{IfMatch: &tag}, generated.EntryPatch{Done: &done})
	if err != nil {
		return err
	}
	if e := patched.JSON200; e == nil || !e.Done || e.Completed == nil {
		return unexpected("patch", patched.HTTPResponse, patched.Body)
	}
	if patched, err = c.PatchEntryWithResponse(ctx, "bob & co", 1, &generated.PatchEntryParams{IfMatch: &tag}, generated.EntryPatch{Done: &done}); err != nil {
		return err
	}
	if p := patched.ApplicationproblemJSON412; p == nil || p.Code != "precondition" || p.Outcome == nil || *p.Outcome != "not_applied" {
		return unexpected("patch of what was changed since", patched.HTTPResponse, patched.Body)
	}
	page, err := c.ListEntriesWithResponse(ctx, "bob & co", &generated.ListEntriesParams{Date: &date, Done: &done})
	if err != nil {
		return err
	}
	if p := page.JSON200; p == nil || len(p.Entries) != 1 || p.Next != nil {
		return unexpected("list", page.HTTPResponse, page.Body)
	}
	deleted, err := c.DeleteListWithResponse(ctx, "bob & co", nil)
	if err != nil {
		return err
	}
	if deleted.StatusCode() != http.StatusNoContent {
		return unexpected("delete", deleted.HTTPResponse, deleted.Body)
	}
	gone, err := c.GetListWithResponse(ctx, "bob & co", nil)
	if err != nil {
		return err
	}
	if p := gone.ApplicationproblemJSON404; p == nil || p.Code != "not_found" {
		return unexpected("get of what was deleted", gone.HTTPResponse, gone.Body)
	}
	group, err := c.GetClusterWithResponse(ctx)
	if err != nil {
		return err
	}
	if g := group.JSON200; g == nil || g.Leader != g.Id || len(g.Members) != 1 || g.State != "member" {
		return unexpected("the group", group.HTTPResponse, group.Body)
	}
	return nil
}

func unexpected(what string, resp *http.Response, body []byte) error {
	return fmt.Errorf("%s: unexpected answer %s: %s", what, resp.Status, body)
}

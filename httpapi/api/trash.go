package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
)

// Trash returns a page of what was deleted from a list, by id; limit 0 is 100.
func (c *Client) Trash(ctx context.Context, list string, limit int, cursor string, opt ReadOptions) (Trash, Meta, error) {
	v := url.Values{}
	page(v, limit, cursor)
	return read[Trash](ctx, c, listPath(list)+"/trash", v, opt)
}

// AllTrash goes through all pages of the trash of a list. An error ends it.
func (c *Client) AllTrash(ctx context.Context, list string, opt ReadOptions) iter.Seq2[Trashed, error] {
	return each(func(cursor string) ([]Trashed, string, error) {
		p, _, err := c.Trash(ctx, list, 1000, cursor, opt)
		return p.Trash, p.Next, err
	})
}

// RestoreEntry takes an entry back out of the trash, with its id and with what it took along; CodeNotFound if
// it is not there.
func (c *Client) RestoreEntry(ctx context.Context, list string, id uint64, opt WriteOptions) (Entry, Meta, error) {
	var e Entry
	meta, err := c.change(ctx, http.MethodPost, trashPath(list, id)+"/restore", nil, opt, &e)
	return e, meta, err
}

// PurgeEntry deletes an entry of a list for good, not into the trash.
func (c *Client) PurgeEntry(ctx context.Context, list string, id uint64, opt WriteOptions) (Meta, error) {
	return c.drop(ctx, entryPath(list, id)+"?purge=true", opt)
}

// PurgeTrashed deletes an entry of the trash for good.
func (c *Client) PurgeTrashed(ctx context.Context, list string, id uint64, opt WriteOptions) (Meta, error) {
	return c.drop(ctx, trashPath(list, id), opt)
}

// History returns a page of the changes of an entry, the newest first; limit 0 is 100.
func (c *Client) History(ctx context.Context, list string, id uint64, limit int, cursor string, opt ReadOptions) (History, Meta, error) {
	v := url.Values{}
	page(v, limit, cursor)
	return read[History](ctx, c, entryPath(list, id)+"/history", v, opt)
}

// AllHistory goes through all changes of an entry, the newest first. An error ends it.
func (c *Client) AllHistory(ctx context.Context, list string, id uint64, opt ReadOptions) iter.Seq2[EntryChange, error] {
	return each(func(cursor string) ([]EntryChange, string, error) {
		p, _, err := c.History(ctx, list, id, 1000, cursor, opt)
		return p.Changes, p.Next, err
	})
}

// Undo undoes what a rev did, as a new change. CodeConflict says that an entry was changed again since, CodeGone that
// it is no longer known what the rev did.
func (c *Client) Undo(ctx context.Context, rev uint64, opt WriteOptions) (BatchResult, Meta, error) {
	return write[BatchResult](ctx, c, http.MethodPost, "/v1/undo", Undo{rev}, opt)
}

func trashPath(list string, id uint64) string {
	return fmt.Sprintf("%s/trash/%d", listPath(list), id)
}

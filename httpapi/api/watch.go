package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
)

// Watch follows the changes of a list, or with "" of all lists: those after since and those to come. since is the ID of a
// change or a rev, such as Meta.Index of a read; "" is from now on. When its node goes, Watch goes on at the next one
// behind the last change that it gave: none is left out, and none comes twice. It ends when ctx does, or with an
// error: CodeGone when what comes next is no longer kept, or a restore came in between (read the lists anew, then watch from
// the Index of that read), CodeUnreachable and the like when no node answered for as long as the client's patience.
func (c *Client) Watch(ctx context.Context, list, since string) iter.Seq2[Change, error] {
	path := "/v1/events"
	if list != "" {
		path = listPath(list) + "/events"
	}
	return func(yield func(Change, error) bool) {
		if err := checkPath(path); err != nil {
			yield(Change{}, err)
			return
		}
		var damaged error
		err := c.follow(ctx, following{path: path, since: since, shared: true}, func(f frame) bool {
			change := Change{ID: f.id}
			if err := json.Unmarshal(f.data, &change); err != nil {
				damaged = fmt.Errorf("the change %s cannot be read: %w", f.id, err)
				return false
			}
			return yield(change, nil)
		})
		if damaged != nil {
			err = damaged
		}
		if err != nil {
			yield(Change{}, err)
		}
	}
}

// Sync returns what changed in a list since the call that gave cursor; with "" all of it, in pages. Go on with the cursor
// of the answer, at once if it says More. CodeGone when what changed since is no longer kept: begin again with "".
func (c *Client) Sync(ctx context.Context, list, cursor string, limit int, opt ReadOptions) (Synced, Meta, error) {
	v := url.Values{}
	page(v, limit, cursor)
	return read[Synced](ctx, c, listPath(list)+"/sync", v, opt)
}

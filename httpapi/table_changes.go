package httpapi

import (
	"net/http"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

var (
	eventParams = []string{"since"}
	syncParams  = []string{"cursor", "limit", "consistency"}
	added       = api.Change{Rev: 42, Time: then, Items: []api.BatchChange{{Op: "add", List: "bob", ID: 1, Entry: &dentist}}}
)

// howToFollow is said of each stream of changes.
const howToFollow = "An id is EPOCH.REV: a client that was cut off goes on behind it, at any node, without a gap and without hearing anything twice. " +
	"The changes of the last 24 hours are kept, up to 128 MiB of them or what `events_mib` of the group says, and 1,000 at least; behind that, and after a restore, the answer is 410: read the lists anew, and follow from the Todod-Index of that answer.\n\n" +
	"An id that this node has not reached yet is waited for until a leader says how far the group is: 400 if no change has it, 503 if there is no leader. " +
	"A silent stream sends a comment every 10 s. A client that reads too slowly is cut off."

var changeRoutes = []route{
	{http.MethodGet, "/v1/events", allChanges, eventParams, about{
		id: "followAll", does: "The changes of all lists, as they come", more: howToFollow, how: follows | indexed, gives: stream{added},
	}},
	{http.MethodGet, "/v1/lists/{list}/events", listChanges, eventParams, about{
		id: "followList", does: "The changes of a list, as they come",
		more: howToFollow + "\n\nThe list is the one that has the name now. Where it was renamed, who comes back under the new name is told of it under the old one too; a stream that is open does not change its name.", how: follows | indexed, gives: stream{added},
	}},
	{http.MethodGet, "/v1/lists/{list}/sync", syncList, syncParams, about{
		id: "syncList", does: "What changed in a list since the call before, and what went",
		more: "Without a cursor all entries come, in pages; each answer has the cursor of the next call. An entry comes as it is now, however often it changed. " +
			"With `limit` a page ends with the change that fills it, so it is longer where that changed many. A cursor that is older than the changes that are kept, or from before a restore, is answered with 410: begin without one. It holds under another name that the list gets.",
		how: reads, gives: api.Synced{List: "bob", Rev: 42, Entries: []api.Entry{dentist}, Gone: []uint64{2}, Cursor: "AQfKc0mDPWpc3gAzLjQy"},
		words: openapi.Words{"?cursor": {Description: "cursor of the answer before."}},
	}},
}

package httpapi

import (
	"net/http"

	"todod/httpapi/api"
)

var (
	eventParams = []string{"since"}
	added       = api.Change{Rev: 42, Time: then, Items: []api.BatchChange{{Op: "add", List: "bob", ID: 1, Entry: &dentist}}}
)

// howToFollow is said of each stream of changes.
const howToFollow = "An id is EPOCH.REV: a client that was cut off goes on behind it, at any node, without a gap and without hearing anything twice. " +
	"The changes of the last 24 hours are kept, up to 128 MiB of them, and 1,000 at least; behind that, and after a restore, the answer is 410: read the lists anew, and follow from the Todod-Index of that answer.\n\n" +
	"An id that this node has not reached yet is waited for until a leader says how far the group is: 400 if no change has it, 503 if there is no leader. " +
	"A silent stream sends a comment every 10 s. A client that reads too slowly is cut off."

var changeRoutes = []route{
	{http.MethodGet, "/v1/events", allChanges, eventParams, about{
		id: "followAll", does: "The changes of all lists, as they come", more: howToFollow, how: follows | indexed, gives: stream{added},
	}},
	{http.MethodGet, "/v1/lists/{list}/events", listChanges, eventParams, about{
		id: "followList", does: "The changes of a list, as they come", more: howToFollow, how: follows | indexed, gives: stream{added},
	}},
}

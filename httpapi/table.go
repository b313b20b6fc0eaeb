package httpapi

import (
	"net/http"
	"slices"
	"time"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

var (
	entryParams = slices.Concat(plainParams, choiceParams)
	findParams  = slices.Concat(entryParams, []string{"prefix"})
	listsParams = []string{"prefix", "limit", "cursor", "consistency"}
	readParams  = []string{"consistency"}
	doParams    = []string{"tz"}
	dropParams  = []string{"purge"}
	bookAdding  = []string{"list", "date", "title"}
	bookReading = []string{"list", "date", "consistency"}
)

// table is all routes, with what is said of each to clients. mux tries them in order, so the hot ones come first.
//
// A new route is one row: method, path, handler, parameters and an about. A name that is new, of a parameter or of a
// field of a body, gets a line in the glossary, an error code one in codeSays. TestAllIsDescribed names what lacks.
func table() []route {
	var all []route
	for _, part := range [][]route{entryRoutes, trashRoutes, listRoutes, transferRoutes, changeRoutes, groupRoutes, nodeRoutes} {
		all = append(all, part...)
	}
	return all
}

// What stands in examples.
var (
	then    = time.Date(2018, 12, 18, 9, 0, 0, 0, time.UTC)
	dentist = api.Entry{List: "bob", ID: 1, Title: "Dentist", Date: "2018-12-19", Rev: 42, Created: then, Updated: then}
	bobs    = api.List{Name: "bob", Entries: 1, Open: 1, Rev: 42}
	hash    = api.Hash{Index: 105, Chain: "9f86d081884c7d65", Set: "2c26b46b68ffc68f"}
)

// ofPages is what whoever goes through pages of entries must know.
const ofPages = `A page may be short, even empty, and still have a next one: at most 20,000 entries are looked at for each. A page in an order of its own needs a look at all entries that the dates leave, at most 1,000,000.

An answer that depends on the clock, by overdue or today, has no ETag.`

var entryRoutes = []route{
	{http.MethodGet, "/v1/lists/{list}/entries", getEntries, entryParams, about{
		id: "listEntries", does: "A page of the entries of a list, narrowed by filters",
		more: "Of an unknown list there are none, and its rev is 0.\n\n" + ofPages,
		how:  reads | tagged, gives: api.Entries{List: "bob", Rev: 42, Entries: []api.Entry{dentist}},
	}},
	{http.MethodPost, "/v1/lists/{list}/entries", addEntry, nil, about{
		id: "addEntry", does: "Add an entry to a list, which begins with its first one",
		how: writes | tagged | located, body: api.NewEntry{Title: "Dentist", Date: "2018-12-19"}, gives: dentist, status: http.StatusCreated,
	}},
	{http.MethodPost, "/add_entry", bookAdd, bookAdding, about{
		id: "bookAddEntry", does: "Add an entry, as the book has it",
		how: writes | matches, body: form{"list", "date", "title"}, gives: text("OK"),
	}},
	{http.MethodGet, "/entries", bookEntries, bookReading, about{
		id: "bookEntries", does: "The entries of a day, as the book has it: one a line, in the order added",
		how: reads, gives: text("2018-12-19 Dentist\n2018-12-19 Shopping"), fails: []api.Code{api.CodeTooLarge},
	}},
	{http.MethodGet, "/v1/lists/{list}/entries/{id}", getEntry, readParams, about{
		id: "getEntry", does: "One entry", how: reads | tagged, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodGet, "/v1/entries", findEntries, findParams, about{
		id: "findEntries", does: "A page of the entries of all lists, narrowed by filters",
		more: "They come list by list, in the byte order of the names, unless sort says otherwise.\n\n" + ofPages,
		how:  reads | tagged, gives: api.FoundEntries{Rev: 42, Entries: []api.Entry{dentist}},
	}},
	{http.MethodPut, "/v1/lists/{list}/entries/{id}", putEntry, doParams, about{
		id: "putEntry", does: "Replace all settable fields of an entry", more: "It never makes one. To do an entry that repeats moves it to its next date, as a patch does.",
		how: writes | tagged, body: api.NewEntry{Title: "Dentist", Date: "2018-12-20"}, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPatch, "/v1/lists/{list}/entries/{id}", patchEntry, doParams, about{
		id: "patchEntry", does: "Change some fields of an entry",
		more: "The body is a JSON merge patch (RFC 7396). Two at once never conflict: field by field the later one wins. To do an entry that repeats moves it to its next date, where it is open; " +
			"with repeat null it is done for good.",
		how: writes | tagged, body: patch{"EntryPatch", api.NewEntry{}, map[string]any{"done": true}}, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodDelete, "/v1/lists/{list}/entries/{id}", deleteEntry, dropParams, about{
		id: "deleteEntry", does: "Take an entry away",
		more: "It goes to the trash of the list, with all below it; more than 1,000 are refused. With purge they are deleted for good.",
		how:  writes | matches, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPost, "/v1/lists/{list}/entries/{id}/place", placeEntry, nil, about{
		id: "placeEntry", does: "Put an entry somewhere in the order of its list",
		more: "Two that do so at once both get what they asked for. The other entries keep their revs.",
		how:  writes | tagged, body: api.Place{Before: 3}, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPost, "/v1/lists/{list}/entries/{id}/move", moveEntry, nil, about{
		id: "moveEntry", does: "Move an entry into another list",
		more: "All below it goes along; more than 1,000 are refused. It has a new id there, which Location and the answer have.",
		how:  writes | tagged | located, body: api.To{To: "eve"}, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPost, "/v1/lists/{list}/entries/{id}/copy", copyEntry, nil, about{
		id: "copyEntry", does: "Copy an entry into a list", more: "With all below it. The copy has no uid.",
		how: writes | tagged | located, body: api.To{To: "eve"}, gives: dentist, fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPost, "/v1/lists/{list}/bulk", postBulk, bulkParams, about{
		id: "bulk", does: "Do one thing to all entries that a filter chooses",
		more: "All or none, as one command of at most 1,000 entries; more are refused with 409. What is below a chosen entry goes along where it is deleted, moved or copied.",
		how:  writes, body: api.Bulk{Filter: "done & updated<today-30", Op: "delete"}, gives: api.BulkResult{Rev: 42, IDs: []uint64{1, 7}},
	}},
	{http.MethodGet, "/v1/search", searchEntries, searchParams, about{
		id: "search", does: "Entries that have words in title, tags or notes, those that fit best first",
		more: "All words must be there; the beginning of each is enough, and case and accents make no difference. The node that is asked keeps an index for it, " +
			"which it makes when it is first asked: until it is there the answer is 503 with code behind.",
		how: reads, gives: api.Search{Rev: 42, Entries: []api.Entry{dentist}}, fails: []api.Code{api.CodeBehind},
		words: openapi.Words{"q": {Description: "The words.", MinLength: 1, Examples: []any{"oat mil"}}, "list": {Description: "Only entries of this list.", MaxLength: todo.MaxListName}},
	}},
	{http.MethodPost, "/v1/batch", postBatch, doParams, about{
		id: "batch", does: "Several commands, on any lists, all or none of them",
		how: writes, body: api.Batch{Commands: []api.Command{{Op: "add", List: "bob", EntryPatch: api.EntryPatch{Title: &dentist.Title}}, {Op: "delete", List: "alice", ID: 3}}},
		gives: api.BatchResult{Rev: 42, Results: []api.BatchChange{{Op: "add", List: "bob", ID: 1, Entry: &dentist}, {Op: "delete", List: "alice", ID: 3}}},
		fails: []api.Code{api.CodeNotFound, api.CodeMoved, api.CodePrecondition},
	}},
}

var listRoutes = []route{
	{http.MethodGet, "/v1/lists", getLists, listsParams, about{
		id: "listLists", does: "A page of all lists, in the byte order of their names",
		more: "Its ETag changes with every change of any list.",
		how:  reads | tagged, gives: api.Lists{Lists: []api.List{bobs}},
	}},
	{http.MethodGet, "/v1/lists/{list}", getList, readParams, about{
		id: "getList", does: "What is known of a list beside its entries", how: reads | tagged, gives: bobs, fails: []api.Code{api.CodeNotFound},
	}},
	{http.MethodPatch, "/v1/lists/{list}", patchList, nil, about{
		id: "patchList", does: "Change what is known of a list, its name too",
		more: "A list that gets another name keeps its entries and their ids, trash and history; the cursors of its pages and the ids of its events hold under the new name. A name that another list has or had is refused with 409. " +
			"The old name is free for a new list, whose ids go on where those of the old one stood, or to go back to.",
		how: writes | tagged, body: patch{"ListPatch", api.ListPatch{}, map[string]any{"title": "Bob's", "colour": "#3366cc"}}, gives: bobs,
		fails: []api.Code{api.CodeNotFound},
	}},
	{http.MethodDelete, "/v1/lists/{list}", deleteList, nil, about{
		id: "deleteList", does: "Take a list away with all its entries", more: "Ids of its entries are not used again, not even by a new list of the name.",
		how: writes | matches, fails: []api.Code{api.CodeNotFound},
	}},
}

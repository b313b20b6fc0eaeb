package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"todod/httpapi/api"
)

// handler answers a request, or returns the error to answer it with.
type handler func(*request) error

// method is what a resource does for one method.
type method struct {
	params []string // the parameters of the query that it knows
	serve  handler
	counts *counts
}

// resource is what stands under one path.
type resource struct {
	path    string // as mux has it; it names the resource in metrics too
	methods map[string]*method
	allow   string
	strict  bool    // parameters that are not known are refused
	other   *counts // of methods it does not have
}

var (
	entryParams = []string{"date", "from", "to", "done", "limit", "cursor", "consistency"}
	listsParams = []string{"prefix", "limit", "cursor", "consistency"}
	readParams  = []string{"consistency"}
	bookParams  = []string{"list", "date", "title", "consistency"}
)

func get(serve handler, params []string) map[string]*method {
	return map[string]*method{http.MethodGet: {params: params, serve: serve}}
}

func post(serve handler) map[string]*method {
	return map[string]*method{http.MethodPost: {serve: serve}}
}

// resources is the table of all routes. mux tries them in order, so the hot ones come first.
func resources() []*resource {
	return []*resource{
		{path: "/v1/lists/{list}/entries", methods: map[string]*method{
			http.MethodGet:  {params: entryParams, serve: getEntries},
			http.MethodPost: {serve: addEntry},
		}},
		{path: "/add_entry", methods: map[string]*method{http.MethodPost: {params: bookParams, serve: bookAdd}}},
		{path: "/entries", methods: get(bookEntries, bookParams)},
		{path: "/v1/lists/{list}/entries/{id}", methods: map[string]*method{
			http.MethodGet:    {params: readParams, serve: getEntry},
			http.MethodPut:    {serve: putEntry},
			http.MethodPatch:  {serve: patchEntry},
			http.MethodDelete: {serve: deleteEntry},
		}},
		{path: "/v1/batch", methods: post(postBatch)},
		{path: "/v1/lists", methods: get(getLists, listsParams)},
		{path: "/v1/lists/{list}", methods: map[string]*method{
			http.MethodGet:    {params: readParams, serve: getList},
			http.MethodDelete: {serve: deleteList},
		}},
		{path: "/v1/cluster", methods: get(accept(nil, getCluster), nil)},
		{path: "/v1/cluster/members", methods: post(accept(scanJoin, postMember))},
		{path: "/v1/cluster/members/{id}", methods: map[string]*method{http.MethodDelete: {serve: accept(nil, deleteMember)}}},
		{path: "/v1/cluster/join", methods: post(accept(scanJoinAddr, postJoin))},
		{path: "/v1/cluster/transfer", methods: post(accept(scanTransfer, postTransfer))},
		{path: "/v1/cluster/events", methods: get(clusterEvents, nil)},
		{path: "/v1/registry", methods: get(accept(nil, getRegistry), nil)},
		{path: "/v1/registry/{list}", methods: get(accept(nil, getWhere), nil)},
		{path: "/v1/backup", methods: get(getBackup, readParams)},
		{path: "/v1/restore", methods: map[string]*method{http.MethodPost: {params: []string{"foreign"}, serve: postRestore}}},
		{path: "/v1/hash", methods: get(accept(nil, getHash), nil)},
		{path: "/livez", methods: get(live, nil)},
		{path: "/readyz", methods: get(ready, nil)},
		{path: "/metrics", methods: get(serveMetrics, nil)},
	}
}

// routes finds the resource of a request. mux matches paths only: a resource knows its
// methods, so that 405 and its Allow come from the table. It is asked with Match, not
// ServeHTTP, which would redirect to cleaned paths, and copy the request twice to hang the
// variables on its context.
type routes struct {
	router *mux.Router
	byPath map[string]*resource
	none   *resource // what stands under all other paths
}

func newRoutes(m *metrics) *routes {
	rs := &routes{router: mux.NewRouter().UseEncodedPath(), byPath: map[string]*resource{}}
	for _, res := range resources() {
		res.prepare(m)
		rs.byPath[res.path] = res
		rs.router.Path(res.pattern()).Name(res.path)
	}
	rs.none = &resource{path: "other"}
	rs.none.prepare(m)
	return rs
}

// pattern is the path with an empty name of a list let through, so that it is answered as
// the bad name it is. What follows {list} keeps its slash: a name never reaches past its own.
func (res *resource) pattern() string {
	return strings.Replace(res.path, "{list}/", "{list:[^/]*}/", 1)
}

func (res *resource) prepare(m *metrics) {
	res.strict = isV1(res.path)
	for name, me := range res.methods {
		me.counts = m.counts(res.path, name)
	}
	if get := res.methods[http.MethodGet]; get != nil {
		res.methods[http.MethodHead] = &method{params: get.params, serve: get.serve, counts: m.counts(res.path, http.MethodHead)}
	}
	res.allow = strings.Join(slices.Sorted(maps.Keys(res.methods)), ", ")
	res.other = m.counts(res.path, "other")
}

// find returns the resource under the path of a request, with the variables in it.
func (rs *routes) find(r *http.Request) (*resource, map[string]string) {
	var match mux.RouteMatch
	if !rs.router.Match(r, &match) {
		return rs.none, nil
	}
	return rs.byPath[match.Route.GetName()], match.Vars
}

// refuse is the answer to a request that no method is there for.
func (res *resource) refuse(r *http.Request) error {
	switch {
	case !isV1(r.URL.Path):
		return fail(api.CodeNotFound, "not found")
	case res.methods == nil:
		return fail(api.CodeNotFound, "there is nothing under this path")
	}
	f := fail(api.CodeMethod, "this path has other methods: %s", res.allow)
	f.allow = res.allow
	return f
}

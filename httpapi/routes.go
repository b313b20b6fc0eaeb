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

// route is one row of the table: what a method does on a path, and what is said of it.
type route struct {
	method, path string // the path as mux has it; it names the route in metrics too
	serve        handler
	params       []string // the parameters of the query that it knows
	about
}

// method is what a resource does for one method.
type method struct {
	*route
	counts *counts
}

// resource is what stands under one path.
type resource struct {
	path    string
	methods map[string]*method
	allow   string
	strict  bool    // parameters that are not known are refused
	other   *counts // of methods it does not have
}

// resources are the rows of the table by their paths, in their order.
func resources(table []route) (all []*resource) {
	byPath := map[string]*resource{}
	for i := range table {
		r := &table[i]
		res := byPath[r.path]
		if res == nil {
			res = &resource{path: r.path, methods: map[string]*method{}}
			byPath[r.path] = res
			all = append(all, res)
		}
		res.methods[r.method] = &method{route: r}
	}
	return all
}

// routes finds the resource of a request. mux matches paths only: a resource knows its
// methods, so that 405 and its Allow come from the table. It is asked with Match, not
// ServeHTTP, which would redirect to cleaned paths, and copy the request twice to hang the
// variables on its context.
type routes struct {
	router *mux.Router
	table  []route
	byPath map[string]*resource
	plain  map[string]*resource // those without a variable, whose path is all that mux could compare
	ofList map[string]*resource // those of a list and no other variable, by what follows it
	none   *resource            // what stands under all other paths
}

func newRoutes(table []route, m *metrics) *routes {
	rs := &routes{router: mux.NewRouter().UseEncodedPath(), table: table, byPath: map[string]*resource{},
		plain: map[string]*resource{}, ofList: map[string]*resource{}}
	for _, res := range resources(rs.table) {
		res.prepare(m)
		rs.byPath[res.path] = res
		if !strings.Contains(res.path, "{") {
			rs.plain[res.path] = res
			continue
		}
		if rest, ok := strings.CutPrefix(res.path, beforeList+"{list}/"); ok && !strings.ContainsAny(rest, "{/") {
			rs.ofList[rest] = res
		}
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
		res.methods[http.MethodHead] = &method{route: get.route, counts: m.counts(res.path, http.MethodHead)}
	}
	res.allow = strings.Join(slices.Sorted(maps.Keys(res.methods)), ", ")
	res.other = m.counts(res.path, "other")
}

// beforeList is where the paths of most requests begin.
const beforeList = "/v1/lists/"

// vars are the variables of a path, still escaped.
type vars struct{ list, id string }

// find returns the resource under the path of a request, with the variables in it.
func (rs *routes) find(r *http.Request) (*resource, vars) {
	path := r.URL.EscapedPath()
	if res := rs.plain[path]; res != nil {
		return res, vars{}
	}
	if res, list := rs.findOfList(path); res != nil {
		return res, vars{list: list}
	}
	return rs.match(r)
}

// findOfList finds what most requests are for. mux would too, with a regular expression for each path: the pattern of such
// a path lets anything but a slash stand for the list.
func (rs *routes) findOfList(path string) (*resource, string) {
	path, ok := strings.CutPrefix(path, beforeList)
	list, rest, slash := strings.Cut(path, "/")
	if !ok || !slash {
		return nil, ""
	}
	return rs.ofList[rest], list
}

// match is find for all paths, by mux.
func (rs *routes) match(r *http.Request) (*resource, vars) {
	var match mux.RouteMatch
	if !rs.router.Match(r, &match) {
		return rs.none, vars{}
	}
	return rs.byPath[match.Route.GetName()], vars{match.Vars["list"], match.Vars["id"]}
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

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
	none   *resource            // what stands under all other paths
}

func newRoutes(table []route, m *metrics) *routes {
	rs := &routes{router: mux.NewRouter().UseEncodedPath(), table: table, byPath: map[string]*resource{}, plain: map[string]*resource{}}
	for _, res := range resources(rs.table) {
		res.prepare(m)
		rs.byPath[res.path] = res
		if !strings.Contains(res.path, "{") {
			rs.plain[res.path] = res
			continue
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

// find returns the resource under the path of a request, with the variables in it.
func (rs *routes) find(r *http.Request) (*resource, map[string]string) {
	if res := rs.plain[r.URL.EscapedPath()]; res != nil {
		return res, nil
	}
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

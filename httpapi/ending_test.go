package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Who uses a route that will go is told so with each answer, and so is whoever reads the description.
func TestADeprecatedRoute(t *testing.T) {
	since := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	end := &ending{since: since, until: since.Add(notice), instead: "getCluster"}
	rows := table()
	for i := range rows {
		if rows[i].id == "getHash" {
			rows[i].ends = end
		}
	}
	s := New(Config{Node: newTestNode(t)})
	s.routes = newRoutes(rows, newMetrics(prometheus.NewRegistry()))
	for path, want := range map[string][3]string{
		"/v1/hash":    {"@1893542400", "Thu, 02 Jan 2031 00:00:00 GMT", `</docs#getCluster>; rel="deprecation"; type="text/html"`},
		"/v1/cluster": {},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		h := w.Result().Header
		if got := [3]string{h.Get("Deprecation"), h.Get("Sunset"), h.Get("Link")}; w.Code != 200 || got != want {
			t.Errorf("%s: %d, %q", path, w.Code, got)
		}
	}

	doc, missing := describing(rows)
	op := doc.Paths.Get("/v1/hash").Get("get")
	if len(missing) > 0 || !op.Deprecated || op.Responses.Get("200").Headers.Get("Sunset") == nil ||
		!strings.HasPrefix(op.Description, "Deprecated since 2030-01-02, and gone after 2031-01-02 at the earliest: use `getCluster` instead.") {
		t.Errorf("the description says %+v, and lacks %q", op, missing)
	}
	end.until = since.Add(notice - 1)
	if _, missing := describing(rows); len(missing) != 1 || !strings.Contains(missing[0], "sooner than a year") {
		t.Errorf("an end that comes too soon: %q", missing)
	}
}

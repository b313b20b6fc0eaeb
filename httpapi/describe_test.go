package httpapi

import (
	"testing"
)

// A route, a parameter, a field and an error code are not there before they are described.
func TestAllIsDescribed(t *testing.T) {
	_, missing := describing(table())
	for _, what := range missing {
		t.Error(what)
	}
	ids := map[string]bool{}
	for _, r := range table() {
		if ids[r.id] {
			t.Errorf("two rows of the table have the id %s", r.id)
		}
		ids[r.id] = true
	}
}

package main

import (
	"testing"

	"todod/httpapi/api"
)

// The version of the group, and whom it waits for while an upgrade is under way.
func TestVersionOf(t *testing.T) {
	member := func(id string, reads uint64) api.Member { return api.Member{ID: id, Reads: reads} }
	for _, c := range []struct {
		cluster api.Cluster
		want    string
	}{
		{api.Cluster{}, "0"},
		{api.Cluster{GroupVersion: 1, Reads: 1, Members: []api.Member{member("n1", 1), member("n2", 0)}}, "1"},
		{api.Cluster{GroupVersion: 2, Reads: 2, Members: []api.Member{member("n1", 2), member("n2", 2)}}, "2"},
		{api.Cluster{GroupVersion: 1, Reads: 2, Members: []api.Member{member("n1", 2), member("n2", 1), member("n3", 0)}},
			"1, goes up once every member reads more: waits for n2, n3"},
		{api.Cluster{GroupVersion: 1, Reads: 1, Members: []api.Member{member("n1", 1), member("n2", 3)}},
			"1, goes up once every member reads more: waits for n1"},
	} {
		if got := versionOf(c.cluster); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

package main

import "testing"

func TestHeapLimit(t *testing.T) {
	for _, c := range []struct{ used, limit int64 }{
		{0, 192}, {25, 192}, {96, 192}, {97, 224}, {112, 224}, {113, 256}, {1000, 2016},
	} {
		if got := heapLimit(c.used<<20) >> 20; got != c.limit {
			t.Errorf("%d MB in use: a limit of %d MB, want %d", c.used, got, c.limit)
		}
	}
	if u := used(); u < 1<<16 || u > 4<<30 {
		t.Errorf("this process uses %d bytes", u)
	}
}

package main

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "512": 512, "512B": 512, "64MiB": 64 << 20, "1.5KiB": 1536, "2GiB": 2 << 30} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "MiB", "64MB", "64 MiB", "NaN", "Inf", "9e30", "9000000TiB"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1536: "1.5KiB", 64 << 20: "64MiB", 5 << 40: "5TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is written as %q, want %q", n, got, want)
		}
	}
}

func TestReserveFlag(t *testing.T) {
	for text, want := range map[string]int64{"0": -1, "64MiB": 64 << 20} {
		var to int64
		if err := (reserve{&to}).Set(text); err != nil || to != want {
			t.Errorf("%s: %d, %v", text, to, err)
		}
	}
	var to int64
	if (reserve{&to}).Set("much") == nil {
		t.Error("much was taken for a size")
	}
}

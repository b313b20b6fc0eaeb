package main

import (
	"strings"
	"testing"
)

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

// What a person at a terminal sees of a copy: how far it is, and nothing once it is whole.
func TestMeter(t *testing.T) {
	var out strings.Builder
	m := &meter{out: &out, size: 3 << 20}
	for range 3 {
		if n, err := m.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[K1MiB of 3MiB, 33 %") || !strings.HasSuffix(got, "3MiB of 3MiB, 100 %\r\x1b[K") {
		t.Errorf("it shows %q", got)
	}
}

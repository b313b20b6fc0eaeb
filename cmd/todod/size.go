package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the sizes in which people speak of disks, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// bytesText writes a size as a person does: 63.5MiB.
func bytesText(n int64) string {
	for _, u := range units {
		if n >= u.bytes {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.bytes)), ".0") + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// parseBytes reads a size: a number of bytes, or of a unit.
func parseBytes(text string) (int64, error) {
	number, unit := strings.TrimSuffix(text, "B"), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if size := n * float64(unit); err == nil && n >= 0 && size < math.MaxInt64 {
		return int64(size), nil
	}
	return 0, fmt.Errorf("%q is not a size: give it as 64MiB", text)
}

// reserve is the flag for Config.DiskReserve.
type reserve struct{ to *int64 }

func (r reserve) String() string {
	if r.to == nil || *r.to == 0 {
		return ""
	}
	return bytesText(max(*r.to, 0))
}

// Set takes 0 for no reserve, which the Config has another number for.
func (r reserve) Set(text string) error {
	n, err := parseBytes(text)
	if *r.to = n; n == 0 {
		*r.to = -1
	}
	return err
}

func (reserve) Type() string { return "size" }

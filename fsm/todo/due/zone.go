package due

import (
	"strings"
	"sync"
	"time"
)

const (
	// maxZone is the most bytes of a zone's name; the longest there is has 32.
	maxZone = 64
	// maxZones is the most zones that are kept: there are about 600 names. What comes beyond is read anew each time.
	maxZones = 1024
)

// zones has the zones that were asked for: to read one takes 50 us, and a page may name 1,000.
var zones = struct {
	sync.RWMutex
	byName map[string]*time.Location
}{byName: map[string]*time.Location{}}

// Zone returns the zone of an IANA name, or a *todo.Invalid of the field tz. It may be called concurrently.
func Zone(name string) (*time.Location, error) {
	zones.RLock()
	zone := zones.byName[name]
	zones.RUnlock()
	if zone != nil {
		return zone, nil
	}
	if !zoneName(name) {
		return nil, unknownZone()
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, unknownZone()
	}
	zones.Lock()
	defer zones.Unlock()
	if len(zones.byName) < maxZones {
		zones.byName[strings.Clone(name)] = zone
	}
	return zone, nil
}

func unknownZone() error {
	return invalid("tz", "must be the name of a time zone like Europe/Berlin")
}

// zoneName reports whether name looks like one of IANA's. time.LoadLocation takes more than those: "" and Local, which mean
// another zone on each machine, and whatever else lies beside the zones, such as right/, which counts leap seconds.
func zoneName(name string) bool {
	if len(name) > maxZone {
		return false
	}
	area, _, _ := strings.Cut(name, "/")
	switch area {
	case "Local", "localtime", "posixrules", "posix", "right", "SystemV", "Factory":
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || !letter(part[0]) {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !letter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '+' {
				return false
			}
		}
	}
	return true
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

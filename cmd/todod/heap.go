package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent lets the heap grow to five times what lives in it before it is collected: that is 20 MB in an
	// idle node and 40 to 90 in a loaded one, of whose CPU collecting at twice of it took a tenth.
	gcPercent = 400
	// heapBound is the memory, in bytes, beyond which it is collected at twice already. The kernel takes the
	// memory of a killed process back before it ends its connections: 0.1 ms a MB (up to 0.2 with the cores
	// busy) in which nobody learns that the leader is dead. At 450 MB that was most of a failover.
	heapBound = 192 << 20
	heapEvery = time.Second
)

// boundHeap has the collector keep to gcPercent and heapBound, as long as the process lives. Where GOGC
// says how often it is to work, neither holds; GOMEMLIMIT takes the place of heapBound.
func boundHeap() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(heapBound)
	go func() {
		set := int64(heapBound)
		for range time.Tick(heapEvery) {
			if limit := heapLimit(used()); limit != set {
				debug.SetMemoryLimit(limit)
				set = limit
			}
		}
	}()
}

// used is what nothing can collect, in bytes: what lived in the heap when it was last collected, and the stacks.
func used() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
}

// heapLimit is the limit for that use: near a limit that does not leave room for as much again
// nothing would be done but collect. It goes in steps, for to set it stops the process for a moment.
func heapLimit(used int64) int64 {
	const step = 32 << 20
	return max(heapBound, (2*used+step-1)/step*step)
}

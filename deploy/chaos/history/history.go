// Package history remembers what clients did and what they were told, and says whether some
// order of it all explains every answer. An operation that was said to be not applied is not part of a
// history; one whose outcome is not known may take effect at any time from its call on.
package history

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// The outcomes of an operation.
const (
	Done       = "done" // a refusal that tells of the state, a 412 or a 404, is one too
	NotApplied = "not_applied"
	Unknown    = "unknown"
)

// never is the end of an operation whose outcome is not known.
const never = 1 << 60

// History is what several clients did, on one clock that all of them share. It may be used
// concurrently until it is checked.
type History struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
	open  int
}

// Record runs an operation; do returns its output and its outcome.
func (h *History) Record(client int, input any, do func() (output any, outcome string)) {
	call := h.clock.Add(1)
	output, outcome := do()
	end := h.clock.Add(1)
	if outcome == NotApplied {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if outcome == Unknown {
		end = never
		h.open++
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: end})
}

// Len returns how many operations there are, and how many of them are of unknown outcome.
func (h *History) Len() (all, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops), h.open
}

// Check returns an error unless the history is linearizable, and known to be within the time given.
// If page is not "" and it is not, a picture of it goes there.
func (h *History) Check(model porcupine.Model, most time.Duration, page string) error {
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, most)
	if result == porcupine.Ok {
		return nil
	}
	if page != "" {
		if err := porcupine.VisualizePath(model, info, page); err != nil {
			return fmt.Errorf("linearizable: %v; no picture of it: %w", result, err)
		}
	}
	return fmt.Errorf("linearizable: %v", result)
}

// partition takes a history apart by key: what is checked apart is checked fast.
func partition(key func(any) string) func([]porcupine.Operation) [][]porcupine.Operation {
	return func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		var keys []string
		for _, op := range history {
			k := key(op.Input)
			if _, known := parts[k]; !known {
				keys = append(keys, k)
			}
			parts[k] = append(parts[k], op)
		}
		slices.Sort(keys)
		var all [][]porcupine.Operation
		for _, k := range keys {
			all = append(all, parts[k])
		}
		return all
	}
}

func describe(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) }

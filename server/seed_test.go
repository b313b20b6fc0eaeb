package server

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// simSeed is the seed of a test's dice: another at each run, SIM_SEED to have one again.
func simSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SIM_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal("SIM_SEED:", err)
		}
	}
	t.Logf("SIM_SEED=%d", seed)
	return seed
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// tododAt measures with todod's own bench, which starts three nodes of its own.
func tododAt(exe, dir string) program {
	return func(ctx context.Context, w work, length time.Duration) (figures, error) {
		return bench(ctx, exe, w, length, "--data", dir)
	}
}

// bench runs todod bench.
func bench(ctx context.Context, exe string, w work, length time.Duration, more ...string) (figures, error) {
	args := append([]string{"bench", "--output", "json", "--keys=false", "--mix", strconv.Itoa(w.writes), "--conns", strconv.Itoa(w.conns), "--duration", length.String()}, more...)
	if w.stale {
		args = append(args, "--consistency", "stale")
	}
	text, err := exec.CommandContext(ctx, exe, args...).Output()
	if err != nil {
		return figures{}, fmt.Errorf("todod bench: %w", err)
	}
	var r struct {
		All struct {
			Rate float64 `json:"ops_per_s"`
			P50  float64 `json:"p50_ms"`
		} `json:"all"`
		CPU float64 `json:"nodes_cpu_s_per_1000"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return figures{}, fmt.Errorf("read what todod bench tells: %w", err)
	}
	return figures{r.All.Rate, r.CPU, r.All.P50}, nil
}

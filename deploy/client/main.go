// Command client has a public generator make a client of a node's own description, compiles it and works with
// it: what /openapi.json says is enough to speak with todod.
//
//	cd deploy/client && go run . -todod ../../bin/todod
//
// It is a module of its own, so that nothing of the generator comes near todod's. Without a network, and nothing
// fetched before, it is left out, with one line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// patience is for all of it: the generator is compiled where it was not before.
const patience = 3 * time.Minute

const generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"

func main() {
	todod := flag.String("todod", "../../bin/todod", "the `PROGRAM` of todod")
	keep := flag.String("keep", "", "write the generated client to `FILE` too")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// To list what it is made of fetches that, and no more.
	if out, err := exec.CommandContext(ctx, "go", "list", "-deps", generator, "./generated").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		fmt.Println("client: left out, for the generator cannot be fetched here:", lines[len(lines)-1])
		return
	}
	if err := run(ctx, *todod, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, todod, keep string) error {
	dir, err := os.MkdirTemp("", "todod-client-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addr, stop, err := start(ctx, todod, dir)
	if err != nil {
		return err
	}
	defer stop()
	description := filepath.Join(dir, "openapi.json")
	if err := fetch(ctx, "http://"+addr+"/openapi.json", description); err != nil {
		return err
	}
	client := filepath.Join(dir, "client.go")
	if keep != "" {
		client = keep
	}
	begin := time.Now()
	if err := tool(ctx, "run", generator, "-generate", "types,client", "-package", "generated", "-o", client, description); err != nil {
		return fmt.Errorf("generate a client: %w", err)
	}
	generated := time.Since(begin)
	// The client is compiled as if it lay in this module, and never does.
	over, err := overlay(dir, client)
	if err != nil {
		return err
	}
	if err := tool(ctx, "run", "-overlay", over, "./smoke", "http://"+addr); err != nil {
		return fmt.Errorf("work with the client: %w", err)
	}
	fmt.Printf("client: generated in %.1f s, compiled and tried in %.1f s\n", generated.Seconds(), (time.Since(begin) - generated).Seconds())
	return nil
}

func tool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// start runs a node, and returns its address and what stops it.
func start(ctx context.Context, todod, dir string) (addr string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, todod, "serve", "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--raft", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("%w: make build makes it", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	said := ""
	for lines := bufio.NewScanner(log); lines.Scan(); {
		said += lines.Text() + "\n"
		if m := regexp.MustCompile(`msg=serving .*http=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return m[1], stop, nil
		}
	}
	stop()
	return "", nil, errors.New("the node did not start:\n" + said)
}

func fetch(ctx context.Context, url, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return os.WriteFile(to, body, 0o600)
}

// overlay lays the client into the package generated, for go -overlay.
func overlay(dir, client string) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if client, err = filepath.Abs(client); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "generated", "client.go"): client}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

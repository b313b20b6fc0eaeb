// Command todo keeps to-do lists on a group of todod nodes.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // where the machine has no zone data of its own
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

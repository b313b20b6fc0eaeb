// Command todod is a node of a group that keeps to-do lists, and the operator's tool for it.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // where the machine has no zone data of its own
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

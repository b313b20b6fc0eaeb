//go:build !chaos

package main

import "todod/server"

// handles are what a build for deploy/chaos can be turned by; this is not one.
func handles(*server.Config) error { return nil }

package main

import (
	"testing"

	"todod/cmd/internal/clitest"
)

func TestSessions(t *testing.T) { clitest.Run(t, "testdata") }

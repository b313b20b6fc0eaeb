package main

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Of changes that are made at once, in several terminals, each is remembered.
func TestRememberAtOnce(t *testing.T) {
	home := t.TempDir()
	a := &app{env: func(name string) string { return map[string]string{"XDG_STATE_HOME": home}[name] }, now: time.Now}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := a.keepLocked(last{List: fmt.Sprint("list", i), Rev: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(a.lastChanges()); n != 50 {
		t.Errorf("%d of 50 changes are remembered", n)
	}
}

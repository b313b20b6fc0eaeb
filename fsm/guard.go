package fsm

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// ErrStorage is a replica whose file cannot be read or written; ErrCorrupt, which is an
// ErrStorage too, one whose rows are not as they were stored.
var (
	ErrStorage       = errors.New("the storage of the replica failed")
	ErrCorrupt error = corrupt{}
)

type corrupt struct{}

func (corrupt) Error() string        { return "the replica is damaged" }
func (corrupt) Is(target error) bool { return target == ErrStorage }

// storageError is the panic of a row that cannot be used. It does not leave this package as
// it is: guard and View.guard catch it.
type storageError struct{ error }

// damagedRow gives up at a row that cannot be trusted. What is wrong is told as text: the
// error must not count as that of a damaged or newer log entry.
func damagedRow(err error) {
	panic(storageError{fmt.Errorf("%v: %w", err, ErrCorrupt)})
}

// guard is deferred around whatever reads the file:
//
//	defer guard(&err, debug.SetPanicOnFault(true))
//
// A file that was damaged or cut shows as a row with a wrong checksum, as a panic within bolt
// or as a fault in mapped memory: all of them become the error. Any other panic is a
// defect and goes on.
func guard(err *error, faults bool) {
	debug.SetPanicOnFault(faults)
	if p := recover(); p != nil {
		*err = asStorageError(p)
	}
}

func asStorageError(p any) error {
	switch p := p.(type) {
	case storageError:
		return p.error
	case interface{ Addr() uintptr }: // runtime's error for a fault away from nil
		return fmt.Errorf("the file is shorter than it was: %w", ErrCorrupt)
	}
	if inBolt() {
		return fmt.Errorf("a page of the file is wrong: %w", ErrCorrupt)
	}
	panic(p)
}

// inBolt reports whether the panic being recovered from began in bolt.
func inBolt() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	panicked := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(f.Function, "runtime."):
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

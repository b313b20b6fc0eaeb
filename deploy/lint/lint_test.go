// Package lint_test holds the rules of the house that a compiler does not: who imports whom,
// what lies where, how long a file may be.
package lint_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// The longest a file and a function may be. When one grows past it, an idea is missing.
// A test may be a long table.
const (
	maxFileLines = 450
	maxTestLines = 500
	maxFuncLines = 90
)

// layers is who may import whom of our own packages. A package that is not named here may
// import nothing of ours, so that a new one has to be thought about.
var layers = map[string][]string{
	"todod/fsm/todo": {},
	// What a command is worked out with before it is proposed, and read with; never part of Apply.
	"todod/fsm/todo/due":     {"todod/fsm/todo"},
	"todod/fsm/todo/recur":   {"todod/fsm/todo", "todod/fsm/todo/due"},
	"todod/fsm/todo/propose": {"todod/fsm/todo", "todod/fsm/todo/due", "todod/fsm/todo/recur"},
	"todod/fsm/todo/fold":    {},
	"todod/fsm/todo/filter":  {"todod/fsm/todo", "todod/fsm/todo/due", "todod/fsm/todo/fold"},
	"todod/fsm/boltfile":     {},
	"todod/fsm":              {"todod/fsm/todo", "todod/fsm/boltfile"},
	"todod/server":           {"todod/fsm", "todod/fsm/boltfile", "todod/fsm/todo", "todod/fsm/todo/propose"},
	"todod/httpapi/api":      {"todod/fsm/todo"},
	// The formats of files know what an entry is on the wire, and nothing of a node.
	"todod/httpapi/format": {"todod/httpapi/api", "todod/fsm/todo", "todod/fsm/todo/due"},
	"todod/httpapi": {"todod/server", "todod/fsm", "todod/fsm/todo", "todod/fsm/todo/due", "todod/fsm/todo/filter", "todod/fsm/todo/fold", "todod/fsm/todo/propose",
		"todod/httpapi/api", "todod/httpapi/format", "todod/httpapi/search"},
	// It reads the replica and knows words, which the replica must not.
	"todod/httpapi/search": {"todod/fsm", "todod/fsm/todo", "todod/fsm/todo/fold"},
	// What both programs share is the person's side: it may know no more than cmd/todo.
	"todod/cmd/internal/cli":     {"todod/httpapi/api", "todod/fsm/todo"},
	"todod/cmd/internal/clitest": {"todod/httpapi/api"},
	"todod/cmd/todod": {"todod/httpapi", "todod/server", "todod/fsm", "todod/fsm/todo", "todod/httpapi/api",
		"todod/cmd/internal/cli"},
	"todod/cmd/todo":      {"todod/httpapi/api", "todod/fsm/todo", "todod/fsm/todo/due", "todod/fsm/todo/fold", "todod/cmd/internal/cli", "todod/cmd/todo/show", "todod/cmd/todo/quick", "todod/cmd/todo/ui"},
	"todod/cmd/todo/ui":   {"todod/httpapi/api", "todod/fsm/todo/fold", "todod/cmd/internal/cli", "todod/cmd/todo/quick", "todod/cmd/todo/show"},
	"todod/cmd/todo/show": {"todod/httpapi/api", "todod/fsm/todo", "todod/fsm/todo/due", "todod/fsm/todo/fold", "todod/cmd/internal/cli"},
	// What measures from outside is a client like any other.
	"todod/deploy/targets": {"todod/httpapi/api"},
	// It reads logs as they lie on the disk; all else it knows as a client does.
	"todod/deploy/chaos":         {"todod/fsm", "todod/fsm/boltfile", "todod/httpapi/api", "todod/deploy/chaos/cable", "todod/deploy/chaos/history"},
	"todod/deploy/chaos/cable":   {},
	"todod/deploy/chaos/history": {},
}

// never is what a package must not link, directly or through another.
// What is of the standard library it must not import.
var never = map[string][]string{
	"todod/fsm/todo":    {"net", "os", "math/rand", "math/rand/v2", "crypto/rand"},
	"todod/fsm":         {"todod/fsm/todo/due", "todod/fsm/todo/fold", "todod/fsm/todo/filter", "todod/fsm/todo/recur", "todod/fsm/todo/propose"},
	"todod/httpapi/api": {"github.com/hashicorp/raft", "go.etcd.io/bbolt", "todod/server", "todod/fsm"},
	"todod/cmd/todo":    {"github.com/hashicorp/raft", "go.etcd.io/bbolt", "todod/server", "todod/fsm"},
}

// direct is what a package must not import itself, though what it imports may link it.
var direct = map[string][]string{
	"todod/fsm":       {"net", "net/http"},
	"todod/server":    {"github.com/gorilla/mux"},
	"todod/httpapi":   {"github.com/hashicorp/raft", "go.etcd.io/bbolt"},
	"todod/cmd/todod": {"github.com/hashicorp/raft", "go.etcd.io/bbolt"},
}

func list(t *testing.T, format string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	return strings.Fields(string(out))
}

func TestImportsRunOneWay(t *testing.T) {
	for _, pkg := range list(t, "{{if .GoFiles}}{{.ImportPath}}{{end}}", "./...") {
		allowed, known := layers[pkg]
		if !known {
			allowed = nil
		}
		for _, imp := range list(t, `{{join .Imports "\n"}}`, pkg) {
			if strings.HasPrefix(imp, "todod/") && !slices.Contains(allowed, imp) && !within(pkg, imp) {
				t.Errorf("%s imports %s: imports run one way, see layers", pkg, imp)
			}
			if slices.Contains(direct[pkg], imp) {
				t.Errorf("%s imports %s", pkg, imp)
			}
		}
	}
}

// within reports whether imp is a package of pkg's own: below it and named nowhere else.
func within(pkg, imp string) bool {
	_, shared := layers[imp]
	return strings.HasPrefix(imp, pkg+"/") && !shared
}

func TestWhatIsNeverLinked(t *testing.T) {
	for pkg, banned := range never {
		if _, err := os.Stat(filepath.Join(root, strings.TrimPrefix(pkg, "todod/"))); err != nil {
			t.Errorf("%s is not there: %v", pkg, err)
			continue
		}
		imports := list(t, `{{join .Imports "\n"}}`, pkg)
		deps := list(t, `{{join .Deps "\n"}}`, pkg)
		for _, b := range banned {
			// The standard library links its own os and rand nearly everywhere: of those, what
			// counts is who imports them.
			where := imports
			if strings.Contains(b, ".") || strings.HasPrefix(b, "todod/") {
				where = deps
			}
			if slices.Contains(where, b) {
				t.Errorf("%s links %s", pkg, b)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	allowed := []string{"server", "fsm", "httpapi", "cmd", "deploy", "go.mod", "go.sum", "Makefile", "README.md"}
	made := []string{"bin", "data"} // by make build and make run; not committed
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) && !slices.Contains(made, name) {
			t.Errorf("%s does not belong at the top level: put it into a room", name)
		}
	}
	for _, name := range allowed {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("the top level lacks %s", name)
		}
	}
}

// files calls do with each file of ours, its path from the top and what is in it.
func files(t *testing.T, do func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == ".git" || rel == "bin" || rel == "data" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" || strings.HasSuffix(rel, ".test") || strings.HasSuffix(rel, ".out") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		do(rel, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGoFiles(t *testing.T) {
	files(t, func(path string, content []byte) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		if formatted, err := format.Source(content); err != nil {
			t.Errorf("%s: %v", path, err)
			return
		} else if !bytes.Equal(formatted, content) {
			t.Errorf("%s is not formatted: gofmt -w %s", path, path)
		}
		most := maxFileLines
		if strings.HasSuffix(path, "_test.go") {
			most = maxTestLines
		}
		if n := bytes.Count(content, []byte("\n")); n > most {
			t.Errorf("%s has %d lines: which idea is missing?", path, n)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		checkFile(t, set, path, file)
	})
}

func checkFile(t *testing.T, set *token.FileSet, path string, file *ast.File) {
	t.Helper()
	test := strings.HasSuffix(path, "_test.go")
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := set.Position(fn.Pos()), set.Position(fn.End())
		if n := to.Line - from.Line + 1; n > maxFuncLines && !test {
			t.Errorf("%s: %s has %d lines", from, fn.Name.Name, n)
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			t.Errorf("%s: an init() runs behind the reader's back", from)
		}
		if !test && fn.Doc == nil && fn.Name.IsExported() && exportedReceiver(fn) && file.Name.Name != "main" {
			t.Errorf("%s: %s has no doc comment", from, fn.Name.Name)
		}
	}
	if test {
		checkSleeps(t, set, path, file)
	}
	if strings.HasPrefix(path, "fsm/") && !test {
		checkClock(t, set, file)
	}
}

// checkClock: what a command does is the same on every node, so the state machine has the
// time that the leader stamped into it and no other.
func checkClock(t *testing.T, set *token.FileSet, file *ast.File) {
	t.Helper()
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Local"}, sel.Sel.Name) {
			t.Errorf("%s: time.%s in the state machine: nodes would differ", set.Position(sel.Pos()), sel.Sel.Name)
		}
		return true
	})
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	// Methods that only satisfy an interface (String, Error, Len ...) explain themselves.
	return ok && id.IsExported() && !slices.Contains([]string{"String", "Error", "Unwrap"}, fn.Name.Name)
}

// checkSleeps: a test that waits for a duration is slow where the machine is fast and fails
// where it is slow. In virtual time sleeping is exact and free, and the one loop of a package
// that polls for a condition needs a pause: that is a function whose name begins with wait, poll or eventually.
func checkSleeps(t *testing.T, set *token.FileSet, path string, file *ast.File) {
	t.Helper()
	if virtualTime(t, filepath.Dir(path)) {
		return
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && regexp.MustCompile(`^(?i)(wait|poll|eventually)`).MatchString(fn.Name.Name) {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
				t.Errorf("%s: a test sleeps: wait for a condition", set.Position(sel.Pos()))
			}
			return true
		})
	}
}

// virtualTime reports whether the tests of a package run in a bubble.
func virtualTime(t *testing.T, dir string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(`"testing/synctest"`)) {
			return true
		}
	}
	return false
}

// Paths of a developer's machine help nobody else.
func TestNoPathsOfThisMachine(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("no home folder is known here, so none can be looked for")
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	banned := []string{home + "/", top}
	files(t, func(path string, content []byte) {
		for _, b := range banned {
			if len(b) > 4 && bytes.Contains(content, []byte(b)) {
				t.Errorf("%s names a path of this machine: %s", path, b)
			}
		}
	})
}

func TestReadmeNamesWhatThereIs(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile("(?m)^ *(?:`)?make ([a-z]+)|`make ([a-z]+)`").FindAllSubmatch(readme, -1)
	if len(targets) == 0 {
		t.Error("the README names no make target")
	}
	for _, m := range targets {
		target := string(m[1]) + string(m[2])
		if !regexp.MustCompile(`(?m)^` + target + `:`).Match(makefile) {
			t.Errorf("the README says make %s, which the Makefile has not", target)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllSubmatch(readme, -1) {
		if _, err := os.Stat(filepath.Join(root, string(m[1]))); err != nil {
			t.Errorf("the README links %s, which is not there", m[1])
		}
	}
}

// The papers say which test shows what: one that has another name by now shows nothing.
func TestPapersNameTestsThatAreThere(t *testing.T) {
	there, named := map[string]bool{}, map[string]string{}
	files(t, func(path string, content []byte) {
		switch {
		case strings.HasSuffix(path, "_test.go"):
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`).FindAllSubmatch(content, -1) {
				there[string(m[1])] = true
			}
		case strings.HasSuffix(path, ".md"):
			for _, m := range regexp.MustCompile("`(?:[a-z]+\\.)?((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`").FindAllSubmatch(content, -1) {
				named[string(m[1])] = path
			}
		}
	})
	if len(named) < 100 {
		t.Errorf("the papers name only %d tests", len(named))
	}
	for name, path := range named {
		if !there[name] {
			t.Errorf("%s names %s, which is not there", path, name)
		}
	}
}

func TestMakePrintsItsTargets(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed here")
	}
	cmd := exec.Command("make", "--no-print-directory")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	for _, target := range strings.Fields("run demo test race fuzz lint bench chaos soak versus check build pictures clean") {
		if !regexp.MustCompile(`(?m)^ *make ` + target + ` +\S`).Match(out) {
			t.Errorf("make does not print %s:\n%s", target, out)
		}
	}
}

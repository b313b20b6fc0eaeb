package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each reason not to start on a data folder: the exit code, and a sentence without a path.
func TestFolderRefusals(t *testing.T) {
	state := func(change string) string {
		return fmt.Sprintf(`{"version":1,"id":"n1","folder":"F","group":"G","phase":"member"%s}`, change)
	}
	cases := []struct {
		name string
		json string // of node.json; "" for none
		file string // another file that is there
		code int
		says string
	}{
		{"as it should be", state(""), logName, 0, ""},
		{"new", "", "", 0, ""},
		{"identity lost, log there", "", logName, ExitFolderRefused, "lost its identity"},
		{"identity lost, replica there", "", replicaName, ExitFolderRefused, "lost its identity"},
		{"damaged", `{"version":`, "", ExitFolderRefused, "damaged"},
		{"empty", `{}`, "", ExitFolderRefused, "damaged"},
		{"newer", state(`,"version":2`), "", ExitFolderRefused, "newer todod"},
		{"newer, in a phase of its own", state(`,"version":2,"phase":"dreaming"`), "", ExitFolderRefused, "newer todod"},
		{"in no phase", state(`,"phase":""`), logName, ExitFolderRefused, "damaged"},
		{"in an unknown phase", state(`,"phase":"dreaming"`), logName, ExitFolderRefused, "damaged"},
		{"a member of no group", state(`,"group":""`), logName, ExitFolderRefused, "damaged"},
		{"empty, log there", state(`,"phase":"empty"`), logName, ExitFolderRefused, "older than"},
		{"empty, replica there", state(`,"phase":"empty"`), replicaName, ExitFolderRefused, "older than"},
		{"log lost", state(""), "", ExitFolderRefused, "lost its log"},
		{"joining", state(`,"phase":"joining","group":""`), "", 0, ""},
		{"of another node", state(`,"id":"n2"`), "", ExitFolderRefused, "belongs to node n2"},
		{"removed", state(`,"phase":"removed"`), "", ExitFolderRefused, "was removed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			dir := filepath.Join(data, "n1")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"node.json": c.json, c.file: "x"} {
				if name != "" && text != "" {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			f, err := openFolder(data, "n1")
			if c.code == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := openFolder(data, "n1"); err == nil || asExit(err).Code != ExitFailed || !strings.Contains(err.Error(), "another process") {
					t.Errorf("opened twice: %v", err)
				}
				if err := f.close(); err != nil {
					t.Error(err)
				}
			}
			var e *Exit
			if c.code != 0 && (!errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Reason, c.says) || strings.Contains(e.Reason, data)) {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestFolderName(t *testing.T) {
	data := t.TempDir()
	open := func(id string) (string, error) {
		f, err := openFolder(data, id)
		if err != nil {
			return "", err
		}
		defer f.close()
		return f.state.ID, nil
	}
	host, err := open("")
	if err != nil || CheckID(host) != nil {
		t.Fatalf("%q, %v", host, err)
	}
	if id, err := open(""); err != nil || id != host {
		t.Errorf("the only folder: %q, %v", id, err)
	}
	if _, err := open("other"); err != nil {
		t.Error(err)
	}
	if _, err := open(""); err == nil || !strings.Contains(err.Error(), "--id") {
		t.Errorf("two folders: %v", err)
	}
	for _, id := range []string{".x", "a/b", "a b", strings.Repeat("a", 65), "ü"} {
		if _, err := open(id); err == nil {
			t.Errorf("the id %q was taken", id)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(file, "n1"); err == nil || asExit(err).Code != ExitFailed {
		t.Errorf("--data on a file: %v", err)
	}
}

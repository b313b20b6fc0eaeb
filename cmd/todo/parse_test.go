package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
	"todod/httpapi/format"
)

func TestParseIDs(t *testing.T) {
	for in, want := range map[string]string{
		"1": "[1]", "1 2": "[1 2]", "3-5": "[3 4 5]", "1,3-4 7": "[1 3 4 7]", "2 1-3": "[2 1 3]", "18446744073709551615": "[18446744073709551615]",
		"0": "", "": "", "a": "", "5-3": "", "1-": "", "-1": "", "1--2": "", "1-1000": "ok", "1-1001": "", "1-500 501-1000": "ok", "1-500 501-1001": "",
		"18446744073709551616": "", "1-18446744073709551615": "", "+1": "", "1.5": "",
	} {
		ids, err := parseIDs(strings.Split(in, " "))
		got := fmt.Sprint(ids)
		if err != nil {
			got = ""
			if cli.Code(err) != cli.Usage {
				t.Errorf("%q: %v has the code %d", in, err, cli.Code(err))
			}
		}
		if got != want && (want != "ok" || got == "") {
			t.Errorf("%q: %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestSetting(t *testing.T) {
	for in, want := range map[string]string{
		"": "=", "  # list": "=", `list = "bob"`: "list=bob", `list="bob"#x`: "list=bob", ` list = "b\"o\\b" # x `: `list=b"o\b`, `list = ""`: "list=",
		`list = 'bob'`: "", `list = bob`: "", "list = `bob`": "", `list`: "", `colour = "red"`: "", `list = "bob" x`: "", `list = "a/b"`: "", `list = "bob`: "",
		`timeout = "10s"`: "timeout=10s", `timeout = "0s"`: "", `view = "tree"`: "view=tree", `view = "wide"`: "", `server = "a:1,b:2"`: "server=a:1,b:2", `server = "a"`: "",
	} {
		name, value, err := setting(in)
		got := name + "=" + value
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

// The folder of the XDG specification, with its rules about what is not absolute.
func TestConfigFile(t *testing.T) {
	for _, try := range []struct{ config, xdg, home, want string }{
		{"", "", "/home/bob", "/home/bob/.config/todo/config.toml"},
		{"", "/x", "/home/bob", "/x/todo/config.toml"},
		{"", "x", "/home/bob", "/home/bob/.config/todo/config.toml"},
		{"mine", "/x", "/home/bob", "mine"},
		{"", "", "", ""},
	} {
		env := map[string]string{"TODO_CONFIG": try.config, "XDG_CONFIG_HOME": try.xdg, "HOME": try.home}
		if got := configFile(func(name string) string { return env[name] }); got != try.want {
			t.Errorf("%+v: %s", try, got)
		}
	}
}

func FuzzSetting(f *testing.F) {
	for _, line := range []string{`list = "bob" # x`, `list = "a\u0000"`, "timeout = '1s'"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		name, value, err := setting(line)
		if err != nil || name == "" || strings.ContainsAny(line, "\n\r") {
			return
		}
		// What was read can be written and is read again.
		c := config{file: filepath.Join(t.TempDir(), "config.toml")}
		if err := os.WriteFile(c.file, []byte("# mine\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.set(name, value, false); err != nil {
			t.Fatal(err)
		}
		back, err := loadConfig(c.file)
		if err != nil || back.values[name] != value || len(back.values) != 1 {
			t.Errorf("%q: %v, %v", line, back.values, err)
		}
	})
}

// An entry whose text was not touched is not changed; one with every field changed is changed in all of them.
func TestEntryText(t *testing.T) {
	a := &app{now: func() time.Time { return time.Date(2018, 12, 12, 10, 0, 0, 0, time.UTC) }}
	whole := api.Entry{ID: 1, Title: " Dentist: now ", Date: "2018-12-19", Done: true, More: api.More{Time: "09:00", TZ: "Europe/Berlin", Priority: 3, Tags: []string{"a", "b c"},
		Parent: 7, Repeat: "FREQ=DAILY", RepeatFrom: "done", Remind: []string{"-PT1H", "-PT5M"}, UID: "u", Notes: "one\n# two\n\nTitle: three\n"}}
	for _, e := range []api.Entry{whole, {ID: 2, Title: "Milk"}} {
		for _, text := range []string{entryText(e), strings.ReplaceAll(entryText(e), "\n", "\r\n"), "", "\n# a remark\n"} {
			if p, err := a.readEntry(e, text); err != nil || !empty(p) {
				t.Errorf("%q changed %+v: %v", text, p, err)
			}
		}
	}
	p, err := a.readEntry(whole, entryText(api.Entry{Title: "Milk"}))
	if err != nil {
		t.Fatal(err)
	}
	e := apply(api.NewEntry{Title: "x", Date: "x", Done: true, More: api.More{Time: "x", TZ: "x", Priority: 1, Parent: 1, Repeat: "x", Remind: []string{"x"}, UID: "x", Notes: "x"}}, p)
	if got := fmt.Sprintf("%+v", e); got != fmt.Sprintf("%+v", api.NewEntry{Title: "Milk", More: api.More{RepeatFrom: "due", Remind: []string{}}}) {
		t.Errorf("left %s", got)
	}
	p, err = a.readEntry(whole, "date: tomorrow\ntime: 9pm\nrepeat: every 2 weeks\ntags: #x, y\n"+notesBelow+"\n\n")
	if err != nil || *p.Date != "2018-12-13" || *p.Time != "21:00" || *p.Repeat != "FREQ=WEEKLY;INTERVAL=2" || *p.RepeatFrom != "due" || fmt.Sprint(*p.Tags) != "[x y]" || *p.Notes != "" || p.Title != nil {
		t.Errorf("English: %+v, %v", p, err)
	}
	for text, want := range map[string]string{
		"Colour: red": "line 1 is no field", "Title Milk": "line 1 is no field", "\nDone: perhaps": "line 2: done must be yes or no", "Priority: 10": "priority must be",
		"Priority: -1": "priority must be", "Below: x": "below must be",
	} {
		if _, err := a.readEntry(whole, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzReadEntry(f *testing.F) {
	f.Add("Title: Milk\nDone: yes\nTags: a, b\n" + notesBelow + "\nnotes\n")
	f.Add("Remind: -PT1H,\nBelow: 99999999999999999999\nRepeat: every day\n")
	a := &app{now: func() time.Time { return time.Date(2018, 12, 12, 10, 0, 0, 0, time.UTC) }}
	f.Fuzz(func(t *testing.T, text string) {
		e := api.Entry{Title: "Dentist", Date: "2018-12-19"}
		p, err := a.readEntry(e, text)
		if err != nil {
			return
		}
		// What the text says is so afterwards: the same text changes nothing more.
		n := apply(api.NewEntry{Title: e.Title, Date: e.Date}, p)
		after := api.Entry{Title: n.Title, Date: n.Date, Done: n.Done, More: n.More}
		if again, err := a.readEntry(after, entryText(after)); err != nil && !strings.ContainsAny(text, "\r\n") || err == nil && !empty(again) && !strings.Contains(n.Notes, "\r") {
			t.Errorf("%q: %+v then %+v, %v", text, p, again, err)
		}
	})
}

// The formats are those that nodes have.
func TestFormats(t *testing.T) {
	if got, want := fmt.Sprint(formatNames()), fmt.Sprint(format.Names()); got != want {
		t.Errorf("%s, and a node has %s", got, want)
	}
	for _, f := range formats {
		if of := format.Find(f.name); f.suffix != "" && of.Suffix != f.suffix {
			t.Errorf("%s ends with %s, and here with %s", f.name, of.Suffix, f.suffix)
		}
	}
}

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"todod/httpapi/api"
)

// What reaches a terminal does not act on it.
func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"Zahnarzt um 8, 日本語, מחר":          "Zahnarzt um 8, 日本語, מחר",
		"👩\u200d🔬 a\u200cb":                "👩\u200d🔬 a\u200cb", // joiners belong to the text
		"\u200da\u200d":                    `\u200da\u200d`,     // but not where they join nothing
		"a\u200d\u200db \u200d":            `a\u200d\u200db \u200d`,
		"❤\ufe0f é e\u0301":                "❤\ufe0f é e\u0301",
		"\ufe0f\ufe0f":                     `\ufe0f\ufe0f`,
		"a\u3164\u115f\u034f":              `a\u3164\u115f\u034f`, // what nobody sees
		"e" + strings.Repeat("\u0301", 10): "e" + strings.Repeat("\u0301", 8) + `\u0301\u0301`,
		"a\x1b[2Jb":                        `a\x1b[2Jb`,
		"a\u009b2Jb":                       `a\u009b2Jb`, // CSI in one character
		"a\r\nb\tc\x00\x7f":                `a\r\nb\tc\x00\x7f`,
		"abc\u202edef\u2066":               `abc\u202edef\u2066`,
		"a\u2028b":                         `a\u2028b`,
		"a\xffb":                           "a\ufffdb",
		"x\U000e0041":                      `x\U000e0041`,
	} {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
}

// JSON stays the same JSON, and shows no terminal anything to act on.
func TestPrintJSON(t *testing.T) {
	in := "a\u009bb\x7f\u202e<&>\U000e0041é\x1b\u3164\u200d\u200d"
	var out bytes.Buffer
	if err := PrintJSON(&out, map[string]string{"x": in}); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["x"] != in {
		t.Errorf("%s reads back as %q, %v", &out, back["x"], err)
	}
	if line := strings.TrimSuffix(out.String(), "\n"); strings.ContainsFunc(line, harmful) || !strings.Contains(line, "<&>") {
		t.Errorf("printed %q", line)
	}
}

func FuzzPrint(f *testing.F) {
	f.Add("a\x1b[0m\u009b\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Safe(s); strings.ContainsFunc(got, harmful) || strings.ContainsFunc(got, filler) || Safe(got) != got {
			t.Errorf("Safe(%q) = %q", s, got)
		}
		var out bytes.Buffer
		if err := PrintJSON(&out, s); err != nil || !json.Valid(out.Bytes()) || strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), harmful) {
			t.Errorf("PrintJSON(%q) = %q, %v", s, &out, err)
		}
	})
}

// Columns stand below each other, whatever a character's width.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	rows := [][]string{{"ID", "TITLE", "X"}, {"1", "日本語", "a"}, {"2", "👩\u200d🔬 e\u0301", "b"}, {"3", "a\x1b[2J", "c"}}
	if err := Table(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := "ID  TITLE     X\n1   日本語    a\n2   👩\u200d🔬 e\u0301      b\n3   a\\x1b[2J  c\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestCut(t *testing.T) {
	for _, try := range []struct {
		in    string
		width int
		want  string
	}{
		{"Dentist", 7, "Dentist"}, {"Dentist", 6, "Denti…"}, {"Dentist", 0, "Dentist"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
		{"👩\u200d🔬👩\u200d🔬", 3, "👩\u200d🔬…"}, {"call the bank", 9, "call the…"}, {"ab", 1, "…"},
	} {
		if got := Cut(try.in, try.width); got != try.want || try.width > 0 && Width(got) > try.width {
			t.Errorf("Cut(%q, %d) = %q, want %q", try.in, try.width, got, try.want)
		}
	}
}

// Paragraphs are filled, what is set in stays.
func TestReflow(t *testing.T) {
	const text = "Prints what there is\nof a list, 日本 too.\n\n  as it is      stays\nand goes on here"
	for width, want := range map[int]string{
		100: "Prints what there is of a list, 日本 too.\n\n  as it is      stays\nand goes on here",
		20:  "Prints what there is\nof a list, 日本 too.\n\n  as it is      stays\nand goes on here",
		9:   "Prints\nwhat\nthere is\nof a\nlist,\n日本 too.\n\n  as it is      stays\nand goes\non here",
	} {
		if got := Reflow(text, width); got != want {
			t.Errorf("%d columns:\n%s", width, got)
		}
	}
}

// The exit codes that README names.
func TestCode(t *testing.T) {
	answer := func(code api.Code) error {
		return fmt.Errorf("wrapped: %w", &api.Error{Problem: api.Problem{Code: string(code), Status: api.Statuses[code]}})
	}
	for code, want := range map[api.Code]int{
		api.CodeInvalid: Usage, api.CodeTooLarge: Usage, api.CodeForbidden: NotAllowed, api.CodeNotFound: NotFound,
		api.CodeConflict: Conflict, api.CodeGone: Conflict, api.CodePrecondition: Conflict, api.CodeKeyReused: Conflict, api.CodeVersion: Conflict,
		api.CodeKeysFull: Retry, api.CodeMailboxFull: Retry, api.CodeNoLeader: Retry, api.CodeOverloaded: Retry, api.CodeBehind: Retry,
		api.CodeJoining: Retry, api.CodeTimeout: Retry, api.CodeUnreachable: Retry, api.CodeStorage: Failed, api.CodeInternal: Failed,
	} {
		if got := Code(answer(code)); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if got := Code(errors.New("x")); got != Failed {
		t.Errorf("any error: %d", got)
	}
	if got := Code(fmt.Errorf("x: %w", &Error{Code: 73, Err: errors.New("y")})); got != 73 {
		t.Errorf("an error with a code of its own: %d", got)
	}
}

// The command line wins over the environment, the environment over the default.
func TestFlagsFromTheEnvironment(t *testing.T) {
	for _, try := range []struct {
		args []string
		env  map[string]string
		want string
		code int
	}{
		{nil, nil, "default 0", Done},
		{nil, map[string]string{"PROG_SOME_NAME": "env", "PROG_N": "3"}, "env 3", Done},
		{[]string{"--some-name", "flag"}, map[string]string{"PROG_SOME_NAME": "env"}, "flag 0", Done},
		{[]string{"--n", "5"}, map[string]string{"PROG_N": "bad"}, "default 5", Done},
		{nil, map[string]string{"PROG_N": "bad"}, "", Usage},
		{nil, map[string]string{"PROG_SOME_NAME": ""}, "default 0", Done},
	} {
		var out, errs bytes.Buffer
		var name string
		var n int
		root := &cobra.Command{Use: "prog", RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %d", name, n)
			return err
		}}
		root.Flags().StringVar(&name, "some-name", "default", "")
		root.Flags().IntVar(&n, "n", 0, "")
		p := Program{Root: root, Out: &out, Err: &errs, Env: func(k string) string { return try.env[k] }}
		if code := p.Run(t.Context(), append([]string{}, try.args...)); code != try.code || out.String() != try.want {
			t.Errorf("%v, %v: code %d, %q; %s", try.args, try.env, code, &out, &errs)
		}
	}
}

// Nothing but a terminal gets colours.
func TestNoColour(t *testing.T) {
	if got := Paint(&bytes.Buffer{}, func(string) string { return "" })("31", "x"); got != "x" {
		t.Errorf("got %q", got)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 entries", 1: "1 entry", 2: "2 entries"} {
		if got := Count(n, "entry", "entries"); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/quick"
	"todod/httpapi/api"
)

// fields are the flags that set the fields of an entry. Each takes what a person would say, or what the API has.
type fields struct {
	title, date, clock, tz, notes, repeat, uid string
	priority, parent                           uint64
	tags, remind                               []string
	done                                       bool
	clear, addTags, removeTags                 []string
}

// clearable are the fields that an entry may be without, as the API names them.
var clearable = []string{"date", "time", "tz", "priority", "tags", "notes", "parent", "repeat", "remind", "uid"}

func (a *app) fieldFlags(cmd *cobra.Command, v *fields, tags string) {
	f := cmd.Flags()
	f.StringVar(&v.date, "date", "", "`DATE` like 2018-12-19, tomorrow, \"next friday\"")
	f.StringVar(&v.clock, "time", "", "`TIME` like 9am, 21:00")
	f.StringVar(&v.tz, "tz", "", "`ZONE` that the time is of, like Europe/Berlin; without, it is that of whoever reads it")
	f.Uint64Var(&v.priority, "priority", 0, "`N` from 1 (highest) to 9; 0 for none")
	f.StringSliceVar(&v.tags, "tag", nil, "`TAG[,TAG...]` "+tags)
	f.StringVar(&v.notes, "notes", "", "`TEXT`; - reads it from standard input")
	f.Uint64Var(&v.parent, "parent", 0, "`ID` of the entry of the list that it is below; 0 for none")
	f.StringVar(&v.repeat, "repeat", "", "\"every 2 weeks\", or `RULE` of RFC 5545; \"every! 2 weeks\" counts from when it was done")
	f.StringSliceVar(&v.remind, "remind", nil, "`WHEN`: -PT15M is 15 minutes before, or an instant like 2018-12-19T08:00:00Z")
	f.StringVar(&v.uid, "uid", "", "`UID` for calendars and imports")
	none := cobra.NoFileCompletions
	for _, name := range []string{"date", "time", "tz", "priority", "notes", "repeat", "remind", "uid"} {
		_ = cmd.RegisterFlagCompletionFunc(name, none)
	}
	a.tagNames(cmd, "tag")
}

// tagNames completes flags with the tags of the list.
func (a *app) tagNames(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			return a.completeTags(cmd, a.listOf(cmd, args), prefix, ""), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// listOf is the list that a command line seems to be about.
func (a *app) listOf(cmd *cobra.Command, args []string) string {
	switch {
	case cli.Given(cmd.Flag("list")):
		return a.list
	case len(args) > 0 && !isIDs(args[0]):
		return args[0]
	}
	return a.env("TODO_LIST")
}

// patch is what the flags change.
func (a *app) patch(cmd *cobra.Command, v *fields) (p api.EntryPatch, err error) {
	given := func(name string) bool { f := cmd.Flag(name); return f != nil && f.Changed }
	if given("title") {
		p.Title = &v.title
	}
	if given("done") {
		p.Done = &v.done
	}
	if given("date") {
		date, clock, ok := quick.Day(v.date, a.now())
		if !ok {
			date = v.date // the node says what is wrong with it
		}
		p.Date = &date
		if clock != "" {
			p.Time = &clock
		}
	}
	if given("time") {
		clock, ok := quick.Clock(v.clock, a.now())
		if !ok {
			clock = v.clock
		}
		p.Time = &clock
	}
	if given("priority") {
		if v.priority > 9 {
			return p, cli.UsageError("--priority must be from 1 to 9, or 0 for none")
		}
		priority := uint8(v.priority)
		p.Priority = &priority
	}
	if given("notes") {
		if v.notes == "-" {
			if v.notes, err = readText(cmd.InOrStdin()); err != nil {
				return p, err
			}
		}
		p.Notes = &v.notes
	}
	if given("repeat") {
		a.setRepeat(&p, v.repeat)
	}
	if given("tag") {
		p.Tags = tags(v.tags)
	}
	if given("remind") {
		p.Remind = &v.remind
	}
	for name, to := range map[string]struct {
		to    **string
		value *string
	}{"tz": {&p.TZ, &v.tz}, "uid": {&p.UID, &v.uid}} {
		if given(name) {
			*to.to = to.value
		}
	}
	if given("parent") {
		p.Parent = &v.parent
	}
	return p, clearFields(&p, v.clear)
}

// setRepeat takes English or an RRULE.
func (a *app) setRepeat(p *api.EntryPatch, text string) {
	rule, from, ok := quick.Repeat(text, a.now())
	if !ok {
		rule = strings.TrimPrefix(text, "RRULE:")
	}
	p.Repeat = &rule
	if from == "" {
		from = "due"
	}
	if ok {
		p.RepeatFrom = &from
	}
}

// tags are the tags as the API has them, without the # that people write.
func tags(words []string) *[]string {
	out := []string{}
	for _, word := range words {
		out = append(out, strings.TrimPrefix(strings.TrimSpace(word), "#"))
	}
	return &out
}

// clearFields takes fields away: what is empty is none.
func clearFields(p *api.EntryPatch, names []string) error {
	none, zero, no, due := "", uint64(0), uint8(0), "due"
	for _, name := range names {
		switch name {
		case "date":
			p.Date = &none
		case "time":
			p.Time = &none
		case "tz":
			p.TZ = &none
		case "priority":
			p.Priority = &no
		case "tags":
			p.Tags = &[]string{}
		case "notes":
			p.Notes = &none
		case "parent":
			p.Parent = &zero
		case "repeat":
			p.Repeat, p.RepeatFrom = &none, &due
		case "remind":
			p.Remind = &[]string{}
		case "uid":
			p.UID = &none
		default:
			return cli.UsageError("--clear must name some of %s, not %q", strings.Join(clearable, ", "), name)
		}
	}
	return nil
}

// apply is a new entry with a patch.
func apply(e api.NewEntry, p api.EntryPatch) api.NewEntry {
	set(&e.Title, p.Title)
	set(&e.Date, p.Date)
	set(&e.Done, p.Done)
	set(&e.Time, p.Time)
	set(&e.TZ, p.TZ)
	set(&e.Priority, p.Priority)
	set(&e.Notes, p.Notes)
	set(&e.Parent, p.Parent)
	set(&e.Repeat, p.Repeat)
	set(&e.RepeatFrom, p.RepeatFrom)
	set(&e.Remind, p.Remind)
	set(&e.UID, p.UID)
	if p.Tags != nil { // those of the title stay
		e.Tags = append(e.Tags, *p.Tags...)
		slices.Sort(e.Tags)
		e.Tags = slices.Compact(e.Tags)
	}
	return e
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

func id(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// day is a day as the API has it, of what a person says; what is not understood a node will refuse by name.
func (a *app) day(text string) string {
	if date, _, ok := quick.Day(text, a.now()); ok {
		return date
	}
	return text
}

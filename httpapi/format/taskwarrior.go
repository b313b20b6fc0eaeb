package format

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo/due"
	"todod/httpapi/api"
)

// Taskwarrior's JSON is what `task export` writes and `task import` reads. A tag that begins with + is a project, notes
// are annotations, priorities are H, M and L. A repeat is left out, since Taskwarrior makes tasks of its own of one.
//
// The attribute todod has all of an entry, and Taskwarrior keeps it. Coming in, a field of it counts as long as Taskwarrior
// still says the same in its own way: so nothing is lost on the way there and back, and what was changed there stays changed.
// Attributes that mean nothing here are kept in x, as {"taskwarrior":{...}}.

const (
	taskField = "taskwarrior"
	taskOwn   = "todod"
	taskTime  = "20060102T150405Z"
)

// task is a task in the words of Taskwarrior.
type task struct {
	UUID        string       `json:"uuid"`
	Status      string       `json:"status"`
	Description string       `json:"description"`
	Due         string       `json:"due,omitempty"`
	Priority    string       `json:"priority,omitempty"`
	Project     string       `json:"project,omitempty"`
	Tags        []string     `json:"tags,omitempty"`
	Annotations []annotation `json:"annotations,omitempty"`
	Entry       string       `json:"entry,omitempty"`
	Modified    string       `json:"modified,omitempty"`
	End         string       `json:"end,omitempty"`
	Own         string       `json:"todod,omitempty"`
	Recur       string       `json:"-"`
	Parent      string       `json:"-"`
}

type annotation struct {
	Entry       string `json:"entry"`
	Description string `json:"description"`
}

// taskEntry is what the attribute todod has.
type taskEntry struct {
	api.NewEntry
	Above string `json:"above,omitempty"` // the uid of the parent
}

type taskEncoder struct {
	w    io.Writer
	zone *time.Location
	any  bool
}

func newTaskEncoder(w io.Writer, h Head) (Encoder, error) {
	zone := h.Zone
	if zone == nil {
		zone = time.UTC
	}
	_, err := io.WriteString(w, "[")
	return &taskEncoder{w: w, zone: zone}, err
}

func (t *taskEncoder) Close() error {
	_, err := io.WriteString(t.w, "\n]\n")
	return err
}

func (t *taskEncoder) Encode(e *Entry) error {
	as := taskOf(e, t.zone)
	own := taskEntry{NewEntry: api.NewEntry{Title: e.Title, Date: e.Date, Done: e.Done, More: e.More}, Above: e.Above}
	own.Parent, own.UID = 0, UID(&e.Entry)
	text, err := marshal(own)
	if err != nil {
		return err
	}
	as.Own = string(text)
	raw, err := marshal(as)
	if err != nil {
		return err
	}
	if raw, err = withOthers(raw, e.X); err != nil {
		return err
	}
	before := "\n"
	if t.any {
		before = ",\n"
	}
	t.any = true
	_, err = t.w.Write(append([]byte(before), raw...))
	return err
}

// taskOf is an entry in the words of Taskwarrior.
func taskOf(e *Entry, zone *time.Location) *task {
	as := &task{UUID: uuidOf(UID(&e.Entry)), Status: "pending", Description: e.Title, Due: taskDue(e, zone), Entry: stampOrNot(e.Created), Modified: stampOrNot(e.Updated)}
	if e.Done {
		as.Status = "completed"
		as.End = as.Modified
		if e.Completed != nil {
			as.End = stamp(*e.Completed)
		}
	}
	switch {
	case e.Priority >= 6:
		as.Priority = "L"
	case e.Priority == 5:
		as.Priority = "M"
	case e.Priority >= 1:
		as.Priority = "H"
	}
	for _, tag := range e.Tags {
		if project, ok := strings.CutPrefix(tag, "+"); ok && project != "" && as.Project == "" {
			as.Project = project
			continue
		}
		as.Tags = append(as.Tags, tag)
	}
	at := e.Created
	for line := range strings.SplitSeq(e.Notes, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			as.Annotations = append(as.Annotations, annotation{stamp(at), line})
			at = at.Add(time.Second) // no two may be of one second
		}
	}
	return as
}

func stampOrNot(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// taskDue is the instant at which an entry is due: a date begins at midnight in zone.
func taskDue(e *Entry, zone *time.Location) string {
	clock := e.Time
	if clock == "" {
		clock = "00:00"
	}
	wall, err := time.Parse("2006-01-02 15:04", e.Date+" "+clock)
	if err != nil {
		return ""
	}
	if e.TZ != "" {
		if own, err := due.Zone(e.TZ); err == nil {
			zone = own
		}
	}
	return stamp(due.Instant(wall, zone))
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// uuidOf is a uid, or one in its place that has the form that Taskwarrior asks for (RFC 9562, version 8).
func uuidOf(uid string) string {
	if uuidForm.MatchString(uid) {
		return uid
	}
	h := sha256.Sum256([]byte(uid))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	s := hex.EncodeToString(h[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// taskKnown are the attributes that are ours to write, or that Taskwarrior makes anew.
var taskKnown = map[string]bool{"uuid": true, "status": true, "description": true, "due": true, "priority": true, "project": true, "tags": true, "annotations": true,
	"entry": true, "modified": true, "end": true, taskOwn: true, "id": true, "urgency": true, "mask": true, "imask": true, "parent": true, "rtype": true, "recur": true, "template": true}

// withOthers adds the attributes in x to a task.
func withOthers(raw []byte, x json.RawMessage) ([]byte, error) {
	var fields, others map[string]json.RawMessage
	if len(x) == 0 || json.Unmarshal(x, &fields) != nil || json.Unmarshal(fields[taskField], &others) != nil {
		return raw, nil
	}
	for name := range others {
		if taskKnown[name] {
			delete(others, name)
		}
	}
	if len(others) == 0 {
		return raw, nil
	}
	more, err := marshal(others)
	if err != nil {
		return nil, err
	}
	return append(append(raw[:len(raw)-1], ','), more[1:]...), nil
}

type taskDecoder struct {
	zone    *time.Location
	repeats map[[16]byte]bool // templates of which a task that repeats was read
}

func newTaskDecoder(r *bufio.Reader, zone *time.Location) Decoder {
	t := &taskDecoder{zone: zone, repeats: map[[16]byte]bool{}}
	return &jsonDecoder{r: jsonReader{r: r, line: 1}, read: t.entry, array: true}
}

// entry reads a task.
func (t *taskDecoder) entry(raw []byte) (*Entry, error) {
	if err := strict(raw); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, errors.New("a task must be a JSON object")
	}
	var as task
	for name, to := range map[string]any{"uuid": &as.UUID, "status": &as.Status, "description": &as.Description, "due": &as.Due, "priority": &as.Priority, "project": &as.Project,
		"annotations": &as.Annotations, "entry": &as.Entry, "modified": &as.Modified, "end": &as.End, taskOwn: &as.Own, "recur": &as.Recur, "parent": &as.Parent} {
		if value, given := fields[name]; given && json.Unmarshal(value, to) != nil {
			return nil, fmt.Errorf("%s is not as Taskwarrior has it", name)
		}
	}
	if value, given := fields["tags"]; given && json.Unmarshal(value, &as.Tags) != nil {
		var list string // older ones write one text
		if json.Unmarshal(value, &list) != nil {
			return nil, errors.New("tags is not as Taskwarrior has it")
		}
		as.Tags = strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	}
	switch as.Status {
	case "deleted":
		return nil, &Fault{Reason: "a deleted task was left out", Extra: true}
	case "recurring":
		return nil, &Fault{Reason: "the template of a recurring task was left out: the tasks that it made are taken", Extra: true}
	}
	e, err := t.taken(&as)
	if err != nil {
		return nil, err
	}
	return e, t.others(e, fields)
}

// taken makes an entry of a task.
func (t *taskDecoder) taken(as *task) (*Entry, error) {
	e := &Entry{}
	e.Title, e.UID, e.Done = oneLine(as.Description), as.UUID, as.Status == "completed"
	for _, stamp := range []struct {
		name, text string
		to         *time.Time
	}{{"entry", as.Entry, &e.Created}, {"modified", as.Modified, &e.Updated}} {
		if stamp.text == "" {
			continue
		}
		var err error
		if *stamp.to, err = time.Parse(taskTime, stamp.text); err != nil {
			return nil, fmt.Errorf("%s must be a time like 20261128T090000Z", stamp.name)
		}
	}
	if end, err := time.Parse(taskTime, as.End); err == nil && e.Done {
		e.Completed = &end
	}
	e.Priority = map[string]uint8{"H": 1, "M": 5, "L": 9}[as.Priority]
	if as.Due != "" {
		at, err := time.Parse(taskTime, as.Due)
		if err != nil {
			return nil, errors.New("due must be a time like 20261128T090000Z")
		}
		at = at.In(t.zone)
		if e.Date = at.Format(time.DateOnly); at.Format("150405") != "000000" {
			e.Time, e.TZ = at.Format("15:04"), t.zone.String()
		}
	}
	if as.Project != "" {
		e.addTag("+" + as.Project)
	}
	for _, tag := range as.Tags {
		e.addTag(tag)
	}
	e.sortTags()
	lines := make([]string, len(as.Annotations))
	for i, a := range as.Annotations {
		lines[i] = a.Description
	}
	e.Notes = strings.Join(lines, "\n")
	t.repeat(e, as)
	if as.Own != "" {
		t.own(e, as)
	}
	return e, nil
}

// repeat sets the repeat of one task of each template: the others that it made are single ones.
func (t *taskDecoder) repeat(e *Entry, as *task) {
	if as.Recur == "" || e.Done || e.Date == "" {
		return
	}
	key := [16]byte([]byte(digest(as.Parent)))
	if t.repeats[key] {
		return
	}
	t.repeats[key] = true
	if e.Repeat = recurrence(as.Recur); e.Repeat == "" {
		e.remark("the recurrence %.64q was left out", as.Recur)
	}
}

var (
	recurCount = regexp.MustCompile(`^P?([0-9]{0,4}) ?([A-Za-z]+)$`)
	recurUnits = map[string]string{"d": "DAILY", "day": "DAILY", "days": "DAILY", "daily": "DAILY", "w": "WEEKLY", "wk": "WEEKLY", "wks": "WEEKLY", "week": "WEEKLY", "weeks": "WEEKLY",
		"weekly": "WEEKLY", "m": "MONTHLY", "mo": "MONTHLY", "mth": "MONTHLY", "month": "MONTHLY", "months": "MONTHLY", "monthly": "MONTHLY", "y": "YEARLY", "yr": "YEARLY", "yrs": "YEARLY",
		"year": "YEARLY", "years": "YEARLY", "yearly": "YEARLY", "annual": "YEARLY"}
	recurWords = map[string]string{"weekdays": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "biweekly": "FREQ=WEEKLY;INTERVAL=2", "fortnight": "FREQ=WEEKLY;INTERVAL=2",
		"bimonthly": "FREQ=MONTHLY;INTERVAL=2", "quarterly": "FREQ=MONTHLY;INTERVAL=3", "semiannual": "FREQ=MONTHLY;INTERVAL=6", "biannual": "FREQ=YEARLY;INTERVAL=2", "biyearly": "FREQ=YEARLY;INTERVAL=2"}
)

// recurrence is a recurrence of Taskwarrior as a rule, "" if it is none that can be kept.
func recurrence(text string) string {
	text = strings.TrimSpace(text)
	if rule := recurWords[strings.ToLower(text)]; rule != "" {
		return rule
	}
	m := recurCount.FindStringSubmatch(text)
	if m == nil || recurUnits[strings.ToLower(m[2])] == "" {
		return ""
	}
	rule := "FREQ=" + recurUnits[strings.ToLower(m[2])]
	if n, err := strconv.Atoi(m[1]); err == nil && n != 1 {
		rule += fmt.Sprintf(";INTERVAL=%d", n)
	}
	return rule
}

// own takes those fields from the attribute todod of which Taskwarrior still says what an export of them says.
func (t *taskDecoder) own(e *Entry, as *task) {
	was, err := jsonOwn(as.Own)
	if err != nil {
		e.remark("the attribute todod cannot be read: %s", err)
		return
	}
	was.Created = e.Created
	says := taskOf(was, t.zone)
	if says.Due == as.Due {
		e.Date, e.Time, e.TZ = was.Date, was.Time, was.TZ
	}
	if e.Date != "" {
		e.Repeat, e.RepeatFrom = was.Repeat, was.RepeatFrom
		e.Remind = was.Remind
	}
	if says.Priority == as.Priority {
		e.Priority = was.Priority
	}
	if says.Description == as.Description {
		e.Title = was.Title
	}
	texts := func(all []annotation) (out []string) {
		for _, a := range all {
			out = append(out, a.Description)
		}
		return out
	}
	if fmt.Sprintf("%q", texts(says.Annotations)) == fmt.Sprintf("%q", texts(as.Annotations)) {
		e.Notes = was.Notes
	}
	e.UID, e.Above, e.X = was.UID, was.Above, was.X
}

// jsonOwn reads the attribute todod.
func jsonOwn(text string) (*Entry, error) {
	var above struct{ Above string }
	var fields map[string]json.RawMessage
	if err := strict([]byte(text)); err != nil {
		return nil, err
	}
	if json.Unmarshal([]byte(text), &fields) != nil || json.Unmarshal([]byte(text), &above) != nil {
		return nil, errors.New("it must be an object")
	}
	delete(fields, "above")
	raw, err := marshal(fields)
	if err != nil {
		return nil, err
	}
	e, err := jsonEntry(raw)
	if err == nil {
		e.Above = above.Above
	}
	return e, err
}

// others keeps the attributes that mean nothing here.
func (t *taskDecoder) others(e *Entry, fields map[string]json.RawMessage) error {
	for name := range fields {
		if taskKnown[name] {
			delete(fields, name)
		}
	}
	x := map[string]json.RawMessage{}
	if len(e.X) > 0 {
		if err := json.Unmarshal(e.X, &x); err != nil {
			return err
		}
	}
	delete(x, taskField)
	if len(fields) > 0 {
		var buf bytes.Buffer
		text, err := marshal(fields)
		if err == nil {
			err = json.Compact(&buf, text)
		}
		if err != nil {
			return err
		}
		if buf.Len() > maxKept {
			e.remark("the attributes that are not known are too long to be kept")
		} else {
			x[taskField] = buf.Bytes()
		}
	}
	e.X = nil
	if len(x) == 0 {
		return nil
	}
	var err error
	e.X, err = marshal(x)
	return err
}

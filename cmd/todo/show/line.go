package show

import (
	"io"
	"strconv"
	"strings"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// printer collects lines, so that their columns fit each other.
type printer struct {
	opt   Options
	lines []string // finished ones, and "" where rows has one to come
	rows  []row
}

// row is the line of an entry before the widths are known.
type row struct {
	at      int // in lines
	id      string
	when    string
	whenSGR string
	entry   *api.Entry
	depth   int
	list    string
	note    string // on a line of its own below
}

// section adds entries below their heading, which may say their day already.
func (p *printer) section(s section, said bool) {
	if len(s.items) == 0 {
		return
	}
	p.gap()
	p.lines = append(p.lines, p.opt.paint(strings.TrimSuffix(head+";"+s.sgr, ";"), s.title))
	for _, it := range s.items {
		p.add(it, 0, said)
	}
}

// gap parts what comes from what there is.
func (p *printer) gap() {
	if len(p.lines) > 0 {
		p.lines = append(p.lines, "")
	}
}

func (p *printer) add(it item, depth int, said bool) {
	day, clock := p.opt.when(it)
	if said {
		day = ""
	}
	r := row{at: len(p.lines), id: strconv.FormatUint(it.ID, 10), entry: it.Entry, depth: depth, when: strings.TrimSpace(day + " " + clock)}
	if p.opt.Lists {
		r.list = cli.Safe(it.List)
	}
	r.whenSGR = it.sgr()
	p.rows = append(p.rows, r)
	p.lines = append(p.lines, "")
}

const (
	// maxList is how wide the column of lists may be: the titles matter more.
	maxList = 16
	// roomy is how wide a terminal must be for days to have a column of their own.
	roomy = 60
	// least is how much of a tag or the like must be seen, else it is left out.
	least = 4
)

// narrow reports whether there is no room for columns that most rows do not fill.
func (p *printer) narrow() bool { return p.opt.Width > 0 && p.opt.Width < roomy }

func (p *printer) flush(w io.Writer) error {
	var c columns
	for _, r := range p.rows {
		c.list, c.id, c.when = max(c.list, cli.Width(r.list)), max(c.id, len(r.id)), max(c.when, len(r.when))
	}
	if c.list = min(c.list, maxList); p.narrow() {
		c.list = min(c.list, max(p.opt.Width/5, 1))
	}
	for _, r := range p.rows {
		p.lines[r.at] = p.line(r, c)
		if r.note != "" {
			p.lines[r.at+1] = p.fit([]part{{text: strings.Repeat(" ", p.below(c))}, {sgr: faint, text: r.note, isText: true}})
		}
	}
	for _, line := range p.lines {
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// columns is how wide they are; 0: there is none.
type columns struct{ list, id, when int }

// below is how many spaces a line begins with that goes on with a title, one more being before each part. It is few where
// the terminal has no room for more.
func (p *printer) below(c columns) int {
	n := c.id + len(" [ ] p1")
	for _, width := range []int{c.list, c.when} {
		if width > 0 {
			n += width + 1
		}
	}
	if p.narrow() {
		return 3
	}
	return n
}

// part is a piece of a line and its colour. In a text, words that were looked for are marked; what is more than the title
// is left out where there is no room for it.
type part struct {
	sgr, text    string
	isText, more bool
}

// line lays out one entry: list, id, whether it is done, priority, when, title, and what else there is.
func (p *printer) line(r row, c columns) string {
	e := r.entry
	mark, sgr, priority, prioritySGR := " ", "", "  ", ""
	if e.Done {
		mark, sgr = "x", faint
	}
	switch {
	case e.Priority == 1:
		prioritySGR = urgent
	case e.Priority > 0 && e.Priority <= 4:
		prioritySGR = soon
	}
	if e.Priority > 0 {
		priority = "p" + strconv.Itoa(int(e.Priority))
	}
	var parts []part
	if c.list > 0 {
		parts = append(parts, part{sgr: faint, text: cli.Pad(cli.Cut(r.list, c.list), c.list)})
	}
	parts = append(parts, part{sgr: faint, text: strings.Repeat(" ", c.id-len(r.id)) + r.id}, part{sgr: faint, text: "[" + mark + "]"},
		part{sgr: prioritySGR, text: priority})
	switch {
	case p.narrow() && r.when != "":
		parts = append(parts, part{sgr: r.whenSGR, text: r.when})
	case !p.narrow() && c.when > 0:
		parts = append(parts, part{sgr: r.whenSGR, text: cli.Pad(r.when, c.when)})
	}
	indent := strings.Repeat("  ", r.depth)
	parts = append(parts, part{sgr, indent + cli.Safe(e.Title), true, false})
	for _, tag := range e.Tags {
		parts = append(parts, part{tagged, "#" + cli.Safe(tag), true, true})
	}
	if e.Repeat != "" {
		parts = append(parts, part{sgr: faint, text: "(" + Repeat(e.Repeat, e.RepeatFrom) + ")", more: true})
	}
	if e.Notes != "" {
		parts = append(parts, part{sgr: faint, text: "+notes", more: true})
	}
	return p.fit(parts)
}

// fit puts parts on one line of the terminal.
func (p *printer) fit(parts []part) string {
	var b strings.Builder
	left := p.opt.Width
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(' ')
			left--
		}
		text := part.text
		if p.opt.Width > 0 {
			if left < 1 || part.more && left < least && cli.Width(text) > left {
				break
			}
			text = cli.Cut(text, left)
			left -= cli.Width(text)
		}
		if part.isText {
			b.WriteString(p.opt.Mark(part.sgr, text))
		} else {
			b.WriteString(p.opt.paint(part.sgr, text))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Due is when an entry is due, as short as a reader understands it, and the colour that says whether that is past or today.
func (o Options) Due(e *api.Entry) (text, sgr string) {
	it := o.item(e)
	day, clock := o.when(it)
	return strings.TrimSpace(day + " " + clock), it.sgr()
}

// sgr is the colour of when it is due.
func (it item) sgr() string {
	if it.Done {
		return ""
	}
	return map[int]string{overdue: late, today: soon}[it.place]
}

// when is the day and time of an entry, as short as they can be understood.
func (o Options) when(it item) (day, clock string) {
	if it.day.IsZero() {
		return "", ""
	}
	if it.Time != "" {
		clock = it.at.In(o.Now.Location()).Format("15:04")
	}
	today := o.today()
	switch days := int(it.day.Sub(today).Hours() / 24); {
	case days == 0:
		day = "today"
	case days == 1:
		day = "tomorrow"
	case days == -1:
		day = "yesterday"
	case days > 1 && days < 7:
		day = it.day.Format("Mon")
	case it.day.Year() == today.Year():
		day = it.day.Format("2 Jan")
	default:
		day = it.day.Format("2 Jan 2006")
	}
	return day, clock
}

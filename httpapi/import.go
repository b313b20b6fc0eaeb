package httpapi

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/httpapi/format"
	"todod/server"
)

// postImport takes a file in, in parts of up to 1,000 entries. Each part is a command of its own, and takes effect or does
// not as a whole. An entry is found again by its uid, so the same file can be sent again: after it broke off that goes on, and
// after it was taken it changes nothing.
func postImport(req *request) error {
	im, err := newImporter(req)
	if err != nil {
		return err
	}
	if enc := req.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fail(api.CodeMediaType, "the body must not be compressed: send it without Content-Encoding")
	}
	if req.r.ContentLength > maxImport {
		return errImport
	}
	if !req.s.transfers.enter() {
		return errTransfers
	}
	defer req.s.transfers.leave()
	req.stays()
	if err := im.run(&body{from: coming{req}}); err != nil {
		req.drain()
		return im.broke(err)
	}
	report := im.report.api()
	req.w.Header()["Todod-Index"] = []string{strconv.FormatUint(max(report.Rev, im.saw), 10)}
	return req.sendJSON(http.StatusOK, applicationJSON, report)
}

var errImport = fail(api.CodeTooLarge, "the file must be at most 256 MiB long: divide it")

// newImporter reads what a request says beside its body.
func newImporter(req *request) (*importer, error) {
	list, err := req.list()
	if err != nil {
		return nil, err
	}
	f, err := req.format()
	if err != nil {
		return nil, err
	}
	zone, err := req.fileZone()
	if err != nil {
		return nil, err
	}
	dry, err := req.query.flag("dry_run")
	if err != nil {
		return nil, err
	}
	key, err := idempotencyKey(req.r.Header)
	if err != nil {
		return nil, err
	}
	im := &importer{req: req, list: list, file: f, zone: zone, dry: dry != nil && *dry, key: key, seed: maphash.MakeSeed(), known: map[uint64]target{}, ids: map[uint64]uint64{}}
	im.report = report{list: list, format: f.Name, dry: im.dry}
	return im, nil
}

// body is a file on its way in, up to its limit.
type body struct {
	from io.Reader
	n    int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.n += n; b.n > maxImport {
		return 0, errImport
	}
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fail(api.CodeInvalid, "the file must not stand still for more than %d seconds", int(streamTimeout.Seconds()))
	}
	return n, fail(api.CodeInvalid, "the file must arrive whole")
}

// run reads a file to its end, part by part. What stands before the place where it cannot be read any further is as good
// as ever.
func (im *importer) run(from io.Reader) error {
	dec := im.file.Decoder(from, im.zone)
	for {
		part, end, err := im.read(dec)
		if err != nil {
			return err
		}
		if err := im.take(part); err != nil {
			return err
		}
		if end == nil {
			continue
		}
		if err := im.adopt(); err != nil || end == io.EOF {
			return err
		}
		return fail(api.CodeInvalid, "%s", end)
	}
}

// read gathers a part, and says what the file ends with if it does: io.EOF or a fault. While it waits for the client
// it holds no view.
func (im *importer) read(dec format.Decoder) (part []*item, end, err error) {
	size := 0
	for len(part) < todo.MaxBatch && size < partBytes {
		e, err := dec.Next()
		fault, isFault := err.(*format.Fault)
		switch {
		case err == io.EOF || isFault && fault.End:
			return part, err, nil
		case isFault && fault.Extra:
			im.report.add(api.ImportLine{Line: fault.Line, Did: api.DidSkip, Remarks: []string{fault.Reason}})
			continue
		case isFault:
			im.refuse(fault.Line, fault.Reason)
			continue
		case err != nil:
			return nil, nil, err
		}
		it, err := im.item(e)
		if err != nil {
			im.refuse(e.Line, err.Error())
			continue
		}
		size += 200 + len(e.Title) + len(e.Notes) + len(e.X)
		part = append(part, it)
	}
	return part, nil, nil
}

// broke is the failure of an import: a problem that says how far it came.
func (im *importer) broke(err error) error {
	f := *asFailure(err)
	for _, o := range im.late {
		o.line.Remarks = append(o.line.Remarks, "its parent was not set any more")
		im.report.add(o.line)
	}
	report := im.report.api()
	if report.Rev > 0 {
		f.detail += fmt.Sprintf("; %d entries were added and %d changed before: send the file again to go on", report.Added, report.Changed)
		if f.outcome != server.UnknownOutcome {
			im.req.applied = true
		}
	}
	f.report = &report
	return &f
}

// report gathers what became of the lines of a file.
type report struct {
	list, format                              string
	dry                                       bool
	rev                                       uint64
	added, changed, left, refused, skipped, n int
	notable, plain                            []api.ImportLine
}

// count is where the lines of an outcome are counted.
func (r *report) count(did string) *int {
	switch did {
	case api.DidAdd:
		return &r.added
	case api.DidChange:
		return &r.changed
	case api.DidLeave:
		return &r.left
	case api.DidRefuse:
		return &r.refused
	}
	return &r.skipped
}

func (r *report) add(l api.ImportLine) {
	*r.count(l.Did)++
	r.n++
	to := &r.plain
	if len(l.Remarks) > 0 {
		to = &r.notable
	}
	if len(*to) < maxReported {
		*to = append(*to, l)
	}
}

// api is the report as it is sent, with those lines first in line when not all can be listed that somebody has to look at.
func (r *report) api() api.ImportReport {
	lines := r.notable
	if room := maxReported - len(lines); room > 0 {
		lines = append(lines, r.plain[:min(room, len(r.plain))]...)
	}
	slices.SortStableFunc(lines, func(a, b api.ImportLine) int { return a.Line - b.Line })
	if lines == nil {
		lines = []api.ImportLine{}
	}
	return api.ImportReport{List: r.list, Format: r.format, DryRun: r.dry, Added: r.added, Changed: r.changed, Left: r.left, Refused: r.refused,
		Skipped: r.skipped, Rev: r.rev, Lines: lines, Omitted: r.n - len(lines)}
}

func (im *importer) refuse(line int, reason string) {
	im.report.add(api.ImportLine{Line: line, Did: api.DidRefuse, Remarks: []string{reason}})
}

package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// failure is an error as a client is told of it.
type failure struct {
	code    api.Code
	outcome server.Outcome // of a write
	leader  string
	detail  string            // one sentence
	allow   string            // of CodeMethod
	current *todo.Item        // what is there instead
	report  *api.ImportReport // of an import that broke off
	cause   error             // what the log is told and the client is not
}

func (f *failure) Error() string { return f.detail }

func fail(code api.Code, format string, args ...any) *failure {
	return &failure{code: code, detail: fmt.Sprintf(format, args...)}
}

// kindCodes has the code of each kind of failure of a node.
var kindCodes = [...]api.Code{
	server.KindNoLeader:    api.CodeNoLeader,
	server.KindOverloaded:  api.CodeOverloaded,
	server.KindMailboxFull: api.CodeMailboxFull,
	server.KindBehind:      api.CodeBehind,
	server.KindTimeout:     api.CodeTimeout,
	server.KindClock:       api.CodeClock,
	server.KindConflict:    api.CodeConflict,
	server.KindNotFound:    api.CodeNotFound,
	server.KindJoining:     api.CodeJoining,
	server.KindStorage:     api.CodeStorage,
	server.KindShutdown:    api.CodeStopping,
	server.KindInvalid:     api.CodeInvalid,
	server.KindInternal:    api.CodeInternal,
	server.KindStalled:     api.CodeStalled,
	server.KindVersion:     api.CodeVersion,
}

// refusals has the code and the sentence for each way in which the lists refuse a command.
var refusals = [...]struct {
	code   api.Code
	detail string
}{
	todo.NoList:       {api.CodeNotFound, "there is no list of that name"},
	todo.NoEntry:      {api.CodeNotFound, "the list has no entry of that id"},
	todo.Precondition: {api.CodePrecondition, "If-Match or If-None-Match does not hold: read it again and decide anew"},
	todo.ListFull:     {api.CodeConflict, "the list is full: it holds 1,000,000 entries"},
	todo.NoParent:     {api.CodeConflict, "the parent is no entry of the list"},
	todo.Cycle:        {api.CodeConflict, "an entry cannot be below itself"},
	todo.TooDeep:      {api.CodeConflict, "at most 5 entries may be one below the other"},
	todo.Moved:        {api.CodeMoved, "the entry is in another list now"},
	todo.Overtaken:    {api.CodeConflict, "it was changed again since: undo that first, or change it as it is now"},
	todo.NameTaken:    {api.CodeConflict, "another list has or had that name: choose one that was never used"},
	todo.TooMany:      {api.CodeConflict, "it would change more than 1,000 entries: do it in parts"},
	todo.Forgotten:    {api.CodeGone, "what that rev changed is no longer kept, or was deleted for good"},
	todo.Outdated:     {api.CodeOverloaded, "others changed it again and again meanwhile: try again"},
	todo.NoNeighbor:   {api.CodeConflict, "the entry that the place names is not in the list"},
	todo.NotInTrash:   {api.CodeNotFound, "the trash of the list has no entry of that id"},
	todo.OrderFull:    {api.CodeConflict, "there is no room left at that place: put some of the entries around elsewhere"},
	todo.Unfit:        {api.CodeConflict, "the fields do not go together: a time needs a date, a zone a time, a repeat a date"},
	todo.UIDTaken:     {api.CodeConflict, "another entry of the list has that uid"},
	todo.Final:        {api.CodeConflict, "a deleted list does not come back"},
	todo.Renames:      {api.CodeConflict, "that rev gave a list another name, which is not undone: give it the old one as any other, with PATCH"},
	todo.NoRev:        {api.CodeNotFound, "no change has that rev"},
	fsm.KeyReused:     {api.CodeKeyReused, "the idempotency key came before with another request: use a new one"},
	fsm.KeysFull:      {api.CodeKeysFull, "too many idempotency keys came within the last minute: try again later"},
	fsm.SessionClosed: {api.CodeOverloaded, "the node began anew while the write was on its way: try again"},
	fsm.NumberClosed:  {api.CodeTimeout, "the write arrived too late to know what became of it"},
	fsm.NotEmpty:      {api.CodeConflict, "there are entries already"},
	fsm.MemberKnown:   {api.CodeConflict, "the group knows that node or data folder already"},
}

// refused is the failure of a write whose result says that it was refused. What was refused
// changed nothing, but a number that is closed may have been applied under its first copy.
func refused(res *fsm.Result, batch bool) *failure {
	if int(res.Code) >= len(refusals) || refusals[res.Code].code == "" {
		return &failure{code: api.CodeInternal, outcome: server.NotApplied, cause: fmt.Errorf("refused with code %d", res.Code)}
	}
	r := refusals[res.Code]
	f := fail(r.code, "%s", r.detail)
	if len(res.Items) > 0 {
		f.current = &res.Items[0]
	}
	if batch && res.Code < fsm.KeyReused {
		f.detail = fmt.Sprintf("commands[%d]: %s", res.At, r.detail)
	}
	if res.Code == fsm.NumberClosed {
		f.outcome = server.UnknownOutcome
	}
	return f
}

// noList is the failure of what asks for a list that is not there; it says where the list went that had the name.
func noList(v *fsm.View, list string) *failure {
	return fail(api.CodeNotFound, "%s%s", refusals[todo.NoList].detail, calledNow(v, list))
}

// calledNow ends a sentence about a name that no list has; "" if no list had it before it got another one.
func calledNow(v *fsm.View, list string) string {
	now, ok := v.Renamed(list)
	if !ok {
		return ""
	}
	return fmt.Sprintf(": it is called %q now", now)
}

// calledNow is the same for a write that was refused at a rev. What this node cannot say in time is left out.
func (req *request) calledNow(list string, rev uint64) string {
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: server.Stale, MinRev: rev})
	if err != nil {
		return ""
	}
	defer r.Close()
	return calledNow(r.View, list)
}

// asFailure turns any error into what a client is told.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if inv, ok := errors.AsType[*todo.Invalid](err); ok {
		return fail(api.CodeInvalid, "%s", inv.Error())
	}
	e := server.AsError(err)
	f := &failure{code: api.CodeInternal, outcome: e.Outcome, leader: e.Leader, detail: e.Detail}
	if int(e.Kind) < len(kindCodes) && kindCodes[e.Kind] != "" {
		f.code = kindCodes[e.Kind]
	}
	if f.code == api.CodeInternal {
		f.cause = err
	}
	return f
}

// settle makes code and outcome of a failed write agree: 504 says that the outcome is not
// known, 429 and 503 that nothing was done.
func (f *failure) settle() {
	status := api.Statuses[f.code]
	busy := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	switch {
	case f.outcome == server.UnknownOutcome && busy:
		f.code = api.CodeTimeout
	case f.outcome == server.NotApplied && f.code == api.CodeTimeout:
		f.code = api.CodeOverloaded // its time ran out while it waited for its turn
	}
}

// fail answers with an error, as a problem under /v1 and as one line of text elsewhere.
func (req *request) fail(err error) {
	f := asFailure(err)
	write := req.r.Method != http.MethodGet && req.r.Method != http.MethodHead
	if write {
		copied := *f
		f = &copied
		if req.applied {
			f.outcome = server.Applied
		}
		f.settle()
	}
	if f.code == api.CodeInternal {
		req.s.log.Error("a request failed", "method", req.r.Method, "route", req.route, "error", f.cause)
		f.detail = "something went wrong inside the node: its log says what"
	}
	if req.started() {
		return // the status is on its way: all that is left is to end
	}
	if f.code == api.CodeNoLeader && slices.Contains(req.query.known, "consistency") {
		copied := *f
		f = &copied
		f.detail += ", or read at consistency=stale"
	}
	status := api.Statuses[f.code]
	h := req.w.Header()
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{retryAfter}
	}
	if f.allow != "" {
		h["Allow"] = []string{f.allow}
	}
	if !isV1(req.r.URL.Path) {
		req.send(status, textPlain, []byte(oneLine(f.detail)))
		return
	}
	p := api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: f.detail, Code: string(f.code), Leader: f.leader}
	if write {
		p.Outcome = f.outcome.String()
	}
	if f.current != nil && f.current.Entry.ID != 0 {
		e := wireEntry(f.current.List, &f.current.Entry)
		p.Current = &e
	}
	p.Import = f.report
	req.sendJSON(status, problemJSON, p)
}

// isV1 reports whether errors at a path are problems.
func isV1(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

// oneLine keeps a text from becoming more lines than one.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}

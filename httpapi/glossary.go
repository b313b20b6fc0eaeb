package httpapi

import (
	"todod/fsm/todo"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// The glossary says what each name in the API means: what a field of a body or a parameter holds, and its
// limits. It is looked up by TYPE.NAME, by ?NAME for a parameter and by NAME, which is best: a name should
// mean the same everywhere. TYPE alone says what a whole body is.

var (
	number = openapi.Types{"integer"}
	truth  = openapi.Types{"boolean"}
	object = openapi.Types{"object"}
)

// somePart is the schema of an entry of which only some fields may be there.
const somePart = "#/components/schemas/EntryPart"

var glossary = openapi.Words{
	// Entries.
	"list":        {Description: "The name of a list: 1 to 128 bytes of UTF-8, taken in NFC; no control characters, no /, not . or .., no space at either end.", MinLength: 1, MaxLength: todo.MaxListName, Examples: []any{"bob"}},
	"id":          {Type: number, Description: "Counts up from 1 in each list, and is never used again.", Minimum: openapi.Int(1), Format: "uint64", Examples: []any{1}},
	"title":       {Description: "No control characters, not only spaces; kept as sent.", MinLength: 1, MaxLength: todo.MaxTitle},
	"date":        {Description: "A day, as 2006-01-02.", Format: "date"},
	"done":        {Type: truth, Description: "Whether it is done."},
	"rev":         {Description: "The number of the last change: counted for all lists together, equal on every node."},
	"created":     {Description: "When it was added, UTC."},
	"updated":     {Description: "When it was changed last, UTC."},
	"time":        {Description: "A time of the day, as 15:04; only with a date.", Pattern: `^([01][0-9]|2[0-3]):[0-5][0-9]$`},
	"tz":          {Description: "The zone of date and time, by its IANA name. Without one they float: they mean that time wherever one is.", MaxLength: 64, Examples: []any{"Europe/Zurich"}},
	"priority":    {Description: "As iCalendar has it: 1 is the highest, 9 the lowest, 0 none.", Minimum: openapi.Int(0), Maximum: openapi.Int(9)},
	"tags":        {Description: "A set, without the #.", MaxItems: todo.MaxEntryTags, Items: &openapi.Schema{MinLength: 1, MaxLength: todo.MaxTag}},
	"notes":       {Description: "Text of at most 16 KiB.", MaxLength: todo.MaxNotes},
	"parent":      {Description: "The id of the entry of the same list that this one is below; at most 5 deep. 0 is none."},
	"repeat":      {Description: "An RRULE of RFC 5545 without its name, and without parts below a day.", MaxLength: todo.MaxRepeat, Examples: []any{"FREQ=WEEKLY;BYDAY=MO"}},
	"repeat_from": {Description: "done: the next date is counted from when it was done; else from when it was due.", Enum: []any{"", "due", "done"}},
	"remind":      {Description: "Each an instant, or a duration before or after it is due.", MaxItems: todo.MaxReminds, Items: &openapi.Schema{Examples: []any{"-PT15M"}}},
	"uid":         {Description: "Stable through export and import; unique in a list.", MaxLength: todo.MaxUID},
	"x":           {Type: object, Description: "Properties that only clients know, at most 16 KiB; kept as they are."},
	"due":         {Description: "From date, time and tz: 2006-01-02, 2006-01-02T15:04:05 where it floats, or with the offset of the zone."},
	"completed":   {Description: "When it was done, UTC; of an open entry that repeats, the last time."},
	"next":        {Description: "The cursor of the next page; absent on the last."},
	"if_match":    {Description: "Entity tags, as in If-Match: the command is refused, and with it the batch, where none holds."},
	"commands":    {Description: "Done in this order, all or none.", MaxItems: todo.MaxBatch},
	"op":          {Description: "What to do.", Enum: []any{"add", "put", "patch", "delete", "delete_list", "move", "copy", "place", "restore", "purge"}},
	"To.to":       {Description: "The list that the entry goes to; it begins with it, if there is none of that name.", MinLength: 1, MaxLength: todo.MaxListName},
	"Command.to":  {Description: "The list that the entry goes to; it begins with it, if there is none of that name.", MinLength: 1, MaxLength: todo.MaxListName},
	"place":       {Description: "Where the entry is put."},
	"first":       {Description: "Before all others."},
	"last":        {Description: "Behind all others."},
	"before":      {Type: number, Description: "Right before this entry of the list.", Format: "uint64"},
	"after":       {Type: number, Description: "Right behind this entry of the list.", Format: "uint64"},
	"id_of":       {Type: number, Description: "Instead of an id: which command of the batch, counted from 0, makes the entry."},
	"parent_of":   {Type: number, Description: "Instead of a parent: which command of the batch, counted from 0, makes it."},

	// Files.
	"?format":          {Description: "The format of the file.", Enum: formatNames()},
	"?dry_run":         {Type: truth, Description: "Report what would be done, and do nothing."},
	"format":           {Description: "The format of the file."},
	"dry_run":          {Description: "Whether nothing was done but this report."},
	"added":            {Description: "Entries that were added."},
	"changed":          {Description: "Entries that were there, and were changed."},
	"left":             {Description: "Entries that were there as they are in the file."},
	"refused":          {Description: "Entries with something wrong; the others were taken all the same."},
	"skipped":          {Description: "Things in the file that are no entries."},
	"lines":            {Description: "What became of each entry, in the order of the file: at most 10,000, first of all those of which something is to be said."},
	"line":             {Description: "The line of the file that it begins at, from 1."},
	"did":              {Description: "What became of it.", Enum: []any{api.DidAdd, api.DidChange, api.DidLeave, api.DidRefuse, api.DidSkip}},
	"remarks":          {Description: "Why it was refused, or what of it was not taken."},
	"omitted":          {Description: "How many lines are not listed."},
	"ImportReport.rev": {Description: "The rev of the last change; 0 if nothing was changed."},
	"Problem.import":   {Description: "Of an import that broke off: how far it came."},

	// The trash, and what was.
	"?purge":           {Type: truth, Description: "Delete for good: neither the trash nor a history is left of it."},
	"trash_days":       {Description: "How many days a deleted entry stays in the trash.", Minimum: openapi.Int(1), Maximum: openapi.Int(todo.MaxTrashDays)},
	"events_mib":       {Description: "How much of the changes is kept for those who follow, in MiB: the newest of the last 24 hours, and 1,000 in any case. A group that sets less lets the oldest go with the next changes.", Minimum: openapi.Int(1), Maximum: openapi.Int(todo.MaxEventsMiB)},
	"trash":            {Description: "A page of what was deleted, by id."},
	"Trashed":          {Description: "An entry of the trash, as it was."},
	"deleted":          {Description: "When it was deleted, UTC."},
	"deleted_rev":      {Description: "The rev that deleted it, which can be undone."},
	"with":             {Description: "The entry that took this one along into the trash; absent if none did."},
	"EntryChange":      {Description: "What one command changed in an entry."},
	"EntryChange.time": {Description: "When it was changed, UTC."},
	"EntryChange.op":   {Description: "What was done with it: patch (by whatever command), delete or restore."},
	"by":               {Description: "Who changed it; absent until there are accounts."},
	"fields":           {Description: "The fields that changed, by their names."},
	"FieldChange.from": {Description: "The value before; null for none."},
	"FieldChange.to":   {Description: "The value after; null for none."},
	"Undo.rev":         {Description: "The rev to undo.", Minimum: openapi.Int(1)},
	"History.changes":  {Description: "A page of changes, the newest first."},

	// Lists.
	"colour":          {Description: "As #rrggbb; answers have it in lower case.", Pattern: `^(#[0-9A-Fa-f]{6})?$`},
	"archived":        {Type: truth, Description: "Kept, and out of the way: clients leave it out where nobody asks for it."},
	"sort":            {Description: "What clients sort the entries by if nobody says otherwise.", MaxLength: todo.MaxSort},
	"List.title":      {Description: "Shown instead of the name."},
	"ListPatch.title": {Description: "Shown instead of the name.", MaxLength: todo.MaxTitle},
	"ListPatch.name":  {Description: "Its new name: one that no other list ever had.", MinLength: 1, MaxLength: todo.MaxListName},

	// Bulk.
	"Bulk.op":     {Description: "What to do.", Enum: []any{"patch", "delete", "move", "copy"}},
	"add_tags":    {Description: "With patch: tags that the entries have too from then on, beside those that they have.", MaxItems: todo.MaxEntryTags, Items: &openapi.Schema{MinLength: 1, MaxLength: todo.MaxTag}},
	"remove_tags": {Description: "With patch: tags that the entries have no longer.", MaxItems: todo.MaxEntryTags, Items: &openapi.Schema{MinLength: 1, MaxLength: todo.MaxTag}},
	"filter":      {Description: "Which entries, in the language of the parameter filter.", MinLength: 1, MaxLength: filter.MaxBytes},
	"Bulk.uid":    {Absent: true},
	"Bulk.to":     {Description: "The list that the entries go to.", MaxLength: todo.MaxListName},
	"ids":         {Description: "Of the entries that were changed, or would be."},

	// Search.
	"Search.more":    {Type: truth, Description: "Whether there are others."},
	"Search.entries": {Description: "Those that fit best first."},
	"more":           {Type: truth, Description: "There is more already: call again at once."},

	"results":   {Description: "One for each command, in their order."},
	"entry":     {Description: "The entry after it; absent after a delete."},
	"?limit":    {Type: number, Description: "The most rows of a page.", Minimum: openapi.Int(1), Maximum: openapi.Int(todo.MaxPage), Default: todo.DefaultPage},
	"?cursor":   {Description: "Where the page begins: next of the page before. It is opaque, and belongs to its query."},
	"?from":     {Description: "Only entries from this day on.", Format: "date"},
	"?to":       {Description: "Only entries up to this day.", Format: "date"},
	"?done":     {Type: truth, Description: "Only entries that are done, or only those that are not."},
	"?date":     {Description: "Only entries of this day.", Format: "date"},
	"?overdue":  {Type: truth, Description: "Only entries that are open and were due before now, or only all others."},
	"?due":      {Description: "Only entries due on a day, or <, <=, =, !=, >= or > and a day: a date, today, tomorrow, yesterday or the next of a weekday, with days (+7) or weeks (+1w) added.", Examples: []any{"<=today+7"}},
	"?tag":      {Description: "Only entries with this tag; case and accents make no difference.", Examples: []any{"home"}},
	"?priority": {Description: "Only entries of this priority, or <, <=, =, !=, >= or > and one. What has none is only equal to 0.", Examples: []any{"<=3"}},
	"?q":        {Description: "Only entries with this text in title, notes or tags; case and accents make no difference.", Examples: []any{"oat milk"}},
	"?has":      {Description: "Only entries that have all of these, with commas between: date, time, tag, priority, notes, repeat, remind, parent, sub (others below it), completed, uid.", Examples: []any{"notes,date"}},
	"?parent":   {Description: "Only entries below this one; 0 for those below none.", Examples: []any{"0"}},
	"?filter": {Description: "Only entries that a filter of one line holds for. ! is not, & or a space and, | or; terms are done, open, overdue, today, due<today+7, date>=2026-11-28, created, updated, completed, " +
		"p1, p<=3, #home, has:notes, no:date, parent:7, id<=20, words and \"texts\". An error names the column.", MaxLength: filter.MaxBytes, Examples: []any{"due<today+7 & #home & !done | p1"}},
	"?sort":   {Description: "Up to four of id, due, date, priority, title, created, updated, completed, order, with commas between; - before one for downwards. What is not set comes last. Of titles the first 128 bytes count.", Examples: []any{"due,-priority"}},
	"?fields": {Description: "The fields of the entries to send, with commas between; all without it.", Examples: []any{"id,title"}},
	"?tz":     {Description: "The zone whose today it is and whose days count, by its IANA name; UTC without it.", MaxLength: 64, Examples: []any{"Europe/Zurich"}},
	"?prefix": {Description: "Only lists whose names begin with it.", MaxLength: todo.MaxListName},
	"?consistency": {Description: "How fresh the answer must be. linearizable sees every write acknowledged before the read began; stale is this node's replica, always answered; auto is the first " +
		"while a leader is confirmed, else the second.", Enum: []any{"linearizable", "stale", "auto"}},
	"Entry":        {Description: "One to-do item. What is not set is absent."},
	"NewEntry":     {Description: "All settable fields of an entry. What is left out is not set."},
	"EntryPatch":   {Description: "The fields to change. null takes away what can be left out."},
	"Command":      {Description: "One command of a batch. A patch leaves alone what is absent; date \"\" takes the date away."},
	"Command.date": {Description: "A day, as 2006-01-02; \"\" in a patch takes it away.", Pattern: `^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`},

	// Pages of entries.
	"Entries.entries":      {Description: "A page of entries.", Items: &openapi.Schema{Ref: somePart}},
	"FoundEntries.entries": {Description: "A page of entries.", Items: &openapi.Schema{Ref: somePart}},
	"EntryPart":            {Description: "One to-do item. What is not set is absent, and with fields all that is not asked for."},

	// Lists.
	"name":         {Description: "The name of the list.", MinLength: 1, MaxLength: todo.MaxListName},
	"List.entries": {Description: "How many entries it holds."},
	"open":         {Description: "How many of them are not done."},
	"lists":        {Description: "A page of lists, in the byte order of their names."},

	// Changes.
	"BatchChange.op": {Description: "What was done.", Enum: []any{"add", "put", "patch", "delete", "delete_list", "patch_list", "move", "copy", "place", "restore", "purge", "undo"}},
	"Synced.entries": {Description: "Entries that changed since the cursor, whole; with reset, all of them, in pages."},
	"reset":          {Description: "What was held of the list before is void: this begins with all of it."},
	"gone":           {Description: "The ids of entries that are no longer there."},
	"cursor":         {Description: "For the next call. It is opaque."},
	"from":           {Description: "Where the entry was moved or copied from: of a move, it is gone there."},
	"Change":         {Description: "What one command changed: one rev, however many items. The kind of its event is the op of its one item, or batch."},
	"Change.time":    {Description: "When it was changed, UTC."},
	"items":          {Description: "What was done, in order. A stream of one list has the items of that list alone."},
	"?since":         {Description: "The id of an event, or a rev as in Todod-Index: the stream begins behind it. Without it, with what comes next. Last-Event-ID goes before it."},

	// The group.
	"Cluster.id":       {Description: "The id of the node that answers."},
	"Member.id":        {Description: "The id of the node."},
	"Join.id":          {Description: "The id of the node: 1 to 64 of A-Za-z0-9._-, not starting with a dot.", MinLength: 1, MaxLength: 64},
	"leader":           {Description: "The id of the leader; \"\" if none is known."},
	"term":             {Description: "The Raft term."},
	"commit":           {Description: "The last entry of the log that is committed, as far as this node knows."},
	"applied":          {Description: "The last entry of the log that the node applied."},
	"snapshot":         {Description: "The entry of the log that the node's last snapshot goes up to."},
	"state":            {Description: "What the node is to its group.", Enum: []any{"empty", "joining", "member", "removed"}},
	"group":            {Description: "The id of the group."},
	"folder":           {Description: "The id of the node's data folder."},
	"version":          {Description: "The version of the program."},
	"reads":            {Description: "The highest version of a group that the node can read."},
	"expect":           {Description: "How many nodes found the group, where they wait for each other."},
	"sees":             {Description: "Which of them the node sees."},
	"members":          {Description: "The nodes of the group."},
	"group_version":    {Description: "What is agreed on in the group; 0 while there is none."},
	"diverged":         {Description: "Nodes whose data differ, with no majority that says whose is right."},
	"index":            {Description: "A place in the log."},
	"agreed":           {Description: "The last entry of the log at which the node was like a majority; 0 if it knows none."},
	"hashes":           {Description: "By node."},
	"http":             {Description: "The address for clients, HOST:PORT."},
	"raft":             {Description: "The address for other nodes, HOST:PORT."},
	"voter":            {Description: "Whether its vote counts."},
	"alive":            {Description: "Whether it gives signs of life; null where that is not known."},
	"last_contact_ms":  {Description: "ms since it was heard from, -1 for never."},
	"disk":             {Description: "The state of its disk; \"\" if not known."},
	"disk_free_bytes":  {Description: "As the member said last."},
	"addr":             {Description: "The HTTP address of a member of the group to join, HOST:PORT."},
	"to":               {Description: "The id of the node to hand leadership to; \"\" for any voter."},
	"processes":        {Description: "The list processes that live."},
	"started":          {Description: "When it started, UTC."},
	"handled":          {Description: "The commands that it has handled."},
	"waiting":          {Description: "The commands in its mailbox."},
	"node":             {Description: "The id of a node."},
	"type":             {Description: "What kind it is of."},
	"Event.time":       {Description: "When it happened, UTC."},
	"chain":            {Description: "The hash of all that was applied."},
	"set":              {Description: "The hash of all that is stored."},
	"epoch":            {Description: "Counts the restores: entity tags and cursors of another epoch are refused."},
	"Restored.lists":   {Description: "How many lists the backup held."},
	"Restored.entries": {Description: "How many entries the backup held."},
	"made":             {Description: "When the backup was made, UTC."},
	"sha256":           {Description: "The hash of the backup."},
	"?foreign":         {Type: truth, Description: "Take a backup of another group too."},

	// Errors.
	"Problem":       {Description: "An error (RFC 9457)."},
	"status":        {Description: "The HTTP status."},
	"detail":        {Description: "One sentence for a person."},
	"code":          {Description: "What kind of error it is: stable, for programs to act on."},
	"outcome":       {Description: "Of what would have changed something: whether it did.", Enum: []any{"not_applied", "applied", "unknown"}},
	"current":       {Description: "With 409, 410 and 412: the entry as it is now, where it is now."},
	"Problem.type":  {Description: "Always about:blank: code tells the kinds apart."},
	"Problem.title": {Description: "The name of the status."},
}

// codeSays has a sentence for each error code.
var codeSays = map[api.Code]string{
	api.CodeInvalid:      "bad input; the sentence names the field.",
	api.CodeForbidden:    "a web page of another site must not change anything.",
	api.CodeNotFound:     "there is no such list, entry, member or path.",
	api.CodeMethod:       "the path has other methods.",
	api.CodeConflict:     "the change cannot be made as things are.",
	api.CodeGone:         "a cursor or an event id of before a restore or too old, or a cursor of another release: begin anew.",
	api.CodeMoved:        "the entry is in another list now: current says in which, and under which id.",
	api.CodePrecondition: "If-Match or If-None-Match does not hold.",
	api.CodeTooLarge:     "the body is too large.",
	api.CodeMediaType:    "the body is of another kind than it must be.",
	api.CodeMisdirected:  "the Host header names neither this machine nor the node.",
	api.CodeKeyReused:    "the idempotency key came before with another request.",
	api.CodeKeysFull:     "too many idempotency keys came within the last minute.",
	api.CodeMailboxFull:  "too many commands wait at this list.",
	api.CodeNoLeader:     "no leader is known, or confirmed.",
	api.CodeOverloaded:   "too much waits at this node or at the leader.",
	api.CodeBehind:       "the replica did not reach Todod-Min-Index in time.",
	api.CodeClock:        "the clock of the leader is too far off.",
	api.CodeJoining:      "the node is on its way into a group.",
	api.CodeStopping:     "the node is stopping.",
	api.CodeStalled:      "a disk does not answer.",
	api.CodeTimeout:      "time ran out, and the outcome is not known.",
	api.CodeStorage:      "the disks are full.",
	api.CodeVersion:      "not every node of the group can read such a change yet.",
	api.CodeInternal:     "a defect, or a failure of the machine.",
}

var info = openapi.Info{
	Title:   "todod",
	Summary: "To-do lists that survive the loss of a machine.",
	Version: "1",
	Description: `Any node of a group answers any request. Bodies are JSON in UTF-8, at most 1 MiB, and read strictly: unknown fields, unknown parameters and doubled keys are refused by name.

A write is acknowledged when a majority of the nodes has it on disk, and is never lost, doubled or undone after that. Errors are problems (RFC 9457) with a code for programs and, where something would have changed, an outcome that is true: not_applied, applied or unknown. HEAD works wherever GET does.

Entity tags, cursors and ids of events are opaque. Fields, parameters, codes and kinds of events may be added within /v1: a client must take what it does not know.`,
}

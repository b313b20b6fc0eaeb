package httpapi

import (
	"net/http"

	"todod/httpapi/api"
	"todod/httpapi/format"
	"todod/httpapi/openapi"
)

var (
	exportParams = []string{"format", "tz", "consistency"}
	importParams = []string{"format", "tz", "dry_run"}

	imported = api.ImportReport{List: "bob", Format: format.CSV, Added: 1, Rev: 42, Lines: []api.ImportLine{{Line: 2, Did: api.DidAdd, ID: 1}}}
	listFile = formats{
		"text/csv":         "title,date\r\nDentist,2018-12-19\r\n",
		"text/plain":       "Dentist due:2018-12-19 uid:a7\n",
		"text/calendar":    "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:a7\r\nSUMMARY:Dentist\r\nDUE;VALUE=DATE:20181219\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
		"application/json": "",
	}
)

var fileWords = openapi.Words{
	"?tz": {Description: "The zone in which midnight is a date, by its IANA name, for the format of Taskwarrior, which knows instants only; UTC without it.", MaxLength: 64, Examples: []any{"Europe/Zurich"}},
}

var transferRoutes = []route{
	{http.MethodGet, "/v1/lists/{list}/export", getExport, exportParams, about{
		id: "exportList", does: "A list as a file, in the order that people gave it",
		more: "All of it is as it was at one rev. A file that breaks off was not read to its end.",
		how:  reads | tagged, gives: listFile, needs: []string{"format"}, fails: []api.Code{api.CodeNotFound}, words: fileWords,
	}},
	{http.MethodPost, "/v1/lists/{list}/import", postImport, importParams, about{
		id: "importList", does: "Bring the entries of a file into a list",
		more: "The file, of at most 256 MiB, is taken in parts of up to 1,000 entries, each wholly or not at all. Entries are found again by their uid, or, where " +
			"the file has none, by what they say: so a file that broke off can be sent again, and one that was taken changes nothing when it comes again. " +
			"An entry with something wrong is refused, with its line in the report, and the others are taken.",
		how: writes, body: listFile, gives: imported, needs: []string{"format"}, words: fileWords,
	}},
}

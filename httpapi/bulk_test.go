package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"todod/httpapi/api"
)

func (w *world) bulk(body string, header ...string) api.BulkResult {
	w.t.Helper()
	var out api.BulkResult
	w.do("POST", "/v1/lists/bob/bulk", body, header...).want(200, "").decode(&out)
	return out
}

func TestBulk(t *testing.T) {
	w := newWorld(t)
	var adds []string
	for i := range 10 {
		adds = append(adds, fmt.Sprintf(`{"op":"add","list":"bob","title":"t%d","done":%v,"tags":["all"]}`, i, i%2 == 0))
	}
	w.do("POST", "/v1/batch", `{"commands":[`+strings.Join(adds, ",")+`]}`).want(200, "")
	odd := []uint64{1, 3, 5, 7, 9}
	if got := w.bulk(`{"filter":"done","op":"patch","add_tags":["old","all"],"dry_run":true}`); got.Rev != 1 || !slices.Equal(got.IDs, odd) {
		t.Errorf("a dry run: %+v", got)
	}
	const key = "Idempotency-Key: 0123456789abcdef"
	first := w.bulk(`{"filter":"done & !#old","op":"patch","add_tags":["old"]}`, key)
	if first.Rev != 2 || !slices.Equal(first.IDs, odd) {
		t.Errorf("tagged %+v", first)
	}
	// The same request again gets the same answer, though its filter chooses none now.
	w.do("POST", "/v1/lists/bob/bulk", `{"filter":"done & !#old","op":"patch","add_tags":["old"]}`, key).want(200, "").has("Idempotency-Replayed", "true")
	w.do("POST", "/v1/lists/bob/bulk", `{"filter":"done","op":"patch","add_tags":["old"]}`, key).problem(api.CodeKeyReused, "not_applied", "")
	if got := w.bulk(`{"filter":"done & !#old","op":"patch","add_tags":["old"]}`); got.Rev != 2 || len(got.IDs) != 0 {
		t.Errorf("none is left, %+v", got)
	}
	w.bulk(`{"filter":"#old","op":"patch","remove_tags":["all","none"],"add_tags":["very"],"priority":9}`)
	var e api.Entry
	w.do("GET", "/v1/lists/bob/entries/1", "").want(200, "").decode(&e)
	if !slices.Equal(e.Tags, []string{"old", "very"}) || e.Priority != 9 {
		t.Errorf("tags %v, priority %d", e.Tags, e.Priority)
	}
	if got := w.bulk(`{"filter":"#old","op":"patch","remove_tags":["very","old"]}`); !slices.Equal(got.IDs, odd) {
		t.Errorf("untagged %v", got.IDs)
	}
	w.do("GET", "/v1/lists/bob/entries/1", "").want(200, "").decode(&e)
	if got := w.bulk(`{"filter":"no:tag","op":"patch","add_tags":["old"],"dry_run":true}`); !slices.Equal(got.IDs, odd) {
		t.Errorf("without a tag %v", got.IDs)
	}
	w.bulk(`{"filter":"no:tag","op":"patch","add_tags":["old"]}`)
	w.bulk(`{"filter":"#old","op":"patch","done":false,"priority":3}`)
	if got := w.bulk(`{"filter":"p3","op":"copy","to":"eve"}`); !slices.Equal(got.IDs, odd) {
		t.Errorf("copied %v", got.IDs)
	}
	// What is below a chosen entry goes along with it, chosen or not.
	w.do("PATCH", "/v1/lists/bob/entries/3", `{"parent":1}`).want(200, "")
	w.do("PATCH", "/v1/lists/bob/entries/2", `{"parent":1}`).want(200, "")
	if got := w.bulk(`{"filter":"p3","op":"delete"}`); !slices.Equal(got.IDs, []uint64{1, 5, 7, 9}) {
		t.Errorf("deleted %v", got.IDs)
	}
	if got := w.bulk(`{"filter":"!done & id>=4","op":"move","to":"eve"}`); !slices.Equal(got.IDs, []uint64{4, 6, 8, 10}) {
		t.Errorf("moved %v", got.IDs)
	}
	var l api.List
	w.do("GET", "/v1/lists/eve", "").want(200, "").decode(&l)
	if l.Entries != 9 {
		t.Errorf("%+v", l)
	}
	for body, says := range map[string]string{
		`{"filter":"done &","op":"delete"}`:                                       "filter, column 7",
		`{"filter":"done","op":"paint"}`:                                          "op must be",
		`{"filter":"done","op":"tag","add_tags":["a"]}`:                           "op must be",
		`{"filter":"done","op":"patch","tags":["a"],"add_tags":["b"]}`:            "tags must not be given",
		`{"filter":"done","op":"patch","add_tags":["b","a"],"remove_tags":["a"]}`: "tags must not be added and taken away",
		`{"filter":"done","op":"patch","add_tags":["a b"]}`:                       "tags must",
		`{"filter":"done","op":"patch","add_tags":[]}`:                            "patch needs a field",
		`{"filter":"done","op":"delete","add_tags":["a"]}`:                        "takes no fields",
		`{"filter":"done","op":"patch"}`:                                          "patch needs a field",
		`{"filter":"done","op":"patch","uid":"u"}`:                                "uid must not",
		`{"filter":"done","op":"delete","done":true}`:                             "takes no fields",
		`{"filter":"done","op":"move"}`:                                           "to belongs to",
		`{"filter":"done","op":"delete","to":"eve"}`:                              "to belongs to",
		`{"filter":"` + strings.Repeat("a", 1<<19) + `","op":"delete"}`:           "filter",
	} {
		w.do("POST", "/v1/lists/bob/bulk", body).problem(api.CodeInvalid, "not_applied", says)
	}
}

// More than one command may change are refused, all of them.
func TestBulkOfTooMany(t *testing.T) {
	w := newWorld(t)
	thousand := strings.TrimSuffix(strings.Repeat(`{"op":"add","list":"bob","title":"x"},`, 1000), ",")
	w.do("POST", "/v1/batch", `{"commands":[`+thousand+`]}`).want(200, "")
	if got := w.bulk(`{"filter":"x","op":"patch","done":true}`); len(got.IDs) != 1000 {
		t.Errorf("%d of 1000", len(got.IDs))
	}
	w.do("POST", "/v1/lists/bob/entries", `{"title":"x"}`).want(201, "")
	w.do("POST", "/v1/lists/bob/bulk", `{"filter":"x","op":"delete"}`).problem(api.CodeConflict, "not_applied", "more than 1,000")
}

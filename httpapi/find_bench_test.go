package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"todod/fsm/todo"
	"todod/server"
)

// fill adds entries to a list, a thousand at a time: half of them done, a quarter with tags and a priority, dates all
// over the year.
func (n *testNode) fill(tb testing.TB, list string, size int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for size > 0 {
		cmd := todo.Command{Batch: true}
		for range min(size, todo.MaxBatch) {
			f := todo.Fields{Title: fmt.Sprintf("Dentist %d, and then the shopping", rng.IntN(1_000_000)), Done: rng.IntN(2) == 0,
				Date: fmt.Sprintf("2018-%02d-%02d", 1+rng.IntN(12), 1+rng.IntN(28))}
			if rng.IntN(4) == 0 {
				f.More = &todo.More{Tags: []string{"home"}, Priority: uint8(rng.IntN(10))}
			}
			cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: list, Fields: f})
		}
		if res, err := n.Write(context.Background(), cmd, server.WriteOptions{}); err != nil || res.Code != todo.OK {
			tb.Fatalf("%v, %v", res.Code, err)
		}
		size -= len(cmd.Ops)
	}
	if err := n.replica.Flush(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkFind asks for pages of what a filter chooses and of what is sorted, of lists of 100,000 and, unless it is to be
// short, 1,000,000: the first page and, by its cursor, the second.
func BenchmarkFind(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		if testing.Short() && size > 100_000 {
			continue
		}
		node := newTestNode(b)
		s := New(Config{Node: node, Now: func() time.Time { return aSaturday }, RequestTimeout: time.Minute})
		node.fill(b, "bob", size)
		for _, query := range []struct{ name, of string }{
			{"plain", ""},
			{"a usual filter", "filter=" + url.QueryEscape("due<today+7 & #home & !done | p1")},
			{"a text", "q=shopping"},
			{"nothing", "q=nowhere"},
			{"overdue by due", "overdue=true&sort=due"},
			{"today by priority", "due=today&sort=priority"},
			{"open by due", "done=false&sort=due"},
			{"open by title", "done=false&sort=title"},
			{"newest", "sort=-id"},
		} {
			for _, path := range []string{"/v1/lists/bob/entries", "/v1/entries"} {
				name := fmt.Sprintf("%d/%s/%s", size, query.name, path)
				next := ""
				b.Run(name+"/first", func(b *testing.B) { next = benchmarkPage(b, s, path+"?"+query.of) })
				if next != "" {
					b.Run(name+"/second", func(b *testing.B) { benchmarkPage(b, s, path+"?"+query.of+"&cursor="+next) })
				}
			}
		}
		for name, query := range map[string]string{"all pages": "limit=1000", "all pages of nothing": "q=nowhere"} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				pages := 0
				for b.Loop() {
					for cursor := "&"; cursor != "&cursor="; pages++ {
						cursor = "&cursor=" + nextOf(b, s, "/v1/lists/bob/entries?"+query+cursor)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(pages), "ns/page")
			})
		}
	}
}

// benchmarkPage asks for a page again and again, and returns the cursor of the next one.
func benchmarkPage(b *testing.B, s *Server, target string) string {
	r := httptest.NewRequest("GET", target, nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	return nextOf(b, s, target)
}

// nextOf asks for a page and returns the cursor of the next one.
func nextOf(b *testing.B, s *Server, target string) string {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	var page struct{ Next string }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
		b.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return page.Next
}

// BenchmarkFindInManyLists asks 10,000 lists of one entry each.
func BenchmarkFindInManyLists(b *testing.B) {
	node := newTestNode(b)
	s := New(Config{Node: node, RequestTimeout: time.Minute})
	for at := range 10 {
		cmd := todo.Command{Batch: true}
		for i := range 1000 {
			cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: fmt.Sprintf("list-%d-%d", at, i), Fields: todo.Fields{Title: "a"}})
		}
		if res, err := node.Write(context.Background(), cmd, server.WriteOptions{}); err != nil || res.Code != todo.OK {
			b.Fatalf("%v, %v", res.Code, err)
		}
	}
	if err := node.replica.Flush(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, httptest.NewRequest("GET", "/v1/entries?sort=title&q=nowhere", nil)); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/list")
}

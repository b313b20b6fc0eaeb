package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"runtime"
	"strings"
)

// Large answers are compressed for clients that take it. What is small is not looked at, what is sent piece by
// piece (backups, events, the book's long answers) stays as it is.

// minGzip is the smallest answer that is compressed. Below 4 KiB compressing costs as much as making the
// answer (28 us), and what it saves is three packets that arrive together anyway.
const minGzip = 4 << 10

// gzipSuffix ends the opaque part of the ETag of a compressed answer. It is another representation, so it has
// another strong tag (RFC 9110, section 8.8.3.3); where tags come in, the two stand for the same state.
const gzipSuffix = "-gzip"

var (
	encodedGzip = []string{"gzip"}
	varyGzip    = []string{"Accept-Encoding"}
	varyBoth    = []string{"Origin, Accept-Encoding"}
)

// gzips are the compressors of a server. One holds 1.2 MB, so there are no more than processors; who finds none
// free sends the answer as it is rather than wait.
type gzips chan *gzip.Writer

func newGzips() gzips {
	n := runtime.GOMAXPROCS(0)
	g := make(gzips, n)
	for range n {
		g <- nil // made when it is needed first
	}
	return g
}

// compress puts body into buf; false if there is no compressor free, or it does not become smaller.
func (g gzips) compress(buf *bytes.Buffer, body []byte) bool {
	var z *gzip.Writer
	select {
	case z = <-g:
	default:
		return false
	}
	defer func() { g <- z }()
	if z == nil {
		// The fastest level: the others take three times as long for a tenth less.
		z, _ = gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	}
	z.Reset(buf)
	_, err := z.Write(body)
	if cerr := z.Close(); err == nil {
		err = cerr
	}
	return err == nil && buf.Len() < len(body)
}

// shorten compresses an answer into buf if it is large and the client takes it so, sets the headers that
// say so, and returns what to send.
func (req *request) shorten(buf *bytes.Buffer, kind []string, body []byte) []byte {
	if kind[0] == textPlain[0] {
		return body
	}
	req.vary()
	if !acceptsGzip(req.r.Header["Accept-Encoding"]) || !req.s.gzips.compress(buf, body) {
		return body
	}
	req.encoded()
	return buf.Bytes()
}

// encoded says that the answer is compressed.
func (req *request) encoded() {
	h := req.w.Header()
	h["Content-Encoding"] = encodedGzip
	// The tag in the answer to a write is of what is there now, not of the answer.
	if tag := h["Etag"]; tag != nil && (req.r.Method == http.MethodGet || req.r.Method == http.MethodHead) {
		h["Etag"] = []string{gzipTag(tag[0])}
	}
}

// vary says that the answer depends on how the client takes it.
func (req *request) vary() {
	if req.s.cors.origins != nil {
		req.w.Header()["Vary"] = varyBoth
		return
	}
	req.w.Header()["Vary"] = varyGzip
}

// gzipTag is the ETag of what has this one, compressed.
func gzipTag(tag string) string { return strings.TrimSuffix(tag, `"`) + gzipSuffix + `"` }

// acceptsGzip reports whether a client wants its answer compressed, by its Accept-Encoding (RFC 9110,
// section 12.5.3). One that says nothing does not; what cannot be understood counts as not acceptable.
func acceptsGzip(values []string) bool {
	if len(values) == 1 && values[0] == "gzip" { // as Go's client sends it
		return true
	}
	named, other, plain := -1, -1, -1 // weights of gzip, * and identity in thousandths
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			coding, params, _ := strings.Cut(element, ";")
			switch coding = trim(coding); {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				named = max(named, weight(params))
			case coding == "*":
				other = weight(params)
			case strings.EqualFold(coding, "identity"):
				plain = weight(params)
			}
		}
	}
	if named < 0 {
		named = other
	}
	return named > 0 && named >= plain
}

// weight reads the parameters of an element: nothing, or q= and a number from 0 to 1 with at most three
// decimals, in thousandths. What is wrong weighs nothing.
func weight(params string) int {
	if params = trim(params); params == "" {
		return 1000
	}
	name, value, _ := strings.Cut(params, "=")
	if !strings.EqualFold(name, "q") {
		return 0
	}
	whole, decimals, dot := strings.Cut(value, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 || dot && len(value) < 2 {
		return 0
	}
	w := 0
	for i := range 3 {
		w *= 10
		if i < len(decimals) {
			if decimals[i] < '0' || decimals[i] > '9' {
				return 0
			}
			w += int(decimals[i] - '0')
		}
	}
	if whole == "1" {
		if w > 0 {
			return 0
		}
		return 1000
	}
	return w
}

package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// fixtures are the answers that are the same as long as the program is. Each is made when it is asked
// for first: most nodes are never asked.
type fixtures struct {
	description func() fixture
	page        func() fixture
}

// fixture is one of them.
type fixture struct {
	body   []byte
	zipped []byte // compressed as well as can be, for it is done once
	tag    string // between the quotes of its ETag
	policy []string
	err    error
}

func newFixture(body []byte, err error) fixture {
	sum := sha256.Sum256(body)
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	_, werr := z.Write(body)
	cerr := z.Close()
	return fixture{body: body, zipped: buf.Bytes(), tag: hex.EncodeToString(sum[:8]), err: errors.Join(err, werr, cerr)}
}

func newFixtures(table []route) fixtures {
	return fixtures{
		description: sync.OnceValue(func() fixture { return newFixture(json.Marshal(describe(table))) }),
		page: sync.OnceValue(func() fixture {
			page, policy, err := openapi.Page(describe(table))
			f := newFixture(page, err)
			f.policy = []string{policy}
			return f
		}),
	}
}

// getDescription is the description of the API, OpenAPI 3.1.
func getDescription(req *request) error {
	return req.sendFixture(req.s.fixed.description(), applicationJSON)
}

// getDocs is the same for people. It shows what comes from this node and runs nothing.
func getDocs(req *request) error {
	page := req.s.fixed.page()
	h := req.w.Header()
	h["Content-Security-Policy"] = page.policy
	h["Referrer-Policy"] = noReferrer
	return req.sendFixture(page, textHTML)
}

// sendFixture answers with a fixture, with 304 if the client has it.
func (req *request) sendFixture(f fixture, kind []string) error {
	if f.err != nil {
		return &failure{code: api.CodeInternal, cause: f.err}
	}
	req.w.Header()["Etag"] = []string{`"` + f.tag + `"`}
	if values := req.r.Header["If-None-Match"]; values != nil {
		text := strings.Join(values, ",")
		has := trim(text) == "*"
		if !has {
			err := eachTag("If-None-Match", text, func(opaque string, _ bool) { has = has || strings.TrimSuffix(opaque, gzipSuffix) == f.tag })
			if err != nil {
				return err
			}
		}
		if has {
			return req.notModified()
		}
	}
	req.vary()
	if acceptsGzip(req.r.Header["Accept-Encoding"]) {
		req.encoded()
		return req.sendBytes(http.StatusOK, kind, f.zipped)
	}
	return req.sendBytes(http.StatusOK, kind, f.body)
}

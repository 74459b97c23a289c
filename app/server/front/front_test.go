package front

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/gateway"
)

// docs/gateway.md says what each code of the server's own is.
func TestCodesOfHeadsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"head_timeout", "tls_required"}
	for _, f := range refusals {
		codes = append(codes, f.code)
	}
	for _, f := range []*flaw{bareLF, foldedField, twoHosts, twoLengths, lengthAndChunk, oldChunks, handshake} {
		codes = append(codes, f.code)
	}
	for _, code := range codes {
		if !strings.Contains(string(text), "`"+code+"`") {
			t.Errorf("%s is not there", code)
		}
	}
}

// FuzzHandlersAnswers: whatever a handler answers, net/http's own words included, it
// arrives as it is.
func FuzzHandlersAnswers(f *testing.F) {
	own := "HTTP/1.1 400 Bad Request" + plainHead + "400 Bad Request"
	for _, body := range []string{"", own, strings.Repeat("a", 4096) + own, strings.Repeat("a", 2048) + own, unexpects} {
		for _, status := range []int{200, 400, 417, 431, 501} {
			f.Add(status, body, true, true, 100)
			f.Add(status, body, false, false, 0)
		}
	}
	type answer struct {
		status         int
		body           string
		dated, flushed bool
		cut            int
	}
	next := make(chan answer, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		a := <-next
		if !a.dated {
			w.Header()["Date"] = nil
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Given", "yes")
		w.WriteHeader(a.status)
		if a.flushed {
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, a.body[:a.cut])
		if a.flushed {
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, a.body[a.cut:])
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	srv := &http.Server{Handler: handler, ConnState: Settled, ReadHeaderTimeout: HeadTime}
	go srv.Serve(Plain(l, func(u gateway.Unread) []byte { panic(u.Code) }))
	f.Cleanup(func() { srv.Close() })
	f.Fuzz(func(t *testing.T, status int, body string, dated, flushed bool, cut int) {
		status = 200 + (status%400+400)%400
		if status == 204 || status == 304 {
			status = 200
		}
		next <- answer{status: status, body: body, dated: dated, flushed: flushed, cut: min(max(cut, 0), len(body))}
		resp, err := http.Post("http://"+l.Addr().String(), "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != body || resp.StatusCode != status || resp.Header.Get("X-Given") != "yes" {
			t.Errorf("%v: %d %v %q", err, resp.StatusCode, resp.Header, b)
		}
	})
}

// requests takes a connection's bytes apart, cut where cuts say, as caller does.
func requests(stream []byte, cuts []byte) (out []string, wrong *flaw, end place) {
	var f framing
	var piece []byte
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		took, bad := f.follow(stream[:n])
		piece = append(piece, stream[:took]...)
		stream = stream[took:]
		if bad != nil {
			return append(out, string(piece)), bad, f.at
		}
		if f.at == inLine && f.parted == 0 && len(bytes.Trim(piece, "\r\n")) > 0 {
			out, piece = append(out, string(piece)), nil
		}
	}
	if len(piece) > 0 {
		out = append(out, string(piece))
	}
	return out, nil, f.at
}

// FuzzFraming: where a request is taken to end, net/http has it end too, or refuses it;
// and where bytes are cut makes no difference.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\ncontent-length : 3\r\n\r\nabc", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "\r\n\r\nGET / HTTP/1.0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST / HTTP/1.1\r\nA: b\r\n c\r\nHost: x\n\r\n", "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: a\r\x00\r\nGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(s), []byte{0})
		f.Add([]byte(s), []byte{6, 30, 2})
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		if len(stream) > 3000 { // of one buffer of net/http's
			return
		}
		whole, wrong, at := requests(stream, nil)
		if len(cuts) > 0 {
			parts, partsWrong, partsAt := requests(stream, cuts)
			if wrong != partsWrong || at != partsAt {
				t.Fatalf("%v at %d, and in parts %v at %d", wrong, at, partsWrong, partsAt)
			}
			if wrong == nil && cmp.Diff(whole, parts) != "" {
				t.Fatalf("%q, and in parts %q", whole, parts)
			}
		}
		if wrong != nil || at != inLine {
			if len(whole) > 0 {
				whole = whole[:len(whole)-1] // not whole, or not followed
			}
		}
		for _, request := range whole {
			from := bufio.NewReader(strings.NewReader(request))
			req, err := http.ReadRequest(from)
			if err != nil {
				continue
			}
			if _, err := io.Copy(io.Discard, req.Body); errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q: %v", request, err)
			} else if err != nil {
				continue // refused; nothing more is read from its connection (net/http, body.readTrailer)
			}
			if from.Buffered() > 0 {
				t.Fatalf("%q has %d bytes more", request, from.Buffered())
			}
		}
	})
}

// BenchmarkFraming is what following one request of 1 KB costs.
func BenchmarkFraming(b *testing.B) {
	request := []byte("POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example:8080\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n" +
		"User-Agent: OpenAI/Python 2.8.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.8.0\r\nX-Stainless-Os: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n" +
		"Authorization: Bearer pk-00000000000000000000000000\r\nContent-Type: application/json\r\nContent-Length: 512\r\n\r\n" + strings.Repeat("x", 512))
	var f framing
	b.ReportAllocs()
	for b.Loop() {
		if n, wrong := f.follow(request); n != len(request) || wrong != nil {
			b.Fatal(n, wrong)
		}
	}
}

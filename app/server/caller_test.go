package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/server/load"
	"plumbline/gateway"
)

// What follows on a connection that was well so far is refused in the dialect of its own
// path, whether it came behind the answer to what was before or together with it, with
// TLS and without; and each refusal is
// counted.
func TestLaterRequestsOfAConnection(t *testing.T) {
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	cert, key, roots := pair(t, t.TempDir(), "one")
	for _, secure := range []bool{false, true} {
		c := testConfig(t.TempDir())
		if secure {
			c.TLSCert, c.TLSKey = cert, key
		}
		s := open(t, Options{Config: c})
		virtual := furnish(t, s, up.URL)
		address := strings.TrimPrefix(serve(t, s), "http://")
		dial := func() net.Conn {
			var conn net.Conn
			var err error
			if conn, err = net.Dial("tcp", address); secure && err == nil {
				conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			return conn
		}
		const chat = `{"model":"gpt-4o-mini","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`
		good := func(body string) string {
			return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", virtual, len(body), body)
		}
		large := good(strings.Replace(chat, "Hi", strings.Repeat("Hello. ", 2000), 1))
		chunked := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-T: a\r\n\r\n", virtual, len(chat), chat)
		for name, before := range map[string][]string{"one": {good(chat)}, "a large one": {large}, "one in chunks": {chunked}, "many": {good(chat), chunked, large, good(chat)}} {
			for _, bad := range []struct{ name, request, dialect, code string }{
				{"two hosts", "POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "anthropic", "host_repeated"},
				{"no host", "POST /gemini/v1beta/models/a:generateContent HTTP/1.1\r\nX: " + strings.Repeat("y", 6000) + "\r\n\r\n", "gemini", "host_missing"},
				{"a version", "POST /bedrock/model/a/converse HTTP/3.0\r\nHost: x\r\n\r\n", "bedrock", "version_unsupported"},
				{"both", "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "anthropic", "length_and_chunks"},
				{"no HTTP", "\x00\x01\x02\x03\x04\r\n\r\n", "openai", "request_malformed"},
			} {
				for _, together := range []bool{false, true} {
					t.Run(fmt.Sprintf("tls %v/%s/%s/together %v", secure, name, bad.name, together), func(t *testing.T) {
						calls := up.Calls()
						conn := dial()
						defer conn.Close()
						from := bufio.NewReader(conn)
						answered := func() (*http.Response, string) {
							resp, err := http.ReadResponse(from, nil)
							if err != nil {
								t.Fatal(err)
							}
							b, err := io.ReadAll(resp.Body)
							if err != nil {
								t.Fatal(err)
							}
							return resp, string(b)
						}
						if together {
							go io.WriteString(conn, strings.Join(before, "")+bad.request)
						}
						for _, request := range before {
							if !together {
								io.WriteString(conn, request)
							}
							if resp, answer := answered(); resp.StatusCode != 200 || resp.Close {
								t.Fatalf("%d %s", resp.StatusCode, answer)
							}
						}
						if !together {
							io.WriteString(conn, bad.request)
						}
						resp, answer := answered()
						if codeIn(answer) != bad.code || dialectOf(answer) != bad.dialect || resp.Header.Get("X-Request-Id") == "" || !resp.Close {
							t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
						}
						if rest, err := io.ReadAll(from); len(rest) > 0 || err != nil {
							t.Errorf("behind it %q, %v", rest, err)
						}
						if n := up.Calls() - calls; n != int64(len(before)) {
							t.Errorf("%d calls reached the upstream", n)
						}
					})
				}
			}
		}
		metrics, err := s.meter.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := map[string]float64{}
		for _, m := range metrics {
			for _, v := range m.Metric {
				if m.GetName() == "plumbline_refusals_total" {
					counted[v.Label[0].GetValue()] = v.Counter.GetValue()
				}
			}
		}
		if diff := cmp.Diff(map[string]float64{"host_repeated": 8, "host_missing": 8, "version_unsupported": 8, "length_and_chunks": 8, "request_malformed": 8}, counted); diff != "" {
			t.Error(diff)
		}
	}
}

// A call without TLS to a server that has it is told so, and a page that is not the
// gateway's is refused in plain text.
func TestRefusedBesideTheGateway(t *testing.T) {
	c := testConfig(t.TempDir())
	c.TLSCert, c.TLSKey, _ = pair(t, t.TempDir(), "one")
	address := strings.TrimPrefix(serve(t, open(t, Options{Config: c})), "http://")
	resp, answer, err := exchangeRaw(address, "POST /anthropic/v1/messages HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil || resp.StatusCode != 400 || codeIn(answer) != "tls_required" {
		t.Errorf("%v %s", err, answer)
	}
	address = strings.TrimPrefix(serve(t, open(t, Options{Config: testConfig(t.TempDir())})), "http://")
	for _, request := range []string{"GET /login HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "GET /login HTTP/1.1\r\n\r\n"} {
		resp, answer, err = exchangeRaw(address, request)
		if err != nil || resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(answer, "400 Bad Request: ") {
			t.Errorf("%v %v %s", err, resp, answer)
		}
	}
}

// docs/gateway.md says what each code of the server's own is.
func TestCodesOfHeadsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"head_timeout", "tls_required"}
	for _, f := range refusals {
		codes = append(codes, f.code)
	}
	for _, f := range []*flaw{bareLF, foldedField, twoHosts, twoLengths, lengthAndChunk, oldChunks} {
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
	srv := &http.Server{Handler: handler, ConnState: settled, ReadHeaderTimeout: headTime}
	go srv.Serve(&callers{l, func(u gateway.Unread) []byte { panic(u.Code) }})
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
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Fatalf("%q: %v", request, err)
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

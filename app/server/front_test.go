package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/server/load"
)

// What follows on a connection that was well so far is refused in the dialect of its own
// path, whether it came behind the answer to what was before or together with it, with TLS
// and without; and each refusal is counted.
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

// A call without TLS to a server that has it is told so, one with TLS to a server that
// has none is refused at once and not when its head's time is up, and a page that is not the
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
	var record tls.RecordHeaderError
	if _, err := tls.Dial("tcp", address, &tls.Config{ServerName: "localhost"}); !errors.As(err, &record) || string(record.RecordHeader[:]) != "HTTP/" {
		t.Errorf("a handshake gets %v", err)
	}
	resp, answer, err = exchangeRaw(address, "\x16\x03\x01\x02\x00\x01\x00")
	if err != nil || resp.StatusCode != 400 || codeIn(answer) != "tls_not_served" {
		t.Errorf("%v %s", err, answer)
	}
	for _, request := range []string{"GET /login HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "GET /login HTTP/1.1\r\n\r\n"} {
		resp, answer, err = exchangeRaw(address, request)
		if err != nil || resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.HasPrefix(answer, "400 Bad Request: ") {
			t.Errorf("%v %v %s", err, resp, answer)
		}
	}
}

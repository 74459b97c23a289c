package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/server/load"
)

// hostileDesk is a server that loses patience soon.
func hostileDesk(t testing.TB) (address, key string, up *load.Upstream) {
	up = &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	c := testConfig(t.TempDir())
	c.BodyTimeout = 3 * time.Second
	s := open(t, Options{Config: c})
	key = furnish(t, s, up.URL)
	return strings.TrimPrefix(serve(t, s), "http://"), key, up
}

// exchangeRaw writes bytes to a connection, and reads one answer.
func exchangeRaw(address string, request string) (*http.Response, string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	go io.WriteString(conn, request) // the server may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// codeIn finds the stable code in each dialect's error.
func codeIn(answer string) string {
	var e struct {
		Code  string // AWS's clients'
		Error struct {
			Code    any
			Details []struct{ Reason string }
		}
	}
	if json.Unmarshal([]byte(answer), &e) != nil {
		return answer
	}
	if e.Code != "" {
		return e.Code
	}
	if len(e.Error.Details) > 0 {
		return e.Error.Details[0].Reason
	}
	code, _ := e.Error.Code.(string)
	return code
}

// dialectOf is whose error it is.
func dialectOf(answer string) string {
	switch {
	case strings.Contains(answer, `"@type"`):
		return "gemini"
	case strings.Contains(answer, `"request_id"`):
		return "anthropic"
	case strings.Contains(answer, `"param"`):
		return "openai"
	case strings.HasPrefix(answer, `{"message":`):
		return "bedrock"
	}
	return "none"
}

// Whatever bytes come, the answer is a clear 4xx in the words of the API that was
// called, the process lives, and nothing of the call stays behind.
func TestHostileRequests(t *testing.T) {
	address, key, up := hostileDesk(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.Copy(z, io.LimitReader(zeros{}, 64<<20))
	z.Close()
	body := func(path, headers, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", path, key, headers, len(body), body)
	}
	head := "\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n"
	chunks := func(path, head, chunks string) string {
		return "POST " + path + " HTTP/1.1" + head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	}
	good := `{"model":"gpt-4o-mini","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`
	paths := map[string]string{"openai": "/v1/chat/completions", "anthropic": "/anthropic/v1/messages", "gemini": "/gemini/v1beta/models/gpt-4o-mini:generateContent",
		"bedrock": "/bedrock/model/gpt-4o-mini/converse", "azure": "/azure/openai/deployments/gpt-4o-mini/chat/completions"}
	for _, c := range []struct {
		name    string
		request func(path string) string
		status  int
		code    string
	}{
		{"100,000 deep", func(p string) string {
			return body(p, "", `{"model":"gpt-4o-mini","messages":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"}")
		}, 400, "body_too_deep"},
		{"a key twice", func(p string) string { return body(p, "", `{"model":"a","model":"b"}`) }, 400, "body_duplicate_key"},
		{"no UTF-8", func(p string) string { return body(p, "", "{\"model\":\"\xff\"}") }, 400, "body_not_utf8"},
		{"a list without end", func(p string) string { return body(p, "", `{"a":[`+strings.Repeat("{},", 1<<18)+"{}]}") }, 400, "body_too_complex"},
		{"another type", func(p string) string {
			return strings.Replace(body(p, "", good), "application/json", "text/xml", 1)
		}, 415, "body_not_json"},
		{"gzip bomb", func(p string) string { return body(p, "Content-Encoding: gzip\r\n", bomb.String()) }, 413, "body_bomb"},
		{"says that it is too large", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: 99999999999\r\n\r\n{"
		}, 413, "body_too_large"},
		{"chunks without end", func(p string) string {
			chunk := "100000\r\n" + strings.Repeat(" ", 1<<20) + "\r\n"
			return "POST " + p + " HTTP/1.1" + head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 33) + "0\r\n\r\n"
		}, 413, "body_too_large"},
		{"a chunk that is none", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"
		}, 400, "body_unread"},
		{"stops in its body", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: 100\r\n\r\n{"
		}, 408, "body_timeout"},
		{"stops in a large body", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: 9000000\r\n\r\n" + strings.Repeat(" ", 3<<20)
		}, 408, "body_timeout"},
		{"large head", func(p string) string { return body(p, "X-A: "+strings.Repeat("a", 100<<10)+"\r\n", good) }, 431, "headers_too_large"},
		{"long path", func(p string) string { return body(p+"?a="+strings.Repeat("a", 100<<10), "", good) }, 431, "headers_too_large"},
		{"a head that is not read to its end", func(p string) string {
			return body(p, "X-A: "+strings.Repeat("a", 1<<20)+"\r\n", good)
		}, 431, "headers_too_large"},
		{"underscore", func(p string) string { return body(p, "Transfer_Encoding: chunked\r\n", good) }, 400, "header_underscore"},
		{"two keys", func(p string) string { return body(p, "X-Api-Key: a\r\nX-Api-Key: b\r\n", good) }, 400, "header_repeated"},
		{"a loop", func(p string) string { return body(p, "X-Plumbline-Hops: 9\r\n", good) }, 400, "hop_limit"},
		{"two hosts", func(p string) string { return body(p, "Host: y\r\n", good) }, 400, "host_repeated"},
		{"no host", func(p string) string { return "POST " + p + " HTTP/1.1\r\nContent-Length: 0\r\n\r\n" }, 400, "host_missing"},
		{"another version", func(p string) string { return "POST " + p + " HTTP/7.0" + head + "\r\n" }, 505, "version_unsupported"},
		{"two lengths", func(p string) string { return body(p, "Content-Length: 3\r\n", good) }, 400, "length_repeated"},
		{"a length that is none", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: +5\r\n\r\n{   }"
		}, 400, "request_malformed"},
		{"another transfer coding", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Transfer-Encoding: gzip, chunked\r\n\r\n"
		}, 501, "transfer_coding_unsupported"},
		{"space before a colon", func(p string) string { return body(p, "X-A : b\r\n", good) }, 400, "header_malformed"},
		{"a folded header", func(p string) string { return "POST " + p + " HTTP/1.1\r\n Host: x" + head + "\r\n" }, 400, "header_folded"},
		{"NUL in a header", func(p string) string { return body(p, "X-A: a\x00b\r\n", good) }, 400, "request_malformed"},
		{"a header folded later", func(p string) string { return body(p, "X-A: b\r\n\tc\r\n", good) }, 400, "header_folded"},
		{"a host folded in", func(p string) string { return body(p, "X-A: b\r\n Host: y\r\n", good) }, 400, "header_folded"},
		{"a host that is none", func(p string) string { return strings.Replace(body(p, "", good), "Host: x", "Host: a b", 1) }, 400, "host_malformed"},
		{"a header that is none", func(p string) string { return body(p, "X-A\r\n", good) }, 400, "request_malformed"},
		{"a control character", func(p string) string { return body(p, "X-A: a\x01b\r\n", good) }, 400, "request_malformed"},
		{"a bare CR", func(p string) string { return body(p, "X-A: a\rContent-Length: 0\r\n", good) }, 400, "request_malformed"},
		{"a bare LF", func(p string) string { return body(p, "X-A: a\n", good) }, 400, "line_malformed"},
		{"a bare LF that ends the head", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: 0\r\n\n"
		}, 400, "line_malformed"},
		{"a bare LF behind the line", func(p string) string {
			return strings.Replace(body(p, "", good), " HTTP/1.1\r\n", " HTTP/1.1\n", 1)
		}, 400, "line_malformed"},
		{"the same length twice", func(p string) string { return body(p, fmt.Sprintf("Content-Length: %d\r\n", len(good)), good) }, 400, "length_repeated"},
		{"lengths in one line", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: 4, 4\r\n\r\n{  }"
		}, 400, "request_malformed"},
		{"a negative length", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Content-Length: -1\r\n\r\n{  }"
		}, 400, "request_malformed"},
		{"a length and chunks", func(p string) string { return body(p, "Transfer-Encoding: chunked\r\n", good) }, 400, "length_and_chunks"},
		{"a length and a coding in other letters", func(p string) string { return body(p, "tRANSFER-eNCODING:\tChunked\r\n", good) }, 400, "length_and_chunks"},
		{"a length and an unknown coding", func(p string) string { return body(p, "Transfer-Encoding: xchunked\r\n", good) }, 400, "length_and_chunks"},
		{"chunked twice", func(p string) string {
			return "POST " + p + " HTTP/1.1" + head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		}, 501, "transfer_coding_unsupported"},
		{"chunks of HTTP/1.0", func(p string) string {
			return "POST " + p + " HTTP/1.0" + head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
		}, 400, "length_and_chunks"},
		{"a chunk with an extension", func(p string) string { return chunks(p, head, "4;a=b\r\n{  }\r\n0\r\n\r\n") }, 400, "body_unread"},
		{"a chunk's size with a space", func(p string) string { return chunks(p, head, "4 \r\n{  }\r\n0\r\n\r\n") }, 400, "body_unread"},
		{"a chunk's size with a sign", func(p string) string { return chunks(p, head, "+4\r\n{  }\r\n0\r\n\r\n") }, 400, "body_unread"},
		{"a chunk that ends in LF", func(p string) string { return chunks(p, head, "4\n{  }\r\n0\r\n\r\n") }, 400, "body_unread"},
		{"a chunk longer than it says", func(p string) string { return chunks(p, head, "4\r\n{   }\r\n0\r\n\r\n") }, 400, "body_unread"},
		{"a chunk's size beyond all", func(p string) string { return chunks(p, head, "ffffffffffffffffff\r\n{") }, 400, "body_unread"},
		{"another expectation", func(p string) string { return body(p, "Expect: a\r\n", good) }, 417, "expectation_unsupported"},
		{"no target", func(p string) string { return "POST  HTTP/1.1" + head + "\r\n" }, 400, "request_malformed"},
		{"a whole URL", func(p string) string { return body("http://y"+p, "Host: y\r\n", good) }, 400, "host_repeated"},
		{"a line without version", func(p string) string { return "POST " + p + head + "\r\n" }, 400, "request_malformed"},
		{"a head that stops", func(p string) string { return "POST " + p + " HTTP/1.1\r\nHost: x\r\nAuthoriz" }, 408, "head_timeout"},
		{"TLS where HTTP is served", func(p string) string { return "\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03\r\n\r\n" }, 400, "tls_not_served"},
		{"no HTTP", func(p string) string { return "\x01\x03\x01\x02\x00\x01\x00\xfc\x03\x03\r\n\r\n" }, 400, "request_malformed"},
	} {
		for dialect, path := range paths {
			t.Run(c.name+"/"+dialect, func(t *testing.T) {
				t.Parallel()
				resp, answer, err := exchangeRaw(address, c.request(path))
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != c.status {
					t.Fatalf("%d %.300s", resp.StatusCode, answer)
				}
				if slices.Contains([]string{"no HTTP", "TLS where HTTP is served", "no target"}, c.name) { // then it is OpenAI's
					dialect = "openai"
				}
				if dialect == "azure" {
					dialect = "openai"
				}
				if codeIn(answer) != c.code || dialectOf(answer) != dialect || resp.Header.Get("X-Request-Id") == "" {
					t.Errorf("%.300s, want %s of %s", answer, c.code, dialect)
				}
			})
		}
	}
	t.Cleanup(func() { // when all are through
		if resp, answer, err := exchangeRaw(address, body(paths["openai"], "", good)); err != nil || resp.StatusCode != 200 {
			t.Errorf("the server does not answer any more: %v %s", err, answer)
		}
		if n := up.Calls(); n != 1 {
			t.Errorf("%d calls reached the upstream, of which one is good", n)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// Callers that send a head byte by byte, and callers that read no answer, leave nothing.
func TestSlowCallersLeaveNothing(t *testing.T) {
	address, key, _ := hostileDesk(t)
	ask := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2000000\r\n\r\n{", key)
	if _, _, err := exchangeRaw(address, strings.Replace(ask, "2000000", "1", 1)); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if i%2 == 0 {
				io.WriteString(conn, ask) // and never the rest
				io.Copy(io.Discard, conn) // to the 408 and the end of the connection
				return
			}
			io.WriteString(conn, ask[:40])
		})
	}
	all.Wait()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+5; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// pair writes a certificate of its own for 127.0.0.1.
func pair(t testing.TB, dir, name string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, roots
}

// HTTP/2 is spoken without TLS and with it: streams come event by event, many at once
// over one connection; and a renewed certificate needs no restart.
func TestHTTP2(t *testing.T) {
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	dir := t.TempDir()
	cert, key, roots := pair(t, dir, "first")
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", secure), func(t *testing.T) {
			c := testConfig(t.TempDir())
			if secure {
				c.TLSCert, c.TLSKey = cert, key
			}
			s := open(t, Options{Config: c})
			virtual := furnish(t, s, up.URL)
			base := serve(t, s)
			dials := 0
			transport := &http.Transport{Protocols: &http.Protocols{}, TLSClientConfig: &tls.Config{RootCAs: roots},
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					dials++
					return (&net.Dialer{}).DialContext(ctx, network, address)
				}}
			transport.Protocols.SetUnencryptedHTTP2(!secure)
			transport.Protocols.SetHTTP2(secure)
			if secure {
				base = "https" + strings.TrimPrefix(base, "http")
			}
			client := &http.Client{Transport: transport}
			defer transport.CloseIdleConnections()
			stream := func() error {
				req, _ := http.NewRequest(http.MethodPost, base+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`))
				req.Header.Set("Authorization", "Bearer "+virtual)
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != 200 || !strings.HasSuffix(string(b), "data: [DONE]\n\n") {
					return fmt.Errorf("%v: %s %d %.200s", err, resp.Proto, resp.StatusCode, b)
				}
				return nil
			}
			if err := stream(); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if err := stream(); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if dials != 1 {
				t.Errorf("%d connections", dials)
			}
			if !secure {
				return
			}
			_, _, renewed := pair(t, dir, "second")
			if err := os.Chtimes(cert, time.Now(), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			conn, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), &tls.Config{RootCAs: renewed})
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

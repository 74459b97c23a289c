package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Request builds a chat completion of about 238 bytes that carries mark.
func Request(mark string) []byte {
	return []byte(`{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer questions about travel insurance in one short paragraph."},{"role":"user","content":"` +
		mark + ` How long does it take until a claim is paid?"}],"temperature":0.2,"max_tokens":200}`)
}

// StreamRequest is Request for a streamed answer.
func StreamRequest(mark string) []byte {
	return append(bytes.TrimSuffix(Request(mark), []byte("}")), `,"stream":true}`...)
}

// Caller keeps one connection and sends one request after the other on it.
type Caller struct {
	addr string
	key  string
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

// NewCaller makes a caller for a server's host:port.
func NewCaller(addr, key string) *Caller { return &Caller{addr: addr, key: key} }

// Do sends a body and reads the whole answer. request is the answer's
// x-request-id.
func (c *Caller) Do(body []byte) (status int, request string, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, 5*time.Second); err != nil {
			return 0, "", err
		}
		c.r = bufio.NewReaderSize(c.conn, 16<<10)
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	c.buf = append(c.buf[:0], "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer "...)
	c.buf = append(c.buf, c.key...)
	c.buf = append(c.buf, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.buf = strconv.AppendInt(c.buf, int64(len(body)), 10)
	c.buf = append(c.buf, "\r\n\r\n"...)
	c.buf = append(c.buf, body...)
	if _, err = c.conn.Write(c.buf); err != nil {
		return 0, "", err
	}
	return c.read()
}

// Close ends the connection; the next Do opens another.
func (c *Caller) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *Caller) read() (status int, request string, err error) {
	t := textproto.NewReader(c.r)
	line, err := t.ReadLine()
	if err != nil {
		return 0, "", err
	}
	if len(line) < 12 {
		return 0, "", fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(line[9:12]); err != nil {
		return 0, "", err
	}
	header, err := t.ReadMIMEHeader()
	if err != nil {
		return 0, "", err
	}
	h := http.Header(header)
	if h.Get("Transfer-Encoding") == "chunked" {
		return status, h.Get("X-Request-Id"), c.stream(t)
	}
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("answer without content length (status %d)", status)
	}
	_, err = io.CopyN(io.Discard, c.r, length)
	return status, h.Get("X-Request-Id"), err
}

// stream reads a streamed answer, which must come to its end.
func (c *Caller) stream(t *textproto.Reader) error {
	b, err := readInto(c.buf[:0], httputil.NewChunkedReader(c.r))
	c.buf = b
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(b, []byte("data: [DONE]\n\n")) || bytes.Count(b, []byte("data: ")) < StreamEvents {
		return fmt.Errorf("the stream was cut after %d bytes", len(b))
	}
	_, err = t.ReadLine() // what ends the chunks
	return err
}

// Result is what a run of callers saw.
type Result struct {
	Calls     int
	Bad       map[int]int // status other than 200 -> count
	Errors    int
	Err       error // one of them
	Elapsed   time.Duration
	Latencies []time.Duration // sorted; nil when not asked for
}

// Quantile of the latencies, q in [0,1].
func (r Result) Quantile(q float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(len(r.Latencies)-1, int(q*float64(len(r.Latencies))))]
}

// Run is a bounded load: callers workers send total calls between them. With
// perSecond above 0 the calls start on a fixed schedule, and a latency is
// counted from when its call was due, so that a stall is not forgotten.
func Run(ctx context.Context, addr, key string, callers, total, perSecond int) Result {
	return run(ctx, addr, key, callers, total, perSecond, Request)
}

// RunStreams is Run of calls whose answers are streamed; a latency ends with the
// stream.
func RunStreams(ctx context.Context, addr, key string, callers, total int) Result {
	return run(ctx, addr, key, callers, total, 0, StreamRequest)
}

func run(ctx context.Context, addr, key string, callers, total, perSecond int, request func(mark string) []byte) Result {
	type slot struct{ due time.Time }
	slots := make(chan slot, callers)
	go func() {
		defer close(slots)
		start := time.Now()
		for i := range total {
			s := slot{}
			if perSecond > 0 {
				s.due = start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
				time.Sleep(time.Until(s.due))
			}
			select {
			case slots <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	var mu sync.Mutex
	result := Result{Bad: map[int]int{}}
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range callers {
		wg.Go(func() {
			c := NewCaller(addr, key)
			defer c.Close()
			body := request("caller " + strconv.Itoa(i) + ":")
			var latencies []time.Duration
			calls, errs, bad := 0, 0, map[int]int{}
			var last error
			for s := range slots {
				from := s.due
				if from.IsZero() {
					from = time.Now()
				}
				status, _, err := c.Do(body)
				calls++
				if err != nil {
					errs, last = errs+1, err
					continue
				}
				if status != http.StatusOK {
					bad[status]++
				}
				if perSecond > 0 {
					latencies = append(latencies, time.Since(from))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			result.Calls += calls
			result.Errors += errs
			if last != nil {
				result.Err = last
			}
			for s, n := range bad {
				result.Bad[s] += n
			}
			result.Latencies = append(result.Latencies, latencies...)
		})
	}
	wg.Wait()
	result.Elapsed = time.Since(begin)
	slices.Sort(result.Latencies)
	return result
}

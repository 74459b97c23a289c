package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Silent is an upstream whose streams say one event and then nothing, until whoever
// asked hangs up.
func Silent(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = []string{"text/event-stream"}
	w.Write(streamed[0])
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// Idle are streams that are open and silent.
type Idle struct {
	conns []net.Conn
	lines []*bufio.Reader
}

// OpenIdle opens n streams, some at a time, and returns once each has its first event.
func OpenIdle(ctx context.Context, addr, key string, n int) (*Idle, error) {
	idle := &Idle{make([]net.Conn, n), make([]*bufio.Reader, n)}
	err := idle.each(func(i int) (err error) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if idle.conns[i], err = net.DialTimeout("tcp", addr, 30*time.Second); err != nil {
			return err
		}
		body := StreamRequest("caller " + strconv.Itoa(i) + ":")
		head := "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
		if _, err = idle.conns[i].Write(append([]byte(head), body...)); err != nil {
			return err
		}
		idle.lines[i] = bufio.NewReaderSize(idle.conns[i], 1<<10)
		return idle.until(i, "data: ", time.Minute)
	})
	if err != nil {
		idle.Close()
		return nil, err
	}
	return idle, nil
}

// Await returns once each stream was sent a comment, which must come within d.
func (s *Idle) Await(d time.Duration) error {
	return s.each(func(i int) error { return s.until(i, ":", d) })
}

// until reads to a line that begins so.
func (s *Idle) until(i int, prefix string, d time.Duration) error {
	s.conns[i].SetReadDeadline(time.Now().Add(d))
	for first := true; ; first = false {
		line, err := s.lines[i].ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		switch {
		case err != nil:
			return fmt.Errorf("stream %d: %w", i, err)
		case first && bytes.HasPrefix(line, []byte("HTTP/")) && !bytes.Contains(line, []byte(" 200 ")):
			return fmt.Errorf("stream %d: %s", i, bytes.TrimSpace(line))
		case bytes.HasPrefix(line, []byte(prefix)):
			return nil
		}
	}
}

// each calls f for every stream, 64 at a time.
func (s *Idle) each(f func(i int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	places := make(chan struct{}, 64)
	for i := range s.conns {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := f(i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	wg.Wait()
	return first
}

// Close ends all of them.
func (s *Idle) Close() {
	for _, c := range s.conns {
		if c != nil {
			c.Close()
		}
	}
}

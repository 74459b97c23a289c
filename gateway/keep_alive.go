package gateway

import (
	"sync"
	"time"
)

// keepAlive sends a comment whenever nothing was sent for a while, so that nothing
// between here and the caller takes a thinking model for a dead connection.
type keepAlive struct {
	mu    sync.Mutex // held while anything is written
	s     *streamer
	every time.Duration
	timer *time.Timer
	last  uint64 // bytes out when it looked last
	over  bool
}

var comment = []byte(":\n\n")

func (s *streamer) keepAlive() *keepAlive {
	k := &keepAlive{s: s, every: s.g.c.KeepAlive}
	k.mu.Lock()
	k.timer = time.AfterFunc(k.every, k.look)
	k.mu.Unlock()
	return k
}

func (k *keepAlive) look() {
	defer k.s.g.survive()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || k.s.gone || k.s.x.array || k.s.x.binary {
		return
	}
	if x := k.s.x; x.bytesOut == k.last {
		if k.s.emit(comment); !k.s.gone {
			x.flush()
		}
	}
	k.last = k.s.x.bytesOut
	k.timer.Reset(k.every)
}

// step takes in what was read, while no comment is written.
func (k *keepAlive) step(data []byte, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.s.step(data, err)
}

// end waits for a comment that is being sent, and lets none follow.
func (k *keepAlive) end() {
	k.timer.Stop()
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
}

package gateway

import (
	"io"
	"sync"
	"time"
)

// keepAlive sends a comment whenever nothing was sent for a while, so that nothing
// between here and the caller takes a thinking model for a dead connection. Its timer is
// the stream's only one: once the last event was seen it ends the reading after a while.
type keepAlive struct {
	mu    sync.Mutex // held while anything is written
	g     *Gateway
	s     *streamer // another exchange's once it is over
	every time.Duration
	timer *time.Timer
	last  uint64 // bytes out when it looked last
	over  bool

	from   io.Closer // the provider's answer
	ending bool      // it has had its last event
}

var comment = []byte(":\n\n")

func (s *streamer) keepAlive(from io.Closer) *keepAlive {
	k := &keepAlive{g: s.g, s: s, every: s.g.c.KeepAlive, from: from}
	k.mu.Lock()
	k.timer = time.AfterFunc(k.every, k.look)
	k.mu.Unlock()
	return k
}

func (k *keepAlive) look() {
	defer k.g.survive()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending && !k.over {
		k.from.Close()
		return
	}
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
	err = k.s.step(data, err)
	if k.s.finished && !k.ending {
		k.ending = true
		k.timer.Reset(afterDone)
	}
	return err
}

// end waits for a comment that is being sent, and lets none follow.
func (k *keepAlive) end() {
	k.timer.Stop()
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
}

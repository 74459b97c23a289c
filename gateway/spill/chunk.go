package spill

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync/atomic"
)

// A file is a row of chunks. Each is sealed by itself, with AES-256-GCM, so that any
// reader can begin anywhere and what was changed on disk does not pass. The nonce is
// the file's running number and the chunk's; no two chunks of a process share one.
const (
	plainSize  = 64 << 10
	tagSize    = 16
	sealedSize = plainSize + tagSize
)

// nonce is that of a chunk.
func nonce(file uint64, chunk uint32) (n [12]byte) {
	binary.BigEndian.PutUint64(n[:8], file)
	binary.BigEndian.PutUint32(n[8:], chunk)
	return n
}

// file is one on disk, without a name. It closes when the last who holds it lets go.
type file struct {
	store  *Store
	f      *os.File
	number uint64
	size   int64 // of the plain text
	held   atomic.Int32
}

// hold is refused when the file is closed already.
func (f *file) hold() bool {
	for {
		n := f.held.Load()
		if n == 0 {
			return false
		}
		if f.held.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (f *file) release() {
	if f.held.Add(-1) == 0 {
		f.store.disk.Add(-f.size)
		f.f.Close()
	}
}

// readChunk brings a chunk's plain text into buf, which has room for it sealed.
func (f *file) readChunk(buf []byte, chunk uint32) ([]byte, error) {
	size := min(f.size-int64(chunk)*plainSize, plainSize)
	sealed := buf[:size+tagSize]
	if _, err := f.f.ReadAt(sealed, int64(chunk)*sealedSize); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrDamaged
		}
		return nil, &DiskError{err}
	}
	n := nonce(f.number, chunk)
	plain, err := f.store.aead.Open(sealed[:0], n[:], sealed, nil)
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// writer fills a file. It is not safe for concurrent use.
type writer struct {
	to    *file
	buf   *[]byte // sealed in place
	fill  int
	chunk uint32
}

// create makes a file and takes its name away at once.
func (s *Store) create() (*writer, error) {
	f, err := os.CreateTemp(s.c.Dir, pattern)
	if err != nil {
		return nil, &DiskError{err}
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, &DiskError{err}
	}
	to := &file{store: s, f: f, number: s.files.Add(1)}
	to.held.Store(1)
	return &writer{to: to, buf: s.chunks.Get().(*[]byte)}, nil
}

// Write seals b chunk by chunk.
func (w *writer) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := copy((*w.buf)[w.fill:plainSize], b)
		w.fill += n
		b = b[n:]
		if w.fill == plainSize {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (w *writer) readFrom(r io.Reader, limit int64) error {
	for {
		n, err := r.Read((*w.buf)[w.fill:plainSize])
		w.fill += n
		if w.to.size+int64(w.fill) > limit {
			return ErrTooLarge
		}
		if w.fill == plainSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// flush writes the chunk that is full, or the last.
func (w *writer) flush() error {
	s := w.to.store
	if !take(&s.disk, int64(w.fill), s.c.Disk) {
		return ErrBusy
	}
	w.to.size += int64(w.fill)
	n := nonce(w.to.number, w.chunk)
	sealed := s.aead.Seal((*w.buf)[:0], n[:], (*w.buf)[:w.fill], nil)
	w.chunk++
	w.fill = 0
	if _, err := w.to.f.Write(sealed); err != nil {
		return &DiskError{err}
	}
	return nil
}

func (w *writer) finish() (*Body, error) {
	if w.fill > 0 {
		if err := w.flush(); err != nil {
			w.abandon()
			return nil, err
		}
	}
	w.free()
	return &Body{store: w.to.store, file: w.to, size: w.to.size}, nil
}

// abandon throws the file away.
func (w *writer) abandon() {
	w.free()
	w.to.release()
}

// free gives the buffer back; sealed text alone is left in it, or the rest of a body,
// which the next who uses it writes over before reading.
func (w *writer) free() {
	clear(*w.buf)
	w.to.store.chunks.Put(w.buf)
	w.buf = nil
}

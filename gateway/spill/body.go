package spill

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// Body is what Read or Put kept: in memory or in a file. Its methods are safe for
// concurrent use, except Close.
type Body struct {
	store   *Store
	memory  []byte
	counted int64 // of the store's resident bytes
	file    *file
	size    int64 // bytes
}

// Len is the size in bytes.
func (b *Body) Len() int64 { return b.size }

// Spilled reports whether the body is in a file.
func (b *Body) Spilled() bool { return b.file != nil }

// Close lets go of the body. Readers that are open read on to their end.
func (b *Body) Close() {
	if b.file != nil {
		b.file.release()
	} else if b.store != nil {
		b.store.resident.Add(-b.counted)
	}
	*b = Body{}
}

var errClosed = errors.New("the body is closed")

// Open reads the body from its beginning. Any number of readers may be open; each
// must be closed. A reader of a file gives ErrDamaged when the file was changed.
func (b *Body) Open() (io.ReadCloser, error) {
	if b.file == nil {
		return io.NopCloser(bytes.NewReader(b.memory)), nil
	}
	if !b.file.hold() {
		return nil, errClosed
	}
	return &reader{file: b.file, buf: b.file.store.chunks.Get().(*[]byte)}, nil
}

// reader reads a file chunk by chunk.
type reader struct {
	file  *file
	buf   *[]byte
	plain []byte // of the chunk read last, what was not given on yet
	next  uint32
}

func (r *reader) Read(p []byte) (int, error) {
	if r.buf == nil {
		return 0, errClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.plain) == 0 {
		if int64(r.next)*plainSize >= r.file.size {
			return 0, io.EOF
		}
		plain, err := r.file.readChunk(*r.buf, r.next)
		if err != nil {
			return 0, err
		}
		r.plain = plain
		r.next++
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// Close may be called twice.
func (r *reader) Close() error {
	if r.buf == nil {
		return nil
	}
	clear(*r.buf)
	r.file.store.chunks.Put(r.buf)
	r.buf, r.plain = nil, nil
	r.file.release()
	return nil
}

// Load brings the whole body into memory until release is called, which may be more
// than once. The memory counts times the body's size: what is made out of a body
// while it is loaded is a multiple of it. ErrBusy when others did not give back
// enough in time; ErrDamaged and *DiskError of the file. A body that is in memory
// costs nothing.
func (b *Body) Load(ctx context.Context, times int64) (text []byte, release func(), err error) {
	if b.file == nil {
		return b.memory, func() {}, nil
	}
	s := b.store
	weight := min(times*b.size, s.c.Loaded)
	waiting, cancel := context.WithTimeout(ctx, s.c.Wait)
	defer cancel()
	if err := s.loaded.Acquire(waiting, weight); err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, ErrBusy
	}
	r, err := b.Open()
	if err != nil {
		s.loaded.Release(weight)
		return nil, nil, err
	}
	defer r.Close()
	text = make([]byte, b.size)
	if _, err := io.ReadFull(r, text); err != nil {
		s.loaded.Release(weight)
		return nil, nil, err
	}
	released := false
	return text, func() {
		if !released {
			released = true
			s.loaded.Release(weight)
		}
	}, nil
}

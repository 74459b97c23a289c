// Package spill keeps bodies of requests and of whole answers. A small one stays in memory. A large one
// goes to a file without a name, encrypted with a key that lives and dies with the
// process, so that a slow caller or a slow provider holds disk and not memory. What
// is brought back from files into memory at one time is bounded for the whole
// process.
package spill

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Config makes a Store. Sizes are in bytes; each zero value works.
type Config struct {
	Dir      string        // of the files; os.TempDir() when empty
	Memory   int64         // largest body that stays in memory; 1 MiB when zero
	Resident int64         // what all bodies above Small that stay in memory may take together; 64 MiB when zero
	Loaded   int64         // what all bodies brought back from files may take together; 192 MiB when zero
	Disk     int64         // what all files may take together; 8 GiB when zero
	Wait     time.Duration // of Load for memory; 5 s when zero
	Rand     io.Reader     // of the key; crypto/rand when nil
}

// Small is the size up to which a body in memory is not counted.
const Small = 64 << 10

// wait is how long Load waits for others to give memory back.
const wait = 5 * time.Second

var (
	// ErrTooLarge: the body is larger than the limit given to Read.
	ErrTooLarge = errors.New("the body is larger than the limit")
	// ErrBusy: what all bodies may take together is taken. It passes.
	ErrBusy = errors.New("other bodies take all of the room that there is")
	// ErrDamaged: a file does not hold what was written to it.
	ErrDamaged = errors.New("a spilled body is not what was written")
)

// Store makes bodies. Safe for concurrent use.
type Store struct {
	c    Config
	aead cipher.AEAD

	files    atomic.Uint64 // how many were made: the first part of each nonce
	resident atomic.Int64  // bytes, of bodies in memory above Small
	disk     atomic.Int64  // bytes, of files
	loaded   *semaphore.Weighted
	chunks   sync.Pool // *[]byte of a sealed chunk's size
}

// New makes a store. It removes what a process that was killed between making a
// file and unlinking it left in Dir; nobody has the key of such a file any more.
func New(c Config) (*Store, error) {
	for _, d := range []struct {
		to   *int64
		zero int64
	}{{&c.Memory, 1 << 20}, {&c.Resident, 64 << 20}, {&c.Loaded, 192 << 20}, {&c.Disk, 8 << 30}} {
		if *d.to == 0 {
			*d.to = d.zero
		}
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Wait == 0 {
		c.Wait = wait
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of spilled bodies: %w", err)
	}
	stale, err := filepath.Glob(filepath.Join(c.Dir, pattern))
	if err != nil {
		return nil, fmt.Errorf("look for spilled bodies: %w", err)
	}
	for _, name := range stale {
		// Another process's file is unlinked by itself at the same moment.
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove a spilled body: %w", err)
		}
	}
	var key [32]byte
	if _, err := io.ReadFull(c.Rand, key[:]); err != nil {
		return nil, fmt.Errorf("draw the key of spilled bodies: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	s := &Store{c: c, aead: aead, loaded: semaphore.NewWeighted(c.Loaded)}
	s.chunks.New = func() any { b := make([]byte, sealedSize); return &b }
	return s, nil
}

const pattern = "plumbline-body-*"

// Usage is what bodies take at this moment, in bytes.
type Usage struct{ Resident, Disk int64 }

// Usage says what bodies take.
func (s *Store) Usage() Usage { return Usage{s.resident.Load(), s.disk.Load()} }

// take adds n to a counter unless that would pass its limit.
func take(counter *atomic.Int64, n, limit int64) bool {
	if counter.Add(n) > limit {
		counter.Add(-n)
		return false
	}
	return true
}

// Read reads r to its end. buf is where it begins, empty and with any capacity;
// a body that stays in memory may be in it. ErrTooLarge when there are more than
// limit bytes, ErrBusy when there is no room; other errors are r's or the disk's
// (a *DiskError). Nothing is kept on an error.
func (s *Store) Read(r io.Reader, buf []byte, limit int64) (*Body, error) {
	b := &Body{store: s, memory: buf[:0]}
	for {
		if len(b.memory) == cap(b.memory) {
			grown, ok := b.grow(limit)
			if !ok {
				return b.drain(r, limit)
			}
			b.memory = grown
		}
		n, err := r.Read(b.memory[len(b.memory):cap(b.memory)])
		b.memory = b.memory[:len(b.memory)+n]
		if int64(len(b.memory)) > limit {
			b.Close()
			return nil, ErrTooLarge
		}
		if errors.Is(err, io.EOF) {
			b.size = int64(len(b.memory))
			return b, nil
		}
		if err != nil {
			b.Close()
			return nil, err
		}
	}
}

// grow gives the memory room for more. It reports false when the body has to spill.
func (b *Body) grow(limit int64) ([]byte, bool) {
	s, have := b.store, int64(cap(b.memory))
	want := min(max(2*have, 4<<10), s.c.Memory+1, limit+1)
	if want <= have {
		return nil, false
	}
	if want > Small {
		if !take(&s.resident, want-b.counted, s.c.Resident) {
			return nil, false
		}
		b.counted = want
	}
	grown := make([]byte, len(b.memory), want)
	copy(grown, b.memory)
	return grown, true
}

// drain writes what was read and the rest to a file.
func (b *Body) drain(r io.Reader, limit int64) (*Body, error) {
	w, err := b.store.create()
	if err != nil {
		b.Close()
		return nil, err
	}
	_, err = w.Write(b.memory)
	b.Close()
	if err != nil {
		w.abandon()
		return nil, err
	}
	if err := w.readFrom(r, limit); err != nil {
		w.abandon()
		return nil, err
	}
	return w.finish()
}

// Put keeps a copy of b in a file. ErrBusy and *DiskError as Read.
func (s *Store) Put(b []byte) (*Body, error) {
	return s.Write(func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Write keeps in a file what f writes. Errors are f's, ErrBusy and *DiskError; nothing
// is kept on an error.
func (s *Store) Write(f func(io.Writer) error) (*Body, error) {
	w, err := s.create()
	if err != nil {
		return nil, err
	}
	if err := f(w); err != nil {
		w.abandon()
		return nil, err
	}
	return w.finish()
}

// DiskError says that a file could not be made, written or read.
type DiskError struct{ Err error }

func (e *DiskError) Error() string { return "spilled body: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *DiskError) Unwrap() error { return e.Err }

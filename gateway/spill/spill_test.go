package spill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func open(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// text is n bytes that repeat nowhere.
func text(n int) []byte {
	r, b := rand.New(rand.NewPCG(1, uint64(n))), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func readAll(t testing.TB, b *Body) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRead(t *testing.T) {
	const memory, limit = 100 << 10, 300 << 10
	for _, c := range []struct {
		name    string
		size    int
		spilled bool
		want    error
	}{
		{"empty", 0, false, nil},
		{"a byte", 1, false, nil},
		{"as large as memory", memory, false, nil},
		{"larger than memory", memory + 2, true, nil}, // one byte is the room to see the end
		{"whole chunks", 4 * plainSize, true, nil},
		{"as large as may be", limit, true, nil},
		{"a byte too large", limit + 1, false, ErrTooLarge},
		{"much too large", 8 * limit, false, ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, Config{Memory: memory})
			for name, r := range map[string]io.Reader{"at once": bytes.NewReader(text(c.size)), "in halves": iotest.HalfReader(bytes.NewReader(text(c.size))),
				"with the end": iotest.DataErrReader(bytes.NewReader(text(c.size)))} {
				b, err := s.Read(r, make([]byte, 0, 100), limit)
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Fatalf("%s: %v, want %v", name, err, c.want)
				}
				if err != nil {
					continue
				}
				if b.Len() != int64(c.size) || b.Spilled() != c.spilled || !bytes.Equal(readAll(t, b), text(c.size)) || !bytes.Equal(readAll(t, b), text(c.size)) {
					t.Errorf("%s: %d bytes, spilled %v: not what was read", name, b.Len(), b.Spilled())
				}
				b.Close()
			}
			if u := s.Usage(); u != (Usage{}) {
				t.Errorf("%+v is still taken", u)
			}
		})
	}
}

// A limit below what would stay in memory holds too.
func TestSmallLimit(t *testing.T) {
	s := open(t, Config{})
	if _, err := s.Read(bytes.NewReader(text(11)), make([]byte, 0, 64), 10); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if b, err := s.Read(bytes.NewReader(text(10)), nil, 10); err != nil || b.Len() != 10 {
		t.Error(err)
	}
}

// With its caller gone, nothing of a body stays.
func TestReadBroken(t *testing.T) {
	gone, s := errors.New("gone"), open(t, Config{Memory: 100})
	for _, n := range []int{0, 50, 1000, 3 * plainSize} {
		if _, err := s.Read(io.MultiReader(bytes.NewReader(text(n)), iotest.ErrReader(gone)), nil, 1<<20); !errors.Is(err, gone) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if u := s.Usage(); u != (Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}

// Bodies that may not stay in memory any more spill, small as they are; and when the
// disk is full too, they are refused until something is free.
func TestRoom(t *testing.T) {
	s := open(t, Config{Resident: 200 << 10, Disk: 250 << 10})
	read := func() (*Body, error) { return s.Read(bytes.NewReader(text(100<<10)), nil, 1<<20) }
	var bodies []*Body
	for i, spilled := range []bool{false, true, true} {
		b, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if b.Spilled() != spilled {
			t.Fatalf("body %d: spilled %v", i, b.Spilled())
		}
		bodies = append(bodies, b)
	}
	if _, err := read(); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	bodies[1].Close()
	if b, err := read(); err != nil {
		t.Fatal(err)
	} else {
		b.Close()
	}
	for i := range bodies {
		if i != 1 {
			bodies[i].Close()
		}
	}
	if u := s.Usage(); u != (Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}

// The file has no name, and holds no byte of the text in the clear.
func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Memory: 1})
	plain := bytes.Repeat([]byte("canary "), 50_000)
	b, err := s.Put(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("%v", left)
	}
	sealed, err := io.ReadAll(io.NewSectionReader(b.file.f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	if chunks := (len(plain) + plainSize - 1) / plainSize; len(sealed) != len(plain)+chunks*tagSize {
		t.Errorf("%d bytes on disk", len(sealed))
	}
	if bytes.Contains(sealed, []byte("canary")) || bytes.Contains(sealed, []byte("ary c")) {
		t.Error("the file holds the text")
	}
}

// What was changed on disk is not given out.
func TestDamaged(t *testing.T) {
	whole := text(3*plainSize + 100)
	for name, damage := range map[string]func(f *os.File) error{
		"a bit":    func(f *os.File) error { return flip(f, 2*sealedSize+5) },
		"the tag":  func(f *os.File) error { return flip(f, 3*sealedSize+110) },
		"cut":      func(f *os.File) error { return f.Truncate(2 * sealedSize) },
		"swapped":  swapChunks,
		"emptied":  func(f *os.File) error { return f.Truncate(0) },
		"a replay": func(f *os.File) error { return copyChunk(f, 0, 1) },
	} {
		s := open(t, Config{})
		b, err := s.Put(whole)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(b.file.f); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Load(t.Context(), 1); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); !errors.Is(err, ErrDamaged) || !bytes.HasPrefix(whole, got) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		r.Close()
		b.Close()
	}
}

func flip(f *os.File, at int64) error {
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 1
	_, err := f.WriteAt(b, at)
	return err
}

func copyChunk(f *os.File, from, to int64) error {
	b := make([]byte, sealedSize)
	if _, err := f.ReadAt(b, from*sealedSize); err != nil {
		return err
	}
	_, err := f.WriteAt(b, to*sealedSize)
	return err
}

func swapChunks(f *os.File) error {
	a, b := make([]byte, sealedSize), make([]byte, sealedSize)
	_, err := f.ReadAt(a, 0)
	_, err2 := f.ReadAt(b, sealedSize)
	_, err3 := f.WriteAt(b, 0)
	_, err4 := f.WriteAt(a, sealedSize)
	return errors.Join(err, err2, err3, err4)
}

// A transport may read a request when the exchange is over already.
func TestReaderOutlivesBody(t *testing.T) {
	s := open(t, Config{})
	whole := text(5 * plainSize / 2)
	b, err := s.Put(whole)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	f := b.file
	b.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Close()
	r.Close()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if f.hold() {
		t.Error("the file is open still")
	}
	if u := s.Usage(); u != (Usage{}) {
		t.Errorf("%+v is still taken", u)
	}
}

// What is loaded at one time is bounded; who waits too long is told.
func TestLoadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Config{Loaded: 250})
		b, err := s.Put(text(100))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		got, release, err := b.Load(t.Context(), 2)
		if err != nil || !bytes.Equal(got, text(100)) {
			t.Fatal(err)
		}
		began := time.Now()
		if _, _, err := b.Load(t.Context(), 1); !errors.Is(err, ErrBusy) || time.Since(began) != wait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		over, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, _, err := b.Load(over, 1); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		first := release
		time.AfterFunc(time.Second, func() { first(); first() })
		// More than there is in all waits for all of it.
		if _, release, err = b.Load(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Load(t.Context(), 1); !errors.Is(err, ErrBusy) {
			t.Errorf("released twice: %v", err)
		}
		release()
	})
}

func TestConcurrentReaders(t *testing.T) {
	s := open(t, Config{})
	whole := text(10*plainSize + 7)
	b, err := s.Put(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !bytes.Equal(readAll(t, b), whole) {
				t.Error("not what was written")
			}
			if got, release, err := b.Load(t.Context(), 1); err != nil || !bytes.Equal(got, whole) {
				t.Error(err)
			} else {
				release()
			}
		})
	}
	all.Wait()
}

// Files that a killed process left go at the next start.
func TestStaleFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plumbline-body-123", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, Config{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 || filepath.Base(left[0]) != "other" {
		t.Errorf("%v", left)
	}
}

func TestNoDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	s := open(t, Config{Dir: dir, Memory: 10})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	var disk *DiskError
	if _, err := s.Read(bytes.NewReader(text(100)), nil, 1000); !errors.As(err, &disk) {
		t.Error(err)
	}
	if _, err := s.Put(text(1)); !errors.As(err, &disk) {
		t.Error(err)
	}
}

// FuzzRead: a body comes back as it was at every size and cut.
func FuzzRead(f *testing.F) {
	f.Add([]byte("text"), uint16(1), uint16(3), false)
	f.Add(text(3*plainSize), uint16(1000), uint16(0), false)
	f.Add(text(plainSize), uint16(7), uint16(9), true)
	s := open(f, Config{Memory: 1 << 10, Dir: f.TempDir()})
	f.Fuzz(func(t *testing.T, body []byte, piece, room uint16, tight bool) {
		limit := int64(len(body))
		if tight {
			limit--
		}
		b, err := s.Read(&pieces{body, int(piece)%5000 + 1}, make([]byte, 0, room), limit)
		if tight {
			if !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readAll(t, b), body) {
			t.Fatal("not what was read")
		}
		b.Close()
		if u := s.Usage(); u != (Usage{}) {
			t.Fatalf("%+v is still taken", u)
		}
	})
}

// pieces gives a body in pieces of a size.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.left)
	p.left = p.left[n:]
	return n, nil
}

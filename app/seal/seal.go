// Package seal keeps secrets at rest: AES-256-GCM under sub-keys derived from
// the instance's one key. Losing that key loses what it sealed.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Sealer seals and opens. It is safe for concurrent use.
type Sealer struct {
	key  [32]byte
	aead cipher.AEAD
	rand io.Reader
}

// New makes a sealer from the instance's key of 32 bytes.
func New(key []byte, random io.Reader) (*Sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("the instance key has %d bytes, not 32", len(key))
	}
	if random == nil {
		random = rand.Reader
	}
	s := &Sealer{rand: random}
	copy(s.key[:], key)
	sub := s.Derive("seal")
	block, err := aes.NewCipher(sub[:])
	if err != nil {
		return nil, err
	}
	s.aead, err = cipher.NewGCM(block)
	return s, err
}

// Parse reads the base64 text of a key.
func Parse(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != 32 {
		return nil, errors.New("the instance key must be 32 bytes in base64: `openssl rand -base64 32` makes one")
	}
	return key, nil
}

// OpenFile reads the key file, or makes it with mode 0600 when it is missing.
func OpenFile(path string, random io.Reader) (*Sealer, error) {
	if random == nil {
		random = rand.Reader
	}
	s, err := ReadFile(path, random)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, 32)
		if _, err := io.ReadFull(random, key); err != nil {
			return nil, fmt.Errorf("make instance key: %w", err)
		}
		if err := writeNew(path, base64.StdEncoding.EncodeToString(key)+"\n"); err != nil {
			return nil, fmt.Errorf("write instance key: %w", err)
		}
		return New(key, random)
	}
	return s, err
}

// ReadFile reads the key file. What was sealed under a key that is missing cannot be
// opened with a new one, so none is made here.
func ReadFile(path string, random io.Reader) (*Sealer, error) {
	if random == nil {
		random = rand.Reader
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read instance key: %w", err)
	}
	key, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return New(key, random)
}

// writeNew never replaces a file: two processes that both find none must not
// end with two keys.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Derive gives the sub-key of a purpose (HKDF-SHA256, RFC 5869).
func (s *Sealer) Derive(purpose string) [32]byte {
	key, err := hkdf.Key(sha256.New, s.key[:], nil, "plumbline "+purpose, 32)
	if err != nil {
		panic("seal: " + err.Error()) // only for lengths out of range
	}
	return [32]byte(key)
}

// Seal encrypts text and binds it to context; Open wants the same context.
func (s *Sealer) Seal(text []byte, context string) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return s.aead.Seal(nonce, nonce, text, []byte(context)), nil
}

// Open decrypts what Seal made.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("open sealed value: too short")
	}
	text, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(context))
	if err != nil {
		return nil, errors.New("open sealed value: it was sealed under another instance key, or for something else")
	}
	return text, nil
}

package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"

	"plumbline/app/ident"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// signer is one of a log's Ed25519 keys.
type signer struct {
	seq      uint64
	signer   note.Signer
	verifier note.Verifier
	text     string // the verifier key as others pin it
	created  time.Time
	ends     time.Time // zero: signs until it is rotated
	recorded bool      // the log says that it signs; before that it does not
}

// KeyInfo is a log's public key. It is no secret.
type KeyInfo struct {
	Verifier string    `json:"verifier"`
	Created  time.Time `json:"created"`
	Ends     time.Time `json:"ends,omitzero"` // signs beside its successor until then
}

// VerifierKeys are the keys of a log, the one in force last.
func (l *Ledger) VerifierKeys(log string) ([]KeyInfo, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	l.treeMu.RLock()
	defer l.treeMu.RUnlock()
	return s.keys(), nil
}

// keys are those that the log says sign it.
func (s *logState) keys() (out []KeyInfo) {
	for _, k := range s.signers {
		if k.recorded {
			out = append(out, KeyInfo{k.text, k.created, k.ends})
		}
	}
	return out
}

// newSigner makes a key for an origin; it names no key, so it stays when keys
// change.
func (l *Ledger) newSigner(log, origin string, generation, seq uint64) (signer, []byte, error) {
	l.mu.Lock() // of random
	private, public, err := note.GenerateKey(l.random, origin)
	l.mu.Unlock()
	if err != nil {
		return signer{}, nil, fmt.Errorf("make signing key: %w", err)
	}
	sealed, err := l.c.Sealer.Seal([]byte(private), sealContext(log, generation, seq))
	if err != nil {
		return signer{}, nil, err
	}
	k, err := makeSigner(private, public)
	k.seq, k.created = seq, l.c.Now().UTC()
	return k, sealed, err
}

func makeSigner(private, public string) (signer, error) {
	s, err := note.NewSigner(private)
	if err != nil {
		return signer{}, fmt.Errorf("signing key: %w", err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return signer{}, fmt.Errorf("verifier key: %w", err)
	}
	return signer{signer: s, verifier: v, text: public}, nil
}

func sealContext(log string, generation, seq uint64) string {
	return fmt.Sprintf("ledger key %s/%d/%d", log, generation, seq)
}

// rotationID is the id of the record that names a key: the same at each try, so
// that a crash between key and record ends in one record.
func rotationID(verifier string) ident.ID {
	sum := sha256.Sum256([]byte("rotation\x00" + verifier))
	return ident.ID(sum[:16])
}

// Rotate makes a new signing key. The record that names it is durable before the
// first checkpoint carries both signatures; the old key signs for 30 more days.
// A crash between the two writes is mended at the next start.
func (l *Ledger) Rotate(ctx context.Context, log, actor string) (KeyInfo, error) {
	s, err := l.log(log)
	if err != nil {
		return KeyInfo{}, err
	}
	l.createMu.Lock()
	defer l.createMu.Unlock()
	l.treeMu.RLock()
	old := s.signers[len(s.signers)-1]
	l.treeMu.RUnlock()
	if !old.recorded { // of a rotation that failed half way
		return l.recordKey(ctx, s, actor)
	}
	k, sealed, err := l.newSigner(log, s.origin, s.generation, old.seq+1)
	if err != nil {
		return KeyInfo{}, err
	}
	ends := l.c.Now().Add(rotationOverlap).UTC()
	if err := l.store.saveKey(ctx, s, k, sealed, ends); err != nil {
		return KeyInfo{}, err
	}
	l.treeMu.Lock()
	s.signers[len(s.signers)-1].ends = ends
	s.signers = append(s.signers, k)
	l.treeMu.Unlock()
	return l.recordKey(ctx, s, actor)
}

// recordKey puts a log's newest key on record and signs with it from then on.
func (l *Ledger) recordKey(ctx context.Context, s *logState, actor string) (KeyInfo, error) {
	l.treeMu.RLock()
	at := len(s.signers) - 1
	k, old := s.signers[at], s.signers[at-1]
	l.treeMu.RUnlock()
	_, err := l.Append(ctx, s.name, &record.Record{
		Envelope: record.Envelope{Kind: record.LedgerRotated, ID: rotationID(k.text), Actor: actor},
		Body:     &record.Rotated{Verifier: k.text, Old: old.text, Until: old.ends.UnixMicro()},
	})
	if err != nil {
		return KeyInfo{}, fmt.Errorf("record rotation: %w", err)
	}
	l.treeMu.Lock()
	s.signers[at].recorded = true
	l.treeMu.Unlock()
	_, err = l.sign(ctx, s, true)
	return KeyInfo{Verifier: k.text, Created: k.created}, err
}

// recordRotations finishes a rotation that a crash cut in two.
func (l *Ledger) recordRotations(ctx context.Context, s *logState) error {
	l.treeMu.RLock()
	done := s.signers[len(s.signers)-1].recorded
	l.treeMu.RUnlock()
	if done {
		return nil
	}
	_, err := l.recordKey(ctx, s, "ledger")
	return err
}

// Rotations are the leaves that name a log's newer keys, in order.
func (l *Ledger) Rotations(ctx context.Context, log string) ([]uint64, error) {
	s, err := l.log(log)
	if err != nil {
		return nil, err
	}
	l.treeMu.RLock()
	signers := append([]signer(nil), s.signers...)
	l.treeMu.RUnlock()
	var out []uint64
	for _, k := range signers[1:] {
		if !k.recorded {
			continue
		}
		leaf, found, err := l.store.leafOf(ctx, log, rotationID(k.text))
		if err != nil || !found {
			return nil, errors.Join(fmt.Errorf("%s: the record of a key is not there", s.origin), err)
		}
		out = append(out, leaf)
	}
	return out, nil
}

// secretID names a derived key: months make a content key's name, and a plain
// comparable struct keeps look-ups free of allocations.
type secretID struct {
	log, system string
	month       int // months since year 0; -1: the log's pseudonym key
}

// ContentKey is the key of a system's commitments in the month of at. It is made
// on first use and sealed at rest; destroying it leaves every proof intact.
func (l *Ledger) ContentKey(log, system string, at time.Time) ([32]byte, error) {
	y, m, _ := at.UTC().Date()
	return l.secret(secretID{log, system, y*12 + int(m) - 1})
}

// PseudonymKey is the key of an organisation's pseudonyms.
func (l *Ledger) PseudonymKey(log string) ([32]byte, error) {
	return l.secret(secretID{log: log, month: -1})
}

func (l *Ledger) secret(id secretID) ([32]byte, error) {
	l.keyMu.RLock()
	key, ok := l.keys[id]
	l.keyMu.RUnlock()
	if ok {
		return key, nil
	}
	return l.makeSecret(id)
}

// makeSecret makes a key on its first use.
func (l *Ledger) makeSecret(id secretID) (key [32]byte, err error) {
	l.keyMu.Lock()
	defer l.keyMu.Unlock()
	if key, ok := l.keys[id]; ok {
		return key, nil
	}
	// A key is part of what a call waits for. While the database cannot be
	// reached one call a second finds that out, and the others do not wait for it.
	if now := l.c.Now(); l.down.Load() || now.Sub(l.keysDown).Abs() < time.Second {
		return key, event.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(l.work, l.c.Patience/3)
	defer cancel()
	name := "pseudonym"
	if id.month >= 0 {
		name = fmt.Sprintf("content/%s/%04d-%02d", id.system, id.month/12, id.month%12+1)
	}
	if _, err := io.ReadFull(l.c.Rand, key[:]); err != nil {
		return key, fmt.Errorf("make key: %w", err)
	}
	sealed, err := l.c.Sealer.Seal(key[:], "ledger secret "+id.log+" "+name)
	if err != nil {
		return key, err
	}
	if sealed, err = l.store.keepSecret(ctx, id.log, name, sealed); err != nil {
		l.keysDown = l.c.Now()
		return key, fmt.Errorf("%w: %w", event.ErrUnavailable, err)
	}
	text, err := l.c.Sealer.Open(sealed, "ledger secret "+id.log+" "+name)
	if err != nil {
		return key, err
	}
	copy(key[:], text)
	l.keys[id] = key
	return key, nil
}

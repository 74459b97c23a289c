package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"

	"plumbline/assessments/evidence/record"
)

// signer is one of a log's Ed25519 keys.
type signer struct {
	seq      uint64
	signer   note.Signer
	verifier note.Verifier
	text     string // the verifier key as others pin it
	created  time.Time
	ends     time.Time // zero: signs until it is rotated
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
	var out []KeyInfo
	for _, k := range s.signers {
		out = append(out, KeyInfo{k.text, k.created, k.ends})
	}
	return out, nil
}

// newSigner makes a key for an origin; it names no key, so it stays when keys
// change.
func (l *Ledger) newSigner(log, origin string, generation, seq uint64) (signer, []byte, error) {
	private, public, err := note.GenerateKey(l.random, origin)
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

// Rotate makes a new signing key. The record that names it is durable before the
// first checkpoint carries both signatures; the old key signs for 30 more days.
func (l *Ledger) Rotate(ctx context.Context, log, actor string) (KeyInfo, error) {
	s, err := l.log(log)
	if err != nil {
		return KeyInfo{}, err
	}
	l.mu.Lock()
	l.treeMu.Lock()
	old := s.signers[len(s.signers)-1]
	k, sealed, err := l.newSigner(log, s.origin, s.generation, old.seq+1)
	ends := l.c.Now().Add(rotationOverlap).UTC()
	id, idErr := l.newID()
	l.treeMu.Unlock()
	l.mu.Unlock()
	if err = errors.Join(err, idErr); err != nil {
		return KeyInfo{}, err
	}
	if err := l.store.saveKey(ctx, s, k, sealed, ends); err != nil {
		return KeyInfo{}, err
	}
	_, err = l.Append(ctx, log, &record.Record{
		Envelope: record.Envelope{Kind: record.LedgerRotated, ID: id, Actor: actor},
		Body:     &record.Rotated{Verifier: k.text, Old: old.text, Until: ends.UnixMicro()},
	})
	if err != nil {
		return KeyInfo{}, fmt.Errorf("record rotation: %w", err)
	}
	l.treeMu.Lock()
	s.signers[len(s.signers)-1].ends = ends
	s.signers = append(s.signers, k)
	_, err = l.sign(ctx, s)
	l.treeMu.Unlock()
	return KeyInfo{Verifier: k.text, Created: k.created}, err
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
	l.keyMu.Lock()
	defer l.keyMu.Unlock()
	if key, ok := l.keys[id]; ok {
		return key, nil
	}
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
	if sealed, err = l.store.keepSecret(context.Background(), id.log, name, sealed); err != nil {
		return key, err
	}
	text, err := l.c.Sealer.Open(sealed, "ledger secret "+id.log+" "+name)
	if err != nil {
		return key, err
	}
	copy(key[:], text)
	l.keys[id] = key
	return key, nil
}

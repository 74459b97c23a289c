// Package record is the format of the ledger's records: one leaf each, the
// deterministic CBOR encoding (RFC 8949 section 4.2.1) of a map with small
// integer keys. docs/formats.md describes it for readers in other languages.
//
// Rules that hold for ever: a key's number is never reused and its meaning
// never changed; a field that has its zero value is not written; money is in
// nano-dollars, time in microseconds since 1970, no floats.
package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"plumbline/app/ident"
	"plumbline/gateway/event"
)

// Format is the only envelope format so far.
const Format = 1

// MaxSize is the largest record in bytes. What is larger is kept apart and its
// hash recorded.
const MaxSize = 32 << 10

// Envelope is what every record carries.
type Envelope struct {
	Kind      Kind
	Version   uint64 // of the kind
	ID        ident.ID
	At        int64 // microseconds since 1970, writer's clock
	Writer    string
	Number    uint64 // the writer's running number in this log, from 1
	Actor     string // account id, job:<name>, config or gateway
	AnswersTo ident.ID
}

// Record is a decoded record. Body is one of the types that the kind names, or
// Opaque for a kind or version that this build does not know.
type Record struct {
	Envelope
	Body any
}

// Opaque is the undecoded body of an unknown kind or version, or of one that gained
// fields which this build does not know. A verifier needs no more; a projector must stop.
type Opaque []byte

// Leaf is a record where it stands in a log. Of an erased one only its hash is
// left; nothing in this version erases, but every reader takes it.
type Leaf struct {
	Index  uint64
	Bytes  []byte
	Erased [32]byte // leaf hash of a record whose bytes are gone
}

// Hash is the leaf's hash in the tree.
func (l Leaf) Hash() [32]byte {
	if l.Bytes == nil {
		return l.Erased
	}
	return LeafHash(l.Bytes)
}

// AppendEntry writes a leaf as groups and exports hold it: its length (uint16, big
// endian) and its bytes; of an erased one length 0 and its leaf hash.
func AppendEntry(dst []byte, l Leaf) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(l.Bytes)))
	if l.Bytes == nil {
		return append(dst, l.Erased[:]...)
	}
	return append(dst, l.Bytes...)
}

// CutEntry takes the first entry off b. The leaf's bytes are part of b.
func CutEntry(b []byte, index uint64) (l Leaf, rest []byte, err error) {
	l.Index = index
	if len(b) < 2 {
		return l, nil, ErrCut
	}
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 {
		if len(b) < 2+len(l.Erased) {
			return l, nil, ErrCut
		}
		copy(l.Erased[:], b[2:])
		return l, b[2+len(l.Erased):], nil
	}
	if len(b) < 2+n {
		return l, nil, ErrCut
	}
	l.Bytes = b[2 : 2+n : 2+n]
	return l, b[2+n:], nil
}

// Checkpoint is a signed head of a log's tree.
type Checkpoint struct {
	Origin string   `json:"origin"`
	Size   uint64   `json:"size"`
	Root   [32]byte `json:"-"`
	Note   []byte   `json:"-"`  // the signed text, C2SP checkpoint format
	At     int64    `json:"at"` // microseconds since 1970
}

// LeafHash is the leaf's hash in the tree (RFC 6962 section 2.1).
func LeafHash(b []byte) [32]byte {
	var stack [1024]byte
	buf := append(stack[:0], 0)
	return sha256.Sum256(append(buf, b...))
}

// Errors of Decode.
var (
	ErrTooLarge  = errors.New("record is larger than 32 KiB")
	ErrMalformed = errors.New("record is not in its deterministic form")
	ErrFormat    = errors.New("record has a format that this version does not know")
	ErrErased    = errors.New("record was erased: only its hash is left, and this version cannot work with that")
	ErrCut       = errors.New("record is cut")
)

// envelope is the stored form.
type envelope struct {
	Format    uint64          `cbor:"1,keyasint"`
	Kind      Kind            `cbor:"2,keyasint"`
	Version   uint64          `cbor:"3,keyasint"`
	ID        ident.ID        `cbor:"4,keyasint"`
	At        int64           `cbor:"5,keyasint"`
	Writer    string          `cbor:"6,keyasint"`
	Number    uint64          `cbor:"7,keyasint"`
	Actor     string          `cbor:"8,keyasint,omitzero"`
	AnswersTo ident.ID        `cbor:"9,keyasint,omitzero"`
	Body      cbor.RawMessage `cbor:"10,keyasint"`
	// 11 is kept for erasure (the id of a destroyed content key), 12 for the
	// epoch of a sequencer when there are several writers, 13 for witnesses.
}

var enc, dec = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	e, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("record: " + err.Error())
	}
	d, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   8,
		MaxArrayElements:  4096,
		MaxMapPairs:       256,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic("record: " + err.Error())
	}
	return e, d
}

// Append encodes a record of any kind but an exchange's, for which AppendEvent
// is there. It fails for a body that does not belong to its kind.
func Append(dst []byte, r *Record) ([]byte, error) {
	want, ok := kinds[r.Kind]
	if !ok || want.body == nil || !want.is(r.Body) {
		return dst, fmt.Errorf("encode record: %T is no body of %s", r.Body, r.Kind)
	}
	body, err := enc.Marshal(r.Body)
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", r.Kind, err)
	}
	b, err := enc.Marshal(envelope{Format, r.Kind, r.Version, r.ID, r.At, r.Writer, r.Number, r.Actor, r.AnswersTo, body})
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", r.Kind, err)
	}
	if len(b) > MaxSize {
		return dst, ErrTooLarge
	}
	return append(dst, b...), nil
}

// Decode reads a record strictly: duplicate or unsorted keys, longer forms and trailing
// bytes are errors. A body with fields that this build does not know, as a later version
// writes them, is Opaque.
func Decode(b []byte) (*Record, error) {
	var d Decoder
	return d.Decode(b)
}

// decode reads a record of any kind.
func decode(b []byte) (*Record, error) {
	if len(b) > MaxSize {
		return nil, ErrTooLarge
	}
	if len(b) == 0 {
		return nil, ErrErased
	}
	var e envelope
	if err := dec.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if e.Format != Format {
		return nil, fmt.Errorf("%w: %d", ErrFormat, e.Format)
	}
	if again, err := enc.Marshal(&e); err != nil || !bytes.Equal(again, b) {
		return nil, ErrMalformed
	}
	r := &Record{Envelope: Envelope{e.Kind, e.Version, e.ID, e.At, e.Writer, e.Number, e.Actor, e.AnswersTo}}
	kind, known := kinds[e.Kind]
	if !known || e.Version != kind.version {
		return r.withOpaque(e.Body)
	}
	var newer *cbor.UnknownFieldError
	if kind.body == nil {
		ev, err := decodeExchange(e.Body)
		if errors.As(err, &newer) {
			return r.withOpaque(e.Body)
		}
		if err != nil {
			return nil, err
		}
		ev.Kind, ev.At = kind.event, e.At
		r.Body = ev
		return r, nil
	}
	body := kind.body()
	err := dec.Unmarshal(e.Body, body)
	if errors.As(err, &newer) {
		return r.withOpaque(e.Body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, e.Kind, err)
	}
	if again, err := enc.Marshal(body); err != nil || !bytes.Equal(again, e.Body) {
		return nil, ErrMalformed
	}
	r.Body = body
	return r, nil
}

// withOpaque takes a body that a newer version wrote. Its form is checked as any other's.
func (r *Record) withOpaque(body []byte) (*Record, error) {
	var v any
	if err := dec.Unmarshal(body, &v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if again, err := enc.Marshal(v); err != nil || !bytes.Equal(again, body) {
		return nil, ErrMalformed
	}
	r.Body = Opaque(body)
	return r, nil
}

// Exchange is the exchange that a record is about; false when it is about none.
func (r *Record) Exchange() (ident.ID, bool) {
	if e, ok := r.Body.(*event.Event); ok {
		return e.Exchange, true
	}
	return ident.ID{}, false
}

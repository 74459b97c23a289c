package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/event"
)

var update = flag.Bool("update", false, "write the golden bytes of kinds that have none yet")

// fill gives every field of v a value that is not its zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(-1 - *n))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n%250 + 1))
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int64{"SYS-001": 7, "a": 1}))
	default:
		panic(v.Kind().String())
	}
}

func sampleEnvelope(k Kind) Envelope {
	return Envelope{Kind: k, Version: VersionOf(k), ID: ident.ID{1, 2, 3, 15: 9}, At: 1790000000123456, Writer: "w-1", Number: 300, Actor: "gateway", AnswersTo: ident.ID{7}}
}

// sample encodes a record of a kind with every field set.
func sample(k Kind) (*Record, []byte, error) {
	env, n := sampleEnvelope(k), 0
	r := &Record{Envelope: env}
	if kinds[k].body == nil {
		e := &event.Event{}
		fill(reflect.ValueOf(e).Elem(), &n)
		e.Kind, e.Log, e.At = kinds[k].event, "", env.At
		r.Body = e
		return r, AppendEvent(nil, &env, e), nil
	}
	body := kinds[k].body()
	fill(reflect.ValueOf(body).Elem(), &n)
	r.Body = body
	b, err := Append(nil, r)
	return r, b, err
}

func sortedKinds() []Kind {
	var ks []Kind
	for k := range kinds {
		ks = append(ks, k)
	}
	sort.Slice(ks, func(i, j int) bool { return ks[i] < ks[j] })
	return ks
}

// gained are the kinds beside the exchanges that gained fields since they were first
// written.
var gained = map[Kind]bool{LedgerForked: true}

// goldenFile is where the bytes of a kind as this build writes it are. A kind of an
// exchange gains fields within its version: with each its bytes get a file of their
// own, named by how many fields there are, and those of before stay.
func goldenFile(k Kind) string {
	name := fmt.Sprintf("%s.v%d.hex", k, VersionOf(k))
	if kinds[k].body == nil {
		name = fmt.Sprintf("%s.v%d.of%d.hex", k, VersionOf(k), fieldsIn(reflect.TypeFor[exchange]()))
	}
	if gained[k] {
		name = fmt.Sprintf("%s.v%d.of%d.hex", k, VersionOf(k), fieldsIn(reflect.TypeOf(kinds[k].body()).Elem()))
	}
	return filepath.Join("testdata", name)
}

// fieldsIn counts a stored form's fields with those of its parts.
func fieldsIn(t reflect.Type) (n int) {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return 0
	}
	for i := range t.NumField() {
		n += 1 + fieldsIn(t.Field(i).Type)
	}
	return n
}

// Every (kind, version) ever written has golden bytes that must decode for ever
// and, for what is written now, be encoded again to the same bytes.
func TestGoldenBytes(t *testing.T) {
	for _, k := range sortedKinds() {
		want, b, err := sample(k)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		path := goldenFile(k)
		golden, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && *update {
			golden = []byte(hex.EncodeToString(b) + "\n")
			err = os.WriteFile(path, golden, 0o644)
		}
		if err != nil {
			t.Fatalf("%s has no golden bytes: %v", k, err)
		}
		raw, err := hex.DecodeString(string(bytes.TrimSpace(golden)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, b) {
			t.Errorf("%s: the encoding changed:\n got %x\nwant %x", k, b, raw)
		}
		got, err := Decode(raw)
		if err != nil {
			t.Errorf("%s: golden bytes do not decode: %v", k, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
	files, _ := filepath.Glob("testdata/*.hex")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		raw, _ := hex.DecodeString(string(bytes.TrimSpace(text)))
		r, err := Decode(raw)
		if err != nil {
			t.Errorf("%s no longer decodes: %v", f, err)
			continue
		}
		if e, ok := r.Body.(*event.Event); ok && !bytes.Equal(AppendEvent(nil, &r.Envelope, e), raw) {
			t.Errorf("%s is encoded to other bytes", f)
		}
	}
}

// Before a field was there its record had nothing of it: what a build of that time
// wrote reads as it did.
func TestOldGoldenBytesReadAsBefore(t *testing.T) {
	text, err := os.ReadFile("testdata/exchange.outcome.v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	e := r.Body.(*event.Event)
	got := []any{e.System, e.Usage, e.Charge, e.UpstreamErr, e.Reason, e.Figure}
	want := []any{"text-22", event.Usage{Input: -139, Output: -140, CacheRead: -141, CacheWrite: -142, Reasoning: -143}, money.Nano(-145), "text-215", "", money.Nano(0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The usual call's usage has not grown: five counts, and nothing of what it lacks.
func TestUsualUsageIsSmall(t *testing.T) {
	usual := event.Event{Kind: event.Outcome, Usage: event.Usage{Input: 1200, Output: 300, CacheRead: -1, CacheWrite: -1, Reasoning: -1}}
	with := len(appendExchange(nil, &usual))
	usual.Usage = event.Usage{}
	if got, want := with-len(appendExchange(nil, &usual)), 2+1+(1+3)*2+(1+1)*3; got != want {
		t.Errorf("usage takes %d bytes, want %d", got, want)
	}
}

// The library encodes the stored form of any event to the same bytes as ours.
func TestEncoderAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		env := sampleEnvelope(KindOf(e.Kind))
		if rapid.Bool().Draw(t, "bare") {
			env.Actor, env.AnswersTo = "", ident.ID{}
		}
		ours := AppendEvent(nil, &env, e)
		r, err := Decode(ours)
		if err != nil {
			t.Fatalf("decode own encoding: %v", err)
		}
		if diff := cmp.Diff(e, r.Body); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
		body := ours[bytes.LastIndex(ours, appendExchange(nil, e)):]
		var x exchange
		if err := dec.Unmarshal(body, &x); err != nil {
			t.Fatal(err)
		}
		theirs, err := enc.Marshal(envelope{Format, env.Kind, env.Version, env.ID, env.At, env.Writer, env.Number, env.Actor, env.AnswersTo, mustMarshal(x)})
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("ours %x\ntheirs %x (%v)", ours, theirs, err)
		}
	})
}

func mustMarshal(v any) []byte {
	b, err := enc.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func drawEvent(t *rapid.T) *event.Event {
	e := &event.Event{}
	v := reflect.ValueOf(e).Elem()
	n := rapid.IntRange(0, 1000).Draw(t, "seed")
	for i := range v.NumField() {
		if rapid.Bool().Draw(t, v.Type().Field(i).Name) {
			fill(v.Field(i), &n)
		}
	}
	e.Kind, e.Log, e.At = event.Kind(rapid.IntRange(1, 7).Draw(t, "kind")), "", sampleEnvelope(1).At
	e.Total = rapid.Int64().Draw(t, "total")
	return e
}

func TestStrictDecoding(t *testing.T) {
	_, good, _ := sample(LedgerStopped)
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	longer := bytes.Replace(good, []byte{1, Format, 2}, []byte{0x18, 1, Format, 2}, 1)
	swapped := bytes.Replace(good, []byte{1, Format, 2, 0x18, 25}, []byte{2, 0x18, 25, 1, Format}, 1)
	doubled := append([]byte{good[0] + 1, 1, Format}, good[1:]...)
	for name, b := range map[string][]byte{
		"trailing": append(bytes.Clone(good), 0), "empty": nil, "cut": good[:len(good)-1], "longer form": longer,
		"unsorted": swapped, "duplicate": doubled, "not a map": {0x80}, "too large": make([]byte, MaxSize+1),
	} {
		if r, err := Decode(b); err == nil {
			t.Errorf("%s was accepted as %+v", name, r)
		}
	}
}

// What the quick way reads is what the general one reads; what it refuses goes
// the general way.
func TestQuickDecodingAgreesWithTheGeneral(t *testing.T) {
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		env := sampleEnvelope(KindOf(e.Kind))
		b := AppendEvent(nil, &env, e)
		quick, ok := d.exchange(b)
		if !ok {
			t.Fatalf("refused %x", b)
		}
		general, err := decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(general, quick); diff != "" {
			t.Fatalf("(-general +quick):\n%s", diff)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		quick, ok = d.exchange(b)
		if general, err = decode(b); ok && (err != nil || cmp.Diff(general, quick) != "") {
			t.Fatalf("the quick way accepted %x, the general one says %v", b, err)
		}
	})
}

func TestUnknownKindIsOpaque(t *testing.T) {
	b, err := enc.Marshal(envelope{Format, 9999, 1, ident.ID{1}, 1, "w", 1, "", ident.ID{}, []byte{0xa1, 1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Body.(Opaque); !ok {
		t.Errorf("body is %T", r.Body)
	}
}

// A kind that gained fields since this build: a verifier takes it as it is, whoever
// needs the content sees that it is not known. Its form is checked all the same.
func TestUnknownFieldsAreOpaque(t *testing.T) {
	for _, k := range sortedKinds() {
		_, b, err := sample(k)
		if err != nil {
			t.Fatal(err)
		}
		var e envelope
		if err := dec.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		plain := e.Body
		with := func(body []byte) ([]byte, error) {
			e.Body = body
			return enc.Marshal(e)
		}
		grown, err := with(grow(plain, []byte{0x19, 0x03, 0xe8, 0x01})) // field 1000: 1
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(grown)
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if _, ok := r.Body.(Opaque); !ok || r.Kind != k || r.Number != e.Number {
			t.Errorf("%s: read as %+v", k, r)
		}
		for name, field := range map[string][]byte{"twice": {0x19, 0x03, 0xe8, 0x01, 0x19, 0x03, 0xe8, 0x01}, "a longer form": {0x1a, 0, 0, 0x03, 0xe8, 0x01}, "unsorted": {0x19, 0x03, 0xe8, 0x01, 0x19, 0x03, 0xe7, 0x01}} {
			n := 1
			if name != "a longer form" {
				n = 2
			}
			b, err := with(growBy(plain, n, field))
			if err != nil {
				t.Fatal(err)
			}
			if r, err := Decode(b); err == nil {
				t.Errorf("%s, %s: read as %+v", k, name, r)
			}
		}
	}
}

// grow appends one field to an encoded map.
func grow(body, field []byte) []byte { return growBy(body, 1, field) }

func growBy(body []byte, n int, fields []byte) []byte {
	head, rest := []byte{body[0] + byte(n)}, body[1:]
	switch {
	case body[0] == 0xb8:
		head, rest = []byte{0xb8, body[1] + byte(n)}, body[2:]
	case body[0]&0x1f+byte(n) > 23:
		head = []byte{0xb8, body[0]&0x1f + byte(n)}
	}
	return append(append(head, rest...), fields...)
}

func FuzzDecode(f *testing.F) {
	var d Decoder
	for _, k := range sortedKinds() {
		_, b, _ := sample(k)
		f.Add(b)
		f.Add(append(b, 0))
	}
	f.Add([]byte{0xbf, 1, 1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if quick, ok := d.exchange(b); ok && (err != nil || cmp.Diff(r, quick) != "") {
			t.Fatalf("the quick way accepted %x, the general one says %v", b, err)
		}
		if err != nil {
			return
		}
		switch body := r.Body.(type) {
		case Opaque:
		case *event.Event:
			if again := AppendEvent(nil, &r.Envelope, body); !bytes.Equal(again, b) {
				t.Fatalf("accepted %x, which encodes as %x", b, again)
			}
		default:
			if again, err := Append(nil, r); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("accepted %x, which encodes as %x (%v)", b, again, err)
			}
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	r, _, _ := sample(ExchangeOutcome)
	e := r.Body.(*event.Event)
	env := r.Envelope
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], &env, e)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkLeafHash(b *testing.B) {
	_, raw, _ := sample(ExchangeOutcome)
	b.ReportAllocs()
	for b.Loop() {
		LeafHash(raw)
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	_, bytes, _ := sample(ExchangeOutcome)
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(bytes); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEventGeneral(b *testing.B) {
	_, bytes, _ := sample(ExchangeOutcome)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(bytes); err != nil {
			b.Fatal(err)
		}
	}
}

package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/peek"
	"plumbline/gateway/provider"
)

// carriage is how a call of one operation reaches a provider: as it is, or through
// the neutral exchange.
type carriage struct {
	op      dialect.Operation // at the provider
	path    provider.Path
	grammar peek.Grammar  // of the provider's answers
	from    dialect.Codec // nil: the bytes pass
	to      dialect.Codec
}

// grammars of operations; those that are not here have OpenAI's.
var grammars = map[dialect.Operation]peek.Grammar{dialect.ConverseCreate: peek.Converse, dialect.MessagesCreate: peek.Messages, dialect.MessagesCount: peek.Messages, dialect.ResponsesCreate: peek.Responses,
	dialect.ResponseGet: peek.Responses, dialect.ResponseDelete: peek.Responses, dialect.ResponseCancel: peek.Responses, dialect.ResponseItems: peek.Responses,
	dialect.ImagesGenerate: peek.Media, dialect.ImagesEdit: peek.Media, dialect.ImagesVary: peek.Media, dialect.Speech: peek.Media, dialect.Transcribe: peek.Media, dialect.TranslateSound: peek.Media,
	dialect.ResponseCount: peek.Responses, dialect.ResponseCompact: peek.Responses,
	dialect.GenerateContent: peek.Gemini, dialect.GeminiCount: peek.Gemini, dialect.EmbedContent: peek.Gemini, dialect.BatchEmbedContents: peek.Gemini}

// carry finds how a provider can be asked for an operation.
func carry(op dialect.Operation, kind *provider.Kind) (carriage, bool) {
	if path, ok := kind.Speaks[op]; ok {
		return carriage{op: op, path: path, grammar: grammars[op]}, true
	}
	from, others := dialect.OfOperation(op)
	for _, other := range others {
		if path, ok := kind.Speaks[other]; ok {
			to, _ := dialect.OfOperation(other)
			return carriage{other, path, grammars[other], from, to}, true
		}
	}
	return carriage{}, false
}

// translate writes the request in the provider's dialect.
func (x *exchange) translate(body []byte) ([]byte, error) {
	var err error
	if x.neutral, err = x.carriage.from.ReadRequest(body, x.target, x.stream); err == nil {
		x.neutral.MostTokens = x.rate.MaxOutput
		x.neutral.Asks = dialect.Asks{NewerLimit: x.up.kind.NewerLimit, NoStreamUsage: x.silent()}
		body, err = x.carriage.to.WriteRequest(x.neutral)
	}
	var (
		impossible *dialect.Impossible
		malformed  *dialect.Malformed
	)
	switch {
	case errors.As(err, &impossible):
		return nil, refuse(http.StatusBadRequest, "not_carried", fmt.Sprintf("%s cannot be carried over to the provider %s: %s; leave it out or ask for a model whose provider has it", impossible.Field, x.ev.Provider, impossible.Why)).about(impossible.Field)
	case errors.As(err, &malformed):
		return nil, refuse(http.StatusBadRequest, "body_invalid", malformed.Error()).about(malformed.Field)
	case err != nil:
		return nil, err
	}
	x.ev.NotCarried = recorded(x.neutral.Lost)
	return body, nil
}

// leaveOut takes what other providers signed out of a body that passes as it is: the
// caller has it from when its route led to them.
func (x *exchange) leaveOut() error {
	if !x.peeked.Wrapped {
		return nil
	}
	out, lost, err := dialect.WithoutForeign(x.carriage.op, x.out)
	if err != nil {
		return refuse(http.StatusBadRequest, "body_invalid", "the body could not be read: "+err.Error()).because(err)
	}
	x.out, x.ev.NotCarried = out, recorded(lost)
	return nil
}

// mostLost is how many fields that were not carried over are named.
const mostLost = 16

// recorded keeps names of fields that may be recorded: short, and of letters that
// fields have. A caller could put any text there.
func recorded(fields []string) []string {
	var out []string
	for _, f := range fields {
		if len(out) == mostLost {
			break
		}
		if len(f) > 64 || strings.Trim(f, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]") != "" {
			f = "unnamed"
		}
		out = append(out, f)
	}
	return out
}

// translateAnswer writes a whole answer in the caller's dialect.
func (x *exchange) translateAnswer(body []byte) ([]byte, error) {
	a, err := x.carriage.to.ReadAnswer(body)
	if err != nil {
		return nil, err
	}
	if a.Created == 0 { // not every API says it, and others have it in every answer
		a.Created = x.start.Unix()
	}
	body, err = x.carriage.from.WriteAnswer(a, x.neutral)
	x.ev.NotCarried = append(x.ev.NotCarried, recorded(a.Lost)...)
	return body, err
}

// interpreter turns a provider's stream into the caller's.
type interpreter struct {
	reader dialect.Reader
	writer dialect.Writer
	began  int64 // when the call did, for providers that do not say when the answer was made
	events []dialect.Event
	out    []byte
	ended  bool
}

func (x *exchange) interpreter() *interpreter {
	if x.carriage.from == nil {
		return nil
	}
	return &interpreter{reader: x.carriage.to.NewReader(), writer: x.carriage.from.NewWriter(x.neutral), began: x.start.Unix()}
}

var errProviderFailed = errors.New("the provider reports an error in its stream")

// take gives the caller's frames for one event of the provider's; data is nil at the
// end of the connection. The frames hold until the next call.
func (t *interpreter) take(data []byte) ([]byte, error) {
	var err error
	if t.events, err = t.reader.Read(t.events[:0], data); err != nil {
		return nil, err
	}
	t.out = t.out[:0]
	for i := range t.events {
		switch e := &t.events[i]; e.Kind {
		case dialect.Started:
			if e.Created == 0 {
				e.Created = t.began
			}
		case dialect.Failed:
			return nil, errProviderFailed
		case dialect.Ended:
			t.ended = true
		}
		t.out = t.writer.Write(t.out, &t.events[i])
	}
	return t.out, nil
}

// eachFrame calls f for every frame in a run of whole frames.
func eachFrame(run []byte, f func(*frames, []byte) error) error {
	in := &frames{buf: run}
	for {
		data, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(in, data); err != nil {
			return err
		}
	}
}

// merge takes what later events of a stream say over what earlier ones said. Below the
// first five a zero says nothing.
func merge(have, more *event.Usage) {
	known := func(to *int64, from int64) {
		if from >= 0 {
			*to = from
		}
	}
	some := func(to *int64, from int64) {
		if from > 0 {
			*to = from
		}
	}
	known(&have.Input, more.Input)
	known(&have.Output, more.Output)
	known(&have.CacheRead, more.CacheRead)
	known(&have.CacheWrite, more.CacheWrite)
	known(&have.Reasoning, more.Reasoning)
	some(&have.CacheWrite1h, more.CacheWrite1h)
	some(&have.AudioIn, more.AudioIn)
	some(&have.CachedAudio, more.CachedAudio)
	some(&have.ImageIn, more.ImageIn)
	some(&have.AudioOut, more.AudioOut)
	some(&have.ImageOut, more.ImageOut)
	some(&have.Images, more.Images)
	some(&have.Seconds, more.Seconds)
	some(&have.Searches, more.Searches)
}

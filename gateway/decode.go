package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"plumbline/gateway/peek"
)

// decode reads the body once and finds what the later stages need.
func (g *Gateway) decode(x *exchange) error {
	if v := x.r.Header["X-Stainless-Retry-Count"]; len(v) > 0 {
		if n, err := strconv.ParseUint(v[0], 10, 16); err == nil {
			x.ev.ClientRetry = uint32(n)
		}
	}
	if x.endpoint == "models" {
		return nil
	}
	if x.r.ContentLength > MaxBody {
		return tooLarge()
	}
	if e := x.r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return refuse(http.StatusBadRequest, "body_encoded", "send the body without Content-Encoding")
	}
	var err error
	if x.body, err = readAll(x.body[:0], x.r.Body, MaxBody); err != nil {
		if errors.Is(err, errTooLarge) {
			return tooLarge()
		}
		return refuse(http.StatusBadRequest, "body_unread", "the body could not be read to its end").because(err)
	}
	x.ev.BytesIn = uint64(len(x.body))
	if err := x.peeked.Request(x.body); err != nil {
		var bad *peek.Error
		errors.As(err, &bad)
		return refuse(http.StatusBadRequest, bad.Code, bad.Error())
	}
	p := &x.peeked
	if !p.HasModel || p.Model.Start == p.Model.End {
		return refuse(http.StatusBadRequest, "model_missing", "name a model").about("model")
	}
	if p.Model.Escaped || p.Model.End-p.Model.Start > 128 {
		return refuse(http.StatusBadRequest, "model_malformed", "a model's name has at most 128 characters and no escapes").about("model")
	}
	x.model = x.modelName(x.body[p.Model.Start:p.Model.End])
	x.ev.ModelAsked, x.ev.Stream = x.model, p.Stream
	return nil
}

// modelName avoids a copy when the name is a route's.
func (x *exchange) modelName(b []byte) string {
	if r, ok := x.org.Routes[string(b)]; ok {
		return r.Model
	}
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			return "unprintable"
		}
	}
	return string(b)
}

func tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than 4 MiB")
}

var errTooLarge = errors.New("too large")

func readAll(b []byte, r io.Reader, limit int) ([]byte, error) {
	if r == nil {
		return b, nil
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return b, errTooLarge
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

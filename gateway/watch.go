package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"plumbline/gateway/provider"
	"plumbline/inventory"
)

// timedOut is a timeout of an attempt.
type timedOut string

func (t timedOut) Error() string { return "no answer within the " + string(t) }
func (timedOut) Timeout() bool   { return true }

// watch holds one attempt to the timeouts of its route.
type watch struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	attempt *time.Timer // nil: none
	first   *time.Timer
	idle    time.Duration
}

// watching begins an attempt's timeouts; nil when the route has none.
func watching(ctx context.Context, r *inventory.Route) *watch {
	if r.AttemptTimeout == 0 && r.FirstByteTimeout == 0 && r.IdleTimeout == 0 {
		return nil
	}
	w := &watch{idle: time.Duration(r.IdleTimeout)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	after := func(d inventory.Duration, name string) *time.Timer {
		if d == 0 {
			return nil
		}
		return time.AfterFunc(time.Duration(d), func() { w.cancel(timedOut(name)) })
	}
	w.attempt, w.first = after(r.AttemptTimeout, "attempt_timeout"), after(r.FirstByteTimeout, "first_byte_timeout")
	return w
}

// begun tells that the provider's answer began: its body is read under the watch.
func (w *watch) begun(resp *provider.Response) {
	if w.first != nil {
		w.first.Stop()
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, w: w}
}

// given tells that something is given out: there is no other attempt any more.
func (w *watch) given() {
	if w != nil && w.attempt != nil {
		w.attempt.Stop()
	}
}

func (w *watch) end() {
	if w.first != nil {
		w.first.Stop()
	}
	w.given()
	w.cancel(nil)
}

// cause is the timeout that an error comes from, or the error.
func (w *watch) cause(err error) error {
	var t timedOut
	if w != nil && errors.As(context.Cause(w.ctx), &t) {
		return t
	}
	return err
}

// watchedBody is an answer whose pauses have a bound.
type watchedBody struct {
	io.ReadCloser
	w    *watch
	idle *time.Timer
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.w.idle > 0 {
		if b.idle == nil {
			b.idle = time.AfterFunc(b.w.idle, func() { b.w.cancel(timedOut("idle_timeout")) })
		} else {
			b.idle.Reset(b.w.idle)
		}
	}
	n, err := b.ReadCloser.Read(p)
	if b.idle != nil {
		b.idle.Stop()
	}
	if err != nil && err != io.EOF {
		err = b.w.cause(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	if b.idle != nil {
		b.idle.Stop()
	}
	b.w.end()
	return b.ReadCloser.Close()
}

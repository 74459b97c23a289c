package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadline(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *deadline)
		want error
	}{
		{"neither", func(*deadline) {}, nil},
		{"its time came", func(*deadline) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		{"its time came while somebody waited", func(d *deadline) { <-d.Done() }, context.DeadlineExceeded},
		{"cancelled before anybody waited", (*deadline).cancel, context.Canceled},
		{"cancelled while somebody waits", func(d *deadline) { done := d.Done(); d.cancel(); <-done }, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &deadline{end: time.Now().Add(time.Minute), life: t.Context()}
				defer d.cancel()
				c.do(d)
				derived, cancel := context.WithCancel(d)
				defer cancel()
				synctest.Wait() // an end is passed on before it is asked for
				if at, ok := derived.Deadline(); !ok || !at.Equal(d.end) {
					t.Errorf("deadline %v", at)
				}
				if !errors.Is(d.Err(), c.want) || !errors.Is(derived.Err(), c.want) {
					t.Errorf("ended with %v, and what is derived from it with %v, want %v", d.Err(), derived.Err(), c.want)
				}
			})
		})
	}
}

// What a transport derives from it must not cost a goroutine a call.
func TestDeadlineNeedsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deadline{end: time.Now().Add(time.Minute), life: t.Context()}
		derived, cancel := context.WithCancel(d)
		defer cancel()
		d.cancel()
		if derived.Err() == nil { // a goroutine would not have run yet
			t.Error("what is derived did not end at once")
		}
	})
}

package projection

import (
	"context"
	"fmt"

	"plumbline/gateway/event"
)

// Found is one data class that one guard found in an exchange.
type Found struct {
	Guard, Class      string
	Answer            bool // in the answer; else in the prompt
	Redacted, Blocked bool // neither: the guard only watched
	Leaf              uint64
}

// Found reads what guards found in an exchange from its own records before a
// leaf. The index has the classes alone: neither the guard nor the side, nor what
// was done about it.
func (s *Store) Found(ctx context.Context, org string, x *Exchange, leaves uint64) ([]Found, error) {
	if x.Classes == "" {
		return nil, nil
	}
	var out []Found
	for _, leaf := range []int64{x.OpenedLeaf, x.ClosedLeaf} {
		if leaf < 0 || uint64(leaf) >= leaves {
			continue
		}
		r, err := s.record(ctx, org, uint64(leaf))
		if err != nil {
			return nil, err
		}
		e, ok := r.Body.(*event.Event)
		if !ok {
			return nil, fmt.Errorf("leaf %d is a %s and no exchange", leaf, r.Kind)
		}
		if e.Kind != event.Outcome && e.Kind != event.Incomplete { // there the intent has them
			out = appendFound(out, e.Prompt, false, uint64(leaf))
		}
		out = appendFound(out, e.AnswerGuard, true, uint64(leaf))
	}
	return out, nil
}

func appendFound(out []Found, verdicts []event.Verdict, answer bool, leaf uint64) []Found {
	for i := range verdicts {
		v := &verdicts[i]
		if v.State != event.Hit {
			continue
		}
		for _, class := range v.Classes {
			out = append(out, Found{v.Guard, class, answer, v.Action == event.ActionRedacted, v.Action == event.ActionBlocked, leaf})
		}
	}
	return out
}

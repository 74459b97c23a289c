package evidence

import (
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
)

// Refusals are recorded before they are given, but must not become a weapon. Of
// each (key, code) the first refusalSingles in a window have a record each, the
// rest of the window one count. A caller without a valid key never has a record
// of its own: it is counted by code and address prefix in the instance's log, in
// at most keylessRows rows a window, then as "other".
const (
	refusalWindowMicros = 10_000_000
	refusalSingles      = 20
	keylessRows         = 1024
	otherAddress        = "other"
)

type refusalKey struct{ log, key, code, address string }

type refusalWindow struct {
	system             string
	seen               uint64
	count              uint64 // of those without a record of their own
	start, first, last int64
}

// counted reports whether a refusal was put into a count. Called under l.mu.
func (l *Ledger) counted(e *event.Event) bool {
	if e.Key == "" {
		k := refusalKey{code: e.Code, address: e.Address}
		if l.keyless[k] == nil && len(l.keyless) >= keylessRows-1 {
			k.address, k.code = otherAddress, ""
		}
		w := window(l.keyless, k, e)
		w.add(e.At)
		return true
	}
	w := window(l.windows, refusalKey{log: e.Log, key: e.Key, code: e.Code}, e)
	if e.At-w.start >= refusalWindowMicros {
		l.flushWindow(refusalKey{log: e.Log, key: e.Key, code: e.Code}, w)
		*w = refusalWindow{system: e.System, start: e.At}
	}
	w.seen++
	if w.seen <= refusalSingles {
		return false
	}
	w.add(e.At)
	return true
}

func window(m map[refusalKey]*refusalWindow, k refusalKey, e *event.Event) *refusalWindow {
	w, ok := m[k]
	if !ok {
		w = &refusalWindow{system: e.System, start: e.At}
		m[k] = w
	}
	return w
}

func (w *refusalWindow) add(at int64) {
	if w.count == 0 {
		w.first = at
	}
	w.count++
	w.last = at
}

// flushRefusals writes the counts of windows that ended, or of all.
func (l *Ledger) flushRefusals(all bool) {
	now := l.c.Now().UnixMicro()
	for k, w := range l.windows {
		if all || now-w.start >= refusalWindowMicros {
			l.flushWindow(k, w)
			delete(l.windows, k)
		}
	}
	// Keyless counts share one window, so that its rows are bounded together.
	oldest := now
	for _, w := range l.keyless {
		oldest = min(oldest, w.start)
	}
	if len(l.keyless) > 0 && (all || now-oldest >= refusalWindowMicros) {
		for k, w := range l.keyless {
			l.flushWindow(k, w)
		}
		clear(l.keyless)
	}
}

func (l *Ledger) flushWindow(k refusalKey, w *refusalWindow) {
	if w.count == 0 {
		return
	}
	s, err := l.logLocked(k.log)
	if err != nil {
		return
	}
	code := k.code
	if code == "" {
		code = otherAddress
	}
	l.putBody(s, record.RefusalsCounted, "gateway", &record.Refusals{Key: k.key, System: w.system, Code: code, Address: k.address, Count: w.count, First: w.first, Last: w.last})
}

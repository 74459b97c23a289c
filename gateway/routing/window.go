package routing

// seconds is how far back outcomes are counted.
const seconds = 60

// window counts the outcomes of the last minute, second by second. Whoever holds it
// guards it with a lock.
type window struct {
	buckets [seconds]counts
	head    int64 // the second that is counted now
	sum     counts
}

type counts struct{ ok, failed, limited uint32 }

// at moves the window to a second. A clock that steps back counts into the newest.
func (w *window) at(second int64) {
	if second <= w.head {
		return
	}
	if second-w.head >= seconds {
		*w = window{head: second}
		return
	}
	for w.head < second {
		w.head++
		b := &w.buckets[w.head%seconds]
		w.sum.ok -= b.ok
		w.sum.failed -= b.failed
		w.sum.limited -= b.limited
		*b = counts{}
	}
}

func (w *window) add(second int64, r Result) {
	w.at(second)
	b := &w.buckets[w.head%seconds]
	switch r {
	case Answered:
		b.ok++
		w.sum.ok++
	case Failed:
		b.failed++
		w.sum.failed++
	case Limited:
		b.limited++
		w.sum.limited++
	}
}

// forget drops errors, so that a deployment that came back is not judged by them.
func (w *window) forget() { *w = window{head: w.head} }

package gateway

import (
	"bufio"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/budget"
	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
	"plumbline/gateway/policy"
	"plumbline/gateway/price"
	"plumbline/gateway/provider"
	"plumbline/gateway/routing"
	"plumbline/gateway/spill"
	"plumbline/inventory"
)

// exchange is the typed state of one call. It is pooled: reset clears it.
type exchange struct {
	*reused
	w        http.ResponseWriter
	r        *http.Request
	start    time.Time
	now      time.Time // when the attempt was admitted: what is checked before it is checked as of then
	id       ident.ID
	nameless bool // no id could be drawn, so it could not be told from another on record
	idHdr    [1]string

	call     *served
	endpoint string // its operation
	stream   bool   // the caller asked for a stream
	array    bool   // and wants it as one JSON array
	binary   bool   // or in AWS's binary framing

	// identify
	view   *view
	org    *orgView
	key    *inventory.Key
	system *inventory.System
	rated  budget.Place // in the key's rate
	named  named        // what the caller says in headers
	hops   []string     // the value of HopsHeader for the provider

	// decode
	attributes map[string]string // what the caller says of the call; nil unless some are declared
	asked      string            // the model, or a response's id, in the path
	body       []byte
	lent       spill.Lent  // whose memory a small body stands in
	form       *form       // where the body is one
	upload     *fileUpload // where that is a file to be kept
	batch      batchAsk    // where a batch is made
	lot        *lot        // its requests, or what is known of them
	model      string

	kept     *spill.Body // a large body; body is nil while it is not loaded
	sealed   *spill.Body // and as it goes upstream, in place of out
	redacted *spill.Body // and what guards took out of it, in place of guarded; nil for nothing
	unload   func()

	// admit
	route    *routing.Route
	up       *upstream
	carriage carriage
	neutral  *dialect.Request // when it goes through the neutral exchange
	target   string
	origin   *Pin    // of the response, file or batch that the call goes on from or is about; nil for none
	object   *Object // that file or batch
	items    items
	rate     price.Rate
	priced   bool

	// decide, inspect
	input   policy.Input
	profile *guardrail.Profile
	prompt  *guardrail.Inspector
	answers *guardrail.Inspector

	// hold, commit
	most     event.Usage // what is held for
	ceiling  money.Nano  // and what that costs
	held     money.Nano  // the most that was held
	spent    money.Nano  // held on for attempts that were given up on, and that their providers may bill
	intent   bool
	commit   *event.Commit
	mode     event.CommitMode
	out      []byte // the body as it goes upstream: in lent, or in memory of its own
	blind    [32]byte
	blinded  bool
	attempts uint32
	tier     string // that the answer says it was served in, so far
	perhaps  bool   // the last was not answered, and its provider may bill it

	// forward, answer
	end       time.Time // deadline of the exchange
	watch     *watch    // of the attempt; nil when it has no timeouts of its own
	sent      provider.Request
	wrote     bool // the head of the answer is out
	done      bool
	pinned    bool    // where the response is made was noted
	lasting   bool    // a batch was made, or a response is being made in the background: the outcome comes with its results
	arrived   *Object // a batch whose results are there, as the answer says
	ended     bool    // the answer says that the response it is about has ended
	perLine   bool    // guards read the answer by lines, and their verdicts stand in ev
	abort     bool    // the caller's connection is broken at the end
	bytesOut  uint64
	framesOut int
	images    int           // that were made
	textOut   int64         // bytes of text that the model wrote
	searched  int64         // searches with a fee, of which a stream has told so far
	sentAt    time.Duration // when the provider was asked, from start
	upstreamT time.Duration
	failure   *refusal
	length    [1]string // the answer's Content-Length
	served    [1]string // the values of headers, see facts
	cost      [1]string

	ev event.Event
}

// reused is what the next exchange goes on with: memory, and nothing in it.
type reused struct {
	plan     routing.Plan
	guarded  []peek.Edit // what guards took out of the request; kept while a further attempt may be made
	peeked   peek.Body   // the request
	chunk    peek.Body   // the answer, or an event of it
	edits    []peek.Edit
	scratch  []byte
	holds    []event.Hold
	reserved budget.Holds
	digest   hash.Hash
	buf      []byte
	framed   []byte // a message of a binary stream
	prompts  []event.Verdict
	replies  []event.Verdict
	streams  *streamer // nil until an answer was streamed

	lastServed  string        // a model's name that may be recorded, as it last came
	lastAddress string        // of a caller, as far as it may be recorded
	random      *bufio.Reader // what ids are made of, a few ahead
}

func newExchange(random io.Reader) *exchange {
	return &exchange{reused: &reused{random: bufio.NewReaderSize(random, 160), digest: sha256.New(), holds: make([]event.Hold, 0, 4)}}
}

func (x *exchange) begin(g *Gateway, w http.ResponseWriter, r *http.Request) {
	x.w, x.r, x.start = w, r, g.c.Now()
	x.view = g.view.Load()
	if err := x.id.Set(x.start, x.random); err != nil {
		x.id, x.nameless = ident.ID{15: 1}, true // serve refuses it
	}
	x.idHdr[0] = x.id.String()
	w.Header()["X-Request-Id"] = x.idHdr[:]
	x.ev.Exchange, x.ev.Dialect, x.ev.At = x.id, openAIAPI.name, x.start.UnixMicro()
	x.ev.Prompt, x.ev.AnswerGuard = x.prompts, x.replies
}

func (x *exchange) reset() {
	x.closeBody()
	if x.prompt != nil {
		x.prompt.Release()
	}
	if x.answers != nil {
		x.answers.Release()
	}
	x.plan.Reset(time.Time{})
	x.reserved.Reset()
	x.digest.Reset()
	x.peeked.Forget()
	x.chunk.Forget()
	x.guarded, x.edits, x.holds, x.buf, x.scratch = few(x.guarded), few(x.edits), x.holds[:0], keep(x.buf), keep(x.scratch)
	x.framed = keep(x.framed)
	x.prompts, x.replies = x.ev.Prompt[:0], x.ev.AnswerGuard[:0]
	r := x.reused
	*x = exchange{}
	x.reused = r
}

// keep gives a buffer back to the pool unless it grew large.
func keep(b []byte) []byte {
	if cap(b) > 256<<10 {
		return nil
	}
	return b[:0]
}

// few does the same for edits.
func few(e []peek.Edit) []peek.Edit {
	if cap(e) > 4<<10 {
		return nil
	}
	clear(e)
	return e[:0]
}

// address is the caller's, as far as it may be recorded.
func (x *exchange) address() string {
	x.lastAddress = addressPrefix(x.r.RemoteAddr, x.lastAddress)
	return x.lastAddress
}

// addressPrefix is what of a caller's address may be recorded: /24 or /48. last is what
// it was last: many callers of one network come one after the other.
func addressPrefix(remote, last string) string {
	const rest = ".0/24"
	if n := threeOctets(remote); n > 0 { // nearly all
		if len(last) == n+len(rest) && last[:n] == remote[:n] && last[n:] == rest {
			return last
		}
		return remote[:n] + rest
	}
	var a netip.Addr
	if at, err := netip.ParseAddrPort(remote); err == nil {
		a = at.Addr()
	} else if a, err = netip.ParseAddr(remote); err != nil {
		return "unknown"
	}
	var text [48]byte
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		b[3] = 0
		return string(append(netip.AddrFrom4(b).AppendTo(text[:0]), "/24"...))
	}
	p, err := a.WithZone("").Prefix(48)
	if err != nil {
		return "unknown"
	}
	return string(p.AppendTo(text[:0]))
}

// threeOctets is how much of an IPv4 address with its port is its first three octets; 0
// for anything else.
func threeOctets(remote string) (end int) {
	octet, digits, octets := 0, 0, 0
	for i := range len(remote) {
		c := remote[i]
		switch {
		case c >= '0' && c <= '9':
			octet = octet*10 + int(c-'0')
			if digits++; digits > 3 || octet > 255 || digits == 2 && octet < 10 {
				return 0
			}
		case digits > 0 && c == '.' && octets < 3:
			octet, digits = 0, 0
			if octets++; octets == 3 {
				end = i
			}
		case digits > 0 && c == ':' && octets == 3:
			if port, err := strconv.ParseUint(remote[i+1:], 10, 16); err != nil || port == 0 {
				return 0
			}
			return end
		default:
			return 0
		}
	}
	return 0
}

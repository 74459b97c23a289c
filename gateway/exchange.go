package gateway

import (
	"crypto/sha256"
	"hash"
	"net"
	"net/http"
	"net/netip"
	"time"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/gateway/event"
	"plumbline/gateway/guardrail"
	"plumbline/gateway/peek"
	"plumbline/gateway/policy"
	"plumbline/gateway/price"
	"plumbline/inventory"
)

// exchange is the typed state of one call. It is pooled: reset clears it.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	start time.Time
	id    ident.ID
	idHdr [1]string

	endpoint string // chat.completions, embeddings, models
	path     string // below the provider's base URL

	// identify
	view   *view
	org    *orgView
	key    *inventory.Key
	system *inventory.System
	rated  bool // a place of the key's rate is taken

	// decode
	body   []byte
	peeked peek.Body
	model  string

	// admit
	route  *inventory.Route
	up     upstream
	target string
	rate   price.Rate
	priced bool

	// decide, inspect
	input   policy.Input
	profile *guardrail.Profile
	prompt  *guardrail.Inspector
	answers *guardrail.Inspector
	edits   []peek.Edit
	scratch []byte
	redact  [][]byte

	// hold, commit
	most     event.Usage // what is held for
	ceiling  money.Nano  // and what that costs
	holds    []event.Hold
	intent   bool
	commit   *event.Commit
	mode     event.CommitMode
	out      []byte // the body as it goes upstream
	digest   hash.Hash
	blind    [32]byte
	blinded  bool
	attempts uint32

	// answer
	buf       []byte
	chunk     peek.Body
	wrote     bool // the head of the answer is out
	done      bool
	bytesOut  uint64
	textOut   int64 // bytes of text that the model wrote
	upstreamT time.Duration
	failure   *refusal

	ev event.Event
}

func newExchange() *exchange {
	return &exchange{digest: sha256.New(), body: make([]byte, 0, 8<<10), out: make([]byte, 0, 8<<10), buf: make([]byte, 0, 8<<10), holds: make([]event.Hold, 0, 4)}
}

func (x *exchange) begin(g *Gateway, w http.ResponseWriter, r *http.Request) {
	x.w, x.r, x.start = w, r, g.c.Now()
	x.view = g.view.Load()
	id, err := ident.New(x.start, g.c.Rand)
	if err != nil {
		id = ident.ID{15: 1} // without randomness nothing is sent: see identify
	}
	x.id = id
	x.idHdr[0] = id.String()
	w.Header()["X-Request-Id"] = x.idHdr[:]
	x.ev = event.Event{Exchange: id, Dialect: "openai", At: x.start.UnixMicro(), Prompt: x.ev.Prompt[:0], AnswerGuard: x.ev.AnswerGuard[:0]}
}

func (x *exchange) reset() {
	if x.prompt != nil {
		x.prompt.Release()
	}
	if x.answers != nil {
		x.answers.Release()
	}
	x.digest.Reset()
	x.peeked.Forget()
	x.chunk.Forget()
	*x = exchange{digest: x.digest, body: keep(x.body), out: keep(x.out), buf: keep(x.buf), scratch: keep(x.scratch), holds: x.holds[:0], edits: x.edits[:0], redact: x.redact[:0],
		peeked: x.peeked, chunk: x.chunk, ev: event.Event{Prompt: x.ev.Prompt[:0], AnswerGuard: x.ev.AnswerGuard[:0]}}
}

// keep gives a buffer back to the pool unless it grew large.
func keep(b []byte) []byte {
	if cap(b) > 256<<10 {
		return nil
	}
	return b[:0]
}

// addressPrefix is what of a caller's address may be recorded: /24 or /48.
func addressPrefix(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

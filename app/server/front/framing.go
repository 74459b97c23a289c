package front

import "bytes"

// framing follows the bytes of one HTTP/1.1 connection, so that it is known where a
// request ends and what its request line is, and so that what two servers could read in
// two ways is refused (RFC 9112 sections 2.2, 5.2, 6.3 and 7.1). net/http takes a line
// that ends in LF alone, a folded header, a length said twice in the same words and a
// length beside chunks; a proxy in front may not, or may take them otherwise. What
// net/http refuses by itself is left to it.
//
// It costs one look for each line of a head and one for each chunk; bodies are passed by.
type framing struct {
	at     place
	left   int64 // bytes of a body or a chunk that are still to come
	hosts  int
	length int64 // what Content-Length says; noLength, or badLength
	coding coding
	old    bool // HTTP/1.0
	http2  bool // it began so; then nothing of it is followed

	line   [112]byte // the beginning of the newest request line
	lined  int       // how much of line is there; it stays until the next request
	part   [48]byte  // the beginning of a line whose end has not come
	parted int       // bytes of that line, of which part has the first ones
	last   byte      // of that line
}

type place uint8

const (
	inLine   place = iota // before or in a request line
	inFields              // in the headers
	inBody                // left bytes of it are to come
	inSize                // in the line that says a chunk's size
	inChunk
	inEnd     // CRLF behind a chunk
	inTrailer // behind the last chunk
	untold    // framing is no longer followed: another protocol, or what net/http will refuse
)

type coding uint8

const (
	plainBody coding = iota
	chunkedBody
	otherBody // net/http refuses it
)

const (
	noLength  = -1
	badLength = -2
)

// tlsHandshake is the first byte of a TLS connection (RFC 8446 section 5.1), whose bytes
// may go on for long without the end of a line.
const tlsHandshake = 22

// flaw is what is wrong with a request's framing.
type flaw struct{ code, message string }

func (f *flaw) Error() string { return f.code + ": " + f.message }

var (
	bareLF         = &flaw{"line_malformed", "a line of the request's head ends in LF alone; end each with CR LF"}
	foldedField    = &flaw{"header_folded", "a header goes on in the next line; send each in one line"}
	twoHosts       = &flaw{"host_repeated", "the header Host is there twice; send it once"}
	twoLengths     = &flaw{"length_repeated", "the header Content-Length is there twice; send it once"}
	lengthAndChunk = &flaw{"length_and_chunks", "the request has both Content-Length and Transfer-Encoding; send one of them"}
	oldChunks      = &flaw{"length_and_chunks", "an HTTP/1.0 request has no Transfer-Encoding; send Content-Length"}
	handshake      = &flaw{"tls_not_served", "a TLS handshake came where a request belongs; call with http, or have the gateway serve TLS (tls_cert and tls_key)"}
	badChunk       = &flaw{"chunk_malformed", "a chunk of the body is no size in hexadecimal digits, CR LF, that many bytes and CR LF; extensions are not taken"}
)

// follow takes the next bytes and says how many of them belong to the request that they
// go on with. Those behind are to be offered again when the request is done. A flaw
// comes with the number of bytes that are before the line it is about.
func (f *framing) follow(p []byte) (n int, wrong *flaw) {
	for n < len(p) {
		switch f.at {
		case untold:
			return len(p), nil
		case inLine:
			if f.parted == 0 && p[n] == tlsHandshake {
				return n, handshake
			}
		case inFields:
			if n += f.pass(p[n:]); n == len(p) {
				return n, nil
			}
		case inBody, inChunk:
			k := min(f.left, int64(len(p)-n))
			n += int(k)
			if f.left -= k; f.left > 0 {
				return n, nil
			}
			if f.at == inBody {
				f.next()
				return n, nil
			}
			f.at = inEnd
			continue
		}
		end := bytes.IndexByte(p[n:], '\n')
		if end < 0 {
			f.keep(p[n:])
			return len(p), nil
		}
		line, cut := p[n:n+end], false
		if f.parted > 0 {
			f.keep(line)
			line, cut = f.part[:min(f.parted, len(f.part))], f.parted > len(f.part)
		}
		size := f.parted
		if size == 0 {
			size = len(line)
		}
		cr := size > 0 && (f.parted > 0 && f.last == '\r' || f.parted == 0 && line[size-1] == '\r')
		if cr && !cut {
			line = line[:len(line)-1]
		}
		empty := size == 0 || cr && size == 1
		was := f.at
		if wrong = f.take(line, cr, empty, cut); wrong != nil {
			return n, wrong
		}
		f.parted = 0
		n += end + 1
		if was != inLine && f.at == inLine {
			return n, nil
		}
	}
	return n, nil
}

// pass goes over whole headers that say nothing of the framing, which most are.
func (f *framing) pass(p []byte) (n int) {
	if f.parted > 0 {
		return 0
	}
	for n < len(p) {
		switch p[n] {
		case 'C', 'c', 'H', 'h', 'T', 't', ' ', '\t', '\r', '\n':
			return n
		}
		end := bytes.IndexByte(p[n:], '\n')
		if end < 0 || p[n+end-1] != '\r' {
			return n
		}
		n += end + 1
	}
	return n
}

// keep adds to the beginning of a line whose end has not come.
func (f *framing) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if f.at == inLine {
		if f.parted == 0 {
			f.lined = 0
		}
		f.lined += copy(f.line[f.lined:], p)
	}
	if f.parted < len(f.part) {
		copy(f.part[f.parted:], p)
	}
	f.parted += len(p)
	f.last = p[len(p)-1]
}

// take takes one line, without its end: cr says that it ended in CR LF, cut that only
// its beginning is there.
func (f *framing) take(line []byte, cr, empty, cut bool) *flaw {
	switch f.at {
	case inLine:
		return f.begin(line, cr, empty)
	case inFields:
		if !cr {
			return bareLF
		}
		if empty {
			return f.body()
		}
		return f.field(line, cut)
	case inSize:
		return f.size(line, cr, cut)
	case inEnd:
		if !cr || !empty {
			return badChunk
		}
		f.at = inSize
	case inTrailer:
		if !cr || !empty && (line[0] == ' ' || line[0] == '\t') {
			return badChunk
		}
		if empty {
			f.next()
		}
	}
	return nil
}

// begin takes a request line. An empty one before it is passed over, as section 2.2 has
// it; net/http says what it thinks of that.
func (f *framing) begin(line []byte, cr, empty bool) *flaw {
	if empty {
		return nil
	}
	if f.parted == 0 {
		f.lined = copy(f.line[:], line)
	} else {
		line = bytes.TrimSuffix(f.line[:f.lined], []byte("\r"))
	}
	f.hosts, f.length, f.coding = 0, noLength, plainBody
	f.old = bytes.HasSuffix(line, []byte(" HTTP/1.0"))
	f.at = inFields
	switch {
	case bytes.Equal(line, []byte("PRI * HTTP/2.0")): // the preface of HTTP/2
		f.at, f.http2 = untold, true
	case !cr:
		return bareLF
	}
	return nil
}

func (f *framing) field(line []byte, cut bool) *flaw {
	if line[0] == ' ' || line[0] == '\t' {
		return foldedField
	}
	switch line[0] | 0x20 {
	case 'h':
		if _, ok := valueOf(line, "host"); ok {
			if f.hosts++; f.hosts > 1 {
				return twoHosts
			}
		}
	case 'c':
		if v, ok := valueOf(line, "content-length"); ok {
			if f.length != noLength {
				return twoLengths
			}
			f.length = decimal(v, cut)
		}
	case 't':
		if v, ok := valueOf(line, "transfer-encoding"); ok {
			switch {
			case f.old:
				return oldChunks
			case f.coding == plainBody && !cut && bytes.EqualFold(v, []byte("chunked")):
				f.coding = chunkedBody
			default:
				f.coding = otherBody
			}
		}
	}
	return nil
}

// body is behind the head.
func (f *framing) body() *flaw {
	switch {
	case f.coding != plainBody && f.length != noLength:
		return lengthAndChunk
	case f.coding == otherBody, f.length == badLength:
		f.at = untold
	case f.coding == chunkedBody:
		f.at = inSize
	case f.length > 0:
		f.at, f.left = inBody, f.length
	default:
		f.next()
	}
	return nil
}

func (f *framing) size(line []byte, cr, cut bool) *flaw {
	if !cr || cut || len(line) == 0 || len(line) > 15 {
		return badChunk
	}
	n := int64(0)
	for _, c := range line {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return badChunk
		}
		n = n<<4 | int64(c)
	}
	if n == 0 {
		f.at = inTrailer
	} else {
		f.at, f.left = inChunk, n
	}
	return nil
}

// next waits for another request. The line of the one before stays known.
func (f *framing) next() { f.at, f.parted = inLine, 0 }

// asked gives the method and the target of the newest request line, cut where they are
// very long. Both are empty where the line is none.
func (f *framing) asked() (method, target string) {
	m, rest, ok := bytes.Cut(f.line[:f.lined], []byte(" "))
	if !ok || len(m) == 0 || len(rest) == 0 {
		return "", ""
	}
	for _, c := range m {
		if c < 'A' || c > 'Z' {
			return "", ""
		}
	}
	t, _, _ := bytes.Cut(rest, []byte(" "))
	return string(m), string(bytes.TrimRight(t, "\r"))
}

// begun reports that a part of a head has come, and not its end.
func (f *framing) begun() bool { return f.at == inFields || f.at == inLine && f.parted > 0 }

// valueOf gives the value of a header if the line is of that name, written in small
// letters.
func valueOf(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' {
		return nil, false
	}
	for i := range len(name) {
		if c := line[i]; c != name[i] && (c < 'A' || c > 'Z' || c|0x20 != name[i]) {
			return nil, false
		}
	}
	return bytes.Trim(line[len(name)+1:], " \t"), true
}

func decimal(v []byte, cut bool) int64 {
	if len(v) == 0 || len(v) > 18 || cut {
		return badLength
	}
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return badLength
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

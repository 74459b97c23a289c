package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// MaxHeaders is the largest head of a request in bytes: its path and query, and its
// headers. The server has to read heads that are larger, so that one that is too large
// gets its answer in the caller's dialect.
const MaxHeaders = 64 << 10

// HopsHeader counts the gateways that a call passed before this one. It is sent to
// providers, so that a route which leads back to the gateway ends.
const HopsHeader = "X-Plumbline-Hops"

// maxHops is how many gateways a call may have passed: a team's, a company's, and what
// stands between them.
const maxHops = 4

// single are headers of which only one value can be meant. Two of them are a way to
// have one read here and the other elsewhere.
var single = [...]string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Content-Type", HopsHeader}

// read are the names, in small letters, that the gateway or a server before it obeys.
var read = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range []string{"Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "X-Stainless-Retry-Count", amazonAttempt, "Upgrade"} {
		out[strings.ToLower(name)] = true
	}
	for _, names := range [][]string{single[:], metadataHeaders, userHeaders[:]} {
		for _, name := range names {
			out[strings.ToLower(name)] = true
		}
	}
	for _, names := range passedOn {
		for _, name := range names {
			out[strings.ToLower(name)] = true
		}
	}
	return out
}()

// twin reports whether a name with underscores would be one that is obeyed if they were
// dashes. Servers that hand headers on as CGI variables make no difference between the
// two, so a caller could have one of them checked and the other obeyed.
func twin(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return read[name] || strings.HasPrefix(name, "x-plumbline-") || strings.HasPrefix(name, "x-forwarded-")
}

// named are values of the caller's headers, by what they say.
type named struct {
	kind, codings []string // of the body: Content-Type and Content-Encoding
	retries       []string
	users         [len(userHeaders)]string
}

// checkHeaders refuses a head that is too large or that says two things, and
// notes what later stages ask for.
func (x *exchange) checkHeaders() error {
	size, header := len(x.r.RequestURI), x.r.Header
	var hops []string
	var repeated string
	for name, values := range header { // the only pass over all of them; a look-up for each name costs more
		if strings.IndexByte(name, '_') >= 0 && twin(name) {
			return refuse(http.StatusBadRequest, "header_underscore", "a header is written with an underscore that is known with a dash; write it with a dash")
		}
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
		if len(values) > 1 && slices.Contains(single[:], name) && (repeated == "" || name < repeated) {
			repeated = name
		}
		switch name { // what stages ask for
		case HopsHeader:
			hops = values
		case "Content-Type":
			x.named.kind = values
		case "Content-Encoding":
			x.named.codings = values
		case "X-Stainless-Retry-Count":
			x.named.retries = values
		default:
			if at := slices.Index(userHeaders[:], name); at >= 0 && len(values) > 0 {
				x.named.users[at] = values[0]
			}
		}
	}
	if size > MaxHeaders {
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "headers_too_large", fmt.Sprintf("the request's path and headers are larger than %d KiB; send fewer or shorter ones", MaxHeaders>>10))
	}
	if repeated != "" {
		return refuse(http.StatusBadRequest, "header_repeated", "the header "+repeated+" is there twice; send it once")
	}
	if len(hops) == 0 {
		x.hops = firstHop
		return nil
	}
	n, err := strconv.ParseUint(hops[0], 10, 8)
	if err != nil || n >= maxHops {
		return refuse(http.StatusBadRequest, "hop_limit", "the call has passed too many gateways; a route or a provider's base_url leads back to this one")
	}
	x.hops = []string{strconv.FormatUint(n+1, 10)}
	return nil
}

var firstHop = []string{"1"}

// hopByHop reports whether the caller's Connection header names a header: then it is
// for this connection alone (RFC 9110 section 7.6.1).
func hopByHop(h http.Header, name string) bool {
	for _, v := range h["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

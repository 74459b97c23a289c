package wiretest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
)

// Key is the credential that the server wants, in the header of each vendor.
const Key = "upstream-secret"

// Server is one upstream. Its base URLs are URL+"/v1" for OpenAI's clients, URL
// for Anthropic's, Google's and AWS's, URL+"/openai" below which Azure's paths lie,
// and URL+"/v1/projects/P/locations/L" for Vertex AI.
type Server struct {
	URL string

	// Strict refuses fields at the top of a body that the vendor's API does not
	// have, as Anthropic and Google do. Set it before the first call.
	Strict bool
	// Write sends an answer; nil sends it as it is. Tests of faults put theirs here
	// before the first call.
	Write func(w http.ResponseWriter, r *http.Request, a *Answer)

	// Pending says that batches are not done yet; nil: they are when they are asked for.
	Pending func() bool
	// Ends is the status with which batches end: completed when it is empty, expired, or failed.
	Ends string
	// Forge changes the results of batches; nil for none.
	Forge Forgery

	http *httptest.Server

	turns sync.Mutex // held while a batch is looked at, answered or deleted; taken before mu

	mu       sync.Mutex
	received []Received                 // guarded by mu
	seen     map[string]bool            // guarded by mu: words of the kind wire:once-N-ID
	kept     map[string]*storedResponse // guarded by mu: by id
	files    []*storedFile              // guarded by mu
	batches  map[string]*storedBatch    // guarded by mu: by id
	made     int                        // guarded by mu: ids of both
}

// Received is one request as it arrived.
type Received struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
	Status              int // of the answer
}

// Answer is what the server has to say. Of Body and Events one is set.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Events [][]byte // of a stream: whole frames with their blank line
}

// Start runs a server on a free port of this machine, until Close.
func Start() *Server {
	s := &Server{seen: map[string]bool{}, kept: map[string]*storedResponse{}, batches: map[string]*storedBatch{}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.Protocols = &http.Protocols{}
	s.http.Config.Protocols.SetHTTP1(true)
	s.http.Config.Protocols.SetUnencryptedHTTP2(true) // which AWS's client for node speaks
	s.http.Start()
	s.URL = s.http.URL
	return s
}

// Close ends the server and its connections.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Received is what arrived so far, oldest first.
func (s *Server) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.received...)
}

// Forget empties what Received gives.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = nil
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	a := s.Answer(r.Method, r.URL.Path, r.URL.RawQuery, r.Header, body)
	s.mu.Lock()
	s.received = append(s.received, Received{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body, a.Status})
	s.mu.Unlock()
	if s.Write != nil {
		s.Write(w, r, a)
		return
	}
	Send(w, a)
}

// Send writes an answer as it is, each event flushed by itself.
func Send(w http.ResponseWriter, a *Answer) {
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.Status)
	w.Write(a.Body)
	for _, e := range a.Events {
		w.Write(e)
		http.NewResponseController(w).Flush()
	}
}

// call is a request on its way to its answer.
type call struct {
	server *Server
	vendor vendor
	path   string // without the vendor's prefix
	query  string
	header http.Header
	body   []byte
	words  []string // that begin with wire:, without it
	id     string   // hex, of path and body
	model  string   // in the path of a cloud that has another's models
}

var word = regexp.MustCompile(`wire:([A-Za-z0-9_.-]*[A-Za-z0-9_])`)

// Answer is what the server would send; Received does not count it.
func (s *Server) Answer(method, path, query string, header http.Header, body []byte) *Answer {
	sum := sha256.Sum256(append([]byte(path+"\n"), body...))
	c := &call{server: s, path: path, query: query, header: header, body: body, id: hex.EncodeToString(sum[:12])}
	for _, m := range word.FindAllStringSubmatch(path+"\n"+string(body), -1) {
		c.words = append(c.words, m[1])
	}
	answer := c.route(method)
	if answer == nil {
		return c.fail(http.StatusNotFound, "")
	}
	if !c.authorised() {
		return c.fail(http.StatusUnauthorized, "")
	}
	// The words of what is kept are of the requests in it, which are answered later.
	keeps := method == http.MethodPost && (strings.HasSuffix(path, "/files") || strings.HasSuffix(path, "/batches"))
	if a := c.asked(); !keeps && a != nil {
		return a
	}
	return answer()
}

// geminiPath: clients ask for v1beta or v1, for Vertex AI for v1beta1, and a method
// of a model stands behind a colon.
var geminiPath = regexp.MustCompile(`^/(v1beta|v1beta1)/|^/v1/.*models/[^/]+:[a-zA-Z]+$`)

// route names the vendor by the path and gives what answers.
func (c *call) route(method string) func() *Answer {
	p := c.path
	switch {
	case strings.HasPrefix(p, "/model/"):
		c.vendor = bedrock
		return c.routeBedrock(method, strings.TrimPrefix(p, "/model/"))
	case strings.Contains(p, "/publishers/anthropic/models/"):
		return c.routeVertexClaude(p)
	case geminiPath.MatchString(p), c.header.Get("X-Goog-Api-Key") != "":
		c.vendor = google
		return c.routeGemini(method, p[strings.Index(p[1:], "/")+2:])
	case p == "/v1/messages" || strings.HasPrefix(p, "/v1/messages/") || c.header.Get("Anthropic-Version") != "":
		c.vendor = anthropic
		return c.routeAnthropic(method, strings.TrimPrefix(p, "/v1"))
	case strings.HasPrefix(p, "/openai/deployments/"):
		c.vendor = azure
		_, rest, _ := strings.Cut(strings.TrimPrefix(p, "/openai/deployments/"), "/")
		return c.routeOpenAI(method, "/"+rest)
	case (strings.HasPrefix(p, "/openai/files") || strings.HasPrefix(p, "/openai/batches")) && strings.Contains(c.query, "api-version="):
		c.vendor = azure
		return c.routeFiles(method, strings.TrimPrefix(p, "/openai"))
	case strings.HasPrefix(p, "/openai/v1/"):
		c.vendor = azure
		return c.routeOpenAI(method, strings.TrimPrefix(p, "/openai/v1"))
	}
	c.vendor = openai
	return c.routeOpenAI(method, strings.TrimPrefix(p, "/v1"))
}

func (c *call) has(word string) bool {
	for _, w := range c.words {
		if w == word {
			return true
		}
	}
	return false
}

// after is what stands behind a prefix in a word; "" when none has it.
func (c *call) after(prefix string) string {
	for _, w := range c.words {
		if rest, ok := strings.CutPrefix(w, prefix); ok {
			return rest
		}
	}
	return ""
}

// first is true the first time that a word is seen.
func (c *call) first(word string) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	was := c.server.seen[word]
	c.server.seen[word] = true
	return !was
}

// Package dialect reads and writes the wire formats in which apps and providers
// speak of generation. In the middle stands one neutral exchange, so that n
// dialects need n codecs and not n² translators.
//
// A codec is used only where caller and provider speak differently; between equals
// the pipeline passes bytes. What a codec cannot carry over it either refuses
// (*Impossible) or names in Lost; it drops nothing in silence.
package dialect

import (
	"fmt"
	"strings"

	"plumbline/gateway/event"
)

// Name is the name of a dialect. It is in records.
type Name string

// The dialects.
const (
	Chat      Name = "chat"      // OpenAI chat completions
	Responses Name = "responses" // OpenAI Responses
	Messages  Name = "messages"  // Anthropic Messages
	Gemini    Name = "gemini"    // Google generateContent
	Converse  Name = "converse"  // AWS Bedrock Converse
)

// order is that in which a provider's dialects are tried when it does not speak
// the caller's.
var order = []Name{Chat, Messages, Gemini, Responses, Converse}

// Codec is one dialect. Its methods keep nothing of what they are given.
type Codec interface {
	// ReadRequest reads a caller's body. model and stream stand in the path in some
	// dialects; they are what the pipeline found, and win over the body.
	ReadRequest(body []byte, model string, stream bool) (*Request, error)
	// WriteRequest writes the body for a provider. What the dialect lacks is added
	// to r.Lost, or is an *Impossible.
	WriteRequest(r *Request) ([]byte, error)

	// ReadAnswer reads a provider's whole answer.
	ReadAnswer(body []byte) (*Answer, error)
	// WriteAnswer writes it for the caller who sent r.
	WriteAnswer(a *Answer, r *Request) ([]byte, error)

	// NewReader reads a provider's stream.
	NewReader() Reader
	// NewWriter writes a stream for the caller who sent r.
	NewWriter(r *Request) Writer
}

// Reader turns a provider's stream into neutral events. One reader reads one
// stream.
type Reader interface {
	// Read appends the events of one server-sent event to dst; data is its data
	// field. After the last event of a whole stream the last one appended is of kind
	// Ended. At the clean end of the connection Read is called once more with nil: a
	// dialect without an event for the end says Ended there if the answer had come to
	// its end.
	Read(dst []Event, data []byte) ([]Event, error)
}

// Writer turns neutral events into frames of server-sent events, each with its
// blank line. One writer writes one stream.
type Writer interface {
	Write(dst []byte, e *Event) []byte
}

var codecs = map[Name]Codec{}

func register(n Name, c Codec) { codecs[n] = c }

// Of finds the codec of a dialect; nil when it has none.
func Of(n Name) Codec { return codecs[n] }

// Names lists the dialects that have a codec, in the order in which they are tried.
func Names() []Name {
	var out []Name
	for _, n := range order {
		if codecs[n] != nil {
			out = append(out, n)
		}
	}
	return out
}

// Impossible says what of a request the provider's dialect cannot be asked for.
type Impossible struct {
	Field string // of the caller's body, dotted
	Why   string // part of a sentence: "the provider's API takes no audio"
}

func (e *Impossible) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Why) }

// Malformed says what of a body is not as its dialect wants it.
type Malformed struct {
	Field string
	Why   string
}

func (e *Malformed) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Why) }

// Request is a call for generation, in no dialect.
type Request struct {
	Model  string
	Stream bool

	System []Part // what stands above the conversation
	Turns  []Turn
	Embed  *Embed // a call for embeddings, which has nothing of the rest but the user

	Tools    []Tool
	Choice   Choice
	Parallel *bool // whether several tools may be called at once; nil: not said

	Format    Format
	Verbosity string // low, medium, high; "" when not said
	Reasoning Reasoning

	MaxTokens   int64 // of the answer; 0: not said
	MostTokens  int64 // what the model can at most, for dialects that want a limit; 0: unknown
	Temperature *float64
	TopP        *float64
	TopK        *int64
	Presence    *float64
	Frequency   *float64
	Seed        *int64
	Stop        []string
	Choices     int64 // answers asked for; 0: not said, which is one
	Logprobs    bool
	TopLogprobs int64

	User     string            // who uses the app, as the app names them
	Metadata map[string]string // of the app's own
	Tier     string            // service tier, as the caller's dialect names it
	Store    *bool             // whether the provider may keep the exchange
	CacheKey string            // prompt_cache_key

	StreamUsage bool // the caller asked for usage in the stream (chat)
	Asks        Asks

	// Lost are the fields of the caller's body that do not reach the provider,
	// dotted, in the caller's words. Reading adds what no dialect else has, writing
	// what the provider's lacks.
	Lost []string
}

// Asks is how a provider differs from others of its dialect in what it can be asked.
type Asks struct {
	NewerLimit    bool // the limit is called max_completion_tokens (chat)
	NoStreamUsage bool // it refuses stream_options (chat)
}

// lose notes a field that does not reach the provider.
func (r *Request) lose(field string) {
	for _, f := range r.Lost {
		if f == field {
			return
		}
	}
	r.Lost = append(r.Lost, field)
}

// mostEchoed is how much of what stands beside the conversation is kept for an answer,
// in bytes.
const mostEchoed = 64 << 10

// Abridge lets go of what no answer is written from: the conversation, and texts to
// embed. An answer of OpenAI's Responses repeats much of the rest; where that is large,
// it repeats of it only what it has to know, which tools are custom.
func (r *Request) Abridge() {
	r.Turns = nil
	if r.Embed != nil {
		r.Embed.Inputs = nil
	}
	n := len(r.Format.Schema) + len(r.Format.Description) + len(r.User) + len(r.CacheKey)
	for i := range r.System {
		n += len(r.System[i].Text)
	}
	for i := range r.Tools {
		n += len(r.Tools[i].Description) + len(r.Tools[i].Schema) + len(r.Tools[i].Raw)
	}
	for k, v := range r.Metadata {
		n += len(k) + len(v)
	}
	for _, s := range r.Stop {
		n += len(s)
	}
	if n <= mostEchoed {
		return
	}
	tools := make([]Tool, 0, len(r.Tools))
	for _, t := range r.Tools {
		if t.Custom {
			tools = append(tools, Tool{Name: strings.Clone(t.Name), Custom: true})
		}
	}
	r.System, r.Tools, r.Format, r.User, r.CacheKey, r.Metadata, r.Choice, r.Stop = nil, tools, Format{}, "", "", nil, Choice{}, nil
}

// Role says who speaks.
type Role uint8

// The roles.
const (
	User Role = iota
	Assistant
	System // an instruction in the middle of the conversation
)

// Turn is what one side says. Results of tools are parts of the user's turn.
type Turn struct {
	Role  Role
	Name  string // of the speaker, where the dialect has it
	Parts []Part
}

// PartKind says what a part is.
type PartKind uint8

// The kinds of parts.
const (
	Text PartKind = iota
	Image
	Audio
	File
	ToolCall
	ToolResult
	Thought  // reasoning before the answer
	Declined // the model's refusal, in its words
)

// Part is a piece of a turn or of an answer. Which fields are set depends on Kind.
type Part struct {
	Kind PartKind
	Text string // Text, Thought, Declined; of a ToolCall its arguments as JSON text

	Media Media // Image, Audio, File

	ID      string // ToolCall, ToolResult: which call
	Name    string // ToolCall, and ToolResult where known
	Content []Part // ToolResult: text and images
	Failed  bool   // ToolResult: the tool reported an error

	// Signature is opaque to all but the provider that gave it; Sealed are thoughts
	// that only that provider can read. Both go back in the dialect of Origin alone;
	// through a caller of another they pass wrapped (see wrap).
	Signature string
	Sealed    string
	Origin    Name

	Cache bool // the app marks the prompt up to here as worth keeping
}

// Media is an image, a sound or a file: its bytes, or where they are.
type Media struct {
	Type   string // MIME type; "" when not said
	Data   string // base64
	URL    string
	FileID string // of a file that was sent to the provider before
	Name   string // of a file
	Detail string // low, high, auto
}

// Tool is a function that the app offers.
type Tool struct {
	Name        string
	Description string
	Schema      []byte // JSON Schema of the arguments; nil: none
	Strict      *bool
	// Hosted is the type of a tool that the provider runs itself, with Raw as the
	// caller wrote it. No other dialect can be asked for it.
	Hosted string
	Raw    []byte
	// Custom is a tool whose input is free text (OpenAI), with Raw as the caller wrote
	// it. Everywhere its arguments are an object with the one text field "input", and
	// Schema says so.
	Custom bool
	Cache  bool
}

// ChoiceMode says whether the model shall call a tool.
type ChoiceMode uint8

// The modes.
const (
	ChoiceUnset ChoiceMode = iota
	ChoiceAuto
	ChoiceNone
	ChoiceRequired // any of them
	ChoiceNamed    // the one named
)

// Choice is what the app says of calling tools.
type Choice struct {
	Mode ChoiceMode
	Name string
}

// FormatKind is the form that the answer shall have.
type FormatKind uint8

// The forms.
const (
	FormatText FormatKind = iota
	FormatJSON            // any JSON object
	FormatSchema
)

// Format is the form of the answer.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	Schema      []byte
	Strict      *bool
}

// Reasoning is how much the model shall think before it answers.
type Reasoning struct {
	Effort string // none, minimal, low, medium, high, xhigh; "" when not said
	Budget *int64 // tokens; nil when not said, 0 for none
	Show   bool   // the caller wants to see the thoughts, or a summary of them
}

// StopReason says why an answer ended.
type StopReason uint8

// The reasons.
const (
	StopUnknown  StopReason = iota
	StopEnd                 // the model was done
	StopLength              // the limit of tokens
	StopSequence            // one of the app's stop sequences
	StopTool                // the model calls tools
	StopFilter              // the provider's filter
	StopDeclined            // the model refused
	StopPause               // the provider pauses a long turn
)

// Answer is a whole answer.
type Answer struct {
	ID       string
	Model    string // as the provider names what answered
	Created  int64  // seconds since 1970; 0 when not said
	Choices  []Candidate
	Vectors  Vectors     // of a call for embeddings
	Usage    event.Usage // -1 where the provider says nothing; Input is all input
	HasUsage bool
	Lost     []string // what of the answer the caller's dialect has no place for
}

// Candidate is one of the answers that were asked for.
type Candidate struct {
	Parts    []Part
	Stop     StopReason
	Sequence string // the stop sequence that was met
}

// EventKind says what an event of a stream is.
type EventKind uint8

// The kinds of events, in the order in which a stream has them.
const (
	Started   EventKind = iota // ID and Model
	PartBegan                  // Index and Part: kind, ID, Name; text follows
	Delta                      // Index and Text: more of the part's text or arguments; Signature when one came, of the origin that PartBegan named
	PartEnded                  // Index
	Stopped                    // Stop, Sequence; of one choice
	Counted                    // Usage so far, as a whole
	Failed                     // the provider reports an error: Class and Message
	Ended                      // the stream is whole
)

// Event is one event of a stream.
type Event struct {
	Kind      EventKind
	ID, Model string
	Created   int64 // Started: seconds since 1970; 0 when not said
	Choice    int   // from 0
	Index     int   // of the part, counted over the whole answer of the choice
	Part      Part
	Text      string
	Signature string
	Stop      StopReason
	Sequence  string
	Usage     event.Usage
	Class     string // of a failure, in the provider's words
	Message   string
}

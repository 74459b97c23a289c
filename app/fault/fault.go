// Package fault gives errors a kind that an edge understands and a cause that
// the log keeps. Message and Fields may reach a client; the cause never does.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is what went wrong as far as a caller can act on it.
type Kind uint8

// The kinds, in the order of the HTTP status that an edge gives them.
const (
	Internal        Kind = iota // 500: ours to mend
	Invalid                     // 400: the caller's input; Fields says where
	Unauthenticated             // 401
	Forbidden                   // 403
	NotFound                    // 404
	Conflict                    // 409: state moved on, or declared in the configuration file
	TooLarge                    // 413
	RateLimited                 // 429
	Unavailable                 // 503: try again later
)

var kinds = [...]struct {
	name   string
	status int
}{{"internal", 500}, {"invalid", 400}, {"unauthenticated", 401}, {"forbidden", 403}, {"not_found", 404},
	{"conflict", 409}, {"too_large", 413}, {"rate_limited", 429}, {"unavailable", 503}}

// String is the stable name of the kind.
func (k Kind) String() string { return kinds[k].name }

// Status is the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k].status }

// Error is an error with a kind. The zero value is an internal error.
type Error struct {
	Kind    Kind
	Code    string            // stable, machine-readable: key_unknown, budget_exceeded
	Message string            // one sentence for people that says what to do
	Fields  map[string]string // form or JSON field -> what is wrong with it
	Err     error             // the cause; for the log only
}

// Error is for logs: it includes the cause.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Kind.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a message for people.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause for the log.
func Wrap(kind Kind, code string, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}

// Field is an Invalid error about one field.
func Field(name, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{Kind: Invalid, Code: "invalid_field", Message: message, Fields: map[string]string{name: message}}
}

// Fields gathers what is wrong with the fields of one entry, so that whoever entered
// them is told all of it at once. The zero value is ready; of each field the first
// error counts.
type Fields struct {
	names    []string // in the order in which they were added
	messages map[string]string
}

// Add says what is wrong with a field.
func (f *Fields) Add(name, format string, args ...any) {
	if _, ok := f.messages[name]; ok {
		return
	}
	if f.messages == nil {
		f.messages = map[string]string{}
	}
	f.names, f.messages[name] = append(f.names, name), fmt.Sprintf(format, args...)
}

// Join adds the fields of errors about fields and gives Err, or the first of the errors
// that is about none.
func (f *Fields) Join(errs ...error) error {
	for _, err := range errs {
		var e *Error
		switch {
		case err == nil:
		case errors.As(err, &e) && e.Kind == Invalid && len(e.Fields) > 0:
			for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
				f.Add(name, "%s", e.Fields[name])
			}
		default:
			return err
		}
	}
	return f.Err()
}

// Err is nil when nothing is wrong, else one Invalid error about all the fields.
func (f *Fields) Err() error {
	switch len(f.names) {
	case 0:
		return nil
	case 1:
		return Field(f.names[0], "%s", f.messages[f.names[0]])
	}
	said := make([]string, 0, len(f.names))
	for _, name := range f.names {
		said = append(said, name+": "+f.messages[name])
	}
	return &Error{Kind: Invalid, Code: "invalid_field", Message: strings.Join(said, "; "), Fields: maps.Clone(f.messages)}
}

// KindOf is the kind of the first *Error in the chain of err, else Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err has that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"plumbline/app/fault"
	"plumbline/gateway/event"
)

// plain is an error as a client may see it. Faults carry words for people; of
// everything else only the request's id is told.
func (r *request) plain(err error) *fault.Error {
	var f *fault.Error
	if errors.As(ledgerDown(err), &f) && f.Kind != fault.Internal {
		if f.Err != nil {
			r.web.d.Log.Warn("request refused", "request", r.id.String(), "code", f.Code, "error", f.Err)
		}
		return f
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.New(fault.TooLarge, "too_large", "This is larger than %d MiB.", tooLarge.Limit>>20)
	}
	r.web.d.Log.Error("request failed", "request", r.id.String(), "path", r.c.Path(), "error", err)
	return fault.New(fault.Internal, "internal", "Something went wrong on our side. The log has it under request %s.", r.id)
}

// ledgerDown gives words to a ledger that cannot write, where nobody gave it any:
// a change of the register says itself what becomes of it.
func ledgerDown(err error) error {
	var said *fault.Error
	if errors.Is(err, event.ErrUnavailable) && (!errors.As(err, &said) || said.Kind == fault.Internal) {
		return fault.Wrap(fault.Unavailable, "ledger_unavailable", err, "The ledger cannot write now, and what is not on record does not count. Try again when it can.")
	}
	return err
}

type errorData struct {
	Status  int
	Title   string
	Message string
	Code    string
}

var errorTitles = map[fault.Kind]string{
	fault.Invalid: "That cannot be done as asked", fault.Forbidden: "Not yours to do", fault.NotFound: "Nothing here", fault.Conflict: "Things have moved on",
	fault.TooLarge: "Too large", fault.RateLimited: "Too many attempts", fault.Unavailable: "Not now", fault.Internal: "Something went wrong", fault.Unauthenticated: "Sign in",
}

// errorPage answers with a page. Whoever is not signed in is led to sign in, and
// on to where they wanted to go.
func (r *request) errorPage(err error) error {
	f := r.plain(err)
	if r.c.Response().Committed {
		return nil
	}
	if f.Kind == fault.Unauthenticated && f.Code == "sign_in" {
		to := "/signin"
		if req := r.c.Request(); req.Method == http.MethodGet && req.URL.Path != "/" {
			to += "?next=" + url.QueryEscape(req.URL.RequestURI())
		}
		return r.redirect(to)
	}
	return r.render(f.Kind.Status(), "error", page{Title: errorTitles[f.Kind], Bare: r.account.ID == ""}, errorData{f.Kind.Status(), errorTitles[f.Kind], f.Message, f.Code})
}

type apiProblem struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
	Request string            `json:"request,omitempty"`
}

func writeProblem(res http.ResponseWriter, status int, p apiProblem) {
	res.Header().Set("Content-Type", "application/json")
	res.WriteHeader(status)
	_ = json.NewEncoder(res).Encode(map[string]apiProblem{"error": p}) // the client is gone
}

// apiError answers with {"error": {...}}.
func (r *request) apiError(err error) error {
	f := r.plain(err)
	if r.c.Response().Committed {
		return nil
	}
	return r.c.JSON(f.Kind.Status(), map[string]apiProblem{"error": {f.Code, f.Message, f.Fields, r.id.String()}})
}

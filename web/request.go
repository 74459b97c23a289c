package web

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/inventory"
)

// request is one request on its way through a handler: who asks, in which
// organisation, and that organisation's register.
type request struct {
	c       echo.Context
	web     *Web
	id      ident.ID
	actor   authz.Actor
	account inventory.Account
	state   *inventory.State
}

// The values of a session.
const (
	keyAccount  = "account"
	keyOrg      = "org"
	keyStamp    = "stamp"
	keyCSRF     = "csrf"
	keyFlash    = "flash"
	keyFirstRun = "first_run"
)

// largestUpload in bytes: evidence of 10 MiB and its form. In JSON a file is base64,
// which takes a third more.
const largestUpload, largestJSONUpload = 11 << 20, 15 << 20

// largestBody is how much of a request's body is read, in bytes.
func (rt *route) largestBody() int64 {
	if rt.method == post && rt.path == "/api/v1/evidence" {
		return largestJSONUpload
	}
	return largestUpload
}

// serve is what every route goes through, in this order: origin, kind of body, who, token,
// permission, handler. Its errors are rendered here and nowhere else.
func (w *Web) serve(rt route) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := &request{c: c, web: w}
		err := r.run(rt)
		if answered, failed := r.waiting(err); answered {
			err = failed
		}
		if err == nil {
			return nil
		}
		if isAPI(c.Request().URL.Path) {
			return r.apiError(err)
		}
		return r.errorPage(err)
	}
}

func (r *request) run(rt route) error {
	var err error
	if r.id, err = ident.New(r.web.d.Now(), r.web.d.Rand); err != nil {
		return err
	}
	r.c.Response().Header().Set("X-Request-Id", r.id.String())
	req := r.c.Request()
	req.Body = http.MaxBytesReader(r.c.Response(), req.Body, rt.largestBody())
	if err := r.web.origin.Check(req); err != nil {
		return fault.Wrap(fault.Forbidden, "cross_origin", err, "This request came from another site and was refused.")
	}
	if err := r.checkJSON(); err != nil {
		return err
	}
	if err := r.identify(); err != nil {
		return err
	}
	if rt.who == public {
		return rt.handler(r)
	}
	if r.account.ID == "" {
		return fault.New(fault.Unauthenticated, "sign_in", "Sign in first.")
	}
	if err := r.checkToken(); err != nil {
		return err
	}
	if rt.who == permitted && !r.can(rt.object, rt.action) {
		return fault.New(fault.Forbidden, "not_permitted", "Your roles do not let you %s: %s. An administrator can change that.", rt.action, rt.object)
	}
	return rt.handler(r)
}

// identify finds the session's account and organisation. A session whose account
// is gone, whose password changed or whose membership ended is ended here.
func (r *request) identify() error {
	s, ctx := r.web.sessions, r.ctx()
	id := s.GetString(ctx, keyAccount)
	if id == "" {
		return nil
	}
	account, err := r.web.d.Register.Account(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && account.Stamp != s.GetInt64(ctx, keyStamp) {
		return s.Destroy(ctx)
	}
	if err != nil {
		return err
	}
	org := inventory.OrgID(s.GetString(ctx, keyOrg))
	actor, err := r.web.d.Register.Actor(org, id)
	if err != nil {
		return s.Destroy(ctx)
	}
	actor.Request = r.id
	r.account, r.actor = account, actor
	return r.read()
}

// checkToken holds changing requests of pages to the session's token. Those of the
// API are held to their content type, see checkJSON.
func (r *request) checkToken() error {
	req := r.c.Request()
	if !changes(req.Method) || isAPI(req.URL.Path) {
		return nil
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/") {
		if err := req.ParseMultipartForm(largestUpload); err != nil {
			return fault.Wrap(fault.TooLarge, "too_large", err, "The upload could not be read, or is larger than 10 MiB.")
		}
	}
	given := req.Header.Get("X-CSRF-Token")
	if given == "" {
		given = r.c.FormValue("csrf")
	}
	if subtle.ConstantTimeCompare([]byte(given), []byte(r.csrf())) != 1 {
		return fault.New(fault.Forbidden, "csrf", "The form was older than the session, or did not come from this page. Open it again and send it once more.")
	}
	return nil
}

// csrf is the session's token; it is made when the session begins.
func (r *request) csrf() string { return r.web.sessions.GetString(r.ctx(), keyCSRF) }

// begin makes the session one of an account in an organisation.
func (r *request) begin(account inventory.Account, org inventory.OrgID) error {
	s, ctx := r.web.sessions, r.ctx()
	if err := s.RenewToken(ctx); err != nil {
		return err
	}
	s.Remove(ctx, keyFirstRun)
	s.Put(ctx, keyAccount, account.ID)
	s.Put(ctx, keyOrg, string(org))
	s.Put(ctx, keyStamp, account.Stamp)
	s.Put(ctx, keyCSRF, newToken())
	return nil
}

func newToken() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// can reports whether the actor's roles allow an action.
func (r *request) can(object, action string) bool {
	return r.account.ID != "" && r.web.d.Enforcer.Can(r.actor, object, action)
}

// redirect answers a form with another page.
func (r *request) redirect(to string) error { return r.c.Redirect(http.StatusSeeOther, to) }

// done redirects with a line that says what was done.
func (r *request) done(to, said string) error {
	r.web.sessions.Put(r.ctx(), keyFlash, said)
	return r.redirect(to)
}

// value is a trimmed form value.
func (r *request) value(name string) string { return strings.TrimSpace(r.c.FormValue(name)) }

// values are the boxes of one name that are ticked.
func (r *request) values(name string) []string {
	r.c.FormValue(name) // reads the form
	return r.c.Request().Form[name]
}

// query is a trimmed query value.
func (r *request) query(name string) string { return strings.TrimSpace(r.c.QueryParam(name)) }

// local is a path of this site, or else: what a sign-in may lead on to.
func local(path, otherwise string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n") {
		return otherwise
	}
	return path
}

func (r *request) notFound() error {
	return fault.New(fault.NotFound, "not_found", "There is no page or thing of this address.")
}

// param is a part of the path, unescaped.
func (r *request) param(name string) string {
	v := r.c.Param(name)
	if u, err := url.PathUnescape(v); err == nil {
		return u
	}
	return v
}

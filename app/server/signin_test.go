package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"plumbline/app/authz"
	"plumbline/inventory"
)

// account makes a person of the test's organisation with a password.
func account(t *testing.T, s *Server, email, password string) inventory.Person {
	t.Helper()
	p, err := s.Register.AddAccount(t.Context(), authz.Actor{Org: testOrg, ID: "test"}, inventory.Person{Name: "Person of " + email, Email: email, Roles: []authz.Role{authz.Auditor}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register.SetPassword(t.Context(), p.ID, password); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSigningIn(t *testing.T) {
	s, base, log := office(t)
	const password = "four words and a number 7"
	ada := account(t, s, "ada@acme.example", password)
	v := newVisitor(t, base)

	// One is led back to where one wanted to go, and to no other site.
	v.is(v.get("/documents?kind=audit"), 200, "/signin?next="+url.QueryEscape("/documents?kind=audit"))
	v.is(v.submit("/signin", "email", " ADA@acme.example ", "password", password, "next", "/documents?kind=audit"), 200, "/documents?kind=audit")
	v.is(v.submit("/signout"), 200, "/signin")
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)"} {
		v.is(v.submit("/signin", "email", "ada@acme.example", "password", password, "next", next), 200, "/")
		v.submit("/signout")
	}

	// Another site's form is refused, with the right password too.
	req, err := http.NewRequest(http.MethodPost, base+"/signin", strings.NewReader(url.Values{"email": {"ada@acme.example"}, "password": {password}}.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		req.Header.Set("Origin", "https://evil.example")
	}
	if p := v.do(req, err); p.status != 403 {
		t.Errorf("a form of another site got %d", p.status)
	}

	// A stranger and a wrong password get the same words.
	unknown := v.submit("/signin", "email", "nobody@acme.example", "password", password)
	wrong := v.submit("/signin", "email", "ada@acme.example", "password", "five words and a number 8")
	if unknown.status != 401 || strings.ReplaceAll(unknown.text(), "nobody@", "ada@") != wrong.text() {
		t.Errorf("a stranger is told %q, a wrong password %q", unknown.text(), wrong.text())
	}

	// A new password, and the end of a membership, end what is open.
	v.is(v.submit("/signin", "email", "ada@acme.example", "password", password), 200, "/")
	other := newVisitor(t, base)
	other.is(other.submit("/signin", "email", "ada@acme.example", "password", password), 200, "/")
	other.get("/account")
	other.is(other.submit("/account/password", "old", password, "password", "another four words and 9"), 200, "/account")
	v.is(v.get("/documents"), 200, "/signin?next=%2Fdocuments")
	if err := s.Register.RemoveAccount(context.Background(), officer, ada.ID, "left"); err != nil {
		t.Fatal(err)
	}
	other.is(other.get("/documents"), 200, "/signin?next=%2Fdocuments")
	v.is(v.submit("/signin", "email", "ada@acme.example", "password", "another four words and 9"), 403, "/signin", "belongs to no organisation")

	if n := log.count(password) + log.count("another four words"); n != 0 {
		t.Errorf("a password stands in the log %d times", n)
	}
}

// After ten failures for an address the right password is not tried either.
func TestSigningInIsSlowedDown(t *testing.T) {
	s, base, _ := office(t)
	const password = "four words and a number 7"
	account(t, s, "ada@acme.example", password)
	account(t, s, "bob@acme.example", password)
	v := newVisitor(t, base)
	for range 10 {
		v.is(v.submit("/signin", "email", "ada@acme.example", "password", "a guess at a password"), 401, "/signin")
	}
	p := v.is(v.submit("/signin", "email", "ada@acme.example", "password", password), 429, "/signin", "Wait a quarter of an hour")
	if p.header.Get("Retry-After") != "900" {
		t.Errorf("retry after %q", p.header.Get("Retry-After"))
	}
	v.is(v.submit("/signin", "email", "bob@acme.example", "password", password), 200, "/")
}

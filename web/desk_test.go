package web_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"plumbline/app/config"
	"plumbline/app/server"
)

// emptyServer is a server that nobody has an account on yet, with the token of the
// link that it makes for whoever is to be the first.
func emptyServer(t *testing.T, publicURL string) (base, token string) {
	t.Helper()
	env := map[string]string{"PLUMBLINE_DATA_DIR": t.TempDir(), "PLUMBLINE_INSTANCE": "empty", "PLUMBLINE_PUBLIC_URL": publicURL}
	c, err := config.Load("", func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	c.DrainTimeout = 5 * time.Second
	s, err := server.New(t.Context(), server.Options{Config: c, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if token, err = s.Register.Link(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String(), token
}

// begin makes the first organisation and its administrator over the forms.
func begin(t *testing.T, base, token string) *reader {
	t.Helper()
	r := newReader(base)
	for _, step := range []struct {
		path string
		form []string
	}{
		{"/signin/link/" + token, nil},
		{"/first-run", []string{"organisation_name", "Acme", "id", "acme", "name", "Ada Wong", "email", "ada@acme.example", "password", "correct horse battery"}},
	} {
		if a := r.post(t, step.path, step.form...); a.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %.300s", step.path, a.status, plainText(a.body))
		}
	}
	fresh, err := r.refreshed()
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

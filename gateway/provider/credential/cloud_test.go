package credential

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumbline/app/config"
)

// renewed looks three times, each when the one before says, and expects another secret
// each time, before the one before has ended. Then the endpoint refuses, and the error
// says so, what to do, and nothing that was sent or answered.
func renewed(t *testing.T, s *Source, now *time.Time, reference string, secret func(*value) string, refuse func(), says, advice string) {
	t.Helper()
	var before *value
	for range 3 {
		v, next, err := s.follow(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && (secret(v) == secret(before) || !now.Before(before.expires)) {
			t.Errorf("%s at %v is no other than before, or late (%v)", secret(v), *now, before.expires)
		}
		if v.expires.IsZero() || !next.After(*now) || next.After(v.expires.Add(-ahead+time.Second)) {
			t.Errorf("looked for again at %v, of what ends at %v", next, v.expires)
		}
		before = v
		if reference != "aws:" || v.aws.Session != "instance" { // AWS's library says an hour from the machine's clock
			*now = next
		}
	}
	refuse()
	_, _, err := s.follow(t.Context(), reference)
	if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "http") {
		t.Errorf("%v, want %q and %q", err, says, advice)
	}
}

// The endpoints here count from the machine's clock, which does not move: each secret
// lives an hour longer than the one before.
func token(v *value) string { return v.token }

func TestGoogleMetadataServer(t *testing.T) {
	now := time.Now()
	s := sourceOf(t, nil, &now)
	alone(t)
	n, status := 0, 200
	f := newFake(t, func(r *http.Request, _ string) (int, string) {
		switch {
		case r.Header.Get("Metadata-Flavor") != "Google":
			return 403, `canary`
		case strings.HasSuffix(r.URL.Path, "/service-accounts/default/token"):
			if status != 200 {
				return status, `{"error":"canary-quoted"}`
			}
			n++
			return 200, fmt.Sprintf(`{"access_token":"ya29.canary-%d","expires_in":%d,"token_type":"Bearer"}`, n, n*3600)
		case strings.HasSuffix(r.URL.Path, "/universe/universe-domain"), strings.HasSuffix(r.URL.Path, "/universe/universe_domain"):
			return 404, ``
		}
		return 200, `project`
	})
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(f.URL, "http://"))
	renewed(t, s, &now, "google:", token, func() { f.mu.Lock(); status = 404; f.mu.Unlock() }, "gave no token", "check the service account")
}

// through sends every call to one server, whatever host it is for.
type through struct{ to *url.URL }

func (h through) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Clone(r.Context())
	c.Header.Set("X-Host", r.URL.Host)
	c.URL.Scheme, c.URL.Host, c.Host = h.to.Scheme, h.to.Host, h.to.Host
	return http.DefaultTransport.RoundTrip(c)
}

func TestAzureApplications(t *testing.T) {
	for _, c := range []struct{ name, form string }{
		{"client secret", "client_secret=canary-client-secret"},
		{"workload identity", "client_assertion=canary-federated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			home := alone(t)
			n, status := 0, 200
			f := newFake(t, func(r *http.Request, body string) (int, string) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
					return 200, `{"tenant_discovery_endpoint":"https://login.microsoftonline.com/tenant/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com"]}]}`
				case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
					return 200, `{"token_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/token","authorization_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize","issuer":"https://login.microsoftonline.com/tenant/v2.0"}`
				case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
					if status != 200 || !strings.Contains(body, c.form) || !strings.Contains(body, "cognitiveservices") || !strings.Contains(body, "client_id=app") {
						return 401, `{"error":"invalid_client","error_description":"canary-quoted"}`
					}
					n++
					return 200, fmt.Sprintf(`{"access_token":"canary-%d","expires_in":%d,"token_type":"Bearer"}`, n, n*3600)
				}
				return 404, `{}`
			})
			to, err := url.Parse(f.URL)
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Client: &http.Client{Transport: through{to}}, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close(t.Context()) })
			t.Setenv("AZURE_TENANT_ID", "tenant")
			t.Setenv("AZURE_CLIENT_ID", "app")
			if c.name == "client secret" {
				t.Setenv("AZURE_CLIENT_SECRET", "canary-client-secret")
			} else {
				path := filepath.Join(home, "token")
				if err := os.WriteFile(path, []byte("canary-federated"), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("AZURE_FEDERATED_TOKEN_FILE", path)
			}
			renewed(t, s, &now, "azure:", token, func() { f.mu.Lock(); status = 401; f.mu.Unlock() }, "status 401", "check AZURE_TENANT_ID")
		})
	}
}

func TestAWSEndpoints(t *testing.T) {
	keysOf := func(v *value) string { return v.aws.Secret }
	for _, c := range []struct {
		name string
		set  func(t *testing.T, at, home string)
		asks func(r *http.Request) bool
	}{
		{"instance (IMDSv2)", func(t *testing.T, at, _ string) {
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", at)
		}, func(r *http.Request) bool { return r.Header.Get("X-Aws-Ec2-Metadata-Token") == "canary-session" }},
		{"container (ECS)", func(t *testing.T, at, _ string) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", at+"/keys")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-task")
		}, func(r *http.Request) bool { return r.Header.Get("Authorization") == "canary-task" }},
		{"pod (EKS)", func(t *testing.T, at, home string) {
			path := filepath.Join(home, "pod-token")
			if err := os.WriteFile(path, []byte("canary-pod"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", at+"/keys")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path)
		}, func(r *http.Request) bool { return r.Header.Get("Authorization") == "canary-pod" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, began := time.Now(), time.Now()
			home := alone(t)
			s := sourceOf(t, nil, &now)
			n, status := 0, 200
			f := newFake(t, func(r *http.Request, _ string) (int, string) {
				switch {
				case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
					if r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") == "" {
						return 400, ``
					}
					return 200, `canary-session`
				case status != 200 || !c.asks(r):
					return 403, `{"code":"canary-code","message":"canary-quoted"}`
				case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
					return 200, `role`
				case r.URL.Path == "/latest/meta-data/iam/security-credentials/role", r.URL.Path == "/keys":
					n++
					return 200, fmt.Sprintf(`{"Code":"Success","AccessKeyId":"ASIA%d","SecretAccessKey":"canary-%d","Token":%q,"Expiration":"%s"}`, n, n, strings.Fields(c.name)[0], began.Add(time.Duration(n)*time.Hour).UTC().Format(time.RFC3339))
				}
				return 404, `canary-quoted`
			})
			c.set(t, f.URL, home)
			renewed(t, s, &now, "aws:", keysOf, func() { f.mu.Lock(); status = 403; f.mu.Unlock() }, "status 403", "check the role")
		})
	}
}

// FuzzVaultAnswers: whatever Vault answers, the gateway has a text or an error that
// quotes nothing of it, and signs in at most twice.
func FuzzVaultAnswers(f *testing.F) {
	for _, c := range []struct {
		login, read             string
		loginStatus, readStatus int
	}{
		{`{"auth":{"client_token":"t","lease_duration":900}}`, `{"data":{"data":{"key":"sk"},"metadata":{}}}`, 200, 200},
		{`{"auth":{"client_token":"t","lease_duration":-9e18}}`, `{"data":{"data":{"key":7},"metadata":null}}`, 200, 200},
		{`{"auth":null}`, `null`, 200, 200}, {`[]`, `{"data":[]}`, 200, 200}, {``, ``, 204, 204},
		{`{"auth":{"client_token":"t\nX: y","lease_duration":1}}`, `{"data":{"data":null,"metadata":{}}}`, 200, 200},
		{`{"auth":{"client_token":"t","lease_duration":99999999999}}`, `{"data":{"data":{"key":"a\r\nb"},"metadata":{}}}`, 200, 200},
		{`{"auth":{"client_token":"t"}}`, `{"errors":["canary"]}`, 200, 403}, {`{"errors":["canary"]}`, ``, 403, 200}, {``, ``, 503, 473}, {``, ``, 200, 307},
	} {
		f.Add(c.login, c.read, c.loginStatus, c.readStatus)
	}
	f.Fuzz(func(t *testing.T, login, read string, loginStatus, readStatus int) {
		loginStatus, readStatus = 200+(loginStatus%400+200)%400, 200+(readStatus%400+200)%400 // those of answers stay as they are
		logins := 0
		client := &http.Client{Transport: answering(func(r *http.Request) (int, string) {
			if strings.HasSuffix(r.URL.Path, "/login") {
				logins++
				return loginStatus, login
			}
			return readStatus, read
		})}
		now := start
		s, err := New(Config{Resolve: func(string) (string, error) { return "given", nil }, Client: client, Now: func() time.Time { return now },
			Vault: &config.Vault{Address: "http://vault.example", Auth: "approle", AuthMount: "approle", RoleID: "env:A", SecretID: "env:B", Refresh: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		v, next, err := s.follow(t.Context(), "vault:secret/ai#key")
		switch {
		case err == nil && (v == nil || v.token == "" || strings.ContainsAny(v.token, "\r\n\x00")):
			t.Errorf("%+v is no secret", v)
		case err == nil && (!next.After(now) || next.After(now.Add(time.Minute)) || readStatus != 200 || loginStatus != 200):
			t.Errorf("until %v with %d and %d", next, loginStatus, readStatus)
		case err != nil && v != nil:
			t.Error("both a secret and an error")
		case err != nil && (strings.Contains(err.Error(), "canary") || len(read) > 20 && strings.Contains(err.Error(), read)):
			t.Errorf("%v quotes the answer", err)
		}
		if logins > 2 {
			t.Errorf("%d sign-ins", logins)
		}
	})
}

type answering func(r *http.Request) (int, string)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := a(r)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body))}, nil
}

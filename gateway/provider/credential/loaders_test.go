package credential

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"plumbline/app/config"
	"plumbline/inventory"
)

// fake is a small server that stands for Vault or a cloud's token endpoint.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newFake(t *testing.T, answer func(r *http.Request, body string) (int, string)) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.Path)
		status, body := answer(r, string(text))
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) times(call string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if a == call {
			n++
		}
	}
	return n
}

// sourceOf is a source with a clock that the test moves.
func sourceOf(t *testing.T, v *config.Vault, now *time.Time) *Source {
	t.Helper()
	s, err := New(Config{Resolve: config.Resolver(func(name string) string {
		return map[string]string{"VT": "vault-token", "RID": "role", "SID": "canary-secret-id"}[name]
	}), Vault: v, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func (s *Source) follow(ctx context.Context, reference string) (*value, time.Time, error) {
	return s.loader(place{"acme", "up"}, inventory.Provider{ID: "up"}, reference)(ctx)
}

func TestVault(t *testing.T) {
	const kv = `{"data":{"data":{"key":"sk-from-vault","number":7},"metadata":{"version":3}}}`
	ref := "vault:secret/ai/openai#key"
	t.Run("approle", func(t *testing.T) {
		now, good := start, "t1"
		f := newFake(t, func(r *http.Request, body string) (int, string) {
			switch {
			case r.URL.Path == "/v1/auth/approle/login":
				if !strings.Contains(body, `"role_id":"role"`) || !strings.Contains(body, "canary-secret-id") {
					return 400, `{}`
				}
				return 200, `{"auth":{"client_token":"` + good + `","lease_duration":900}}`
			case r.Header.Get("X-Vault-Token") != good:
				return 403, `{"errors":["canary-secret-id"]}`
			case r.URL.Path == "/v1/secret/data/ai/openai":
				return 200, kv
			}
			return 404, `{"errors":["canary-secret-id"]}`
		})
		s := sourceOf(t, &config.Vault{Address: f.URL, Auth: "approle", AuthMount: "approle", RoleID: "env:RID", SecretID: "env:SID", Refresh: time.Minute}, &now)
		read := func(reference, want, fails string) {
			t.Helper()
			v, next, err := s.follow(t.Context(), reference)
			if fails != "" {
				if err == nil || !strings.Contains(err.Error(), fails) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: %v, want %q", reference, err, fails)
				}
				return
			}
			if err != nil || v.token != want || next.Before(now.Add(50*time.Second)) || next.After(now.Add(time.Minute)) {
				t.Errorf("%s: %v until %v, %v", reference, v, next, err)
			}
		}
		login := "POST /v1/auth/approle/login"
		read(ref, "sk-from-vault", "")
		read(ref, "sk-from-vault", "")
		if n := f.times(login); n != 1 {
			t.Errorf("signed in %d times", n)
		}
		now = now.Add(601 * time.Second) // past two thirds of the lease
		read(ref, "sk-from-vault", "")
		f.mu.Lock()
		good = "t2" // the token was revoked
		f.mu.Unlock()
		read(ref, "sk-from-vault", "")
		if n := f.times(login); n != 3 {
			t.Errorf("signed in %d times", n)
		}
		read("vault:secret/ai/openai#nothing", "", "no field nothing")
		read("vault:secret/ai/openai#number", "", "is no text")
		read("vault:secret/ai/none#key", "", "there is no secret")
	})
	t.Run("token", func(t *testing.T) {
		now, status := start, 200
		f := newFake(t, func(r *http.Request, _ string) (int, string) {
			if r.Header.Get("X-Vault-Token") != "vault-token" {
				return 403, `{}`
			}
			if r.URL.Path == "/v1/auth/token/renew-self" {
				return 200, `{"auth":{"lease_duration":600}}`
			}
			return status, kv
		})
		s := sourceOf(t, &config.Vault{Address: f.URL, Auth: "token", Token: "env:VT", Refresh: time.Minute}, &now)
		for _, later := range []time.Duration{0, 299 * time.Second, 2 * time.Second} {
			now = now.Add(later)
			if v, _, err := s.follow(t.Context(), ref); err != nil || v.token != "sk-from-vault" {
				t.Errorf("%v %v", v, err)
			}
		}
		if n := f.times("POST /v1/auth/token/renew-self"); n != 2 {
			t.Errorf("renewed %d times", n)
		}
		for code, says := range map[int]string{403: "a policy of its token must", 404: "there is no secret", 503: "sealed or in maintenance", 473: "standby", 302: "redirect", 500: "status 500"} {
			f.mu.Lock()
			status = code
			f.mu.Unlock()
			if _, _, err := s.follow(t.Context(), ref); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "vault-token") {
				t.Errorf("%d: %v", code, err)
			}
		}
	})
	t.Run("slow", func(t *testing.T) {
		now, gate := start, make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gate }))
		defer slow.Close()
		defer close(gate)
		s := sourceOf(t, &config.Vault{Address: slow.URL, Auth: "token", Token: "env:VT", Refresh: time.Minute}, &now)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, _, err := s.follow(ctx, ref); err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%v", err)
		}
	})
}

func TestFileIsReadAgain(t *testing.T) {
	now, path := start, filepath.Join(t.TempDir(), "key")
	s := sourceOf(t, nil, &now)
	for _, text := range []string{"sk-one\n", "sk-two\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		v, next, err := s.follow(t.Context(), "file:"+path)
		if err != nil || v.token != strings.TrimSpace(text) || !next.Equal(now.Add(5*time.Second)) {
			t.Errorf("%v until %v, %v", v, next, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.follow(t.Context(), "file:"+path); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("%v", err)
	}
}

// alone takes what this machine may know of clouds away.
func alone(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "IDENTITY_ENDPOINT", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_TOKEN_CREDENTIALS", "IDENTITY_HEADER",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "GCE_METADATA_HOST"} {
		t.Setenv(name, "") // puts back at the end what is taken away now
		os.Unsetenv(name)
	}
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

func TestAWSChain(t *testing.T) {
	now := time.Now()
	s := sourceOf(t, nil, &now)
	holds := func(reference string, want AWS) {
		t.Helper()
		v, next, err := s.follow(t.Context(), reference)
		if err != nil || v.aws != want || next.Before(now) {
			t.Errorf("%s: %v %v", reference, next, err)
		}
	}
	home := alone(t)
	if _, _, err := s.follow(t.Context(), "aws:"); err == nil || strings.Contains(err.Error(), "http") {
		t.Errorf("with nothing there: %v", err)
	}
	if _, _, err := s.follow(t.Context(), "aws:nobody"); err == nil || !strings.Contains(err.Error(), "profile") {
		t.Errorf("without the profile: %v", err)
	}
	if err := os.WriteFile(filepath.Join(home, "credentials"), []byte("[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = team-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds("aws:team", AWS{"AKIATEAM", "team-secret", ""})
	f := newFake(t, func(r *http.Request, _ string) (int, string) {
		return 200, `{"AccessKeyId":"ASIACONTAINER","SecretAccessKey":"container-secret","Token":"session","Expiration":"` + now.Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	})
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f.URL+"/creds")
	holds("aws:", AWS{"ASIACONTAINER", "container-secret", "session"})
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	holds("aws:", AWS{"AKIAENV", "env-secret", ""})
}

func TestGoogleDefault(t *testing.T) {
	now := time.Now()
	s := sourceOf(t, nil, &now)
	home, status := alone(t), 200
	f := newFake(t, func(r *http.Request, body string) (int, string) {
		if !strings.Contains(body, "assertion=") {
			return 400, `{}`
		}
		if status != 200 {
			return status, `{"error":"canary-quoted"}`
		}
		return 200, `{"access_token":"ya29.issued","token_type":"Bearer","expires_in":3600}`
	})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@b.example", "private_key_id": "1", "token_uri": f.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))})
	if err = errors.Join(err, os.WriteFile(filepath.Join(home, "sa.json"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "sa.json"))
	v, next, err := s.follow(t.Context(), "google:")
	if err != nil {
		t.Fatal(err)
	}
	if v.token != "ya29.issued" || !v.issued || next.After(now.Add(56*time.Minute)) || !next.After(now) {
		t.Errorf("until %v", next)
	}
	f.mu.Lock()
	status = 401
	f.mu.Unlock()
	if _, _, err := s.follow(t.Context(), "google:"); err == nil || !strings.Contains(err.Error(), "status 401") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "none.json"))
	if _, _, err := s.follow(t.Context(), "google:"); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("%v", err)
	}
}

func TestAzureManagedIdentity(t *testing.T) {
	now := time.Now()
	s := sourceOf(t, nil, &now)
	alone(t)
	f := newFake(t, func(r *http.Request, _ string) (int, string) {
		if r.Header.Get("X-IDENTITY-HEADER") != "canary-header" || !strings.Contains(r.URL.RawQuery, "cognitiveservices") {
			return 400, `{}`
		}
		return 200, `{"access_token":"azure-issued","expires_on":"` + strconv.FormatInt(now.Add(time.Hour).Unix(), 10) + `","resource":"x","token_type":"Bearer"}`
	})
	t.Setenv("IDENTITY_ENDPOINT", f.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "canary-header")
	v, next, err := s.follow(t.Context(), "azure:")
	if err != nil {
		t.Fatal(err)
	}
	if v.token != "azure-issued" || !v.issued || !next.After(now) {
		t.Errorf("until %v", next)
	}
}

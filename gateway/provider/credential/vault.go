package credential

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"plumbline/app/config"
)

// vault speaks the three calls of Vault's and OpenBao's HTTP API that are needed
// here: sign in, renew the own token, read a secret of a KV store in version 2
// (developer.hashicorp.com/vault/api-docs: auth, system, secret/kv/kv-v2).
type vault struct {
	c       config.Vault
	resolve func(string) (string, error)
	client  *http.Client
	now     func() time.Time

	mu      sync.Mutex // one sign-in at a time; guards what follows
	token   string
	renewAt time.Time // zero: the token does not end
	ends    time.Time
}

func newVault(c Config) (*vault, error) {
	v := &vault{c: *c.Vault, resolve: c.Resolve, client: c.Client, now: c.Now}
	if v.client != nil {
		return v, nil
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConns: 8, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if v.c.CAFile != "" {
		pem, err := os.ReadFile(v.c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read vault.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("vault.ca_file holds no certificate in PEM")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	// A redirect would carry the token to wherever it points.
	v.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v, nil
}

// read reads one field of a secret. A token that is not accepted any more is made
// anew once.
func (v *vault) read(ctx context.Context, r config.Reference) (*value, time.Time, error) {
	status, body, err := v.readOnce(ctx, r, false)
	if err == nil && status == http.StatusForbidden && v.c.Auth != "token" {
		status, body, err = v.readOnce(ctx, r, true)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := v.refused(status, r); err != nil {
		return nil, time.Time{}, err
	}
	var answer struct {
		Data struct {
			Data     map[string]json.RawMessage `json:"data"`
			Metadata json.RawMessage            `json:"metadata"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Data.Metadata == nil {
		return nil, time.Time{}, fmt.Errorf("vault answers for %s/%s in another form than that of a KV store in version 2", r.Mount, r.Path)
	}
	field, ok := answer.Data.Data[r.Field]
	if !ok {
		return nil, time.Time{}, fmt.Errorf("the secret %s/%s in vault has no field %s", r.Mount, r.Path, r.Field)
	}
	var text string
	if json.Unmarshal(field, &text) != nil {
		return nil, time.Time{}, fmt.Errorf("the field %s of the secret %s/%s in vault is no text", r.Field, r.Mount, r.Path)
	}
	found, err := newToken(text, time.Time{})
	// Many gateways that were started at once shall not ask at once for ever.
	return found, v.now().Add(v.c.Refresh - rand.N(v.c.Refresh/10+1)), err
}

func (v *vault) refused(status int, r config.Reference) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound:
		return fmt.Errorf("there is no secret %s/%s in vault, or its newest version is deleted", r.Mount, r.Path)
	case status == http.StatusForbidden:
		return fmt.Errorf("vault does not let the gateway read %s/data/%s: a policy of its token must", r.Mount, r.Path)
	}
	return vaultStatus(status)
}

// vaultStatus says what an answer without a secret means; its text is not quoted.
func vaultStatus(status int) error {
	switch status {
	case http.StatusServiceUnavailable:
		return errors.New("vault is sealed or in maintenance (503)")
	case 472, 473:
		return fmt.Errorf("this vault is a standby (%d); name the active one", status)
	}
	if status >= 300 && status < 400 {
		return fmt.Errorf("vault answers with a redirect (%d), which is not followed; name the address it leads to", status)
	}
	return fmt.Errorf("vault answers with status %d", status)
}

func (v *vault) readOnce(ctx context.Context, r config.Reference, anew bool) (int, []byte, error) {
	token, err := v.signedIn(ctx, anew)
	if err != nil {
		return 0, nil, err
	}
	return v.call(ctx, http.MethodGet, r.Mount+"/data/"+r.Path, token, nil)
}

// signedIn is a token that is valid now.
func (v *vault) signedIn(ctx context.Context, anew bool) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if v.c.Auth == "token" {
		return v.givenToken(ctx, now)
	}
	if !anew && v.token != "" && (v.ends.IsZero() || now.Before(v.ends)) {
		return v.token, nil
	}
	login, err := v.credentials()
	if err != nil {
		return "", err
	}
	status, body, err := v.call(ctx, http.MethodPost, "auth/"+strings.Trim(v.c.AuthMount, "/")+"/login", "", login)
	if err != nil {
		return "", err
	}
	lease, token := leaseOf(body)
	switch {
	case status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "", fmt.Errorf("vault does not accept the gateway's %s sign-in (%d)", v.c.Auth, status)
	case status != http.StatusOK:
		return "", vaultStatus(status)
	case token == "":
		return "", fmt.Errorf("vault gave no token to the gateway's %s sign-in", v.c.Auth)
	}
	v.token, v.ends = token, time.Time{}
	if lease > 0 {
		v.ends = now.Add(lease * 2 / 3)
	}
	return token, nil
}

// givenToken is the token that the operator keeps where vault.token says. It is
// renewed at half of its lease; one that cannot be renewed is used as it is.
func (v *vault) givenToken(ctx context.Context, now time.Time) (string, error) {
	token, err := v.resolve(v.c.Token)
	if err != nil {
		return "", err
	}
	if token == v.token && (v.renewAt.IsZero() || now.Before(v.renewAt)) {
		return token, nil
	}
	status, body, err := v.call(ctx, http.MethodPost, "auth/token/renew-self", token, map[string]string{})
	if err != nil {
		return "", err
	}
	v.token, v.renewAt = token, time.Time{}
	if lease, _ := leaseOf(body); status == http.StatusOK && lease > 0 {
		v.renewAt = now.Add(lease / 2)
	}
	return token, nil
}

// leaseOf reads how long a token lives, and the token, from an answer of auth.
func leaseOf(body []byte) (time.Duration, string) {
	var answer struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"` // seconds; 0: does not end
		} `json:"auth"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return 0, ""
	}
	return time.Duration(min(max(answer.Auth.LeaseDuration, 0), 1<<31)) * time.Second, answer.Auth.ClientToken
}

// credentials is the body of a sign-in.
func (v *vault) credentials() (map[string]string, error) {
	named := map[string]string{"role_id": v.c.RoleID, "secret_id": v.c.SecretID}
	out := map[string]string{}
	if v.c.Auth == "kubernetes" {
		named, out["role"] = map[string]string{"jwt": v.c.JWT}, v.c.Role
	}
	for key, reference := range named {
		text, err := v.resolve(reference)
		if err != nil {
			return nil, fmt.Errorf("sign in to vault: %w", err)
		}
		out[key] = text
	}
	return out, nil
}

// call makes one call below /v1/.
func (v *vault) call(ctx context.Context, method, path, token string, body any) (int, []byte, error) {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.c.Address+"/v1/"+(&url.URL{Path: path}).EscapedPath(), send)
	if err != nil {
		return 0, nil, errors.New("vault.address is no address")
	}
	req.Header.Set("X-Vault-Request", "true")
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if v.c.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.c.Namespace)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("vault cannot be reached: %s", failure(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("vault broke off its answer: %s", failure(err))
	}
	return resp.StatusCode, text, nil
}

package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"plumbline/gateway/dialect"
	"plumbline/gateway/provider/credential"
	"plumbline/inventory"
)

// toHost sends every call to one server, whatever its host.
type toHost struct{ host string }

func (t toHost) RoundTrip(r *http.Request) (*http.Response, error) {
	c := r.Clone(r.Context())
	c.URL.Scheme, c.URL.Host = "http", t.host
	return http.DefaultTransport.RoundTrip(c)
}

// What arrives at Bedrock bears the signature of what was sent: body, path and headers.
func TestBedrockIsSigned(t *testing.T) {
	const access, secret = "AKIAABCDEFGHIJKLMNOP", "sEcReT/canary"
	key, err := credential.Static(access + ":" + secret + ":session")
	if err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	k, err := KindOf("bedrock")
	if err != nil {
		t.Fatal(err)
	}
	p, err := k.New(&inventory.Provider{BaseURL: "https://bedrock-runtime.eu-central-1.amazonaws.com"}, toHost{strings.TrimPrefix(srv.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	path := k.Speaks[dialect.ConverseCreate].Of("anthropic.claude v1:0", false)
	resp, err := p.Send(t.Context(), &Request{Path: path, Body: []byte(`{"messages":[]}`), ID: "id-1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	signature := got.Header.Get("Authorization")
	if !strings.Contains(signature, "Credential="+access+"/") || !strings.Contains(signature, "/eu-central-1/bedrock/aws4_request") || strings.Contains(signature, "canary") || got.Header.Get("X-Amz-Security-Token") != "session" {
		t.Fatalf("%s", signature)
	}
	at, err := time.Parse("20060102T150405Z", got.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	// Sign what arrived once more: the headers that are said to be signed, and no other.
	again := &http.Request{Method: got.Method, Host: "bedrock-runtime.eu-central-1.amazonaws.com", ContentLength: int64(len(body)), Header: http.Header{}}
	again.URL = &url.URL{Scheme: "https", Host: again.Host, Path: got.URL.Path, RawPath: got.URL.RawPath}
	_, signed, _ := strings.Cut(signature, "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	for _, name := range strings.Split(signed, ";") {
		if name != "host" && name != "content-length" && !strings.HasPrefix(name, "x-amz-") {
			again.Header[http.CanonicalHeaderKey(name)] = got.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: access, SecretAccessKey: secret, SessionToken: "session"}, again, hex.EncodeToString(sum[:]), "bedrock", "eu-central-1", at); err != nil {
		t.Fatal(err)
	}
	if again.Header.Get("Authorization") != signature {
		t.Errorf("\n%s\n%s", signature, again.Header.Get("Authorization"))
	}
	if _, err := p.Send(t.Context(), &Request{Path: path, Body: []byte(`{}`)}); err != nil || got.Header.Get("Authorization") != "" {
		t.Errorf("without a key: %v %v", err, got.Header)
	}
}

func TestRegionOf(t *testing.T) {
	for host, want := range map[string]string{"bedrock-runtime.eu-central-1.amazonaws.com": "eu-central-1", "bedrock-runtime-fips.us-gov-west-1.amazonaws.com": "us-gov-west-1",
		"vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com": "us-east-1", "localhost": "", "bedrock-runtime.example.com": ""} {
		if got, _ := regionOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"plumbline/gateway/provider/credential"
)

// signedForBedrock signs in to Bedrock: by an API key as bearer, or by AWS keys with a
// signature of version 4 over the request as it is sent
// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func signedForBedrock(req *http.Request, body []byte, key credential.Key) error {
	keys, ok := key.AWS()
	if !ok {
		if bearer := key.Bearer(); bearer != nil {
			req.Header["Authorization"] = bearer
		}
		return nil
	}
	region, ok := regionOf(req.URL.Hostname())
	if !ok {
		return errNoRegion
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(req.Context(), aws.Credentials{AccessKeyID: keys.AccessKey, SecretAccessKey: keys.Secret, SessionToken: keys.Session},
		req, hex.EncodeToString(sum[:]), "bedrock", region, time.Now())
}

var errNoRegion = errors.New("base_url names no AWS region, such as bedrock-runtime.eu-central-1.amazonaws.com")

// regionOf reads the region from a host of Bedrock's: the label after the service's.
func regionOf(host string) (string, bool) {
	labels := strings.Split(host, ".")
	for i, l := range labels {
		if strings.HasPrefix(l, "bedrock-runtime") && i+1 < len(labels) && strings.Count(labels[i+1], "-") >= 2 {
			return labels[i+1], true
		}
	}
	return "", false
}

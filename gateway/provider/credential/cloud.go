package credential

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"cloud.google.com/go/compute/metadata"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// A cloud's keys are made anew this long before they end, and never more often than
// soonest. What does not end is looked for again after static, for the files of a
// chain may change.
const (
	ahead   = 5 * time.Minute
	soonest = 30 * time.Second
	static  = 15 * time.Minute
)

func (s *Source) again(expires time.Time) time.Time {
	now := s.now()
	if expires.IsZero() {
		return now.Add(static)
	}
	if at := expires.Add(-ahead); at.After(now.Add(soonest)) {
		return at
	}
	return now.Add(soonest)
}

// awsChain follows AWS's default chain: environment, shared files, SSO, web identity,
// container, instance. Each look begins it anew, so that nothing in between is older
// than what it gives.
func (s *Source) awsChain(profile string) loader {
	return func(ctx context.Context) (*value, time.Time, error) {
		var options []func(*awsconfig.LoadOptions) error
		if profile != "" {
			options = append(options, awsconfig.WithSharedConfigProfile(profile))
		}
		c, err := awsconfig.LoadDefaultConfig(ctx, options...)
		if err != nil {
			return nil, time.Time{}, errors.New("the files of AWS's default chain could not be read, or lack the profile")
		}
		var keys aws.Credentials
		if c.Credentials == nil {
			return nil, time.Time{}, errors.New("the default chain of AWS knows no credentials; give the task, pod or instance a role, or set AWS_PROFILE")
		}
		if keys, err = c.Credentials.Retrieve(ctx); err != nil {
			return nil, time.Time{}, fmt.Errorf("the default chain gave no credentials: %s; check the role of the task, pod or instance, or the profile", failure(err))
		}
		v := &value{aws: AWS{keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken}}
		if keys.CanExpire {
			v.expires = keys.Expires
		}
		return v, s.again(v.expires), nil
	}
}

// googleScope is what Vertex AI asks for.
const googleScope = "https://www.googleapis.com/auth/cloud-platform"

// googleDefault follows Google's application default credentials.
func (s *Source) googleDefault(ctx context.Context) (*value, time.Time, error) {
	c, err := google.FindDefaultCredentials(ctx, googleScope)
	if err != nil {
		return nil, time.Time{}, errors.New("the application default credentials of Google are not there, or could not be read")
	}
	t, err := c.TokenSource.Token()
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the application default credentials of Google gave no token: %s; check the service account of the machine or of GOOGLE_APPLICATION_CREDENTIALS", failure(err))
	}
	v, err := newIssued(t.AccessToken, t.Expiry)
	return v, s.again(t.Expiry), err
}

// azureScope is what Azure OpenAI and the other services of Azure AI ask for.
const azureScope = "https://cognitiveservices.azure.com/.default"

// azureDefault follows DefaultAzureCredential: environment, workload identity,
// managed identity, developer tools.
func (s *Source) azureDefault(ctx context.Context) (*value, time.Time, error) {
	var options azidentity.DefaultAzureCredentialOptions
	if s.c.Client != nil {
		options.Transport = s.c.Client
	}
	c, err := azidentity.NewDefaultAzureCredential(&options)
	if err != nil {
		return nil, time.Time{}, errors.New("the default credential of Azure could not be set up from the environment")
	}
	t, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{azureScope}})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the default credential of Azure gave no token: %s; check AZURE_TENANT_ID and AZURE_CLIENT_ID with the secret or the token file, or the managed identity", failure(err))
	}
	v, err := newIssued(t.Token, t.ExpiresOn)
	return v, s.again(t.ExpiresOn), err
}

// failure says what of an error may be kept: what the network says, or a status.
// The libraries' own texts quote what they were answered.
func failure(err error) string {
	var (
		azure   *azidentity.AuthenticationFailedError
		google  *oauth2.RetrieveError
		machine *metadata.Error
		status  interface{ HTTPStatusCode() int } // AWS
		dns     *net.DNSError
		network *net.OpError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
	)
	switch {
	case errors.As(err, &azure) && azure.RawResponse != nil:
		return fmt.Sprintf("status %d", azure.RawResponse.StatusCode)
	case errors.As(err, &google) && google.Response != nil:
		return fmt.Sprintf("status %d", google.Response.StatusCode)
	case errors.As(err, &machine):
		return fmt.Sprintf("status %d of the metadata server", machine.Code)
	case errors.As(err, &status) && status.HTTPStatusCode() > 0:
		return fmt.Sprintf("status %d", status.HTTPStatusCode())
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "broken off"
	case errors.As(err, &dns):
		return "its name is not known"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not known here"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return "the call failed, or nothing led to one"
}

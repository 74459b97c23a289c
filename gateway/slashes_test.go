package gateway

import (
	"net/http/httptest"
	"testing"
)

// TestJoined: what is joined is the path alone. A name that was escaped stays as it is,
// and pages are left to who serves them.
func TestJoined(t *testing.T) {
	for _, c := range []struct{ name, target, want string }{ // want: path and query, escaped; "" where it stays
		{"a base that ends in a slash", "/v1//chat/completions", "/v1/chat/completions"},
		{"an address that does", "//v1/chat/completions", "/v1/chat/completions"},
		{"several", "/v1///chat//completions", "/v1/chat/completions"},
		{"a query", "/anthropic//v1/messages?beta=true&a=//", "/anthropic/v1/messages?beta=true&a=//"},
		{"a method behind a colon", "/gemini//v1beta/models/gemini-2.5-flash:generateContent", "/gemini/v1beta/models/gemini-2.5-flash:generateContent"},
		{"a deployment", "/azure//openai/deployments/gpt-4o/chat/completions?api-version=1", "/azure/openai/deployments/gpt-4o/chat/completions?api-version=1"},
		{"an ARN", "/bedrock//model/arn%3Aaws%3Abedrock%3A%3A1%3Aprofile%2F%2Fx/converse", "/bedrock/model/arn%3Aaws%3Abedrock%3A%3A1%3Aprofile%2F%2Fx/converse"},
		{"without its prefix", "//chat/completions", "/chat/completions"},
		{"as it should be", "/v1/chat/completions", ""},
		{"slashes in a name", "/bedrock/model/a%2F%2Fb/converse", ""},
		{"a page", "//systems", ""},
		{"an address of elsewhere", "//example.com/v1/models", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "http://127.0.0.1/", nil)
			u, err := r.URL.Parse("http://127.0.0.1" + c.target)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
			got, before := "", u.RequestURI()
			if q := Joined(r); q != nil {
				got = q.URL.RequestURI()
			}
			if got != c.want || u.RequestURI() != before {
				t.Errorf("%q, want %q; the request has %q", got, c.want, u.RequestURI())
			}
		})
	}
}

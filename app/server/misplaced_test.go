package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"plumbline/app/server/load"
	"plumbline/gateway"
)

// TestCallsBesidesTheBaseURLs: a call posted without its base URL's prefix is answered by
// the gateway, for the client reads no pages; no page or call of the API is taken for one.
func TestCallsBesidesTheBaseURLs(t *testing.T) {
	s, base, key, _ := desk(t)
	resp, answer := post(t, base+"/chat/completions", key, string(load.Request("x")))
	if resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(answer, "this call is at /v1/chat/completions") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, answer)
	}
	e := echo.New()
	s.Web.Mount(e)
	routes := e.Routes()
	if len(routes) < 50 {
		t.Fatalf("%d routes", len(routes))
	}
	for _, route := range routes {
		path := strings.NewReplacer(":", "", "*", "x").Replace(route.Path)
		q, err := http.NewRequest(route.Method, "http://x"+path, nil)
		if err == nil && gateway.Misplaced(q) {
			t.Errorf("%s %s would go to the gateway", route.Method, route.Path)
		}
	}
}

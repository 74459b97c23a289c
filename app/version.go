package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"
)

func prepareVersion(fs *flag.FlagSet) func(context.Context, *console, []string) error {
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(_ context.Context, c *console, _ []string) error {
		if *asJSON {
			return json.NewEncoder(c.out).Encode(map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
		}
		c.printf("plumbline %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	}
}

// prepareHealthcheck is what a container runtime calls: the image has no shell
// and no curl.
func prepareHealthcheck(fs *flag.FlagSet) func(context.Context, *console, []string) error {
	address := fs.String("address", "", "host:port of the server; default from PLUMBLINE_LISTEN, else 127.0.0.1:8080")
	ready := fs.Bool("ready", false, "ask /readyz (can it serve and record?) instead of /healthz (is it alive?)")
	return func(ctx context.Context, c *console, _ []string) error {
		at := *address
		if at == "" {
			at = dialable(c.env("PLUMBLINE_LISTEN"))
		}
		path := "/healthz"
		if *ready {
			path = "/readyz"
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
		if err != nil {
			return usageError("address %q: %v", at, err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("no answer from %s: %w", at, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", at+path, resp.Status)
		}
		c.printf("ok\n")
		return nil
	}
}

// dialable turns a listen address such as ":8080" or "0.0.0.0:8080" into one
// that can be dialled from the same machine.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "127.0.0.1:8080"
	}
	if host == "" || strings.Trim(host, "0.:") == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

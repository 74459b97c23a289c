package load

import (
	"io"
	"net"
	"net/http"
	"time"
)

// Yardstick is the least that a gateway can do: read the request, send it on
// through http.Transport, copy the answer. The server's CPU per exchange is
// stated as a ratio to it.
func Yardstick(upstream string) http.Handler {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConns:        2048,
		MaxIdleConnsPerHost: 2048,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The transport may look for the body's end when the answer has begun.
		http.NewResponseController(w).EnableFullDuplex()
		out, err := http.NewRequestWithContext(r.Context(), r.Method, upstream+r.URL.Path, r.Body)
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		out.ContentLength = r.ContentLength
		out.Header["Content-Type"] = r.Header["Content-Type"]
		out.Header["Authorization"] = r.Header["Authorization"]
		resp, err := transport.RoundTrip(out)
		if err != nil {
			http.Error(w, "upstream", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		if resp.Header.Get("Content-Type") != "text/event-stream" {
			io.Copy(w, resp.Body)
			return
		}
		buf := make([]byte, 8<<10)
		for { // what came is given on before more is waited for
			n, err := resp.Body.Read(buf)
			w.Write(buf[:n])
			if err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
}

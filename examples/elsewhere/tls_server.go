// The same as ../tls_server.rs.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"
)

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello over %s!\n", r.Proto)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", hello)
	server := &http.Server{
		Addr:              "127.0.0.1:8443",
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	if err := server.ListenAndServeTLS("cert.pem", "key.pem"); err != nil {
		log.Fatal(err)
	}
}

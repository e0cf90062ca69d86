// Go's net/http, as its guide has it, with the header timeout that it recommends.
package main

import (
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	http.HandleFunc("/13", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "Hello, World!")
	})
	server := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: 10 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		panic(err)
	}
}

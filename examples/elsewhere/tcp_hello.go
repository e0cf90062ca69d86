// The same as ../tcp_hello.rs, without its deadlines and its drain.
package main

import (
	"log"
	"net"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	log.Print("listening on ", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		go func() {
			defer conn.Close()
			conn.Write([]byte("Hello from server!\n"))
		}()
	}
}

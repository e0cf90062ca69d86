// The same as ../read_128.rs, without its deadlines and its drain.
package main

import (
	"fmt"
	"log"
	"net"
)

func read(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 128)
	count, err := conn.Read(buffer)
	if err != nil {
		log.Print("read error: ", err)
		return
	}
	fmt.Printf("Received: %s\n", buffer[:count])
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		go read(conn)
	}
}

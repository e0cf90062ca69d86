// The same as ../udp_echo.rs, without its bound on answers.
package main

import (
	"log"
	"net"
)

func main() {
	conn, err := net.ListenPacket("udp", "127.0.0.1:9000")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 65535)
	for {
		count, peer, err := conn.ReadFrom(buffer)
		if err != nil {
			log.Print(err)
			continue
		}
		conn.WriteTo(buffer[:count], peer)
	}
}

// The same as ../channel.rs.
package main

import "fmt"

func main() {
	channel := make(chan int)
	go func() {
		channel <- 42
		close(channel)
	}()
	value, ok := <-channel
	if !ok {
		fmt.Println("closed")
		return
	}
	fmt.Println(value)
}

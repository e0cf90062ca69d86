// The same as ../timeout.rs; the job goes on in the background.
package main

import (
	"context"
	"fmt"
	"time"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		time.Sleep(3 * time.Second)
		fmt.Println("任务完成")
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		fmt.Println(ctx.Err())
	}
}

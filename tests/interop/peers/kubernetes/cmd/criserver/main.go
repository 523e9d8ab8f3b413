// Command criserver is a container runtime that answers a kubelet and runs nothing: the fake runtime of the Kubernetes
// project behind a socket. It reports when it listens, and ends on a signal.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cri-client/pkg/fake"
)

func main() {
	socket := flag.String("socket", "", "path of the socket")
	flag.Parse()
	runtime := fake.NewFakeRemoteRuntime()
	if err := runtime.Start("unix://" + *socket); err != nil {
		fmt.Fprintln(os.Stderr, "criserver:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	runtime.Stop()
}

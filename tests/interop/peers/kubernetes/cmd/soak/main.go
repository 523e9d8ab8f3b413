// Command soak runs the parts of an operator for minutes: shared informers for three kinds, two candidates for one
// lease, and writers that create, change and delete what the informers watch. The caller restarts the server meanwhile.
// It prints a line when a candidate begins to lead. SIGUSR1 stops the leader without releasing its lease, as soon as
// there is one; SIGINT ends the run. At the end it prints one JSON verdict, whose `faults` describe each broken
// promise.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

type verdict struct {
	Seconds    float64          `json:"seconds"`
	Informers  []informerReport `json:"informers"`
	Writers    []writerReport   `json:"writers"`
	Leadership leadershipReport `json:"leadership"`
	Faults     []string         `json:"faults"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "credentials of all clients in the program")
	rest := flag.Duration("rest", 30*time.Second, "how long informers may take to catch up at the end")
	klog.InitFlags(nil)
	flag.Parse()
	if err := run(*kubeconfig, *rest); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(kubeconfig string, patience time.Duration) error {
	crash, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(crash, syscall.SIGUSR1)
	signal.Notify(end, syscall.SIGINT)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := clientOf(config)
	if err != nil {
		return err
	}
	started := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	faults := &faultList{}

	informers := startInformers(ctx, client, faults)
	if err := awaitSync(ctx, informers, time.Minute); err != nil {
		return err
	}
	election := startElection(ctx, config, faults)
	writers, err := startWriters(client, faults)
	if err != nil {
		return err
	}
	fmt.Println("soaking")
	for soaking := true; soaking; {
		select {
		case <-crash:
			election.crashLeader()
		case <-end:
			soaking = false
		}
	}
	for _, each := range writers {
		each.stop()
	}
	result := verdict{Seconds: time.Since(started).Seconds()}
	for _, each := range writers {
		result.Writers = append(result.Writers, each.finish(ctx))
	}
	for _, each := range informers {
		result.Informers = append(result.Informers, each.finish(ctx, writers, patience))
	}
	result.Leadership = election.finish()
	cancel()
	result.Faults = faults.all()
	return json.NewEncoder(os.Stdout).Encode(result)
}

func clientOf(config *rest.Config) (*kubernetes.Clientset, error) {
	own := rest.CopyConfig(config)
	own.QPS, own.Burst = 200, 400
	return kubernetes.NewForConfig(own)
}

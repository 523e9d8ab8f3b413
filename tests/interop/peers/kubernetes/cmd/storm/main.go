// Command storm is many machines that bootstrap at the same instant: each opens a TLS connection of its own, posts one
// certificate signing request, watches it and takes the certificate. Keys and requests are made before the clock
// starts, so that the seconds it prints are the server's and the wire's. It fails when one machine gets none.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "credentials of every machine")
	nodes := flag.Int("nodes", 200, "machines")
	prefix := flag.String("prefix", "storm", "start of every node name")
	timeout := flag.Duration("timeout", 2*time.Minute, "give up after this long")
	flag.Parse()
	if err := run(*kubeconfig, *prefix, *nodes, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

type report struct {
	Nodes   int     `json:"nodes"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
}

func run(kubeconfig, prefix string, count int, timeout time.Duration) error {
	if count < 1 {
		return fmt.Errorf("-nodes must be at least 1")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	machines, err := prepare(config, prefix, count)
	if err != nil {
		return err
	}
	took, failures := release(machines, timeout)
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d machines got no certificate; the first: %w", len(failures), count, failures[0])
	}
	sort.Float64s(took)
	return json.NewEncoder(os.Stdout).Encode(report{
		Nodes: count, Seconds: took[count-1], P50: took[count/2], P99: took[(count*99)/100],
	})
}

func prepare(config *rest.Config, prefix string, count int) ([]*machine, error) {
	machines := make([]*machine, count)
	for index := range machines {
		made, err := newMachine(config, fmt.Sprintf("%s-%04d", prefix, index))
		if err != nil {
			return nil, err
		}
		machines[index] = made
	}
	return machines, nil
}

// release lets all machines go at once; it answers the seconds each took, counted from that instant.
func release(machines []*machine, timeout time.Duration) ([]float64, []error) {
	var (
		ready, done sync.WaitGroup
		mutex       sync.Mutex
		took        []float64
		failures    []error
		started     time.Time
		gate        = make(chan struct{})
	)
	for _, each := range machines {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-gate
			err := each.bootstrap(timeout)
			seconds := time.Since(started).Seconds()
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", each.name, err))
				return
			}
			took = append(took, seconds)
		}()
	}
	ready.Wait()
	started = time.Now()
	close(gate)
	done.Wait()
	return took, failures
}

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

type idleFacts struct {
	Connections int     `json:"connections"`
	Opened      float64 `json:"opened"`
	// Alive counts the connections that still answered at the end.
	Alive   int `json:"alive"`
	Retries int `json:"retries"`
}

// idleMode opens connections with one request on each, and leaves them idle until SIGTERM. It reports on standard error
// when all are open; at the end it sends another request on each.
func idleMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	connections := flags.Int("connections", 1000, "connections")
	return func(ctx context.Context, to servers) (any, error) {
		if *connections < 1 {
			return nil, fmt.Errorf("-connections must be at least 1")
		}
		clients := make([]rest.Interface, *connections)
		for index := range clients {
			client, err := newClient(to.at(index))
			if err != nil {
				return nil, err
			}
			clients[index] = client.RESTClient()
		}
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM, os.Interrupt)
		var patient patience
		started := time.Now()
		if failed := patient.touchAll(ctx, clients); failed != nil {
			return nil, failed
		}
		facts := &idleFacts{Connections: *connections, Opened: time.Since(started).Seconds()}
		if err := json.NewEncoder(os.Stderr).Encode(facts); err != nil {
			return nil, err
		}
		select {
		case <-end:
		case <-ctx.Done():
			return nil, fmt.Errorf("no SIGTERM before the deadline: %w", ctx.Err())
		}
		if failed := patient.touchAll(ctx, clients); failed != nil {
			return nil, failed
		}
		facts.Alive, facts.Retries = len(clients), patient.retries()
		return facts, nil
	}
}

func (p *patience) touchAll(ctx context.Context, clients []rest.Interface) error {
	var next atomic.Int64
	_, failures := together(min(opening, len(clients)), func(int) error {
		for index := int(next.Add(1)) - 1; index < len(clients); index = int(next.Add(1)) - 1 {
			if err := p.touch(ctx, clients[index]); err != nil {
				return fmt.Errorf("connection %d: %w", index, err)
			}
		}
		return nil
	})
	if len(failures) > 0 {
		return failures[0]
	}
	return nil
}

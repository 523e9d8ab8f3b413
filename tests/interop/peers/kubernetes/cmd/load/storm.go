package main

import (
	"context"
	"flag"
	"fmt"
	"time"
)

type stormFacts struct {
	Nodes int `json:"nodes"`
	// Seconds is the time from the common start to the last certificate.
	Seconds float64 `json:"seconds"`
	// Retries counts how often a machine had no answer and retried.
	Retries int `json:"retries"`
	times
}

// stormMode bootstraps many machines: each opens a TLS connection, posts one request, watches it and takes the
// certificate. Keys and requests are made before the clock starts, so only the server and the network are measured.
// With -clients, this many connections stay open, and each bootstraps one machine after another.
func stormMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	nodes := flags.Int("nodes", 200, "machines")
	clients := flags.Int("clients", 0, "connections that share the machines; 0 for one each")
	prefix := flags.String("prefix", "storm", "start of every node name")
	return func(ctx context.Context, to servers) (any, error) {
		if *nodes < 1 {
			return nil, fmt.Errorf("-nodes must be at least 1")
		}
		machines, err := newMachines(to, *prefix, *nodes, *clients)
		if err != nil {
			return nil, err
		}
		var patient patience
		facts, err := bootstrapAll(machines, func(_ int, each *machine) error { return each.bootstrap(ctx, &patient) })
		if err != nil {
			return nil, err
		}
		facts.Retries = patient.retries()
		return facts, nil
	}
}

// newMachines returns one list of machines for each connection.
func newMachines(to servers, prefix string, count, connections int) ([][]*machine, error) {
	if connections < 1 || connections > count {
		connections = count
	}
	clients, err := newClients(to, connections)
	if err != nil {
		return nil, err
	}
	queues := make([][]*machine, connections)
	for index := range count {
		made, err := newMachine(clients[index%connections], fmt.Sprintf("%s-%04d", prefix, index))
		if err != nil {
			return nil, err
		}
		queues[index%connections] = append(queues[index%connections], made)
	}
	return queues, nil
}

// bootstrapAll processes all queues in parallel, one machine after another in each.
func bootstrapAll(queues [][]*machine, bootstrap func(index int, each *machine) error) (*stormFacts, error) {
	ended := make([][]time.Time, len(queues))
	started, failures := together(len(queues), func(index int) error {
		for _, each := range queues[index] {
			if err := bootstrap(index, each); err != nil {
				return fmt.Errorf("%s: %w", each.name, err)
			}
			ended[index] = append(ended[index], time.Now())
		}
		return nil
	})
	if len(failures) > 0 {
		return nil, fmt.Errorf("%d of %d clients got no certificate; the first: %w",
			len(failures), len(queues), failures[0])
	}
	var took []time.Duration
	for _, queue := range ended {
		before := started
		for _, end := range queue {
			took = append(took, end.Sub(before))
			before = end
		}
	}
	last := started
	for _, queue := range ended {
		if end := queue[len(queue)-1]; end.After(last) {
			last = end
		}
	}
	return &stormFacts{Nodes: len(took), Seconds: last.Sub(started).Seconds(), times: timesOf(took)}, nil
}

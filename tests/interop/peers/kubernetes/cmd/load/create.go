package main

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	typed "k8s.io/client-go/kubernetes/typed/certificates/v1"
	"k8s.io/client-go/rest"
)

type createFacts struct {
	Requests int     `json:"requests"`
	Clients  int     `json:"clients"`
	Seconds  float64 `json:"seconds"`
	// Rate is the number of acknowledged requests per second.
	Rate    float64 `json:"rate"`
	Retries int     `json:"retries"`
	times
}

// createMode posts requests over a few connections, each one as soon as the last is acknowledged. The signer name has
// no signer, so only the path from the network to the disk is measured. Keys, requests and connections are made before
// the clock starts.
func createMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	count := flags.Int("requests", 1000, "requests to create")
	clients := flags.Int("clients", 16, "connections")
	signer := flags.String("signer", unsigned, "signer that they are for")
	keys := flags.Int("keys", 1000, "different keys, which requests share in turn")
	return func(ctx context.Context, to servers) (any, error) {
		if *count < 1 || *clients < 1 || *keys < 1 {
			return nil, fmt.Errorf("-requests, -clients and -keys must be at least 1")
		}
		requests := make([][]byte, min(*keys, *count))
		for index := range requests {
			_, request, err := newRequest(fmt.Sprintf("create-%04d", index))
			if err != nil {
				return nil, err
			}
			requests[index] = request
		}
		return create(ctx, to, requests, *count, *clients, *signer)
	}
}

func create(
	ctx context.Context,
	to servers,
	requests [][]byte,
	count, connections int,
	signer string,
) (*createFacts, error) {
	clients, err := newClients(to, connections)
	if err != nil {
		return nil, err
	}
	var patient patience
	for _, client := range clients {
		if err := patient.touch(ctx, client.RESTClient()); err != nil {
			return nil, err
		}
	}
	var next atomic.Int64
	took := make([]time.Duration, count)
	started, failures := together(connections, func(index int) error {
		client := clients[index].CertificateSigningRequests()
		for {
			number := int(next.Add(1)) - 1
			if number >= count {
				return nil
			}
			posted := time.Now()
			if _, err := patient.post(ctx, client, signer, requests[number%len(requests)]); err != nil {
				return fmt.Errorf("request %d: %w", number, err)
			}
			took[number] = time.Since(posted)
		}
	})
	seconds := time.Since(started).Seconds()
	if len(failures) > 0 {
		return nil, failures[0]
	}
	return &createFacts{
		Requests: count, Clients: connections, Seconds: seconds, Rate: float64(count) / seconds,
		Retries: patient.retries(), times: timesOf(took),
	}, nil
}

// touch opens the connection of a client.
func (p *patience) touch(ctx context.Context, client rest.Interface) error {
	return p.persist(ctx, func() error { return client.Get().AbsPath("/version").Do(ctx).Error() })
}

// post creates one request. The client generates the name, as random as a server's, so that a retry after a lost answer
// does not create a second request.
func (p *patience) post(
	ctx context.Context,
	client typed.CertificateSigningRequestInterface,
	signer string,
	request []byte,
) (name string, err error) {
	object := newObject(signer, request)
	object.Name, object.GenerateName = object.GenerateName+rand.String(nameLength), ""
	isFirst := true
	return object.Name, p.persist(ctx, func() error {
		_, err := client.Create(ctx, object, metav1.CreateOptions{})
		if !isFirst && apierrors.IsAlreadyExists(err) {
			err = nil
		}
		isFirst = false
		return err
	})
}

// nameLength makes a collision among a hundred thousand names unlikely.
const nameLength = 12

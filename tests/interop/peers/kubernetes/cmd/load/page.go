package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

type pageFacts struct {
	Requests int     `json:"requests"`
	Pages    int     `json:"pages"`
	Seconds  float64 `json:"seconds"`
	times
}

// pageMode walks the list as kubectl and informers do: a limit, then each continue token in turn.
func pageMode(flags *flag.FlagSet) func(*rest.Config) (any, error) {
	limit := flags.Int64("limit", 500, "items in a page")
	return func(config *rest.Config) (any, error) {
		if *limit < 1 {
			return nil, fmt.Errorf("-limit must be at least 1")
		}
		client, err := newClient(config)
		if err != nil {
			return nil, err
		}
		ctx := context.Background()
		if err := touch(ctx, client.RESTClient()); err != nil {
			return nil, err
		}
		facts := &pageFacts{}
		var took []time.Duration
		started := time.Now()
		for options := (metav1.ListOptions{Limit: *limit}); ; {
			asked := time.Now()
			page, err := client.CertificateSigningRequests().List(ctx, options)
			if err != nil {
				return nil, err
			}
			took = append(took, time.Since(asked))
			facts.Requests += len(page.Items)
			facts.Pages++
			if page.Continue == "" {
				break
			}
			options.Continue = page.Continue
		}
		facts.Seconds = time.Since(started).Seconds()
		facts.times = timesOf(took)
		return facts, nil
	}
}

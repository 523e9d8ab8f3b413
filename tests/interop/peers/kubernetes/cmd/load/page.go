package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type pageFacts struct {
	Requests int     `json:"requests"`
	Pages    int     `json:"pages"`
	Seconds  float64 `json:"seconds"`
	Retries  int     `json:"retries"`
	times
}

// pageMode walks the list as kubectl and informers do: a limit, then each continue token in turn.
func pageMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	limit := flags.Int64("limit", 500, "items in a page")
	return func(ctx context.Context, to servers) (any, error) {
		if *limit < 1 {
			return nil, fmt.Errorf("-limit must be at least 1")
		}
		client, err := newClient(to.at(0))
		if err != nil {
			return nil, err
		}
		var patient patience
		if err := patient.touch(ctx, client.RESTClient()); err != nil {
			return nil, err
		}
		facts := &pageFacts{}
		var took []time.Duration
		started := time.Now()
		for options := (metav1.ListOptions{Limit: *limit}); ; {
			asked := time.Now()
			var page *certificatesv1.CertificateSigningRequestList
			err := patient.persist(ctx, func() (err error) {
				page, err = client.CertificateSigningRequests().List(ctx, options)
				return err
			})
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
		facts.Retries, facts.times = patient.retries(), timesOf(took)
		return facts, nil
	}
}

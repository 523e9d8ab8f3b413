package main

import (
	"context"
	"flag"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type cleanFacts struct {
	Seconds float64 `json:"seconds"`
	Retries int     `json:"retries"`
}

// cleanMode deletes all requests; the credentials must be an administrator's.
func cleanMode(*flag.FlagSet) func(context.Context, servers) (any, error) {
	return func(ctx context.Context, to servers) (any, error) {
		client, err := newClient(to.at(0))
		if err != nil {
			return nil, err
		}
		started := time.Now()
		requests := client.CertificateSigningRequests()
		var patient patience
		err = patient.persist(ctx, func() error {
			return requests.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		})
		return &cleanFacts{Seconds: time.Since(started).Seconds(), Retries: patient.retries()}, err
	}
}

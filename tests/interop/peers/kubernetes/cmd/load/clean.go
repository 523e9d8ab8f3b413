package main

import (
	"context"
	"flag"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

type cleanFacts struct {
	Seconds float64 `json:"seconds"`
}

// cleanMode deletes all requests; the credentials must be an administrator's.
func cleanMode(*flag.FlagSet) func(*rest.Config) (any, error) {
	return func(config *rest.Config) (any, error) {
		client, err := newClient(config)
		if err != nil {
			return nil, err
		}
		started := time.Now()
		requests := client.CertificateSigningRequests()
		err = requests.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{})
		return &cleanFacts{Seconds: time.Since(started).Seconds()}, err
	}
}

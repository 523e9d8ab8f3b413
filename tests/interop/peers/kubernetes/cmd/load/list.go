package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const requestsPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

// The forms that clients ask for: plain, as kubectl prints, as controllers read.
var forms = []struct{ name, accept string }{
	{"json", "application/json"},
	{"table", "application/json;as=Table;v=v1;g=meta.k8s.io"},
	{"protobuf", "application/vnd.kubernetes.protobuf"},
}

type listFacts struct {
	Requests int `json:"requests"`
	Rounds   int `json:"rounds"`
	// Forms by name.
	Forms map[string]formFacts `json:"forms"`
}

type formFacts struct {
	// Bytes of the body of one answer.
	Bytes int64 `json:"bytes"`
	times
}

// listMode reads the whole list in each form, one after another, over one connection, to the last byte; nothing is
// decoded inside the times. Answers are not compressed unless asked for: the wire is loopback.
func listMode(flags *flag.FlagSet) func(*rest.Config) (any, error) {
	rounds := flags.Int("rounds", 5, "times that each form is read")
	compressed := flags.Bool("gzip", false, "accept compressed answers")
	return func(config *rest.Config) (any, error) {
		if *rounds < 1 {
			return nil, fmt.Errorf("-rounds must be at least 1")
		}
		config.DisableCompression = !*compressed
		client, err := newClient(config)
		if err != nil {
			return nil, err
		}
		ctx := context.Background()
		whole, err := client.CertificateSigningRequests().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return nil, err
		}
		facts := &listFacts{Requests: len(whole.Items), Rounds: *rounds, Forms: map[string]formFacts{}}
		raw, err := rest.HTTPClientFor(config)
		if err != nil {
			return nil, err
		}
		for _, form := range forms {
			made, err := readForm(raw, config.Host+requestsPath, form.accept, *rounds)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", form.name, err)
			}
			facts.Forms[form.name] = *made
		}
		return facts, nil
	}
}

func readForm(client *http.Client, address, accept string, rounds int) (*formFacts, error) {
	facts := &formFacts{}
	var took []time.Duration
	var buffer bytes.Buffer
	for range rounds {
		request, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", accept)
		buffer.Reset()
		started := time.Now()
		answer, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(&buffer, answer.Body)
		answer.Body.Close()
		took = append(took, time.Since(started))
		if err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %.500s", answer.Status, buffer.String())
		}
		facts.Bytes = int64(buffer.Len())
	}
	facts.times = timesOf(took)
	return facts, nil
}

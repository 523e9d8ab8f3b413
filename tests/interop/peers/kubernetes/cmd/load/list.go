package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	typed "k8s.io/client-go/kubernetes/typed/certificates/v1"
	"k8s.io/client-go/rest"
)

const requestsPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

// forms are those that clients request: plain JSON, kubectl's tables, and the protobuf of controllers.
var forms = []struct{ name, accept string }{
	{"json", "application/json"},
	{"table", "application/json;as=Table;v=v1;g=meta.k8s.io"},
	{"protobuf", "application/vnd.kubernetes.protobuf"},
}

type listFacts struct {
	Requests int `json:"requests"`
	Rounds   int `json:"rounds"`
	Retries  int `json:"retries"`
	// Forms has the results by the name of the form.
	Forms map[string]formFacts `json:"forms"`
}

type formFacts struct {
	// Bytes is the size of the body of one answer.
	Bytes int64 `json:"bytes"`
	times
}

// listMode reads the whole list in each form, one after another, to the last byte, over one connection to each
// server in turn; the times include no decoding. Answers are not compressed unless requested: the wire is loopback.
func listMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	rounds := flags.Int("rounds", 5, "times that each form is read")
	compressed := flags.Bool("gzip", false, "accept compressed answers")
	return func(ctx context.Context, to servers) (any, error) {
		if *rounds < 1 {
			return nil, fmt.Errorf("-rounds must be at least 1")
		}
		var patient patience
		facts := &listFacts{Rounds: *rounds, Forms: map[string]formFacts{}}
		wires := make([]*http.Client, len(to))
		for index, config := range to {
			config.DisableCompression = !*compressed
			wire, err := rest.HTTPClientFor(config)
			if err != nil {
				return nil, err
			}
			client, err := typed.NewForConfigAndClient(config, wire)
			if err != nil {
				return nil, err
			}
			err = patient.persist(ctx, func() error {
				whole, err := client.CertificateSigningRequests().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
				if err == nil {
					facts.Requests = len(whole.Items)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			wires[index] = wire
		}
		for _, form := range forms {
			made := formFacts{}
			var took []time.Duration
			var buffer bytes.Buffer
			for round := range *rounds {
				err := patient.persist(ctx, func() error {
					started := time.Now()
					address := to.at(round).Host + requestsPath
					if err := readForm(ctx, wires[round%len(wires)], address, form.accept, &buffer); err != nil {
						return err
					}
					took = append(took, time.Since(started))
					return nil
				})
				if err != nil {
					return nil, fmt.Errorf("%s: %w", form.name, err)
				}
			}
			made.Bytes, made.times = int64(buffer.Len()), timesOf(took)
			facts.Forms[form.name] = made
		}
		facts.Retries = patient.retries()
		return facts, nil
	}
}

func readForm(ctx context.Context, client *http.Client, address, accept string, into *bytes.Buffer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", accept)
	into.Reset()
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(into, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return apierrors.NewGenericServerResponse(
			answer.StatusCode, http.MethodGet, schema.GroupResource{}, "", fmt.Sprintf("%.500s", into.String()), 0, true)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// cfsslMode lets `cfssl serve` at the servers of the kubeconfigs sign requests, with keys as in a storm. A few
// connections stay open; each sends one request after another and checks the certificate.
func cfsslMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	count := flags.Int("nodes", 200, "certificates")
	clients := flags.Int("clients", 1, "connections")
	return func(_ context.Context, to servers) (any, error) {
		if *count < 1 || *clients < 1 {
			return nil, fmt.Errorf("-nodes and -clients must be at least 1")
		}
		queues, err := newMachines(to, "cfssl", *count, *clients)
		if err != nil {
			return nil, err
		}
		wires := make([]*http.Client, len(queues))
		for index := range wires {
			wires[index] = &http.Client{
				Timeout:   time.Minute,
				Transport: &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}},
			}
		}
		return bootstrapAll(queues, func(index int, each *machine) error {
			issued, err := signWithCfssl(wires[index], to.at(index).Host+"/api/v1/cfssl/sign", each.request)
			if err != nil {
				return err
			}
			return each.check(issued)
		})
	}
}

func signWithCfssl(client *http.Client, address string, request []byte) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"certificate_request": string(request)})
	if err != nil {
		return nil, err
	}
	answer, err := client.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var signed struct {
		Result struct {
			Certificate string `json:"certificate"`
		} `json:"result"`
	}
	if err := json.Unmarshal(text, &signed); err != nil || signed.Result.Certificate == "" {
		return nil, fmt.Errorf("%s: %.500s", answer.Status, text)
	}
	return []byte(signed.Result.Certificate), nil
}

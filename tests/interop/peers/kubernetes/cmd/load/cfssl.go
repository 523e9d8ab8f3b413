package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

// cfsslMode has requests signed by `cfssl serve` at the server of the kubeconfig, with the same keys as a storm: a few
// connections that stay open, each of which sends one request after another and checks the certificate.
func cfsslMode(flags *flag.FlagSet) func(*rest.Config) (any, error) {
	count := flags.Int("nodes", 200, "certificates")
	clients := flags.Int("clients", 1, "connections")
	return func(config *rest.Config) (any, error) {
		if *count < 1 || *clients < 1 {
			return nil, fmt.Errorf("-nodes and -clients must be at least 1")
		}
		queues, err := newMachines(config, "cfssl", *count, *clients)
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
		address := config.Host + "/api/v1/cfssl/sign"
		return bootstrapAll(queues, func(index int, each *machine) error {
			issued, err := signWithCfssl(wires[index], address, each.request)
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

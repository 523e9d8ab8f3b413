// Command chainjudge reports whether a Go client accepts the certificates that servers show. It reads one JSON object a line
// from standard input: the chain (leaf first) and the roots in DER, and the host. It writes "accept" or the reason why not.
package main

import (
	"bufio"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

// maxRSABits is that of crypto/tls (maxRSAKeySize), which checks the shown certificates before it verifies them.
const maxRSABits = 8192

type question struct {
	Chain [][]byte `json:"chain"`
	Roots [][]byte `json:"roots"`
	Host  string   `json:"host"`
}

func main() {
	log.SetFlags(0)
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	for input.More() {
		var asked question
		if err := input.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := judge(asked); err != nil {
			fmt.Printf("refuse: %q\n", err)
		} else {
			fmt.Println("accept")
		}
	}
}

func judge(asked question) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, der := range asked.Roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		roots.AddCert(root)
	}
	shown := make([]*x509.Certificate, len(asked.Chain))
	for index, der := range asked.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return fmt.Errorf("tls: server sent certificate containing RSA key larger than %d bits", maxRSABits)
		}
		shown[index] = certificate
		if index > 0 {
			intermediates.AddCert(certificate)
		}
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: asked.Host})
	return err
}

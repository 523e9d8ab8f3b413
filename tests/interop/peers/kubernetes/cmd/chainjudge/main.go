// Command chainjudge reports whether a Go client accepts the certificates of servers. It reads one JSON object per line
// from standard input: the chain (leaf first) and the roots in DER, the host, and the CRL of the first root, if any. It
// writes "accept" or the reason for a refusal.
package main

import (
	"bufio"
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"
)

// maxRSABits is maxRSAKeySize of crypto/tls, which checks the sizes of keys before it verifies certificates.
const maxRSABits = 8192

type question struct {
	Chain [][]byte `json:"chain"`
	Roots [][]byte `json:"roots"`
	Host  string   `json:"host"`
	CRL   []byte   `json:"crl"`
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
	var issuer *x509.Certificate
	for _, der := range asked.Roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if issuer == nil {
			issuer = root
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
	// With a CRL the certificate may be a client's.
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if asked.CRL != nil {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	_, err := shown[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, DNSName: asked.Host, KeyUsages: usages,
	})
	if err != nil || asked.CRL == nil {
		return err
	}
	return checkRevocation(shown[0], issuer, asked.CRL)
}

// checkRevocation does what Go leaves to programs: crypto/x509 parses a CRL and checks its signature.
func checkRevocation(leaf, issuer *x509.Certificate, der []byte) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return err
	}
	if now := time.Now(); now.Before(list.ThisUpdate) || now.After(list.NextUpdate) {
		return fmt.Errorf("the CRL is of another time: %v to %v", list.ThisUpdate, list.NextUpdate)
	}
	if list.Number == nil || !bytes.Equal(list.AuthorityKeyId, issuer.SubjectKeyId) {
		return fmt.Errorf("the CRL lacks its number or the key of its issuer")
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			return fmt.Errorf("revoked at %v, reason %d", entry.RevocationTime, entry.ReasonCode)
		}
	}
	return nil
}

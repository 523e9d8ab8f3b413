package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	typed "k8s.io/client-go/kubernetes/typed/certificates/v1"
)

type machine struct {
	name    string
	key     *ecdsa.PrivateKey
	request []byte
	client  typed.CertificateSigningRequestInterface
}

func newMachine(client *typed.CertificatesV1Client, name string) (*machine, error) {
	key, request, err := newRequest(name)
	if err != nil {
		return nil, err
	}
	return &machine{name: name, key: key, request: request, client: client.CertificateSigningRequests()}, nil
}

func (m *machine) bootstrap(ctx context.Context, patient *patience) error {
	object := newObject(certificatesv1.KubeAPIServerClientKubeletSignerName, m.request)
	var created *certificatesv1.CertificateSigningRequest
	err := patient.persist(ctx, func() (err error) {
		created, err = m.client.Create(ctx, object, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	one := stream{client: m.client, options: metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", created.Name).String(),
		ResourceVersion: created.ResourceVersion,
	}}
	var issued []byte
	err = patient.persist(ctx, func() error {
		return one.read(ctx, func(kind watch.EventType, request *certificatesv1.CertificateSigningRequest) (bool, error) {
			issued = request.Status.Certificate
			return len(issued) > 0, refusalIn(kind, request)
		})
	})
	if err != nil {
		return fmt.Errorf("no certificate for %s: %w", created.Name, err)
	}
	return m.check(issued)
}

func refusalIn(kind watch.EventType, request *certificatesv1.CertificateSigningRequest) error {
	if kind == watch.Deleted {
		return refuse("it was deleted")
	}
	for _, condition := range request.Status.Conditions {
		if condition.Type != certificatesv1.CertificateApproved {
			return refuse("it is %s: %s", condition.Type, condition.Message)
		}
	}
	return nil
}

// check verifies that a certificate has this machine's key and name.
func (m *machine) check(issued []byte) error {
	block, _ := pem.Decode(issued)
	if block == nil {
		return fmt.Errorf("the certificate is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	if want := "system:node:" + m.name; certificate.Subject.CommonName != want {
		return fmt.Errorf("the certificate is for %q, not %q", certificate.Subject.CommonName, want)
	}
	if !m.key.PublicKey.Equal(certificate.PublicKey) {
		return fmt.Errorf("the certificate has another key")
	}
	return nil
}

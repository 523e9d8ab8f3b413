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
	// retries are the times that nobody answered it.
	retries int
}

func newMachine(client *typed.CertificatesV1Client, name string) (*machine, error) {
	key, request, err := newRequest(name)
	if err != nil {
		return nil, err
	}
	return &machine{name: name, key: key, request: request, client: client.CertificateSigningRequests()}, nil
}

func (m *machine) bootstrap(ctx context.Context) error {
	object := newObject(certificatesv1.KubeAPIServerClientKubeletSignerName, m.request)
	var created *certificatesv1.CertificateSigningRequest
	err := m.persist(ctx, func() (err error) {
		created, err = m.client.Create(ctx, object, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	issued, err := m.wait(ctx, created)
	if err != nil {
		return err
	}
	return m.check(issued)
}

func (m *machine) persist(ctx context.Context, act func() error) error {
	again, err := persist(ctx, act)
	m.retries += again
	return err
}

func (m *machine) wait(ctx context.Context, created *certificatesv1.CertificateSigningRequest) ([]byte, error) {
	version := created.ResourceVersion
	for ctx.Err() == nil {
		var events watch.Interface
		err := m.persist(ctx, func() (err error) {
			events, err = m.client.Watch(ctx, metav1.ListOptions{
				FieldSelector:   fields.OneTermEqualSelector("metadata.name", created.Name).String(),
				ResourceVersion: version,
			})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		issued, err := take(events, &version)
		events.Stop()
		if err != nil || issued != nil {
			return issued, err
		}
	}
	return nil, fmt.Errorf("no certificate for %s: %w", created.Name, ctx.Err())
}

// take reads one watch until the certificate; nothing and no error means that the watch ended before.
func take(events watch.Interface, version *string) ([]byte, error) {
	for event := range events.ResultChan() {
		request, ok := event.Object.(*certificatesv1.CertificateSigningRequest)
		if !ok || event.Type == watch.Deleted {
			return nil, fmt.Errorf("watch event %s: %v", event.Type, event.Object)
		}
		*version = request.ResourceVersion
		for _, condition := range request.Status.Conditions {
			if condition.Type != certificatesv1.CertificateApproved {
				return nil, fmt.Errorf("%s is %s: %s", request.Name, condition.Type, condition.Message)
			}
		}
		if len(request.Status.Certificate) > 0 {
			return request.Status.Certificate, nil
		}
	}
	return nil, nil
}

// check wants a certificate for this machine's own key and name.
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

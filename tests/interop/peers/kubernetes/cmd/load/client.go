package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typed "k8s.io/client-go/kubernetes/typed/certificates/v1"
	"k8s.io/client-go/rest"
)

// stock configures a client like those of Kubernetes' own components: it uses protobuf, and only the server limits the
// rate.
func stock(config *rest.Config) *rest.Config {
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.QPS = -1
	return config
}

// newClient returns a client with its own TLS connection. client-go shares a connection between clients with the same
// configuration, which a separate dialer prevents.
func newClient(shared *rest.Config) (*typed.CertificatesV1Client, error) {
	config := rest.CopyConfig(shared)
	config.Dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	return typed.NewForConfig(config)
}

// newClients returns clients that are spread over the servers.
func newClients(to servers, count int) ([]*typed.CertificatesV1Client, error) {
	clients := make([]*typed.CertificatesV1Client, count)
	for index := range clients {
		client, err := newClient(to.at(index))
		if err != nil {
			return nil, err
		}
		clients[index] = client
	}
	return clients, nil
}

// newRequest generates a P-256 key and a kubelet's request for it.
func newRequest(node string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}},
	}, key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// newObject leaves its name to the server, as kubelet does.
func newObject(signer string, request []byte) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "load-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    request,
			SignerName: signer,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}
}

// unsigned is a signer name without a signer, so that a request stays as it was created.
const unsigned = "example.com/nobody"

// together runs a function for each index at the same time, and returns that time and the errors.
func together(count int, act func(index int) error) (time.Time, []error) {
	var (
		ready, done sync.WaitGroup
		gate        = make(chan struct{})
		failures    = make([]error, count)
	)
	for index := range count {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-gate
			failures[index] = act(index)
		}()
	}
	ready.Wait()
	started := time.Now()
	close(gate)
	done.Wait()
	var failed []error
	for _, err := range failures {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return started, failed
}

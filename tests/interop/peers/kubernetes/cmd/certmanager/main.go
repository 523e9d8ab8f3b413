// Command certmanager is the smallest client-go program that bootstraps and rotates a client certificate: the library's
// own certificate manager with a kubeconfig and a file store. It prints one line for each certificate that it gets, and
// ends after the requested number of certificates.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"os"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/certificate"
)

func main() {
	bootstrap := flag.String("bootstrap-kubeconfig", "", "credentials for the first request")
	dir := flag.String("cert-dir", "", "folder of the file store")
	node := flag.String("node", "", "node name")
	count := flag.Int("certificates", 1, "end after this many different certificates")
	lifetime := flag.Duration("lifetime", 0, "requested lifetime, 0 for the signer's")
	timeout := flag.Duration("timeout", time.Minute, "give up after this long")
	flag.Parse()
	if err := run(*bootstrap, *dir, *node, *count, *lifetime, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "certmanager:", err)
		os.Exit(1)
	}
}

func run(bootstrap, dir, node string, count int, lifetime, timeout time.Duration) error {
	config, err := clientcmd.BuildConfigFromFlags("", bootstrap)
	if err != nil {
		return err
	}
	store, err := certificate.NewFileStore("kubelet-client", dir, dir, "", "")
	if err != nil {
		return err
	}
	var requested *time.Duration
	if lifetime > 0 {
		requested = &lifetime
	}
	manager, err := certificate.NewManager(&certificate.Config{
		ClientsetFn: func(current *tls.Certificate) (clientset.Interface, error) {
			use := config
			if current != nil {
				use = rest.AnonymousClientConfig(config)
				pair := *current
				use.TLSClientConfig.CertData, use.TLSClientConfig.KeyData = encode(pair)
			}
			return clientset.NewForConfig(use)
		},
		Template: &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}},
		},
		SignerName:                   certificatesv1.KubeAPIServerClientKubeletSignerName,
		RequestedCertificateLifetime: requested,
		Usages: []certificatesv1.KeyUsage{
			certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth,
		},
		CertificateStore: store,
	})
	if err != nil {
		return err
	}
	manager.Start()
	defer manager.Stop()

	seen := map[[32]byte]bool{}
	deadline := time.Now().Add(timeout)
	for len(seen) < count {
		if time.Now().After(deadline) {
			return fmt.Errorf("timed out with %d of %d certificates", len(seen), count)
		}
		current := manager.Current()
		if current == nil || current.Leaf == nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		sum := sha256.Sum256(current.Leaf.Raw)
		if !seen[sum] {
			seen[sum] = true
			use := rest.AnonymousClientConfig(config)
			use.TLSClientConfig.CertData, use.TLSClientConfig.KeyData = encode(*current)
			client, err := clientset.NewForConfig(use)
			if err != nil {
				return err
			}
			if _, err := client.Discovery().ServerVersion(); err != nil {
				return fmt.Errorf("the new certificate is refused: %w", err)
			}
			fmt.Printf("certificate %d %s %x\n", len(seen), current.Leaf.Subject.CommonName, sum[:8])
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

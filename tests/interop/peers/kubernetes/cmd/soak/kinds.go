package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"strconv"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const changedAt = "soak.example.com/changed-at"

// kind has a writer's operations on one kind. A change is guarded by the version that the writer expects; each
// operation returns the acknowledged object.
type kind struct {
	name   string
	create func(ctx context.Context, name string) (metav1.Object, error)
	change func(ctx context.Context, name string, version uint64) (metav1.Object, error)
	remove func(ctx context.Context, name string) error
	find   func(ctx context.Context, name string) (metav1.Object, error)
	// others is whether a controller writes the kind too, so a version may be newer than expected.
	others bool
}

func configMaps(client kubernetes.Interface) kind {
	maps := client.CoreV1().ConfigMaps(namespace)
	return kind{
		name: "configmaps",
		create: func(ctx context.Context, name string) (metav1.Object, error) {
			return maps.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Data:       map[string]string{"text": "first"}, BinaryData: map[string][]byte{"bytes": {0, 255}},
			}, metav1.CreateOptions{})
		},
		change: func(ctx context.Context, name string, version uint64) (metav1.Object, error) {
			patch := fmt.Sprintf(`{"metadata":{"resourceVersion":"%d"},"data":{"text":%q}}`, version, stamp())
			return maps.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		},
		remove: func(ctx context.Context, name string) error { return maps.Delete(ctx, name, metav1.DeleteOptions{}) },
		find: func(ctx context.Context, name string) (metav1.Object, error) {
			return maps.Get(ctx, name, metav1.GetOptions{})
		},
	}
}

func secrets(client kubernetes.Interface) kind {
	secrets := client.CoreV1().Secrets(namespace)
	of := func(name string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeOpaque,
			Data: map[string][]byte{"stamp": []byte(stamp())},
		}
	}
	return kind{
		name: "secrets",
		create: func(ctx context.Context, name string) (metav1.Object, error) {
			return secrets.Create(ctx, of(name), metav1.CreateOptions{})
		},
		change: func(ctx context.Context, name string, version uint64) (metav1.Object, error) {
			changed := of(name)
			changed.ResourceVersion = strconv.FormatUint(version, 10)
			return secrets.Update(ctx, changed, metav1.UpdateOptions{})
		},
		remove: func(ctx context.Context, name string) error { return secrets.Delete(ctx, name, metav1.DeleteOptions{}) },
		find: func(ctx context.Context, name string) (metav1.Object, error) {
			return secrets.Get(ctx, name, metav1.GetOptions{})
		},
	}
}

// requests are approved by their first change; the server's signer writes to them as well.
func requests(client kubernetes.Interface) (kind, error) {
	requests := client.CertificatesV1().CertificateSigningRequests()
	encoded, err := encodedRequest()
	if err != nil {
		return kind{}, err
	}
	return kind{
		name:   "requests",
		others: true,
		create: func(ctx context.Context, name string) (metav1.Object, error) {
			return requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: certificatesv1.CertificateSigningRequestSpec{
					Request: encoded, SignerName: certificatesv1.KubeAPIServerClientSignerName,
					Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
				},
			}, metav1.CreateOptions{})
		},
		change: func(ctx context.Context, name string, _ uint64) (metav1.Object, error) {
			current, err := requests.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			if len(current.Status.Conditions) > 0 {
				patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, changedAt, stamp())
				return requests.Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
			}
			current.Status.Conditions = append(current.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
				Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Soak", Message: "soaking",
			})
			return requests.UpdateApproval(ctx, name, current, metav1.UpdateOptions{})
		},
		remove: func(ctx context.Context, name string) error {
			return requests.Delete(ctx, name, metav1.DeleteOptions{})
		},
		find: func(ctx context.Context, name string) (metav1.Object, error) {
			return requests.Get(ctx, name, metav1.GetOptions{})
		},
	}, nil
}

func encodedRequest() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "soak"},
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

func stamp() string { return time.Now().Format(time.RFC3339Nano) }

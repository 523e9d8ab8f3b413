// Command podcertificates is the part of a kubelet that gets certificates for pods: the manager of
// k8s.io/kubernetes/pkg/kubelet/podcertificate, for the pods that an API server has bound to a node, with the
// credentials of that node. It prints a line of JSON for each projected certificate when it is issued, denied or
// failed, with the chain verified against the ClusterTrustBundles of the signer, and ends when all are settled. With
// -forward it then advances the manager's clock, and waits until each issued certificate is replaced.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/kubelet/podcertificate"
	"k8s.io/utils/clock"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "credentials of the node")
	node := flag.String("node", "", "name of the node")
	pods := flag.Int("pods", 1, "begin when this many pods are bound to the node")
	forward := flag.Duration("forward", 0, "set the clock forward after the first certificates, and wait for the next")
	timeout := flag.Duration("timeout", time.Minute, "give up after this long")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := run(ctx, *kubeconfig, *node, *pods, *forward); err != nil {
		fmt.Fprintln(os.Stderr, "podcertificates:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, node string, pods int, forward time.Duration) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 1000, 1000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	selected := func(selector string) informers.SharedInformerFactory {
		return informers.NewSharedInformerFactoryWithOptions(client, 0,
			informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.FieldSelector = selector }))
	}
	bound, own := selected("spec.nodeName="+node), selected("metadata.name="+node)
	manager := &podManager{bound.Core().V1().Pods().Lister()}
	clock := &movableClock{}
	issuing := podcertificate.NewIssuingManager(client, manager, record.NewFakeRecorder(10_000),
		bound.Certificates().V1().PodCertificateRequests(), own.Core().V1().Nodes(), types.NodeName(node), clock)
	bound.Start(ctx.Done())
	own.Start(ctx.Done())
	go issuing.Run(ctx)

	for len(manager.GetPods()) < pods {
		if err := pause(ctx, fmt.Sprintf("%d of %d pods", len(manager.GetPods()), pods)); err != nil {
			return err
		}
	}
	projections := list(manager.GetPods())
	begun := time.Now()
	track := func() {
		for _, pod := range manager.GetPods() {
			issuing.TrackPod(ctx, pod)
		}
	}
	track()
	if err := follow(ctx, client, issuing, projections, ""); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "settled %d in %d ms\n", len(projections), time.Since(begun).Milliseconds())
	if forward == 0 {
		return nil
	}
	clock.forward.Store(int64(forward))
	var issued []*projection
	for _, one := range projections {
		if one.serial != "" {
			issued = append(issued, one)
		}
	}
	track()
	return follow(ctx, client, issuing, issued, "refreshed")
}

// follow waits until each projection has a new result, and prints it.
func follow(ctx context.Context, client kubernetes.Interface, issuing podcertificate.Manager, projections []*projection, state string) error {
	roots := map[string]*x509.CertPool{}
	waiting := projections
	for {
		var rest []*projection
		for _, one := range waiting {
			answer, err := one.read(ctx, client, issuing, roots)
			if err != nil {
				return err
			}
			if answer == nil {
				rest = append(rest, one)
				continue
			}
			if state != "" {
				answer.State = state
			}
			if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
				return err
			}
		}
		if waiting = rest; len(waiting) == 0 {
			return nil
		}
		if err := pause(ctx, fmt.Sprintf("%d of %d projections", len(waiting), len(projections))); err != nil {
			return err
		}
	}
}

// projection is one podCertificate source of a volume.
type projection struct {
	pod    *corev1.Pod
	volume string
	index  int
	signer string
	serial string
}

// line is the printed result of a projection.
type line struct {
	Pod    string `json:"pod"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	Serial string `json:"serial,omitempty"`
	Chain  string `json:"chain,omitempty"`
}

func list(pods []*corev1.Pod) []*projection {
	var all []*projection
	for _, pod := range pods {
		for _, volume := range pod.Spec.Volumes {
			if volume.Projected == nil {
				continue
			}
			for index, source := range volume.Projected.Sources {
				if source.PodCertificate != nil {
					all = append(all, &projection{pod: pod, volume: volume.Name, index: index, signer: source.PodCertificate.SignerName})
				}
			}
		}
	}
	return all
}

// read returns nil while there is no new result.
func (p *projection) read(ctx context.Context, client kubernetes.Interface, issuing podcertificate.Manager, roots map[string]*x509.CertPool) (*line, error) {
	key, chain, err := issuing.GetPodCertificateCredentialBundle(ctx, p.pod.Namespace, p.pod.Name, string(p.pod.UID), p.volume, p.index)
	answer := &line{Pod: p.pod.Namespace + "/" + p.pod.Name}
	if err != nil {
		for _, state := range []string{"denied", "failed"} {
			if strings.Contains(err.Error(), "permanently "+state) {
				answer.State, answer.Detail = state, err.Error()
				return answer, nil
			}
		}
		return nil, nil
	}
	// The key belongs to the first certificate of the chain.
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	serial := pair.Leaf.SerialNumber.Text(16)
	if serial == p.serial {
		return nil, nil
	}
	if roots[p.signer] == nil {
		if roots[p.signer], err = trusted(ctx, client, p.signer); err != nil {
			return nil, err
		}
	}
	intermediates := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		intermediates.AddCert(one)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{
		Roots: roots[p.signer], Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return nil, fmt.Errorf("%s: %w", answer.Pod, err)
	}
	p.serial = serial
	answer.State, answer.Serial, answer.Chain = "issued", serial, string(chain)
	return answer, nil
}

// trusted reads the ClusterTrustBundles of a signer, as kubelet does for a projected volume.
func trusted(ctx context.Context, client kubernetes.Interface, signer string) (*x509.CertPool, error) {
	bundles, err := client.CertificatesV1().ClusterTrustBundles().List(ctx, metav1.ListOptions{FieldSelector: "spec.signerName=" + signer})
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, bundle := range bundles.Items {
		for rest := []byte(bundle.Spec.TrustBundle); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			one, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			pool.AddCert(one)
		}
	}
	return pool, nil
}

func pause(ctx context.Context, what string) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("timed out: %s", what)
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

// podManager knows the pods that the API server has bound to the node.
type podManager struct {
	pods corelisters.PodLister
}

func (m *podManager) GetPods() []*corev1.Pod {
	pods, _ := m.pods.List(labels.Everything())
	return pods
}

func (m *podManager) GetPodByUID(uid types.UID) (*corev1.Pod, bool) {
	for _, pod := range m.GetPods() {
		if pod.UID == uid {
			return pod, true
		}
	}
	return nil, false
}

// movableClock is the real clock, advanced by an offset.
type movableClock struct {
	clock.RealClock
	forward atomic.Int64
}

func (c *movableClock) Now() time.Time {
	return time.Now().Add(time.Duration(c.forward.Load()))
}

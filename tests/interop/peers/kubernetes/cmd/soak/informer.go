package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const namespace = "default"

type informerReport struct {
	Name string `json:"name"`
	// Objects are in the store at the end.
	Objects int `json:"objects"`
	// Live events came after the initial ones.
	Live int `json:"live"`
	// Resumed streams began where the last stream ended; synced streams began with all current objects.
	Resumed int `json:"resumed"`
	Synced  int `json:"synced"`
	// Repeated versions reached handlers again after a sync.
	Repeated int `json:"repeated"`
	// Missed versions are in the gap before a sync.
	Missed int      `json:"missed"`
	Ended  []string `json:"ended"`
}

type state struct {
	uid     types.UID
	version uint64
	deleted bool
}

// informer is a shared informer without resync, with everything that its handler received.
type informer struct {
	*streams
	kind     string
	shared   cache.SharedIndexInformer
	list     func(context.Context, metav1.ListOptions) (runtime.Object, error)
	received sync.Mutex
	states   map[string]state
	seen     map[uint64]bool
	repeated int
}

func startInformers(ctx context.Context, client kubernetes.Interface, faults *faultList) []*informer {
	var started []*informer
	begin := func(
		kind, name string,
		example runtime.Object,
		list func(context.Context, metav1.ListOptions) (runtime.Object, error),
		open func(context.Context, metav1.ListOptions) (watch.Interface, error),
	) {
		each := &informer{
			streams: &streams{name: name, faults: faults},
			kind:    kind, list: list, states: map[string]state{}, seen: map[uint64]bool{},
		}
		each.shared = cache.NewSharedIndexInformer(each.over(client, list, open), example, 0, cache.Indexers{})
		if _, err := each.shared.AddEventHandler(each.handler()); err != nil {
			faults.add("%s: %v", name, err)
		}
		started = append(started, each)
		go each.shared.RunWithContext(ctx)
	}
	for _, scope := range []string{namespace, metav1.NamespaceAll} {
		label := map[string]string{namespace: "one namespace", metav1.NamespaceAll: "all namespaces"}[scope]
		maps, secrets := client.CoreV1().ConfigMaps(scope), client.CoreV1().Secrets(scope)
		begin("configmaps", "configmaps of "+label, &corev1.ConfigMap{}, lister(maps.List), maps.Watch)
		begin("secrets", "secrets of "+label, &corev1.Secret{}, lister(secrets.List), secrets.Watch)
	}
	for _, name := range []string{"requests", "requests once more"} {
		requests := client.CertificatesV1().CertificateSigningRequests()
		begin("requests", name, &certificatesv1.CertificateSigningRequest{}, lister(requests.List), requests.Watch)
	}
	return started
}

func lister[L runtime.Object](
	list func(context.Context, metav1.ListOptions) (L, error),
) func(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	}
}

func awaitSync(ctx context.Context, informers []*informer, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, each := range informers {
		if !cache.WaitForCacheSync(ctx.Done(), each.shared.HasSynced) {
			return fmt.Errorf("%s did not sync within %s", each.name, patience)
		}
	}
	return nil
}

func (i *informer) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { i.record("added", nil, object) },
		UpdateFunc: func(old, object any) {
			i.record("updated", old, object)
		},
		DeleteFunc: func(object any) { i.record("deleted", nil, object) },
	}
}

func (i *informer) record(what string, old, object any) {
	i.received.Lock()
	defer i.received.Unlock()
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		i.states[unknown.Key] = state{version: i.states[unknown.Key].version, deleted: true}
		return
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		i.faults.add("%s: %s without metadata", i.name, what)
		return
	}
	key := accessor.GetNamespace() + "/" + accessor.GetName()
	before, isKnown := i.states[key]
	now := state{uid: accessor.GetUID(), version: versionOf(accessor.GetResourceVersion()), deleted: what == "deleted"}
	switch {
	case what == "added" && isKnown && !before.deleted:
		i.faults.add("%s: %s was added twice", i.name, key)
	case what != "added" && (!isKnown || before.deleted):
		i.faults.add("%s: %s was %s without having been added", i.name, key, what)
	case what == "updated" && now.version == before.version && sameVersion(old, object):
		i.repeated++
	case isKnown && now.version <= before.version:
		i.faults.add("%s: %s was %s at %d after %d", i.name, key, what, now.version, before.version)
	}
	i.states[key] = now
	i.seen[now.version] = true
}

func sameVersion(left, right any) bool {
	one, oneErr := meta.Accessor(left)
	other, otherErr := meta.Accessor(right)
	return oneErr == nil && otherErr == nil && one.GetResourceVersion() == other.GetResourceVersion()
}

// finish waits until the store equals a fresh list, then searches for versions that never arrived.
func (i *informer) finish(ctx context.Context, writers []*writer, patience time.Duration) informerReport {
	difference := "was never compared"
	for deadline := time.Now().Add(patience); difference != "" && time.Now().Before(deadline); {
		if difference = i.compare(ctx); difference != "" {
			time.Sleep(200 * time.Millisecond)
		}
	}
	if difference != "" {
		i.faults.add("%s: the store differs from a list: %s", i.name, difference)
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.received.Lock()
	defer i.received.Unlock()
	missed := 0
	for _, each := range writers {
		if each.kind.name != i.kind {
			continue
		}
		for _, version := range each.acknowledged() {
			if i.seen[version] {
				continue
			}
			missed++
			if !i.mayHaveMissed(version) {
				i.faults.add("%s: never saw version %d", i.name, version)
			}
		}
	}
	return informerReport{
		Name: i.name, Objects: len(i.shared.GetStore().List()), Live: i.live, Resumed: i.resumed, Synced: i.synced,
		Repeated: i.repeated, Missed: missed, Ended: append([]string{}, i.ended...),
	}
}

func (i *informer) compare(ctx context.Context) string {
	listed, err := i.list(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	items, err := meta.ExtractList(listed)
	if err != nil {
		return err.Error()
	}
	for _, item := range items {
		key, err := cache.MetaNamespaceKeyFunc(item)
		if err != nil {
			return err.Error()
		}
		stored, exists, err := i.shared.GetStore().GetByKey(key)
		if err != nil || !exists {
			return key + " is missing"
		}
		if !equality.Semantic.DeepEqual(stored, item) {
			return key + " differs"
		}
	}
	if have := len(i.shared.GetStore().List()); have != len(items) {
		return fmt.Sprintf("%d objects instead of %d", have, len(items))
	}
	return ""
}

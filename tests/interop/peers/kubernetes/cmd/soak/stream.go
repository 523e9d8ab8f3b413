package main

import (
	"context"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// gap is the range of versions that an informer has skipped by a new sync.
type gap struct{ after, upTo uint64 }

// streams observes the watches of one informer, below its cache: what the server sends, in order.
type streams struct {
	name    string
	faults  *faultList
	mutex   sync.Mutex
	highest uint64
	gaps    []gap
	resumed int
	synced  int
	live    int
	ended   []string
}

// over wraps the list and watch of a typed client, so that an ordinary informer is observed.
func (s *streams) over(
	client any,
	list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	open func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			listed, err := list(ctx, options)
			if err == nil {
				s.listedAt(listed)
			}
			return listed, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			opened, err := open(ctx, options)
			if err != nil {
				return nil, err
			}
			return watch.Filter(opened, s.listener(options)), nil
		},
	}, client)
}

func (s *streams) listedAt(listed runtime.Object) {
	accessor, err := meta.ListAccessor(listed)
	if err != nil {
		s.faults.add("%s: a list without metadata: %v", s.name, err)
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.syncedAt(versionOf(accessor.GetResourceVersion()))
}

// listener checks the events of one stream.
func (s *streams) listener(options metav1.ListOptions) watch.FilterFunc {
	isInitial := options.SendInitialEvents != nil && *options.SendInitialEvents
	if !isInitial {
		s.mutex.Lock()
		s.resumed++
		s.mutex.Unlock()
	}
	last := versionOf(options.ResourceVersion)
	return func(event watch.Event) (watch.Event, bool) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		if event.Type == watch.Error {
			s.ended = append(s.ended, statusText(event.Object))
			return event, true
		}
		accessor, err := meta.Accessor(event.Object)
		if err != nil {
			s.faults.add("%s: %s without metadata: %v", s.name, event.Type, err)
			return event, true
		}
		version := versionOf(accessor.GetResourceVersion())
		if isInitial {
			if event.Type == watch.Bookmark && accessor.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				isInitial = false
				last = version
				s.syncedAt(version)
			} else if event.Type != watch.Added {
				s.faults.add("%s: %s among the initial events", s.name, event.Type)
			}
			return event, true
		}
		if event.Type == watch.Bookmark {
			if version < last {
				s.faults.add("%s: bookmark %d after %d", s.name, version, last)
			}
		} else {
			s.live++
			if version <= last || version <= s.highest {
				s.faults.add("%s: %s of %s at %d after %d", s.name, event.Type, accessor.GetName(), version, max(last, s.highest))
			}
		}
		last = max(last, version)
		s.highest = max(s.highest, version)
		return event, true
	}
}

func (s *streams) syncedAt(version uint64) {
	if version < s.highest {
		s.faults.add("%s: synced at %d, older than %d that it has seen", s.name, version, s.highest)
	}
	s.synced++
	s.gaps = append(s.gaps, gap{after: s.highest, upTo: version})
	s.highest = max(s.highest, version)
}

func (s *streams) mayHaveMissed(version uint64) bool {
	for _, each := range s.gaps {
		if version > each.after && version <= each.upTo {
			return true
		}
	}
	return false
}

func statusText(object runtime.Object) string {
	if status, ok := object.(*metav1.Status); ok {
		return strconv.Itoa(int(status.Code)) + " " + status.Message
	}
	return "an error event without a Status"
}

// versionOf parses a resourceVersion. Since Kubernetes 1.35 they may be compared as numbers.
func versionOf(text string) uint64 {
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return version
}

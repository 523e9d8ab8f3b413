package main

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

type watchFacts struct {
	Watchers int `json:"watchers"`
	Writes   int `json:"writes"`
	Retries  int `json:"retries"`
	// Opened is how long it took to open all watches, in seconds.
	Opened float64 `json:"opened"`
	// Last has the times from just before a write to its event at the last watcher.
	Last times `json:"last"`
	// Acknowledged has the times of the writes themselves.
	Acknowledged times `json:"acknowledged"`
}

// watchMode opens watches of all requests, each on a connection of its own, then creates one request after another and
// waits each time until every watcher has seen it.
func watchMode(flags *flag.FlagSet) func(context.Context, servers) (any, error) {
	watchers := flags.Int("watchers", 10, "watches")
	writes := flags.Int("writes", 20, "requests to create")
	return func(ctx context.Context, to servers) (any, error) {
		if *watchers < 1 || *writes < 1 {
			return nil, fmt.Errorf("-watchers and -writes must be at least 1")
		}
		return watchWrites(ctx, to, *watchers, *writes)
	}
}

// opening is how many connections are opened at the same time: this mode measures events, not handshakes.
const opening = 32

func watchWrites(ctx context.Context, to servers, watchers, writes int) (*watchFacts, error) {
	writer, err := newClient(to.at(0))
	if err != nil {
		return nil, err
	}
	var patient patience
	var newest *certificatesv1.CertificateSigningRequestList
	err = patient.persist(ctx, func() (err error) {
		newest, err = writer.CertificateSigningRequests().List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
	if err != nil {
		return nil, err
	}
	clients, err := newClients(to, watchers)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	streams := make([]*stream, watchers)
	var next atomic.Int64
	_, failures := together(min(opening, watchers), func(int) error {
		for index := int(next.Add(1)) - 1; index < watchers; index = int(next.Add(1)) - 1 {
			options := metav1.ListOptions{ResourceVersion: newest.ResourceVersion}
			streams[index] = &stream{client: clients[index].CertificateSigningRequests(), options: options}
			if err := patient.persist(ctx, func() error { return streams[index].open(ctx) }); err != nil {
				return fmt.Errorf("watch %d: %w", index, err)
			}
		}
		return nil
	})
	if len(failures) > 0 {
		return nil, failures[0]
	}
	facts := &watchFacts{Watchers: watchers, Writes: writes, Opened: time.Since(started).Seconds()}
	var last, acknowledged []time.Duration
	_, request, err := newRequest("watched")
	if err != nil {
		return nil, err
	}
	seen := follow(ctx, streams, &patient)
	for range writes {
		posted := time.Now()
		name, err := patient.post(ctx, writer.CertificateSigningRequests(), unsigned, request)
		if err != nil {
			return nil, err
		}
		acknowledged = append(acknowledged, time.Since(posted))
		end, err := seen.by(ctx, name, watchers)
		if err != nil {
			return nil, err
		}
		last = append(last, end.Sub(posted))
	}
	facts.Last, facts.Acknowledged, facts.Retries = timesOf(last), timesOf(acknowledged), patient.retries()
	return facts, nil
}

// sightings counts, by name, the watchers that have seen an object, and records when the last of them did.
type sightings struct {
	mutex   sync.Mutex
	changed chan struct{}
	count   map[string]int
	at      map[string]time.Time
	failure error
}

func follow(ctx context.Context, streams []*stream, patient *patience) *sightings {
	s := &sightings{changed: make(chan struct{}, 1), count: map[string]int{}, at: map[string]time.Time{}}
	for index, each := range streams {
		go func() {
			// A stream that starts over shows objects again.
			known := map[string]bool{}
			err := patient.persist(ctx, func() error {
				return each.read(ctx, func(_ watch.EventType, object *certificatesv1.CertificateSigningRequest) (bool, error) {
					if !known[object.Name] {
						known[object.Name] = true
						s.note(object.Name, len(streams))
					}
					return false, nil
				})
			})
			if ctx.Err() == nil {
				s.fail(fmt.Errorf("watch %d: %w", index, err))
			}
		}()
	}
	return s
}

// note reads the clock before it locks, and wakes waiters only once enough watchers have seen the object.
func (s *sightings) note(name string, wanted int) {
	now := time.Now()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.count[name]++
	if now.After(s.at[name]) {
		s.at[name] = now
	}
	if s.count[name] >= wanted {
		s.wake()
	}
}

func (s *sightings) fail(failure error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.failure == nil {
		s.failure = failure
	}
	s.wake()
}

func (s *sightings) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// by waits until this many watchers have seen an object, and returns when the last of them did.
func (s *sightings) by(ctx context.Context, name string, watchers int) (time.Time, error) {
	for {
		s.mutex.Lock()
		count, at, failure := s.count[name], s.at[name], s.failure
		s.mutex.Unlock()
		if failure != nil {
			return at, failure
		}
		if count >= watchers {
			return at, nil
		}
		select {
		case <-ctx.Done():
			return at, fmt.Errorf("%d of %d watchers have seen %s: %w", count, watchers, name, ctx.Err())
		case <-s.changed:
		}
	}
}

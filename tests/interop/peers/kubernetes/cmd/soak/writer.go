package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	pause       = 200 * time.Millisecond
	fewest      = 10
	most        = 40
	callTimeout = 5 * time.Second
)

type writerReport struct {
	Kind    string `json:"kind"`
	Created int    `json:"created"`
	Changed int    `json:"changed"`
	Removed int    `json:"removed"`
	// Unanswered writes got no answer from the server; each was looked up afterwards.
	Unanswered int `json:"unanswered"`
}

// writer keeps a model of one kind: exactly what the server acknowledged.
type writer struct {
	kind     kind
	faults   *faultList
	cancel   context.CancelFunc
	done     chan struct{}
	report   writerReport
	versions map[string]uint64
	history  []uint64
	newest   uint64
	count    int
}

func startWriters(client kubernetes.Interface, faults *faultList) ([]*writer, error) {
	requests, err := requests(client)
	if err != nil {
		return nil, err
	}
	var started []*writer
	for _, each := range []kind{configMaps(client), secrets(client), requests} {
		ctx, cancel := context.WithCancel(context.Background())
		w := &writer{
			kind: each, faults: faults, cancel: cancel, done: make(chan struct{}), versions: map[string]uint64{},
			report: writerReport{Kind: each.name},
		}
		started = append(started, w)
		go func() {
			defer close(w.done)
			for ctx.Err() == nil {
				w.write()
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		}()
	}
	return started, nil
}

func (w *writer) stop() {
	w.cancel()
	<-w.done
}

func (w *writer) acknowledged() []uint64 { return w.history }

// write makes one random write, which keeps the number of objects within its limits.
func (w *writer) write() {
	dice := rand.IntN(4)
	switch {
	case len(w.versions) < fewest || (dice == 0 && len(w.versions) < most):
		w.count++
		name := fmt.Sprintf("soak-%d", w.count)
		w.attempt(name, func(ctx context.Context) (metav1.Object, error) { return w.kind.create(ctx, name) }, &w.report.Created)
	case dice == 1:
		name := w.any()
		w.attempt(name, func(ctx context.Context) (metav1.Object, error) { return nil, w.kind.remove(ctx, name) }, &w.report.Removed)
	default:
		name := w.any()
		version := w.versions[name]
		w.attempt(name, func(ctx context.Context) (metav1.Object, error) { return w.kind.change(ctx, name, version) }, &w.report.Changed)
	}
}

func (w *writer) any() string {
	names := make([]string, 0, len(w.versions))
	for name := range w.versions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names[rand.IntN(len(names))]
}

func (w *writer) attempt(name string, act func(context.Context) (metav1.Object, error), counter *int) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	object, err := act(ctx)
	switch {
	case err == nil:
		*counter++
		w.believe(name, object)
	case w.kind.others && apierrors.IsConflict(err):
		// The signer was faster.
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown && !isUnavailable(err):
		w.faults.add("%s %s: %v", w.kind.name, name, err)
		w.lookUp(name, counter == &w.report.Removed)
	default:
		w.report.Unanswered++
		w.lookUp(name, counter == &w.report.Removed)
	}
}

// isUnavailable reports whether an error is that of a server that is shutting down.
func isUnavailable(err error) bool {
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServerTimeout(err)
}

func (w *writer) believe(name string, object metav1.Object) {
	if object == nil {
		delete(w.versions, name)
		return
	}
	version := versionOf(object.GetResourceVersion())
	if version <= w.newest {
		w.faults.add("%s %s: acknowledged at %d after %d", w.kind.name, name, version, w.newest)
	}
	w.newest = max(w.newest, version)
	w.versions[name] = version
	w.history = append(w.history, version)
}

// lookUp finds the outcome of a write without an answer, once the server is back.
func (w *writer) lookUp(name string, mayBeGone bool) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(pause) {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		object, err := w.kind.find(ctx, name)
		cancel()
		switch {
		case err == nil:
			version := versionOf(object.GetResourceVersion())
			if version < w.versions[name] {
				w.faults.add("%s %s: at %d although %d was acknowledged", w.kind.name, name, version, w.versions[name])
			}
			w.versions[name] = version
			return
		case apierrors.IsNotFound(err):
			if version, isBelieved := w.versions[name]; isBelieved && !mayBeGone {
				w.faults.add("%s %s: is lost although %d was acknowledged", w.kind.name, name, version)
			}
			delete(w.versions, name)
			return
		}
	}
	w.faults.add("%s %s: the server did not come back", w.kind.name, name)
}

// finish compares the model with the server: nothing acknowledged may be lost, and nothing else may exist.
func (w *writer) finish(ctx context.Context) writerReport {
	for number := 1; number <= w.count; number++ {
		name := fmt.Sprintf("soak-%d", number)
		version, isBelieved := w.versions[name]
		object, err := w.kind.find(ctx, name)
		switch {
		case apierrors.IsNotFound(err):
			if isBelieved {
				w.faults.add("%s %s: is lost", w.kind.name, name)
			}
		case err != nil:
			w.faults.add("%s %s: %v", w.kind.name, name, err)
		case !isBelieved:
			w.faults.add("%s %s: is back", w.kind.name, name)
		default:
			found := versionOf(object.GetResourceVersion())
			if found < version || (found > version && !w.kind.others) {
				w.faults.add("%s %s: is at %d instead of %d", w.kind.name, name, found, version)
			}
		}
	}
	return w.report
}

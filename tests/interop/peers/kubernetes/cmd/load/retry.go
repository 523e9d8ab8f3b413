package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// As kubelet's certificate manager: from two seconds, twice as long each time; and as long as there is time.
const (
	firstPause   = 2 * time.Second
	longestPause = 32 * time.Second
)

// patience acts again when an answer was lost, and counts how often it had to.
type patience struct{ again atomic.Int64 }

// persist acts until there is an answer. Other answers than those of a server that is overrun are final.
func (p *patience) persist(ctx context.Context, act func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := act()
		if err == nil || !isLost(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, until time was up", err)
		case <-time.After(pause):
		}
		p.again.Add(1)
	}
}

func (p *patience) retries() int { return int(p.again.Load()) }

// isLost reports whether an error is not an answer of the server, such as a handshake that took longer than client-go
// waits, or comes from an overloaded server.
func isLost(err error) bool {
	var answered apierrors.APIStatus
	var refused *refusal
	if errors.As(err, &refused) {
		return false
	}
	if !errors.As(err, &answered) {
		return true
	}
	code := answered.Status().Code
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// A refusal is an error that a retry does not change, although it did not come in a Status.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

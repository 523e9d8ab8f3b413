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

// The pauses of kubelet's certificate manager: two seconds at first, and twice as long each time.
const (
	firstPause   = 2 * time.Second
	longestPause = 32 * time.Second
)

// patience retries an action whose answer was lost, and counts the retries.
type patience struct{ again atomic.Int64 }

// persist retries until there is an answer. All answers are final, except those of an overloaded server.
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

// A refusal is an error without a Status that must not be retried.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

package main

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// As kubelet's certificate manager: from two seconds, twice as long each time; and as long as there is time.
const (
	firstPause   = 2 * time.Second
	longestPause = 32 * time.Second
)

// persist acts again when there was no answer, such as when a handshake took longer than client-go waits. What the
// server said is final. It answers how many times it had to act again.
func persist(ctx context.Context, act func() error) (int, error) {
	pause := firstPause
	for again := 0; ; again++ {
		err := act()
		var answered apierrors.APIStatus
		if err == nil || errors.As(err, &answered) {
			return again, err
		}
		select {
		case <-ctx.Done():
			return again, err
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

package main

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// As kubelet's certificate manager: from two seconds, twice as long each time, five times.
const (
	firstPause = 2 * time.Second
	attempts   = 5
)

// persist acts again when there was no answer, such as when a handshake took longer than client-go waits. What the
// server said is final. It answers how many times it had to act again.
func persist(ctx context.Context, act func() error) (int, error) {
	pause := firstPause
	for again := 0; ; again++ {
		err := act()
		var answered apierrors.APIStatus
		if err == nil || errors.As(err, &answered) || again == attempts-1 {
			return again, err
		}
		select {
		case <-ctx.Done():
			return again, err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

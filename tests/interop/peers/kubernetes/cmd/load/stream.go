package main

import (
	"context"
	"errors"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	typed "k8s.io/client-go/kubernetes/typed/certificates/v1"
)

// A stream is a watch that resumes where it was lost when it is read again.
type stream struct {
	client typed.CertificateSigningRequestInterface
	// options have the last version that was seen.
	options metav1.ListOptions
	events  watch.Interface
}

// errEnded stands for a lost answer: for client-go a broken connection or a slow handshake is a watch that ends.
var errEnded = errors.New("the watch has ended")

func (s *stream) open(ctx context.Context) (err error) {
	s.events, err = s.client.Watch(ctx, s.options)
	return s.anew(err)
}

// read passes events to a function until it has seen enough.
func (s *stream) read(
	ctx context.Context,
	see func(kind watch.EventType, object *certificatesv1.CertificateSigningRequest) (isEnough bool, err error),
) error {
	if s.events == nil {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	defer func() {
		s.events.Stop()
		s.events = nil
	}()
	for event := range s.events.ResultChan() {
		object, ok := event.Object.(*certificatesv1.CertificateSigningRequest)
		if !ok {
			return s.anew(apierrors.FromObject(event.Object))
		}
		s.options.ResourceVersion = object.ResourceVersion
		if isEnough, err := see(event.Type, object); isEnough || err != nil {
			return err
		}
	}
	return errEnded
}

// anew makes the next watch begin with the current objects if the server no longer has the history.
func (s *stream) anew(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		s.options.ResourceVersion = ""
		return errEnded
	}
	return err
}

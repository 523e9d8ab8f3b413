package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The times of the elections of Kubernetes' own components.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

type term struct {
	Holder string    `json:"holder"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
}

type leadershipReport struct {
	LeaseSeconds float64 `json:"leaseSeconds"`
	// Terms lists the terms as the candidates saw them, in order.
	Terms []term `json:"terms"`
	// Renewals are the times at which the server acknowledged a write of the lease.
	Renewals []time.Time `json:"renewals"`
	// Crashes are the times at which a leader was stopped without releasing its lease.
	Crashes     []time.Time `json:"crashes"`
	Transitions int         `json:"transitions"`
}

// election runs two candidates for one lease. On demand the leader stops without releasing it.
type election struct {
	faults *faultList
	cancel context.CancelFunc
	done   sync.WaitGroup
	mutex  sync.Mutex
	terms  []*term
	report leadershipReport
	last   resourcelock.LeaderElectionRecord
	// lastSentAt is when the request of the last acknowledged write was sent.
	lastSentAt time.Time
	crash      map[string]context.CancelFunc
	// doomed is whether the next leader stops as soon as it leads.
	doomed bool
}

func startElection(ctx context.Context, config *rest.Config, faults *faultList) *election {
	ctx, cancel := context.WithCancel(ctx)
	e := &election{faults: faults, cancel: cancel, crash: map[string]context.CancelFunc{}}
	for _, name := range []string{"candidate-a", "candidate-b"} {
		e.done.Add(1)
		go func() {
			defer e.done.Done()
			e.stand(ctx, config, name)
		}()
	}
	return e
}

// stand runs one candidate until the end. After a lost lease it stands again at once, after a crash once its lease has
// expired.
func (e *election) stand(ctx context.Context, config *rest.Config, name string) {
	for ctx.Err() == nil {
		life, crash := context.WithCancel(ctx)
		e.mutex.Lock()
		e.crash[name] = crash
		e.mutex.Unlock()
		if err := e.lead(life, config, name); err != nil {
			e.faults.add("%s cannot stand: %v", name, err)
			return
		}
		if life.Err() != nil {
			select {
			case <-ctx.Done():
			case <-time.After(leaseDuration + 3*retryPeriod):
			}
		}
		crash()
	}
}

func (e *election) lead(ctx context.Context, config *rest.Config, name string) error {
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(config, name))
	if err != nil {
		return err
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, namespace, "soak", client.CoreV1(),
		client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: name})
	if err != nil {
		return err
	}
	mine := &term{Holder: name}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          &recordingLock{Interface: lock, election: e},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, Name: "soak",
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { e.begin(mine) },
			OnStoppedLeading: func() { e.end(mine) },
		},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	return nil
}

func (e *election) begin(mine *term) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, other := range e.terms {
		if other.Until.IsZero() {
			e.faults.add("%s leads while %s does", mine.Holder, other.Holder)
		}
	}
	mine.From = time.Now()
	e.terms = append(e.terms, mine)
	fmt.Println(mine.Holder, "leads")
	if e.doomed {
		e.crashNow(mine)
	}
}

func (e *election) end(mine *term) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	mine.Until = time.Now()
}

// crashLeader stops the leader without releasing its lease, or the next leader if there is none.
func (e *election) crashLeader() {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.doomed = true
	for _, each := range e.terms {
		if each.Until.IsZero() {
			e.crashNow(each)
		}
	}
}

func (e *election) crashNow(leader *term) {
	e.doomed = false
	e.report.Crashes = append(e.report.Crashes, time.Now())
	e.crash[leader.Holder]()
}

func (e *election) finish() leadershipReport {
	e.mutex.Lock()
	leads := false
	for _, each := range e.terms {
		leads = leads || each.Until.IsZero()
	}
	e.mutex.Unlock()
	if !leads {
		e.faults.add("no candidate leads at the end")
	}
	e.cancel()
	e.done.Wait()
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, each := range e.terms {
		e.report.Terms = append(e.report.Terms, *each)
	}
	e.report.LeaseSeconds = leaseDuration.Seconds()
	e.report.Transitions = e.last.LeaderTransitions
	return e.report
}

// recordingLock records the acknowledged writes of a lock.
type recordingLock struct {
	resourcelock.Interface
	election *election
}

func (l *recordingLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	sentAt := time.Now()
	err := l.Interface.Create(ctx, record)
	if err == nil {
		l.election.acknowledged(record, sentAt)
	}
	return err
}

func (l *recordingLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	sentAt := time.Now()
	err := l.Interface.Update(ctx, record)
	if err == nil {
		l.election.acknowledged(record, sentAt)
	}
	return err
}

// acknowledged checks that a new holder has a new transition number and comes only after the last lease has expired. A
// lease begins when its renewal is sent, at the earliest, because the answer may be late.
func (e *election) acknowledged(record resourcelock.LeaderElectionRecord, sentAt time.Time) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	now := time.Now()
	if e.last.HolderIdentity != "" {
		if record.RenewTime.Time.Before(e.last.RenewTime.Time) {
			e.faults.add("the lease of %s went back in time", record.HolderIdentity)
		}
		isSame := record.HolderIdentity == e.last.HolderIdentity
		wanted := e.last.LeaderTransitions
		if !isSame {
			wanted++
		}
		if record.LeaderTransitions != wanted {
			e.faults.add("lease transition %d of %s after %d of %s", record.LeaderTransitions, record.HolderIdentity,
				e.last.LeaderTransitions, e.last.HolderIdentity)
		}
		if held := now.Sub(e.lastSentAt); !isSame && held < leaseDuration {
			e.faults.add("%s took the lease %s after %s renewed it", record.HolderIdentity, held, e.last.HolderIdentity)
		}
	}
	e.last, e.lastSentAt = record, sentAt
	e.report.Renewals = append(e.report.Renewals, now)
}

package main

import (
	"fmt"
	"slices"
	"sync"
)

// faultList collects descriptions of faults, of which a few are enough.
type faultList struct {
	mutex sync.Mutex
	list  []string
}

const mostFaults = 50

func (f *faultList) add(format string, arguments ...any) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(f.list) < mostFaults {
		f.list = append(f.list, fmt.Sprintf(format, arguments...))
	}
}

func (f *faultList) all() []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]string{}, slices.Clone(f.list)...)
}

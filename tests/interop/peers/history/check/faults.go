package main

import (
	"fmt"
	"sync"
)

// fault is one broken promise.
type fault struct {
	// Property is the name of the rule that was broken.
	Property string `json:"property"`
	Message  string `json:"message"`
	// The fault occurred in watch or call. A page shows the changes around the revision in around.
	watch  *watch
	call   *call
	around int64
}

type faults struct {
	mutex sync.Mutex
	all   []fault
}

func (f *faults) add(property, format string, values ...any) *fault {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.all = append(f.all, fault{Property: property, Message: fmt.Sprintf(format, values...)})
	return &f.all[len(f.all)-1]
}

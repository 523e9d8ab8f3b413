package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// object is the state of one object in the sequential model for which porcupine searches an order of calls.
type object struct {
	present bool
	// revision is that of the last write. If the last write is open, bound is false and revision is the highest known
	// lower bound.
	revision int64
	bound    bool
	uid      string
	digest   string
	write    string
}

// anyWrite is the name of a write before the history.
const anyWrite = "*"

// input is a request: a call, or a change that the server made by itself.
type input struct {
	call   *call
	change *change
	// after is the previous change; isChain is whether no other change can have come between.
	after   *change
	isChain bool
	// open holds the writes to the object whose outcome is unknown, and end is the time of the answer.
	open *openWrites
	end  int64
}

// output is the effect: the change that the call is known to have made, or nil.
type output struct {
	change *change
}

// checkObjects checks that the calls for each object are linearizable. Reads that may be stale are not included.
func (m *model) checkObjects(limit time.Duration, pages *pages) (objects, operations int, unknown []string) {
	type part struct {
		name       string
		operations []porcupine.Operation
	}
	var parts []part
	for _, resource := range slices.Sorted(maps.Keys(m.resources)) {
		for key, operations := range m.operations(m.resources[resource]) {
			parts = append(parts, part{resource + " " + key, operations})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return len(b.operations) - len(a.operations) })
	unknown = []string{}
	model := objectModel()
	deadline := time.Now().Add(limit)
	left := func() time.Duration { return max(time.Until(deadline), time.Second) }
	var group sync.WaitGroup
	var mutex sync.Mutex
	queue := make(chan part)
	for range runtime.NumCPU() {
		group.Go(func() {
			for one := range queue {
				result := porcupine.CheckOperationsTimeout(model, one.operations, left())
				if result == porcupine.Ok {
					continue
				}
				mutex.Lock()
				_, info := porcupine.CheckOperationsVerbose(model, one.operations, left())
				pages.object(one.name, model, info)
				if result == porcupine.Unknown {
					unknown = append(unknown, one.name)
				} else {
					m.faults.add("linearizable", "%s: no order of its %d calls explains the answers%s", one.name, len(one.operations),
						stuck(one.operations, info))
				}
				mutex.Unlock()
			}
		})
	}
	for _, one := range parts {
		operations += len(one.operations)
		queue <- one
	}
	close(queue)
	group.Wait()
	slices.Sort(unknown)
	return len(parts), operations, unknown
}

// stuck describes the call that ended first among those that do not fit into the longest order.
func stuck(operations []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []int
	for _, parts := range info.PartialLinearizations() {
		for _, one := range parts {
			if len(one) > len(longest) {
				longest = one
			}
		}
	}
	held := map[int]bool{}
	for _, index := range longest {
		held[index] = true
	}
	first := -1
	for index, one := range operations {
		if !held[index] && (first < 0 || one.Return < operations[first].Return) {
			first = index
		}
	}
	if first < 0 {
		return ""
	}
	return fmt.Sprintf("; one of %d ends before %s", len(longest), describe(operations[first].Input.(input), operations[first].Output.(output)))
}

// operations returns the operations of each object of a resource.
func (m *model) operations(changes *changes) map[string][]porcupine.Operation {
	byKey := map[string][]porcupine.Operation{}
	clients := map[string]int{}
	open := m.openWrites(changes)
	add := func(key, client string, one porcupine.Operation) {
		in := one.Input.(input)
		in.open, in.end = open[key], one.Return
		one.Input = in
		if _, known := clients[client]; !known {
			clients[client] = len(clients)
		}
		one.ClientId = clients[client]
		byKey[key] = append(byKey[key], one)
	}
	made := changes.made()
	for key, own := range changes.byKey {
		// The first known change is of an object that already existed.
		if first := own[0]; first.state == nil || first.by != nil && (first.by.verb == "update" || first.by.verb == "patch") {
			add(key, "server", porcupine.Operation{Input: input{}, Output: output{}, Return: m.madeBefore(first.revision)})
		}
	}
	for _, one := range changes.all {
		if one.by != nil {
			continue
		}
		// The server itself or a client that is not recorded made this change.
		prev := one.prev
		isChain := prev == nil || changes.isCovered(namespace(one), prev.revision, one.revision)
		add(one.key, "server", porcupine.Operation{
			Input:  input{change: one, after: prev, isChain: isChain},
			Output: output{one},
			Call:   min(m.madeAfter(one.revision), m.madeBefore(one.revision)),
			Return: m.madeBefore(one.revision),
		})
	}
	for _, c := range m.calls {
		if c.resource != changes.resource || c.key() == "" || !isObject(c) || c.verb == "list" || c.verb == "deletecollection" {
			continue
		}
		operation := porcupine.Operation{Input: input{call: c}, Output: output{made[c]}, Call: c.begin, Return: c.end}
		switch {
		case c.verb == "get":
			if c.revision != "" || c.status != 404 && (c.status != 200 || c.object == nil) {
				continue
			}
		case c.isUnknown():
			one := made[c]
			if one == nil {
				continue // it is one of the open writes
			}
			operation.Return = max(m.madeBefore(one.revision), c.begin)
		case c.status < 300 && c.verb != "delete" && c.object == nil:
			continue
		case c.status >= 300 && c.status != 404 && c.status != 409:
			continue
		}
		add(c.key(), c.client, operation)
	}
	return byKey
}

func namespace(c *change) string {
	for ; c != nil; c = c.prev {
		if c.state != nil {
			return c.state.Namespace
		}
	}
	return ""
}

func objectModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return object{} },
		Step: func(s, i, o any) (bool, any) {
			ok, next := step(s.(object), i.(input), o.(output))
			return ok, next
		},
		DescribeOperation: func(i, o any) string { return describe(i.(input), o.(output)) },
		DescribeState:     func(s any) string { return s.(object).String() },
	}
}

// step applies an operation to a state, or to a state that open writes can have made of it.
func step(s object, in input, out output) (bool, object) {
	ok, next := stepFrom(s, in, out)
	// A state that a get shows is a known change.
	if ok || in.call == nil && in.change == nil || in.call != nil && in.call.verb == "get" && in.call.status != 404 {
		return ok, next
	}
	for _, one := range in.open.reach(s, in.end) {
		if ok, next := stepFrom(one, in, out); ok {
			return true, next
		}
	}
	return false, s
}

func stepFrom(s object, in input, out output) (bool, object) {
	if in.call == nil && in.change == nil {
		return !s.present && s.revision == 0, object{present: true, write: anyWrite}
	}
	if in.call == nil {
		if in.isChain && (s.present != in.after.present() || in.after != nil && s.bound && s.revision != in.after.revision) {
			return false, s
		}
		return s.become(in.change)
	}
	c := in.call
	switch {
	case c.verb == "get" && c.status == 404:
		return !s.present, s
	case c.verb == "get":
		return s.shows(c.object)
	case c.isUnknown():
		if !s.allows(c) {
			return false, s
		}
		return s.become(out.change)
	case c.status == 404:
		return !s.present, s
	case c.status == 409 && c.verb == "create":
		return s.present, s
	case c.status == 409:
		// A conflict needs a reason; without a precondition it may be a concurrent write.
		hasGuard := c.sent.UID != "" || c.sent.ResourceVersion != ""
		return !hasGuard || !s.allows(c) || !s.bound, s
	case !s.allows(c):
		return false, s
	case c.verb == "delete":
		if out.change != nil {
			return s.become(out.change)
		}
		return c.deleted == "" || s.uid == "" || s.uid == c.deleted, object{revision: s.revision, bound: s.bound}
	default:
		if s.present && s.bound && s.revision == c.object.ResourceVersion {
			return s.digest == c.object.Digest, s // it changed nothing
		}
		if c.object.ResourceVersion <= s.revision || c.sent.Write != "" && c.sent.Write != c.object.Write {
			return false, s
		}
		return true, toObject(c.object)
	}
}

// allows reports whether a write may succeed: the object exists or not, as it must, and the preconditions hold.
func (s object) allows(c *call) bool {
	if c.verb == "create" {
		return !s.present
	}
	if !s.present {
		// As in apiserver/pkg/endpoints/handlers/patch.go: an apply creates, but not with the uid of an object that is gone.
		return c.verb == "apply" && c.sent.UID == ""
	}
	if c.sent.UID != "" && s.uid != "" && s.uid != c.sent.UID {
		return false
	}
	guard := number(c.sent.ResourceVersion)
	if guard == 0 {
		return true
	}
	if s.bound {
		return s.revision == guard
	}
	return guard > s.revision
}

// become applies a known change.
func (s object) become(c *change) (bool, object) {
	if c.revision <= s.revision {
		return false, s
	}
	if c.state == nil {
		return s.present, object{revision: c.revision, bound: true}
	}
	return true, toObject(c.state)
}

// shows reports whether a read may return a state, and returns the state that is then known.
func (s object) shows(shown *state) (bool, object) {
	if !s.present {
		return false, s
	}
	if s.bound {
		return s.revision == shown.ResourceVersion && s.digest == shown.Digest && s.uid == shown.UID, s
	}
	isNewer := shown.ResourceVersion > s.revision && (s.uid == "" || s.uid == shown.UID)
	return isNewer && (s.write == anyWrite || s.write == shown.Write), toObject(shown)
}

func toObject(s *state) object {
	return object{present: true, revision: s.ResourceVersion, bound: true, uid: s.UID, digest: s.Digest, write: s.Write}
}

func (s object) String() string {
	switch {
	case !s.present && s.revision == 0:
		return "absent"
	case !s.present:
		return fmt.Sprintf("deleted (%d)", s.revision)
	case !s.bound:
		return fmt.Sprintf("written after %d, without an answer", s.revision)
	default:
		return fmt.Sprintf("revision %d %s", s.revision, s.write)
	}
}

func describe(in input, out output) string {
	if in.call == nil && in.change == nil {
		return "was there before"
	}
	if in.call == nil {
		return describeChange(in.change) + " (by the server)"
	}
	c := in.call
	text := c.String()
	if c.sent.ResourceVersion != "" {
		text += " if " + c.sent.ResourceVersion
	}
	if c.sent.Write != "" {
		text += " " + c.sent.Write
	}
	switch {
	case c.isUnknown():
		text += " → no answer"
	case c.object != nil:
		text += fmt.Sprintf(" → %d %s", c.object.ResourceVersion, c.object.Write)
	default:
		text += fmt.Sprintf(" → %d %s", c.status, c.reason)
	}
	if out.change != nil && (c.isUnknown() || c.object == nil) {
		text += ", " + describeChange(out.change)
	}
	return text
}

func describeChange(c *change) string {
	if c.state == nil {
		return fmt.Sprintf("deleted at %d", c.revision)
	}
	return strings.TrimSpace(fmt.Sprintf("revision %d %s", c.revision, c.state.Write))
}

package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// change is a write in the store: the state of an object at a revision. The state is nil for a deletion.
type change struct {
	revision int64
	key      string
	state    *state
	// prev is the previous change of the same object; nil for the first known change.
	prev *change
	next *change
	// by is the call that made it; nil if the server made it, or a client that is not recorded.
	by *call
}

func (c *change) present() bool { return c != nil && c.state != nil }

// changes holds the known changes of one resource, in the order of their revisions.
type changes struct {
	resource string
	all      []*change
	byKey    map[string][]*change
	// covered lists, by namespace, the spans of revisions that a watch without a selector has covered.
	covered map[string][]span
}

// span is the revisions after from, up to and including to.
type span struct{ from, to int64 }

// model is the state of the store as far as the history shows it.
type model struct {
	*history
	resources map[string]*changes
	states    map[string]map[int64]*state
	// shown is the time at which a state was first seen.
	shown map[*state]int64
	// seen has the earliest time at which a client had seen a revision, and asked the time at which the call that made it
	// was sent. Both are sorted by revision and monotonic, because revisions are made in order.
	seen, asked []moment
	// newest has the highest revision that any client had seen by a time.
	newest []moment
	faults *faults
}

type moment struct{ revision, at int64 }

func newModel(h *history, f *faults) *model {
	m := &model{history: h, resources: map[string]*changes{}, states: map[string]map[int64]*state{},
		shown: map[*state]int64{}, faults: f}
	deletions := map[string]map[int64]string{}
	var seen []moment
	see := func(resource string, s *state, at int64) {
		seen = append(seen, moment{s.ResourceVersion, at})
		if first, known := m.shown[s]; !known || at < first {
			m.shown[s] = at
		}
		states := m.states[resource]
		if states == nil {
			states = map[int64]*state{}
			m.states[resource] = states
		}
		if known := states[s.ResourceVersion]; known == nil {
			states[s.ResourceVersion] = s
		} else if known != s {
			f.add("unique", "%s: revision %d is %s (%s) and also %s (%s)", resource, s.ResourceVersion, known.key(),
				known.Digest, s.key(), s.Digest)
		}
	}
	for _, c := range h.calls {
		if c.object != nil && c.verb != "delete" && isObject(c) {
			see(c.resource, c.object, c.end)
		}
		if c.list != nil {
			seen = append(seen, moment{c.list.ResourceVersion, c.end})
			for _, item := range c.list.Items {
				see(c.resource, item, c.end)
			}
		}
	}
	for _, w := range h.watches {
		for _, e := range w.events {
			switch e.kind {
			case "ADDED", "MODIFIED":
				see(w.resource, e.object, e.at)
			case "DELETED":
				seen = append(seen, moment{e.object.ResourceVersion, e.at})
				if w.labels != "" {
					continue // the object may have left the selection
				}
				if deletions[w.resource] == nil {
					deletions[w.resource] = map[int64]string{}
				}
				deletions[w.resource][e.object.ResourceVersion] = e.object.key()
			case "BOOKMARK":
				seen = append(seen, moment{e.revision, e.at})
			}
		}
	}
	m.seen = earliest(seen)
	m.newest = latest(seen)
	for resource, states := range m.states {
		m.resources[resource] = newChanges(resource, states, deletions[resource])
	}
	for _, w := range h.watches {
		if changes := m.resources[w.resource]; changes != nil && w.labels == "" && w.fields == "" {
			if from, to, ok := w.span(); ok {
				changes.covered[w.namespace] = append(changes.covered[w.namespace], span{from, to})
			}
		}
	}
	for _, changes := range m.resources {
		for namespace, spans := range changes.covered {
			changes.covered[namespace] = join(spans)
		}
	}
	m.attribute()
	return m
}

func newChanges(resource string, states map[int64]*state, deletions map[int64]string) *changes {
	c := &changes{resource: resource, byKey: map[string][]*change{}, covered: map[string][]span{}}
	for revision, state := range states {
		c.all = append(c.all, &change{revision: revision, key: state.key(), state: state})
	}
	for revision, key := range deletions {
		// Another object of this revision was reported as a fault by the watch that saw it.
		if states[revision] == nil {
			c.all = append(c.all, &change{revision: revision, key: key})
		}
	}
	slices.SortFunc(c.all, func(a, b *change) int { return int(a.revision - b.revision) })
	for _, one := range c.all {
		own := c.byKey[one.key]
		if len(own) > 0 {
			one.prev = own[len(own)-1]
			one.prev.next = one
		}
		c.byKey[one.key] = append(own, one)
	}
	return c
}

// isObject reports whether a call concerns the state of an object, unlike calls of some subresources.
func isObject(c *call) bool {
	return c.subresource == "" || c.subresource == "status" || c.subresource == "approval"
}

// earliest returns for each revision the earliest time at which it, or a later one, had been seen.
func earliest(seen []moment) []moment {
	sorted := slices.Clone(seen)
	slices.SortFunc(sorted, func(a, b moment) int { return int(b.revision - a.revision) })
	result := sorted[:0]
	at := never
	for _, one := range sorted {
		at = min(at, one.at)
		if len(result) > 0 && result[len(result)-1].revision == one.revision {
			result[len(result)-1].at = at
		} else {
			result = append(result, moment{one.revision, at})
		}
	}
	slices.Reverse(result)
	return result
}

// latest returns for each time the highest revision that had been seen until then.
func latest(seen []moment) []moment {
	sorted := slices.Clone(seen)
	slices.SortFunc(sorted, func(a, b moment) int { return int(a.at - b.at) })
	revision := int64(0)
	for i := range sorted {
		revision = max(revision, sorted[i].revision)
		sorted[i].revision = revision
	}
	return sorted
}

// newestBefore returns the highest revision that a client had seen before a time.
func (m *model) newestBefore(at int64) int64 {
	i := sort.Search(len(m.newest), func(i int) bool { return m.newest[i].at >= at })
	if i == 0 {
		return 0
	}
	return m.newest[i-1].revision
}

// madeBefore returns a time before which a revision was made, because a client saw it or a later one; never if no
// client did.
func (m *model) madeBefore(revision int64) int64 {
	i := sort.Search(len(m.seen), func(i int) bool { return m.seen[i].revision >= revision })
	if i == len(m.seen) {
		return never
	}
	return m.seen[i].at
}

// madeAfter returns a time after which a revision was made, because the call that made it or an earlier one was sent
// then.
func (m *model) madeAfter(revision int64) int64 {
	i := sort.Search(len(m.asked), func(i int) bool { return m.asked[i].revision > revision })
	if i == 0 {
		return 0
	}
	return m.asked[i-1].at
}

// join sorts spans and merges those that touch.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	joined := spans[:0]
	for _, one := range spans {
		if last := len(joined) - 1; last >= 0 && one.from <= joined[last].to {
			joined[last].to = max(joined[last].to, one.to)
		} else {
			joined = append(joined, one)
		}
	}
	return joined
}

// isCovered reports whether every change in a span of revisions must be known.
func (c *changes) isCovered(namespace string, from, to int64) bool {
	for _, scope := range []string{"", namespace} {
		for _, one := range c.covered[scope] {
			if one.from <= from && to <= one.to {
				return true
			}
		}
	}
	return false
}

// coveredTo returns the last revision up to which every change after from must be known.
func (c *changes) coveredTo(namespace string, from int64) int64 {
	to := from
	for _, scope := range []string{"", namespace} {
		for _, one := range c.covered[scope] {
			if one.from <= from {
				to = max(to, one.to)
			}
		}
	}
	return to
}

// span returns the revisions whose changes a watch has delivered.
func (w *watch) span() (from, to int64, ok bool) {
	from = number(w.revision)
	if w.initial || from == 0 {
		from = 0
	}
	for _, e := range w.events {
		revision := e.revision
		if e.object != nil {
			revision = e.object.ResourceVersion
		}
		if e.initialEnd {
			from = revision
			to = 0
		}
		if from > 0 {
			to = max(to, revision)
		}
	}
	return from, to, from > 0 && to > from
}

// attribute finds the call that made each change. The other changes were made by the server, or by calls that are not
// recorded.
func (m *model) attribute() {
	var asked []moment
	claim := func(one *change, c *call) {
		if one.by == nil || c.begin < one.by.begin {
			one.by = c
		}
	}
	var open []*call
	for _, c := range m.calls {
		changes := m.resources[c.resource]
		if !c.isWrite() || changes == nil {
			continue
		}
		switch {
		case c.isUnknown():
			open = append(open, c)
		case c.status >= 300:
		case c.verb == "delete":
			for _, one := range changes.byKey[c.key()] {
				if one.state == nil && one.by == nil && one.prev.present() && one.prev.state.UID == c.deleted {
					claim(one, c)
				}
			}
		case c.object != nil:
			// A write that changes nothing answers with a state that may be older.
			if one := changes.find(c.object); one != nil && m.shown[c.object] >= c.begin {
				claim(one, c)
			}
		}
	}
	// The outcome of these calls is unknown, but a change may show what they wrote.
	slices.SortStableFunc(open, func(a, b *call) int { return int(a.begin - b.begin) })
	for _, c := range open {
		for _, one := range m.resources[c.resource].byKey[c.key()] {
			if one.by == nil && c.mayHaveMade(one) && c.begin <= m.madeBefore(one.revision) {
				claim(one, c)
				break
			}
		}
	}
	for _, changes := range m.resources {
		for _, one := range changes.all {
			if one.by != nil {
				asked = append(asked, moment{one.revision, one.by.begin})
			}
		}
	}
	slices.SortFunc(asked, func(a, b moment) int { return int(a.revision - b.revision) })
	for i := 1; i < len(asked); i++ {
		asked[i].at = max(asked[i].at, asked[i-1].at)
	}
	m.asked = asked
}

func (c *changes) find(s *state) *change {
	i := sort.Search(len(c.all), func(i int) bool { return c.all[i].revision >= s.ResourceVersion })
	if i < len(c.all) && c.all[i].state == s {
		return c.all[i]
	}
	return nil
}

func (c *call) isWrite() bool {
	return c.verb != "get" && c.verb != "list" && isObject(c)
}

// isUnknown reports whether a write may have been stored, or may still be.
func (c *call) isUnknown() bool {
	return c.isWrite() && (c.status == 0 || c.status >= 500)
}

// key returns the key of a call's object; empty if only the server knows it.
func (c *call) key() string {
	name := c.name
	if name == "" && c.object != nil {
		name = c.object.Name
	}
	if name == "" || c.namespace == "" {
		return name
	}
	return c.namespace + "/" + name
}

// mayHaveMade reports whether a change is one that a call requested.
func (c *call) mayHaveMade(one *change) bool {
	if c.verb == "delete" {
		if one.state != nil || !one.prev.present() {
			return false
		}
	} else if one.state == nil || one.state.Write != c.sent.Write || (c.verb == "create") == one.prev.present() && c.verb != "apply" {
		return false
	}
	if c.verb == "create" || !one.prev.present() {
		return true
	}
	before := one.prev.state
	return (c.sent.UID == "" || c.sent.UID == before.UID) &&
		(c.sent.ResourceVersion == "" || number(c.sent.ResourceVersion) == before.ResourceVersion)
}

func (c *call) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s %s", c.client, c.verb, c.resource)
	for _, part := range []string{c.namespace, c.name, c.subresource} {
		if part != "" {
			fmt.Fprintf(&text, "/%s", part)
		}
	}
	return text.String() + c.parameters()
}

// parameters formats the parameters of a read.
func (r *request) parameters() string {
	var text strings.Builder
	for _, one := range []struct{ name, value string }{
		{"resourceVersion", r.revision}, {"match", r.match}, {"labels", r.labels}, {"fields", r.fields},
	} {
		if one.value != "" {
			fmt.Fprintf(&text, " %s=%s", one.name, one.value)
		}
	}
	if r.limit > 0 {
		fmt.Fprintf(&text, " limit=%d", r.limit)
	}
	if r.token != "" {
		text.WriteString(" continued")
	}
	return text.String()
}

package main

import "fmt"

// maxFaultsOfWatch limits the faults of one watch: after one missing event there may be many.
const maxFaultsOfWatch = 5

// following compares a watch with the changes of its resource.
type following struct {
	*model
	*watch
	chosen  selection
	changes *changes
	next    int
	// from is where the watch began, last is the revision of the last event, bookmark that of the last bookmark.
	from, last, bookmark int64
	events               int
	faulty               int
}

// checkWatches checks every watch from its first revision to the last one that it delivered. The changes are those that
// any client has seen, so a watch misses an event if another watch, a read or a write shows its change.
func (m *model) checkWatches() (watches, events int) {
	for _, w := range m.watches {
		if w.status == 410 {
			m.checkExpiry(&w.request, number(w.revision))
		}
		if w.status != 200 {
			continue
		}
		chosen, err := newSelection(&w.request)
		if err != nil {
			m.faults.add("cannot be checked", "watch %d of %s: %s", w.number, w.client, err)
			continue
		}
		changes := m.resources[w.resource]
		if changes == nil {
			changes = newChanges(w.resource, nil, nil)
		}
		f := &following{model: m, watch: w, chosen: chosen, changes: changes}
		f.check()
		watches++
		events += f.events
	}
	return watches, events
}

func (f *following) check() {
	if !f.initial {
		f.begin(number(f.watch.revision))
	}
	for i := range f.watch.events {
		e := &f.watch.events[i]
		switch {
		case e.kind == "ERROR":
			if e.status == 410 {
				f.checkExpiry(&f.watch.request, max(f.from, f.last, f.bookmark))
			}
		case e.initialEnd:
			f.begin(e.revision) // the initial events are checked as a list
		case f.from == 0:
			// Nothing marks where the changes begin, so only the states are compared.
			f.events++
		case e.kind == "BOOKMARK":
			f.mark(e)
		default:
			f.events++
			f.take(e)
		}
		if f.faulty > maxFaultsOfWatch {
			return
		}
	}
}

// begin starts after a revision.
func (f *following) begin(revision int64) {
	f.from = revision
	f.skip(revision, nil)
}

// skip moves to the first change after a revision, and calls a function for each change before.
func (f *following) skip(revision int64, each func(*change)) {
	for ; f.next < len(f.changes.all) && f.changes.all[f.next].revision <= revision; f.next++ {
		if each != nil {
			each(f.changes.all[f.next])
		}
	}
}

func (f *following) take(e *event) {
	revision := e.object.ResourceVersion
	switch {
	case revision == f.last:
		f.fault("unique", revision, "revision %d came twice", revision)
		return
	case revision < f.last:
		f.fault("ordered", revision, "revision %d of %s came after %d", revision, e.object.key(), f.last)
		return
	case revision <= f.bookmark:
		f.fault("bookmarkable", revision, "revision %d of %s came after the bookmark of %d", revision, e.object.key(), f.bookmark)
		return
	case revision <= f.from:
		f.fault("resumable", revision, "revision %d of %s came, though it began after %d", revision, e.object.key(), f.from)
		return
	}
	f.skip(revision-1, func(one *change) {
		property := "reliable"
		if f.last == 0 {
			property = "resumable"
		}
		f.missing(property, one)
	})
	var found *change
	f.skip(revision, func(one *change) { found = one })
	f.last = revision
	switch {
	case found == nil:
		f.fault("atomic", revision, "%s %s at revision %d is a change that nothing else shows", e.kind, e.object.key(), revision)
	case found.key != e.object.key():
		f.fault("atomic", revision, "revision %d is of %s, but came as %s", revision, found.key, e.object.key())
	default:
		f.compare(e, found)
	}
}

// compare checks the type of an event, and the state that it shows.
func (f *following) compare(e *event, found *change) {
	var before int64
	if found.prev != nil {
		before = found.prev.revision
	}
	want := f.expected(found)
	isKnown := found.prev != nil && f.changes.isCovered(namespace(found), before, found.revision)
	if isKnown && e.kind != want {
		f.fault("filtered", found.revision, "revision %d of %s came as %s, not as %s", found.revision, found.key, e.kind, orNothing(want))
		return
	}
	shown := found.state
	if e.kind == "DELETED" {
		// The event has the last selected state, with the revision of the change.
		if found.prev == nil || found.prev.state == nil {
			return
		}
		shown = found.prev.state
	}
	if isKnown && (shown == nil || shown.Digest != e.object.Digest || shown.UID != e.object.UID) {
		f.fault("atomic", found.revision, "revision %d of %s shows another state than its change", found.revision, found.key)
	}
}

// expected returns the type of the event that a watch with this selection gets for a change; empty for none.
func (f *following) expected(one *change) string {
	was, is := f.chosen.had(one.prev), f.chosen.had(one)
	switch {
	case is && was:
		return "MODIFIED"
	case is:
		return "ADDED"
	case was:
		return "DELETED"
	default:
		return ""
	}
}

func orNothing(kind string) string {
	if kind == "" {
		return "nothing"
	}
	return kind
}

func (f *following) mark(e *event) {
	if e.revision < max(f.from, f.last, f.bookmark) {
		f.fault("bookmarkable", e.revision, "a bookmark of %d came after %d", e.revision, max(f.from, f.last, f.bookmark))
		return
	}
	f.skip(e.revision, func(one *change) { f.missing("bookmarkable", one) })
	f.bookmark = e.revision
}

// missing reports a change that was not delivered, if this watch includes it.
func (f *following) missing(property string, one *change) {
	want := f.expected(one)
	isSure := f.chosen.had(one) ||
		want != "" && f.changes.isCovered(namespace(one), one.prev.revision, one.revision)
	if isSure {
		f.fault(property, one.revision, "revision %d (%s of %s) was missed", one.revision, want, one.key)
	}
}

func (f *following) fault(property string, revision int64, format string, values ...any) {
	f.faulty++
	one := f.faults.add(property, "watch %d of %s, %s%s: %s", f.number, f.client, f.resource, f.parameters(), fmt.Sprintf(format, values...))
	one.watch, one.around = f.watch, revision
}

// initialLists returns the initial events of streaming lists as lists.
func (h *history) initialLists() []*call {
	var lists []*call
	for _, w := range h.watches {
		if !w.initial || w.status != 200 {
			continue
		}
		whole := &call{request: w.request, verb: "list", list: &list{}}
		whole.match = "NotOlderThan"
		for _, e := range w.events {
			if e.initialEnd {
				whole.end, whole.list.ResourceVersion = e.at, e.revision
				lists = append(lists, whole)
				break
			}
			if e.object == nil {
				break
			}
			whole.list.Items = append(whole.list.Items, e.object)
		}
	}
	return lists
}

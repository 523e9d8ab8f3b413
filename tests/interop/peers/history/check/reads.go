package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// read is a list or a page of a list, with its first page.
type read struct {
	*call
	first *read
	// after is the key of the last object of the pages before this one.
	after string
}

// contents is the state of a resource, moved forward from revision to revision.
type contents struct {
	changes *changes
	next    int
	objects map[string]*change
	// shown is the last revision at which an object was found in a list.
	shown map[string]int64
}

func (c *contents) moveTo(revision int64) {
	for ; c.next < len(c.changes.all) && c.changes.all[c.next].revision <= revision; c.next++ {
		one := c.changes.all[c.next]
		if one.state == nil {
			delete(c.objects, one.key)
		} else {
			c.objects[one.key] = one
		}
	}
}

// checkReads checks lists, pages and gets at a revision: each shows the store at one revision that the request
// allows. A get without a revision is checked with the calls of its object.
func (m *model) checkReads() (checked, unchecked int) {
	reads := map[string][]*read{}
	pages := map[string]*read{}
	for _, c := range m.calls {
		switch {
		case c.verb == "list" && c.status == 410:
			m.checkExpiry(&c.request, m.requested(c, pages))
		case c.verb == "list" && c.list != nil:
			one := &read{call: c}
			one.first = one
			if c.token != "" {
				before := pages[c.page(c.token)]
				if before == nil {
					unchecked++
					continue
				}
				one.first = before.first
				one.after = before.after
				if n := len(before.list.Items); n > 0 {
					one.after = before.list.Items[n-1].key()
				}
			}
			if c.list.Continue != "" {
				pages[c.page(c.list.Continue)] = one
			}
			reads[c.resource] = append(reads[c.resource], one)
		case c.verb == "get" && c.revision != "" && isObject(c):
			if m.checkGet(c) {
				checked++
			}
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(reads)) {
		changes := m.resources[resource]
		if changes == nil {
			changes = newChanges(resource, nil, nil)
		}
		now := &contents{changes: changes, objects: map[string]*change{}, shown: map[string]int64{}}
		all := reads[resource]
		slices.SortStableFunc(all, func(a, b *read) int { return int(a.list.ResourceVersion - b.list.ResourceVersion) })
		for _, one := range all {
			now.moveTo(one.list.ResourceVersion)
			m.checkRevision(one)
			if m.checkList(one, now) {
				checked++
			} else {
				unchecked++
			}
		}
	}
	return checked, unchecked
}

// requested returns the exact revision that a list requests; 0 for none.
func (m *model) requested(c *call, pages map[string]*read) int64 {
	if before := pages[c.page(c.token)]; c.token != "" && before != nil {
		return before.list.ResourceVersion
	}
	return number(c.revision)
}

// page returns the key of a page. Two clients may have the same token and continue with different selectors.
func (c *call) page(token string) string {
	return c.client + " " + token
}

// checkRevision compares the revision of a list with the requested one.
func (m *model) checkRevision(r *read) {
	revision := r.list.ResourceVersion
	if r.first != r {
		if first := r.first.list.ResourceVersion; revision != first {
			m.faultOf(r, "reads at a revision", "the pages of a list are of revisions %d and %d", first, revision)
		}
		return
	}
	wanted := number(r.revision)
	switch {
	case r.revision == "":
		// Linearizable: everything that any client had seen before.
		if newest := m.newestBefore(r.begin); revision < newest {
			m.faultOf(r, "linearizable", "shows revision %d, though revision %d had been seen before it was sent", revision, newest)
		}
	case wanted == 0:
	case r.match == "Exact" || r.match == "" && r.limit > 0:
		if revision != wanted {
			m.faultOf(r, "reads at a revision", "shows revision %d", revision)
		}
	default:
		if revision < wanted {
			m.faultOf(r, "reads at a revision", "shows the older revision %d", revision)
		}
	}
	if after := m.madeAfter(revision); after > r.end {
		m.faultOf(r, "reads at a revision", "shows revision %d, which was written %s later", revision, duration(after-r.end))
	}
}

// checkList compares the items with the contents at the revision. It returns false if deletions may be unknown.
func (m *model) checkList(r *read, now *contents) bool {
	chosen, err := newSelection(&r.first.request)
	if err != nil {
		m.faultOf(r, "cannot be checked", "%s", err)
		return false
	}
	revision := r.list.ResourceVersion
	var last string
	found := map[string]bool{}
	for i, item := range r.list.Items {
		key := item.key()
		if i > 0 && key <= last || i == 0 && r.after != "" && key <= r.after {
			m.faultOf(r, "reads at a revision", "%s comes after %s", key, max(last, r.after))
		}
		last = key
		found[key] = true
		switch one := now.objects[key]; {
		case item.ResourceVersion > revision:
			m.faultOf(r, "reads at a revision", "shows %s as it was later, at revision %d", key, item.ResourceVersion)
		case one == nil:
			m.faultOf(r, "reads at a revision", "shows %s, which was deleted before revision %d", key, revision)
		case one.state != item:
			m.faultOf(r, "reads at a revision", "shows %s as it was at revision %d, but it was written at revision %d", key,
				item.ResourceVersion, one.revision)
		case !chosen.includes(item):
			m.faultOf(r, "filtered", "shows %s, which is not selected", key)
		default:
			now.shown[key] = max(now.shown[key], revision)
		}
	}
	isComplete := true
	remaining := 0
	isLast := r.list.Continue == ""
	var missing []string
	for key, one := range now.objects {
		if found[key] || key <= r.after || !chosen.includes(one.state) {
			continue
		}
		if !now.changes.isCovered(one.state.Namespace, max(one.revision, now.shown[key]), revision) {
			isComplete = false // the object may have been deleted unseen
			continue
		}
		if !isLast && key > last {
			remaining++
			continue
		}
		missing = append(missing, fmt.Sprintf("%s (revision %d)", key, one.revision))
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		m.faultOf(r, "reads at a revision", "revision %d lacks %s", revision, strings.Join(missing, ", "))
	}
	if r.limit > 0 && r.revision != "0" && len(r.list.Items) > r.limit {
		m.faultOf(r, "reads at a revision", "has %d items", len(r.list.Items))
	}
	if isComplete && r.list.Remaining != nil && *r.list.Remaining != remaining {
		m.faultOf(r, "reads at a revision", "says that %d items remain, not %d", *r.list.Remaining, remaining)
	}
	return isComplete
}

// checkGet checks a get that may be stale: it shows a state that the object had at the requested revision or later.
func (m *model) checkGet(c *call) bool {
	changes := m.resources[c.resource]
	wanted := number(c.revision)
	if changes == nil || c.status != 200 && c.status != 404 || c.status == 200 && c.object == nil {
		return false
	}
	r := &read{call: c}
	if c.status == 404 {
		own := changes.byKey[c.key()]
		for i, one := range own {
			// Between two objects of the same name there was none, even if no one saw the deletion.
			isReplaced := one.present() && one.next.present() && one.state.UID != one.next.state.UID
			isGone := (one.state == nil || isReplaced) && (one.next == nil || one.next.revision > wanted)
			if isGone || i == 0 && one.revision > wanted {
				return true
			}
		}
		if len(own) == 0 {
			return true
		}
		last := own[len(own)-1].revision
		if !changes.isCovered(c.namespace, last, max(last, wanted, m.newestBefore(c.end))) {
			return false // the object may have been deleted unseen
		}
		if m.mayBeDeleted(c, last) {
			return false
		}
		m.faultOf(r, "reads at a revision", "found nothing, though it was there at revision %d and ever since", last)
		return true
	}
	one := changes.find(c.object)
	if one == nil {
		return false
	}
	if next := one.next; next != nil && next.revision <= wanted {
		m.faultOf(r, "reads at a revision", "shows revision %d, which was replaced by %d", one.revision, next.revision)
	}
	if after := m.madeAfter(one.revision); after > c.end {
		m.faultOf(r, "reads at a revision", "shows revision %d, which was written %s later", one.revision, duration(after-c.end))
	}
	return true
}

// mayBeDeleted reports whether a call may have deleted the object of a read after its last known revision. The revision of
// that deletion is unknown: the answer does not have it, and no watch lasted long enough to see it.
func (m *model) mayBeDeleted(r *call, last int64) bool {
	return slices.ContainsFunc(m.calls, func(c *call) bool {
		isDeletion := c.verb == "delete" && c.key() == r.key() || c.verb == "deletecollection" && c.namespace == r.namespace
		return isDeletion && c.resource == r.resource && (c.status < 300 || c.isUnknown()) && c.begin < r.end &&
			c.end > m.madeAfter(last)
	})
}

// checkExpiry checks a 410: the revision must be older than the kept history.
func (m *model) checkExpiry(r *request, wanted int64) {
	if m.keptMs == 0 {
		return // nothing is promised
	}
	for _, one := range m.compactions {
		if wanted < one.revision && one.begin <= r.end {
			return
		}
	}
	// The change after the revision must be old enough.
	if at := m.madeBefore(wanted + 1); at != never && r.end-at >= m.keptMs*1000 {
		return
	}
	m.faults.add("410 only when older than what is kept", "%s: %s%s was refused as too old", r.client, r.resource, r.parameters()).
		around = wanted
}

func (m *model) faultOf(r *read, property, format string, values ...any) {
	one := m.faults.add(property, "%s: %s", r.call, fmt.Sprintf(format, values...))
	one.call = r.call
	if r.list != nil {
		one.around = r.list.ResourceVersion
	}
}

func duration(us int64) string {
	return fmt.Sprintf("%.3f s", float64(us)/1e6)
}

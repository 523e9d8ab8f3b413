package main

import (
	"maps"
	"slices"
)

// checkWrites checks what an order of the calls for one object does not show: a revision is higher than all that were
// seen before the write was sent, and each named write was sent by a call and stored at most once.
func (m *model) checkWrites() {
	named := map[string]*call{}
	for _, c := range m.calls {
		if c.sent.Write != "" {
			named[c.sent.Write] = c
		}
		if c.verb == "delete" && c.status < 300 && c.deleted != "" {
			m.checkDeletion(c)
		}
		if !c.isWrite() || c.object == nil || c.status >= 300 || c.verb == "delete" {
			continue
		}
		revision := c.object.ResourceVersion
		// A write that changes nothing keeps the revision, so its state may have been seen before.
		if newest := m.newestBefore(c.begin); revision <= newest && m.shown[c.object] >= c.begin {
			m.faults.add("linearizable", "%s was written at revision %d, after revision %d had been seen", c, revision, newest)
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(m.resources)) {
		once := map[string]*change{}
		for _, one := range m.resources[resource].all {
			if one.state == nil {
				if one.by == nil && one.prev.present() && one.prev.state.Write != "" {
					m.faults.add("nothing else", "%s %s was deleted at revision %d, by no call", resource, one.key, one.revision)
				}
				continue
			}
			write := one.state.Write
			if write == "" {
				continue
			}
			c := named[write]
			switch {
			case once[write] != nil:
				m.faults.add("nothing else", "%s %s: %s was written twice, at revisions %d and %d", resource, one.key, write,
					once[write].revision, one.revision)
			case c == nil:
				m.faults.add("nothing else", "%s %s: %s at revision %d was written by no call", resource, one.key, write, one.revision)
			case !c.isUnknown() && c.status >= 300:
				m.faults.add("nothing else", "%s was refused with %d, and was done at revision %d", c, c.status, one.revision)
			}
			once[write] = one
		}
	}
}

// checkDeletion checks that the watches show a deletion that was acknowledged, since its answer has no revision.
func (m *model) checkDeletion(c *call) {
	changes := m.resources[c.resource]
	if changes == nil {
		return
	}
	var last *change
	for _, one := range changes.byKey[c.key()] {
		if one.present() && one.state.UID == c.deleted {
			last = one
		}
	}
	if last == nil || last.next != nil && last.next.state == nil {
		return
	}
	// The deletion has a lower revision than any write that was sent after it.
	later := slices.IndexFunc(m.asked, func(one moment) bool { return one.at > c.end })
	if later >= 0 && changes.isCovered(c.namespace, last.revision, m.asked[later].revision) {
		m.faults.add("reliable", "%s was acknowledged, and no watch shows it", c)
	}
}

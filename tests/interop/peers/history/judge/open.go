package main

// openWrites is the writes about one object without an answer that no known change shows. Each of them was done at a
// revision that no client saw, or is done later, or never. A search that tries all of these takes a time that doubles
// with each write, so they are no operations: they only explain an answer that the known changes do not. Thus one may
// explain several answers, which lets a fault pass where changes are not covered by a watch, and never makes one.
type openWrites struct {
	model   *model
	changes *changes
	key     string
	writes  []openWrite
}

type openWrite struct {
	*call
	// floor is the newest revision that was seen before the write was sent.
	floor int64
}

// openWrites returns the open writes of each object of a resource.
func (m *model) openWrites(changes *changes) map[string]*openWrites {
	byKey := map[string]*openWrites{}
	made := changes.made()
	for _, c := range m.calls {
		if c.resource != changes.resource || c.key() == "" || !c.isUnknown() || c.verb == "deletecollection" || made[c] != nil {
			continue
		}
		if byKey[c.key()] == nil {
			byKey[c.key()] = &openWrites{model: m, changes: changes, key: c.key()}
		}
		own := byKey[c.key()]
		own.writes = append(own.writes, openWrite{c, m.newestBefore(c.begin)})
	}
	return byKey
}

// made returns the first change of each call that made one.
func (c *changes) made() map[*call]*change {
	made := map[*call]*change{}
	for _, one := range c.all {
		if one.by != nil && made[one.by] == nil {
			made[one.by] = one
		}
	}
	return made
}

// reach returns the states that open writes can have made of a state before a time.
func (o *openWrites) reach(s object, before int64) []object {
	if o == nil {
		return nil
	}
	var possible []*call
	for _, one := range o.writes {
		if one.begin < before && o.isPossible(one, s.revision, before) {
			possible = append(possible, one.call)
		}
	}
	var reached []object
	seen := map[object]bool{s: true}
	for next := []object{s}; len(next) > 0; next = next[1:] {
		for _, c := range possible {
			if !next[0].allows(c) {
				continue
			}
			after := object{present: true, revision: s.revision, uid: next[0].uid, write: anyWrite}
			if c.verb == "delete" {
				after = object{revision: s.revision}
			}
			if !seen[after] {
				seen[after] = true
				reached, next = append(reached, after), append(next, after)
			}
		}
	}
	return reached
}

// isPossible reports whether a write can have been done after a revision and before the next known change of the object:
// a watch that covers all of this time would have shown it.
func (o *openWrites) isPossible(one openWrite, revision, before int64) bool {
	floor := max(revision, one.floor)
	for _, known := range o.changes.byKey[o.key] {
		if known.revision > revision {
			return known.revision > floor && !o.changes.isCovered(one.namespace, floor, known.revision)
		}
	}
	return before >= o.model.madeAfter(o.changes.coveredTo(one.namespace, floor))
}

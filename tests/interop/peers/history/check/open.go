package main

// openWrites holds the writes to one object that have no answer and that no known change shows. Each of them was stored
// at a revision that no client saw, or is stored later, or never. The time of a search through all of these doubles
// with each write, so they are not operations: they only explain answers that the known changes do not. One write may
// explain several answers. That can hide a fault where no watch covers the changes, but never reports a false one.
type openWrites struct {
	model   *model
	changes *changes
	key     string
	writes  []openWrite
}

type openWrite struct {
	*call
	// floor is the highest revision that was seen before the write was sent.
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

// isPossible reports whether a write can have been stored after a revision and before the next known change of the
// object: a watch that covers this whole span would have shown it.
func (o *openWrites) isPossible(one openWrite, revision, before int64) bool {
	floor := max(revision, one.floor)
	for _, known := range o.changes.byKey[o.key] {
		if known.revision > revision {
			return known.revision > floor && !o.changes.isCovered(one.namespace, floor, known.revision)
		}
	}
	return before >= o.model.madeAfter(o.changes.coveredTo(one.namespace, floor))
}

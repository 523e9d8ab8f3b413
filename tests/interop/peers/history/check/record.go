package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
)

// record is one line of a history; tests/torture/history.ts describes the fields.
type record struct {
	Kind string
	// history
	Format int
	Title  string
	KeptMs int64
	// call and watch
	Client, Resource, Namespace, Name, Subresource  string
	ResourceVersion, ResourceVersionMatch, Continue string
	LabelSelector, FieldSelector                    string
	Limit                                           int
	Begin, End                                      int64
	Verb                                            string
	Sent                                            sent
	Status                                          int
	Reason                                          string
	Object                                          *state
	List                                            *list
	Deleted                                         string
	SendInitialEvents                               bool
	// event, end, compaction and note
	Watch            int
	At               int64
	Type             string
	Revision         int64
	InitialEventsEnd bool
	Text             string
}

// sent has the preconditions and the name of a write.
type sent struct {
	UID             string
	ResourceVersion string
	Write           string
}

// state is an object in an answer. Equal states share a pointer, except for those of deletions.
type state struct {
	Namespace       string
	Name            string
	UID             string
	ResourceVersion int64
	Digest          string
	Labels          map[string]string
	Write           string
	SignerName      string
}

func (s *state) key() string {
	if s.Namespace == "" {
		return s.Name
	}
	return s.Namespace + "/" + s.Name
}

// list is a whole list or one page.
type list struct {
	ResourceVersion int64
	Continue        string
	Remaining       *int
	Items           []*state
}

// request has the fields that calls and watches share.
type request struct {
	client, resource, namespace, name, subresource string
	begin, end                                     int64
	revision, match, token, labels, fields         string
	limit                                          int
	status                                         int
	reason                                         string
}

type call struct {
	request
	verb    string
	sent    sent
	object  *state
	list    *list
	deleted string
}

type watch struct {
	request
	number  int
	initial bool
	events  []event
}

type event struct {
	at         int64
	kind       string
	object     *state
	revision   int64
	initialEnd bool
	status     int
}

// compaction removed all lower revisions, at some time between begin and end.
type compaction struct {
	begin, end, revision int64
}

// history is a whole history in memory.
type history struct {
	title       string
	keptMs      int64
	calls       []*call
	watches     []*watch
	compactions []compaction
	notes       []record
}

const never = int64(math.MaxInt64)

// maxLine is larger than a list of 100,000 objects.
const maxLine = 256 << 20

// readHistory reads a file. An incomplete last line is ignored, because the program that wrote it was killed.
func readHistory(path string) (*history, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h := &history{}
	open := map[int]*watch{}
	pool := pool{}
	lines := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("line %d is longer than %d bytes", number, maxLine)
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if (number == 1) != (r.Kind == "history") || r.Kind == "history" && r.Format != 1 {
			return nil, fmt.Errorf("line %d: not a history of format 1", number)
		}
		if err := h.add(r, open, pool); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if h.title == "" {
		return nil, fmt.Errorf("%s has no history", path)
	}
	return h, nil
}

func (h *history) add(r record, open map[int]*watch, pool pool) error {
	asked := request{
		client: r.Client, resource: r.Resource, namespace: r.Namespace, name: r.Name, subresource: r.Subresource,
		begin: r.Begin, end: r.End, revision: r.ResourceVersion, match: r.ResourceVersionMatch, token: r.Continue,
		labels: r.LabelSelector, fields: r.FieldSelector, limit: r.Limit, status: r.Status, reason: r.Reason,
	}
	switch r.Kind {
	case "history":
		h.title, h.keptMs = r.Title, r.KeptMs
	case "call":
		if r.List != nil {
			for i, item := range r.List.Items {
				r.List.Items[i] = pool.share(r.Resource, item)
			}
		}
		h.calls = append(h.calls, &call{request: asked, verb: r.Verb, sent: r.Sent, object: pool.share(r.Resource, r.Object),
			list: r.List, deleted: r.Deleted})
	case "watch":
		w := &watch{request: asked, number: r.Watch, initial: r.SendInitialEvents}
		h.watches = append(h.watches, w)
		open[r.Watch] = w
	case "event":
		w := open[r.Watch]
		if w == nil {
			return fmt.Errorf("an event of watch %d, which is not open", r.Watch)
		}
		w.events = append(w.events, event{at: r.At, kind: r.Type, object: pool.share(w.resource, r.Object), revision: r.Revision,
			initialEnd: r.InitialEventsEnd, status: r.Status})
	case "end":
		delete(open, r.Watch)
	case "compaction":
		h.compactions = append(h.compactions, compaction{r.Begin, r.End, r.Revision})
	case "note":
		h.notes = append(h.notes, r)
	default:
		return fmt.Errorf("unknown kind %q", r.Kind)
	}
	return nil
}

// pool keeps one copy of equal states, of which there may be thousands.
type pool map[pooled]*state

type pooled struct {
	resource, key, uid, digest string
	revision                   int64
}

func (p pool) share(resource string, s *state) *state {
	if s == nil {
		return nil
	}
	key := pooled{resource, s.key(), s.UID, s.Digest, s.ResourceVersion}
	if known := p[key]; known != nil {
		return known
	}
	p[key] = s
	return s
}

// number parses a revision that a client sent; 0 for none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Check reads a history of calls and watches (tests/torture/history.ts) and reports which promises of the API it breaks.
// The verdict is JSON on stdout; with -pages, HTML pages about the faults are written into a folder. The exit code says
// only whether the history could be read.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// verdict is the result of a check.
type verdict struct {
	Title string `json:"title"`
	// Calls, Watches and Events count the records of the history; Objects and Operations were checked with porcupine.
	Calls      int `json:"calls"`
	Objects    int `json:"objects"`
	Operations int `json:"operations"`
	Watches    int `json:"watches"`
	Events     int `json:"events"`
	// Reads are the lists, pages and gets that were compared with the state at their revision, and Unchecked those that
	// could not, or only in part, because no watch covered the changes around them.
	Reads     int `json:"reads"`
	Unchecked int `json:"unchecked"`
	// Unknown lists the objects whose check timed out.
	Unknown []string `json:"unknown"`
	Faults  []fault  `json:"faults"`
	// Page is the path of the first page, or empty.
	Page string `json:"page"`
}

func main() {
	folder := flag.String("pages", "", "the folder for pages about faults")
	limit := flag.Duration("limit", 90*time.Second, "the longest search for orders of the calls about each object")
	flag.Parse()
	if err := check(flag.Arg(0), *folder, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func check(path, folder string, limit time.Duration) error {
	h, err := readHistory(path)
	if err != nil {
		return err
	}
	faults := &faults{}
	m := newModel(h, faults)
	pages := &pages{folder: folder, model: m}
	v := verdict{Title: h.title, Calls: len(h.calls)}
	m.checkWrites()
	v.Watches, v.Events = m.checkWatches()
	v.Objects, v.Operations, v.Unknown = m.checkObjects(limit, pages)
	m.calls = append(m.calls, h.initialLists()...)
	v.Reads, v.Unchecked = m.checkReads()
	v.Faults = faults.all
	if v.Faults == nil {
		v.Faults = []fault{}
	}
	if v.Page, err = pages.write(v); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}
